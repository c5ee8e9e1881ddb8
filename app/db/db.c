/*
 * Reads, transactions and scripts, on leases of the pool.  Holds no lock.
 */
#include "db/db.h"

#include <stdlib.h>

#include "base/clock.h"
#include "db/pool.h"

/* Of one script, in total; it may build indexes. */
#define SCRIPT_MS (60 * 60 * 1000)

struct tx {
	struct db *db;
	struct lease lease;
	enum fault fault; /* of the last statement */
	enum status failed;
};

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

enum status
tx_begin(struct db *db, struct tx **out)
{
	static const struct statement begin = { "begin", "begin isolation level read committed",
		-1 };
	struct tx *tx = calloc(1, sizeof(*tx));
	struct row row;
	enum status st = tx ? lease_take(db, &tx->lease) : BUSY;

	*out = NULL;
	if (st != OK) {
		free(tx);
		return st;
	}
	tx->db = db;
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
