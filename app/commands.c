#include "commands.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/password.h"
#include "auth/session.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "cache/remote.h"
#include "db/migrate.h"
#include "sql.h"

#define DEMO_PASSWORD "pupitre-demo"
#define DEMO_SIZE_MAX 1000000
#define ERROR_BYTES 1024
#define DAY_MS (86400 * (int64_t)1000)

static int
complain(const char *what)
{
	fprintf(stderr, "pupitre: %s\n", what);
	return 1;
}

struct db *
open_db(const struct config *config)
{
	struct db_config dbc = {
		.url = config->database_url,
		.pool = (int)config->db_pool,
		.reads = (int)config->db_reads,
		.wait_ms = (int)config->db_wait_ms,
		.connect_ms = (int)config->db_connect_ms,
		.statement_ms = (int)config->db_statement_ms,
		.max_age_s = (int)config->db_max_age_s,
		.statement_count = SQL_STATEMENTS,
	};
	struct db *db;

	if (!config->database_url) {
		complain("DATABASE_URL is not set; e.g. postgresql://user@host/database");
		return NULL;
	}
	db = db_open(&dbc);
	if (!db)
		complain("DATABASE_URL is not a PostgreSQL address");
	return db;
}

bool
try_remote(const struct config *config, struct remote **remote, const char **why)
{
	char *upstash = NULL;
	struct remote_config rc = {
		.url = config->redis_url,
		.prefix = config->redis_prefix,
		.deadline_ms = (int)config->redis_ms,
		.connect_ms = (int)config->redis_connect_ms,
		.breaker_failures = (int)config->breaker_failures,
		.breaker_ms = (int)config->breaker_ms,
		.connections = (int)config->workers,
	};

	*remote = NULL;
	*why = "UPSTASH_REDIS_REST_URL is not https://HOST";
	if (!rc.url && !config->upstash_url)
		return true;
	if (!rc.url)
		rc.url = upstash =
		    remote_url_of_upstash(config->upstash_url, config->upstash_token);
	if (rc.url)
		*remote = remote_open(&rc, why);
	free(upstash);
	return *remote != NULL;
}

bool
open_remote(const struct config *config, struct remote **remote)
{
	const char *why;

	if (try_remote(config, remote, &why))
		return true;
	fprintf(stderr, "pupitre: Redis: %s\n", why);
	return false;
}

/* ---- --check ---- */

static int
say_check(const char *name, bool fine, const char *advice)
{
	printf(
	    "%-12s %s%s%s\n", name, fine ? "ok" : "FAILED", fine ? "" : ": ", fine ? "" : advice);
	return fine ? 0 : 1;
}

/* Without it every read is loaded and no write is done. */
static int
check_outbox(struct db *db)
{
	struct span nothing[2] = { { NULL, 0 }, { NULL, 0 } };
	struct row row = { 0 };
	enum status st = db_read(db, SQL(outbox_read), nothing, 2, &row);

	row_free(&row);
	return say_check("outbox", st == OK,
	    "it cannot be read; see the line above, and the rights that sql/README.md names");
}

static int
check_db(struct db *db)
{
	int missing = 0;

	if (say_check("PostgreSQL", db_ping(db) == OK,
		"no answer; see the line above, and that it runs and DATABASE_URL is right"))
		return 1;
	if (migrate_check(db, SQL_MIGRATIONS, &missing) != OK)
		missing = SQL_MIGRATIONS;
	if (say_check("migrations", missing == 0, "some have not run: pupitre migrate"))
		return 1;
	return check_outbox(db);
}

int
command_check(const struct config *config)
{
	struct db *db = open_db(config);
	struct remote *remote = NULL;
	int failed = 0;

	config_show(config, stdout);
	if (!db)
		return 1;
	failed |= check_db(db);
	if (!open_remote(config, &remote))
		failed = 1;
	else if (!remote)
		printf("%-12s %s\n", "Redis", "not configured: memory alone");
	else
		failed |= say_check("Redis", remote_ping(remote),
		    "no answer; see that it runs, and the address and password");
	if (remote)
		remote_close(remote);
	db_close(db);
	return failed;
}

/* ---- migrate, demo ---- */

int
command_migrate(const struct config *config)
{
	struct db *db = open_db(config);
	enum status st;

	if (!db)
		return 1;
	st = migrate_up(db, sql_migrations, SQL_MIGRATIONS, stdout);
	db_close(db);
	return st == OK ? 0 : complain("migration failed; nothing of it was kept");
}

static enum status
write_once(struct db *db, const struct statement *st, const struct span *params, int count,
    struct row *row)
{
	struct tx *tx;
	enum status s = tx_begin(db, &tx);

	if (s != OK)
		return s;
	s = tx_run(tx, st, params, count, row);
	if (s == OK && row->found && row->outcome.at)
		s = status_from_word(row->outcome.at, row->outcome.len);
	if (s != OK && s != CREATED) {
		tx_abandon(tx);
		return s;
	}
	if (tx_commit(tx) != OK)
		return UNKNOWN_OUTCOME;
	return s;
}

static enum status
set_password(struct db *db, struct span user_id, struct span password)
{
	struct password_gate *gate = password_gate_new(1, 0);
	char hash[PASSWORD_HASH_BYTES];
	struct row row = { 0 };
	struct span params[2];
	enum status st = gate ? password_hash(gate, password, hash) : BUSY;

	params[0] = user_id;
	params[1] = span_of(hash);
	if (st == OK)
		st = write_once(db, SQL(credential_put), params, 2, &row);
	row_free(&row);
	password_gate_free(gate);
	return st == CREATED ? OK : st;
}

static enum status
find_user(struct db *db, const char *email, struct row *row)
{
	struct span param = span_of(email);
	enum status st = db_read(db, SQL(user_by_email), &param, 1, row);

	if (st == OK && !row->found)
		return NOT_FOUND;
	return st;
}

static enum status
set_demo_password(struct db *db, const char *email)
{
	struct row row = { 0 };
	enum status st = find_user(db, email, &row);

	if (st == OK)
		st = set_password(db, row.body, span_of(DEMO_PASSWORD));
	row_free(&row);
	return st;
}

static enum status
load_demo(struct db *db, int64_t size, char error[ERROR_BYTES])
{
	struct buf script;
	char *text;
	enum status st = BUSY;

	buf_init(&script, 1 << 20);
	buf_printf(&script, "set pupitre.demo_size = '%lld';\n", (long long)size);
	buf_text(&script, sql_demo_school);
	text = buf_take(&script);
	if (text)
		st = db_script(db, text, error, ERROR_BYTES);
	free(text);
	if (st == OK)
		st = set_demo_password(db, "admin@example.org");
	if (st == OK)
		st = set_demo_password(db, "student@example.org");
	return st;
}

int
command_demo(const struct config *config, int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ 0 },
	};
	char error[ERROR_BYTES] = "no answer from PostgreSQL";
	int64_t size = 12;
	struct db *db;
	enum status st;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o != 's' || !text_number(span_of(optarg), &size) || size < 1 ||
		    size > DEMO_SIZE_MAX)
			return complain("usage: pupitre demo [--size COURSES], 1 to 1000000");
	}
	db = open_db(config);
	if (!db)
		return 1;
	st = load_demo(db, size, error);
	db_close(db);
	if (st != OK) {
		fprintf(stderr, "pupitre: demo data: %s\n", error);
		return 1;
	}
	printf("demo school loaded; admin@example.org and student@example.org, password "
	       "%s\n",
	    DEMO_PASSWORD);
	return 0;
}

/* ---- user create ---- */

struct new_user {
	const char *email;
	const char *name;
	const char *role;
	bool password_stdin;
};

static bool
read_user_options(struct new_user *u, int argc, char **argv)
{
	static const struct option options[] = {
		{ "email", required_argument, NULL, 'e' },
		{ "name", required_argument, NULL, 'n' },
		{ "role", required_argument, NULL, 'r' },
		{ "password-stdin", no_argument, NULL, 'p' },
		{ 0 },
	};
	int o;

	*u = (struct new_user){ .role = "USER" };
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'e':
			u->email = optarg;
			break;
		case 'n':
			u->name = optarg;
			break;
		case 'r':
			u->role = optarg;
			break;
		case 'p':
			u->password_stdin = true;
			break;
		default:
			return false;
		}
	}
	return u->email && strchr(u->email, '@') && strlen(u->email) <= 254 && optind == argc &&
	    (strcmp(u->role, "USER") == 0 || strcmp(u->role, "ADMIN") == 0);
}

static bool
read_password(char *to, size_t room)
{
	size_t len;

	if (!fgets(to, (int)room, stdin))
		return false;
	len = strcspn(to, "\r\n");
	to[len] = '\0';
	return len >= PASSWORD_MIN_BYTES && len <= PASSWORD_MAX_BYTES;
}

static int
create_user(struct db *db, const struct new_user *u, const char *password)
{
	char id[RANDOM_ID_BYTES];
	struct span params[4];
	struct row row = { 0 };
	enum status st;

	random_id(id);
	params[0] = span_of(id);
	params[1] = span_of(u->email);
	params[2] = u->name ? span_of(u->name) : (struct span){ NULL, 0 };
	params[3] = span_of(u->role);
	st = write_once(db, SQL(user_create), params, 4, &row);
	row_free(&row);
	if (st == CONFLICT)
		return complain("somebody has this e-mail address already");
	if ((st == OK || st == CREATED) && password)
		st = set_password(db, span_of(id), span_of(password));
	if (st != OK && st != CREATED)
		return complain("the user could not be saved; is PostgreSQL up, and migrated?");
	printf("%s\n", id);
	return 0;
}

int
command_user_create(const struct config *config, int argc, char **argv)
{
	char password[PASSWORD_MAX_BYTES + 2];
	struct new_user u;
	struct db *db;
	int code;

	if (!read_user_options(&u, argc, argv))
		return complain("usage: pupitre user create --email EMAIL [--name NAME] "
				"[--role USER|ADMIN] [--password-stdin]");
	if (u.password_stdin && !read_password(password, sizeof(password)))
		return complain("the password, a line on standard input, must have 8 to 256 bytes");
	db = open_db(config);
	if (!db)
		return 1;
	code = create_user(db, &u, u.password_stdin ? password : NULL);
	db_close(db);
	return code;
}

/* ---- session create ---- */

static int
create_session(struct db *db, const char *email, int64_t days)
{
	char token[SESSION_TOKEN_BYTES];
	char stored[SESSION_STORED_BYTES];
	char id[RANDOM_ID_BYTES];
	char expires[24];
	struct row user = { 0 };
	struct row row = { 0 };
	struct span params[4];
	enum status st = find_user(db, email, &user);

	session_new(token);
	random_id(id);
	snprintf(expires, sizeof(expires), "%lld", (long long)(clock_wall_ms() + days * DAY_MS));
	if (st == OK && session_stored(span_of(token), stored)) {
		params[0] = span_of(id);
		params[1] = user.body;
		params[2] = span_of(stored);
		params[3] = span_of(expires);
		st = write_once(db, SQL(session_create), params, 4, &row);
	}
	row_free(&user);
	row_free(&row);
	if (st == NOT_FOUND)
		return complain("nobody has this e-mail address");
	if (st != OK && st != CREATED)
		return complain("the session could not be saved; is PostgreSQL up, and migrated?");
	printf("%s\n", token);
	return 0;
}

int
command_session_create(const struct config *config, int argc, char **argv)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "days", required_argument, NULL, 'd' },
		{ 0 },
	};
	const char *email = NULL;
	int64_t days = config->session_days;
	bool fine = true;
	struct db *db;
	int code;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'u')
			email = optarg;
		else if (o != 'd' || !text_number(span_of(optarg), &days))
			fine = false;
	}
	if (!fine || !email || days < 1 || days > 3650)
		return complain("usage: pupitre session create --user EMAIL [--days 1..3650]");
	db = open_db(config);
	if (!db)
		return 1;
	code = create_session(db, email, days);
	db_close(db);
	return code;
}
