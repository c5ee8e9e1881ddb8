/*
 * The memory level: a sharded table of entries, bounded in bytes, with SIEVE
 * eviction (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024, section 3),
 * but for one change that memory.c tells.
 * A hit shares one short lock with other hits, sets one bit, and copies nothing.
 *
 * An entry is given only until it is gone and while its tags are good; one that
 * is not stays where it is, unseen, until it is stored anew or evicted.  Whether
 * its life has ended is for the caller to look at.  All functions: any thread,
 * never block beyond a shard's lock.  NOW is monotonic milliseconds.
 */
#ifndef CACHE_MEMORY_H
#define CACHE_MEMORY_H

#include "cache/entry.h"
#include "cache/tags.h"

struct memory;

/* TAGS must outlive it.  SHARDS is a power of two, and the most that there will
 * be: a shard has 4 MB or more, a small cache fewer shards.  CAP_BYTES bounds
 * what the entries take of the heap, its headers and rounding and the table
 * included.  NULL without memory. */
struct memory *memory_new(size_t cap_bytes, size_t shards, struct tag_table *tags);
/* Entries that are still held elsewhere live on until released. */
void memory_free(struct memory *m);

/* A reference for the caller, or NULL: a miss. */
struct entry *memory_get(struct memory *m, struct span key, int64_t now_ms);
/* Takes its own reference.  What replaces another of its key keeps its place in
 * the order of eviction.  False: refused, because a tag of it was raised
 * after its load began, or it is larger than a shard may hold. */
bool memory_put(struct memory *m, struct entry *e);
/* Is it so small that a shard may hold it? */
bool memory_fits(const struct memory *m, const struct entry *e);
void memory_clear(struct memory *m);

/* What an entry takes of the heap, with a header and rounding, as in glibc. */
size_t memory_cost(const struct entry *e);

struct memory_stats {
	uint64_t entries; /* those that may not be given any more among them */
	uint64_t bytes; /* of the heap, for the entries */
	uint64_t cap_bytes;
	uint64_t table_bytes; /* of the bound, besides */
	uint64_t evictions; /* of entries with good tags, within their life */
	uint64_t expiries; /* stored anew or evicted after their life had ended */
	uint64_t dropped; /* with a raised tag when stored anew or evicted */
};

void memory_read_stats(struct memory *m, struct memory_stats *out);

/* Policies beyond are counted with those modulo this. */
#define MEMORY_POLICIES 64

/* The same of the entries of one policy, and how it is called outside: in JSON,
 * and as a family of Prometheus with its type and help. */
#define MEMORY_COUNTERS(X) \
	X(evictions, "evictions", "pupitre_cache_evictions_total", "counter", \
	    "Good entries that had to make room.") \
	X(expiries, "expiries", "pupitre_cache_expiries_total", "counter", \
	    "Entries whose life had ended when they were stored anew.") \
	X(dropped, "invalidated", "pupitre_cache_invalidated_total", "counter", \
	    "Entries that a change had made bad when they were stored anew or made room.") \
	X(entries, "entries", "pupitre_cache_entries", "gauge", "Entries in memory.") \
	X(bytes, "bytes", "pupitre_cache_bytes", "gauge", "Memory that they take.")

struct memory_use {
#define X(name, ...) uint64_t name;
	MEMORY_COUNTERS(X)
#undef X
};

void memory_read_use(struct memory *m, struct memory_use out[MEMORY_POLICIES]);
/* Call SEE for every entry that could be given now as fresh.  A shard's lock is held for
 * some hundreds at a time: SEE must be short and must not call back.  What is
 * there all the while is seen once; what comes or goes meanwhile, perhaps. */
void memory_walk(
    struct memory *m, int64_t now_ms, void (*see)(void *ctx, const struct entry *e), void *ctx);
/* Likewise, and for those past their life that may still be given. */
void memory_walk_kept(
    struct memory *m, int64_t now_ms, void (*see)(void *ctx, const struct entry *e), void *ctx);
/* For every entry that there is, even if it may not be given any more. */
void memory_walk_all(struct memory *m, void (*see)(void *ctx, const struct entry *e), void *ctx);
/* What the keys were read and loaded before weighs half of what it did: see
 * entry_recent_reads().  One thread, now and then. */
void memory_age(struct memory *m);
/* The entry of KEY if it could be given now as fresh, without counting as a look-up; a
 * reference for the caller. */
struct entry *memory_find(struct memory *m, struct span key, int64_t now_ms);
/* Would memory_walk_kept() see that key? */
bool memory_keeps(struct memory *m, struct span key, int64_t now_ms);

#endif
