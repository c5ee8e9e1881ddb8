/*
 * What is written and read: keys (courses and lessons), each with one writer
 * and one growing version, and what is known of each version.
 *
 * A version travels as text: "v=12 key=ID owner=ID pad=xxxx sum=HEX", where
 * the sum is over all before it.  ACKED is the last version that was
 * acknowledged; it is read before a question is asked.
 */
#ifndef CONSISTENCY_KEYS_H
#define CONSISTENCY_KEYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define KEYS_MAX 256
#define ID_BYTES 72
#define RING 4096 /* versions of a key that are remembered */

struct version {
	_Atomic int number;
	_Atomic int64_t tried_us;
	_Atomic int64_t acked_us; /* 0: not acknowledged */
	_Atomic int64_t late_us; /* a read began so long after, and showed less */
};

struct key {
	char id[ID_BYTES];
	char course[ID_BYTES]; /* of a lesson; of a course, itself */
	char owner[ID_BYTES];
	char token[ID_BYTES]; /* the owner's */
	bool lesson;
	bool by_psql; /* its writer does not go through the app */
	_Atomic int tried;
	_Atomic int acked;
	struct version ring[RING];
};

struct keys {
	int count;
	struct key *all[KEYS_MAX];
};

int64_t now_us(void);

/* The version's text, NUL-ended; FILL is how long the padding is. */
void key_text(const struct key *k, int version, int fill, char *to, size_t room);

/* What a text of LEN bytes says: its version, and whose it is; -1 if it is not
 * whole. */
int key_parse(struct keys *keys, const char *text, size_t len, struct key **k);

void key_try(struct key *k, int version);
void key_ack(struct key *k, int version);
/* A read that began at BEGAN_US showed SHOWN though FLOOR was acknowledged
 * before it began; how long before, in us. */
int64_t key_late(struct key *k, int shown, int floor, int64_t began_us);
void key_history(struct key *k, FILE *to);

/* Delays, in us, of all versions that were acknowledged: of the keys whose
 * writer is BY_PSQL or not.  malloc'd, sorted. */
int64_t *keys_delays(struct keys *keys, bool by_psql, size_t *count);

#endif
