/*
 * One lock for the queue, its counters and the stack of idle threads; a
 * condition for each thread.  Who became idle last is woken first: his memory
 * is warm.  Threads run with all signals blocked.
 */
#include "base/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"

#define FIRST_MORE 8 /* beyond the limit, of those that go first */

struct worker {
	struct workers *home;
	struct worker *next_idle;
	bool idle; /* on the stack */
	pthread_cond_t woken;
	pthread_t thread;
};

struct workers {
	pthread_mutex_t lock;
	struct worker *idle;
	struct job *first;
	struct job *last;
	size_t queue_limit;
	bool ending;
	struct workers_stats stats;
	struct worker threads[];
};

static void
sleep_idle(struct workers *w, struct worker *self)
{
	self->idle = true;
	self->next_idle = w->idle;
	w->idle = self;
	while (self->idle)
		pthread_cond_wait(&self->woken, &w->lock);
}

/* The one to be woken, or NULL: all are busy and come by themselves. */
static struct worker *
take_idle(struct workers *w)
{
	struct worker *it = w->idle;

	if (it) {
		w->idle = it->next_idle;
		it->idle = false;
	}
	return it;
}

/* NULL at the end.  The lock is held. */
static struct job *
next_job(struct workers *w, struct worker *self)
{
	struct job *job;

	while (!w->first && !w->ending)
		sleep_idle(w, self);
	job = w->first;
	if (!job)
		return NULL;
	w->first = job->next;
	w->stats.queue_length--;
	w->stats.busy++;
	return job;
}

static void *
work(void *ctx)
{
	struct worker *self = ctx;
	struct workers *w = self->home;
	struct job *job;

	pthread_mutex_lock(&w->lock);
	while ((job = next_job(w, self)) != NULL) {
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		w->stats.busy--;
		w->stats.jobs_done++;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
start_threads(struct workers *w, size_t threads)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; i < threads; i++) {
		struct worker *one = &w->threads[i];

		one->home = w;
		pthread_cond_init(&one->woken, NULL);
		if (pthread_create(&one->thread, NULL, work, one) != 0)
			break;
		w->stats.threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct workers *
workers_start(size_t threads, size_t queue_limit)
{
	struct workers *w = calloc(1, sizeof(*w) + threads * sizeof(w->threads[0]));

	if (!w)
		return NULL;
	w->queue_limit = queue_limit;
	pthread_mutex_init(&w->lock, NULL);
	start_threads(w, threads);
	if (w->stats.threads == threads)
		return w;
	workers_stop(w);
	return NULL;
}

/* With the lock. */
static void
queue(struct workers *w, struct job *job, bool first)
{
	job->next = first ? w->first : NULL;
	if (!w->first)
		w->first = w->last = job;
	else if (first)
		w->first = job;
	else
		w->last = w->last->next = job;
	w->stats.queue_length++;
}

static bool
submit(struct workers *w, struct job *job, bool first)
{
	struct worker *woken = NULL;
	bool fits;

	job->queued_ms = clock_ms();
	pthread_mutex_lock(&w->lock);
	fits = w->stats.queue_length < w->queue_limit + (first ? FIRST_MORE : 0) && !w->ending;
	if (fits) {
		queue(w, job, first);
		woken = take_idle(w);
	} else {
		w->stats.jobs_refused++;
	}
	pthread_mutex_unlock(&w->lock);
	/* Without the lock, which he takes first. */
	if (woken)
		pthread_cond_signal(&woken->woken);
	return fits;
}

bool
workers_submit(struct workers *w, struct job *job)
{
	return submit(w, job, false);
}

bool
workers_submit_first(struct workers *w, struct job *job)
{
	return submit(w, job, true);
}

bool
workers_idle(struct workers *w)
{
	bool idle;

	pthread_mutex_lock(&w->lock);
	idle = w->idle && !w->first;
	pthread_mutex_unlock(&w->lock);
	return idle;
}

void
workers_stop(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	for (struct worker *one = take_idle(w); one; one = take_idle(w))
		pthread_cond_signal(&one->woken);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < w->stats.threads; i++) {
		pthread_join(w->threads[i].thread, NULL);
		pthread_cond_destroy(&w->threads[i].woken);
	}
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void
workers_read_stats(struct workers *w, struct workers_stats *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->stats;
	pthread_mutex_unlock(&w->lock);
}
