/*
 * The keys that are read most are noted in the database, and loaded again after
 * a start or a clear, one at a time, at most PUPITRE_WARM_RATE a second, and
 * only while most workers have nothing to do.
 */
#ifndef ROUTES_WARM_H
#define ROUTES_WARM_H

#include "routes/app.h"

struct warm_state {
	bool running;
	uint64_t done;
	uint64_t total;
	int64_t last_ms; /* wall clock; 0: never */
	const char *cause; /* NULL: never */
};

/* NULL without memory.  APP must outlive it. */
struct warm *warm_new(struct app *app);
/* After the workers have stopped, which may have a key under way. */
void warm_free(struct warm *w);

/* ---- one thread ---- */

/* What is due.  TRUSTED: what is loaded would be kept.  True: there is more, so
 * come back soon. */
bool warm_step(struct warm *w, bool trusted, int64_t now_ms);

/* ---- any thread ---- */

/* No step waits for a key any more. */
void warm_end(struct warm *w);
void warm_read(struct warm *w, struct warm_state *out);
/* Load them again, at the next step.  CAUSE is a constant word. */
void warm_want(struct warm *w, const char *cause);
/* Note which keys are read most now; asks the database. */
void warm_note(struct warm *w);
/* How many would be loaded; asks the database. */
size_t warm_count(struct warm *w);

#endif
