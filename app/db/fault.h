/*
 * How a statement can go wrong, and what follows from it: one table, so that
 * the pool, a read and a transaction agree.  Pure; any thread.
 */
#ifndef DB_FAULT_H
#define DB_FAULT_H

#include <stdbool.h>

#include "base/status.h"

/* name, word, status for the caller, this connection must go, every older one
 * too, a read may be repeated */
#define FAULT_TABLE(X) \
	X(FAULT_NONE, "none", OK, 0, 0, 0) \
	X(FAULT_PARAM, "bad parameter", BAD_REQUEST, 0, 0, 0) \
	X(FAULT_CONFLICT, "conflict", CONFLICT, 0, 0, 0) \
	X(FAULT_DEADLOCK, "deadlock", BUSY, 0, 0, 1) \
	X(FAULT_LOCKED, "lock not available", BUSY, 0, 0, 0) \
	X(FAULT_CANCELED, "statement timeout", UNAVAILABLE, 0, 0, 0) \
	X(FAULT_CROWDED, "server out of resources", UNAVAILABLE, 0, 0, 0) \
	X(FAULT_LOST, "connection lost", UNAVAILABLE, 1, 0, 1) \
	X(FAULT_LATE, "no answer in time", UNAVAILABLE, 1, 1, 0) \
	X(FAULT_STALE, "prepared statement outdated", UNAVAILABLE, 1, 1, 1) \
	X(FAULT_READ_ONLY, "server is read-only", UNAVAILABLE, 1, 1, 1) \
	X(FAULT_WRONG, "statement is wrong", INTERNAL, 0, 0, 0)

enum fault {
#define X(name, word, status, drop, drop_all, repeat) name,
	FAULT_TABLE(X)
#undef X
};

struct fault_meaning {
	const char *word;
	enum status status;
	bool drop; /* the connection is not for use any more */
	bool drop_all; /* nor is any that was made before now */
	bool repeat; /* a read may be tried once more */
};

const struct fault_meaning *fault_meaning(enum fault f);
/* SQLSTATE is what the server said; NULL when it was libpq's own words. */
enum fault fault_of_sqlstate(const char *sqlstate);

#endif
