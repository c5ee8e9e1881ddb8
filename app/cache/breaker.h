/*
 * Circuit breaker (Nygard, "Release It!"): after LIMIT failures in a row
 * nothing is tried for WAIT_MS; then one probe at a time is let through, and
 * its success closes the circuit.  The time is an argument (monotonic ms).
 * Any thread; lock-free.
 */
#ifndef CACHE_BREAKER_H
#define CACHE_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct breaker {
	int limit;
	int wait_ms;
	_Atomic int failures;
	_Atomic int64_t open_until_ms; /* 0: closed */
	_Atomic bool probing;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

void breaker_init(struct breaker *b, int limit, int wait_ms);
/* May I try now?  After true, exactly one of the two below must follow. */
bool breaker_allow(struct breaker *b, int64_t now_ms);
void breaker_success(struct breaker *b);
void breaker_failure(struct breaker *b, int64_t now_ms);
enum breaker_state breaker_state(const struct breaker *b, int64_t now_ms);

#endif
