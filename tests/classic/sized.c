/* Form sized: car(name) car(size) car(data)* car(), with a progress in percent, as many do. */
#include "classic.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = connect_to(argv);
    int file = create_named(fd);
    int64_t size = recv_size(fd), done = 0;
    train_t car;
    for (;;) {
        recv_car(fd, &car);
        if (car.data_len == 0) break;
        write_all(file, car.buf, (size_t)car.data_len);
        done += car.data_len;
    }
    printf("%d%%\n", size == 0 ? 100 : (int)(done * 100 / size));
    if (done != size) return 6;
    expect_end(fd);
    return close(file);
}
