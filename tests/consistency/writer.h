/*
 * Those who write: through nginx, by SQL straight to the database, and one who
 * makes lessons.  A key has one writer, who knows its versions' order.
 */
#ifndef CONSISTENCY_WRITER_H
#define CONSISTENCY_WRITER_H

#include "client.h"
#include "run.h"
#include "text.h"

struct writer {
	struct run *run;
	enum way way;
	int number;
	uint64_t random;
	struct client client;
	int *keys; /* its own */
	int key_count;
};

void writer_init(struct writer *w, struct run *run, enum way way, int number);
void writer_free(struct writer *w);
/* The text of a version, always the same one. */
size_t writer_text(
    const struct plan *plan, const struct key *k, uint64_t version, char out[TEXT_BYTES]);
/* Threads' functions, until run->stop. */
void *writer_run(void *writer);
void *writer_make_lessons(void *writer);

#endif
