/*
 * Traces of requests, the same at every run, and an exact LRU to compare with.
 * Included by the bench of the memory level and by its unit test.  One thread.
 */
#ifndef BENCH_MEMORY_TRACE_H
#define BENCH_MEMORY_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "cache/tags.h"

/* A request for an object, or (with this bit) a write that invalidates it. */
#define TRACE_RAISE 0x80000000u

struct trace {
	uint32_t *at;
	size_t count;
	uint32_t objects; /* all are below this */
};

/* splitmix64 */
static inline uint64_t
trace_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline double
trace_fraction(uint64_t *seed)
{
	return (double)(trace_random(seed) >> 11) * 0x1.0p-53;
}

static inline void *
trace_alloc(size_t count, size_t size)
{
	void *at = calloc(count, size);

	if (!at)
		abort();
	return at;
}

/* x^n */
static inline double
trace_power(double x, unsigned n)
{
	double all = 1;

	for (unsigned i = 0; i < n; i++)
		all *= x;
	return all;
}

/* ---- Zipf: object k is asked for with a weight of 1 / (k + 1)^(tenths / 10) ---- */

struct zipf {
	double *upto; /* weight of this object and all before it */
	uint32_t objects;
};

static inline struct zipf
zipf_new(uint32_t objects, unsigned tenths)
{
	struct zipf z = { trace_alloc(objects, sizeof(double)), objects };
	double root = 1; /* the tenth of k + 1, by Newton: no libm */
	double sum = 0;

	for (uint32_t k = 0; k < objects; k++) {
		for (int i = 0; i < 6; i++)
			root += ((k + 1) / trace_power(root, 9) - root) / 10;
		sum += 1 / trace_power(root, tenths);
		z.upto[k] = sum;
	}
	return z;
}

static inline uint32_t
zipf_draw(const struct zipf *z, uint64_t *seed)
{
	double weight = trace_fraction(seed) * z->upto[z->objects - 1];
	uint32_t low = 0;
	uint32_t high = z->objects - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (z->upto[middle] < weight)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline struct trace
trace_new(size_t count, uint32_t objects)
{
	return (struct trace){ trace_alloc(count, sizeof(uint32_t)), count, objects };
}

static inline struct trace
trace_zipf(size_t count, uint32_t objects, unsigned tenths)
{
	struct trace t = trace_new(count, objects);
	struct zipf z = zipf_new(objects, tenths);
	uint64_t seed = 1;

	for (size_t i = 0; i < count; i++)
		t.at[i] = zipf_draw(&z, &seed);
	free(z.upto);
	return t;
}

/* One request in EVERY is for an object that is never asked for again. */
static inline struct trace
trace_with_once(size_t count, uint32_t objects, unsigned tenths, size_t every)
{
	struct trace t = trace_zipf(count, objects, tenths);

	for (size_t i = 0; i < count; i += every)
		t.at[i] = t.objects++;
	return t;
}

/* Of each PERIOD requests, LENGTH together read on, in order, through as many
 * other objects as there are, round and round. */
static inline struct trace
trace_with_scans(size_t count, uint32_t objects, unsigned tenths, size_t period, size_t length)
{
	struct trace t = trace_zipf(count, objects, tenths);
	uint32_t next = 0;

	for (size_t i = 0; i < count; i++) {
		if (i % period >= period - length)
			t.at[i] = objects + next++ % objects;
	}
	t.objects = 2 * objects;
	return t;
}

static inline struct trace
trace_loop(size_t count, uint32_t objects)
{
	struct trace t = trace_new(count, objects);

	for (size_t i = 0; i < count; i++)
		t.at[i] = (uint32_t)(i % objects);
	return t;
}

/* After each PERIOD requests the popularity of every object goes to the one
 * that is STEP further. */
static inline struct trace
trace_moving(size_t count, uint32_t objects, unsigned tenths, size_t period, uint32_t step)
{
	struct trace t = trace_zipf(count, objects, tenths);

	for (size_t i = 0; i < count; i++)
		t.at[i] = (uint32_t)((t.at[i] + i / period * step) % objects);
	return t;
}

/* One in EVERY is a write to the object that would have been asked for. */
static inline struct trace
trace_with_writes(size_t count, uint32_t objects, unsigned tenths, size_t every)
{
	struct trace t = trace_zipf(count, objects, tenths);
	uint64_t seed = 2;

	for (size_t i = 0; i < count; i++) {
		if (trace_random(&seed) % every == 0)
			t.at[i] |= TRACE_RAISE;
	}
	return t;
}

/* How many different objects are asked for. */
static inline uint32_t
trace_footprint(const struct trace *t)
{
	bool *seen = trace_alloc(t->objects, sizeof(bool));
	uint32_t count = 0;

	for (size_t i = 0; i < t->count; i++) {
		uint32_t id = t->at[i] & ~TRACE_RAISE;

		count += !seen[id];
		seen[id] = true;
	}
	free(seen);
	return count;
}

static inline uint16_t
trace_slot(uint32_t id)
{
	return (uint16_t)(id % TAG_SLOTS);
}

/* ---- LRU, exact, bounded in bytes like the memory level ---- */

#define LRU_NONE UINT32_MAX

struct lru_node {
	uint32_t newer, older;
	bool in;
	uint64_t loaded;
	size_t bytes;
};

struct lru {
	struct lru_node *nodes; /* by object */
	uint32_t newest, oldest;
	size_t bytes, cap_bytes;
	struct tag_table *tags;
};

static inline struct lru
lru_new(uint32_t objects, size_t cap_bytes, struct tag_table *tags)
{
	struct lru_node *nodes = trace_alloc(objects, sizeof(*nodes));

	return (struct lru){ nodes, LRU_NONE, LRU_NONE, 0, cap_bytes, tags };
}

static inline void
lru_out(struct lru *l, uint32_t id)
{
	struct lru_node *n = &l->nodes[id];

	if (n->newer != LRU_NONE)
		l->nodes[n->newer].older = n->older;
	else
		l->newest = n->older;
	if (n->older != LRU_NONE)
		l->nodes[n->older].newer = n->newer;
	else
		l->oldest = n->newer;
	n->in = false;
	l->bytes -= n->bytes;
}

static inline void
lru_in(struct lru *l, uint32_t id, size_t bytes)
{
	struct lru_node *n = &l->nodes[id];

	while (l->oldest != LRU_NONE && l->bytes + bytes > l->cap_bytes)
		lru_out(l, l->oldest);
	n->older = l->newest;
	n->newer = LRU_NONE;
	if (l->newest != LRU_NONE)
		l->nodes[l->newest].newer = id;
	else
		l->oldest = id;
	l->newest = id;
	n->in = true;
	n->bytes = bytes;
	l->bytes += bytes;
}

/* A hit?  If not it is loaded and kept. */
static inline bool
lru_ask(struct lru *l, uint32_t id, size_t bytes)
{
	struct lru_node *n = &l->nodes[id];
	uint16_t slot = trace_slot(id);
	bool hit = n->in && tags_good(l->tags, &slot, 1, n->loaded);

	if (n->in)
		lru_out(l, id);
	if (!hit)
		n->loaded = tags_now(l->tags);
	if (bytes <= l->cap_bytes / 2)
		lru_in(l, id, bytes);
	return hit;
}

#endif
