/*
 * One lock for the queue and its counters, one condition for "there is a job
 * or the end".  Threads run with all signals blocked.
 */
#include "base/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct job *first;
	struct job *last;
	size_t queue_limit;
	bool ending;
	struct workers_stats stats;
	pthread_t threads[];
};

/* NULL at the end.  The lock is held. */
static struct job *
next_job(struct workers *w)
{
	struct job *job;

	while (!w->first && !w->ending)
		pthread_cond_wait(&w->news, &w->lock);
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
	struct workers *w = ctx;
	struct job *job;

	pthread_mutex_lock(&w->lock);
	while ((job = next_job(w)) != NULL) {
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
	while (w->stats.threads < threads &&
	    pthread_create(&w->threads[w->stats.threads], NULL, work, w) == 0)
		w->stats.threads++;
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
	pthread_cond_init(&w->news, NULL);
	start_threads(w, threads);
	if (w->stats.threads == threads)
		return w;
	workers_stop(w);
	return NULL;
}

bool
workers_submit(struct workers *w, struct job *job)
{
	bool fits;

	job->next = NULL;
	job->queued_ms = clock_ms();
	pthread_mutex_lock(&w->lock);
	fits = w->stats.queue_length < w->queue_limit && !w->ending;
	if (!fits) {
		w->stats.jobs_refused++;
	} else if (w->first) {
		w->last->next = job;
	} else {
		w->first = job;
	}
	if (fits) {
		w->last = job;
		w->stats.queue_length++;
		pthread_cond_signal(&w->news);
	}
	pthread_mutex_unlock(&w->lock);
	return fits;
}

void
workers_stop(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->news);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < w->stats.threads; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->news);
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
