/*
 * Hashes, each for its purpose.  Any thread after random_start().
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/span.h"

/* For tables in this process: SipHash-1-3 with a key drawn at start, so that
 * nobody outside can aim for collisions. */
uint64_t hash_table(struct span s);
/* The same in every process and version: SipHash-2-4 with a fixed key. */
uint64_t hash_stable(struct span s);
/* 128 bits as 32 hex digits and a NUL, stable: for ETags and checksums
 * (SipHash-x-2-4, fixed key).  Finds accidents, not forgers. */
#define HASH_HEX_BYTES 33
void hash_hex(struct span s, char out[HASH_HEX_BYTES]);
/* A secret, one way: BLAKE2b-256 with PURPOSE as its key, 64 hex digits. */
#define HASH_SECRET_BYTES 65
void hash_secret(const char *purpose, struct span secret, char out[HASH_SECRET_BYTES]);
/* A name for a secret: BLAKE2b-128 with PURPOSE (at most 16 bytes of it) as its
 * personalization (section 2.8 of the BLAKE2 paper), 32 hex digits.  No way
 * back, and nobody finds a second secret of the same name. */
void hash_name(const char *purpose, struct span secret, char out[HASH_HEX_BYTES]);
/* Compares in a time that does not depend on where they differ. */
bool hash_secret_equal(struct span a, struct span b);

#endif
