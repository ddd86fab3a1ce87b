/* Form raw: car(name) car(size), then the bytes until so many have come. */
#include "classic.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = connect_to(argv);
    int file = create_named(fd);
    int64_t size = recv_size(fd), done = 0;
    char room[4096];
    while (done < size) {
        size_t want = size - done < (int64_t)sizeof room ? (size_t)(size - done) : sizeof room;
        ssize_t got = recv(fd, room, want, 0);
        if (got <= 0) {
            fprintf(stderr, "ended after %lld bytes\n", (long long)done);
            return 3;
        }
        write_all(file, room, (size_t)got);
        done += got;
    }
    expect_end(fd);
    return close(file);
}
