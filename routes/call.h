/*
 * A request on its way through its route: the stages are in call.c.  It lives
 * in the request's arena.  A handler has it to itself, on a worker.
 */
#ifndef ROUTES_CALL_H
#define ROUTES_CALL_H

#include "routes/route.h"

struct call {
	struct waiter waiter; /* first: found again from it */
	struct landing landing;
	bool landed; /* .landing is news */
	struct app *app;
	struct request *rq;
	const struct route *route;
	int stage;
	int64_t now_ms; /* when it was entered, first or again */
	enum status status; /* of the handler */
	struct span ids[ROUTER_MAX_IDS]; /* of the path, in order */
	struct span params[PARAMS_MAX]; /* as route->params */
	struct span fields[FIELDS_MAX]; /* as route->fields; .at NULL: absent */
};

/* The server's handler; APP is a struct app. */
enum handled call_handle(void *app, struct request *rq);

/* Is ETAG among them: RFC 9110 section 13.1.2, weak comparison, a list, or '*'. */
bool call_has_same(struct span if_none_match, struct span etag);

/* Who calls, as a parameter of a statement. */
struct span call_user(const struct call *c);
/* Was this sent by a page of ours, or by something that is no browser? */
bool call_has_proof(const struct call *c);
/* Policies for cache_new(), in the order that call.c counts on: routes,
 * guards, sessions. */
int call_policies(struct cache_policy out[CACHE_MAX_POLICIES]);

/*
 * A write: LOCK (may be NULL) and then ST in one transaction.  Each gives one
 * row with an outcome and a body; what was changed is asked of the database,
 * whose triggers know.  After the commit, and before this returns, those tags
 * are raised.  The answer becomes the body.
 */
struct sql_call {
	const struct statement *st;
	const struct span *params;
	int count;
};

#define SQL_CALL(name, ...) \
	(struct sql_call) \
	{ \
		SQL(name), (const struct span[]){ __VA_ARGS__ }, \
		    (int)(sizeof((const struct span[]){ __VA_ARGS__ }) / sizeof(struct span)) \
	}

/* After its statements ST: commit, raise what the transaction changed, and
 * say what came of it.  Ends TX. */
enum status call_commit(struct call *c, struct tx *tx, enum status st) MUST_CHECK;

enum status call_write(
    struct call *c, const struct sql_call *lock, const struct sql_call *write) MUST_CHECK;

#endif
