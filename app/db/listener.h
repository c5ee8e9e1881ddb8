/*
 * Hears what changes in the database, whoever changes it: one thread with one
 * connection of its own.  A NOTIFY wakes it, the outbox says what changed, and
 * it also looks every quarter of heard_ms, so that a lost wake-up costs that
 * much and nothing else.
 *
 * The place in the outbox (the bookmark: a snapshot, see
 * sql/migrations/0005_outbox.sql) is kept while the connection is away, so
 * that after it everything is heard that was missed.
 */
#ifndef DB_LISTENER_H
#define DB_LISTENER_H

#include "db/db.h"

struct listener;

#define LISTENER_BOOKMARK_BYTES 1024
/* More transactions than this at once are told as one. */
#define LISTENER_GROUPS 64

/* All are called on the listener's thread and may block for a while. */
struct listener_config {
	struct db *db;
	int heard_ms;
	int keep_s; /* rows of the outbox, */
	int64_t rows; /* and how many at most */
	/* $1 bookmark or null, $2 "again" after a connection was made, or null ->
	 * outcome "ok" or "lost", body the new bookmark, tags with '@', its
	 * number, ' ' and its age in microseconds before those of each
	 * transaction. */
	const struct statement *read;
	/* First of METRICS_HISTOGRAM cells: from when a change was made until it was
	 * told, of those that came while it listened.  The database's clock and ours
	 * need not agree. */
	unsigned delays;
	const struct statement *prune; /* $1 keep_s, $2 rows -> body: how many went */
	void *ctx;
	/* Once, at the start: where others have got to; empty: not known. */
	void (*recall)(void *ctx, char bookmark[LISTENER_BOOKMARK_BYTES]);
	/* A transaction changed what these tags stand for. */
	void (*changed)(void *ctx, uint64_t id, const struct span *tags, size_t count);
	/* Several did, and then which ones. */
	void (*changed_many)(void *ctx, const struct span *tags, size_t count);
	void (*was_among)(void *ctx, uint64_t id);
	/* Nobody knows what was missed. */
	void (*lost)(void *ctx);
	/* All that was committed before AT_MS (clock_ms) has been told. */
	void (*heard)(void *ctx, int64_t at_ms, const char *bookmark);
	/* The database cannot be reached, not even by the pool; or it can again. */
	void (*down)(void *ctx, bool down);
	/* Now and then, while the database answers. */
	void (*beat)(void *ctx);
};

/* NULL if the thread cannot be made.  Copies CONFIG. */
struct listener *listener_start(const struct listener_config *config);
/* Ends the thread; waits for what it is doing, which has deadlines. */
void listener_stop(struct listener *l);

#endif
