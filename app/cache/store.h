/*
 * What a flight brings home, and its storing: in Redis, unless a change has come
 * in between, and in memory.  Like fly.c, on the flight's worker.
 */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include "cache/inner.h"

/* What one flight brings home. */
struct haul {
	enum status status;
	struct entry *entry; /* may be an absence, with NOT_FOUND */
	enum cache_how how;
	int64_t redis_us;
	int64_t load_us;
	uint64_t loaded;
	uint32_t verified; /* strict: the step that it was good after */
	bool kept; /* it is in memory already */
	struct remote_token token;
	bool storing; /* it is still to be stored in Redis, or on its way there */
	struct remote_sent sent;
};

/* The life of a policy's entries, in ms; of an absence: of them all. */
int64_t store_life(struct cache *c, int policy, bool absent);

/* In memory now; in Redis it is on its way where H->storing says so afterwards,
 * and store_end() is to follow the landing. */
void store_haul(struct cache *c, struct flight *f, struct haul *h);
/* Did Redis take it? */
bool store_end(struct cache *c, const struct flight *f, struct haul *h);

#endif
