/*
 * The memory level, the real one, driven by a trace.  One thread.
 */
#ifndef BENCH_MEMORY_DRIVE_H
#define BENCH_MEMORY_DRIVE_H

#include <stdio.h>

#include "cache/memory.h"
#include "memory_trace.h"

/* The length of an object's body. */
typedef size_t (*trace_size)(uint32_t id);

static inline size_t
size_equal(uint32_t id)
{
	(void)id;
	return 600;
}

/* From 100 bytes, doubled up to seven times: as many of each size. */
static inline size_t
size_mixed(uint32_t id)
{
	uint64_t seed = id;

	return (size_t)100 << (trace_random(&seed) % 8);
}

static inline struct span
drive_key(uint32_t id, char key[16])
{
	snprintf(key, 16, "k%08x", id);
	return span_make(key, 9);
}

static inline struct entry *
drive_entry(struct tag_table *tags, uint32_t id, size_t body_len)
{
	static char body[1 << 16];
	uint16_t slot = trace_slot(id);
	char key[16];
	struct entry_parts parts = {
		.key = drive_key(id, key),
		.body = span_make(body, body_len),
		.slots = &slot,
		.slot_count = 1,
		.loaded = tags_now(tags),
		.expires_ms = 1000,
	};
	struct entry *e = entry_make(&parts);

	if (!e)
		abort();
	return e;
}

/* What the memory level counts for it. */
static inline size_t
drive_bytes(size_t body_len)
{
	static struct tag_table tags;
	struct memory *m = memory_new(1 << 20, 1, &tags);
	struct entry *e = drive_entry(&tags, 0, body_len);
	struct memory_stats stats;

	if (!m || !memory_put(m, e))
		abort();
	entry_release(e);
	memory_read_stats(m, &stats);
	memory_free(m);
	return (size_t)stats.bytes;
}

/* What a bound of CAP_BYTES leaves to the entries. */
static inline size_t
drive_room(size_t cap_bytes)
{
	static struct tag_table tags;
	struct memory *m = memory_new(cap_bytes, 1, &tags);
	struct memory_stats stats;

	if (!m)
		abort();
	memory_read_stats(m, &stats);
	memory_free(m);
	return cap_bytes - (size_t)stats.table_bytes;
}

/* The bound that has room for so many objects of equal size. */
static inline size_t
drive_cap(size_t objects)
{
	size_t room = drive_bytes(size_equal(0)) * objects;
	size_t cap = room;

	while (drive_room(cap) < room)
		cap += room - drive_room(cap);
	return cap;
}

static inline bool
drive_ask(struct memory *m, struct tag_table *tags, uint32_t id, trace_size size)
{
	char key[16];
	struct entry *e = memory_get(m, drive_key(id, key), 0);
	bool hit = e != NULL;

	if (!hit) {
		e = drive_entry(tags, id, size(id));
		(void)memory_put(m, e);
	}
	entry_release(e);
	return hit;
}

static inline void
drive_raise(struct tag_table *tags, uint32_t id)
{
	uint16_t slot = trace_slot(id);

	tags_raise(tags, &slot, 1);
}

/* The share of requests that hit, of the memory level and of LRU. */
static inline double
drive_memory(const struct trace *t, trace_size size, size_t cap_bytes, size_t shards)
{
	struct tag_table *tags = trace_alloc(1, sizeof(*tags));
	struct memory *m = memory_new(cap_bytes, shards, tags);
	size_t asked = 0;
	size_t hits = 0;

	if (!m)
		abort();
	for (size_t i = 0; i < t->count; i++) {
		uint32_t id = t->at[i] & ~TRACE_RAISE;

		if (t->at[i] & TRACE_RAISE) {
			drive_raise(tags, id);
			continue;
		}
		asked++;
		hits += drive_ask(m, tags, id, size);
	}
	memory_free(m);
	free(tags);
	return (double)hits / (double)asked;
}

static inline double
drive_lru(const struct trace *t, trace_size size, size_t cap_bytes)
{
	struct tag_table *tags = trace_alloc(1, sizeof(*tags));
	struct lru l = lru_new(t->objects, drive_room(cap_bytes), tags);
	size_t fixed = drive_bytes(0);
	size_t asked = 0;
	size_t hits = 0;

	for (size_t i = 0; i < t->count; i++) {
		uint32_t id = t->at[i] & ~TRACE_RAISE;

		if (t->at[i] & TRACE_RAISE) {
			drive_raise(tags, id);
			continue;
		}
		asked++;
		hits += lru_ask(&l, id, fixed + size(id));
	}
	free(l.nodes);
	free(tags);
	return (double)hits / (double)asked;
}

#endif
