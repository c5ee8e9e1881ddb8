/*
 * Counters and histograms that cost next to nothing: each thread adds to cells
 * of its own, and who reads sums them.  A cell is a number; whoever counts
 * something reserves a range of them and gives the places in it their names.
 *
 *   metrics_reserve()   while the process starts, or under a lock of the caller
 *   metrics_add()       any thread; no lock, no atomic read-modify-write
 *   metrics_sum()       any thread; what the threads have added up to now, those
 *                       that have ended among them
 *
 * A sum may lack what other threads add while it is taken; it never goes back.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#define METRICS_CELLS 16384

/* First of COUNT cells at zero.  0, with a line in the log, when there are none
 * left: cell 0 and those behind it are nobody's, and adding there does no harm
 * as long as COUNT is at most METRICS_SPARE. */
#define METRICS_SPARE 4096
unsigned metrics_reserve(unsigned count);
/* Nobody may add to them any more. */
void metrics_release(unsigned first, unsigned count);

/* This thread's cells; joins at the first call. */
_Atomic uint64_t *metrics_join(void);
extern _Thread_local _Atomic uint64_t *metrics_mine;

static inline void
metrics_add(unsigned cell, uint64_t n)
{
#ifdef METRICS_OFF /* for tests/bench/seen: what the rest costs */
	(void)cell;
	(void)n;
	return;
#endif
	_Atomic uint64_t *mine = metrics_mine ? metrics_mine : metrics_join();

	/* Only this thread writes here. */
	atomic_store_explicit(&mine[cell],
	    atomic_load_explicit(&mine[cell], memory_order_relaxed) + n, memory_order_relaxed);
}

uint64_t metrics_sum(unsigned cell);

/*
 * A histogram of times in microseconds: a cell for each bound (how many took no
 * longer, and longer than the bound before), one for what was longer than all,
 * and one for the sum.
 */
#define METRICS_BOUNDS 22
#define METRICS_BUCKETS (METRICS_BOUNDS + 1)
#define METRICS_HISTOGRAM (METRICS_BUCKETS + 1)

extern const uint32_t metrics_bounds_us[METRICS_BOUNDS];

/* FIRST is the histogram's first cell; a time before zero counts as zero. */
void metrics_time(unsigned first, int64_t us);

struct metrics_histogram {
	uint64_t counts[METRICS_BUCKETS]; /* not cumulative */
	uint64_t count;
	uint64_t sum_us;
};

/* Added to what is in OUT. */
void metrics_add_histogram(unsigned first, struct metrics_histogram *out);

#endif
