/*
 * From a table entry and its values to a question for the cache, and how it is
 * loaded: one statement, whose row is the body and the tags.
 */
#ifndef ROUTES_QUESTION_H
#define ROUTES_QUESTION_H

#include "routes/route.h"

/*
 * Any thread; everything in ARENA.  VALUES are those of CACHED->by, in order.
 * For the session's question, whose parameter is secret, VALUES[0] is the
 * statement's parameter and VALUES[1] what stands in the key.  False: too
 * long.
 */
bool question_make(struct question *q, struct arena *arena, int policy, const struct cached *cached,
    const struct statement *st, const struct span *values);

#endif
