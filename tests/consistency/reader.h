/*
 * A reader: asks, and judges what it is shown.  One thread a reader.
 */
#ifndef CONSISTENCY_READER_H
#define CONSISTENCY_READER_H

#include "client.h"
#include "questions.h"
#include "run.h"

#define ETAG_BYTES 80

/* The last whole answer to a question about one key. */
struct seen {
	char etag[ETAG_BYTES];
	uint64_t version;
};

struct reader {
	struct run *run;
	const struct questions *questions;
	struct client client;
	uint64_t random;
	const double *liking; /* of keys: sums, the last is 1 */
	struct seen *seen; /* by question */
	uint64_t floors[MAX_KEYS]; /* by key, taken before the read began */
	uint64_t made_floor;
	/* At the end: what the database holds, by key; nothing else may be shown. */
	const uint64_t *final;
	_Atomic uint64_t by_route[ROUTES];
};

void reader_init(struct reader *r, struct run *run, const struct questions *questions, int number);
void reader_free(struct reader *r);
/* Ask, and judge.  False: no answer, or a 5xx. */
bool reader_ask(struct reader *r, const struct question *q);
/* Ask what it likes until run->stop; a thread's function. */
void *reader_run(void *reader);

/* Shares of Zipf's law for COUNT keys, as sums; to be freed. */
double *liking_make(int count);

#endif
