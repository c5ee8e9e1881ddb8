/*
 * Unpredictable values, from libsodium's generator.  random_start() once,
 * before any thread; the rest from any thread.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool random_start(void);
void random_bytes(void *out, size_t len);
uint32_t random_below(uint32_t limit);

/* A new row's id: 'c' and 24 characters of base 36, 124 random bits. */
#define RANDOM_ID_BYTES 26
void random_id(char out[RANDOM_ID_BYTES]);
/* LEN random bytes as lower-case hex with a NUL: room for 2 * LEN + 1. */
void random_hex(char *out, size_t len);

#endif
