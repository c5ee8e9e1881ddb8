/*
 * What was counted, and what was found wrong.  Any thread.
 */
#ifndef CONSISTENCY_TALLY_H
#define CONSISTENCY_TALLY_H

#include <stdatomic.h>

#include "client.h"
#include "ledger.h"

#define COUNTER_TABLE(X) \
	X(READS, "reads") \
	X(SHOWN, "versions_shown") \
	X(NOT_MODIFIED, "reads_not_modified") \
	X(READ_UNAVAILABLE, "reads_503") \
	X(READ_GATEWAY, "reads_502_504") \
	X(READ_LOST, "reads_lost") \
	X(CACHE_MEMORY, "cache_memory") \
	X(CACHE_REDIS, "cache_redis") \
	X(CACHE_MISS, "cache_miss") \
	X(CACHE_COLLAPSED, "cache_collapsed") \
	X(CACHE_STALE, "cache_stale") \
	X(CACHE_BYPASS, "cache_bypass") \
	X(CACHE_OTHER, "cache_other") \
	X(ACKED_HTTP, "writes_acked") \
	X(ACKED_SQL, "writes_acked_sql") \
	X(WRITES_REFUSED, "writes_refused") \
	X(WRITES_UNKNOWN, "writes_unknown") \
	X(MADE, "lessons_made") \
	X(MADE_UNKNOWN, "lessons_unknown") \
	X(STALE_WITHIN, "stale_within_bound") \
	X(STALE_MARKED, "stale_and_said_so") \
	X(SWEPT, "swept_at_the_end")

#define VIOLATION_TABLE(X) \
	X(STALE, "stale") \
	X(WRONG, "wrong") \
	X(STATUS, "bad_status") \
	X(LOST, "lost") \
	X(DOUBLED, "doubled") \
	X(UNHEARD, "unheard")

enum counter {
#define X(name, word) COUNT_##name,
	COUNTER_TABLE(X)
#undef X
	    COUNTERS
};

enum violation {
#define X(name, word) VIOLATION_##name,
	VIOLATION_TABLE(X)
#undef X
	    VIOLATIONS
};

/* What a violation was seen in. */
struct evidence {
	struct key *key; /* or NULL */
	uint64_t shown;
	uint64_t floor;
	const struct span *request; /* or NULL */
	const struct answer *answer; /* or NULL */
	int64_t began_ns;
	int64_t ended_ns;
};

extern _Atomic uint64_t tally_counters[COUNTERS];

static inline void
count(enum counter c)
{
	atomic_fetch_add_explicit(&tally_counters[c], 1, memory_order_relaxed);
}

/* Where the files of violations go. */
void tally_folder(const char *path);
/* Counts it; the first ones are written to a file and named on stdout. */
void tally_violation(enum violation v, const struct evidence *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint64_t tally_violations(void);
/* "name value" lines. */
void tally_print(FILE *to);

#endif
