/*
 * The pool of connections under db.c.  A lease is the right to one connection;
 * it is held by one thread and ended exactly once.
 */
#ifndef DB_POOL_H
#define DB_POOL_H

#include "db/pg.h"
#include "db/turns.h"

struct lease {
	struct pg *pg; /* NULL after a lease_renew() that failed */
	uint64_t generation;
	int64_t made_ms;
};

/* OK, BUSY or UNAVAILABLE; after OK the connection looked alive just now. */
enum status lease_take(struct db *db, struct lease *lease) MUST_CHECK;
/* FAULT came over it: what follows for the other connections. */
void lease_note(struct db *db, const struct lease *lease, enum fault fault);
/* A new connection in the place of the old one, which is closed. */
enum fault lease_renew(struct db *db, struct lease *lease, int64_t deadline_ms) MUST_CHECK;
/* FAULT is how the last use of it ended: it decides what is kept. */
void lease_end(struct db *db, struct lease *lease, enum fault fault);

/* A connection outside the pool without time-outs of the server, for scripts;
 * for the caller to close.  NULL as pg_connect(). */
struct pg *pool_connect_alone(struct db *db, enum fault *fault, char *error, size_t room);

/* The same with the pool's time-outs, and no longer than that: for one who
 * listens.  When it succeeds the pool tries again at once as well. */
struct pg *pool_connect_beside(
    struct db *db, int64_t deadline_ms, enum fault *fault, char *error, size_t room);

/* For reads, to be taken before a lease.  One waits for it as for a lease. */
enum status pool_turn_take(struct db *db, struct turn *turn) MUST_CHECK;
void pool_turn_end(struct db *db, const struct turn *turn);

/* What a statement may take, the server's time-out and ours behind it. */
int64_t pool_deadline_ms(const struct db *db);
void pool_count_read(struct db *db);
void pool_count_commit(struct db *db);

#endif
