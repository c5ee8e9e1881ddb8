/*
 * Every write goes through here: transaction, outcome, tags, (strict: pending,)
 * commit, raise, answer, in this order.
 */
#include "routes/call.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sql.h"

/* With the statement before, less than nginx waits. */
#define LOOK_UP_MS 3000
#define LOOK_UP_PAUSE_US 50000

static enum status
outcome_of(const struct row *row)
{
	if (!row->found || !row->outcome.at)
		return INTERNAL;
	return status_from_word(row->outcome.at, row->outcome.len);
}

static enum status
run_one(struct tx *tx, const struct sql_call *call, struct row *row)
{
	enum status st = tx_run(tx, call->st, call->params, call->count, row);

	if (st != OK)
		return st;
	st = outcome_of(row);
	if (st == INTERNAL)
		log_event(LOG_ERROR, "bad_outcome", "%s gave no known outcome", call->st->name);
	return st;
}

static enum status
run_lock(struct tx *tx, const struct sql_call *lock)
{
	struct row row = { 0 };
	enum status st;

	if (!lock)
		return OK;
	st = run_one(tx, lock, &row);
	row_free(&row);
	return st;
}

static bool
did_something(enum status st)
{
	return st == OK || st == CREATED;
}

/* ---- the end of a transaction ---- */

/* What it changed, and who it is, as the database says; without a row it
 * changed nothing that anybody is shown. */
struct mine {
	struct row row;
	uint64_t id;
};

static enum status
ask_mine(struct tx *tx, struct mine *mine)
{
	enum status st = tx_run(tx, SQL(outbox_mine), NULL, 0, &mine->row);
	int64_t id = 0;

	if (st == OK && mine->row.found && !text_number(mine->row.body, &id))
		st = INTERNAL;
	mine->id = (uint64_t)id;
	return st;
}

/*
 * The connection was lost while the server was told to commit.  It is asked by
 * another one what became of the transaction; the process that ran it is ended,
 * so that it must decide.  UNKNOWN_OUTCOME when there is no answer in time.
 */
static enum status
look_up(struct call *c, const struct mine *mine)
{
	struct span params[3] = { row_get(&mine->row, "xid"), row_get(&mine->row, "made"),
		row_get(&mine->row, "pid") };
	int64_t until_ms = clock_ms() + LOOK_UP_MS;
	enum status st = mine->row.found ? UNKNOWN_OUTCOME : OK;

	while (st == UNKNOWN_OUTCOME && clock_ms() < until_ms) {
		struct row row = { 0 };

		if (db_read(c->app->db, SQL(transaction_status), params, 3, &row) == OK) {
			if (span_is(row.body, "committed"))
				st = OK;
			else if (span_is(row.body, "aborted"))
				st = UNAVAILABLE;
		}
		row_free(&row);
		if (st == UNKNOWN_OUTCOME)
			usleep(LOOK_UP_PAUSE_US);
	}
	log_event(LOG_WARN, "commit", "the connection was lost; the transaction %s",
	    st == OK		    ? "was committed"
		: st == UNAVAILABLE ? "was not committed"
				    : "may come to be committed");
	return st;
}

/* If anything may have changed, it is raised before anybody hears of it.  One
 * that commits later yet is raised by who listens. */
static enum status
commit(struct call *c, struct tx *tx, enum status st, const struct mine *mine)
{
	const struct row *row = &mine->row;
	bool strict = cache_is_strict(c->app->cache);
	uint64_t id = mine->id;
	enum status committed;
	int64_t began = clock_us();
	bool confirmed;

	if (strict && !cache_pend(c->app->cache, mine->id, row->tags, row->tag_count)) {
		tx_abandon(tx);
		(void)cache_raise(c->app->cache, mine->id, row->tags, row->tag_count);
		return NOT_SHARED;
	}
	c->rq->redis_us += clock_us() - began;
	cache_expect(c->app->cache, CAUSE_route, id);
	committed = tx_commit(tx);
	if (committed == UNKNOWN_OUTCOME)
		committed = look_up(c, mine);
	if (committed == UNKNOWN_OUTCOME && strict)
		return committed; /* pending until it has been decided */
	if (committed == UNKNOWN_OUTCOME)
		id = 0; /* it is to be raised once more if it comes to that */
	began = clock_us();
	confirmed = cache_raise(c->app->cache, id, row->tags, row->tag_count);
	c->rq->redis_us += clock_us() - began;
	if (committed == OK && strict && !confirmed)
		return UNKNOWN_OUTCOME;
	return committed == OK ? st : committed;
}

enum status
call_commit(struct call *c, struct tx *tx, enum status st)
{
	struct mine mine = { 0 };
	enum status asked;

	if (!did_something(st)) {
		tx_abandon(tx);
		return st;
	}
	asked = ask_mine(tx, &mine);
	if (asked == OK) {
		st = commit(c, tx, st, &mine);
	} else {
		tx_abandon(tx);
		st = asked;
	}
	row_free(&mine.row);
	return st;
}

/* ---- all of it ---- */

static void
release_row(void *hold)
{
	row_free(hold);
	free(hold);
}

/* The body stays in the row, which the response takes over. */
static enum status
answer(struct call *c, enum status st, struct row *row)
{
	struct response *rs = &c->rq->response;

	if (!did_something(st) || !row->body.at) {
		release_row(row);
		return st;
	}
	if (rs->release)
		rs->release(rs->hold);
	respond_json(c->rq, st, row->body);
	rs->hold = row;
	rs->release = release_row;
	return st;
}

/* *again: a deadlock, nothing was done, and it may go better. */
static enum status
write_once(struct call *c, const struct sql_call *lock, const struct sql_call *write,
    struct row *row, bool *again)
{
	struct tx *tx;
	enum status st = tx_begin(c->app->db, &tx);

	*again = false;
	if (st != OK)
		return st;
	st = run_lock(tx, lock);
	if (st == OK)
		st = run_one(tx, write, row);
	*again = st == BUSY && tx_may_repeat(tx);
	return call_commit(c, tx, st);
}

enum status
call_write(struct call *c, const struct sql_call *lock, const struct sql_call *write)
{
	struct row *row = calloc(1, sizeof(*row));
	int64_t began = clock_us();
	int64_t redis_us = c->rq->redis_us;
	bool again;
	enum status st;

	if (!row)
		return BUSY;
	st = write_once(c, lock, write, row, &again);
	if (again)
		st = write_once(c, lock, write, row, &again);
	c->rq->db_us += clock_us() - began - (c->rq->redis_us - redis_us);
	return answer(c, st, row);
}
