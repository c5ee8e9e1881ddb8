/*
 * Reactors: one thread each, one epoll set each, with the listening socket in
 * it (exclusive wake-up), a descriptor that wakes it, and the connections that
 * it accepted (conn.c).  A round of the loop: events, resumed requests, new
 * connections, and then the log lines of the round, which another thread writes
 * out (base/sink.h).
 *
 * Locks: none.  Other threads reach a reactor only through the stacks of
 * resumed requests and of new connections, and the wake-up descriptor.  All
 * signals are blocked in these threads.
 */
#include "web/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "web/conn.h"
#include "web/peer.h"

#define EVENTS 128
#define ACCEPTS_A_ROUND 32
#define ACCEPT_PAUSE_MS 100
#define LOG_BYTES (1u << 20)

struct slot {
	struct reactor reactor;
	pthread_t thread;
	bool running;
};

struct server {
	struct server_config config;
	struct peer_rule peers;
	_Atomic bool draining;
	_Atomic bool abandoned;
	struct slot *slots;
};

/* Markers in epoll's data, beside pointers to connections. */
static const char listener_mark;
static const char wake_mark;

static void
wake(struct reactor *r)
{
	uint64_t one = 1;

	/* It can only fail when the counter is full, and then it is awake. */
	if (write(r->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void
request_resume(struct request *rq)
{
	struct reactor *r = rq->conn->home;
	struct request *top = atomic_load(&r->resumed);

	do
		rq->next_resumed = top;
	while (!atomic_compare_exchange_weak(&r->resumed, &top, rq));
	/* After this RQ may be gone.  Only the first of a batch needs to wake. */
	if (!top)
		wake(r);
}

static void
run_resumed(struct reactor *r)
{
	struct request *newest = atomic_exchange(&r->resumed, NULL);
	struct request *oldest = NULL;

	while (newest) {
		struct request *next = newest->next_resumed;

		newest->next_resumed = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct request *next = oldest->next_resumed;

		conn_resume(oldest->conn);
		oldest = next;
	}
}

/* ---- accepting ---- */

static void
listen_on(struct reactor *r)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLEXCLUSIVE,
		.data.ptr = (void *)(uintptr_t)&listener_mark,
	};

	r->listening = epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->config->listen_fd, &event) == 0;
	if (!r->listening)
		log_event(
		    LOG_ERROR, "listen", "epoll refuses the listening socket: %s", strerror(errno));
}

static void
listen_off(struct reactor *r, int64_t again_ms)
{
	if (r->listening)
		epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->config->listen_fd, NULL);
	r->listening = false;
	r->listen_again_ms = again_ms;
}

/* Room for one more: an idle connection may go, nginx will make another. */
static bool
make_room(struct reactor *r)
{
	if (conn_count(r) < (size_t)r->config->connections)
		return true;
	if (!r->lists[CONN_IDLE].oldest)
		return false;
	conn_close(r->lists[CONN_IDLE].oldest);
	return true;
}

/* The reactor with the fewest connections: whoever is woken first would
 * otherwise have most of them, and keep them. */
static struct reactor *
least_busy(struct reactor *r)
{
	struct server *s = r->server;
	struct reactor *least = r;

	for (int i = 0; i < s->config.reactors; i++) {
		struct reactor *other = &s->slots[i].reactor;

		if (atomic_load(&other->connections) < atomic_load(&least->connections))
			least = other;
	}
	return least;
}

static void
hand_over(struct reactor *to, int fd)
{
	struct newcomer *one = malloc(sizeof(*one));

	if (!one) {
		close(fd);
		atomic_fetch_sub(&to->connections, 1);
		return;
	}
	one->fd = fd;
	one->next = atomic_load(&to->newcomers);
	while (!atomic_compare_exchange_weak(&to->newcomers, &one->next, one))
		;
	wake(to);
}

static void
take_newcomers(struct reactor *r)
{
	struct newcomer *one = atomic_exchange(&r->newcomers, NULL);

	while (one) {
		struct newcomer *next = one->next;

		conn_open(r, one->fd);
		free(one);
		one = next;
	}
}

static void
welcome(struct reactor *r, int fd)
{
	struct reactor *home = least_busy(r);

	if (!peer_allowed(&r->server->peers, fd)) {
		log_event(LOG_WARN, "peer",
		    "refused: neither root, nor our user, nor of the socket's group");
		close(fd);
		return;
	}
	atomic_fetch_add(&home->connections, 1);
	if (home == r)
		conn_open(r, fd);
	else
		hand_over(home, fd);
}

static void
accept_some(struct reactor *r)
{
	for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
		int fd = -1;

		if (make_room(r))
			fd =
			    accept4(r->config->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		else
			errno = EMFILE;
		if (fd >= 0) {
			welcome(r, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		log_event(LOG_WARN, "accept", "no new connections for %d ms: %s", ACCEPT_PAUSE_MS,
		    strerror(errno));
		listen_off(r, clock_ms() + ACCEPT_PAUSE_MS);
		return;
	}
}

/* ---- the loop ---- */

static void
take_event(struct reactor *r, const struct epoll_event *event)
{
	uint64_t ignored;

	if (event->data.ptr == &listener_mark) {
		if (r->listening)
			accept_some(r);
	} else if (event->data.ptr == &wake_mark) {
		if (read(r->wake_fd, &ignored, sizeof(ignored)) < 0)
			return;
	} else {
		conn_event(event->data.ptr, event->events);
	}
}

/* How long may the reactor sleep? */
static int
keep_time(struct reactor *r)
{
	int64_t now = clock_ms();
	int sleep_ms = conn_expire(r, now);

	if (r->draining && conn_count(r) == 0)
		return 0; /* the last one has just gone: see goes_on() */
	if (r->draining || r->listening)
		return sleep_ms;
	if (now >= r->listen_again_ms) {
		listen_on(r);
		return r->listening ? sleep_ms : ACCEPT_PAUSE_MS;
	}
	return sleep_ms >= 0 && sleep_ms < ACCEPT_PAUSE_MS ? sleep_ms : ACCEPT_PAUSE_MS;
}

static bool
goes_on(struct reactor *r)
{
	struct server *s = r->server;

	if (atomic_load(&s->abandoned))
		return false;
	if (!r->draining && atomic_load(&s->draining)) {
		r->draining = true;
		listen_off(r, 0);
	}
	if (r->draining)
		conn_drain(r);
	return !r->draining || conn_count(r) > 0;
}

/* Exact enough for states and log lines. */
static void
read_clocks(struct reactor *r)
{
	r->now_ms = clock_ms();
	r->wall_ms = clock_wall_ms();
}

static void *
run(void *ctx)
{
	struct reactor *r = ctx;
	struct epoll_event events[EVENTS];

	while (goes_on(r)) {
		int n = epoll_wait(r->epoll_fd, events, EVENTS, keep_time(r));

		read_clocks(r);
		/* An event's connection cannot have been closed in this round by
		 * another event: each is closed only by its own, by time, or to
		 * make room for new ones, which come last. */
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr != &listener_mark)
				take_event(r, &events[i]);
		}
		run_resumed(r);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &listener_mark)
				take_event(r, &events[i]);
		}
		take_newcomers(r);
		log_flush(&r->log);
	}
	return NULL;
}

/* ---- start and stop ---- */

static bool
reactor_open(struct reactor *r, struct server *s)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.ptr = (void *)(uintptr_t)&wake_mark,
	};

	r->server = s;
	r->config = &s->config;
	buf_init(&r->log, LOG_BYTES);
	r->wire = malloc(GATE_WIRE_BYTES);
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!r->wire || r->epoll_fd < 0 || r->wake_fd < 0 ||
	    epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->wake_fd, &event) < 0)
		return false;
	listen_on(r);
	return r->listening;
}

static void
reactor_close(struct reactor *r)
{
	take_newcomers(r);
	for (int i = 0; i < CONN_STATES; i++) {
		while (r->lists[i].oldest)
			conn_close(r->lists[i].oldest);
	}
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	free(r->wire);
	buf_free(&r->log);
}

static bool
start_thread(struct slot *slot)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	slot->running = pthread_create(&slot->thread, NULL, run, &slot->reactor) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return slot->running;
}

struct server *
server_start(const struct server_config *config)
{
	struct server *s = calloc(1, sizeof(*s));
	bool fine = s != NULL;

	if (fine) {
		s->config = *config;
		s->peers = peer_rule_of(config->listen_fd);
		s->slots = calloc((size_t)config->reactors, sizeof(s->slots[0]));
		fine = s->slots != NULL;
	}
	for (int i = 0; fine && i < config->reactors; i++)
		s->slots[i].reactor.epoll_fd = s->slots[i].reactor.wake_fd = -1;
	/* All of them, before any hands a connection to another. */
	for (int i = 0; fine && i < config->reactors; i++)
		fine = reactor_open(&s->slots[i].reactor, s);
	for (int i = 0; fine && i < config->reactors; i++)
		fine = start_thread(&s->slots[i]);
	if (fine)
		return s;
	log_event(LOG_ERROR, "start", "cannot start the event loops: %s", strerror(errno));
	if (s && s->slots)
		(void)server_stop(s, 0);
	server_free(s);
	return NULL;
}

static bool
join_all(struct server *s, const struct timespec *until)
{
	bool all = true;

	for (int i = 0; i < s->config.reactors; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->running && pthread_timedjoin_np(slot->thread, NULL, until) == 0)
			slot->running = false;
		all = all && !slot->running;
	}
	return all;
}

static void
wake_all(struct server *s)
{
	for (int i = 0; i < s->config.reactors; i++) {
		if (s->slots[i].running)
			wake(&s->slots[i].reactor);
	}
}

bool
server_stop(struct server *s, int drain_ms)
{
	struct timespec until;
	bool drained;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += drain_ms / 1000;
	until.tv_nsec += (drain_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	atomic_store(&s->draining, true);
	wake_all(s);
	drained = join_all(s, &until);
	atomic_store(&s->abandoned, true);
	wake_all(s);
	for (int i = 0; i < s->config.reactors; i++) {
		if (s->slots[i].running)
			pthread_join(s->slots[i].thread, NULL);
	}
	return drained;
}

void
server_free(struct server *s)
{
	if (!s)
		return;
	for (int i = 0; s->slots && i < s->config.reactors; i++)
		reactor_close(&s->slots[i].reactor);
	free(s->slots);
	free(s);
}

void
server_read_stats(struct server *s, struct server_stats *out)
{
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < s->config.reactors; i++) {
		struct reactor *r = &s->slots[i].reactor;
		uint64_t connections = atomic_load(&r->connections);

		out->requests += atomic_load(&r->requests);
		out->connections += connections;
		if (connections > out->most_connections)
			out->most_connections = connections;
		out->accepted += atomic_load(&r->accepted);
		out->broken += atomic_load(&r->broken);
		out->too_slow += atomic_load(&r->too_slow);
	}
}
