/*
 * Every write goes through here: transaction, outcome, tags, commit, raise,
 * answer, in this order.
 */
#include "routes/call.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

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

/* ST is what the statements came to; end the transaction and, if anything may
 * have changed, raise before anybody hears of it. */
static enum status
end(struct call *c, struct tx *tx, enum status st, const struct row *row)
{
	enum status committed;

	if (!did_something(st)) {
		tx_abandon(tx);
		return st;
	}
	committed = tx_commit(tx);
	if (committed == OK || committed == UNKNOWN_OUTCOME) {
		int64_t began = clock_us();

		cache_raise(c->app->cache, row->tags, row->tag_count);
		c->rq->redis_us += clock_us() - began;
	}
	return committed == OK ? st : committed;
}

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

enum status
call_write(struct call *c, const struct sql_call *lock, const struct sql_call *write)
{
	struct row *row = calloc(1, sizeof(*row));
	int64_t began = clock_us();
	int64_t redis_us = c->rq->redis_us;
	struct tx *tx;
	enum status st;

	if (!row)
		return BUSY;
	st = tx_begin(c->app->db, &tx);
	if (st == OK) {
		st = run_lock(tx, lock);
		if (st == OK)
			st = run_one(tx, write, row);
		st = end(c, tx, st, row);
	}
	c->rq->db_us += clock_us() - began - (c->rq->redis_us - redis_us);
	return answer(c, st, row);
}
