#include "db/pg.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <postgresql/libpq-fe.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/array.h"
#include "db/url.h"

#define URL_BYTES 8192
#define SCHEMA_BYTES 64
#define MAX_HOSTS 8
#define HOST_WORDS 3 /* host, hostaddr, port */
#define SETUP_BYTES 512
/* A transaction of ours never rests for long; the server ends what does. */
#define IDLE_IN_TRANSACTION_MS 10000
#define BINARY 1

struct pg {
	PGconn *conn;
	int statement_count;
	bool prepared[]; /* by statement.index */
};

struct pg_target {
	char *url;
	char setup[SETUP_BYTES]; /* the first thing said on a connection */
	int statement_count;
	int host_count; /* 0: libpq goes through the hosts itself */
	char *hosts[MAX_HOSTS][HOST_WORDS];
	atomic_int preferred; /* a hint: the host that answered last */
};

static const char *const host_words[HOST_WORDS] = { "host", "hostaddr", "port" };

/* --- the target --------------------------------------------------------- */

static const char *
option_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o->keyword; o++) {
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && *o->val ? o->val : NULL;
	}
	return NULL;
}

static int
count_words(const char *list)
{
	int n = list ? 1 : 0;

	for (; list && *list; list++)
		n += *list == ',';
	return n;
}

/* The Ith of a list with commas, malloc'd; of a list of one, that one. */
static char *
copy_word(const char *list, int i)
{
	if (!list)
		return NULL;
	if (!strchr(list, ','))
		i = 0;
	for (; i > 0; i--)
		list = strchr(list, ',') + 1;
	return strndup(list, strcspn(list, ","));
}

static bool
fits(const char *list, int n)
{
	return !list || count_words(list) == 1 || count_words(list) == n;
}

static void
free_hosts(struct pg_target *t)
{
	for (int i = 0; i < MAX_HOSTS; i++) {
		for (int w = 0; w < HOST_WORDS; w++) {
			free(t->hosts[i][w]);
			t->hosts[i][w] = NULL;
		}
	}
	t->host_count = 0;
}

/*
 * libpq would let one silent host use up the time of all: so we go through
 * them ourselves.  Where that is not plain (an empty name, lists that do not
 * agree, "prefer-standby", which needs two rounds) libpq does it.
 */
static void
split_hosts(struct pg_target *t, const PQconninfoOption *options)
{
	const char *lists[HOST_WORDS];
	const char *attrs = option_value(options, "target_session_attrs");
	int n = 0;

	for (int w = 0; w < HOST_WORDS; w++)
		lists[w] = option_value(options, host_words[w]);
	n = count_words(lists[1] ? lists[1] : lists[0]);
	if (n < 2 || n > MAX_HOSTS || (lists[0] && lists[1] && count_words(lists[0]) != n) ||
	    !fits(lists[2], n) || (attrs && strcmp(attrs, "prefer-standby") == 0))
		return;
	t->host_count = n;
	for (int i = 0; i < n * HOST_WORDS; i++) {
		char **word = &t->hosts[i / HOST_WORDS][i % HOST_WORDS];
		const char *list = lists[i % HOST_WORDS];

		*word = copy_word(list, i / HOST_WORDS);
		if (list && (!*word || !**word)) {
			free_hosts(t);
			return;
		}
	}
}

/* libpq's complaint may hold the URL: it is repeated only where it cannot. */
static bool
read_options(struct pg_target *t)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(t->url, &why);
	bool harmless = why && strncmp(why, "invalid URI query parameter", 27) == 0;

	if (options)
		split_hosts(t, options);
	else if (harmless)
		log_event(LOG_ERROR, "db_url", "%.*s", (int)strcspn(why, "\n"), why);
	else
		log_event(LOG_ERROR, "db_url", "not a connection string");
	PQfreemem(why);
	PQconninfoFree(options);
	return options != NULL;
}

static void
make_setup(struct pg_target *t, const char *schema, int statement_ms)
{
	int n = snprintf(t->setup, sizeof(t->setup),
	    "set client_encoding = 'UTF8'; set timezone = 'UTC'; set statement_timeout = %d; "
	    "set idle_in_transaction_session_timeout = %d",
	    statement_ms, IDLE_IN_TRANSACTION_MS);

	if (*schema)
		snprintf(t->setup + n, sizeof(t->setup) - (size_t)n, "; set search_path = \"%s\"",
		    schema);
}

struct pg_target *
pg_target_make(const struct db_config *config)
{
	struct pg_target *t = calloc(1, sizeof(*t));
	char schema[SCHEMA_BYTES];
	const char *why;
	struct buf url;
	bool good;

	if (!t)
		return NULL;
	buf_init(&url, URL_BYTES);
	good = url_for_libpq(config->url, &url, schema, sizeof(schema), &why);
	if (good)
		t->url = buf_take(&url);
	else
		log_event(LOG_ERROR, "db_url", "%s", why);
	buf_free(&url);
	if (!t->url || !read_options(t)) {
		pg_target_free(t);
		return NULL;
	}
	make_setup(t, schema, config->statement_ms);
	t->statement_count = config->statement_count;
	return t;
}

void
pg_target_free(struct pg_target *t)
{
	if (!t)
		return;
	free_hosts(t);
	free(t->url);
	free(t);
}

/* --- waiting ------------------------------------------------------------ */

static enum fault
await(PGconn *conn, int events, int64_t deadline_ms)
{
	struct pollfd p = { .fd = PQsocket(conn), .events = (short)events };
	int64_t left;
	int n;

	if (p.fd < 0)
		return FAULT_LOST;
	do {
		left = deadline_ms - clock_ms();
		n = poll(&p, 1, left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? FAULT_NONE : n == 0 ? FAULT_LATE : FAULT_LOST;
}

/* While the server does not take what we send it may want to be read first. */
static enum fault
flush(PGconn *conn, int64_t deadline_ms)
{
	enum fault f = FAULT_NONE;
	int more;

	while (f == FAULT_NONE && (more = PQflush(conn)) != 0) {
		if (more < 0)
			return FAULT_LOST;
		f = await(conn, POLLIN | POLLOUT, deadline_ms);
		if (f == FAULT_NONE && !PQconsumeInput(conn))
			return FAULT_LOST;
	}
	return f;
}

static enum fault
next_result(PGconn *conn, int64_t deadline_ms, PGresult **out)
{
	enum fault f;

	while (PQisBusy(conn)) {
		f = await(conn, POLLIN, deadline_ms);
		if (f != FAULT_NONE)
			return f;
		if (!PQconsumeInput(conn))
			return FAULT_LOST;
	}
	*out = PQgetResult(conn);
	return FAULT_NONE;
}

static bool
is_error(const PGresult *res)
{
	ExecStatusType type = PQresultStatus(res);

	return type != PGRES_COMMAND_OK && type != PGRES_TUPLES_OK && type != PGRES_EMPTY_QUERY;
}

static bool
is_copy(const PGresult *res)
{
	ExecStatusType type = PQresultStatus(res);

	return type == PGRES_COPY_IN || type == PGRES_COPY_OUT || type == PGRES_COPY_BOTH;
}

/* A plan whose columns have changed is 0A000, as is much else. */
static enum fault
judge(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *where = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

	if (!is_error(res))
		return FAULT_NONE;
	if (state && strcmp(state, "0A000") == 0 && where &&
	    strcmp(where, "RevalidateCachedQuery") == 0)
		return FAULT_STALE;
	return fault_of_sqlstate(state);
}

/*
 * Send what is to be sent and take all results to the last, so that the
 * connection is drained.  *out is the first error, else the last result; the
 * caller clears it.  It is NULL when the connection was lost or the server
 * too late.
 */
static enum fault
collect(PGconn *conn, int64_t deadline_ms, PGresult **out)
{
	enum fault f = flush(conn, deadline_ms);
	PGresult *res = NULL;

	*out = NULL;
	while (f == FAULT_NONE) {
		f = next_result(conn, deadline_ms, &res);
		if (f != FAULT_NONE)
			break;
		if (!res)
			return *out ? judge(*out) : FAULT_LOST;
		if (is_copy(res))
			f = FAULT_LOST; /* a dialogue that we do not lead */
		if (*out && is_error(*out)) {
			PQclear(res);
		} else {
			PQclear(*out);
			*out = res;
		}
	}
	PQclear(*out);
	*out = NULL;
	return f;
}

/* --- connecting --------------------------------------------------------- */

static void
copy_line(char *out, size_t room, const char *text)
{
	if (room)
		snprintf(out, room, "%.*s", (int)strcspn(text, "\n"), text);
}

static void
ignore_notice(void *unused, const char *message)
{
	(void)unused;
	(void)message;
}

/* Keywords before dbname are defaults, those behind it rule over the URL. */
static PGconn *
begin_connect(const struct pg_target *t, int host)
{
	const char *keywords[] = { "target_session_attrs", "fallback_application_name",
		"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
		"dbname", host_words[0], host_words[1], host_words[2], NULL };
	const char *values[] = { "read-write", "pupitre", "30", "5", "3", "30000", t->url, NULL,
		NULL, NULL, NULL };
	PGconn *conn;

	for (int w = 0; w < HOST_WORDS && host < t->host_count; w++)
		values[7 + w] = t->hosts[host][w];
	conn = PQconnectStartParams(keywords, values, 1);
	if (!conn)
		return NULL;
	/* The only way to learn the SQLSTATE of a refused connection. */
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	PQsetNoticeProcessor(conn, ignore_notice, NULL);
	return conn;
}

static enum fault
finish_connect(PGconn *conn, int64_t deadline_ms)
{
	PostgresPollingStatusType step = PGRES_POLLING_WRITING;
	enum fault f = FAULT_NONE;

	if (PQstatus(conn) == CONNECTION_BAD)
		step = PGRES_POLLING_FAILED;
	while (step == PGRES_POLLING_READING || step == PGRES_POLLING_WRITING) {
		f = await(conn, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms);
		if (f != FAULT_NONE)
			return f;
		step = PQconnectPoll(conn);
	}
	if (step == PGRES_POLLING_OK)
		return FAULT_NONE;
	return strstr(PQerrorMessage(conn), " 53300: ") ? FAULT_CROWDED : FAULT_LOST;
}

static enum fault
set_up(PGconn *conn, const char *setup, int64_t deadline_ms)
{
	PGresult *res;
	enum fault f;

	PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(conn, 1) != 0 || !PQsendQuery(conn, setup))
		return FAULT_LOST;
	f = collect(conn, deadline_ms, &res);
	PQclear(res);
	return f;
}

static struct pg *
connect_host(const struct pg_target *t, int host, int64_t deadline_ms, enum fault *fault,
    char *error, size_t room)
{
	size_t bytes = sizeof(struct pg) + (size_t)t->statement_count * sizeof(bool);
	struct pg *pg = calloc(1, bytes);

	*fault = FAULT_LOST;
	copy_line(error, room, "out of memory");
	if (!pg)
		return NULL;
	pg->statement_count = t->statement_count;
	pg->conn = begin_connect(t, host);
	if (pg->conn)
		*fault = finish_connect(pg->conn, deadline_ms);
	if (pg->conn && *fault == FAULT_NONE)
		*fault = set_up(pg->conn, t->setup, deadline_ms);
	if (*fault == FAULT_NONE)
		return pg;
	if (*fault == FAULT_LATE)
		copy_line(error, room, "no answer in time");
	else if (pg->conn)
		copy_line(error, room, PQerrorMessage(pg->conn));
	pg_close(pg);
	return NULL;
}

struct pg *
pg_connect(struct pg_target *t, int64_t deadline_ms, enum fault *fault, char *error, size_t room)
{
	int hosts = t->host_count ? t->host_count : 1;
	int first = atomic_load(&t->preferred);
	struct pg *pg = NULL;

	for (int i = 0; i < hosts && !pg; i++) {
		int host = (first + i) % hosts;
		int64_t now = clock_ms();

		pg = connect_host(
		    t, host, now + (deadline_ms - now) / (hosts - i), fault, error, room);
		if (pg)
			atomic_store(&t->preferred, host);
	}
	return pg;
}

void
pg_close(struct pg *pg)
{
	if (!pg)
		return;
	PQfinish(pg->conn);
	free(pg);
}

/* --- the state of a connection ------------------------------------------ */

bool
pg_is_idle(const struct pg *pg)
{
	return PQstatus(pg->conn) == CONNECTION_OK && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
}

bool
pg_in_transaction(const struct pg *pg)
{
	return PQtransactionStatus(pg->conn) == PQTRANS_INTRANS;
}

bool
pg_is_silent(const struct pg *pg)
{
	struct pollfd p = { .fd = PQsocket(pg->conn), .events = POLLIN };

	return PQstatus(pg->conn) == CONNECTION_OK && poll(&p, 1, 0) == 0;
}

/* --- statements --------------------------------------------------------- */

/* What is normal in a busy system is not said.  No words of the server once
 * parameters were sent: they may repeat a value. */
static void
complain(const char *name, enum fault f, const PGresult *res, bool words)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = words ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	if (f == FAULT_NONE || f == FAULT_PARAM || f == FAULT_CONFLICT || f == FAULT_DEADLOCK)
		return;
	log_event(f == FAULT_WRONG ? LOG_ERROR : LOG_WARN, "db_statement", "%s: %s%s%s%s%s", name,
	    fault_meaning(f)->word, state ? ", SQLSTATE " : "", state ? state : "",
	    text ? ", " : "", text ? text : "");
}

static enum fault
prepare(struct pg *pg, const struct statement *st, int64_t deadline_ms)
{
	PGresult *res = NULL;
	enum fault f = FAULT_LOST;

	assert(st->index < pg->statement_count);
	if (st->index < 0 || pg->prepared[st->index])
		return FAULT_NONE;
	if (PQsendPrepare(pg->conn, st->name, st->text, 0, NULL))
		f = collect(pg->conn, deadline_ms, &res);
	complain(st->name, f, res, true);
	PQclear(res);
	pg->prepared[st->index] = f == FAULT_NONE;
	return f;
}

/* Text parameters end at NUL: copied into one piece, *bytes, for the caller to
 * free. */
static enum fault
pack(const struct span *params, int count, const char **values, char **bytes)
{
	size_t total = 1;
	char *at;

	assert(count >= 0 && count <= DB_MAX_PARAMS);
	for (int i = 0; i < count; i++) {
		if (params[i].at && params[i].len && memchr(params[i].at, '\0', params[i].len))
			return FAULT_PARAM;
		total += params[i].len + 1;
	}
	at = *bytes = malloc(total);
	if (!at)
		return FAULT_WRONG;
	for (int i = 0; i < count; i++) {
		values[i] = params[i].at ? at : NULL;
		if (!params[i].at)
			continue;
		memcpy(at, params[i].at, params[i].len);
		at[params[i].len] = '\0';
		at += params[i].len + 1;
	}
	return FAULT_NONE;
}

static bool
send_statement(struct pg *pg, const struct statement *st, const char *const *values, int count)
{
	if (st->index == -2)
		return PQsendQuery(pg->conn, st->text);
	if (st->index < 0)
		return PQsendQueryParams(
		    pg->conn, st->text, count, NULL, values, NULL, NULL, BINARY);
	return PQsendQueryPrepared(pg->conn, st->name, count, values, NULL, NULL, BINARY);
}

/* The binary form of these is their text: unknown, text, varchar, char(n),
 * name, json, and an enum, which has an OID of its own. */
static bool
is_text(Oid type)
{
	return type == 705 || type == 25 || type == 1043 || type == 1042 || type == 19 ||
	    type == 114 || type >= 16384;
}

static bool
is_text_array(Oid type)
{
	return type == 1009 || type == 1015;
}

static bool
columns_fit(const PGresult *res, int tags)
{
	for (int i = 0; i < PQnfields(res); i++) {
		if (i == tags ? !is_text_array(PQftype(res, i)) : !is_text(PQftype(res, i)))
			return false;
	}
	return PQnfields(res) <= DB_MAX_COLUMNS;
}

static struct span
cell(const PGresult *res, int column)
{
	if (column < 0 || PQgetisnull(res, 0, column))
		return span_make(NULL, 0);
	return span_make(PQgetvalue(res, 0, column), (size_t)PQgetlength(res, 0, column));
}

/* Takes RES over. */
static enum fault
fill(PGresult *res, const struct statement *st, struct row *row)
{
	int tags = PQfnumber(res, "tags");
	struct span raw;

	row->result = res;
	row->found = PQntuples(res) > 0;
	if (!row->found)
		return FAULT_NONE;
	raw = cell(res, tags);
	if (!columns_fit(res, tags) || (raw.at && !array_parse(raw, &row->tags, &row->tag_count))) {
		log_event(
		    LOG_ERROR, "db_statement", "%s: columns must be text, tags text[]", st->name);
		row_free(row);
		return FAULT_WRONG;
	}
	row->body = row_get(row, "body");
	row->outcome = row_get(row, "outcome");
	return FAULT_NONE;
}

enum fault
pg_run(struct pg *pg, const struct statement *st, const struct span *params, int count,
    int64_t deadline_ms, struct row *row)
{
	const char *values[DB_MAX_PARAMS];
	char *bytes = NULL;
	PGresult *res = NULL;
	enum fault f;

	memset(row, 0, sizeof(*row));
	f = pack(params, count, values, &bytes);
	if (f == FAULT_NONE)
		f = prepare(pg, st, deadline_ms);
	if (f != FAULT_NONE) {
		free(bytes);
		return f;
	}
	f = FAULT_LOST;
	if (send_statement(pg, st, values, count))
		f = collect(pg->conn, deadline_ms, &res);
	free(bytes);
	complain(st->name, f, res, false);
	if (f == FAULT_NONE)
		return fill(res, st, row);
	PQclear(res);
	return f;
}

enum fault
pg_command(struct pg *pg, const char *sql, const char *tag, int64_t deadline_ms)
{
	PGresult *res = NULL;
	enum fault f = FAULT_LOST;

	if (PQsendQuery(pg->conn, sql))
		f = collect(pg->conn, deadline_ms, &res);
	if (f == FAULT_NONE && strcmp(PQcmdStatus(res), tag) != 0)
		f = FAULT_WRONG;
	complain(sql, f, res, true);
	PQclear(res);
	return f;
}

enum fault
pg_script(struct pg *pg, const char *sql, int64_t deadline_ms, char *error, size_t room)
{
	PGresult *res = NULL;
	enum fault f = FAULT_LOST;

	if (PQsendQuery(pg->conn, sql))
		f = collect(pg->conn, deadline_ms, &res);
	if (room)
		snprintf(error, room, "%s",
		    f == FAULT_NONE ? ""
			: res	    ? PQresultErrorMessage(res)
				    : fault_meaning(f)->word);
	PQclear(res);
	return f;
}

/* All that there are; whether there was any. */
static bool
take_notifications(PGconn *conn)
{
	bool any = false;

	for (PGnotify *n = PQnotifies(conn); n; n = PQnotifies(conn)) {
		PQfreemem(n);
		any = true;
	}
	return any;
}

enum fault
pg_wait(struct pg *pg, int wake_fd, int64_t deadline_ms)
{
	while (!take_notifications(pg->conn)) {
		struct pollfd p[2] = { { .fd = PQsocket(pg->conn), .events = POLLIN },
			{ .fd = wake_fd, .events = POLLIN } };
		int64_t left = deadline_ms - clock_ms();
		int n = left > 0 ? poll(p, 2, left > INT_MAX ? INT_MAX : (int)left) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || p[0].fd < 0)
			return FAULT_LOST;
		if (n == 0 || p[1].revents)
			return FAULT_LATE;
		if (!PQconsumeInput(pg->conn) || PQstatus(pg->conn) != CONNECTION_OK)
			return FAULT_LOST;
	}
	return FAULT_NONE;
}

void
row_free(struct row *r)
{
	free(r->tags);
	PQclear(r->result);
	memset(r, 0, sizeof(*r));
}

struct span
row_get(const struct row *r, const char *column)
{
	return r->found ? cell(r->result, PQfnumber(r->result, column)) : span_make(NULL, 0);
}
