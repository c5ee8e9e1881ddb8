/*
 * Between the listener, which knows the database, and the cache, which does
 * not.  See db/listener.h and cache/cache.h.
 */
#ifndef HEAR_H
#define HEAR_H

#include "db/listener.h"
#include "routes/app.h"

/* Hear for the cache of APP, which must outlive the listener; NULL if the
 * thread cannot be made. */
struct listener *hear_start(struct app *app);

#endif
