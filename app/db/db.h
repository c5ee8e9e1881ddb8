/*
 * The database: a bounded pool of PostgreSQL connections and the statements
 * run on them.  pool.c keeps the connections, pg.c is the one file that knows
 * libpq.  All functions block up to the deadlines of struct db_config and may
 * be called from any thread but a reactor.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

struct db;
struct tx;

struct db_config {
	const char *url; /* libpq or Prisma form; see url.h */
	int pool; /* connections at most */
	int reads; /* begun at once, see turns.h; 0: any number */
	int wait_ms; /* for a connection of the pool, or a turn */
	int connect_ms; /* a new connection, in total */
	int statement_ms; /* statement_timeout; we wait 500 ms more */
	int max_age_s; /* of a connection */
	int statement_count; /* of the generated table: bounds statement.index */
};

/* A file of sql/queries, made into a constant by the build.  Prepared once a
 * connection under its name; with an index of -1 it is sent whole each time;
 * with -2 it is several commands without parameters or rows.
 * Every parameter and every column is text, or text[] for a column. */
struct statement {
	const char *name;
	const char *text;
	int index;
};

/* SQL(admin_courses) is the file sql/queries/admin_courses.sql. */
#define SQL(name) (&sql_##name)

#define DB_MAX_PARAMS 12
#define DB_MAX_COLUMNS 8

/*
 * One row, or none.  What it points at belongs to RESULT; row_free() gives it
 * back and may be called on a zeroed row.
 * The columns "body", "tags" and "outcome" are picked out by name; body.at is
 * NULL when the column is absent or NULL.
 */
struct row {
	bool found; /* the statement gave a row */
	struct span body;
	struct span outcome;
	struct span *tags; /* elements of the text[] column "tags" */
	size_t tag_count;
	void *result;
};

void row_free(struct row *r);
/* A column by name; .at is NULL when it is absent or NULL. */
struct span row_get(const struct row *r, const char *column);

/* NULL when the URL makes no sense (said in the log) or memory is out.
 * Connects to nothing yet. */
struct db *db_open(const struct db_config *config);
void db_close(struct db *db);

/*
 * For whom this thread asks from now on: "METHOD ROUTE" is the cause of what its
 * transactions change (pupitre.cause, for the outbox), and ID, of which only
 * letters, digits and '-' are taken, follows the request into PostgreSQL as
 * application_name: in transactions always, in reads only while log level debug
 * pays for a round trip more.  METHOD NULL: nobody.
 */
void db_asker(const char *method, const char *route, struct span id);

/*
 * Run a read.  It is tried a second time, on a new connection, when the first
 * was lost before any answer and the deadline allows.  A deadlock, a
 * serialization failure likewise.
 *   OK           *row is the first row, or row->found is false
 *   BUSY         no connection of the pool in time
 *   UNAVAILABLE  the server is down, starting, or did not answer in time
 *   INTERNAL     the statement is wrong (logged with its name and SQLSTATE)
 * PARAMS[i].at == NULL is SQL NULL.  A parameter with a NUL byte is
 * BAD_REQUEST and never sent.
 */
enum status db_read(struct db *db, const struct statement *st, const struct span *params, int count,
    struct row *row) MUST_CHECK;

/*
 * A transaction (READ COMMITTED) on one connection.
 *   tx_begin   OK, BUSY or UNAVAILABLE; *tx is NULL unless OK
 *   tx_run     as db_read, but never retried; after any other status than OK
 *              only tx_abandon() may follow.  A unique or foreign key
 *              violation is CONFLICT.  40001 and 40P01 are BUSY.
 *   tx_commit  OK only when the server said COMMIT; UNKNOWN_OUTCOME when the
 *              connection was lost after COMMIT was sent.  Ends the tx.
 *   tx_abandon rolls back; ends the tx.
 */
enum status tx_begin(struct db *db, struct tx **tx) MUST_CHECK;
enum status tx_run(struct tx *tx, const struct statement *st, const struct span *params, int count,
    struct row *row) MUST_CHECK;
enum status tx_commit(struct tx *tx) MUST_CHECK;
void tx_abandon(struct tx *tx);

/* Of one that failed: by a deadlock or a serialization failure, so that the
 * whole transaction may be tried again. */
bool tx_may_repeat(const struct tx *tx);

/* Run several statements that take and give nothing, outside the pool and
 * with no statement_timeout: for migrations and demo data.  The server's own
 * words on failure are put into ERROR (NUL-ended, cut to ROOM). */
enum status db_script(struct db *db, const char *sql, char *error, size_t room) MUST_CHECK;

/* One round trip: OK, BUSY or UNAVAILABLE. */
enum status db_ping(struct db *db) MUST_CHECK;

struct db_stats {
	int open; /* connections now */
	int in_use;
	int waiting; /* callers in the queue for one */
	uint64_t connects;
	uint64_t failures; /* connections lost or refused */
	uint64_t timeouts; /* callers that got none in time */
	uint64_t reads;
	uint64_t commits;
	int64_t waited_us; /* by all callers together, for a connection */
	int64_t worked_ms; /* clock_ms() of the last statement without a fault */
};

void db_read_stats(struct db *db, struct db_stats *out);

#endif
