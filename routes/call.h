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
	enum status status; /* of the handler */
	struct span ids[ROUTER_MAX_IDS]; /* of the path, in order */
	struct span params[PARAMS_MAX]; /* as route->params */
	struct span fields[FIELDS_MAX]; /* as route->fields; .at NULL: absent */
};

/* The server's handler; APP is a struct app. */
enum handled call_handle(void *app, struct request *rq);

/* Who calls, as a parameter of a statement. */
struct span call_user(const struct call *c);
/* Was this sent by a page of ours, or by something that is no browser? */
bool call_has_proof(const struct call *c);
/* Policies for cache_new(), in the order that call.c counts on: routes,
 * guards, sessions. */
int call_policies(struct cache_policy out[CACHE_MAX_POLICIES]);

/*
 * A write: LOCK (may be NULL) and then ST in one transaction.  Each gives one
 * row with an outcome, a body and the tags to raise.  After the commit, and
 * before this returns, the tags are raised; so they are when the outcome of
 * the commit is unknown.  The answer becomes the body.
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

enum status call_write(
    struct call *c, const struct sql_call *lock, const struct sql_call *write) MUST_CHECK;

#endif
