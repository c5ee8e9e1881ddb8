/*
 * One lock holds everything of struct db that changes; it is never held while
 * a server is waited for.  in_use + idle_count never exceeds config.pool: a
 * slot is counted in in_use before its connection is made or taken from the
 * idle ones.
 */
#include "db/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LATE_MS 500 /* we wait longer than the server's own time-out */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 1600 /* and up to a quarter more */
#define ERROR_BYTES 300

struct db {
	struct db_config config;
	struct pg_target *target;
	struct turns *turns;
	pthread_mutex_t lock;
	pthread_cond_t freed; /* a slot or an idle connection; CLOCK_MONOTONIC */
	struct lease *idle; /* a stack: what was used last is used next */
	int idle_count;
	/* A connection of an older generation is closed, not used. */
	uint64_t generation;
	/* Connecting failed: not again before retry_at_ms, and one at a time. */
	int backoff_ms;
	int64_t retry_at_ms;
	bool crowded; /* the server has too many connections, but it is there */
	struct db_stats stats;
};

struct db *
db_open(const struct db_config *config)
{
	struct db *db = calloc(1, sizeof(*db));

	assert(config->pool > 0);
	if (!db)
		return NULL;
	db->config = *config;
	db->config.url = NULL; /* the caller's, and it has a password */
	db->target = pg_target_make(config);
	db->idle = calloc((size_t)config->pool, sizeof(*db->idle));
	db->turns = turns_new(config->reads);
	pthread_mutex_init(&db->lock, NULL);
	clock_cond_init(&db->freed);
	if (db->target && db->idle && db->turns)
		return db;
	pthread_cond_destroy(&db->freed);
	pthread_mutex_destroy(&db->lock);
	turns_free(db->turns);
	pg_target_free(db->target);
	free(db->idle);
	free(db);
	return NULL;
}

void
db_close(struct db *db)
{
	if (!db)
		return;
	assert(db->stats.in_use == 0);
	while (db->idle_count > 0)
		pg_close(db->idle[--db->idle_count].pg);
	turns_free(db->turns);
	pthread_cond_destroy(&db->freed);
	pthread_mutex_destroy(&db->lock);
	pg_target_free(db->target);
	free(db->idle);
	free(db);
}

/* --- slots -------------------------------------------------------------- */

/* Too many connections at the server: one of ours that is used just now is
 * the next to be had. */
static bool
waits_for_others(const struct db *db, int64_t now_ms)
{
	return db->crowded && now_ms < db->retry_at_ms && db->stats.open > 0;
}

static bool
must_wait(const struct db *db, int64_t now_ms)
{
	return db->stats.in_use >= db->config.pool ||
	    (db->idle_count == 0 && waits_for_others(db, now_ms));
}

static void
wait_for_change(struct db *db, int64_t now_ms, int64_t deadline_ms)
{
	struct timespec until;

	if (waits_for_others(db, now_ms) && db->retry_at_ms < deadline_ms)
		deadline_ms = db->retry_at_ms;
	until = clock_in_ms(deadline_ms - now_ms);
	pthread_cond_timedwait(&db->freed, &db->lock, &until);
}

static enum status
slot_take(struct db *db, int64_t deadline_ms)
{
	enum status st = OK;
	int64_t began = 0;
	int64_t now;

	pthread_mutex_lock(&db->lock);
	db->stats.waiting++;
	while (now = clock_ms(), st == OK && must_wait(db, now)) {
		if (!began)
			began = clock_us();
		if (now >= deadline_ms)
			st = BUSY;
		else
			wait_for_change(db, now, deadline_ms);
	}
	if (began)
		db->stats.waited_us += clock_us() - began;
	db->stats.waiting--;
	if (st == OK)
		db->stats.in_use++;
	else
		db->stats.timeouts++;
	pthread_mutex_unlock(&db->lock);
	return st;
}

/* KEEP, if not NULL, goes to the idle ones. */
static void
slot_give(struct db *db, const struct lease *keep)
{
	pthread_mutex_lock(&db->lock);
	db->stats.in_use--;
	if (keep)
		db->idle[db->idle_count++] = *keep;
	pthread_cond_signal(&db->freed);
	pthread_mutex_unlock(&db->lock);
}

/* --- idle connections --------------------------------------------------- */

static bool
is_current(const struct db *db, const struct lease *l, int64_t now_ms)
{
	return l->generation == db->generation &&
	    now_ms - l->made_ms < (int64_t)db->config.max_age_s * 1000;
}

/* The lock is held: closing does not block. */
static void
idle_close(struct db *db, struct lease *l)
{
	pg_close(l->pg);
	l->pg = NULL;
	db->stats.open--;
}

/* An idle connection that is fit to use; the unfit ones on the way are closed.
 * The lock is held for a poll(2) that does not wait. */
static bool
idle_take(struct db *db, struct lease *lease)
{
	int64_t now = clock_ms();

	lease->pg = NULL;
	pthread_mutex_lock(&db->lock);
	while (!lease->pg && db->idle_count > 0) {
		*lease = db->idle[--db->idle_count];
		if (!is_current(db, lease, now)) {
			idle_close(db, lease);
		} else if (!pg_is_silent(lease->pg)) {
			db->stats.failures++;
			idle_close(db, lease);
		}
	}
	pthread_mutex_unlock(&db->lock);
	return lease->pg != NULL;
}

/* One connection was lost: the others may be dead too. */
static void
idle_drain(struct db *db)
{
	int64_t now = clock_ms();
	int kept = 0;

	pthread_mutex_lock(&db->lock);
	for (int i = 0; i < db->idle_count; i++) {
		struct lease l = db->idle[i];

		if (is_current(db, &l, now) && pg_is_silent(l.pg))
			db->idle[kept++] = l;
		else
			idle_close(db, &l);
	}
	db->idle_count = kept;
	pthread_mutex_unlock(&db->lock);
}

/* --- connecting --------------------------------------------------------- */

/* After a failure one caller a back-off may try; it is a PROBE, and nobody
 * else tries until it has ended. */
static bool
may_connect(struct db *db, bool *probe, uint64_t *generation)
{
	int64_t now = clock_ms();
	bool may;

	pthread_mutex_lock(&db->lock);
	*probe = db->backoff_ms > 0;
	*generation = db->generation;
	may = !*probe || now >= db->retry_at_ms;
	if (*probe && may)
		db->retry_at_ms = now + db->config.connect_ms + LATE_MS;
	pthread_mutex_unlock(&db->lock);
	return may;
}

static void
note_connected(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	db->backoff_ms = 0;
	db->retry_at_ms = 0;
	db->crowded = false;
	db->stats.open++;
	db->stats.connects++;
	pthread_mutex_unlock(&db->lock);
}

/* Several may fail at once when a server dies: that is one step, not several. */
static void
note_refused(struct db *db, bool probe, bool crowded)
{
	pthread_mutex_lock(&db->lock);
	db->stats.failures++;
	if (probe || db->backoff_ms == 0) {
		db->backoff_ms = db->backoff_ms ? db->backoff_ms * 2 : BACKOFF_FIRST_MS;
		if (db->backoff_ms > BACKOFF_LAST_MS)
			db->backoff_ms = BACKOFF_LAST_MS;
		/* Several processes should not come back in step. */
		db->retry_at_ms = clock_ms() + db->backoff_ms + clock_us() % (db->backoff_ms / 4);
		db->crowded = crowded;
		pthread_cond_broadcast(&db->freed);
	}
	pthread_mutex_unlock(&db->lock);
}

static enum fault
lease_connect(struct db *db, struct lease *lease, int64_t deadline_ms)
{
	int64_t now = clock_ms();
	char error[ERROR_BYTES];
	enum fault fault;
	bool probe;

	lease->pg = NULL;
	if (!may_connect(db, &probe, &lease->generation))
		return FAULT_LOST;
	if (deadline_ms > now + db->config.connect_ms)
		deadline_ms = now + db->config.connect_ms;
	lease->pg = pg_connect(db->target, deadline_ms, &fault, error, sizeof(error));
	lease->made_ms = now;
	if (lease->pg) {
		note_connected(db);
		return FAULT_NONE;
	}
	note_refused(db, probe, fault == FAULT_CROWDED);
	log_event(LOG_WARN, "db_connect", "%s", error);
	return fault;
}

/* --- leases ------------------------------------------------------------- */

static bool
has_others(struct db *db)
{
	bool has;

	pthread_mutex_lock(&db->lock);
	has = db->stats.open > 0;
	pthread_mutex_unlock(&db->lock);
	return has;
}

/* One connection that failed is not an outage: who may wait tries again after
 * the first back-off.  True: he waited. */
static bool
wait_out_first(struct db *db, int64_t deadline_ms)
{
	int64_t now = clock_ms();
	int64_t left;

	pthread_mutex_lock(&db->lock);
	left = db->backoff_ms == BACKOFF_FIRST_MS ? db->retry_at_ms - now : -1;
	pthread_mutex_unlock(&db->lock);
	if (left < 0 || left > BACKOFF_FIRST_MS * 2 || now + left >= deadline_ms)
		return false;
	usleep((unsigned)left * 1000 + 1000);
	return true;
}

enum status
lease_take(struct db *db, struct lease *lease)
{
	int64_t deadline_ms = clock_ms() + db->config.wait_ms;
	enum fault fault;

	do {
		enum status st = slot_take(db, deadline_ms);

		if (st != OK)
			return st;
		if (idle_take(db, lease))
			return OK;
		fault = lease_connect(db, lease, INT64_MAX);
		if (fault == FAULT_NONE)
			return OK;
		slot_give(db, NULL);
	} while ((fault == FAULT_CROWDED && has_others(db)) ||
	    (fault == FAULT_LOST && wait_out_first(db, deadline_ms)));
	return UNAVAILABLE;
}

static void
close_lost(struct db *db, struct lease *lease)
{
	if (!lease->pg)
		return;
	pg_close(lease->pg);
	lease->pg = NULL;
	pthread_mutex_lock(&db->lock);
	db->stats.open--;
	db->stats.failures++;
	pthread_mutex_unlock(&db->lock);
}

/* The first of several that find the same out makes the new generation. */
void
lease_note(struct db *db, const struct lease *lease, enum fault fault)
{
	const struct fault_meaning *meaning = fault_meaning(fault);

	if (meaning->drop_all) {
		pthread_mutex_lock(&db->lock);
		if (lease->generation == db->generation)
			db->generation++;
		pthread_mutex_unlock(&db->lock);
	}
	if (meaning->drop)
		idle_drain(db);
}

enum fault
lease_renew(struct db *db, struct lease *lease, int64_t deadline_ms)
{
	close_lost(db, lease);
	return lease_connect(db, lease, deadline_ms);
}

static void
note_worked(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	db->stats.worked_ms = clock_ms();
	pthread_mutex_unlock(&db->lock);
}

void
lease_end(struct db *db, struct lease *lease, enum fault fault)
{
	if (lease->pg)
		lease_note(db, lease, fault);
	if (lease->pg && fault == FAULT_NONE)
		note_worked(db);
	if (fault_meaning(fault)->drop || (lease->pg && !pg_is_idle(lease->pg)))
		close_lost(db, lease);
	slot_give(db, lease->pg ? lease : NULL);
}

struct pg *
pool_connect_alone(struct db *db, enum fault *fault, char *error, size_t room)
{
	int64_t deadline_ms = clock_ms() + db->config.connect_ms;
	struct pg *pg = pg_connect(db->target, deadline_ms, fault, error, room);

	if (!pg)
		return NULL;
	*fault =
	    pg_script(pg, "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0",
		deadline_ms, error, room);
	if (*fault == FAULT_NONE)
		return pg;
	pg_close(pg);
	return NULL;
}

struct pg *
pool_connect_beside(struct db *db, int64_t deadline_ms, enum fault *fault, char *error, size_t room)
{
	struct pg *pg = pg_connect(db->target, deadline_ms, fault, error, room);

	if (!pg)
		return NULL;
	pthread_mutex_lock(&db->lock);
	db->backoff_ms = 0;
	db->retry_at_ms = 0;
	pthread_cond_broadcast(&db->freed);
	pthread_mutex_unlock(&db->lock);
	return pg;
}

enum status
pool_turn_take(struct db *db, struct turn *turn)
{
	return turns_take(db->turns, clock_ms() + db->config.wait_ms, turn);
}

void
pool_turn_end(struct db *db, const struct turn *turn)
{
	turns_end(db->turns, turn);
}

int64_t
pool_deadline_ms(const struct db *db)
{
	return clock_ms() + db->config.statement_ms + LATE_MS;
}

/* --- statistics --------------------------------------------------------- */

void
pool_count_read(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	db->stats.reads++;
	pthread_mutex_unlock(&db->lock);
}

void
pool_count_commit(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	db->stats.commits++;
	pthread_mutex_unlock(&db->lock);
}

void
db_read_stats(struct db *db, struct db_stats *out)
{
	pthread_mutex_lock(&db->lock);
	*out = db->stats;
	pthread_mutex_unlock(&db->lock);
}
