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

struct key_part {
	const char *name;
	struct span value;
};

/*
 * Build the key in ARENA.  COUNT <= KEY_MAX_PARTS; PARTS in any order.
 * Percent-escaped in values: control bytes, blank, '%', ':', '*', '?', '[',
 * ']', '\\' and DEL.  Empty (len 0) if longer than KEY_MAX_BYTES or
 * without memory.
 */
struct span key_build(
    struct arena *arena, const char *prefix, const struct key_part *parts, size_t count);

#endif
