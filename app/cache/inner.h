/*
 * What cache.c (asking, raising, listening) and fly.c (the flight) share.
 */
#ifndef CACHE_INNER_H
#define CACHE_INNER_H

#include <pthread.h>

#include "cache/cache.h"
#include "cache/flight.h"
#include "cache/rule.h"

/* Transactions that were raised of late, each at its number modulo this. */
#define RAISED_IDS 4096

/* One of each for every policy. */
#define CACHE_COUNTERS(X) \
	X(memory_hits) \
	X(redis_hits) \
	X(loads) \
	X(collapsed) \
	X(not_found) \
	X(failures) \
	X(stored) \
	X(refused) \
	X(busy) \
	X(grace) \
	X(stale) \
	X(refreshes) \
	X(absent_hits)

struct counters {
#define X(name) _Atomic uint64_t name;
	CACHE_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

/* How many keys a life time may still bring into Redis. */
struct quota {
	_Atomic int64_t since_ms;
	_Atomic int64_t used;
};

struct cache {
	struct cache_config config;
	struct tag_table *tags;
	struct memory *memory;
	struct flights *flights;
	_Atomic int64_t ttl_ms[TTL_CLASSES];
	_Atomic int64_t grace_ms;
	_Atomic int64_t stale_ms;
	_Atomic uint64_t raises;
	_Atomic int64_t heard_at_ms; /* 0: never */
	_Atomic bool down;
	_Atomic uint64_t lost;
	_Atomic uint64_t raised_ids[RAISED_IDS];
	pthread_mutex_t lock; /* of the bookmark */
	char bookmark[REMOTE_BOOKMARK_BYTES];
	struct quota quota;
	struct counters counters[CACHE_MAX_POLICIES];
};

#define CACHE_COUNT(c, policy, what) \
	atomic_fetch_add_explicit(&(c)->counters[policy].what, 1, memory_order_relaxed)

/* Has all been heard that was committed of late? */
bool cache_trusts(struct cache *c);
/* An entry of memory with good tags, as far as this process knows. */
struct entry *cache_peek(struct cache *c, struct span key);

/* Have a flight that was just made run, or refuse it.  Any thread; does not
 * block. */
void flight_launch(struct cache *c, struct flight *f);

#endif
