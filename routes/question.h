/*
 * From a table entry and the request's values to a question for the cache, and
 * how it is loaded: one statement, whose row is the body and the tags.
 */
#ifndef ROUTES_QUESTION_H
#define ROUTES_QUESTION_H

#include "routes/route.h"

/* Where a value comes from: who calls, the ids of the path, the query. */
struct source {
	enum { FROM_USER, FROM_PATH, FROM_QUERY } from;
	int index;
};

/* What can be known of a question before there is a request. */
struct plan {
	int policy;
	const struct statement *st;
	int count;
	struct source values[KEY_MAX_PARTS]; /* as .by of the table's entry */
	struct key_shape shape;
};

/* Of every route, at its index in the table; without a question: st NULL. */
struct plans {
	struct plan *reads;
	struct plan *guards;
	const struct pattern **patterns; /* of the table, for the router */
	struct plan session;
};

/* Once, before the first request; NULL without memory. */
struct plans *plans_make(void);
void plans_free(struct plans *p);

/*
 * Any thread; everything in ARENA.  VALUES are the parameters of the statement,
 * in order; ASKER is the id of the request that asks first, perhaps empty.  False:
 * without memory.
 */
bool question_make(struct question *q, struct arena *arena, const struct plan *plan,
    struct span key, const struct span *values, struct span asker);

/* The way back: the plan that KEY was made by, a route's or a guard's, and its
 * VALUES (room for KEY_MAX_PARTS), in ARENA.  NULL: none of them. */
const struct plan *question_plan(
    const struct plans *plans, struct arena *arena, struct span key, struct span *values);

#endif
