/*
 * A connection's life: idle, reading, its request handled or parked, sending,
 * idle again.  No function here blocks: the gate (gate.h) lets libfcgi read
 * only what is already in the socket, and a full socket moves the connection
 * to the sending list.
 *
 * The descriptor is registered edge-triggered once.  An edge that comes while
 * a request is under way is remembered in .news and looked at afterwards.
 */
#include "web/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define ARENA_BYTES (1u << 20)
#define LOG_FLUSH_BYTES 32768
#define READ_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

static void
list_remove(struct conn_list *l, struct conn *c)
{
	if (c->older)
		c->older->newer = c->newer;
	else
		l->oldest = c->newer;
	if (c->newer)
		c->newer->older = c->older;
	else
		l->newest = c->older;
	l->count--;
}

static void
list_add(struct conn_list *l, struct conn *c)
{
	c->newer = NULL;
	c->older = l->newest;
	if (l->newest)
		l->newest->newer = c;
	else
		l->oldest = c;
	l->newest = c;
	l->count++;
}

static void
move_to(struct conn *c, enum conn_state state)
{
	list_remove(&c->home->lists[c->state], c);
	c->state = state;
	c->since_ms = clock_ms();
	list_add(&c->home->lists[state], c);
}

static void
count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void
conn_open(struct reactor *r, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event event = { .events = READ_EVENTS, .data.ptr = c };

	if (c)
		c->fcgi = fcgi_new(fd);
	if (!c || !c->fcgi || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		log_event(LOG_ERROR, "accept", "cannot take a connection: out of memory?");
		if (c)
			fcgi_free(c->fcgi);
		free(c);
		close(fd);
		return;
	}
	c->home = r;
	c->fd = fd;
	c->since_ms = clock_ms();
	c->request.conn = c;
	arena_init(&c->request.arena, ARENA_BYTES);
	list_add(&r->lists[CONN_IDLE], c);
	count(&r->accepted);
	atomic_fetch_add(&r->connections, 1);
}

void
conn_close(struct conn *c)
{
	struct response *rs = &c->request.response;

	list_remove(&c->home->lists[c->state], c);
	atomic_fetch_sub(&c->home->connections, 1);
	if (rs->release)
		rs->release(rs->hold);
	if (rs->headers)
		buf_free(rs->headers);
	fcgi_free(c->fcgi);
	if (c->fd >= 0)
		close(c->fd);
	arena_free(&c->request.arena);
	free(c);
}

/* ---- the answer ---- */

static void
write_log(struct conn *c)
{
	struct request *rq = &c->request;
	struct buf *to = &c->home->log;
	struct log_line l;

	if (!log_wants(LOG_INFO))
		return;
	l = log_begin(to, clock_wall_ms(), LOG_INFO, "request");
	log_text(&l, "id", rq->request_id);
	log_text(&l, "method", rq->head ? span_of("HEAD") : span_of(method_name(rq->method)));
	log_text(&l, "route", span_of(rq->route ? rq->route : "-"));
	log_number(&l, "status", status_code(rq->response.status));
	log_text(&l, "cache", span_of(rq->cache ? rq->cache : "-"));
	log_number(&l, "bytes", (int64_t)rq->response.body.len);
	log_number(&l, "us", clock_us() - rq->began_us);
	log_number(&l, "redis_us", rq->redis_us);
	log_number(&l, "db_us", rq->db_us);
	log_end(&l);
	if (to->len > LOG_FLUSH_BYTES)
		log_flush(to);
}

/* Everything of the last request goes; the arena keeps its first block. */
static void
forget(struct conn *c)
{
	struct request *rq = &c->request;
	struct arena arena;

	if (rq->response.release)
		rq->response.release(rq->response.hold);
	if (rq->response.headers)
		buf_free(rq->response.headers);
	fcgi_done(c->fcgi);
	arena_reset(&rq->arena);
	arena = rq->arena;
	memset(rq, 0, sizeof(*rq));
	rq->arena = arena;
	rq->conn = c;
}

static void look(struct conn *c);

static void
finish(struct conn *c, bool lost)
{
	bool close_it = lost || c->close_after || !c->gate.keep_connection || c->home->draining;

	write_log(c);
	forget(c);
	if (close_it) {
		conn_close(c);
		return;
	}
	move_to(c, CONN_IDLE);
	if (c->news) {
		c->news = false;
		look(c);
	}
}

static void
watch_writes(struct conn *c, bool on)
{
	struct epoll_event event = {
		.events = READ_EVENTS | (on ? EPOLLOUT : 0u),
		.data.ptr = c,
	};

	epoll_ctl(c->home->epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void
go_on_sending(struct conn *c)
{
	enum frame_sent sent = frame_send(&c->frame, c->fd);

	if (sent == FRAME_AGAIN && c->state != CONN_SENDING) {
		move_to(c, CONN_SENDING);
		watch_writes(c, true);
		return;
	}
	if (sent == FRAME_AGAIN)
		return;
	if (c->state == CONN_SENDING)
		watch_writes(c, false);
	finish(c, sent == FRAME_LOST);
}

static void
answer(struct conn *c)
{
	struct request *rq = &c->request;
	struct span head = response_head(rq, clock_us() - rq->began_us);
	bool no_body = rq->head || rq->response.status == NOT_MODIFIED;

	if (head.len &&
	    frame_make(&c->frame, &rq->arena, c->gate.id, head,
		no_body ? span_make("", 0) : rq->response.body)) {
		go_on_sending(c);
		return;
	}
	log_event(LOG_ERROR, "answer", "no memory for an answer: connection closed");
	finish(c, true);
}

/* ---- the request ---- */

static void
handle(struct conn *c)
{
	const struct server_config *config = c->home->config;

	/* Parked before the handler runs: it may be resumed before it returns. */
	if (c->state != CONN_PARKED)
		move_to(c, CONN_PARKED);
	if (config->handle(config->app, &c->request) == ANSWERED)
		answer(c);
}

static void
see_param(void *ctx, struct span name, struct span value)
{
	struct request *rq = ctx;

#define X(field, text) \
	if (rq->field.at == NULL && span_is(name, text)) { \
		rq->field = value; \
		return; \
	}
	REQUEST_PARAMS(X)
#undef X
}

static enum method
method_of(struct request *rq)
{
	rq->head = span_is(rq->method_text, "HEAD");
	if (rq->head)
		return METHOD_GET;
#define X(name) \
	if (span_is(rq->method_text, #name)) \
		return METHOD_##name;
	METHOD_TABLE(X)
#undef X
	return METHOD_OTHER;
}

static bool
read_body(struct conn *c)
{
	struct request *rq = &c->request;
	size_t room = c->gate.body_bytes;
	char *at = arena_alloc(&rq->arena, room + 1);

	if (!at || !fcgi_body(c->fcgi, at, room, &rq->body.len))
		return false;
	rq->body.at = at;
	return rq->body.len == room;
}

static void
begin(struct conn *c, bool too_large)
{
	struct request *rq = &c->request;

	count(&c->home->requests);
	if (!fcgi_accept(c->fcgi)) {
		c->fd = -1; /* libfcgi closed it */
		conn_close(c);
		return;
	}
	fcgi_params(c->fcgi, see_param, rq);
	rq->method = method_of(rq);
	rq->body_too_large = too_large;
	if (too_large) {
		c->close_after = true;
	} else if (!read_body(c)) {
		count(&c->home->broken);
		conn_close(c);
		return;
	}
	handle(c);
}

/* What is in the socket?  Nothing is taken out before the gate says so. */
static void
look(struct conn *c)
{
	struct reactor *r = c->home;
	int64_t now_us = clock_us();
	ssize_t n = recv(c->fd, r->peek, GATE_PEEK_BYTES, MSG_PEEK | MSG_DONTWAIT);
	enum gate g;

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	g = gate_look(r->peek, (size_t)n, &c->gate);
	if (g == GATE_MORE) {
		if (c->state == CONN_IDLE)
			move_to(c, CONN_READING);
		return;
	}
	if (g == GATE_BROKEN) {
		count(&r->broken);
		conn_close(c);
		return;
	}
	/* nginx sends no second request before the answer; whoever does would
	 * have its beginning swallowed by libfcgi's buffer. */
	if (g == GATE_READY && (size_t)n > c->gate.wire_bytes)
		c->close_after = true;
	c->request.began_us = now_us;
	begin(c, g == GATE_TOO_LARGE);
}

void
conn_event(struct conn *c, uint32_t events)
{
	if (c->state == CONN_SENDING && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))) {
		c->news |= (events & (EPOLLIN | EPOLLRDHUP)) != 0;
		go_on_sending(c);
	} else if (c->state == CONN_SENDING || c->state == CONN_PARKED) {
		c->news = true;
	} else {
		look(c);
	}
}

void
conn_resume(struct conn *c)
{
	handle(c);
}

/* ---- time ---- */

static int
expire_list(struct reactor *r, enum conn_state state, int limit_ms, int64_t now_ms)
{
	struct conn_list *l = &r->lists[state];

	while (l->oldest && now_ms - l->oldest->since_ms >= limit_ms) {
		count(&r->too_slow);
		conn_close(l->oldest);
	}
	return l->oldest ? (int)(l->oldest->since_ms + limit_ms - now_ms) : -1;
}

int
conn_expire(struct reactor *r, int64_t now_ms)
{
	int reading = expire_list(r, CONN_READING, r->config->request_ms, now_ms);
	int sending = expire_list(r, CONN_SENDING, r->config->send_ms, now_ms);

	if (reading < 0 || sending < 0)
		return reading > sending ? reading : sending;
	return reading < sending ? reading : sending;
}

void
conn_drain(struct reactor *r)
{
	struct conn *next;

	for (struct conn *c = r->lists[CONN_IDLE].oldest; c; c = next) {
		next = c->newer;
		look(c);
	}
	while (r->lists[CONN_IDLE].oldest)
		conn_close(r->lists[CONN_IDLE].oldest);
}

size_t
conn_count(const struct reactor *r)
{
	size_t n = 0;

	for (int i = 0; i < CONN_STATES; i++)
		n += r->lists[i].count;
	return n;
}
