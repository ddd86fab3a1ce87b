/* The clients of the large-file test: one asks for the last bytes, one is pushed the whole file. */
#define _GNU_SOURCE
#include "kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CAR_MAX 1000
#define WAIT_SECONDS 60

static int connect_to(unsigned short port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = WAIT_SECONDS};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || connect(client, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return client;
}

static void receive(int client, void *buffer, size_t size) {
    errno = 0;
    if (recv(client, buffer, size, MSG_WAITALL) != (ssize_t)size) fail("the server ended early");
}

/* One car into `data`; its length, 0 for the end of a train. */
static int receive_car(int client, unsigned char *data) {
    int32_t length;
    receive(client, &length, sizeof length);
    errno = length < 0 ? -length : 0;
    if (length < 0 || length > CAR_MAX) fail("a car of a wrong length, or an error");
    if (length > 0) receive(client, data, length);
    return length;
}

/* The first two cars of every answer: the name, and the size, which more may follow. */
static void receive_head(int client, int size_car_length) {
    unsigned char data[CAR_MAX];
    uint64_t size;
    int length = receive_car(client, data);
    errno = 0;
    if (length != sizeof FILE_NAME - 1 || memcmp(data, FILE_NAME, length)) fail("a wrong name");
    if (receive_car(client, data) != size_car_length) fail("a size car of a wrong length");
    memcpy(&size, data, sizeof size);
    if (size != FILE_SIZE) fail("a wrong size");
}

static void check_tail(const unsigned char *bytes, unsigned first, unsigned count) {
    for (unsigned index = 0; index < count; index++) {
        errno = 0;
        if (bytes[index] != tail_byte(first + index)) fail("wrong bytes");
    }
}

static void put_car(unsigned char **end, const void *data, int32_t length) {
    memcpy(*end, &length, sizeof length);
    memcpy(*end + sizeof length, data, length);
    *end += sizeof length + length;
}

void check_ask(void) {
    unsigned char request[64], *end = request, data[CAR_MAX];
    uint64_t range[2] = {FILE_SIZE - TAIL_SIZE, TAIL_SIZE};
    unsigned received = 0;
    int length, client = connect_to(ASK_PORT);
    put_car(&end, FILE_NAME, sizeof FILE_NAME - 1);
    put_car(&end, range, sizeof range);
    put_car(&end, "", 0);
    if (send(client, request, end - request, 0) != end - request) fail("send");
    receive_head(client, 16);
    while ((length = receive_car(client, data)) > 0) {
        if (received + length > TAIL_SIZE) fail("more than was asked for");
        check_tail(data, received, length);
        received += length;
    }
    if (received != TAIL_SIZE) fail("less than was asked for");
    close(client);
}

/* All of the file passes by, but only its end is looked at: MSG_TRUNC drops the rest in the kernel. */
void check_push(void) {
    static unsigned char tail[TAIL_SIZE];
    uint64_t left = FILE_SIZE - TAIL_SIZE;
    int client = connect_to(PUSH_PORT);
    receive_head(client, 8);
    while (left > 0) {
        errno = 0;
        ssize_t count = recv(client, NULL, left < 1 << 20 ? left : 1 << 20, MSG_TRUNC);
        if (count <= 0) fail("the push ended early");
        left -= count;
    }
    receive(client, tail, sizeof tail);
    check_tail(tail, 0, sizeof tail);
    errno = 0;
    if (recv(client, tail, 1, 0) != 0) fail("the push did not end with the file");
    close(client);
}
