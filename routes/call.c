/*
 * The stages of a request, in order, on its reactor:
 *
 *   find      the route, or 404, or 405 with Allow
 *   identify  who calls: a session from the cache, or the gateway's word
 *   admit     may this role call this route at all; is the write ours
 *   read      ids of the path, parameters of the query, fields of the body
 *   guard     may this user see this shared entry
 *   answer    the cached read, or the handler on a worker
 *
 * A stage that must wait (for a flight or a worker) parks the request and is
 * entered again when the landing is there.  Denied by default: nothing after
 * admit runs for who was not let in.
 */
#include "routes/call.h"

#include <assert.h>

#include "base/clock.h"
#include "base/text.h"
#include "routes/question.h"
#include "routes/stage.h"
#include "web/traffic.h"

enum step
call_fail(struct call *c, enum status st, const char *detail)
{
	respond_problem(c->rq, st, detail);
	return DONE;
}

struct span
call_user(const struct call *c)
{
	return span_of(c->rq->user.id);
}

static struct cache_policy
internal_policy(const struct cached *cached)
{
	return (struct cache_policy){ cached->prefix, cached->ttl, .internal = true };
}

int
call_policies(struct cache_policy out[CACHE_MAX_POLICIES])
{
	int n = 0;

	assert(route_count + guard_count < CACHE_MAX_POLICIES);
	for (int i = 0; i < route_count; i++) {
		out[n++] = (struct cache_policy){
			.prefix = routes[i].cache.prefix,
			.ttl = routes[i].cache.ttl,
			.internal = routes[i].internal,
			.anonymous = routes[i].who == ANYONE,
		};
	}
	for (int i = 0; i < guard_count; i++)
		out[n++] = internal_policy(&guards[i]->cache);
	out[n++] = internal_policy(&session_cache);
	return n;
}

/* ---- find ---- */

static enum step
say_methods(struct call *c, unsigned allowed)
{
	struct buf allow;

	buf_init(&allow, 128);
	router_allow(allowed, &allow);
	response_header(c->rq, "Allow", buf_span(&allow));
	buf_free(&allow);
	return call_fail(c, BAD_METHOD, NULL);
}

static enum step
find(struct call *c)
{
	struct match m =
	    router_find(c->app->plans->patterns, route_count, c->rq->method, c->rq->path);

	if (m.index >= 0) {
		c->route = &routes[m.index];
		c->rq->route = c->route->at.path;
		c->rq->cells = c->app->traffic + (unsigned)m.index * TRAFFIC_CELLS;
		memcpy(c->ids, m.ids, sizeof(c->ids));
		return NEXT;
	}
	if (m.allowed)
		return say_methods(c, m.allowed);
	return call_fail(c, NOT_FOUND, NULL);
}

/* ---- questions to the cache ---- */

static const char *const how_words[] = {
	[HOW_NONE] = "-",
	[HOW_MEMORY] = "memory",
	[HOW_REDIS] = "redis",
	[HOW_LOADED] = "miss",
	[HOW_NOT_STORED] = "not-stored",
	[HOW_COLLAPSED] = "collapsed",
	[HOW_GRACE] = "grace",
	[HOW_STALE] = "stale",
};

/* On a worker, or on this reactor when the queue is full. */
static void
landed(struct waiter *w, const struct landing *landing)
{
	struct call *c = (struct call *)w; /* its first member */

	c->landing = *landing;
	c->landed = true;
	request_resume(c->rq);
}

/* The landing of this stage's flight.  NEXT with *e NULL: ask again. */
static enum step
take_landing(struct call *c, struct entry **e)
{
	c->landed = false;
	c->rq->redis_us += c->landing.redis_us;
	c->rq->db_us += c->landing.load_us;
	*e = c->landing.entry;
	if (c->landing.status != OK)
		return call_fail(c, c->landing.status, NULL);
	return NEXT;
}

static enum step
take_hit(struct call *c, struct entry **e)
{
	if (!(*e)->absent)
		return NEXT;
	entry_release(*e);
	*e = NULL;
	c->landing.status = NOT_FOUND;
	return call_fail(c, NOT_FOUND, NULL);
}

enum step
call_ask(struct call *c, const struct plan *plan, struct span key, const struct span *values,
    struct entry **e, enum cache_how *how)
{
	struct question q;

	*e = NULL;
	if (key.len == 0)
		return call_fail(c, BAD_REQUEST, "The parameters are too long.");
	if (c->landed) {
		enum step s = take_landing(c, e);

		*how = c->landing.how;
		if (s != NEXT || *e)
			return s;
	}
	*how = HOW_MEMORY;
	*e = cache_hit(c->app->cache, plan->policy, key, c->now_ms);
	if (*e)
		return take_hit(c, e);
	if (!question_make(&q, &c->rq->arena, plan, key, values, c->rq->request_id))
		return call_fail(c, BUSY, NULL);
	c->waiter.landed = landed;
	if (cache_ask(c->app->cache, &q, &c->waiter, e, how) == ASK_WAIT)
		return WAIT;
	return take_hit(c, e);
}

/* ---- read ---- */

/* The name of the I-th ':' segment, for a fault. */
static const char *
id_name(const char *pattern, int i, size_t *len)
{
	const char *at = pattern;

	do
		at = strchr(at, ':') + 1;
	while (i-- > 0);
	*len = strcspn(at, "/");
	return at;
}

static bool
read_ids(struct call *c)
{
	bool fine = true;
	int i = 0;

	for (const char *at = strchr(c->route->at.path, ':'); at; at = strchr(at + 1, ':'), i++) {
		size_t len;
		const char *name = id_name(c->route->at.path, i, &len);

		if (text_is_id(c->ids[i]))
			continue;
		name = arena_copy(&c->rq->arena, span_make(name, len));
		request_fault(c->rq, name ? name : "id",
		    "must be 1 to 64 letters, digits, '-', '_', '.' or '~'");
		fine = false;
	}
	return fine;
}

static enum step
read_input(struct call *c)
{
	enum status st = OK;
	bool ids = read_ids(c);

	if (!params_read(c->rq, c->route->params, c->params) || !ids)
		return call_fail(c, BAD_REQUEST, "The address is not valid; see errors.");
	if (c->route->fields)
		st = fields_read(c->rq, c->route->fields, c->fields);
	else if (c->rq->body_too_large)
		st = TOO_LARGE;
	if (st == BAD_REQUEST)
		return call_fail(c, st, "The body is not valid; see errors.");
	return st == OK ? NEXT : call_fail(c, st, NULL);
}

/* ---- guard ---- */

static struct span
value_of(const struct call *c, struct source s)
{
	switch (s.from) {
	case FROM_PATH:
		return c->ids[s.index];
	case FROM_QUERY:
		return c->params[s.index];
	case FROM_USER:
	default:
		return call_user(c);
	}
}

static enum step
ask_plan(struct call *c, const struct plan *plan, struct entry **e, enum cache_how *how)
{
	struct span values[KEY_MAX_PARTS];

	for (int i = 0; i < plan->count; i++)
		values[i] = value_of(c, plan->values[i]);
	return call_ask(c, plan, key_build(&c->rq->arena, &plan->shape, values), values, e, how);
}

static enum step
guard(struct call *c)
{
	struct entry *e;
	enum cache_how how;
	enum step s;
	bool ok;

	if (!c->route->guard)
		return NEXT;
	s = ask_plan(c, &c->app->plans->guards[c->route - routes], &e, &how);
	if (s != NEXT)
		return s;
	ok = span_is(entry_body(e), "ok");
	entry_release(e);
	return ok ? NEXT : call_fail(c, FORBIDDEN, "Join this course first.");
}

/* ---- answer ---- */

static void
release_entry(void *hold)
{
	entry_release(hold);
}

bool
call_has_same(struct span if_none_match, struct span etag)
{
	struct span opaque = span_skip(etag, 2); /* behind W/ */

	if (if_none_match.len == 0)
		return false;
	return span_is(if_none_match, "*") ||
	    memmem(if_none_match.at, if_none_match.len, opaque.at, opaque.len) != NULL;
}

/* RFC 9211. */
static const struct span cache_words[] = {
	[HOW_NONE] = SPAN("fwd=bypass"),
	[HOW_MEMORY] = SPAN("hit; detail=memory"),
	[HOW_REDIS] = SPAN("hit; detail=redis"),
	[HOW_LOADED] = SPAN("fwd=uri-miss; stored"),
	[HOW_NOT_STORED] = SPAN("fwd=uri-miss"),
	[HOW_COLLAPSED] = SPAN("fwd=uri-miss; collapsed"),
	[HOW_GRACE] = SPAN("hit; detail=grace"),
	[HOW_STALE] = SPAN("hit; detail=stale"),
};

static enum step
answer_read(struct call *c)
{
	struct response *rs = &c->rq->response;
	struct entry *e;
	enum cache_how how;
	enum step s = ask_plan(c, &c->app->plans->reads[c->route - routes], &e, &how);

	if (s != NEXT)
		return s;
	c->rq->cache = how_words[how];
	c->rq->hit = how == HOW_MEMORY;
	rs->cache_status = cache_words[how];
	rs->ttl_s = (e->expires_ms - c->now_ms) / 1000;
	rs->status = call_has_same(c->rq->if_none_match, entry_etag(e)) ? NOT_MODIFIED : OK;
	rs->body = entry_body(e);
	rs->body_digits = entry_digits(e);
	rs->gzip = e->gzip;
	rs->etag = entry_etag(e);
	rs->hold = e;
	rs->release = release_entry;
	return DONE;
}

static enum step
answer_status(struct call *c)
{
	enum status st = c->status;

	/* A handler that failed may have said why itself. */
	if (c->rq->response.status != st || !c->rq->response.body.len)
		respond_problem(c->rq, st, NULL);
	return DONE;
}

/* Who has waited longer in the queue is answered 503 and nothing is done: nginx
 * would have answered for us before the end. */
#define QUEUED_MAX_MS 5000

static void
run_handler(struct job *job)
{
	struct request *rq =
	    (struct request *)(void *)((char *)job - offsetof(struct request, job));
	struct call *c = rq->state;

	db_asker(method_name(c->route->at.method), c->route->at.path, rq->request_id);
	if (clock_ms() - job->queued_ms > QUEUED_MAX_MS)
		c->status = BUSY;
	else
		c->status = c->route->run(c);
	db_asker(NULL, NULL, span_of(""));
	c->landed = true;
	request_resume(rq);
}

/* What operators look at and do is wanted most when everybody waits. */
static bool
submit(struct call *c)
{
	enum who who = c->route->who;

	return who == OPERATOR || who == NETWORK
	    ? workers_submit_first(c->app->workers, &c->rq->job)
	    : workers_submit(c->app->workers, &c->rq->job);
}

static enum step
answer(struct call *c)
{
	if (c->route->query)
		return answer_read(c);
	if (c->landed)
		return answer_status(c);
	if (c->route->quick) {
		c->status = c->route->run(c);
		return answer_status(c);
	}
	c->rq->job.run = run_handler;
	if (submit(c))
		return WAIT;
	return call_fail(c, BUSY, NULL);
}

/* ---- all of it ---- */

static struct call *
call_of(struct app *app, struct request *rq)
{
	struct call *c = rq->state;

	if (c) {
		c->now_ms = clock_ms();
		return c;
	}
	c = rq->state = arena_alloc(&rq->arena, sizeof(*c));
	if (c) {
		c->app = app;
		c->rq = rq;
		c->now_ms = rq->began_us / 1000;
	}
	return c;
}

enum handled
call_handle(void *app, struct request *rq)
{
	static enum step (*const stages[])(struct call * c) = {
		find,
		stage_identify,
		stage_admit,
		read_input,
		guard,
		answer,
	};
	struct call *c = call_of(app, rq);

	if (!c) {
		respond_problem(rq, BUSY, NULL);
		return ANSWERED;
	}
	for (;;) {
		switch (stages[c->stage](c)) {
		case NEXT:
			c->stage++;
			continue;
		case WAIT:
			return PARKED;
		case DONE:
			return ANSWERED;
		}
	}
}
