/*
 * The pool: idle connections on a stack (the warmest is used first), callers
 * waiting on one condition.  One lock for all of it, never held while the
 * server is spoken to.
 *
 * After a connection could not be made, none is tried again until the back-off
 * is over, and callers hear "unavailable" at once; the first success ends it.
 * A new generation makes every connection of an older one close when it comes
 * back.
 */
#include "db/db.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "db/pg.h"
#include "db/fault.h"

#define WORDS_BYTES 256
#define LATE_MS 500
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 1000
#define SCRIPT_MS (30 * 60 * 1000)

struct pooled {
	struct pg *pg;
	int64_t made_ms;
	uint64_t generation;
};

struct db {
	struct db_config config;
	struct pg_target *target;
	pthread_mutex_t lock;
	pthread_cond_t returned;
	int64_t retry_at_ms;
	int backoff_ms;
	uint64_t generation;
	struct db_stats stats;
	int idle_count;
	struct pooled idle[];
};

struct tx {
	struct db *db;
	struct pooled conn;
	enum fault fault; /* of the latest statement */
};

struct db *
db_open(const struct db_config *config)
{
	struct db *db = calloc(1, sizeof(*db) + (size_t)config->pool * sizeof(db->idle[0]));
	pthread_condattr_t monotonic;

	if (!db)
		return NULL;
	db->config = *config;
	db->target = pg_target_make(config);
	if (!db->target) {
		free(db);
		return NULL;
	}
	pthread_mutex_init(&db->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&db->returned, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return db;
}

void
db_close(struct db *db)
{
	for (int i = 0; i < db->idle_count; i++)
		pg_close(db->idle[i].pg);
	pthread_cond_destroy(&db->returned);
	pthread_mutex_destroy(&db->lock);
	pg_target_free(db->target);
	free(db);
}

/* ---- taking and giving back ---- */

static void
connected(struct db *db, bool fine, const char *words)
{
	bool first;

	pthread_mutex_lock(&db->lock);
	first = db->backoff_ms == 0;
	if (fine) {
		db->stats.connects++;
		db->backoff_ms = 0;
		db->retry_at_ms = 0;
	} else {
		db->stats.failures++;
		db->stats.open--;
		db->backoff_ms = first ? BACKOFF_MIN_MS : db->backoff_ms * 2;
		if (db->backoff_ms > BACKOFF_MAX_MS)
			db->backoff_ms = BACKOFF_MAX_MS;
		db->retry_at_ms = clock_ms() + db->backoff_ms / 2 +
		    (int)random_below((uint32_t)db->backoff_ms / 2 + 1);
		pthread_cond_signal(&db->returned);
	}
	pthread_mutex_unlock(&db->lock);
	if (!fine && first)
		log_event(LOG_WARN, "database", "cannot connect: %s", words);
	else if (fine && !first)
		log_event(LOG_INFO, "database", "connected again");
}

static enum status
take_new(struct db *db, struct pooled *out)
{
	char words[WORDS_BYTES] = "";
	enum fault fault;

	out->made_ms = clock_ms();
	out->pg = pg_connect(
	    db->target, out->made_ms + db->config.connect_ms, &fault, words, sizeof(words));
	connected(db, out->pg != NULL, words);
	return out->pg ? OK : UNAVAILABLE;
}

static struct timespec
timespec_of(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };

	return t;
}

enum took { TOOK_IDLE, TOOK_PLACE, TOOK_NOTHING_IN_TIME, TOOK_BACKOFF };

/* An idle connection, or a place for a new one. */
static enum took
take_place(struct db *db, int64_t until_ms, struct pooled *out)
{
	struct timespec until = timespec_of(until_ms);
	enum took took = TOOK_NOTHING_IN_TIME;
	int late = 0;

	pthread_mutex_lock(&db->lock);
	db->stats.waiting++;
	while (db->idle_count == 0 && db->stats.open >= db->config.pool && late == 0)
		late = pthread_cond_timedwait(&db->returned, &db->lock, &until);
	db->stats.waiting--;
	out->generation = db->generation;
	if (db->idle_count > 0) {
		*out = db->idle[--db->idle_count];
		took = TOOK_IDLE;
	} else if (db->stats.open < db->config.pool) {
		took = clock_ms() < db->retry_at_ms ? TOOK_BACKOFF : TOOK_PLACE;
		db->stats.open += took == TOOK_PLACE;
	} else {
		db->stats.timeouts++;
	}
	pthread_mutex_unlock(&db->lock);
	return took;
}

static void
drop(struct db *db, struct pooled *conn)
{
	pg_close(conn->pg);
	pthread_mutex_lock(&db->lock);
	db->stats.open--;
	pthread_cond_signal(&db->returned);
	pthread_mutex_unlock(&db->lock);
}

static bool
is_fresh(struct db *db, const struct pooled *conn)
{
	bool fresh;

	pthread_mutex_lock(&db->lock);
	fresh = conn->generation == db->generation &&
	    clock_ms() - conn->made_ms < db->config.max_age_s * (int64_t)1000;
	pthread_mutex_unlock(&db->lock);
	return fresh;
}

static enum status
take(struct db *db, int64_t until_ms, struct pooled *out)
{
	for (;;) {
		switch (take_place(db, until_ms, out)) {
		case TOOK_IDLE:
			if (is_fresh(db, out) && pg_is_silent(out->pg))
				return OK;
			drop(db, out);
			continue;
		case TOOK_PLACE:
			return take_new(db, out);
		case TOOK_NOTHING_IN_TIME:
			return BUSY;
		case TOOK_BACKOFF:
			return UNAVAILABLE;
		}
	}
}

/* After FAULT, which may be FAULT_NONE. */
static void
give_back(struct db *db, struct pooled *conn, enum fault fault)
{
	const struct fault_meaning *meaning = fault_meaning(fault);
	bool fit = !meaning->drop && pg_is_idle(conn->pg);

	pthread_mutex_lock(&db->lock);
	db->stats.failures += !fit;
	db->generation += meaning->drop_all;
	pthread_mutex_unlock(&db->lock);
	if (!fit || !is_fresh(db, conn)) {
		drop(db, conn);
		return;
	}
	pthread_mutex_lock(&db->lock);
	db->idle[db->idle_count++] = *conn;
	pthread_cond_signal(&db->returned);
	pthread_mutex_unlock(&db->lock);
}

/* ---- reads ---- */

static int
patience_ms(const struct db *db)
{
	return db->config.statement_ms + LATE_MS;
}

static enum status
read_once(struct db *db, const struct statement *st, const struct span *params, int count,
    int64_t until_ms, struct row *row, bool *again)
{
	struct pooled conn;
	enum fault fault;
	enum status s = take(db, clock_ms() + db->config.wait_ms, &conn);

	*again = false;
	if (s != OK)
		return s;
	fault = pg_run(conn.pg, st, params, count, until_ms, row);
	give_back(db, &conn, fault);
	*again = fault_meaning(fault)->repeat;
	return fault_meaning(fault)->status;
}

enum status
db_read(struct db *db, const struct statement *st, const struct span *params, int count,
    struct row *row)
{
	int64_t until_ms = clock_ms() + db->config.wait_ms + patience_ms(db);
	bool again;
	enum status s;

	memset(row, 0, sizeof(*row));
	s = read_once(db, st, params, count, until_ms, row, &again);
	if (again && clock_ms() < until_ms)
		s = read_once(db, st, params, count, until_ms, row, &again);
	pthread_mutex_lock(&db->lock);
	db->stats.reads++;
	pthread_mutex_unlock(&db->lock);
	return s;
}

enum status
db_ping(struct db *db)
{
	struct pooled conn;
	enum fault fault;
	enum status s = take(db, clock_ms() + db->config.wait_ms, &conn);

	if (s != OK)
		return s;
	fault = pg_command(conn.pg, "select 1", "SELECT 1", clock_ms() + patience_ms(db));
	give_back(db, &conn, fault);
	return fault == FAULT_NONE ? OK : UNAVAILABLE;
}

/* ---- transactions ---- */

enum status
tx_begin(struct db *db, struct tx **out)
{
	int64_t until_ms = clock_ms() + db->config.wait_ms;
	struct tx *tx = calloc(1, sizeof(*tx));
	enum status s = BUSY;

	*out = NULL;
	if (!tx)
		return BUSY;
	tx->db = db;
	/* Nothing has happened before BEGIN is through: another may be tried. */
	for (int tries = 0; tries < 2; tries++) {
		s = take(db, until_ms, &tx->conn);
		if (s != OK)
			break;
		tx->fault =
		    pg_command(tx->conn.pg, "begin", "BEGIN", clock_ms() + patience_ms(db));
		if (tx->fault == FAULT_NONE) {
			*out = tx;
			return OK;
		}
		give_back(db, &tx->conn, tx->fault);
		s = UNAVAILABLE;
		if (!fault_meaning(tx->fault)->repeat)
			break;
	}
	free(tx);
	return s;
}

enum status
tx_run(struct tx *tx, const struct statement *st, const struct span *params, int count,
    struct row *row)
{
	memset(row, 0, sizeof(*row));
	tx->fault =
	    pg_run(tx->conn.pg, st, params, count, clock_ms() + patience_ms(tx->db), row);
	return fault_meaning(tx->fault)->status;
}

enum status
tx_commit(struct tx *tx)
{
	struct db *db = tx->db;
	enum fault fault =
	    pg_command(tx->conn.pg, "commit", "COMMIT", clock_ms() + patience_ms(db));
	bool lost = fault_meaning(fault)->drop;

	give_back(db, &tx->conn, fault);
	free(tx);
	pthread_mutex_lock(&db->lock);
	db->stats.commits += fault == FAULT_NONE;
	pthread_mutex_unlock(&db->lock);
	/* Late or lost: it may have been done. */
	return lost ? UNKNOWN_OUTCOME : fault_meaning(fault)->status;
}

void
tx_abandon(struct tx *tx)
{
	enum fault fault = tx->fault;

	/* If even this fails, the connection is closed, and the server rolls back. */
	if (!fault_meaning(fault)->drop)
		fault = pg_command(
		    tx->conn.pg, "rollback", "ROLLBACK", clock_ms() + patience_ms(tx->db));
	give_back(tx->db, &tx->conn, fault);
	free(tx);
}

/* ---- scripts ---- */

enum status
db_script(struct db *db, const char *sql, char *error, size_t room)
{
	int64_t until_ms = clock_ms() + db->config.connect_ms;
	enum fault fault;
	struct pg *pg = pg_connect(db->target, until_ms, &fault, error, room);

	if (!pg)
		return UNAVAILABLE;
	fault = pg_script(pg, "set statement_timeout = 0", until_ms, error, room);
	if (fault == FAULT_NONE)
		fault = pg_script(pg, sql, clock_ms() + SCRIPT_MS, error, room);
	pg_close(pg);
	return fault_meaning(fault)->status;
}

void
db_read_stats(struct db *db, struct db_stats *out)
{
	pthread_mutex_lock(&db->lock);
	*out = db->stats;
	out->in_use = db->stats.open - db->idle_count;
	pthread_mutex_unlock(&db->lock);
}
