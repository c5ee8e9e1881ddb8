/*
 * What other memory would have hit: small models of the memory level, fed with a
 * sample of the live traffic.
 *
 * Which keys are sampled their hash decides, so a sampled key is seen at every
 * use (spatially hashed sampling: Waldspurger et al., "Efficient MRC
 * Construction with SHARDS", FAST 2015), and a cache for a share R of the keys
 * behaves like one of 1/R times its size for all (miniature simulation:
 * Waldspurger et al., "Cache Modeling and Optimization using Miniature
 * Simulations", ATC 2017).  So the policy need not be LRU: the models run what
 * memory.c runs, at several sizes, and beside it LRU and other life times, with
 * the same invalidations.  A few keys are asked for much more often than others,
 * and are in the sample or not; but they do the same in every model.  What memory
 * itself hits is counted, so a model's ratio is that, and what it hits more or
 * less than the model of memory as it is (control variates: Hammersley and
 * Handscomb, "Monte Carlo Methods", 1964, chapter 5).
 *
 * The cost is bounded: a compare for each use of a key that is not in the
 * sample, and not much more for one that is used again within a short while; when
 * the objects or the uses become too many, the sample becomes smaller.
 */
#ifndef CACHE_SHADOW_H
#define CACHE_SHADOW_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/metrics.h"
#include "cache/entry.h"
#include "cache/tags.h"

#define SHADOW_SIZES 6
#define SHADOW_STRATEGIES 4

struct shadow;

/* CAP_BYTES is the memory level's; TAGS must outlive it.  OBJECTS bounds the
 * sample.  NULL without memory. */
struct shadow *shadow_new(size_t cap_bytes, size_t objects, struct tag_table *tags);
void shadow_free(struct shadow *s);

/* Its first member: a key whose hash, taken so, is not above .most is sampled. */
struct shadow_gate {
	_Atomic uint32_t most;
	_Atomic uint32_t whiles; /* goes on with every 64 uses that are noted */
	unsigned repeats; /* a cell of base/metrics.h */
};

/* Any thread; never blocks: what finds the door shut is left out, and counted. */
void shadow_note_use(struct shadow *s, uint64_t hash, bool hit, int64_t now_ms);

/* Any thread: the key of that hash (hash_table()) was asked for, and memory could
 * not give it. */
static inline void
shadow_miss(struct shadow *s, uint64_t hash, int64_t now_ms)
{
	const struct shadow_gate *g = (const struct shadow_gate *)(const void *)s;

	if ((uint32_t)(hash >> 16) <= atomic_load_explicit(&g->most, memory_order_relaxed))
		shadow_note_use(s, hash, false, now_ms);
}

/* Any thread: E was given from memory.  A second time and later within a short
 * while it is only counted, and all models are taken to have it. */
static inline void
shadow_hit(struct shadow *s, struct entry *e, int64_t now_ms)
{
	const struct shadow_gate *g = (const struct shadow_gate *)(const void *)s;
	uint32_t now;

	if ((uint32_t)(e->hash >> 16) > atomic_load_explicit(&g->most, memory_order_relaxed))
		return;
	now = atomic_load_explicit(&g->whiles, memory_order_relaxed);
	if (atomic_load_explicit(&e->noted, memory_order_relaxed) == now) {
		metrics_add(g->repeats, 1);
		return;
	}
	atomic_store_explicit(&e->noted, now, memory_order_relaxed);
	shadow_note_use(s, e->hash, true, now_ms);
}

/* Any thread but a reactor: an entry was stored that lives LIFE_MS. */
void shadow_stored(struct shadow *s, const struct entry *e, uint32_t life_ms, int64_t now_ms);

/* One thread, now and then: run the models up to now.  USES is how
 * often keys were asked for since the start, sampled or not, and HITS how often
 * memory gave them. */
void shadow_run(struct shadow *s, uint64_t uses, uint64_t hits);

struct shadow_result {
	double rate; /* share of the keys that is sampled */
	uint64_t samples; /* uses of sampled keys that were modelled, of late */
	uint64_t dropped;
	struct {
		double factor; /* of the memory that there is */
		double bytes;
		double hit_ratio;
	} sizes[SHADOW_SIZES];
	struct {
		const char *name;
		double hit_ratio;
	} strategies[SHADOW_STRATEGIES];
};

/* Any thread. */
void shadow_read(struct shadow *s, struct shadow_result *out);

#endif
