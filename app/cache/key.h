/*
 * Cache keys: prefix:name:value:name:value, names in alphabetical order, e.g.
 * admin:courses:adminId:123:limit:5:page:1:search:javascript.  Values are
 * escaped, so no value can forge another key.  Pure; any thread.
 */
#ifndef CACHE_KEY_H
#define CACHE_KEY_H

#include "base/arena.h"

#define KEY_MAX_PARTS 8
#define KEY_MAX_BYTES 2048

/* All that is the same in every key of a kind: made once. */
struct key_shape {
	struct span prefix;
	size_t count;
	size_t fixed_bytes; /* all but the values */
	struct {
		struct span name;
		size_t value; /* its place among the values */
	} parts[KEY_MAX_PARTS];
};

/* NAMES, ended by NULL or by KEY_MAX_PARTS, in any order; the texts must live
 * as long as the shape. */
void key_shape_make(struct key_shape *shape, const char *prefix, const char *const *names);

/*
 * Build the key in ARENA; VALUES in the order of the shape's NAMES.
 * Percent-escaped in values: control bytes, blank, '%', ':', '*', '?', '[',
 * ']', '\\' and DEL.  Empty (len 0) if longer than KEY_MAX_BYTES or
 * without memory.
 */
struct span key_build(
    struct arena *arena, const struct key_shape *shape, const struct span *values);

/* The way back: the values of KEY, in ARENA, in the order of the shape's NAMES.
 * False: KEY is not of that shape. */
bool key_parse(
    struct arena *arena, const struct key_shape *shape, struct span key, struct span *values);

#endif
