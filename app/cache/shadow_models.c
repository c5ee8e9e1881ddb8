/*
 * A model keeps of each sampled object what memory.c would keep of an entry; the
 * objects themselves, with size, life and slots, are shared by all models.
 */
#include "cache/shadow_inner.h"

#include <stdlib.h>

#define YOUNG 4 /* as in memory.c */
#define MAX_STEPS 200

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
renew(const struct model *m, struct object *o, const struct event *e)
{
	struct place *p = &o->at[m->index];

	p->loaded = e->number;
	p->expires_ms = e->now_ms + (int64_t)(m->life * o->life_ms);
}

static void
insert(struct model *m, struct object *o, const struct event *e)
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
	renew(m, o, e);
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
object_free(struct object *o)
{
	free(o->slots);
	free(o);
}

static void
forget(struct shadow *s, struct object **at)
{
	struct object *o = *at;

	for (int i = 0; i < SHADOW_MODELS; i++) {
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
			if ((*at)->models == 0 || !shadow_samples(s, (*at)->hash))
				forget(s, at);
			else
				at = &(*at)->chain;
		}
	}
}

void
models_size(struct shadow *s)
{
	for (int i = 0; i < SHADOW_MODELS; i++)
		s->models[i].cap_bytes =
		    (size_t)(s->models[i].size * (double)s->all_bytes * shadow_rate(s));
}

void
models_fit(struct shadow *s)
{
	sweep(s);
	models_size(s);
	for (int i = 0; i < SHADOW_MODELS; i++) {
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
		shadow_shrink(s);
	o = shadow_samples(s, hash) ? calloc(1, sizeof(*o)) : NULL;
	if (!o)
		return NULL;
	o->hash = hash;
	o->chain = *find(s, hash);
	*find(s, hash) = o;
	s->object_count++;
	return o;
}

/* ---- what happens ---- */

/* The models catch up some time behind, and of each slot the latest raise alone
 * is known then.  Memory knew at the time: what it had was not raised.  What it
 * did not have and what was raised since is taken to have been raised before. */
static bool
is_good(struct shadow *s, const struct object *o, const struct place *p, const struct event *e)
{
	return e->now_ms < p->expires_ms &&
	    (e->hit || tags_good(s->tags, o->slots, o->slot_count, p->loaded));
}

static void
use_in(struct shadow *s, struct model *m, struct object *o, const struct event *e)
{
	struct place *p = &o->at[m->index];

	if (!p->in) {
		insert(m, o, e);
		return;
	}
	if (is_good(s, o, p, e))
		m->hits++;
	else
		renew(m, o, e);
	p->visited = true; /* what is stored anew counts as hit, too */
	if (m->lru) {
		unlink_object(m, o);
		put_newest(m, o);
	}
}

void
models_use(struct shadow *s, const struct event *e)
{
	struct object *o = *find(s, e->hash);

	if (!o)
		return; /* a miss of all; what it is comes with its store */
	for (int i = 0; i < SHADOW_MODELS; i++)
		use_in(s, &s->models[i], o, e);
}

/* Sizes change: a model's sum must go with them. */
static void
resize(struct shadow *s, struct object *o, size_t bytes)
{
	for (int i = 0; i < SHADOW_MODELS; i++) {
		if (o->at[i].in)
			s->models[i].bytes += bytes - o->bytes;
	}
	o->bytes = bytes;
}

void
models_store(struct shadow *s, struct event *e)
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
	for (int i = 0; i < SHADOW_MODELS; i++) {
		if (is_new)
			insert(&s->models[i], o, e);
		else
			make_room(&s->models[i], 0);
	}
}

void
models_free(struct shadow *s)
{
	for (size_t i = 0; s->buckets && i < s->bucket_count; i++) {
		while (s->buckets[i]) {
			struct object *o = s->buckets[i];

			s->buckets[i] = o->chain;
			object_free(o);
		}
	}
}
