/* What the classic clients share: connecting, and receiving exactly so many bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The classic exercise's train. */
typedef struct {
    int data_len;
    char buf[1000];
} train_t;

/* Not every client uses all of these. */
#define SHARED __attribute__((unused)) static

SHARED void die(const char *what) {
    perror(what);
    exit(1);
}

/* Blocks until `size` bytes have come; 0 when the connection ends before. */
SHARED int recv_exact(int fd, void *room, size_t size) {
    char *next = room;
    while (size > 0) {
        ssize_t got = recv(fd, next, size, 0);
        if (got == -1 && errno == EINTR) continue;
        if (got <= 0) return 0;
        next += got;
        size -= (size_t)got;
    }
    return 1;
}

/* Receives a car; exits when there is no whole one. */
SHARED void recv_car(int fd, train_t *car) {
    if (!recv_exact(fd, &car->data_len, sizeof car->data_len)) {
        fprintf(stderr, "ended before a car\n");
        exit(3);
    }
    if (car->data_len < 0 || car->data_len > (int)sizeof car->buf) {
        fprintf(stderr, "a car of %d bytes\n", car->data_len);
        exit(4);
    }
    if (!recv_exact(fd, car->buf, (size_t)car->data_len)) {
        fprintf(stderr, "ended within a car\n");
        exit(3);
    }
}

/* Connects to argv[1] argv[2]. */
SHARED int connect_to(char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = inet_addr(argv[1]);
    address.sin_port = htons((uint16_t)atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd == -1) die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == -1) die("connect");
    return fd;
}

/* Receives car(name) and creates that file in the current folder. */
SHARED int create_named(int fd) {
    train_t car;
    char name[1001] = {0};
    recv_car(fd, &car);
    memcpy(name, car.buf, (size_t)car.data_len);
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (file == -1) die("open");
    return file;
}

/* Receives car(size). */
SHARED int64_t recv_size(int fd) {
    train_t car;
    int64_t size;
    recv_car(fd, &car);
    if (car.data_len != sizeof size) {
        fprintf(stderr, "a size of %d bytes\n", car.data_len);
        exit(4);
    }
    memcpy(&size, car.buf, sizeof size);
    return size;
}

SHARED void write_all(int file, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t done = write(file, bytes, size);
        if (done <= 0) die("write");
        bytes += done;
        size -= (size_t)done;
    }
}

/* Asserts that the server ends the connection now, and that nothing is left over. */
SHARED void expect_end(int fd) {
    char byte;
    if (recv(fd, &byte, 1, 0) != 0) {
        fprintf(stderr, "something follows the end\n");
        exit(5);
    }
    close(fd);
}
