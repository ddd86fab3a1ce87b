/* Form raw-end, by splice through a pipe: it takes whatever is there, at most a pipe's worth, so
   that an end car right behind the data would become a part of the file. */
#define _GNU_SOURCE
#include "classic.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = connect_to(argv);
    int file = create_named(fd);
    int64_t size = recv_size(fd), done = 0;
    int pipes[2];
    if (pipe(pipes) == -1) die("pipe");
    while (done < size) {
        ssize_t got = splice(fd, NULL, pipes[1], NULL, 4096, SPLICE_F_MORE);
        if (got <= 0) {
            fprintf(stderr, "ended after %lld bytes\n", (long long)done);
            return 3;
        }
        for (ssize_t left = got; left > 0;) {
            ssize_t moved = splice(pipes[0], NULL, file, NULL, (size_t)left, SPLICE_F_MORE);
            if (moved <= 0) die("splice");
            left -= moved;
        }
        done += got;
    }
    if (done != size) {
        fprintf(stderr, "%lld bytes more than the file has\n", (long long)(done - size));
        return 6;
    }
    train_t car;
    recv_car(fd, &car);
    if (car.data_len != 0) return 7;
    expect_end(fd);
    return close(file);
}
