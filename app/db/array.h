/*
 * PostgreSQL's binary form of an array of texts.  Pure; any thread.
 */
#ifndef DB_ARRAY_H
#define DB_ARRAY_H

#include "base/span.h"

/*
 * Find the elements of RAW.  They point into RAW; *out is malloc'd for the
 * caller to free, and NULL when there are none.  False, with nothing to free,
 * for anything but an array of no or one dimension without NULLs that fills
 * RAW to its end.
 */
bool array_parse(struct span raw, struct span **out, size_t *count);

#endif
