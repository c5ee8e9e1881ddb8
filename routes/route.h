/*
 * What a route is: data.  A cached read names its parameters, its cache prefix
 * and key, and its SQL file, and nothing else; see the table in routes.c.
 * Everything else has a handler that runs on a worker.
 */
#ifndef ROUTES_ROUTE_H
#define ROUTES_ROUTE_H

#include "cache/key.h"
#include "routes/app.h"
#include "web/fields.h"
#include "web/params.h"
#include "web/router.h"

/* OPERATOR: an admin too.  NETWORK: the operator, and who comes from the
 * operator's network, as nginx says. */
enum who { ANYONE, SIGNED_IN, ADMIN, OPERATOR, NETWORK };

struct call;

/*
 * A question to the cache.  The values of .by are the parameters $1, $2, ...
 * of the statement, in that order, and the parameters of the key.  They are
 * names of the path (":courseId"), of the query, or "userId" and "adminId"
 * for who calls.
 */
struct cached {
	const char *prefix;
	enum ttl_class ttl;
	const char *by[KEY_MAX_PARTS];
};

#define KEYED_BY(...) \
	{ \
		__VA_ARGS__ \
	}

/* Decides about a shared entry for who calls: the statement's body is "ok" or
 * "forbidden"; no row is "not found". */
struct guard {
	struct cached cache;
	const struct statement *query;
};

struct route {
	struct pattern at;
	enum who who;
	const struct param *params; /* of the query; NULL: none */

	/* A cached read ... */
	struct cached cache;
	const struct statement *query;
	const struct guard *guard; /* NULL: none */
	bool internal; /* its entries are left out of the totals */

	/* ... or a handler, with the fields of its body. */
	const struct field *fields; /* NULL: no body is read */
	enum status (*run)(struct call *c);
	bool quick; /* ... that never blocks: it runs on the reactor */
};

/* The table. */
extern const struct route routes[];
extern const int route_count;
extern const struct guard *const guards[];
extern const int guard_count;
extern const struct cached session_cache;

#endif
