/*
 * What every handler may use.  Made by main.c before the first request, never
 * changed after, but for .server.
 */
#ifndef ROUTES_APP_H
#define ROUTES_APP_H

#include "auth/password.h"
#include "base/config.h"
#include "base/workers.h"
#include "cache/cache.h"
#include "db/db.h"
#include "web/server.h"

struct plans;
struct surveyor;
struct tend;
struct warm;

struct app {
	const struct config *config;
	struct workers *workers;
	struct db *db;
	struct remote *remote;
	struct cache *cache;
	struct plans *plans; /* of every route's questions */
	struct password_gate *passwords;
	struct surveyor *surveyor;
	struct tend *tend;
	struct warm *warm;
	unsigned traffic; /* cells of every route, then those of none; web/traffic.h */
	unsigned delays; /* cells of the listener's histogram */
	int64_t started_ms; /* wall clock */
	_Atomic(struct server *) server; /* NULL until it runs */
};

#endif
