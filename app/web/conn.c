/*
 * A connection's life: idle, reading, its request handled or parked, sending,
 * idle again.  No function here blocks: what has come is read into the
 * reactor's buffer, and a request that is not whole yet (gate.h) is kept in the
 * connection's own; a full socket moves the connection to the sending list.
 *
 * A request that is answered at once costs one recv and one sendmsg.
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
#include "web/traffic.h"

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
	c->since_ms = c->home->now_ms;
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

	if (!c || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		log_event(LOG_ERROR, "accept", "cannot take a connection: out of memory?");
		free(c);
		close(fd);
		atomic_fetch_sub(&r->connections, 1);
		return;
	}
	c->home = r;
	c->fd = fd;
	c->since_ms = r->now_ms;
	c->request.conn = c;
	arena_init(&c->request.arena, ARENA_BYTES);
	list_add(&r->lists[CONN_IDLE], c);
	count(&r->accepted);
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
	close(c->fd);
	free(c->kept);
	arena_free(&c->request.arena);
	free(c);
}

/* ---- the answer ---- */

static void
write_log(struct conn *c, int64_t us)
{
	struct request *rq = &c->request;
	struct buf *to = &c->home->log;
	struct log_line l;

	if (!log_wants(LOG_INFO))
		return;
	l = log_begin(to, c->home->wall_ms, LOG_INFO, "request");
	log_text(&l, "id", rq->request_id);
	log_word(&l, "method", rq->head ? "HEAD" : method_name(rq->method));
	log_word(&l, "route", rq->route ? rq->route : "-");
	log_number(&l, "status", status_code(rq->response.status));
	log_word(&l, "cache", rq->cache ? rq->cache : "-");
	log_number(&l, "bytes", (int64_t)rq->response.body.len);
	log_number(&l, "us", us);
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
	struct request *rq = &c->request;
	bool close_it = lost || c->close_after || !c->gate.keep_connection || c->home->draining;
	int64_t us;

	us = clock_us() - rq->began_us;
	traffic_count(
	    rq->cells ? rq->cells : c->home->config->cells, rq->response.status, rq->hit, us);
	write_log(c, us);
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

/* Who is resumed meanwhile comes back on this thread, later. */
static void
handle(struct conn *c)
{
	const struct server_config *config = c->home->config;

	if (config->handle(config->app, &c->request) == ANSWERED)
		answer(c);
	else if (c->state != CONN_PARKED)
		move_to(c, CONN_PARKED);
}

/* They come in the order of the table, so the one behind the last is looked at
 * first. */
enum {
#define X(field, text) PARAM_##field,
	REQUEST_PARAMS(X)
#undef X
};

struct params_reader {
	struct request *rq;
	int next;
};

static bool
see_from(struct params_reader *r, int first, struct span name, struct span value)
{
	switch (first) {
#define X(field, text) \
	case PARAM_##field: \
		if (name.len == sizeof(text) - 1 && \
		    memcmp(name.at, text, sizeof(text) - 1) == 0) { \
			if (r->rq->field.at == NULL) \
				r->rq->field = value; \
			r->next = PARAM_##field + 1; \
			return true; \
		} \
		__attribute__((fallthrough));
		REQUEST_PARAMS(X)
#undef X
	default:
		return false;
	}
}

static void
see_param(void *ctx, struct span name, struct span value)
{
	struct params_reader *r = ctx;

	if (!see_from(r, r->next, name, value) && r->next > 0)
		(void)see_from(r, 0, name, value);
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

/* Out of the reactor's buffer into the request's own memory. */
static bool
take(struct conn *c, const unsigned char *wire, enum gate g)
{
	struct request *rq = &c->request;
	char *params = arena_alloc(&rq->arena, c->gate.params_bytes);
	struct params_reader reader = { rq, 0 };
	char *body;

	if (!params || !gate_params(wire, &c->gate, params, see_param, &reader))
		return false;
	rq->method = method_of(rq);
	rq->body = span_make("", 0);
	rq->body_too_large = g == GATE_TOO_LARGE;
	if (rq->body_too_large || c->gate.body_bytes == 0)
		return true;
	body = arena_alloc(&rq->arena, c->gate.body_bytes);
	if (!body)
		return false;
	gate_body(wire, &c->gate, body);
	rq->body = span_make(body, c->gate.body_bytes);
	return true;
}

static void
begin(struct conn *c, const unsigned char *wire, size_t len, enum gate g)
{
	bool fine;

	count(&c->home->requests);
	/* nginx sends no second request before the answer: who does is not
	 * answered twice. */
	c->close_after = g == GATE_TOO_LARGE || len > c->gate.wire_bytes;
	c->request.began_us = clock_us();
	c->request.wall_ms = c->home->wall_ms;
	fine = take(c, wire, g);
	free(c->kept);
	c->kept = NULL;
	c->kept_len = 0;
	if (fine) {
		handle(c);
		return;
	}
	count(&c->home->broken);
	conn_close(c);
}

/* What is there of a request stays until the rest of it comes. */
static void
keep(struct conn *c, const unsigned char *wire, size_t len)
{
	unsigned char *kept = realloc(c->kept, len);

	if (!kept) {
		conn_close(c);
		return;
	}
	memcpy(kept + c->kept_len, wire + c->kept_len, len - c->kept_len);
	c->kept = kept;
	c->kept_len = len;
	if (c->state == CONN_IDLE)
		move_to(c, CONN_READING);
}

/* Read what has come; the buffer holds any whole request, so what does not fit
 * is of none that is answered. */
static void
look(struct conn *c)
{
	struct reactor *r = c->home;
	size_t len = c->kept_len;
	enum gate g;
	ssize_t n;

	do
		n = recv(c->fd, r->wire + len, GATE_WIRE_BYTES - len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	if (len)
		memcpy(r->wire, c->kept, len);
	len += (size_t)n;
	g = gate_look(r->wire, len, &c->gate);
	if (g == GATE_MORE) {
		keep(c, r->wire, len);
	} else if (g == GATE_BROKEN) {
		count(&r->broken);
		conn_close(c);
	} else {
		begin(c, r->wire, len, g);
	}
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
		/* Its end, which came with the last bytes, is not told twice. */
		c->news = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
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
