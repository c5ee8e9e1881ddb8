#include "hear.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "routes/warm.h"
#include "sql.h"

/* A transaction of ours lasts no longer between its mark and its end; the
 * database is asked about one that does. */
#define PENDING_MS 2000

_Static_assert(LISTENER_BOOKMARK_BYTES == REMOTE_BOOKMARK_BYTES, "one bookmark");

static void
recall(void *ctx, char bookmark[LISTENER_BOOKMARK_BYTES])
{
	struct app *app = ctx;

	cache_recall(app->cache, bookmark);
}

/* Somebody has cleared everything, wherever he did. */
static void
warm_after_clear(struct app *app, const struct span *tags, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (span_is(tags[i], TAG_ALL))
			warm_want(app->warm, "clear");
	}
}

static void
changed(void *ctx, uint64_t id, const struct span *tags, size_t count)
{
	struct app *app = ctx;

	(void)cache_raise_for(app->cache, CAUSE_database, id, tags, count);
	warm_after_clear(app, tags, count);
}

static void
changed_many(void *ctx, const struct span *tags, size_t count)
{
	struct app *app = ctx;

	cache_raise_many(app->cache, CAUSE_database, tags, count);
	warm_after_clear(app, tags, count);
}

static void
was_among(void *ctx, uint64_t id)
{
	struct app *app = ctx;

	cache_count_raise(app->cache, CAUSE_database, id);
}

static void
lost(void *ctx)
{
	struct app *app = ctx;

	cache_lost(app->cache);
}

static void
heard(void *ctx, int64_t at_ms, const char *bookmark)
{
	struct app *app = ctx;

	cache_heard(app->cache, at_ms, bookmark);
}

static void
down(void *ctx, bool is_down)
{
	struct app *app = ctx;

	cache_down(app->cache, is_down);
}

/* The number of a transaction itself, in that which it goes by outside; see
 * pupitre.outbox_id. */
#define XID_UNIT UINT64_C(100000000)

/* May that transaction still commit?  Who cannot be asked may. */
static bool
runs(void *ctx, uint64_t id)
{
	struct app *app = ctx;
	char number[24];
	struct span params[3] = { { number, 0 }, SPAN("any"), { NULL, 0 } };
	struct row row = { 0 };
	bool may = true;

	params[0].len = (size_t)snprintf(number, sizeof(number), "%" PRIu64, id / XID_UNIT);
	if (db_read(app->db, SQL(transaction_status), params, 3, &row) == OK)
		may = span_is(row.body, "in progress");
	row_free(&row);
	return may;
}

static void
beat(void *ctx)
{
	struct app *app = ctx;

	cache_settle(app->cache, PENDING_MS, runs, app);
}

struct listener *
hear_start(struct app *app)
{
	const struct config *config = app->config;
	struct listener_config lc = {
		.db = app->db,
		.heard_ms = (int)config->heard_ms,
		.keep_s = (int)config->outbox_keep_s,
		.rows = config->outbox_rows,
		.delays = app->delays,
		.read = SQL(outbox_read),
		.prune = SQL(outbox_prune),
		.ctx = app,
		.recall = recall,
		.changed = changed,
		.changed_many = changed_many,
		.was_among = was_among,
		.lost = lost,
		.heard = heard,
		.down = down,
		.beat = beat,
	};
	struct listener *l = listener_start(&lc);

	if (!l)
		log_event(LOG_ERROR, "start", "no thread to listen to the database");
	return l;
}
