/*
 * One thread that looks after things now and then: says when a dependency goes
 * or comes back, and since when; has the models catch up; takes the steps of
 * warm.h; lets entries live longer where that costs nothing
 * (PUPITRE_ADAPTIVE_TTL).
 */
#ifndef ROUTES_TEND_H
#define ROUTES_TEND_H

#include "routes/app.h"

enum tend_word { TEND_NONE, TEND_UP, TEND_DOWN, TEND_OPEN };

/* Of one dependency. */
struct tend_health {
	enum tend_word word;
	int64_t since_ms; /* wall clock; 0: not known */
};

struct tend_state {
	struct tend_health postgres;
	struct tend_health redis;
};

/* NULL without memory or a thread.  APP must outlive it. */
struct tend *tend_start(struct app *app);
/* Ends and joins the thread, before the workers stop; NULL is allowed. */
void tend_stop(struct tend *t);
/* After the workers have stopped; NULL is allowed. */
void tend_free(struct tend *t);
/* Any thread. */
void tend_read(struct tend *t, struct tend_state *out);

#endif
