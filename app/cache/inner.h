/*
 * What cache.c (asking), fly.c (the flight), store.c (its storing) and raise.c
 * (raising, listening) share.
 */
#ifndef CACHE_INNER_H
#define CACHE_INNER_H

#include <pthread.h>

#include "base/metrics.h"
#include "cache/cache.h"
#include "cache/flight.h"
#include "cache/rule.h"

/* Transactions of late that something is known of. */
#define RAISED_IDS 4096

/* The cells of one policy, see base/metrics.h. */
enum {
#define X(name, ...) COUNT_##name,
	CACHE_COUNTERS(X)
#undef X
	    COUNT_TIMES,
	TIME_REDIS = COUNT_TIMES,
	TIME_LOAD = TIME_REDIS + METRICS_HISTOGRAM,
	POLICY_CELLS = TIME_LOAD + METRICS_HISTOGRAM
};

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
	struct shadow *shadow; /* NULL: none */
	_Atomic int64_t ttl_ms[TTL_CLASSES];
	_Atomic uint32_t stretch[CACHE_MAX_POLICIES]; /* in percent; 0: 100 */
	_Atomic int64_t grace_ms;
	_Atomic int64_t stale_ms;
	_Atomic int64_t heard_at_ms; /* 0: never */
	_Atomic bool down;
	_Atomic uint64_t lost;
	_Atomic bool recalled; /* somebody before us had heard */
	/* Of a transaction, at its number modulo RAISED_IDS: */
	_Atomic uint64_t raised_ids[RAISED_IDS]; /* raised in both levels */
	_Atomic uint64_t counted_ids[RAISED_IDS];
	_Atomic uint64_t cause_ids[RAISED_IDS]; /* with its cause, see raise.c */
	pthread_mutex_t lock; /* of the bookmark */
	char bookmark[REMOTE_BOOKMARK_BYTES];
	struct quota quota;
	unsigned cells; /* POLICY_CELLS for each policy */
	unsigned causes; /* one for each */
};

static inline unsigned
cache_cells(const struct cache *c, int policy)
{
	return c->cells + (unsigned)policy * POLICY_CELLS;
}

#define CACHE_COUNT(c, policy, what) metrics_add(cache_cells(c, policy) + COUNT_##what, 1)

/* Has all been heard that was committed of late? */
bool cache_trusts(struct cache *c);
/* An entry of memory with good tags, as far as this process knows. */
struct entry *cache_peek(struct cache *c, struct span key);

/* Have a flight that was just made run, or refuse it.  Any thread; does not
 * block. */
void flight_launch(struct cache *c, struct flight *f);

#endif
