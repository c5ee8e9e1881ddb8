/*
 * Everything runs on one connection of its own, which holds a session's
 * advisory lock from before the first look to the end: several processes go
 * one after the other, and the later ones find the work done.
 */
#include "db/migrate.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/pool.h"

/* Any number that nobody else is likely to lock. */
#define LOCK "select pg_advisory_lock(7094881273156012)"
#define LOCK_MS 600000
#define STEP_MS (60 * 60 * 1000)
#define ERROR_BYTES 1000

static const struct statement state = { "migration_state",
	"select case when c.oid is null then 'absent'"
	" when has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')"
	" then 'ready' else 'forbidden' end as outcome"
	" from (values (1)) v(one)"
	" left join pg_catalog.pg_namespace n on n.nspname = 'pupitre'"
	" left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = 'migration'",
	-1 };

static const struct statement done = { "migration_done",
	"select 'done' as outcome from pupitre.migration where number = $1::text::int", -1 };

static const struct statement done_count = { "migration_done_count",
	"select count(*)::text as body from pupitre.migration"
	" where number between 1 and $1::text::int",
	-1 };

static const struct statement record = { "migration_record",
	"insert into pupitre.migration (number, name) values ($1::text::int, $2::text)", -1 };

/* A migration that waits for a table's lock makes all others wait behind it. */
static const char settings[] = "set lock_timeout = '30s'";

static const char make_table[] =
    "begin; create schema if not exists pupitre; "
    "create table if not exists pupitre.migration (number int primary key, "
    "name text not null, applied_at timestamptz not null default now()); commit";

/* What there is to say is in ERROR. */
struct work {
	struct pg *pg;
	char error[ERROR_BYTES];
};

static enum fault
run(struct work *w, const char *sql, int64_t patience_ms)
{
	return pg_script(w->pg, sql, clock_ms() + patience_ms, w->error, sizeof(w->error));
}

/* FOUND is the column outcome, "" if there is no row. */
static enum fault
ask(struct work *w, const struct statement *st, int number, const char *name, char found[16])
{
	char text[16];
	struct span params[2];
	struct row row;
	enum fault f;

	snprintf(text, sizeof(text), "%d", number);
	params[0] = span_of(text);
	params[1] = span_of(name);
	f = pg_run(w->pg, st, params, st == &state ? 0 : name ? 2 : 1, clock_ms() + STEP_MS, &row);
	snprintf(found, 16, "%.*s", SPAN_ARG(row.outcome));
	snprintf(w->error, sizeof(w->error), "%s: %s", st->name, fault_meaning(f)->word);
	row_free(&row);
	return f;
}

static enum fault
prepare(struct work *w)
{
	char found[16];
	enum fault f = run(w, LOCK, LOCK_MS);

	if (f == FAULT_NONE)
		f = run(w, settings, LOCK_MS);
	if (f == FAULT_NONE)
		f = ask(w, &state, 0, NULL, found);
	if (f == FAULT_NONE && strcmp(found, "absent") == 0)
		f = run(w, make_table, LOCK_MS);
	return f;
}

/* The record and what it records are one transaction. */
static enum fault
apply(struct work *w, const struct migration *m)
{
	char found[16];
	enum fault f = run(w, "begin", LOCK_MS);

	if (f == FAULT_NONE)
		f = run(w, m->text, STEP_MS);
	if (f == FAULT_NONE && !pg_in_transaction(w->pg)) {
		snprintf(w->error, sizeof(w->error), "it ends the transaction it runs in");
		f = FAULT_WRONG;
	}
	if (f == FAULT_NONE)
		f = ask(w, &record, m->number, m->name, found);
	if (f == FAULT_NONE) {
		snprintf(w->error, sizeof(w->error), "commit failed");
		f = pg_command(w->pg, "commit", "COMMIT", clock_ms() + STEP_MS);
	}
	return f;
}

static enum fault
apply_once(struct work *w, const struct migration *m, FILE *say)
{
	char found[16];
	enum fault f = ask(w, &done, m->number, NULL, found);

	if (f != FAULT_NONE || *found)
		return f;
	f = apply(w, m);
	if (f == FAULT_NONE)
		fprintf(say, "migration %04d %s: done\n", m->number, m->name);
	else
		fprintf(say, "migration %04d %s: failed\n", m->number, m->name);
	return f;
}

enum status
migrate_up(struct db *db, const struct migration *all, int count, FILE *say)
{
	struct work w = { 0 };
	enum fault f;

	w.pg = pool_connect_alone(db, &f, w.error, sizeof(w.error));
	if (w.pg)
		f = prepare(&w);
	for (int i = 0; f == FAULT_NONE && i < count; i++)
		f = apply_once(&w, &all[i], say);
	if (f != FAULT_NONE)
		fprintf(say, "%s\n", w.error);
	pg_close(w.pg); /* and with it goes the lock */
	return fault_meaning(f)->status;
}

static int
number_of(struct span s)
{
	int n = 0;

	for (size_t i = 0; i < s.len; i++)
		n = n * 10 + (s.at[i] - '0');
	return n;
}

/* An ordinary role may not look into a schema that it has no right to; the
 * catalogue everybody may read. */
enum status
migrate_check(struct db *db, int count, int *missing)
{
	struct row row;
	enum status st = db_read(db, &state, NULL, 0, &row);
	bool absent = st == OK && span_is(row.outcome, "absent");
	bool ready = st == OK && span_is(row.outcome, "ready");
	char text[16];
	struct span param;

	row_free(&row);
	*missing = count;
	if (st != OK || absent)
		return st;
	if (!ready) {
		log_event(LOG_ERROR, "migrate", "this role may not read pupitre.migration");
		return INTERNAL;
	}
	snprintf(text, sizeof(text), "%d", count);
	param = span_of(text);
	st = db_read(db, &done_count, &param, 1, &row);
	if (st == OK)
		*missing = count - number_of(row.body);
	row_free(&row);
	return st;
}
