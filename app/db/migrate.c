/*
 * A migration and its record are one transaction, under an advisory lock.  Two
 * processes that start together both try; the second waits, then fails on the
 * record that the first has made, and finds it done.
 */
#include "db/migrate.h"

#include <stdlib.h>

#include "base/buf.h"

#define LOCK "select pg_advisory_xact_lock(7309453310);\n"
#define SCRIPT_BYTES (1u << 20)
#define ERROR_BYTES 512

static const char first_of_all[] =
    "begin;\n" LOCK
    "create schema if not exists pupitre;\n"
    "create table if not exists pupitre.migration (number int primary key,\n"
    "    name text not null, applied_at timestamptz not null default now());\n"
    "commit;\n";

/* OK, NOT_FOUND, or UNAVAILABLE. */
static enum status
is_done(struct db *db, int number)
{
	char error[ERROR_BYTES];
	struct buf script;
	char *text;
	enum status st;

	buf_init(&script, SCRIPT_BYTES);
	buf_printf(&script,
	    "do $$ begin\n"
	    "  perform 1 from pupitre.migration where number = %d;\n"
	    "  if not found then raise exception 'not run'; end if;\n"
	    "end $$",
	    number);
	text = buf_take(&script);
	if (!text)
		return BUSY;
	st = db_script(db, text, error, sizeof(error));
	free(text);
	return st == INTERNAL ? NOT_FOUND : st;
}

static char *
script_of(const struct migration *m)
{
	struct buf script;

	buf_init(&script, SCRIPT_BYTES);
	buf_printf(&script,
	    "begin;\n" LOCK "insert into pupitre.migration (number, name) values (%d, '%s');\n",
	    m->number, m->name);
	buf_text(&script, m->text);
	buf_text(&script, "\n;commit;\n");
	return buf_take(&script);
}

static enum status
run_one(struct db *db, const struct migration *m, FILE *say)
{
	char error[ERROR_BYTES] = "";
	enum status st = is_done(db, m->number);
	char *text;

	if (st != NOT_FOUND)
		return st;
	text = script_of(m);
	if (!text)
		return BUSY;
	st = db_script(db, text, error, sizeof(error));
	free(text);
	if (st == OK) {
		fprintf(say, "migration %04d %s\n", m->number, m->name);
		return OK;
	}
	if (is_done(db, m->number) == OK)
		return OK; /* somebody else was faster */
	fprintf(stderr, "pupitre: migration %04d %s: %s\n", m->number, m->name, error);
	return st;
}

enum status
migrate_up(struct db *db, const struct migration *all, int count, FILE *say)
{
	char error[ERROR_BYTES] = "";
	enum status st = is_done(db, all[count - 1].number);

	if (st == NOT_FOUND) {
		st = db_script(db, first_of_all, error, sizeof(error));
		if (st != OK)
			fprintf(stderr, "pupitre: migrate: %s\n", error);
	}
	for (int i = 0; st == OK && i < count; i++)
		st = run_one(db, &all[i], say);
	return st;
}

enum status
migrate_check(struct db *db, int count, int *missing)
{
	*missing = 0;
	for (int number = 1; number <= count; number++) {
		enum status st = is_done(db, number);

		if (st == NOT_FOUND)
			(*missing)++;
		else if (st != OK)
			return st;
	}
	return OK;
}
