/*
 * An entry: a finished answer as it goes out, and what it depends on.  Made
 * once, never changed after, shared by reference count: whoever gets one from
 * a function that says so gives it back with entry_release().  The body stays
 * where it is while it is being sent.  Any thread.
 */
#ifndef CACHE_ENTRY_H
#define CACHE_ENTRY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/span.h"

/* A body is shorter than 100 MB. */
#define ENTRY_DIGITS 8

struct entry {
	/* Of the shard's table and eviction list; see memory.c. */
	struct entry *chain;
	struct entry *newer;
	struct entry *older;
	uint64_t hash;

	_Atomic uint32_t refs;
	_Atomic bool visited;
	bool gzip; /* the body is compressed */
	bool absent; /* it says that there is nothing */
	uint8_t policy; /* index into the cache's policies */
	uint16_t slot_count;
	uint16_t key_len;
	uint8_t etag_len;
	uint8_t digit_count;
	char digits[ENTRY_DIGITS]; /* of body_len, as text */
	uint32_t body_len;
	_Atomic uint32_t reads; /* of this key, as long as it is in memory; about */
	uint32_t loads; /* likewise, by the loader */
	/* What they were, and what they have weighed, when memory_age() last came. */
	_Atomic uint32_t reads_aged;
	_Atomic uint32_t loads_aged;
	_Atomic uint32_t reads_weight;
	_Atomic uint32_t loads_weight;
	_Atomic uint32_t noted; /* by shadow.h */
	_Atomic uint32_t refresh; /* ms behind made_ms: not refreshed again before */
	uint64_t loaded; /* the number that was current before its load */
	int64_t made_ms; /* monotonic */
	int64_t expires_ms; /* monotonic: the end of its life */
	int64_t gone_ms; /* monotonic: not even as stale any more */
	/* As it is known in Redis; epoch 0: it is not. */
	uint64_t epoch;
	uint64_t number;
	uint16_t slots[]; /* then key, etag, body */
};

struct entry_parts {
	struct span key;
	struct span etag;
	struct span body;
	bool gzip;
	const uint16_t *slots;
	size_t slot_count;
	uint8_t policy;
	uint64_t loaded;
	int64_t made_ms;
	int64_t expires_ms;
	int64_t keep_ms; /* behind its life */
	bool absent;
	bool was_loaded; /* by the loader: not taken from Redis */
	uint64_t epoch;
	uint64_t number;
};

/* One malloc, one reference; NULL without memory, or if a part is too long. */
struct entry *entry_make(const struct entry_parts *parts);
struct entry *entry_hold(struct entry *e);
void entry_release(struct entry *e);

/* It was given once more.  Two threads at once may count one. */
static inline void
entry_count_read(struct entry *e)
{
#ifdef METRICS_OFF /* see metrics.h */
	(void)e;
	return;
#endif
	atomic_store_explicit(&e->reads, atomic_load_explicit(&e->reads, memory_order_relaxed) + 1,
	    memory_order_relaxed);
}

/* Of late: half as much for each memory_age() that has come by since. */
uint32_t entry_recent_reads(const struct entry *e);
uint32_t entry_recent_loads(const struct entry *e);

struct span entry_key(const struct entry *e);
struct span entry_etag(const struct entry *e);
struct span entry_body(const struct entry *e);
/* The length of the body in decimal digits. */
struct span entry_digits(const struct entry *e);
/* All of its memory. */
size_t entry_bytes(const struct entry *e);

#endif
