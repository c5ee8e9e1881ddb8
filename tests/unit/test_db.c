/*
 * Against a real server: run by tests/unit/with-postgres, which sets
 * DATABASE_URL and TEST_PG_DIR.  Nothing here sleeps to see a time-out of
 * ours expire but where the time-out itself is what is tested.
 */
#include "db/db.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/migrate.h"
#include "db/pg.h"

#define WAIT_MS 300
#define STATEMENT_MS 400
#define STATEMENT(name, text, index) static const struct statement name = { #name, text, index }

STATEMENT(echo, "select $1::text as body, coalesce($2::text, 'was null') as outcome", 0);
STATEMENT(no_row, "select 'x'::text as body where false", 1);
STATEMENT(tags, "select 'x'::text as body, array['course:1', '', 'ü']::text[] as tags", 2);
STATEMENT(null_tag, "select array['a', null]::text[] as tags", 3);
STATEMENT(number, "select 1 as body", 4);
STATEMENT(add, "insert into t (id, ref) values ($1, $2) returning id as body", 5);
STATEMENT(slow, "select pg_sleep(30)::text as body", 6);
STATEMENT(my_pid, "select pg_backend_pid()::text as body", 7);
STATEMENT(kill_pid, "select pg_terminate_backend($1::text::int)::text as body", 8);
STATEMENT(count_rows, "select count(*)::text as body from t", 9);
STATEMENT(wrong, "select nothing from nowhere", 10);
STATEMENT(add_fatal, "insert into fatal (id) values ($1)", 11);
STATEMENT(all_of_changing, "select * from changing", 12);
STATEMENT(path, "select current_schema()::text || ' ' || current_setting('TimeZone') as body", 13);
STATEMENT(late_kill, "select pg_terminate_backend(pg_backend_pid())::text as body", 14);
#define STATEMENTS 15

static struct db *
open_url(const char *url, int pool)
{
	struct db_config config = { .url = url,
		.pool = pool,
		.wait_ms = WAIT_MS,
		.connect_ms = 2000,
		.statement_ms = STATEMENT_MS,
		.max_age_s = 600,
		.statement_count = STATEMENTS };

	return db_open(&config);
}

static struct db *
open_db(int pool)
{
	struct db *db = open_url(getenv("DATABASE_URL"), pool);

	assert_non_null(db);
	return db;
}

static void
run_script(const char *sql)
{
	struct db *db = open_db(1);
	char error[200] = "";

	if (db_script(db, sql, error, sizeof(error)) != OK)
		fail_msg("%s", error);
	db_close(db);
}

static int
setup(void **state)
{
	(void)state;
	run_script("drop table if exists t, fatal, changing; drop schema if exists pupitre cascade;"
		   "create table t (id text primary key, ref text references t);"
		   "create table fatal (id text);"
		   "create or replace function die() returns trigger language plpgsql as"
		   " $$ begin perform pg_terminate_backend(pg_backend_pid());"
		   " perform pg_sleep(1); return null; end $$;"
		   "create constraint trigger die after insert on fatal deferrable"
		   " initially deferred for each row execute function die()");
	return 0;
}

/* The body as text; static, for one use at a time. */
static const char *
read_text(struct db *db, const struct statement *st, const char *param)
{
	static char text[200];
	struct span p = span_of(param);
	struct row row;

	assert_int_equal(db_read(db, st, &p, param != NULL, &row), OK);
	assert_true(row.found);
	snprintf(text, sizeof(text), "%.*s", SPAN_ARG(row.body));
	row_free(&row);
	return text;
}

static enum status
read_status(struct db *db, const struct statement *st)
{
	struct row row;
	enum status s = db_read(db, st, NULL, 0, &row);

	row_free(&row);
	return s;
}

static enum status
tx_add(struct tx *tx, const struct statement *st, const char *id, const char *ref)
{
	struct span params[2] = { span_of(id), { ref, ref ? strlen(ref) : 0 } };
	struct row row;
	enum status s = tx_run(tx, st, params, st == &add ? 2 : 1, &row);

	row_free(&row);
	return s;
}

static struct tx *
begin(struct db *db)
{
	struct tx *tx;

	assert_int_equal(tx_begin(db, &tx), OK);
	assert_non_null(tx);
	return tx;
}

static struct db_stats
stats_of(struct db *db)
{
	struct db_stats s;

	db_read_stats(db, &s);
	return s;
}

/* --- reads -------------------------------------------------------------- */

static void
a_read_gives_its_columns(void **state)
{
	struct db *db = open_db(2);
	struct span params[2] = { SPAN("é'\"\\"), { NULL, 0 } };
	struct row row;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(db_read(db, &echo, params, 2, &row), OK);
		assert_true(row.found);
		assert_true(span_equal(row.body, params[0]));
		assert_true(span_is(row.outcome, "was null"));
		assert_true(span_equal(row_get(&row, "body"), params[0]));
		assert_null(row_get(&row, "other").at);
		assert_int_equal(row.tag_count, 0);
		row_free(&row);
	}
	assert_int_equal(stats_of(db).connects, 1);
	assert_int_equal(stats_of(db).reads, 3);
	assert_int_equal(stats_of(db).in_use, 0);
	db_close(db);
}

static void
an_empty_text_is_not_null(void **state)
{
	struct db *db = open_db(1);
	struct span params[2] = { { NULL, 0 }, SPAN("") };
	struct row row;

	(void)state;
	assert_int_equal(db_read(db, &echo, params, 2, &row), OK);
	assert_null(row.body.at);
	assert_non_null(row.outcome.at);
	assert_int_equal(row.outcome.len, 0);
	row_free(&row);
	db_close(db);
}

static void
no_row_is_ok_and_not_found(void **state)
{
	struct db *db = open_db(1);
	struct row row;

	(void)state;
	assert_int_equal(db_read(db, &no_row, NULL, 0, &row), OK);
	assert_false(row.found);
	assert_null(row.body.at);
	assert_null(row_get(&row, "body").at);
	row_free(&row);
	db_close(db);
}

static void
tags_are_the_elements_of_the_array(void **state)
{
	struct db *db = open_db(1);
	struct row row;

	(void)state;
	assert_int_equal(db_read(db, &tags, NULL, 0, &row), OK);
	assert_int_equal(row.tag_count, 3);
	assert_true(span_is(row.tags[0], "course:1"));
	assert_int_equal(row.tags[1].len, 0);
	assert_true(span_is(row.tags[2], "ü"));
	row_free(&row);
	db_close(db);
}

static void
columns_that_are_not_text_are_refused(void **state)
{
	struct db *db = open_db(1);

	(void)state;
	assert_int_equal(read_status(db, &number), INTERNAL);
	assert_int_equal(read_status(db, &null_tag), INTERNAL);
	assert_int_equal(stats_of(db).open, 1);
	db_close(db);
}

static void
a_parameter_with_nul_is_never_sent(void **state)
{
	struct db *db = open_db(1);
	struct span params[2] = { SPAN("a\0b"), { NULL, 0 } };
	struct row row;

	(void)state;
	assert_int_equal(db_read(db, &echo, params, 2, &row), BAD_REQUEST);
	assert_null(row.result);
	db_close(db);
}

static void
a_wrong_statement_is_internal_and_keeps_the_connection(void **state)
{
	struct db *db = open_db(1);

	(void)state;
	assert_int_equal(read_status(db, &wrong), INTERNAL);
	assert_int_equal(read_status(db, &no_row), OK);
	assert_int_equal(stats_of(db).connects, 1);
	db_close(db);
}

static void
the_session_has_our_settings(void **state)
{
	struct db *db;
	char url[300];

	(void)state;
	run_script("create schema if not exists \"Other\"");
	snprintf(url, sizeof(url), "%s&schema=Other", getenv("DATABASE_URL"));
	db = open_url(url, 1);
	assert_string_equal(read_text(db, &path, NULL), "Other UTC");
	db_close(db);
}

static void
a_url_that_makes_no_sense_opens_nothing(void **state)
{
	(void)state;
	assert_null(open_url("mysql://h/d", 1));
	assert_null(open_url("postgresql://h/d?no_such_parameter=1", 1));
	assert_null(open_url("host='open", 1));
}

static void
a_dead_host_is_passed_over(void **state)
{
	struct db *db;
	char url[300];

	(void)state;
	snprintf(url, sizeof(url), "host=/nowhere,%s port=5432,5432 user=postgres dbname=postgres",
	    getenv("TEST_PG_DIR"));
	db = open_url(url, 1);
	assert_non_null(db);
	assert_int_equal(db_ping(db), OK);
	db_close(db);
}

/* --- time --------------------------------------------------------------- */

static void
a_statement_timeout_is_unavailable_in_bounded_time(void **state)
{
	struct db *db = open_db(1);
	int64_t began = clock_ms();

	(void)state;
	assert_int_equal(read_status(db, &slow), UNAVAILABLE);
	assert_in_range(clock_ms() - began, STATEMENT_MS - 50, STATEMENT_MS + 450);
	assert_int_equal(read_status(db, &no_row), OK);
	assert_int_equal(stats_of(db).connects, 1);
	db_close(db);
}

static void
a_server_that_is_silent_costs_the_connection(void **state)
{
	struct db *db = open_db(1);
	int pid = atoi(read_text(db, &my_pid, NULL));
	int64_t began = clock_ms();

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(read_status(db, &no_row), UNAVAILABLE);
	assert_in_range(clock_ms() - began, STATEMENT_MS + 400, STATEMENT_MS + 1000);
	assert_int_equal(stats_of(db).open, 0);
	kill(pid, SIGCONT);
	assert_int_not_equal(atoi(read_text(db, &my_pid, NULL)), pid);
	db_close(db);
}

static void
an_exhausted_pool_is_busy_in_bounded_time(void **state)
{
	struct db *db = open_db(1);
	struct tx *tx = begin(db);
	struct tx *second;
	int64_t began = clock_ms();

	(void)state;
	assert_int_equal(read_status(db, &no_row), BUSY);
	assert_in_range(clock_ms() - began, WAIT_MS - 50, WAIT_MS + 300);
	assert_int_equal(tx_begin(db, &second), BUSY);
	assert_null(second);
	assert_int_equal(stats_of(db).timeouts, 2);
	tx_abandon(tx);
	assert_int_equal(read_status(db, &no_row), OK);
	db_close(db);
}

static void *
read_often(void *db)
{
	for (int i = 0; i < 50; i++) {
		if (read_status(db, &tags) != OK)
			return db;
	}
	return NULL;
}

static void
threads_share_a_small_pool(void **state)
{
	struct db *db = open_db(2);
	pthread_t threads[8];
	void *failed;

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_often, db), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_in_range(stats_of(db).open, 1, 2);
	assert_int_equal(stats_of(db).in_use, 0);
	assert_int_equal(stats_of(db).waiting, 0);
	db_close(db);
}

/* --- transactions ------------------------------------------------------- */

static void
a_commit_keeps_and_an_abandon_does_not(void **state)
{
	struct db *db = open_db(1);
	struct tx *tx = begin(db);

	(void)state;
	assert_int_equal(tx_add(tx, &add, "1", NULL), OK);
	assert_int_equal(tx_commit(tx), OK);
	tx = begin(db);
	assert_int_equal(tx_add(tx, &add, "2", NULL), OK);
	tx_abandon(tx);
	assert_string_equal(read_text(db, &count_rows, NULL), "1");
	assert_int_equal(stats_of(db).commits, 1);
	assert_int_equal(stats_of(db).connects, 1);
	db_close(db);
}

static void
a_violation_is_a_conflict_and_nothing_is_kept(void **state)
{
	struct db *db = open_db(1);
	struct tx *tx = begin(db);

	(void)state;
	assert_int_equal(tx_add(tx, &add, "1", NULL), OK);
	assert_int_equal(tx_add(tx, &add, "1", NULL), CONFLICT);
	assert_int_equal(tx_add(tx, &add, "2", NULL), CONFLICT);
	assert_int_equal(tx_commit(tx), CONFLICT);
	tx = begin(db);
	assert_int_equal(tx_add(tx, &add, "3", "no such"), CONFLICT);
	tx_abandon(tx);
	assert_string_equal(read_text(db, &count_rows, NULL), "0");
	assert_int_equal(stats_of(db).connects, 1);
	db_close(db);
}

static void
a_commit_that_says_rollback_is_no_commit(void **state)
{
	struct db_config config = {
		.url = getenv("DATABASE_URL"), .statement_ms = 1000, .statement_count = STATEMENTS
	};
	struct pg_target *target = pg_target_make(&config);
	int64_t deadline = clock_ms() + 5000;
	char error[200];
	enum fault f;
	struct pg *pg = pg_connect(target, deadline, &f, error, sizeof(error));

	(void)state;
	assert_non_null(pg);
	assert_int_equal(pg_command(pg, "begin", "BEGIN", deadline), FAULT_NONE);
	assert_true(pg_in_transaction(pg));
	assert_int_equal(pg_script(pg, "select 1/0", deadline, error, sizeof(error)), FAULT_WRONG);
	assert_non_null(strstr(error, "division by zero"));
	assert_false(pg_in_transaction(pg));
	assert_int_equal(pg_command(pg, "commit", "COMMIT", deadline), FAULT_WRONG);
	assert_true(pg_is_idle(pg));
	assert_int_equal(pg_command(pg, "begin", "BEGIN", deadline), FAULT_NONE);
	assert_int_equal(pg_command(pg, "commit", "COMMIT", deadline), FAULT_NONE);
	pg_close(pg);
	pg_target_free(target);
}

static void
a_connection_lost_at_commit_is_an_unknown_outcome(void **state)
{
	struct db *db = open_db(1);
	struct tx *tx = begin(db);

	(void)state;
	assert_int_equal(tx_add(tx, &add_fatal, "1", NULL), OK);
	assert_int_equal(tx_commit(tx), UNKNOWN_OUTCOME);
	assert_int_equal(stats_of(db).open, 0);
	assert_int_equal(stats_of(db).commits, 0);
	assert_int_equal(read_status(db, &no_row), OK);
	db_close(db);
}

static void
a_connection_lost_before_commit_is_known_to_keep_nothing(void **state)
{
	struct db *db = open_db(2);
	struct tx *tx = begin(db);
	struct row row;
	char pid[20];

	(void)state;
	assert_int_equal(tx_run(tx, &my_pid, NULL, 0, &row), OK);
	snprintf(pid, sizeof(pid), "%.*s", SPAN_ARG(row.body));
	row_free(&row);
	assert_int_equal(tx_add(tx, &add, "1", NULL), OK);
	read_text(db, &kill_pid, pid);
	while (kill(atoi(pid), 0) == 0)
		usleep(1000);
	assert_int_equal(tx_commit(tx), UNAVAILABLE);
	assert_string_equal(read_text(db, &count_rows, NULL), "0");
	db_close(db);
}

/* --- connections that go ------------------------------------------------ */

/* Ended while idle: seen before it is used, by a read and by a transaction. */
static void
an_idle_connection_that_was_ended_is_not_noticed(void **state)
{
	struct db *killer = open_db(1);
	struct db *db = open_db(1);
	char pid[20];

	(void)state;
	snprintf(pid, sizeof(pid), "%s", read_text(db, &my_pid, NULL));
	read_text(killer, &kill_pid, pid);
	while (kill(atoi(pid), 0) == 0)
		usleep(1000);
	assert_int_equal(read_status(db, &no_row), OK);
	snprintf(pid, sizeof(pid), "%s", read_text(db, &my_pid, NULL));
	read_text(killer, &kill_pid, pid);
	while (kill(atoi(pid), 0) == 0)
		usleep(1000);
	tx_abandon(begin(db));
	assert_int_equal(stats_of(db).failures, 2);
	assert_int_equal(stats_of(db).connects, 3);
	db_close(db);
	db_close(killer);
}

/* Lost under the statement itself: tried once more, not for ever. */
static void
a_lost_read_is_tried_twice_on_two_connections(void **state)
{
	struct db *db = open_db(1);

	(void)state;
	assert_int_equal(read_status(db, &late_kill), UNAVAILABLE);
	assert_int_equal(stats_of(db).connects, 2);
	assert_int_equal(stats_of(db).failures, 2);
	assert_int_equal(stats_of(db).open, 0);
	assert_int_equal(read_status(db, &no_row), OK);
	db_close(db);
}

static void
a_changed_table_is_read_on_a_new_connection(void **state)
{
	struct db *db = open_db(1);

	(void)state;
	run_script("create table changing (body text); insert into changing values ('a')");
	assert_string_equal(read_text(db, &all_of_changing, NULL), "a");
	run_script("alter table changing add outcome text default 'b'");
	assert_string_equal(read_text(db, &all_of_changing, NULL), "a");
	assert_int_equal(stats_of(db).connects, 2);
	db_close(db);
}

static void
a_missing_prepared_statement_is_prepared_again(void **state)
{
	STATEMENT(forget, "deallocate all", -1);
	struct db *db = open_db(1);

	(void)state;
	assert_int_equal(read_status(db, &no_row), OK);
	assert_int_equal(read_status(db, &forget), OK);
	assert_int_equal(read_status(db, &no_row), OK);
	assert_int_equal(stats_of(db).connects, 2);
	db_close(db);
}

static void
a_server_that_became_read_only_drops_the_pool(void **state)
{
	STATEMENT(set_read_only, "set transaction read only", -1);
	struct db *db = open_db(2);
	struct tx *other = begin(db);
	struct tx *tx = begin(db);
	struct row row;

	(void)state;
	assert_int_equal(tx_run(tx, &set_read_only, NULL, 0, &row), OK);
	row_free(&row);
	assert_int_equal(tx_add(tx, &add, "1", NULL), UNAVAILABLE);
	tx_abandon(tx);
	assert_int_equal(stats_of(db).open, 1);
	tx_abandon(other);
	assert_int_equal(read_status(db, &no_row), OK);
	assert_int_equal(stats_of(db).connects, 3);
	db_close(db);
}

/* The server takes no more connections: wait for one of ours. */
static void
a_crowded_server_makes_callers_wait_for_each_other(void **state)
{
	struct db *db;
	struct tx *tx;
	char url[300];
	int64_t began;

	(void)state;
	run_script("do $$ begin if not exists (select from pg_roles where rolname = 'single') then"
		   " create role single login connection limit 1; end if; end $$");
	snprintf(url, sizeof(url), "host=%s user=single dbname=postgres", getenv("TEST_PG_DIR"));
	db = open_url(url, 3);
	assert_non_null(db);
	tx = begin(db);
	began = clock_ms();
	assert_int_equal(read_status(db, &no_row), BUSY);
	assert_in_range(clock_ms() - began, WAIT_MS - 50, WAIT_MS + 300);
	tx_abandon(tx);
	assert_int_equal(read_status(db, &no_row), OK);
	assert_int_equal(stats_of(db).connects, 1);
	db_close(db);
}

static int
server_pid(void)
{
	char path_text[200];
	FILE *f;
	int pid = 0;

	snprintf(path_text, sizeof(path_text), "%s/data/postmaster.pid", getenv("TEST_PG_DIR"));
	f = fopen(path_text, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	assert_true(pid > 1);
	return pid;
}

static void
start_again(void)
{
	char command[200];

	snprintf(command, sizeof(command), "%s/start", getenv("TEST_PG_DIR"));
	assert_int_equal(system(command), 0);
}

static void
wait_until_unavailable(struct db *db)
{
	int64_t until = clock_ms() + 5000;

	while (read_status(db, &no_row) != UNAVAILABLE)
		assert_true(clock_ms() < until);
}

static void
a_killed_server_is_unavailable_at_once_and_comes_back(void **state)
{
	struct db *db = open_db(2);
	struct db_stats before;
	int64_t began;

	(void)state;
	assert_int_equal(read_status(db, &no_row), OK);
	assert_int_equal(kill(server_pid(), SIGKILL), 0);
	wait_until_unavailable(db);
	before = stats_of(db);
	began = clock_ms();
	for (int i = 0; i < 1000; i++)
		assert_int_equal(read_status(db, &no_row), UNAVAILABLE);
	assert_true(clock_ms() - began < 1000);
	assert_true(stats_of(db).failures - before.failures < 10);
	assert_int_equal(stats_of(db).open, 0);
	start_again();
	began = clock_ms();
	while (read_status(db, &no_row) != OK) {
		assert_true(clock_ms() - began < 2500);
		usleep(10000);
	}
	assert_int_equal(read_status(db, &no_row), OK);
	db_close(db);
}

/* --- scripts and migrations --------------------------------------------- */

static const struct migration migrations[] = {
	{ 1, "first", "create table pupitre.m (n int); insert into pupitre.m values (1) -- end" },
	{ 2, "second", "insert into pupitre.m values (2);" },
	{ 3, "broken", "insert into pupitre.m values (3); select 1/0" },
	{ 4, "ends", "commit; begin; insert into pupitre.m values (4); commit" },
};

STATEMENT(sum, "select sum(n)::text as body from pupitre.m", -1);

static int
missing(struct db *db, int count)
{
	int n = -1;

	assert_int_equal(migrate_check(db, count, &n), OK);
	return n;
}

static void
migrations_run_once_each(void **state)
{
	struct db *db = open_db(1);
	FILE *say = fopen("/dev/null", "w");

	(void)state;
	assert_non_null(say);
	assert_int_equal(missing(db, 2), 2);
	assert_int_equal(migrate_up(db, migrations, 1, say), OK);
	assert_int_equal(missing(db, 2), 1);
	assert_int_equal(migrate_up(db, migrations, 2, say), OK);
	assert_int_equal(migrate_up(db, migrations, 2, say), OK);
	assert_int_equal(missing(db, 2), 0);
	assert_string_equal(read_text(db, &sum, NULL), "3");
	assert_int_equal(migrate_up(db, migrations, 3, say), INTERNAL);
	assert_int_equal(missing(db, 3), 1);
	assert_string_equal(read_text(db, &sum, NULL), "3");
	assert_int_equal(migrate_up(db, &migrations[3], 1, say), INTERNAL);
	assert_int_equal(missing(db, 4), 2);
	fclose(say);
	db_close(db);
}

static void *
migrate(void *say)
{
	struct db *db = open_db(1);
	enum status st = migrate_up(db, migrations, 2, say);

	db_close(db);
	return st == OK ? NULL : say;
}

static void
processes_that_migrate_at_once_do_not_collide(void **state)
{
	FILE *say = fopen("/dev/null", "w");
	struct db *db = open_db(1);
	pthread_t threads[4];
	void *failed;

	(void)state;
	assert_non_null(say);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, migrate, say), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_string_equal(read_text(db, &sum, NULL), "3");
	fclose(say);
	db_close(db);
}

static void
an_ordinary_role_may_check(void **state)
{
	struct db *owner = open_db(1);
	struct db *db;
	char url[300];
	int n;

	(void)state;
	run_script("do $$ begin if not exists (select from pg_roles where rolname = 'plain') then"
		   " create role plain login; end if; end $$");
	snprintf(url, sizeof(url), "host=%s user=plain dbname=postgres", getenv("TEST_PG_DIR"));
	db = open_url(url, 1);
	assert_non_null(db);
	assert_int_equal(missing(db, 2), 2);
	assert_int_equal(migrate_up(owner, migrations, 2, stderr), OK);
	assert_int_equal(migrate_check(db, 2, &n), INTERNAL);
	run_script("grant usage on schema pupitre to plain;"
		   "grant select on pupitre.migration to plain");
	assert_int_equal(missing(db, 2), 0);
	db_close(db);
	db_close(owner);
}

static void
a_script_says_why_it_failed(void **state)
{
	struct db *db = open_db(1);
	char error[200];

	(void)state;
	assert_int_equal(db_script(db, "select 1; select nothing", error, sizeof(error)), INTERNAL);
	assert_non_null(strstr(error, "\"nothing\" does not exist"));
	assert_int_equal(db_script(db, "copy t from stdin", error, sizeof(error)), UNAVAILABLE);
	db_close(db);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(a_read_gives_its_columns),
		T(an_empty_text_is_not_null),
		T(no_row_is_ok_and_not_found),
		T(tags_are_the_elements_of_the_array),
		T(columns_that_are_not_text_are_refused),
		T(a_parameter_with_nul_is_never_sent),
		T(a_wrong_statement_is_internal_and_keeps_the_connection),
		T(the_session_has_our_settings),
		T(a_url_that_makes_no_sense_opens_nothing),
		T(a_dead_host_is_passed_over),
		T(a_statement_timeout_is_unavailable_in_bounded_time),
		T(a_server_that_is_silent_costs_the_connection),
		T(an_exhausted_pool_is_busy_in_bounded_time),
		T(threads_share_a_small_pool),
		T(a_commit_keeps_and_an_abandon_does_not),
		T(a_violation_is_a_conflict_and_nothing_is_kept),
		T(a_commit_that_says_rollback_is_no_commit),
		T(a_connection_lost_at_commit_is_an_unknown_outcome),
		T(a_connection_lost_before_commit_is_known_to_keep_nothing),
		T(an_idle_connection_that_was_ended_is_not_noticed),
		T(a_lost_read_is_tried_twice_on_two_connections),
		T(a_changed_table_is_read_on_a_new_connection),
		T(a_missing_prepared_statement_is_prepared_again),
		T(a_server_that_became_read_only_drops_the_pool),
		T(a_crowded_server_makes_callers_wait_for_each_other),
		T(a_killed_server_is_unavailable_at_once_and_comes_back),
		T(migrations_run_once_each),
		T(processes_that_migrate_at_once_do_not_collide),
		T(an_ordinary_role_may_check),
		T(a_script_says_why_it_failed),
	};

	if (!getenv("DATABASE_URL") || !getenv("TEST_PG_DIR")) {
		puts("test_db: skipped: run it by tests/unit/with-postgres");
		return 0;
	}
	log_set_format(LOG_LOGFMT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
