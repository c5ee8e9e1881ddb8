/*
 * A model keeps of each sampled object what memory.c would keep of an entry; the
 * objects themselves, with size, life and slots, are shared by all models.
 * Uses and stores are put into one of two lists under a short lock; shadow_run()
 * takes the full one away and gives the other back empty.
 */
#include "cache/shadow.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cache/memory.h"

#define EVENTS 16384
#define EVENTS_LIMIT 4000 /* more in one run, and the sample shrinks */
#define MODELS 9
#define YOUNG 4 /* as in memory.c */
#define MAX_STEPS 200
#define DECAY_MS 60000
#define DECAY 0.93

enum { OF_NOW = 2, LRU = 6, LONGER = 7, SHORTER = 8 };

struct event {
	uint64_t hash;
	int64_t now_ms;
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
	struct place at[MODELS];
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
	struct shadow_gate gate; /* first: see shadow_use() */
	struct tag_table *tags;
	size_t all_bytes;
	size_t object_limit;
	size_t object_count;
	size_t bucket_count;
	struct object **buckets;
	struct model models[MODELS];
	uint64_t uses; /* when it was last run */
	double expected; /* uses that a fair sample would have had */
	double sampled;
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

/* ---- making ---- */

static double
rate_of(const struct shadow *s)
{
	return ((double)atomic_load(&s->gate.most) + 1) / 4294967296.0;
}

static void
size_models(struct shadow *s)
{
	for (int i = 0; i < MODELS; i++)
		s->models[i].cap_bytes =
		    (size_t)(s->models[i].size * (double)s->all_bytes * rate_of(s));
}

static void
make_models(struct shadow *s)
{
	static const double sizes[SHADOW_SIZES] = { 0.25, 0.5, 1, 2, 4, 8 };

	for (int i = 0; i < MODELS; i++)
		s->models[i] = (struct model){ .index = i,
			.lru = i == LRU,
			.size = i < SHADOW_SIZES ? sizes[i] : 1,
			.life = i == LONGER ? 2
			    : i == SHORTER  ? 0.5
					    : 1 };
	size_models(s);
}

struct shadow *
shadow_new(size_t cap_bytes, size_t objects, struct tag_table *tags)
{
	struct shadow *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_store(&s->gate.most, UINT32_MAX);
	atomic_store(&s->gate.run, 1);
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

static void
object_free(struct object *o)
{
	free(o->slots);
	free(o);
}

void
shadow_free(struct shadow *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->buckets && i < s->bucket_count; i++) {
		while (s->buckets[i]) {
			struct object *o = s->buckets[i];

			s->buckets[i] = o->chain;
			object_free(o);
		}
	}
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

void
shadow_note_use(struct shadow *s, uint64_t hash, int64_t now_ms)
{
	bool noted = false;

	if (pthread_mutex_trylock(&s->door) == 0) {
		noted = s->filled < EVENTS;
		if (noted)
			s->filling[s->filled++] = (struct event){ .hash = hash, .now_ms = now_ms };
		pthread_mutex_unlock(&s->door);
	}
	if (!noted)
		atomic_fetch_add_explicit(&s->dropped, 1, memory_order_relaxed);
}

static bool
is_sampled(const struct shadow *s, uint64_t hash)
{
	return (uint32_t)(hash >> 16) <= atomic_load(&s->gate.most);
}

void
shadow_stored(struct shadow *s, const struct entry *e, uint32_t life_ms, int64_t now_ms)
{
	struct event event = { e->hash, now_ms, NULL, e->slot_count, life_ms, memory_cost(e) };

	if (!is_sampled(s, e->hash) || e->slot_count == 0)
		return;
	event.slots = malloc(e->slot_count * sizeof(event.slots[0]));
	if (!event.slots)
		return;
	memcpy(event.slots, e->slots, e->slot_count * sizeof(event.slots[0]));
	pthread_mutex_lock(&s->door);
	if (s->filled < EVENTS) {
		s->filling[s->filled++] = event;
		event.slots = NULL;
	}
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

/* ---- a model's order ---- */

static void
put_newest(struct model *m, struct object *o)
{
	struct place *p = &o->at[m->index];

	p->older = m->newest;
	p->newer = NULL;
	if (m->newest)
		m->newest->at[m->index].newer = o;
	else
		m->oldest = o;
	m->newest = o;
}

static void
unlink_object(struct model *m, struct object *o)
{
	struct place *p = &o->at[m->index];

	if (p->newer)
		p->newer->at[m->index].older = p->older;
	else
		m->newest = p->older;
	if (p->older)
		p->older->at[m->index].newer = p->newer;
	else
		m->oldest = p->newer;
}

static void
drop(struct model *m, struct object *o)
{
	if (m->hand == o) {
		m->hand = o->at[m->index].newer;
		m->ahead -= m->ahead > 0;
	}
	unlink_object(m, o);
	o->at[m->index].in = false;
	o->models--;
	m->count--;
	m->bytes -= o->bytes;
}

/* Anew, after objects were dropped that the hand was not at. */
static void
count_ahead(struct model *m)
{
	m->ahead = 0;
	for (struct object *o = m->hand; o && o != m->newest; o = o->at[m->index].newer)
		m->ahead++;
}

static struct object *
at_hand(struct model *m)
{
	if (!m->hand || m->ahead < m->count / YOUNG) {
		m->hand = m->oldest;
		m->ahead = m->count - 1;
	}
	return m->hand;
}

static void
evict_one(struct model *m)
{
	struct object *o = m->oldest;

	if (!m->lru) {
		o = at_hand(m);
		for (int i = 0; i < MAX_STEPS && o->at[m->index].visited; i++) {
			o->at[m->index].visited = false;
			m->hand = o->at[m->index].newer;
			m->ahead -= m->ahead > 0;
			o = at_hand(m);
		}
	}
	drop(m, o);
}

static void
make_room(struct model *m, size_t bytes)
{
	while (m->oldest && m->bytes + bytes > m->cap_bytes)
		evict_one(m);
}

static void
renew(struct shadow *s, struct model *m, struct object *o, int64_t now_ms)
{
	struct place *p = &o->at[m->index];

	p->loaded = tags_now(s->tags);
	p->expires_ms = now_ms + (int64_t)(m->life * o->life_ms);
}

static void
insert(struct shadow *s, struct model *m, struct object *o, int64_t now_ms)
{
	if (o->bytes > m->cap_bytes)
		return;
	make_room(m, o->bytes);
	put_newest(m, o);
	o->at[m->index].in = true;
	o->at[m->index].visited = false;
	o->models++;
	m->ahead++;
	m->count++;
	m->bytes += o->bytes;
	renew(s, m, o, now_ms);
}

/* ---- objects ---- */

static struct object **
find(struct shadow *s, uint64_t hash)
{
	struct object **at = &s->buckets[hash & (s->bucket_count - 1)];

	while (*at && (*at)->hash != hash)
		at = &(*at)->chain;
	return at;
}

static void
forget(struct shadow *s, struct object **at)
{
	struct object *o = *at;

	for (int i = 0; i < MODELS; i++) {
		if (o->at[i].in)
			drop(&s->models[i], o);
	}
	*at = o->chain;
	s->object_count--;
	object_free(o);
}

/* Those that no model has any more, or all that the sample has lost. */
static void
sweep(struct shadow *s)
{
	for (size_t i = 0; i < s->bucket_count; i++) {
		for (struct object **at = &s->buckets[i]; *at;) {
			if ((*at)->models == 0 || !is_sampled(s, (*at)->hash))
				forget(s, at);
			else
				at = &(*at)->chain;
		}
	}
}

static void
scale_counts(struct shadow *s, double by)
{
	s->expected *= by;
	s->sampled *= by;
	for (int i = 0; i < MODELS; i++)
		s->models[i].hits *= by;
}

/* What was counted with a larger sample must not weigh more. */
static void
shrink_sample(struct shadow *s)
{
	double before = rate_of(s);

	atomic_store(&s->gate.most, atomic_load(&s->gate.most) / 5 * 4);
	scale_counts(s, rate_of(s) / before);
	sweep(s);
	size_models(s);
	for (int i = 0; i < MODELS; i++) {
		count_ahead(&s->models[i]);
		make_room(&s->models[i], 0);
	}
}

static struct object *
add_object(struct shadow *s, uint64_t hash)
{
	struct object *o;

	if (s->object_count >= s->object_limit)
		sweep(s);
	while (s->object_count >= s->object_limit)
		shrink_sample(s);
	o = is_sampled(s, hash) ? calloc(1, sizeof(*o)) : NULL;
	if (!o)
		return NULL;
	o->hash = hash;
	o->chain = *find(s, hash);
	*find(s, hash) = o;
	s->object_count++;
	return o;
}

/* ---- running ---- */

static bool
is_good(struct shadow *s, const struct object *o, const struct place *p, int64_t now_ms)
{
	return now_ms < p->expires_ms && tags_good(s->tags, o->slots, o->slot_count, p->loaded);
}

static void
use_in(struct shadow *s, struct model *m, struct object *o, int64_t now_ms)
{
	struct place *p = &o->at[m->index];

	if (!p->in) {
		insert(s, m, o, now_ms);
		return;
	}
	if (is_good(s, o, p, now_ms))
		m->hits++;
	else
		renew(s, m, o, now_ms);
	p->visited = true; /* what is stored anew counts as hit, too */
	if (m->lru) {
		unlink_object(m, o);
		put_newest(m, o);
	}
}

static void
run_use(struct shadow *s, const struct event *e)
{
	struct object *o = *find(s, e->hash);

	s->sampled++;
	if (!o)
		return; /* a miss of all; what it is comes with its store */
	for (int i = 0; i < MODELS; i++)
		use_in(s, &s->models[i], o, e->now_ms);
}

/* Sizes change: a model's sum must go with them. */
static void
resize(struct shadow *s, struct object *o, size_t bytes)
{
	for (int i = 0; i < MODELS; i++) {
		if (o->at[i].in)
			s->models[i].bytes += bytes - o->bytes;
	}
	o->bytes = bytes;
}

static void
run_store(struct shadow *s, struct event *e)
{
	struct object *o = *find(s, e->hash);
	bool is_new = !o;

	if (is_new)
		o = add_object(s, e->hash);
	if (!o) {
		free(e->slots);
		return;
	}
	free(o->slots);
	o->slots = e->slots;
	o->slot_count = e->slot_count;
	o->life_ms = e->life_ms;
	resize(s, o, e->bytes);
	for (int i = 0; i < MODELS; i++) {
		if (is_new)
			insert(s, &s->models[i], o, e->now_ms);
		else
			make_room(&s->models[i], 0);
	}
}

static void
decay(struct shadow *s)
{
	int64_t now_ms = clock_ms();

	if (now_ms - s->decayed_ms < DECAY_MS)
		return;
	s->decayed_ms = now_ms;
	scale_counts(s, DECAY);
}

static void
count_repeats(struct shadow *s, double repeats)
{
	s->sampled += repeats;
	for (int i = 0; i < MODELS; i++)
		s->models[i].hits += repeats;
}

void
shadow_run(struct shadow *s, uint64_t uses)
{
	uint64_t dropped = atomic_load(&s->dropped);
	uint64_t repeats = metrics_sum(s->gate.repeats);
	size_t count = take_events(s);

	atomic_fetch_add(&s->gate.run, 1);

	pthread_mutex_lock(&s->lock);
	decay(s);
	s->expected +=
	    (double)(uses - s->uses) * rate_of(s) - (double)(dropped - s->dropped_before);
	count_repeats(s, (double)(repeats - s->repeats_before));
	s->repeats_before = repeats;
	s->uses = uses;
	s->dropped_before = dropped;
	for (size_t i = 0; i < count; i++) {
		struct event *e = &s->emptying[i];

		if (e->slots)
			run_store(s, e);
		else if (is_sampled(s, e->hash))
			run_use(s, e);
		else
			s->sampled++; /* it was when it was noted: a hit, most likely */
	}
	if (count > EVENTS_LIMIT)
		shrink_sample(s);
	pthread_mutex_unlock(&s->lock);
}

/* ---- results ---- */

static double
ratio(const struct shadow *s, const struct model *m)
{
	double hits = m->hits + s->expected - s->sampled;
	double r = s->expected > 0 ? hits / s->expected : 0;

	return fmin(1, fmax(0, r));
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
	out->rate = rate_of(s);
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
