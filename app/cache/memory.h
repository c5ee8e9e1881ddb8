/*
 * The memory level: a sharded table of entries, bounded in bytes, with SIEVE
 * eviction (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024, section 3).
 * A hit takes one short lock, sets one bit, and copies nothing.
 *
 * An entry is given only until it is gone and while its tags are good; one that
 * is not is dropped on sight.  Whether its life has ended is for the caller to
 * look at.  All functions: any thread, never block
 * beyond a shard's lock.  NOW is monotonic milliseconds.
 */
#ifndef CACHE_MEMORY_H
#define CACHE_MEMORY_H

#include "cache/entry.h"
#include "cache/tags.h"

struct memory;

/* TAGS must outlive it.  SHARDS is a power of two.  NULL without memory. */
struct memory *memory_new(size_t cap_bytes, size_t shards, struct tag_table *tags);
/* Entries that are still held elsewhere live on until released. */
void memory_free(struct memory *m);

/* A reference for the caller, or NULL: a miss. */
struct entry *memory_get(struct memory *m, struct span key, int64_t now_ms);
/* Takes its own reference.  False: refused, because a tag of it was raised
 * after its load began, or it is larger than a shard may hold. */
bool memory_put(struct memory *m, struct entry *e);
void memory_clear(struct memory *m);

struct memory_stats {
	uint64_t entries;
	uint64_t bytes;
	uint64_t cap_bytes;
	uint64_t evictions;
	uint64_t expiries;
	uint64_t dropped; /* found with a raised tag */
};

void memory_read_stats(struct memory *m, struct memory_stats *out);
/* Call SEE for every entry that could be given now, one shard's lock held:
 * SEE must be short and must not call back. */
void memory_walk(
    struct memory *m, int64_t now_ms, void (*see)(void *ctx, const struct entry *e), void *ctx);

#endif
