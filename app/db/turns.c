/*
 * One lock, and one condition for "a turn has ended".  That one has become old
 * nobody says: who waits looks again when the oldest does.
 */
#include "db/turns.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define NO_TURN (-1)

struct turns {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* CLOCK_MONOTONIC */
	int limit;
	int64_t until_ms[TURNS_MAX]; /* of each turn: it counts till then; 0: free */
};

struct turns *
turns_new(int limit)
{
	struct turns *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	clock_cond_init(&t->ended);
	t->limit = limit < TURNS_MAX ? limit : TURNS_MAX;
	return t;
}

void
turns_free(struct turns *t)
{
	if (!t)
		return;
	pthread_cond_destroy(&t->ended);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* One of the first LIMIT places, free or old; else NO_TURN, and when the first
 * of them will be. */
static int
find_place(const struct turns *t, int64_t now_ms, int64_t *next_ms)
{
	for (int i = 0; i < t->limit; i++) {
		if (t->until_ms[i] <= now_ms)
			return i;
		if (t->until_ms[i] < *next_ms)
			*next_ms = t->until_ms[i];
	}
	return NO_TURN;
}

static void
wait_until(struct turns *t, int64_t ms)
{
	struct timespec until = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	pthread_cond_timedwait(&t->ended, &t->lock, &until);
}

enum status
turns_take(struct turns *t, int64_t deadline_ms, struct turn *turn)
{
	int64_t now;

	*turn = (struct turn){ NO_TURN, 0 };
	if (t->limit == 0)
		return OK;
	pthread_mutex_lock(&t->lock);
	for (;;) {
		int64_t next = deadline_ms;

		now = clock_ms();
		turn->place = find_place(t, now, &next);
		if (turn->place != NO_TURN || now >= deadline_ms)
			break;
		wait_until(t, next);
	}
	if (turn->place != NO_TURN)
		t->until_ms[turn->place] = turn->until_ms = now + TURN_MS;
	pthread_mutex_unlock(&t->lock);
	return turn->place == NO_TURN ? BUSY : OK;
}

/* When he became old his place may have gone to somebody else. */
void
turns_end(struct turns *t, const struct turn *turn)
{
	if (turn->place == NO_TURN)
		return;
	pthread_mutex_lock(&t->lock);
	if (t->until_ms[turn->place] == turn->until_ms)
		t->until_ms[turn->place] = 0;
	pthread_mutex_unlock(&t->lock);
	pthread_cond_signal(&t->ended);
}
