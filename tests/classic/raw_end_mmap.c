/* Form raw-end, into a mapped file: one recv with MSG_WAITALL for the whole, then the end car. */
#include "classic.h"

#include <sys/mman.h>

int main(int argc, char **argv) {
    (void)argc;
    int fd = connect_to(argv);
    int file = create_named(fd);
    int64_t size = recv_size(fd);
    if (ftruncate(file, size) == -1) die("ftruncate");
    if (size > 0) {
        char *map = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (map == MAP_FAILED) die("mmap");
        for (int64_t done = 0; done < size;) {
            ssize_t got = recv(fd, map + done, (size_t)(size - done), MSG_WAITALL);
            if (got <= 0) {
                fprintf(stderr, "ended after %lld bytes\n", (long long)done);
                return 3;
            }
            done += got;
        }
        munmap(map, (size_t)size);
    }
    train_t car;
    recv_car(fd, &car);
    if (car.data_len != 0) return 7;
    expect_end(fd);
    return close(file);
}
