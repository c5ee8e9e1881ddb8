/*
 * A block of cells for each thread, in a list that only grows: what a thread
 * leaves behind when it ends stays in its block, which the next thread goes on
 * with.
 */
#include "base/metrics.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define RANGES 64

struct block {
	struct block *next;
	bool used;
	_Atomic uint64_t cells[METRICS_CELLS];
};

struct range {
	unsigned first;
	unsigned count;
};

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	pthread_key_t key; /* its destructor sees a thread end */
	struct block *blocks;
	unsigned reserved;
	struct range given_back[RANGES];
	/* For threads without memory for one of their own; what several add at once
	 * may be counted once. */
	struct block common;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT, .reserved = METRICS_SPARE };

_Thread_local _Atomic uint64_t *metrics_mine;

const uint32_t metrics_bounds_us[METRICS_BOUNDS] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000,
	5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000 };

/* ---- threads ---- */

static void
leave(void *value)
{
	struct block *b = value;

	metrics_mine = NULL;
	pthread_mutex_lock(&all.lock);
	b->used = false;
	pthread_mutex_unlock(&all.lock);
}

static void
make_key(void)
{
	if (pthread_key_create(&all.key, leave) != 0)
		abort();
}

/* With the lock. */
static struct block *
find_block(void)
{
	struct block *b = all.blocks;

	while (b && b->used)
		b = b->next;
	if (!b && (b = calloc(1, sizeof(*b)))) {
		b->next = all.blocks;
		all.blocks = b;
	}
	return b;
}

_Atomic uint64_t *
metrics_join(void)
{
	struct block *b;

	pthread_once(&all.once, make_key);
	pthread_mutex_lock(&all.lock);
	b = find_block();
	if (b)
		b->used = true;
	pthread_mutex_unlock(&all.lock);
	if (b && pthread_setspecific(all.key, b) != 0) {
		leave(b);
		b = NULL;
	}
	metrics_mine = b ? b->cells : all.common.cells;
	return metrics_mine;
}

/* ---- ranges ---- */

/* One of that size that was given back, or new ones; with the lock. */
static unsigned
find_range(unsigned count)
{
	unsigned first;

	for (int i = 0; i < RANGES; i++) {
		if (all.given_back[i].count == count) {
			all.given_back[i].count = 0;
			return all.given_back[i].first;
		}
	}
	if (count > METRICS_CELLS - all.reserved)
		return 0;
	first = all.reserved;
	all.reserved += count;
	return first;
}

unsigned
metrics_reserve(unsigned count)
{
	unsigned first;

	pthread_mutex_lock(&all.lock);
	first = find_range(count);
	pthread_mutex_unlock(&all.lock);
	if (!first)
		log_event(LOG_ERROR, "metrics", "no cells left: some counters stay at zero");
	return first;
}

static void
wipe(struct block *b, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		atomic_store_explicit(&b->cells[i], 0, memory_order_relaxed);
}

void
metrics_release(unsigned first, unsigned count)
{
	if (!first)
		return;
	pthread_mutex_lock(&all.lock);
	for (struct block *b = all.blocks; b; b = b->next)
		wipe(b, first, count);
	wipe(&all.common, first, count);
	for (int i = 0; i < RANGES; i++) {
		if (all.given_back[i].count == 0) {
			all.given_back[i] = (struct range){ first, count };
			break;
		}
	}
	pthread_mutex_unlock(&all.lock);
}

/* ---- adding up ---- */

uint64_t
metrics_sum(unsigned cell)
{
	uint64_t sum;

	if (cell < METRICS_SPARE)
		return 0;
	pthread_mutex_lock(&all.lock);
	sum = atomic_load_explicit(&all.common.cells[cell], memory_order_relaxed);
	for (struct block *b = all.blocks; b; b = b->next)
		sum += atomic_load_explicit(&b->cells[cell], memory_order_relaxed);
	pthread_mutex_unlock(&all.lock);
	return sum;
}

/* ---- histograms ---- */

static unsigned
bucket_of(uint64_t us)
{
	/* By the length of the number in bits: the first bound that it may be under. */
	static const uint8_t first[] = { 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 13, 14,
		15, 16, 17, 18, 19, 20, 20, 21 };
	unsigned bits = us ? 64 - (unsigned)__builtin_clzll(us) : 0;
	unsigned i = bits < sizeof(first) ? first[bits] : METRICS_BOUNDS - 1;

	while (i < METRICS_BOUNDS && us > metrics_bounds_us[i])
		i++;
	return i;
}

void
metrics_time(unsigned first, int64_t us)
{
	uint64_t took = us > 0 ? (uint64_t)us : 0;

	metrics_add(first + bucket_of(took), 1);
	metrics_add(first + METRICS_BUCKETS, took);
}

void
metrics_add_histogram(unsigned first, struct metrics_histogram *out)
{
	for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
		uint64_t n = metrics_sum(first + i);

		out->counts[i] += n;
		out->count += n;
	}
	out->sum_us += metrics_sum(first + METRICS_BUCKETS);
}
