/*
 * Turns: how many reads may have begun at once, so that on a machine that
 * PostgreSQL shares, a storm of misses leaves it time for hits.  Who has
 * been at it for long (a slow statement, a lock) does not count any more, so
 * nobody waits behind him for longer than that.  Any thread but a reactor.
 */
#ifndef DB_TURNS_H
#define DB_TURNS_H

#include <stdint.h>

#include "base/status.h"

#define TURNS_MAX 256
/* For so long a turn counts. */
#define TURN_MS 20

struct turns;

/* NULL without memory.  LIMIT 0: everybody may. */
struct turns *turns_new(int limit);
void turns_free(struct turns *t);

struct turn {
	int place;
	int64_t until_ms;
};

/* OK: *turn is for turns_end().  BUSY: none by DEADLINE_MS (clock_ms()). */
enum status turns_take(struct turns *t, int64_t deadline_ms, struct turn *turn) MUST_CHECK;
void turns_end(struct turns *t, const struct turn *turn);

#endif
