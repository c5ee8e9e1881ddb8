/*
 * A bounded pool of threads with a bounded queue.  Everything that may block
 * runs here.  All functions: any thread, but workers_stop() only once.
 */
#ifndef BASE_WORKERS_H
#define BASE_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workers;

/* A job is embedded in what it works on; the pool owns no memory of it. */
struct job {
	struct job *next;
	void (*run)(struct job *self);
	int64_t queued_ms; /* clock_ms() when it was submitted */
};

struct workers_stats {
	uint64_t jobs_done;
	uint64_t jobs_refused;
	size_t queue_length;
	size_t busy;
	size_t threads;
};

/* NULL if the threads cannot be made. */
struct workers *workers_start(size_t threads, size_t queue_limit);
/* Would a job be begun at once?  As of this call. */
bool workers_idle(struct workers *w);
/* False, at once, when the queue is full or the pool stops. */
bool workers_submit(struct workers *w, struct job *job) __attribute__((warn_unused_result));
/* Goes before all that waits, and some fit into a full queue: for who looks after
 * the rest just when it is full. */
bool workers_submit_first(struct workers *w, struct job *job) __attribute__((warn_unused_result));
/* Runs what is queued, then ends and joins the threads. */
void workers_stop(struct workers *w);
void workers_read_stats(struct workers *w, struct workers_stats *out);

#endif
