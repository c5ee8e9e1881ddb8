#include "ctl_doctor.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "commands.h"
#include "db/migrate.h"
#include "db/pg.h"
#include "db/url.h"
#include "sql.h"

#define URL_BYTES 8192
#define OLDEST 140000 /* sql/README.md */
#define NOTIFY_MS 2000
#define ERROR_BYTES 400

struct look {
	struct doctor *d;
	const struct config *config;
	struct pg_target *target;
};

static int64_t
deadline(const struct look *l)
{
	return clock_ms() + l->config->db_statement_ms;
}

/* What is told of a list: %.*s of it fits into a finding. */
#define LIST_MAX 700
#define LIST_ARG(s) (int)((s).len < LIST_MAX ? (s).len : LIST_MAX), (s).at

/* ---- what it has ---- */

static void
judge_version(struct doctor *d, const struct row *row)
{
	struct span version = row_get(row, "version");
	int64_t number = 0;

	if (text_number(row_get(row, "version_number"), &number) && number >= OLDEST)
		doctor_good(d, "PostgreSQL: version", "%.*s", SPAN_ARG(version));
	else
		doctor_fail(d, "PostgreSQL: version",
		    "%.*s is too old: pupitre's SQL needs 14 or later", SPAN_ARG(version));
}

/* Its connections are asked for as "read-write": this one was let through by the
 * URL's own target_session_attrs. */
static void
judge_writes(struct doctor *d, const struct row *row)
{
	struct span why = row_get(row, "read_only");

	if (span_is(why, "standby"))
		doctor_fail(d, "PostgreSQL: writes",
		    "it is a standby, which takes none: DATABASE_URL must lead to the primary, or "
		    "name all hosts, without a target_session_attrs");
	else
		doctor_check(d, why.len == 0, "PostgreSQL: writes",
		    "it is read-only (default_transaction_read_only): take that setting away for "
		    "this role");
}

static void
judge_rights(struct doctor *d, const struct row *row)
{
	struct span missing = row_get(row, "rights");

	if (missing.len)
		doctor_fail(d, "rights",
		    "this role lacks: %.*s. Grant them; the end of sql/README.md has the list",
		    LIST_ARG(missing));
	else
		doctor_good(d, "rights", "%s", "");
}

static void
judge_rest(struct doctor *d, const struct row *row, const struct config *config)
{
	struct span triggers = row_get(row, "triggers");
	int64_t connections = 0;

	if (triggers.len)
		doctor_fail(d, "triggers",
		    "missing, or not enabled always, so that changes are not heard of: %.*s. "
		    "Enable them, or run: pupitre migrate",
		    LIST_ARG(triggers));
	else
		doctor_good(d, "triggers", "%s", "");
	if (span_is(row_get(row, "trigram"), "1"))
		doctor_good(d, "pg_trgm", "%s", "");
	else
		doctor_warn(d, "pg_trgm", "%s",
		    "not there: searches read whole tables; create extension pg_trgm");
	if (text_number(row_get(row, "connections"), &connections) &&
	    connections < config->db_pool + 4)
		doctor_warn(d, "max_connections",
		    "%lld is hardly more than PUPITRE_DB_POOL: other programs need some too",
		    (long long)connections);
	else
		doctor_good(d, "max_connections", "%lld", (long long)connections);
}

/* False: nothing can be written, so nothing can be heard either. */
static bool
look_at_server(const struct look *l, struct pg *pg)
{
	struct doctor *d = l->d;
	struct row row;
	bool writes;

	if (pg_run(pg, SQL(doctor), NULL, 0, deadline(l), &row) != FAULT_NONE || !row.found) {
		doctor_fail(d, "PostgreSQL: server", "%s",
		    "it does not say what it has; the line on standard error tells why");
		row_free(&row);
		return false;
	}
	judge_version(d, &row);
	judge_writes(d, &row);
	judge_rights(d, &row);
	judge_rest(d, &row, l->config);
	writes = row_get(&row, "read_only").len == 0;
	row_free(&row);
	return writes;
}

/* ---- what is heard ---- */

/* Two connections: a pooler may well give a single one its own notification. */
static bool
is_heard(const struct look *l, struct pg *speaker)
{
	char error[ERROR_BYTES];
	enum fault f;
	struct pg *listener =
	    pg_connect(l->target, clock_ms() + l->config->db_connect_ms, &f, error, sizeof(error));
	bool heard = listener &&
	    pg_command(listener, "listen pupitre_doctor", "LISTEN", deadline(l)) == FAULT_NONE &&
	    pg_command(speaker, "notify pupitre_doctor", "NOTIFY", deadline(l)) == FAULT_NONE &&
	    pg_wait(listener, -1, clock_ms() + NOTIFY_MS) == FAULT_NONE;

	pg_close(listener);
	return heard;
}

/* ---- all of it ---- */

static void
look_at_migrations(const struct look *l)
{
	struct db *db = open_db(l->config);
	int missing = 0;

	if (!db)
		return;
	if (migrate_check(db, SQL_MIGRATIONS, &missing) != OK)
		missing = SQL_MIGRATIONS;
	if (missing)
		doctor_fail(l->d, "migrations", "%d of %d have not run: pupitre migrate", missing,
		    SQL_MIGRATIONS);
	else
		doctor_good(l->d, "migrations", "%d", SQL_MIGRATIONS);
	db_close(db);
}

static void
look_at_database(const struct look *l)
{
	struct doctor *d = l->d;
	char error[ERROR_BYTES];
	enum fault f;
	struct pg *pg =
	    pg_connect(l->target, clock_ms() + l->config->db_connect_ms, &f, error, sizeof(error));

	if (!pg && strstr(error, "read-only"))
		doctor_fail(d, "PostgreSQL",
		    "%s: a standby, or default_transaction_read_only: DATABASE_URL must lead to the "
		    "primary, or name all hosts",
		    error);
	else if (!pg)
		doctor_fail(d, "PostgreSQL",
		    "no connection (%s); does it run, and is DATABASE_URL right?", error);
	if (!pg)
		return;
	doctor_good(d, "PostgreSQL", "%s", "");
	look_at_migrations(l);
	if (look_at_server(l, pg))
		doctor_check(d, is_heard(l, pg), "notifications",
		    "what one connection says (NOTIFY) does not reach another (LISTEN), as behind a "
		    "pooler in transaction mode: lead DATABASE_URL to PostgreSQL itself, or to a "
		    "pooler in session mode");
	pg_close(pg);
}

void
doctor_postgres(struct doctor *d, const struct config *config)
{
	struct look l = { d, config, NULL };
	struct db_config dbc = {
		.url = config->database_url,
		.statement_ms = (int)config->db_statement_ms,
		.statement_count = SQL_STATEMENTS,
	};
	char schema[64];
	struct buf url;
	const char *why = "";

	buf_init(&url, URL_BYTES);
	if (url_for_libpq(config->database_url, &url, schema, sizeof(schema), &why))
		l.target = pg_target_make(&dbc);
	buf_free(&url);
	if (l.target)
		look_at_database(&l);
	else
		doctor_fail(d, "PostgreSQL", "DATABASE_URL is not a PostgreSQL address%s%s",
		    *why ? ": " : "", why);
	pg_target_free(l.target);
}
