#include "keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
	pthread_mutex_t lock;
	int64_t *all[2]; /* by .by_psql */
	size_t count[2];
	size_t room[2];
} past = { .lock = PTHREAD_MUTEX_INITIALIZER };

int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* FNV-1a. */
static uint64_t
sum_of(const char *text, size_t len)
{
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 1099511628211u;
	return h;
}

void
key_text(const struct key *k, int version, int fill, char *to, size_t room)
{
	int n = snprintf(to, room, "v=%d key=%s owner=%s pad=", version, k->id, k->owner);

	for (int i = 0; i < fill; i++)
		to[n++] = (char)('a' + (version + i) % 26);
	snprintf(
	    to + n, room - (size_t)n, " sum=%016llx", (unsigned long long)sum_of(to, (size_t)n));
}

static struct key *
find(struct keys *keys, const char *id)
{
	for (int i = 0; i < keys->count; i++) {
		if (strcmp(keys->all[i]->id, id) == 0)
			return keys->all[i];
	}
	return NULL;
}

int
key_parse(struct keys *keys, const char *text, size_t len, struct key **k)
{
	char id[ID_BYTES];
	char owner[ID_BYTES];
	char sum[24];
	int version;

	*k = NULL;
	if (len < 24 || len > 65536 || memcmp(text + len - 21, " sum=", 5) != 0 ||
	    sscanf(text, "v=%d key=%71s owner=%71s ", &version, id, owner) != 3)
		return -1;
	snprintf(sum, sizeof(sum), "%016llx", (unsigned long long)sum_of(text, len - 21));
	*k = find(keys, id);
	if (!*k || memcmp(sum, text + len - 16, 16) != 0 || strcmp((*k)->owner, owner) != 0)
		return -1;
	return version;
}

static void
keep_delay(bool by_psql, int64_t us)
{
	pthread_mutex_lock(&past.lock);
	if (past.count[by_psql] == past.room[by_psql]) {
		past.room[by_psql] = past.room[by_psql] * 2 + 1024;
		past.all[by_psql] =
		    realloc(past.all[by_psql], past.room[by_psql] * sizeof(int64_t));
		if (!past.all[by_psql])
			abort();
	}
	past.all[by_psql][past.count[by_psql]++] = us;
	pthread_mutex_unlock(&past.lock);
}

void
key_try(struct key *k, int version)
{
	struct version *v = &k->ring[version % RING];

	if (v->acked_us)
		keep_delay(k->by_psql, v->late_us);
	v->acked_us = 0;
	v->late_us = 0;
	v->number = version;
	v->tried_us = now_us();
	k->tried = version;
}

void
key_ack(struct key *k, int version)
{
	k->ring[version % RING].acked_us = now_us();
	k->acked = version;
}

/* The first version after SHOWN that was acknowledged is the one it missed. */
int64_t
key_late(struct key *k, int shown, int floor, int64_t began_us)
{
	for (int n = shown + 1; n <= floor; n++) {
		struct version *v = &k->ring[n % RING];
		int64_t acked = v->acked_us;
		int64_t late = began_us - acked;
		int64_t seen;

		if (v->number != n || acked == 0)
			continue;
		seen = v->late_us;
		while (seen < late && !atomic_compare_exchange_weak(&v->late_us, &seen, late))
			;
		return late;
	}
	return INT64_MAX; /* so long ago that it is forgotten */
}

void
key_history(struct key *k, FILE *to)
{
	int last = k->tried;

	fprintf(to, "%s %s of %s, written by %s; acknowledged %d, tried %d\n",
	    k->lesson ? "lesson" : "course", k->id, k->owner, k->by_psql ? "psql" : "the app",
	    k->acked, last);
	for (int n = last > 60 ? last - 60 : 1; n <= last; n++) {
		struct version *v = &k->ring[n % RING];

		fprintf(to, "  v%d tried at %lld us, acknowledged at %lld us\n", n,
		    (long long)v->tried_us, (long long)v->acked_us);
	}
}

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

int64_t *
keys_delays(struct keys *keys, bool by_psql, size_t *count)
{
	for (int i = 0; i < keys->count; i++) {
		struct key *k = keys->all[i];

		for (int n = 0; n < RING && k->by_psql == by_psql; n++) {
			if (k->ring[n].acked_us)
				keep_delay(by_psql, k->ring[n].late_us);
		}
	}
	*count = past.count[by_psql];
	if (*count)
		qsort(past.all[by_psql], *count, sizeof(int64_t), by_value);
	return past.all[by_psql];
}
