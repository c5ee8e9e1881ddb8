/*
 * What may be shown.  A reader's floors were taken before its read began; the
 * ceilings are taken here, after its answer has come.
 */
#ifndef CONSISTENCY_VERDICT_H
#define CONSISTENCY_VERDICT_H

#include "reader.h"
#include "tally.h"

/* KEY was shown as SHOWN.  E->key is set. */
void verdict_version(struct reader *r, int key, uint64_t shown, struct evidence *e);
/*
 * The body of an answer to Q: every key that it must show, once, whole and as
 * its owner's.  *VERSION is that of the last one.  False: it is not right, and
 * that was told.
 */
bool verdict_body(
    struct reader *r, const struct question *q, struct evidence *e, uint64_t *version);
/* The number of lessons that were made. */
void verdict_made(struct reader *r, struct evidence *e);

#endif
