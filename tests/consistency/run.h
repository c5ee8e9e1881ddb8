/*
 * One run: what its threads share.
 */
#ifndef CONSISTENCY_RUN_H
#define CONSISTENCY_RUN_H

#include "plan.h"

enum mode { MODE_ONE, MODE_BOUNDED, MODE_STRICT };

#define MADE_MAX 100000

/* Lessons made by POST, each name once; one thread makes them. */
struct made {
	_Atomic uint64_t acked;
	_Atomic uint64_t attempted;
	int64_t *acked_ns; /* of the first acknowledged one, the second... */
	enum outcome *outcomes; /* by the number in its name, from 1 */
};

struct run {
	struct plan plan;
	struct made made;
	enum mode mode;
	int64_t bound_ns;
	bool faults; /* 5xx and lost connections are to be expected */
	bool refusals; /* 503 to writes is to be expected */
	int readers;
	unsigned pace_us; /* between two writes of a writer, about */
	uint64_t seed;
	_Atomic bool stop;
};

/* xorshift64*; *STATE is never 0. */
static inline uint64_t
random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dU;
}

static inline uint64_t
random_below(uint64_t *state, uint64_t bound)
{
	return (random_next(state) >> 16) % bound;
}

#endif
