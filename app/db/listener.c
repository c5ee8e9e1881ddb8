#include "db/listener.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "db/pool.h"

/* Short: while it is away, what others change is not known. */
#define PAUSE_MS 50
#define PAUSE_WRONG_MS 5000 /* migrations that have not run, rights that are missing */
#define PRUNE_EVERY_MS 10000
#define PRUNE_AGAIN "10000" /* what one prune takes at most: there may be more */
#define ERROR_BYTES 300

struct listener {
	struct listener_config config;
	pthread_t thread;
	int wake_fd;
	_Atomic bool ending;
	/* Of the thread alone. */
	char bookmark[LISTENER_BOOKMARK_BYTES];
	int64_t beat_ms; /* not before */
	int64_t prune_ms;
	bool away; /* said so in the log */
};

static int
patience_ms(const struct listener *l)
{
	return l->config.heard_ms / 2;
}

/* ---- what has changed ---- */

struct group {
	uint64_t id;
	int64_t age_us; /* when the database said so */
};

/* What begins a transaction's tags: "@NUMBER AGE". */
static bool
begins_group(struct span tag, struct group *g)
{
	const char *blank = tag.len && tag.at[0] == '@' ? memchr(tag.at, ' ', tag.len) : NULL;
	int64_t id;

	if (!blank || !text_number(span_make(tag.at + 1, (size_t)(blank - tag.at) - 1), &id) ||
	    !text_number(span_skip(tag, (size_t)(blank - tag.at) + 1), &g->age_us))
		return false;
	g->id = (uint64_t)id;
	return true;
}

static size_t
count_groups(const struct row *row)
{
	size_t groups = 0;
	struct group g;

	for (size_t i = 0; i < row->tag_count; i++)
		groups += begins_group(row->tags[i], &g);
	return groups;
}

/* Too many to be told one by one: all their tags as one, and what begins each
 * behind them. */
static void
tell_as_one(struct listener *l, struct row *row)
{
	size_t kept = 0;
	struct group g;

	for (size_t i = 0; i < row->tag_count; i++) {
		struct span tag = row->tags[i];

		if (begins_group(tag, &g))
			continue;
		row->tags[i] = row->tags[kept];
		row->tags[kept++] = tag;
	}
	l->config.changed_many(l->config.ctx, row->tags, kept);
	for (size_t i = kept; i < row->tag_count; i++) {
		if (begins_group(row->tags[i], &g))
			l->config.was_among(l->config.ctx, g.id);
	}
}

static void
tell_each(struct listener *l, const struct row *row)
{
	struct group g = { 0 };
	struct group next;
	size_t first = 0;

	for (size_t i = 0; i <= row->tag_count; i++) {
		bool begins = i < row->tag_count && begins_group(row->tags[i], &next);

		if (i < row->tag_count && !begins)
			continue;
		if (i > first)
			l->config.changed(l->config.ctx, g.id, row->tags + first, i - first);
		if (begins)
			g = next;
		first = i + 1;
	}
}

/* Of each, what it was old when the database told it, and what went by until all
 * was told. */
static void
count_delays(struct listener *l, const struct row *row, int64_t answered_us)
{
	int64_t since_us = clock_us() - answered_us;
	struct group g;

	for (size_t i = 0; i < row->tag_count; i++) {
		if (begins_group(row->tags[i], &g))
			metrics_time(l->config.delays, g.age_us + since_us);
	}
}

static void
tell(struct listener *l, struct row *row, bool again)
{
	int64_t answered_us = clock_us();

	if (count_groups(row) > LISTENER_GROUPS)
		tell_as_one(l, row);
	else
		tell_each(l, row);
	/* What was missed meanwhile, and what is told twice, is no delay. */
	if (!again)
		count_delays(l, row, answered_us);
}

/* AGAIN: the first look on this connection. */
static enum fault
look(struct listener *l, struct pg *pg, bool again)
{
	struct span params[2] = { span_of(l->bookmark), { again ? "again" : NULL, 5 } };
	int64_t began = clock_ms();
	struct row row;
	enum fault f;

	if (!params[0].len)
		params[0].at = NULL;
	/* There may be much to tell after a while away. */
	f = pg_run(pg, l->config.read, params, 2, began + patience_ms(l) * (again ? 4 : 1), &row);
	if (f != FAULT_NONE)
		return f;
	if (!row.found || row.body.len == 0 || row.body.len >= sizeof(l->bookmark)) {
		row_free(&row);
		return FAULT_WRONG;
	}
	if (span_is(row.outcome, "ok")) {
		tell(l, &row, again);
	} else {
		log_event(LOG_INFO, "listener", "what was missed is not known: the cache is empty");
		l->config.lost(l->config.ctx);
	}
	memcpy(l->bookmark, row.body.at, row.body.len);
	l->bookmark[row.body.len] = '\0';
	row_free(&row);
	l->config.heard(l->config.ctx, began, l->bookmark);
	return FAULT_NONE;
}

static enum fault
prune(struct listener *l, struct pg *pg)
{
	char keep[16];
	char rows[24];
	struct span params[2] = { { keep, 0 }, { rows, 0 } };
	struct row row;
	enum fault f;

	if (clock_ms() < l->prune_ms)
		return FAULT_NONE;
	l->prune_ms = clock_ms() + PRUNE_EVERY_MS;
	params[0].len = (size_t)snprintf(keep, sizeof(keep), "%d", l->config.keep_s);
	params[1].len = (size_t)snprintf(rows, sizeof(rows), "%" PRId64, l->config.rows);
	f = pg_run(pg, l->config.prune, params, 2, clock_ms() + patience_ms(l), &row);
	if (f == FAULT_NONE && span_is(row.body, PRUNE_AGAIN))
		l->prune_ms = 0;
	row_free(&row);
	/* It may be too slow just now, or not ours to do. */
	return fault_meaning(f)->drop ? f : FAULT_NONE;
}

/* ---- the connection ---- */

static void
say_away(struct listener *l, const char *why)
{
	if (!l->away)
		log_event(LOG_WARN, "listener", "hears nothing: %s", why);
	l->away = true;
}

static void
say_back(struct listener *l)
{
	if (l->away)
		log_event(LOG_INFO, "listener", "hears again");
	l->away = false;
	l->config.down(l->config.ctx, false);
}

/*
 * It has not answered since BEGAN_MS.  If a statement of the pool has succeeded
 * since, the database is there, what is loaded is right, and nothing stale need
 * be given; otherwise it is down.  Nobody is asked: that could take as long as a
 * statement.
 */
static void
say_whether_down(struct listener *l, enum fault f, int64_t began_ms)
{
	bool there = f == FAULT_CROWDED || f == FAULT_WRONG;
	struct db_stats pool;

	db_read_stats(l->config.db, &pool);
	l->config.down(l->config.ctx, !there && pool.worked_ms < began_ms);
}

/* What is to be done now and then, however much is going on. */
static enum fault
keep_up(struct listener *l, struct pg *pg)
{
	int64_t now = clock_ms();

	if (now < l->beat_ms)
		return FAULT_NONE;
	l->beat_ms = now + l->config.heard_ms / 4;
	l->config.beat(l->config.ctx);
	return prune(l, pg);
}

/* Until the connection is lost or the end has come; how it was lost. */
static enum fault
listen_on(struct listener *l, struct pg *pg)
{
	enum fault f = pg_command(pg, "listen pupitre", "LISTEN", clock_ms() + patience_ms(l));

	if (f == FAULT_NONE)
		f = look(l, pg, true);
	if (f == FAULT_NONE)
		say_back(l);
	while (f == FAULT_NONE && !atomic_load(&l->ending)) {
		f = pg_wait(pg, l->wake_fd, clock_ms() + l->config.heard_ms / 4);
		if (f == FAULT_NONE || f == FAULT_LATE)
			f = look(l, pg, false);
		if (f == FAULT_NONE)
			f = keep_up(l, pg);
	}
	if (f == FAULT_NONE)
		return f;
	say_away(l, fault_meaning(f)->word);
	/* One that was cut off may be made again at once. */
	if (f == FAULT_LATE)
		say_whether_down(l, f, clock_ms() - patience_ms(l));
	return f;
}

/* Until then, or until the end has come. */
static void
pause_for(struct listener *l, int ms)
{
	struct pollfd p = { .fd = l->wake_fd, .events = POLLIN };

	(void)poll(&p, 1, ms);
}

static void *
run(void *ctx)
{
	struct listener *l = ctx;

	l->config.recall(l->config.ctx, l->bookmark);
	while (!atomic_load(&l->ending)) {
		char error[ERROR_BYTES];
		int64_t began_ms = clock_ms();
		enum fault f;
		struct pg *pg = pool_connect_beside(
		    l->config.db, clock_ms() + patience_ms(l), &f, error, sizeof(error));

		if (pg) {
			f = listen_on(l, pg);
		} else {
			say_away(l, error);
			say_whether_down(l, f, began_ms);
		}
		pg_close(pg);
		if (atomic_load(&l->ending))
			break;
		pause_for(l, f == FAULT_WRONG ? PAUSE_WRONG_MS : PAUSE_MS);
	}
	return NULL;
}

/* ---- start and stop ---- */

struct listener *
listener_start(const struct listener_config *config)
{
	struct listener *l = calloc(1, sizeof(*l));
	sigset_t all;
	sigset_t before;
	int failed;

	if (!l)
		return NULL;
	l->config = *config;
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = l->wake_fd < 0 || pthread_create(&l->thread, NULL, run, l) != 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!failed)
		return l;
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	free(l);
	return NULL;
}

void
listener_stop(struct listener *l)
{
	uint64_t one = 1;

	if (!l)
		return;
	atomic_store(&l->ending, true);
	/* It can only fail when the counter is full, and then it is awake. */
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		log_event(LOG_DEBUG, "listener", "awake already");
	pthread_join(l->thread, NULL);
	close(l->wake_fd);
	free(l);
}
