/*
 * Reads, transactions and scripts, on leases of the pool.  Holds no lock.
 */
#include "db/db.h"

#include <stdlib.h>

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/pool.h"

/* Of one script, in total; it may build indexes. */
#define SCRIPT_MS (60 * 60 * 1000)

struct tx {
	struct db *db;
	struct lease lease;
	enum fault fault; /* of the last statement */
	enum status failed;
};

/* ---- who asks ---- */

#define CAUSE_BYTES 96
#define ASKER_BYTES 41

/* Both are safe between quotes. */
static _Thread_local char cause[CAUSE_BYTES];
static _Thread_local char asker[ASKER_BYTES];

static void
copy_safe(char *to, size_t room, const char *from, size_t len, const char *allowed)
{
	for (size_t i = 0; i < len && room > 1; i++) {
		char ch = from[i];
		bool plain = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
		    (ch >= 'A' && ch <= 'Z') || strchr(allowed, ch);

		if (ch && plain) {
			*to++ = ch;
			room--;
		}
	}
	*to = '\0';
}

void
db_asker(const char *method, const char *route, struct span id)
{
	char text[CAUSE_BYTES];

	snprintf(text, sizeof(text), "%s %s", method ? method : "", route ? route : "");
	copy_safe(cause, sizeof(cause), text, method ? strlen(text) : 0, "-_/:. ");
	copy_safe(asker, sizeof(asker), id.at, id.len, "-");
}

/* A failure is nobody's: the statement itself will tell. */
static void
name_reader(struct lease *lease, int64_t deadline_ms)
{
	char text[ASKER_BYTES + 48];

	if (!asker[0] || !log_wants(LOG_DEBUG))
		return;
	snprintf(text, sizeof(text), "set application_name = 'pupitre %s'", asker);
	(void)pg_command(lease->pg, text, "SET", deadline_ms);
}

/* Only for what may run twice. */
static enum fault
run_twice(struct db *db, struct lease *lease, const struct statement *st, const struct span *params,
    int count, struct row *row)
{
	int64_t deadline_ms = pool_deadline_ms(db);
	enum fault fault = pg_run(lease->pg, st, params, count, deadline_ms, row);

	if (!fault_meaning(fault)->repeat || clock_ms() >= deadline_ms)
		return fault;
	if (fault_meaning(fault)->drop) {
		/* Others of the pool may be as dead or as old: not one of those. */
		lease_note(db, lease, fault);
		fault = lease_renew(db, lease, deadline_ms);
		if (fault != FAULT_NONE)
			return fault;
	}
	return pg_run(lease->pg, st, params, count, deadline_ms, row);
}

static enum status
read_row(struct db *db, const struct statement *st, const struct span *params, int count,
    struct row *row)
{
	struct lease lease;
	enum fault fault;
	enum status status;

	memset(row, 0, sizeof(*row));
	status = lease_take(db, &lease);
	if (status != OK)
		return status;
	name_reader(&lease, pool_deadline_ms(db));
	fault = run_twice(db, &lease, st, params, count, row);
	lease_end(db, &lease, fault);
	return fault_meaning(fault)->status;
}

enum status
db_read(struct db *db, const struct statement *st, const struct span *params, int count,
    struct row *row)
{
	struct turn turn;
	enum status status = pool_turn_take(db, &turn);

	memset(row, 0, sizeof(*row));
	pool_count_read(db);
	if (status != OK)
		return status;
	status = read_row(db, st, params, count, row);
	pool_turn_end(db, &turn);
	return status;
}

enum status
db_ping(struct db *db)
{
	static const struct statement ping = { "ping", "select 'ok'::text as body", -1 };
	struct row row;
	enum status st = read_row(db, &ping, NULL, 0, &row);

	row_free(&row);
	return st == OK || st == BUSY ? st : UNAVAILABLE;
}

static void
put_begin(char *text, size_t room)
{
	int n = snprintf(text, room, "begin isolation level read committed");

	if (cause[0])
		n +=
		    snprintf(text + n, room - (size_t)n, "; set local pupitre.cause = '%s'", cause);
	if (asker[0])
		snprintf(text + n, room - (size_t)n, "; set local application_name = 'pupitre %s'",
		    asker);
}

enum status
tx_begin(struct db *db, struct tx **out)
{
	char text[CAUSE_BYTES + ASKER_BYTES + 160];
	struct statement begin = { "begin", text, -2 };
	struct tx *tx = calloc(1, sizeof(*tx));
	struct row row;
	enum status st = tx ? lease_take(db, &tx->lease) : BUSY;

	*out = NULL;
	if (st != OK) {
		free(tx);
		return st;
	}
	tx->db = db;
	put_begin(text, sizeof(text));
	/* Nothing has happened yet: it may run twice. */
	tx->fault = run_twice(db, &tx->lease, &begin, NULL, 0, &row);
	row_free(&row);
	if (tx->fault != FAULT_NONE) {
		lease_end(db, &tx->lease, tx->fault);
		free(tx);
		return UNAVAILABLE;
	}
	*out = tx;
	return OK;
}

enum status
tx_run(struct tx *tx, const struct statement *st, const struct span *params, int count,
    struct row *row)
{
	memset(row, 0, sizeof(*row));
	if (tx->failed != OK)
		return tx->failed;
	tx->fault = pg_run(tx->lease.pg, st, params, count, pool_deadline_ms(tx->db), row);
	tx->failed = fault_meaning(tx->fault)->status;
	return tx->failed;
}

bool
tx_may_repeat(const struct tx *tx)
{
	return tx->fault == FAULT_DEADLOCK;
}

static enum status
tx_end(struct tx *tx, enum fault fault, enum status st)
{
	lease_end(tx->db, &tx->lease, fault);
	free(tx);
	return st;
}

void
tx_abandon(struct tx *tx)
{
	enum fault fault = tx->fault;

	if (!fault_meaning(fault)->drop)
		fault = pg_command(tx->lease.pg, "rollback", "ROLLBACK", pool_deadline_ms(tx->db));
	(void)tx_end(tx, fault, OK);
}

enum status
tx_commit(struct tx *tx)
{
	enum status failed = tx->failed;
	enum fault fault;

	/* Not even sent: a connection that has ended keeps nothing. */
	if (failed == OK && !pg_is_silent(tx->lease.pg))
		return tx_end(tx, FAULT_LOST, UNAVAILABLE);
	if (failed == OK && !pg_in_transaction(tx->lease.pg))
		failed = INTERNAL;
	if (failed != OK) {
		tx_abandon(tx);
		return failed;
	}
	fault = pg_command(tx->lease.pg, "commit", "COMMIT", pool_deadline_ms(tx->db));
	if (fault == FAULT_NONE)
		pool_count_commit(tx->db);
	/* Whatever ended the connection, the server may have got that far. */
	if (fault_meaning(fault)->drop)
		return tx_end(tx, fault, UNKNOWN_OUTCOME);
	return tx_end(tx, fault, fault_meaning(fault)->status);
}

enum status
db_script(struct db *db, const char *sql, char *error, size_t room)
{
	enum fault fault;
	struct pg *pg = pool_connect_alone(db, &fault, error, room);

	if (pg)
		fault = pg_script(pg, sql, clock_ms() + SCRIPT_MS, error, room);
	pg_close(pg);
	return fault_meaning(fault)->status;
}
