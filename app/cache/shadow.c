/*
 * What is noted, how much of it, and what comes of it; the models are in
 * shadow_models.c.  Uses and stores are put into one of two lists under a short
 * lock; shadow_run() takes the full one away and gives the other back empty.
 */
#include "cache/shadow.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cache/memory.h"
#include "cache/shadow_inner.h"

#define EVENTS 16384
#define EVENTS_LIMIT 4000 /* more in one run, and the sample shrinks, */
#define SHRINK 4 /* to four fifths at a time */
/* Uses that are noted between two of one key: nearer together than that, and the
 * smallest model that is worth its name has it still. */
#define SHORT_WHILE 64
#define DECAY_MS 60000
#define DECAY 0.93

enum { OF_NOW = 2, LRU = 6, LONGER = 7, SHORTER = 8 };

/* ---- making ---- */

double
shadow_rate(const struct shadow *s)
{
	return ((double)atomic_load(&s->gate.most) + 1) / 4294967296.0;
}

static void
make_models(struct shadow *s)
{
	static const double sizes[SHADOW_SIZES] = { 0.25, 0.5, 1, 2, 4, 8 };

	for (int i = 0; i < SHADOW_MODELS; i++)
		s->models[i] = (struct model){ .index = i,
			.lru = i == LRU,
			.size = i < SHADOW_SIZES ? sizes[i] : 1,
			.life = i == LONGER ? 2
			    : i == SHORTER  ? 0.5
					    : 1 };
	models_size(s);
}

struct shadow *
shadow_new(size_t cap_bytes, size_t objects, struct tag_table *tags)
{
	struct shadow *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_store(&s->gate.most, UINT32_MAX);
	atomic_store(&s->gate.whiles, 1);
	s->gate.repeats = metrics_reserve(1);
	s->tags = tags;
	s->all_bytes = cap_bytes;
	s->object_limit = objects;
	for (s->bucket_count = 64; s->bucket_count < objects;)
		s->bucket_count *= 2;
	s->buckets = calloc(s->bucket_count, sizeof(struct object *));
	s->filling = calloc(EVENTS, sizeof(s->filling[0]));
	s->emptying = calloc(EVENTS, sizeof(s->emptying[0]));
	s->decayed_ms = clock_ms();
	pthread_mutex_init(&s->door, NULL);
	pthread_mutex_init(&s->lock, NULL);
	make_models(s);
	if (s->buckets && s->filling && s->emptying)
		return s;
	shadow_free(s);
	return NULL;
}

void
shadow_free(struct shadow *s)
{
	if (!s)
		return;
	models_free(s);
	for (size_t i = 0; i < s->filled; i++)
		free(s->filling[i].slots);
	metrics_release(s->gate.repeats, 1);
	free(s->buckets);
	free(s->filling);
	free(s->emptying);
	pthread_mutex_destroy(&s->door);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- events ---- */

/* With the door. */
static bool
put_event(struct shadow *s, const struct event *e)
{
	bool fits = s->filled < EVENTS;

	if (fits)
		s->filling[s->filled++] = *e;
	/* A full list takes nothing, so a hit must not pass for a repetition of
	 * one that it took while misses are left out. */
	if (!fits || s->filled % SHORT_WHILE == 0)
		atomic_fetch_add_explicit(&s->gate.whiles, 1, memory_order_relaxed);
	return fits;
}

void
shadow_note_use(struct shadow *s, uint64_t hash, bool hit, int64_t now_ms)
{
	struct event e = { .hash = hash, .now_ms = now_ms, .hit = hit };
	bool noted = false;

	if (pthread_mutex_trylock(&s->door) == 0) {
		e.number = tags_now(s->tags);
		noted = put_event(s, &e);
		pthread_mutex_unlock(&s->door);
	}
	if (!noted)
		atomic_fetch_add_explicit(&s->dropped, 1, memory_order_relaxed);
}

bool
shadow_samples(const struct shadow *s, uint64_t hash)
{
	return (uint32_t)(hash >> 16) <= atomic_load(&s->gate.most);
}

void
shadow_stored(struct shadow *s, const struct entry *e, uint32_t life_ms, int64_t now_ms)
{
	struct event event = { .hash = e->hash,
		.now_ms = now_ms,
		.number = e->loaded,
		.slot_count = e->slot_count,
		.life_ms = life_ms,
		.bytes = memory_cost(e) };

	if (!shadow_samples(s, e->hash) || e->slot_count == 0)
		return;
	event.slots = malloc(e->slot_count * sizeof(event.slots[0]));
	if (!event.slots)
		return;
	memcpy(event.slots, e->slots, e->slot_count * sizeof(event.slots[0]));
	pthread_mutex_lock(&s->door);
	if (put_event(s, &event))
		event.slots = NULL;
	pthread_mutex_unlock(&s->door);
	free(event.slots);
}

static size_t
take_events(struct shadow *s)
{
	struct event *full;
	size_t count;

	pthread_mutex_lock(&s->door);
	full = s->filling;
	count = s->filled;
	s->filling = s->emptying;
	s->filled = 0;
	pthread_mutex_unlock(&s->door);
	s->emptying = full;
	return count;
}

/* ---- running ---- */

static void
scale_counts(struct shadow *s, double by)
{
	s->expected *= by;
	s->sampled *= by;
	for (int i = 0; i < SHADOW_MODELS; i++)
		s->models[i].hits *= by;
}

/* What was counted with a larger sample must not weigh more. */
void
shadow_shrink(struct shadow *s)
{
	double before = shadow_rate(s);

	atomic_store(&s->gate.most, atomic_load(&s->gate.most) / (SHRINK + 1) * SHRINK);
	scale_counts(s, shadow_rate(s) / before);
	models_fit(s);
}

static void
decay(struct shadow *s)
{
	int64_t now_ms = clock_ms();

	if (now_ms - s->decayed_ms < DECAY_MS)
		return;
	s->decayed_ms = now_ms;
	scale_counts(s, DECAY);
	s->uses *= DECAY;
	s->hits *= DECAY;
}

/* What memory itself has done, all of it, and the part that a fair sample has. */
static void
count_real(struct shadow *s, uint64_t uses, uint64_t hits, uint64_t dropped)
{
	double more = (double)(uses - s->uses_before);

	s->uses += more;
	s->hits += (double)(hits - s->hits_before);
	s->expected += more * shadow_rate(s) - (double)(dropped - s->dropped_before);
	s->uses_before = uses;
	s->hits_before = hits;
	s->dropped_before = dropped;
}

static void
count_repeats(struct shadow *s, double repeats)
{
	s->sampled += repeats;
	for (int i = 0; i < SHADOW_MODELS; i++)
		s->models[i].hits += repeats;
}

void
shadow_run(struct shadow *s, uint64_t uses, uint64_t hits)
{
	uint64_t dropped = atomic_load(&s->dropped);
	uint64_t repeats = metrics_sum(s->gate.repeats);
	size_t count = take_events(s);
	uint64_t noted = count + dropped - s->dropped_before;

	pthread_mutex_lock(&s->lock);
	decay(s);
	count_real(s, uses, hits, dropped);
	count_repeats(s, (double)(repeats - s->repeats_before));
	s->repeats_before = repeats;
	for (size_t i = 0; i < count; i++) {
		struct event *e = &s->emptying[i];

		if (e->slots) {
			models_store(s, e);
		} else if (shadow_samples(s, e->hash)) { /* still */
			s->sampled++;
			models_use(s, e);
		}
	}
	for (; noted > EVENTS_LIMIT; noted = noted * SHRINK / (SHRINK + 1))
		shadow_shrink(s);
	pthread_mutex_unlock(&s->lock);
}

/* ---- results ---- */

/* Of memory as it is everything is known, and the model of it errs as the others
 * do: so only the difference is taken from the sample. */
static double
ratio(const struct shadow *s, const struct model *m)
{
	double known = s->uses > 0 ? s->hits / s->uses : 0;
	double more = s->expected > 0 ? (m->hits - s->models[OF_NOW].hits) / s->expected : 0;

	return fmin(1, fmax(0, known + more));
}

void
shadow_read(struct shadow *s, struct shadow_result *out)
{
	static const struct {
		const char *name;
		int model;
	} strategies[SHADOW_STRATEGIES] = { { "sieve", OF_NOW }, { "lru", LRU },
		{ "ttl*2", LONGER }, { "ttl/2", SHORTER } };

	pthread_mutex_lock(&s->lock);
	out->rate = shadow_rate(s);
	out->samples = (uint64_t)s->sampled;
	out->dropped = s->dropped_before;
	for (int i = 0; i < SHADOW_SIZES; i++) {
		out->sizes[i].factor = s->models[i].size;
		out->sizes[i].bytes = s->models[i].size * (double)s->all_bytes;
		out->sizes[i].hit_ratio = ratio(s, &s->models[i]);
	}
	for (int i = 0; i < SHADOW_STRATEGIES; i++) {
		out->strategies[i].name = strategies[i].name;
		out->strategies[i].hit_ratio = ratio(s, &s->models[strategies[i].model]);
	}
	pthread_mutex_unlock(&s->lock);
}
