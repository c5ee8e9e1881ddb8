/*
 * A small table of lists, each with a lock of its own.  A flight is in the
 * table from flight_join() until flight_land(); in between only its list of
 * waiters changes, under the lock.
 */
#include "cache/flight.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"

#define LISTS 256

struct list {
	pthread_mutex_t lock;
	struct flight *first;
	size_t count;
};

struct flights {
	struct list lists[LISTS];
};

struct flights *
flights_new(void)
{
	struct flights *all = calloc(1, sizeof(*all));

	for (size_t i = 0; all && i < LISTS; i++)
		pthread_mutex_init(&all->lists[i].lock, NULL);
	return all;
}

void
flights_free(struct flights *all)
{
	for (size_t i = 0; all && i < LISTS; i++)
		pthread_mutex_destroy(&all->lists[i].lock);
	free(all);
}

static struct list *
list_of(struct flights *all, uint64_t hash)
{
	return &all->lists[hash % LISTS];
}

static struct flight *
make(const struct question *q, uint64_t hash)
{
	size_t args = (q->args_len + 15) & ~(size_t)15;
	struct flight *f = calloc(1, sizeof(*f) + args + q->key.len);
	char *text = (char *)(f + 1);

	if (!f)
		return NULL;
	if (q->args_len)
		memcpy(text, q->args, q->args_len);
	memcpy(text + args, q->key.at, q->key.len);
	f->args = text;
	f->key = span_make(text + args, q->key.len);
	f->hash = hash;
	f->policy = q->policy;
	f->ahead = q->ahead;
	f->load = q->load;
	return f;
}

static struct flight *
find(struct list *l, uint64_t hash, struct span key)
{
	struct flight *f = l->first;

	while (f && (f->hash != hash || !span_equal(f->key, key)))
		f = f->chain;
	return f;
}

static enum flight_join
join_or_make(
    struct list *l, const struct question *q, uint64_t hash, struct waiter *w, struct flight **made)
{
	struct flight *f = find(l, hash, q->key);
	enum flight_join did = FLIGHT_JOINED;

	if (!f) {
		f = *made = make(q, hash);
		if (!f)
			return FLIGHT_NO_MEMORY;
		f->chain = l->first;
		l->first = f;
		l->count++;
		did = FLIGHT_MADE;
	}
	if (w) {
		w->joined = f->step;
		w->next = f->waiters;
		f->waiters = w;
	}
	return did;
}

enum flight_join
flight_join(struct flights *all, const struct question *q, struct waiter *w,
    struct entry *(*peek)(void *ctx, struct span key), void *ctx, struct flight **made,
    struct entry **hit)
{
	uint64_t hash = hash_table(q->key);
	struct list *l = list_of(all, hash);
	enum flight_join did = FLIGHT_HIT;

	*made = NULL;
	*hit = NULL;
	pthread_mutex_lock(&l->lock);
	if (!find(l, hash, q->key))
		*hit = peek(ctx, q->key);
	if (!*hit)
		did = join_or_make(l, q, hash, w, made);
	pthread_mutex_unlock(&l->lock);
	return did;
}

enum flight_join
flight_join_unseen(struct flights *all, const struct question *q, struct flight **made)
{
	uint64_t hash = hash_table(q->key);
	struct list *l = list_of(all, hash);
	enum flight_join did;

	*made = NULL;
	pthread_mutex_lock(&l->lock);
	did = join_or_make(l, q, hash, NULL, made);
	pthread_mutex_unlock(&l->lock);
	return did;
}

uint32_t
flight_step(struct flights *all, struct flight *f)
{
	struct list *l = list_of(all, f->hash);
	uint32_t step;

	pthread_mutex_lock(&l->lock);
	step = ++f->step;
	pthread_mutex_unlock(&l->lock);
	return step;
}

struct waiter *
flight_land(struct flights *all, struct flight *f)
{
	struct list *l = list_of(all, f->hash);
	struct flight **at = &l->first;
	struct waiter *waiters;

	pthread_mutex_lock(&l->lock);
	while (*at != f)
		at = &(*at)->chain;
	*at = f->chain;
	l->count--;
	waiters = f->waiters;
	f->waiters = NULL;
	pthread_mutex_unlock(&l->lock);
	return waiters;
}

void
flight_free(struct flight *f)
{
	free(f);
}

size_t
flights_count(struct flights *all)
{
	size_t n = 0;

	for (size_t i = 0; i < LISTS; i++) {
		pthread_mutex_lock(&all->lists[i].lock);
		n += all->lists[i].count;
		pthread_mutex_unlock(&all->lists[i].lock);
	}
	return n;
}
