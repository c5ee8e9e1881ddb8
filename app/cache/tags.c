/*
 * The order of loads and stores.  A writer commits, takes number N, writes N
 * on its slots, and only then answers.  A loader reads the current number L,
 * and only then begins to load.
 *
 *   L >= N: the loader began after the commit, so it saw the new row.  Slots
 *           that still lack N (the writer is between its two steps) do no
 *           harm.
 *   L <  N: the loader may have seen the old row.  Before the writer answers,
 *           the slots bear N, and the entry is refused from then on.
 *
 * Two writers may write their slots in any order, so a slot only ever grows.
 */
#include "cache/tags.h"

#include <stdlib.h>

#include "base/hash.h"
#include "cache/rule.h"

/* "#123" */
static bool
is_slot(struct span tag, uint16_t *slot)
{
	uint32_t n = 0;

	if (tag.len < 2 || tag.len > 6 || tag.at[0] != '#')
		return false;
	for (size_t i = 1; i < tag.len; i++) {
		if (tag.at[i] < '0' || tag.at[i] > '9')
			return false;
		n = n * 10 + (uint32_t)(tag.at[i] - '0');
	}
	*slot = (uint16_t)n;
	return n < TAG_SLOTS;
}

uint16_t
tag_slot(struct span tag)
{
	uint16_t slot;

	if (is_slot(tag, &slot))
		return slot;
	return (uint16_t)(hash_stable(tag) % TAG_SLOTS);
}

static int
by_number(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static struct span
family_of(struct span tag)
{
	const char *colon = memchr(tag.at, ':', tag.len);

	return colon ? span_make(tag.at, (size_t)(colon - tag.at)) : tag;
}

static size_t
without_doubles(uint16_t *slots, size_t count)
{
	size_t kept = 0;

	qsort(slots, count, sizeof(slots[0]), by_number);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || slots[kept - 1] != slots[i])
			slots[kept++] = slots[i];
	}
	return kept;
}

size_t
tag_slots(const struct span *tags, size_t count, uint16_t out[TAG_MAX])
{
	uint16_t all[2 * TAG_MAX + 1];
	size_t n = 0;
	struct span last = { NULL, 0 };

	if (count > TAG_MAX)
		return 0;
	all[n++] = tag_slot(span_of(TAG_ALL));
	for (size_t i = 0; i < count; i++) {
		struct span family = family_of(tags[i]);

		all[n++] = tag_slot(tags[i]);
		if (!span_equal(family, last))
			all[n++] = tag_slot(family);
		last = family;
	}
	n = without_doubles(all, n);
	if (n > TAG_MAX)
		return 0;
	memcpy(out, all, n * sizeof(out[0]));
	return n;
}

uint64_t
tags_now(struct tag_table *t)
{
	return atomic_load(&t->sequence);
}

static void
grow_to(_Atomic uint64_t *slot, uint64_t number)
{
	uint64_t seen = atomic_load(slot);

	while (
	    rule_raised(seen, number) != seen && !atomic_compare_exchange_weak(slot, &seen, number))
		;
}

uint64_t
tags_raise(struct tag_table *t, const uint16_t *slots, size_t count)
{
	uint64_t number = atomic_fetch_add(&t->sequence, 1) + 1;

	for (size_t i = 0; i < count; i++)
		grow_to(&t->raised[slots[i]], number);
	return number;
}

bool
tags_good(struct tag_table *t, const uint16_t *slots, size_t count, uint64_t loaded)
{
	for (size_t i = 0; i < count; i++) {
		if (!rule_good(loaded, atomic_load(&t->raised[slots[i]])))
			return false;
	}
	return true;
}
