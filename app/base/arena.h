/*
 * Memory tied to one request: taken in small pieces, given back all at once.
 * One thread at a time.  A request beyond the cap returns NULL and sets a
 * sticky flag, so a caller may build several things and look once.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used_bytes;
	size_t cap_bytes;
	bool overflowed;
};

/* Takes no memory yet.  CAP_BYTES bounds all that is handed out. */
void arena_init(struct arena *a, size_t cap_bytes);
/* Zeroed, aligned for any type; NULL past the cap or without memory. */
void *arena_alloc(struct arena *a, size_t bytes);
/* A copy of S with a NUL behind it; NULL likewise. */
char *arena_copy(struct arena *a, struct span s);
/* Everything handed out is gone; one block is kept for the next request. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
