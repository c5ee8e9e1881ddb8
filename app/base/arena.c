/*
 * Blocks in a list, the newest first; pieces are cut from the newest.  The
 * first block is small, so that an idle connection costs little, and later
 * ones are as large as what is asked for needs.
 */
#include "base/arena.h"

#include <stddef.h>
#include <stdlib.h>

#define FIRST_BYTES 4096
#define NEXT_BYTES 16384

struct arena_block {
	struct arena_block *older;
	size_t room;
	size_t used;
	max_align_t at[];
};

void
arena_init(struct arena *a, size_t cap_bytes)
{
	memset(a, 0, sizeof(*a));
	a->cap_bytes = cap_bytes;
}

static bool
add_block(struct arena *a, size_t bytes)
{
	size_t least = a->blocks ? NEXT_BYTES : FIRST_BYTES;
	size_t room = bytes > least ? bytes : least;
	struct arena_block *b = malloc(sizeof(*b) + room);

	if (!b)
		return false;
	b->room = room;
	b->used = 0;
	b->older = a->blocks;
	a->blocks = b;
	return true;
}

void *
arena_alloc(struct arena *a, size_t bytes)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_block *b;
	char *at;

	if (a->overflowed || bytes > a->cap_bytes - a->used_bytes) {
		a->overflowed = true;
		return NULL;
	}
	a->used_bytes += bytes;
	bytes = (bytes + align - 1) & ~(align - 1);
	b = a->blocks;
	if (!b || b->room - b->used < bytes) {
		if (!add_block(a, bytes)) {
			a->overflowed = true;
			return NULL;
		}
		b = a->blocks;
	}
	at = (char *)b->at + b->used;
	b->used += bytes;
	memset(at, 0, bytes);
	return at;
}

char *
arena_copy(struct arena *a, struct span s)
{
	char *at = arena_alloc(a, s.len + 1);

	if (at && s.len)
		memcpy(at, s.at, s.len);
	return at;
}

void
arena_reset(struct arena *a)
{
	while (a->blocks && a->blocks->older) {
		struct arena_block *older = a->blocks->older;

		free(a->blocks);
		a->blocks = older;
	}
	/* The oldest block stays, unless it was made for something large. */
	if (a->blocks && a->blocks->room > FIRST_BYTES) {
		free(a->blocks);
		a->blocks = NULL;
	}
	if (a->blocks)
		a->blocks->used = 0;
	a->used_bytes = 0;
	a->overflowed = false;
}

void
arena_free(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *older = a->blocks->older;

		free(a->blocks);
		a->blocks = older;
	}
	arena_init(a, a->cap_bytes);
}
