/*
 * Flights: at most one load per key at a time.  Who asks for a key in the air
 * is put on its list and holds no thread.  Any thread; short locks.
 */
#ifndef CACHE_FLIGHT_H
#define CACHE_FLIGHT_H

#include "cache/cache.h"

struct flights;

struct flight {
	struct job job; /* runs it on a worker */
	struct cache *cache;
	struct flight *chain;
	uint64_t hash;
	struct span key; /* points into itself */
	int policy;
	bool refresh; /* nobody waits for it */
	bool ahead; /* see struct question */
	uint32_t step; /* under the list's lock */
	enum status (*load)(void *ctx, const void *args, struct loaded *out);
	const void *args; /* likewise */
	struct waiter *waiters;
	struct remote_sent asked; /* of Redis, when it was made */
	uint64_t began; /* the number that was current before that */
};

struct flights *flights_new(void);
/* None may be in the air. */
void flights_free(struct flights *all);

enum flight_join { FLIGHT_JOINED, FLIGHT_MADE, FLIGHT_HIT, FLIGHT_NO_MEMORY };

/*
 * Put W on the flight of Q's key, or make one with W on it (*made; the caller
 * must then have it run and land).  Before making one, PEEK is asked once
 * more under the lock: a flight that landed since the caller's own look has
 * left its entry there (*hit).
 */
enum flight_join flight_join(struct flights *all, const struct question *q, struct waiter *w,
    struct entry *(*peek)(void *ctx, struct span key), void *ctx, struct flight **made,
    struct entry **hit);

/* As above for a flight that nobody waits for: FLIGHT_MADE, or FLIGHT_JOINED
 * when the key is in the air already. */
enum flight_join flight_join_unseen(
    struct flights *all, const struct question *q, struct flight **made);

/* Who joins from now on was not there before; returns the new step. */
uint32_t flight_step(struct flights *all, struct flight *f);

/* Take F off the table: from now on a new question makes a new flight.
 * Returns the list of waiters. */
struct waiter *flight_land(struct flights *all, struct flight *f);
void flight_free(struct flight *f);

/* In the air now. */
size_t flights_count(struct flights *all);

#endif
