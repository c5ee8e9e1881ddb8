/*
 * What is known of every key: which versions were attempted, which were
 * acknowledged and when, and how long each could still be seen as an older
 * one.  A key has one writer thread; any thread reads.
 *
 * A reader takes key_floor() before it asks and key_ceiling() after the answer
 * has come: what it is shown must lie between them.
 */
#ifndef CONSISTENCY_LEDGER_H
#define CONSISTENCY_LEDGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

#define ID_BYTES 40
#define HISTORY 4096 /* versions of a key that are remembered; a power of two */

enum key_kind { COURSE, LESSON };
enum way { BY_HTTP, BY_SQL, WAYS };
enum outcome { UNDER_WAY, ACKED, REFUSED, UNKNOWN };

struct version {
	uint64_t number;
	int64_t attempt_ns;
	int64_t settled_ns;
	int64_t delay_ns; /* an older one was seen so long after the acknowledgement */
	enum outcome outcome;
};

struct key {
	char id[ID_BYTES];
	enum key_kind kind;
	enum way way;
	int writer; /* of those of its way */
	int owner;
	char course[ID_BYTES];
	bool is_public;
	_Atomic uint64_t acked;
	_Atomic uint64_t attempted;
	pthread_mutex_t lock; /* of the history */
	struct version *history;
};

int64_t now_ns(void);

bool key_init(struct key *k);
/* Begin the next version; its number. */
uint64_t key_attempt(struct key *k);
/* The last version that was begun came to this. */
void key_settle(struct key *k, enum outcome outcome);
uint64_t key_floor(struct key *k);
uint64_t key_ceiling(struct key *k);
/*
 * SHOWN, older than FLOOR, was shown by a read that began at BEGAN_NS.  Notes
 * the delay of every write that it did not show; returns how long before the
 * first of them had been acknowledged.
 */
int64_t key_stale(struct key *k, uint64_t shown, uint64_t floor, int64_t began_ns);
/* The last events, those around SHOWN first. */
void key_print(struct key *k, uint64_t shown, FILE *to);

/* Delays of all writes of a way that were acknowledged, sorted; after the
 * threads have ended. */
size_t ledger_delays(struct key *keys, int count, enum way way, const int64_t **out_ns);

#endif
