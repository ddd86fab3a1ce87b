/* What init.c and client.c know of each other. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>

#define FILE_PATH "/sd/large"
#define FILE_NAME "large"
#define FILE_SIZE (5ULL << 30)
/* The only bytes that are not zero: were a position cut to 32 bits, zeroes would come instead. */
#define TAIL_SIZE 5000
#define ASK_PORT 2000
#define PUSH_PORT 2001

unsigned char tail_byte(unsigned index); /* what stands at FILE_SIZE - TAIL_SIZE + index */
void fail(const char *what);             /* says so, with errno's text, and ends the machine */

/* Each returns when the last bytes came as they should, and fails otherwise. */
void check_ask(void);
void check_push(void);

#endif
