#include "database.h"

#include <postgresql/libpq-fe.h>
#include <stdlib.h>
#include <unistd.h>

#define POLL_US 50000
#define PATIENCE_US 20000000

struct database {
	PGconn *conn;
	char conninfo[CONNINFO_BYTES];
};

struct database *
database_new(const char *conninfo)
{
	struct database *db = calloc(1, sizeof(*db));

	if (!db)
		abort();
	snprintf(db->conninfo, sizeof(db->conninfo), "%s", conninfo);
	return db;
}

void
database_free(struct database *db)
{
	PQfinish(db->conn);
	free(db);
}

const char *
database_error(struct database *db)
{
	return db->conn ? PQerrorMessage(db->conn) : "no connection";
}

/* NULL, or a result of the wanted kind, to be cleared. */
static PGresult *
ask(struct database *db, const char *sql, int count, const char *const *values,
    ExecStatusType wanted)
{
	PGresult *res;

	if (PQstatus(db->conn) != CONNECTION_OK) {
		PQfinish(db->conn);
		db->conn = PQconnectdb(db->conninfo);
	}
	if (PQstatus(db->conn) != CONNECTION_OK)
		return NULL;
	res = PQexecParams(db->conn, sql, count, NULL, values, NULL, NULL, 0);
	if (PQresultStatus(res) == wanted)
		return res;
	PQclear(res);
	return NULL;
}

/* As above, through a fault that is just about to end. */
static PGresult *
ask_patiently(struct database *db, const char *sql, int count, const char *const *values)
{
	for (int left = PATIENCE_US / POLL_US; left > 0; left--) {
		PGresult *res = ask(db, sql, count, values, PGRES_TUPLES_OK);

		if (res)
			return res;
		usleep(POLL_US);
	}
	return NULL;
}

bool
database_update(struct database *db, const struct key *k, const char *text)
{
	const char *values[] = { text, k->id };
	PGresult *res = ask(db,
	    k->kind == COURSE ? "update \"Course\" set presentation = $1 where id = $2"
			      : "update \"Lesson\" set content = $1 where id = $2",
	    2, values, PGRES_COMMAND_OK);
	bool ok = res && strcmp(PQcmdTuples(res), "1") == 0;

	PQclear(res);
	return ok;
}

bool
database_text(struct database *db, const struct key *k, char *out, size_t bytes)
{
	const char *values[] = { k->id };
	PGresult *res = ask_patiently(db,
	    k->kind == COURSE ? "select presentation from \"Course\" where id = $1"
			      : "select content from \"Lesson\" where id = $1",
	    1, values);
	bool ok = res && PQntuples(res) == 1;

	if (ok)
		snprintf(out, bytes, "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	return ok;
}

bool
database_made(struct database *db, const char *course, uint64_t last, int *times, uint64_t *others)
{
	const char *values[] = { course };
	PGresult *res =
	    ask_patiently(db, "select name from \"Lesson\" where \"courseId\" = $1", 1, values);

	if (!res)
		return false;
	*others = 0;
	for (int i = 0; i < PQntuples(res); i++) {
		unsigned long long number;

		if (sscanf(PQgetvalue(res, i, 0), "made %llu", &number) == 1 && number >= 1 &&
		    number <= last)
			times[number]++;
		else
			++*others;
	}
	PQclear(res);
	return true;
}

bool
database_quiet(struct database *db, int seconds)
{
	for (int left = seconds * (1000000 / POLL_US); left > 0; left--) {
		PGresult *res = ask(db,
		    "select from pg_stat_activity where application_name ~ '^pupitre( |$)'"
		    " and xact_start is not null",
		    0, NULL, PGRES_TUPLES_OK);
		bool quiet = res && PQntuples(res) == 0;

		PQclear(res);
		if (quiet)
			return true;
		usleep(POLL_US);
	}
	return false;
}
