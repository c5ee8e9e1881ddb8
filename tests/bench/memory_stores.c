/*
 * How long a store keeps the others waiting: the longest stores into a large
 * cache, and stores of the one key that other threads read all the time.  Run
 * by tests/bench/memory.
 */
#include "memory_drive.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define MAX_READERS 4
#define STORES 1000

static uint32_t entries = 1000000;

static double
time_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
store(struct memory *m, struct tag_table *tags, uint32_t id, clockid_t clock)
{
	struct entry *e = drive_entry(tags, id, 600);
	double began = time_us(clock);

	(void)memory_put(m, e);
	began = time_us(clock) - began;
	entry_release(e);
	return began;
}

/* In time of this thread's own, that the machine's other work is left out. */
static void
store_many(struct memory *m, struct tag_table *tags, uint32_t first, const char *what)
{
	double *took = trace_alloc(entries, sizeof(*took));

	for (uint32_t i = 0; i < entries; i++)
		took[i] = store(m, tags, first + i, CLOCK_THREAD_CPUTIME_ID);
	qsort(took, entries, sizeof(*took), by_value);
	printf("| %s | %.1f | %.1f | %.0f |\n", what, took[entries / 2], took[entries / 100 * 99],
	    took[entries - 1]);
	fflush(stdout);
	free(took);
}

static void
hit_all(struct memory *m)
{
	char key[16];

	for (uint32_t i = 0; i < entries; i++)
		entry_release(memory_get(m, drive_key(i, key), 0));
}

static void
large(struct tag_table *tags)
{
	size_t cap = drive_bytes(600) * entries / 100 * 101;
	struct memory *m = memory_new(cap, 16, tags);
	char what[80];

	if (!m)
		abort();
	printf("| stores | median, us | p99 | longest |\n| --- | --- | --- | --- |\n");
	snprintf(what, sizeof(what), "%u into an empty cache", entries);
	store_many(m, tags, 0, what);
	hit_all(m);
	snprintf(what, sizeof(what), "%u into a full one, every entry of which was hit", entries);
	store_many(m, tags, entries, what);
	memory_free(m);
}

struct readers {
	struct memory *memory;
	_Atomic bool stop;
};

static void *
read_on(void *ctx)
{
	struct readers *r = ctx;
	char key[16];
	struct span k = drive_key(7, key);

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed))
		entry_release(memory_get(r->memory, k, 0));
	return NULL;
}

static void
beside(struct tag_table *tags, unsigned readers)
{
	struct readers r = { .memory = memory_new((size_t)64 << 20, 16, tags) };
	struct timespec pause = { 0, 1000000 };
	pthread_t threads[MAX_READERS];
	double took[STORES];

	if (!r.memory)
		abort();
	for (unsigned i = 0; i < readers; i++)
		pthread_create(&threads[i], NULL, read_on, &r);
	for (int i = 0; i < STORES; i++) {
		took[i] = store(r.memory, tags, 7, CLOCK_MONOTONIC);
		nanosleep(&pause, NULL);
	}
	atomic_store(&r.stop, true);
	for (unsigned i = 0; i < readers; i++)
		pthread_join(threads[i], NULL);
	qsort(took, STORES, sizeof(took[0]), by_value);
	printf("| of the key that %u read and do nothing else | %.1f | %.1f | %.0f |\n", readers,
	    took[STORES / 2], took[STORES / 100 * 99], took[STORES - 1]);
	fflush(stdout);
	memory_free(r.memory);
}

int
main(int argc, char **argv)
{
	static struct tag_table tags;

	if (argc > 1 && strcmp(argv[1], "quick") == 0)
		entries /= 10;
	large(&tags);
	for (unsigned readers = 1; readers <= MAX_READERS; readers *= 2)
		beside(&tags, readers);
	return 0;
}
