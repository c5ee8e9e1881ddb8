/*
 * What every handler may use.  Made by main.c before the first thread, never
 * changed after.
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

struct app {
	const struct config *config;
	struct workers *workers;
	struct db *db;
	struct remote *remote;
	struct cache *cache;
	struct plans *plans; /* of every route's questions */
	struct password_gate *passwords;
};

#endif
