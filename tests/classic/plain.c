/* Form plain: car(name) car(data)* car(). */
#include "classic.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = connect_to(argv);
    int file = create_named(fd);
    train_t car;
    for (;;) {
        recv_car(fd, &car);
        if (car.data_len == 0) break;
        write_all(file, car.buf, (size_t)car.data_len);
    }
    expect_end(fd);
    return close(file);
}
