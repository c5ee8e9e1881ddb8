#include "ledger.h"

#include <stdlib.h>
#include <time.h>

/* Delays of versions that have left their history. */
static struct {
	pthread_mutex_t lock;
	int64_t *ns;
	size_t count;
	size_t cap;
} retired[WAYS] = {
	[BY_HTTP] = { .lock = PTHREAD_MUTEX_INITIALIZER },
	[BY_SQL] = { .lock = PTHREAD_MUTEX_INITIALIZER },
};

int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct version *
slot(struct key *k, uint64_t number)
{
	return &k->history[number & (HISTORY - 1)];
}

bool
key_init(struct key *k)
{
	k->history = calloc(HISTORY, sizeof(*k->history));
	pthread_mutex_init(&k->lock, NULL);
	return k->history != NULL;
}

static void
retire(enum way way, const struct version *v)
{
	if (v->outcome != ACKED)
		return;
	pthread_mutex_lock(&retired[way].lock);
	if (retired[way].count == retired[way].cap) {
		retired[way].cap = retired[way].cap ? 2 * retired[way].cap : 4096;
		retired[way].ns =
		    realloc(retired[way].ns, retired[way].cap * sizeof(*retired[way].ns));
		if (!retired[way].ns)
			abort();
	}
	retired[way].ns[retired[way].count++] = v->delay_ns;
	pthread_mutex_unlock(&retired[way].lock);
}

uint64_t
key_attempt(struct key *k)
{
	uint64_t number = atomic_load(&k->attempted) + 1;
	struct version *v = slot(k, number);

	pthread_mutex_lock(&k->lock);
	retire(k->way, v);
	*v = (struct version){ .number = number, .attempt_ns = now_ns() };
	pthread_mutex_unlock(&k->lock);
	atomic_store(&k->attempted, number);
	return number;
}

void
key_settle(struct key *k, enum outcome outcome)
{
	uint64_t number = atomic_load(&k->attempted);
	struct version *v = slot(k, number);

	pthread_mutex_lock(&k->lock);
	v->settled_ns = now_ns();
	v->outcome = outcome;
	pthread_mutex_unlock(&k->lock);
	/* Last: who sees the floor rise finds the time of it. */
	if (outcome == ACKED)
		atomic_store(&k->acked, number);
}

uint64_t
key_floor(struct key *k)
{
	return atomic_load(&k->acked);
}

uint64_t
key_ceiling(struct key *k)
{
	return atomic_load(&k->attempted);
}

int64_t
key_stale(struct key *k, uint64_t shown, uint64_t floor, int64_t began_ns)
{
	uint64_t from = shown + 1;
	int64_t age = 0;

	if (floor >= HISTORY && from <= floor - HISTORY)
		from = floor - HISTORY + 1;
	pthread_mutex_lock(&k->lock);
	for (uint64_t n = from; n <= floor; n++) {
		struct version *v = slot(k, n);
		int64_t late = began_ns - v->settled_ns;

		if (v->number != n || v->outcome != ACKED || late <= 0)
			continue;
		if (age == 0)
			age = late;
		if (late > v->delay_ns)
			v->delay_ns = late;
	}
	pthread_mutex_unlock(&k->lock);
	return age;
}

static void
print_versions(struct key *k, uint64_t from, uint64_t to, FILE *f)
{
	static const char *const words[] = { "under way", "acknowledged", "refused", "unknown" };

	for (uint64_t n = from; n <= to; n++) {
		struct version *v = slot(k, n);

		if (n > 0 && v->number == n)
			fprintf(f, "  v=%-8llu attempt %.6f  %s %.6f\n", (unsigned long long)n,
			    (double)v->attempt_ns / 1e9, words[v->outcome],
			    (double)v->settled_ns / 1e9);
	}
}

#define AROUND 6
#define LAST 20

void
key_print(struct key *k, uint64_t shown, FILE *to)
{
	uint64_t last, tail;

	pthread_mutex_lock(&k->lock);
	last = atomic_load(&k->attempted);
	tail = last > LAST ? last - LAST : 0;
	fprintf(to, "history of %s, times in seconds of the monotonic clock:\n", k->id);
	if (shown < tail) {
		uint64_t end = shown + AROUND < tail ? shown + AROUND : tail - 1;

		print_versions(k, shown > AROUND ? shown - AROUND : 0, end, to);
		fputs("  ...\n", to);
	}
	print_versions(k, tail, last, to);
	pthread_mutex_unlock(&k->lock);
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

size_t
ledger_delays(struct key *keys, int count, enum way way, const int64_t **out_ns)
{
	for (int i = 0; i < count; i++) {
		if (keys[i].way != way)
			continue;
		for (int n = 0; n < HISTORY; n++) {
			retire(way, &keys[i].history[n]);
			keys[i].history[n].outcome = UNDER_WAY;
		}
	}
	if (retired[way].count)
		qsort(retired[way].ns, retired[way].count, sizeof(int64_t), by_size);
	*out_ns = retired[way].ns;
	return retired[way].count;
}
