/*
 * What shadow.c (what is noted, sampled and told) and shadow_models.c (what the
 * models do with it) share.  But for the list that is being filled, everything
 * is of the thread that runs the models.
 */
#ifndef CACHE_SHADOW_INNER_H
#define CACHE_SHADOW_INNER_H

#include <pthread.h>

#include "cache/shadow.h"

#define SHADOW_MODELS 9

struct event {
	uint64_t hash;
	int64_t now_ms;
	uint64_t number; /* of the tags, when it came about */
	bool hit; /* of a use: memory had it */
	/* Of a store; .slots NULL: a use. */
	uint16_t *slots;
	uint16_t slot_count;
	uint32_t life_ms;
	size_t bytes;
};

struct object;

/* Of an object in a model. */
struct place {
	struct object *newer;
	struct object *older;
	uint64_t loaded;
	int64_t expires_ms;
	bool in;
	bool visited;
};

struct object {
	struct object *chain;
	uint64_t hash;
	size_t bytes;
	uint32_t life_ms;
	uint16_t slot_count;
	uint16_t *slots;
	int models; /* that have it */
	struct place at[SHADOW_MODELS];
};

struct model {
	int index;
	bool lru;
	double size; /* of the memory that there is */
	double life;
	size_t cap_bytes;
	size_t bytes;
	size_t count;
	size_t ahead; /* objects newer than the hand's */
	struct object *newest;
	struct object *oldest;
	struct object *hand;
	double hits;
};

struct shadow {
	struct shadow_gate gate; /* first: see shadow_miss() */
	struct tag_table *tags;
	size_t all_bytes;
	size_t object_limit;
	size_t object_count;
	size_t bucket_count;
	struct object **buckets;
	struct model models[SHADOW_MODELS];
	double uses; /* of memory, of late */
	double hits;
	double expected; /* uses that a fair sample would have had */
	double sampled;
	uint64_t uses_before; /* as told when it was last run */
	uint64_t hits_before;
	int64_t decayed_ms;
	uint64_t dropped_before;
	uint64_t repeats_before;
	pthread_mutex_t door; /* of the list that is being filled */
	struct event *filling;
	struct event *emptying;
	size_t filled;
	_Atomic uint64_t dropped;
	pthread_mutex_t lock; /* of the counts, while they are read */
};

/* ---- shadow.c ---- */

/* The share of the keys that is sampled. */
double shadow_rate(const struct shadow *s);
bool shadow_samples(const struct shadow *s, uint64_t hash);
/* Fewer keys from now on: what the models have of the others goes. */
void shadow_shrink(struct shadow *s);

/* ---- shadow_models.c ---- */

void models_size(struct shadow *s);
/* What the sample has lost goes, and what is then too much. */
void models_fit(struct shadow *s);
void models_use(struct shadow *s, const struct event *e);
/* Takes E's slots. */
void models_store(struct shadow *s, struct event *e);
void models_free(struct shadow *s);

#endif
