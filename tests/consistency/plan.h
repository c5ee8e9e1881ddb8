/*
 * What the driver prepared, one thing a line (see tests/consistency/run):
 *
 *   port N
 *   database CONNINFO
 *   owner ID TOKEN
 *   learner ID TOKEN
 *   key course|lesson ID OWNER COURSE http|sql WRITER public|-
 *   maker COURSE OWNER
 *
 * OWNER counts from 0 in the order of the file, and keys stand in the order of
 * how well they are liked.
 */
#ifndef CONSISTENCY_PLAN_H
#define CONSISTENCY_PLAN_H

#include "ledger.h"

#define MAX_PEOPLE 64
#define MAX_KEYS 1024
#define TOKEN_BYTES 64
#define CONNINFO_BYTES 512

struct person {
	char id[ID_BYTES];
	char token[TOKEN_BYTES];
};

struct plan {
	int port;
	char database[CONNINFO_BYTES];
	struct person owners[MAX_PEOPLE];
	int owner_count;
	struct person learners[MAX_PEOPLE];
	int learner_count;
	struct key *keys;
	int key_count;
	int writers[WAYS]; /* the highest writer and one */
	char maker_course[ID_BYTES];
	int maker; /* an owner; -1: nobody makes lessons */
};

/* False, and says why, if the file is not right. */
bool plan_read(const char *path, struct plan *out);

#endif
