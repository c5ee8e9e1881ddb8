/*
 * What memory.c (giving and storing) and memory_look.c (looking at all of it)
 * share.
 */
#ifndef CACHE_MEMORY_INNER_H
#define CACHE_MEMORY_INNER_H

#include <pthread.h>

#include "base/hash.h"
#include "cache/memory.h"

/* The lock is alone in its cache line: every look-up writes there, and what is
 * read next would go with it to the other cores. */
struct shard {
	pthread_rwlock_t lock;
	struct entry **buckets __attribute__((aligned(64)));
	size_t bucket_count;
	struct entry *newest;
	struct entry *oldest;
	struct entry *hand;
	size_t ahead; /* entries newer than what the hand is at */
	struct memory_stats stats;
	struct memory_use use[MEMORY_POLICIES];
} __attribute__((aligned(64)));

struct memory {
	struct tag_table *tags;
	size_t shard_count;
	struct shard *shards;
};

/* The low bits choose the bucket, the high ones the shard. */
static inline struct shard *
shard_of(struct memory *m, uint64_t hash)
{
	return &m->shards[(hash >> 48) & (m->shard_count - 1)];
}

static inline size_t
table_bytes(const struct shard *s)
{
	return s->bucket_count * sizeof(s->buckets[0]);
}

static inline struct entry **
place_of(struct shard *s, uint64_t hash, struct span key)
{
	struct entry **at = &s->buckets[hash & (s->bucket_count - 1)];

	while (*at && ((*at)->hash != hash || !span_equal(entry_key(*at), key)))
		at = &(*at)->chain;
	return at;
}

static inline bool
is_good(struct memory *m, const struct entry *e)
{
	return tags_good(m->tags, e->slots, e->slot_count, e->loaded);
}

#endif
