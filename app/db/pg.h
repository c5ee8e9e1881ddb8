/*
 * One PostgreSQL connection: pg.c is the one file that knows libpq.  A
 * connection is for one thread at a time; a target may be shared.  Every
 * deadline is monotonic milliseconds (clock_ms) and total: it holds for all
 * that the call sends and waits for.  After a fault that says so
 * (fault_meaning) a connection may only be closed.
 */
#ifndef DB_PG_H
#define DB_PG_H

#include <stdint.h>

#include "db/db.h"
#include "db/fault.h"

struct pg;
struct pg_target;

/* Where to connect and how.  NULL, said in the log, when the URL is wrong. */
struct pg_target *pg_target_make(const struct db_config *config);
void pg_target_free(struct pg_target *target);

/*
 * A new connection with our settings, or NULL, *fault set and a sentence in
 * ERROR (NUL-ended, cut to ROOM).  The hosts of the target are tried one after
 * the other, each with its share of the time; the one that answered last is
 * the first.  Only the look-up of a host's name can overstep the deadline:
 * the resolver has its own.
 */
struct pg *pg_connect(
    struct pg_target *target, int64_t deadline_ms, enum fault *fault, char *error, size_t room);
/* Says good-bye if that does not block.  NULL is allowed. */
void pg_close(struct pg *pg);

/* Connected, outside a transaction, nothing under way: may go to the pool. */
bool pg_is_idle(const struct pg *pg);
/* In a transaction that has not failed. */
bool pg_in_transaction(const struct pg *pg);
/* Of one that nobody uses: does the socket tell nothing?  Whatever comes
 * unasked is an end or a notice of one.  Costs one poll(2). */
bool pg_is_silent(const struct pg *pg);

/* Run ST, preparing it first where its index asks for that.  *row is zeroed
 * unless the result is FAULT_NONE. */
enum fault pg_run(struct pg *pg, const struct statement *st, const struct span *params, int count,
    int64_t deadline_ms, struct row *row);
/* Run one command without result; any other command tag than TAG is
 * FAULT_WRONG. */
enum fault pg_command(struct pg *pg, const char *sql, const char *tag, int64_t deadline_ms);
/*
 * Wait for a notification, or for WAKE_FD to be readable.
 *   FAULT_NONE  there was one, perhaps some time ago; all are taken
 *   FAULT_LATE  none until the deadline, or woken
 *   FAULT_LOST  the connection has ended
 */
enum fault pg_wait(struct pg *pg, int wake_fd, int64_t deadline_ms);

/* Run several; on a fault the server's words are in ERROR. */
enum fault pg_script(struct pg *pg, const char *sql, int64_t deadline_ms, char *error, size_t room);

#endif
