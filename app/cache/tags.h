/*
 * Tags, as numbers.  A tag is text like "course:42:lessons".  Each falls into
 * one of TAG_SLOTS slots by a stable hash, and only the slots are stored: the
 * memory of all tags is bounded, two tags in one slot cost a spurious miss
 * now and then, never a stale answer.
 *
 * The word before the first ':' is the tag's family ("course").  An entry that
 * depends on a tag depends on its family as well, so raising the bare word
 * invalidates every entry that has any tag of that family; and every entry
 * depends on TAG_ALL.
 */
#ifndef CACHE_TAGS_H
#define CACHE_TAGS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/span.h"

#define TAG_SLOTS 65536u
/* Slots of one entry, families and TAG_ALL among them. */
#define TAG_MAX 255
#define TAG_ALL "all"

/* Stable across processes and versions: it is stored in Redis.  "#123" is the
 * slot 123 itself: for who knows only what an entry has stored. */
uint16_t tag_slot(struct span tag);

/*
 * The distinct slots of COUNT tags with their families and TAG_ALL, sorted,
 * into OUT (room for TAG_MAX).  Returns how many; 0 when they are too many:
 * such an answer must not be stored.
 */
size_t tag_slots(const struct span *tags, size_t count, uint16_t out[TAG_MAX]);

/* The sequence and the last number raised on each slot; see tags.c for why
 * the order of its loads and stores is enough.  Zeroed memory is valid.
 * Any thread, without locks. */
struct tag_table {
	_Atomic uint64_t sequence;
	_Atomic uint64_t raised[TAG_SLOTS];
};

/* The number that is current now: read it before a load begins. */
uint64_t tags_now(struct tag_table *t);
/* Take the next number and write it on the slots. */
uint64_t tags_raise(struct tag_table *t, const uint16_t *slots, size_t count);
/* No slot bears a number later than LOADED? */
bool tags_good(struct tag_table *t, const uint16_t *slots, size_t count, uint64_t loaded);

#endif
