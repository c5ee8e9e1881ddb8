/*
 * Two buffers: one is filled under the lock, the other is being written.  Who
 * puts wakes the thread only when it sleeps; behind each write it pauses, so
 * that it is woken at most some hundred times a second and not at every line.
 */
#include "base/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROOM_BYTES ((size_t)1 << 20)
#define PAUSE_NS 5000000L

static struct {
	pthread_mutex_t lock;
	pthread_cond_t news;
	pthread_t thread;
	char *filling;
	char *writing;
	size_t len;
	_Atomic size_t dropped; /* bytes, since it was last asked */
	_Atomic uint64_t lost; /* since the start */
	bool runs;
	bool sleeps;
	bool ending;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER };

static bool
is_file(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

/* As many whole lines as surely fit into a pipe that has room. */
static size_t
piece_of(struct span lines)
{
	size_t len = lines.len < PIPE_BUF ? lines.len : PIPE_BUF;
	const char *end = memrchr(lines.at, '\n', len);

	return end ? (size_t)(end - lines.at) + 1 : len;
}

/*
 * A pipe whose reader is stuck must not stop the service: a pipe that says it
 * has room takes PIPE_BUF bytes without blocking, as long as nobody else
 * writes in between, which is what the lock is for.
 */
void
sink_write(struct span lines)
{
	static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	bool file;

	if (lines.len == 0)
		return;
	pthread_mutex_lock(&alone);
	file = is_file();
	while (lines.len && poll(&p, 1, 0) > 0 && (p.revents & POLLOUT)) {
		ssize_t n = write(STDERR_FILENO, lines.at, file ? lines.len : piece_of(lines));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		lines = span_skip(lines, (size_t)n);
	}
	pthread_mutex_unlock(&alone);
}

/* With the lock; without it while writing. */
static void
write_once(void)
{
	char *full = sink.filling;
	size_t len = sink.len;
	bool ending = sink.ending;

	sink.filling = sink.writing;
	sink.writing = full;
	sink.len = 0;
	pthread_mutex_unlock(&sink.lock);
	sink_write(span_make(full, len));
	if (!ending)
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	pthread_mutex_lock(&sink.lock);
}

static void *
run(void *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&sink.lock);
	while (!sink.ending || sink.len) {
		if (sink.len) {
			write_once();
			continue;
		}
		sink.sleeps = true;
		pthread_cond_wait(&sink.news, &sink.lock);
		sink.sleeps = false;
	}
	pthread_mutex_unlock(&sink.lock);
	return NULL;
}

static void
free_buffers(void)
{
	free(sink.filling);
	free(sink.writing);
	sink.filling = sink.writing = NULL;
}

bool
sink_start(void)
{
	sigset_t all;
	sigset_t before;

	sink.filling = malloc(ROOM_BYTES);
	sink.writing = malloc(ROOM_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	sink.ending = false;
	sink.runs =
	    sink.filling && sink.writing && pthread_create(&sink.thread, NULL, run, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!sink.runs)
		free_buffers();
	return sink.runs;
}

void
sink_stop(void)
{
	if (!sink.runs)
		return;
	pthread_mutex_lock(&sink.lock);
	sink.ending = true;
	pthread_cond_signal(&sink.news);
	pthread_mutex_unlock(&sink.lock);
	pthread_join(sink.thread, NULL);
	sink.runs = false;
	free_buffers();
}

bool
sink_put(struct span lines)
{
	bool wake;

	if (!sink.runs)
		return false;
	pthread_mutex_lock(&sink.lock);
	if (lines.len <= ROOM_BYTES - sink.len) {
		memcpy(sink.filling + sink.len, lines.at, lines.len);
		sink.len += lines.len;
	} else {
		atomic_fetch_add(&sink.dropped, lines.len);
		atomic_fetch_add(&sink.lost, lines.len);
	}
	wake = sink.sleeps;
	sink.sleeps = false;
	pthread_mutex_unlock(&sink.lock);
	if (wake)
		pthread_cond_signal(&sink.news);
	return true;
}

size_t
sink_dropped(void)
{
	return atomic_load_explicit(&sink.dropped, memory_order_relaxed)
	    ? atomic_exchange(&sink.dropped, 0)
	    : 0;
}

uint64_t
sink_lost(void)
{
	return atomic_load(&sink.lost);
}
