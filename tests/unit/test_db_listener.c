/*
 * The listener and the outbox, against a real server that
 * tests/unit/with-postgres starts.  What is heard is written down and looked
 * at; waiting for it is bounded.
 */
#include "db/listener.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/migrate.h"
#include "sql.h"
#include "unit.h"

#define HEARD_MS 800
#define WAIT_MS 8000
#define RECORD 4096

/* What the listener has said. */
static struct record {
	pthread_mutex_t lock;
	int changes; /* calls of changed() */
	int as_one; /* calls of changed_many() */
	int among; /* transactions in these */
	int lost;
	int beats;
	bool down;
	int64_t heard_ms;
	char bookmark[LISTENER_BOOKMARK_BYTES];
	char recalled[LISTENER_BOOKMARK_BYTES]; /* what it is to begin with */
	char tags[RECORD][48];
	int tag_count;
} said = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct db *db;
static struct listener *listener;

static void
recall(void *ctx, char bookmark[LISTENER_BOOKMARK_BYTES])
{
	struct record *r = ctx;

	memcpy(bookmark, r->recalled, sizeof(r->recalled));
}

static bool
was_told(uint64_t id)
{
	static uint64_t told[RECORD];
	static int count;

	for (int i = 0; i < count && i < RECORD; i++) {
		if (told[i] == id)
			return true;
	}
	told[count++ % RECORD] = id;
	return false;
}

static void
changed(void *ctx, uint64_t id, const struct span *tags, size_t count)
{
	struct record *r = ctx;

	/* The last second is told again on a new connection. */
	if (id && was_told(id))
		return;
	pthread_mutex_lock(&r->lock);
	r->changes++;
	for (size_t i = 0; i < count && r->tag_count < RECORD; i++)
		snprintf(r->tags[r->tag_count++], sizeof(r->tags[0]), "%.*s", SPAN_ARG(tags[i]));
	pthread_mutex_unlock(&r->lock);
}

static void
changed_many(void *ctx, const struct span *tags, size_t count)
{
	struct record *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->as_one++;
	pthread_mutex_unlock(&r->lock);
	changed(ctx, 0, tags, count);
}

static void
was_among(void *ctx, uint64_t id)
{
	struct record *r = ctx;

	if (was_told(id))
		return;
	pthread_mutex_lock(&r->lock);
	r->among++;
	pthread_mutex_unlock(&r->lock);
}

static void
lost(void *ctx)
{
	struct record *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->lost++;
	pthread_mutex_unlock(&r->lock);
}

static void
heard(void *ctx, int64_t at_ms, const char *bookmark)
{
	struct record *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->heard_ms = at_ms;
	snprintf(r->bookmark, sizeof(r->bookmark), "%s", bookmark);
	pthread_mutex_unlock(&r->lock);
}

static void
down(void *ctx, bool is_down)
{
	struct record *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->down = is_down;
	pthread_mutex_unlock(&r->lock);
}

static void
beat(void *ctx)
{
	struct record *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->beats++;
	pthread_mutex_unlock(&r->lock);
}

static struct record
read_record(void)
{
	struct record copy;

	pthread_mutex_lock(&said.lock);
	copy = said;
	pthread_mutex_unlock(&said.lock);
	return copy;
}

static int
times(const char *tag)
{
	int n = 0;

	pthread_mutex_lock(&said.lock);
	for (int i = 0; i < said.tag_count; i++)
		n += strcmp(said.tags[i], tag) == 0;
	pthread_mutex_unlock(&said.lock);
	return n;
}

/* All that is committed before now has been told. */
static void
catch_up(void)
{
	int64_t now = clock_ms();
	int64_t until = now + WAIT_MS;

	while (read_record().heard_ms <= now) {
		if (clock_ms() > until)
			fail_msg("nothing is heard");
		usleep(2000);
	}
}

static void
start(const char *bookmark, int keep_s)
{
	struct listener_config config = {
		.db = db,
		.heard_ms = HEARD_MS,
		.keep_s = keep_s,
		.rows = 100000,
		.read = SQL(outbox_read),
		.prune = SQL(outbox_prune),
		.ctx = &said,
		.recall = recall,
		.changed = changed,
		.changed_many = changed_many,
		.was_among = was_among,
		.lost = lost,
		.heard = heard,
		.down = down,
		.beat = beat,
	};

	pthread_mutex_lock(&said.lock);
	said.changes = said.as_one = said.among = said.lost = said.beats = said.tag_count = 0;
	said.heard_ms = 0;
	snprintf(said.recalled, sizeof(said.recalled), "%s", bookmark);
	pthread_mutex_unlock(&said.lock);
	listener = listener_start(&config);
	assert_non_null(listener);
}

static void
start_with(const char *bookmark, int keep_s)
{
	start(bookmark, keep_s);
	catch_up();
}

static void
run_sql(const char *sql)
{
	char error[400] = "";

	if (db_script(db, sql, error, sizeof(error)) != OK)
		fail_msg("%s: %s", sql, error);
}

static void
note(struct tx *tx, const char *tag)
{
	struct span param = span_of(tag);
	struct row row;

	assert_int_equal(tx_run(tx, SQL(outbox_note), &param, 1, &row), OK);
	row_free(&row);
}

static int
group_set_up(void **state)
{
	struct db_config config = { .url = getenv("DATABASE_URL"),
		.pool = 4,
		.wait_ms = 500,
		.connect_ms = 2000,
		.statement_ms = 1000,
		.max_age_s = 600,
		.statement_count = SQL_STATEMENTS };
	FILE *nowhere = fopen("/dev/null", "w");

	(void)state;
	db = db_open(&config);
	assert_non_null(db);
	assert_int_equal(migrate_up(db, sql_migrations, SQL_MIGRATIONS, nowhere), OK);
	fclose(nowhere);
	run_sql("insert into \"User\" (id, name, \"updatedAt\") values ('u', 'Una', now())");
	return 0;
}

static int
group_tear_down(void **state)
{
	(void)state;
	db_close(db);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	start_with("", 3600);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	listener_stop(listener);
	listener = NULL;
	return 0;
}

static void
stop_listening(char bookmark[LISTENER_BOOKMARK_BYTES])
{
	struct record r = read_record();

	memcpy(bookmark, r.bookmark, sizeof(r.bookmark));
	listener_stop(listener);
}

/* ---- behaviours ---- */

static void
a_change_made_by_anybody_is_told_with_its_tags(void **state)
{
	(void)state;
	run_sql("update \"User\" set name = name || 'x' where id = 'u'");
	catch_up();
	assert_int_equal(times("user:u"), 1);
	/* What nobody sees of it is no change. */
	run_sql("update \"User\" set \"updatedAt\" = now() where id = 'u'");
	catch_up();
	assert_int_equal(read_record().changes, 1);
}

/* The first to begin commits last. */
static void
transactions_that_commit_out_of_order_are_all_told_once(void **state)
{
	struct tx *early;
	struct tx *late;

	(void)state;
	assert_int_equal(tx_begin(db, &early), OK);
	note(early, "early:1");
	assert_int_equal(tx_begin(db, &late), OK);
	note(late, "late:1");
	assert_int_equal(tx_commit(late), OK);
	catch_up();
	assert_int_equal(times("late:1"), 1);
	assert_int_equal(times("early:1"), 0);
	for (int i = 0; i < 5; i++)
		run_sql("select pupitre.invalidate('between:1')");
	catch_up();
	assert_int_equal(tx_commit(early), OK);
	catch_up();
	assert_int_equal(times("early:1"), 1);
	assert_int_equal(times("late:1"), 1);
	assert_int_equal(times("between:1"), 5);
}

static void
what_was_rolled_back_is_not_told(void **state)
{
	struct tx *tx;

	(void)state;
	assert_int_equal(tx_begin(db, &tx), OK);
	note(tx, "never:1");
	tx_abandon(tx);
	catch_up();
	assert_int_equal(times("never:1"), 0);
}

static void
a_connection_that_is_ended_misses_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		run_sql("begin; select pg_terminate_backend(pid) from pg_stat_activity"
			" where query like '%outbox%' and pid <> pg_backend_pid();"
			" select pupitre.invalidate('missed:1'); commit");
		catch_up();
		assert_int_equal(times("missed:1"), i + 1);
	}
	assert_int_equal(read_record().lost, 1); /* at the start */
}

static void
a_wake_up_comes_at_once(void **state)
{
	int64_t began = clock_ms();
	int quick = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		int64_t at = clock_ms();

		run_sql("select pupitre.invalidate('quick:1')");
		while (times("quick:1") <= i && clock_ms() < began + WAIT_MS)
			usleep(500);
		quick += clock_ms() - at < HEARD_MS / 8;
	}
	/* Without one it would be every quarter of HEARD_MS. */
	assert_true(quick > 10);
}

static void
it_looks_without_being_woken(void **state)
{
	struct record before = read_record();

	(void)state;
	catch_up();
	catch_up();
	assert_true(read_record().heard_ms > before.heard_ms);
	assert_true(read_record().beats > 0);
}

static void
who_was_away_hears_all_of_it(void **state)
{
	char bookmark[LISTENER_BOOKMARK_BYTES];

	(void)state;
	stop_listening(bookmark);
	run_sql("select pupitre.invalidate('away:1')");
	run_sql("select pupitre.invalidate('away:2')");
	start_with(bookmark, 3600);
	assert_int_equal(read_record().lost, 0);
	assert_int_equal(read_record().changes, 2);
	assert_int_equal(times("away:1") + times("away:2"), 2);
}

static void
very_many_at_once_are_told_as_one(void **state)
{
	char bookmark[LISTENER_BOOKMARK_BYTES];

	(void)state;
	stop_listening(bookmark);
	run_sql("do $$ begin for i in 1..100 loop perform pupitre.invalidate('many:' || i);"
		" commit; end loop; end $$");
	start_with(bookmark, 3600);
	assert_int_equal(read_record().changes, 1);
	assert_int_equal(read_record().as_one, 1);
	assert_int_equal(read_record().among, 100);
	assert_int_equal(times("many:100"), 1);
	assert_true(read_record().tag_count >= 100);
}

static void
who_does_not_know_where_it_was_has_lost_it(void **state)
{
	static const char *const wrong[] = { "", "nonsense", "nonsense/1:1:", "a/b/c", "/",
		"1-00000001-5-5/3:3:/1700000000.5", "1-00000001-5-5/3:3:" };
	char bookmark[LISTENER_BOOKMARK_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		stop_listening(bookmark);
		start_with(wrong[i], 3600);
		assert_int_equal(read_record().lost, 1);
		assert_int_equal(read_record().changes, 0);
	}
}

static void
pruned_rows_are_lost_and_said_to_be(void **state)
{
	char bookmark[LISTENER_BOOKMARK_BYTES];

	(void)state;
	stop_listening(bookmark);
	run_sql("select pupitre.invalidate('pruned:1')");
	run_sql("select pupitre.prune_outbox('0 s', 1000)");
	start_with(bookmark, 3600);
	assert_int_equal(read_record().lost, 1);
	/* From there on nothing is missing. */
	run_sql("select pupitre.invalidate('kept:1')");
	catch_up();
	assert_int_equal(read_record().lost, 1);
	assert_int_equal(times("kept:1"), 1);
}

/* While it listens, pruning takes nothing from it. */
static void
the_outbox_is_pruned_with_nothing_lost(void **state)
{
	char bookmark[LISTENER_BOOKMARK_BYTES];
	struct span none = { NULL, 0 };
	static const struct statement rows = { "rows",
		"select count(*)::text as body"
		" from pupitre.outbox where $1::text is null",
		-1 };
	int64_t until;
	struct row row;
	bool empty = false;

	(void)state;
	stop_listening(bookmark);
	start_with(bookmark, 0);
	until = clock_ms() + 2 * WAIT_MS;
	while (!empty && clock_ms() < until) {
		run_sql("select pupitre.invalidate('passing:1')");
		usleep(20000);
		assert_int_equal(db_read(db, &rows, &none, 1, &row), OK);
		empty = strtol(row.body.at, NULL, 10) < 5;
		row_free(&row);
	}
	assert_true(empty);
	catch_up();
	assert_int_equal(read_record().lost, 0);
}

/* ---- a server that hangs, or is gone ---- */

static void
signal_server(int sig)
{
	char command[400];

	snprintf(command, sizeof(command),
	    "p=$(head -n 1 %s/data/postmaster.pid); c=$(cat /proc/$p/task/$p/children);"
	    "kill -%d $p && for one in $c; do kill -%d $one 2>/dev/null || :; done",
	    getenv("TEST_PG_DIR"), sig, sig);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void
wait_for_down(bool want)
{
	int64_t until = clock_ms() + WAIT_MS;

	while (read_record().down != want) {
		if (clock_ms() > until)
			fail_msg("it does not say that it is %s", want ? "down" : "up");
		usleep(2000);
	}
}

static void
a_server_that_hangs_is_down_until_it_goes_on(void **state)
{
	int64_t began;

	(void)state;
	began = clock_ms();
	signal_server(SIGSTOP);
	wait_for_down(true);
	/* Known before the cache loses its trust, or not much later. */
	assert_true(clock_ms() - began < 3 * HEARD_MS);
	signal_server(SIGCONT);
	wait_for_down(false);
	catch_up();
	assert_int_equal(read_record().lost, 1); /* at the start */
}

static void
a_server_that_was_killed_has_its_changes_still(void **state)
{
	char command[400];

	(void)state;
	run_sql("select pupitre.invalidate('before:1')");
	signal_server(SIGKILL);
	wait_for_down(true);
	snprintf(command, sizeof(command), "rm -f %s/data/postmaster.pid; %s/start",
	    getenv("TEST_PG_DIR"), getenv("TEST_PG_DIR"));
	assert_int_equal(system(command), 0);
	wait_for_down(false);
	run_sql("select pupitre.invalidate('after:1')");
	catch_up();
	assert_int_equal(times("before:1"), 1);
	assert_int_equal(times("after:1"), 1);
	assert_int_equal(read_record().lost, 1);
}

/* Of the next transaction; the pool may need a moment to come back. */
static long
next_number(void)
{
	static const struct statement next = { "next",
		"select pg_snapshot_xmax(pg_current_snapshot())::text as body", -1 };
	int64_t until = clock_ms() + WAIT_MS;
	struct row row;
	long number;

	while (db_read(db, &next, NULL, 0, &row) != OK) {
		assert_true(clock_ms() < until);
		usleep(10000);
	}
	number = strtol(row.body.at, NULL, 10);
	row_free(&row);
	return number;
}

/*
 * Numbers of transactions that had written nothing to the disk are given once
 * more after a crash.  What they change then is no old news.
 */
static void
numbers_that_are_given_again_are_not_taken_for_the_old_ones(void **state)
{
	char bookmark[LISTENER_BOOKMARK_BYTES];
	char command[400];
	long before;

	(void)state;
	/* What is not committed stays in memory for a while. */
	run_sql("alter system set wal_writer_delay = '10s'");
	run_sql("select pg_reload_conf(); checkpoint");
	usleep(300000); /* the last of the old delay */
	run_sql("do $$ begin for i in 1..20 loop perform pg_current_xact_id(); rollback;"
		" end loop; end $$");
	before = next_number();
	catch_up();
	signal_server(SIGKILL);
	stop_listening(bookmark);
	snprintf(command, sizeof(command), "rm -f %s/data/postmaster.pid; %s/start",
	    getenv("TEST_PG_DIR"), getenv("TEST_PG_DIR"));
	assert_int_equal(system(command), 0);
	assert_true(next_number() < before);
	run_sql("do $$ begin for i in 1..60 loop perform pupitre.invalidate('again:' || i);"
		" commit; end loop; end $$");
	start_with(bookmark, 3600);
	for (int i = 1; i <= 60 && read_record().lost == 0; i++) {
		char tag[32];

		snprintf(tag, sizeof(tag), "again:%d", i);
		assert_int_equal(times(tag), 1);
	}
}

/* Only the listener cannot connect: then nothing is said to be down. */
static void
who_cannot_listen_but_load_is_not_down(void **state)
{
	(void)state;
	listener_stop(listener);
	run_sql("alter table pupitre.outbox_horizon rename to away");
	start("", 3600);
	usleep(HEARD_MS * 1000); /* not to be waited for: it is what does not happen */
	assert_int_equal(read_record().heard_ms, 0);
	assert_false(read_record().down);
	run_sql("alter table pupitre.away rename to outbox_horizon");
	catch_up();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_change_made_by_anybody_is_told_with_its_tags),
		TEST(transactions_that_commit_out_of_order_are_all_told_once),
		TEST(what_was_rolled_back_is_not_told),
		TEST(a_connection_that_is_ended_misses_nothing),
		TEST(a_wake_up_comes_at_once),
		TEST(it_looks_without_being_woken),
		TEST(who_was_away_hears_all_of_it),
		TEST(very_many_at_once_are_told_as_one),
		TEST(who_does_not_know_where_it_was_has_lost_it),
		TEST(pruned_rows_are_lost_and_said_to_be),
		TEST(the_outbox_is_pruned_with_nothing_lost),
		TEST(a_server_that_hangs_is_down_until_it_goes_on),
		TEST(a_server_that_was_killed_has_its_changes_still),
		TEST(numbers_that_are_given_again_are_not_taken_for_the_old_ones),
		TEST(who_cannot_listen_but_load_is_not_down),
	};

	log_set_level(LOG_ERROR);
	if (!getenv("DATABASE_URL") || !getenv("TEST_PG_DIR")) {
		fputs("run this by tests/unit/with-postgres\n", stderr);
		return 1;
	}
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
