/* The first process of the machine of tests/kernel/run: makes the large file, starts the server in both
 * modes, checks what its clients get, and switches the machine off. */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char *step = "start";

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void begin(const char *what) {
    step = what;
    printf("%6.2f s  %s\n", seconds(), what);
}

static void switch_off(void) {
    sync();
    tcdrain(STDOUT_FILENO);
    reboot(RB_POWER_OFF);
    for (;;) pause();
}

void fail(const char *what) {
    printf("large file: FAILED: %s: %s%s%s\n", step, what, errno ? ": " : "", errno ? strerror(errno) : "");
    switch_off();
}

unsigned char tail_byte(unsigned index) { return 1 + index * 7 % 251; }

static void make_folders(void) {
    mkdir("/dev", 0755);
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/sd", 0755);
    mkdir("/tmp", 01777);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    int console = open("/dev/console", O_RDWR);
    for (int descriptor = 0; descriptor < 3; descriptor++) dup2(console, descriptor);
    if (console > 2) close(console);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

static void load_modules(void) {
    char path[256];
    FILE *order = fopen("/modules/order", "r");
    if (!order) fail("/modules/order");
    while (fgets(path, sizeof path, order)) {
        path[strcspn(path, "\n")] = 0;
        int module = open(path, O_RDONLY | O_CLOEXEC);
        if (module < 0 || (syscall(SYS_finit_module, module, "", 0) && errno != EEXIST)) fail(path);
        close(module);
    }
    fclose(order);
}

static void mount_card(void) {
    struct stat status;
    for (int tries = 0; tries < 1500 && stat("/dev/mmcblk0", &status); tries++) usleep(20000);
    if (mount("/dev/mmcblk0", "/sd", "ext4", 0, NULL)) fail("mount");
}

static void raise_loopback(void) {
    struct ifreq request = {.ifr_name = "lo"};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0 || ioctl(any, SIOCGIFFLAGS, &request)) fail("the loopback interface");
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(any, SIOCSIFFLAGS, &request)) fail("the loopback interface");
    close(any);
}

static void make_file(void) {
    static unsigned char tail[TAIL_SIZE];
    int file = open(FILE_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    for (unsigned index = 0; index < TAIL_SIZE; index++) tail[index] = tail_byte(index);
    if (file < 0 || pwrite(file, tail, TAIL_SIZE, FILE_SIZE - TAIL_SIZE) != TAIL_SIZE) fail("write");
    close(file);
}

/* Starts the server, and returns when it has said that it is ready. */
static pid_t start_server(char *const arguments[]) {
    char line[256];
    int output[2];
    if (pipe2(output, O_CLOEXEC)) fail("pipe");
    pid_t server = fork();
    if (server == 0) {
        dup2(output[1], STDOUT_FILENO);
        execv("/trainyard", arguments);
        perror("/trainyard");
        _exit(127);
    }
    close(output[1]);
    FILE *lines = fdopen(output[0], "r"); /* stays open: the server may still write to it */
    while (fgets(line, sizeof line, lines)) {
        printf("%6.2f s  server %d: %s", seconds(), server, line);
        if (!strcmp(line, "ready\n")) return server;
    }
    errno = 0;
    fail("the server ended before it was ready");
    return -1;
}

static void stop_server(pid_t server) {
    int status;
    kill(server, SIGTERM);
    if (waitpid(server, &status, 0) != server) fail("waitpid");
    errno = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("the server did not end with 0");
}

int main(void) {
    char *const ask[] = {"trainyard", "serve", "/sd", "--http", "none", "--train", "127.0.0.1:2000", "--user", "root", NULL};
    char *const push[] = {"trainyard", "serve", "/sd", "--http", "none", "--train", "127.0.0.1:2001", "--user", "root", "--push", FILE_PATH, "--push-form", "raw", NULL};
    make_folders();
    begin("modules");
    load_modules();
    begin("card");
    mount_card();
    begin("file of 5 GiB");
    make_file();
    raise_loopback();
    begin("ask: server");
    pid_t asked = start_server(ask);
    begin("ask: last bytes");
    check_ask();
    stop_server(asked);
    begin("push: server");
    pid_t pushing = start_server(push);
    begin("push: last bytes");
    check_push();
    stop_server(pushing);
    begin("end");
    printf("large file: passed\n");
    switch_off();
}
