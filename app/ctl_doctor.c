/*
 * Looks at everything that pupitre needs, and says what to do.
 */
#include "ctl.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/text.h"
#include "cache/remote.h"
#include "commands.h"
#include "db/migrate.h"
#include "sql.h"
#include "web/request.h"

#define NGINX_BYTES ((size_t)4 << 20)

extern char **environ;

struct doctor {
	const struct ctl_options *options;
	int failed;
	int warned;
	int fine;
};

static void
good(struct doctor *d, const char *what, const char *detail)
{
	d->fine++;
	printf("%sok%s    %s%s%s\n", ctl_colour("good"), ctl_colour("off"), what,
	    *detail ? ": " : "", detail);
}

static void
warn(struct doctor *d, const char *what, const char *advice)
{
	d->warned++;
	printf("%swarn%s  %s: %s\n", ctl_colour("warn"), ctl_colour("off"), what, advice);
}

static void
fail(struct doctor *d, const char *what, const char *advice)
{
	d->failed++;
	printf("%sFAIL%s  %s: %s\n", ctl_colour("bad"), ctl_colour("off"), what, advice);
}

static void
check(struct doctor *d, bool fine, const char *what, const char *advice)
{
	if (fine)
		good(d, what, "");
	else
		fail(d, what, advice);
}

/* ---- the database ---- */

static void
look_at_server(struct doctor *d, struct db *db, const struct config *config)
{
	struct row row = { 0 };
	int64_t connections = 0;
	struct span triggers;
	char text[1024];

	if (db_read(db, SQL(doctor), NULL, 0, &row) != OK || !row.found) {
		fail(d, "triggers", "they cannot be looked up; see the line above");
		row_free(&row);
		return;
	}
	triggers = row_get(&row, "triggers");
	snprintf(text, sizeof(text),
	    "missing, or not enabled always, so that changes are not heard of: %.*s. Enable them, or "
	    "run: pupitre migrate",
	    (int)(triggers.len < 700 ? triggers.len : 700), triggers.at);
	for (char *at = text; (at = strchr(at, '\n'));)
		*at = ',';
	check(d, triggers.len == 0, "triggers", text);
	if (span_is(row_get(&row, "trigram"), "1"))
		good(d, "pg_trgm", "");
	else
		warn(d, "pg_trgm",
		    "not there: searches read whole tables; create extension pg_trgm");
	if (text_number(row_get(&row, "connections"), &connections) &&
	    connections < config->db_pool + 4)
		warn(d, "max_connections",
		    "hardly more than PUPITRE_DB_POOL: other programs need some too");
	else
		good(d, "max_connections", "");
	row_free(&row);
}

static void
look_at_database(struct doctor *d, const struct config *config)
{
	struct db *db = open_db(config);
	int missing = 0;

	if (!db) {
		d->failed++;
		return;
	}
	if (db_ping(db) != OK) {
		fail(d, "PostgreSQL", "no answer; does it run, and is DATABASE_URL right?");
		db_close(db);
		return;
	}
	good(d, "PostgreSQL", "");
	if (migrate_check(db, SQL_MIGRATIONS, &missing) != OK)
		missing = SQL_MIGRATIONS;
	check(d, missing == 0, "migrations", "some have not run: pupitre migrate");
	look_at_server(d, db, config);
	db_close(db);
}

static void
look_at_redis(struct doctor *d, const struct config *config)
{
	struct remote *remote;

	if (!open_remote(config, &remote)) {
		d->failed++;
		return;
	}
	if (!remote) {
		warn(d, "Redis", "not configured: each instance has its memory alone");
		return;
	}
	check(d, remote_ping(remote), "Redis",
	    "no answer; does it run, and are address and password right?");
	remote_close(remote);
}

static void
look_at_settings(struct doctor *d)
{
	struct config config;
	struct buf faults;

	buf_init(&faults, 65536);
	if (config_read(&config, environ, &faults)) {
		good(d, "settings", "");
		look_at_database(d, &config);
		look_at_redis(d, &config);
	} else {
		char *text = buf_take(&faults);

		fail(d, "settings", text ? text : "not valid");
		free(text);
	}
	config_free(&config);
	buf_free(&faults);
}

/* ---- the running instance ---- */

static void
judge(struct doctor *d, const struct ctl_health *h)
{
	check(d, strcmp(h->postgres, "up") == 0, "its PostgreSQL",
	    "it does not reach it: what is cached is answered, writes are refused");
	check(d, strcmp(h->redis, "up") == 0 || strcmp(h->redis, "none") == 0, "its Redis",
	    "it does not reach it: every miss goes to PostgreSQL");
	check(d, h->trusted, "its listener",
	    "it does not hear of changes, so nothing cached is trusted; see its log");
	if (h->waiting > h->pool)
		warn(d, "its pool", "many callers wait for a connection: raise PUPITRE_DB_POOL");
	else
		good(d, "its pool", "");
}

static void
look_at_instance(struct doctor *d)
{
	struct ctl_answer a;
	struct ctl_health h;
	const char *why;
	char text[512];

	if (!ctl_ask(d->options->socket, "/api/test/cache", "action=overview", &a, &why)) {
		snprintf(text, sizeof(text),
		    "%s: %s; is it running, and is this its socket "
		    "(--socket)?",
		    d->options->socket, why);
		fail(d, "pupitre", text);
		return;
	}
	if (a.status == 200 && ctl_read_health(a.body, &h)) {
		good(d, "pupitre", h.instance);
		judge(d, &h);
	} else {
		fail(
		    d, "pupitre", "it answers, but not with its numbers: are both of one version?");
	}
	free(a.body);
}

/* ---- nginx ---- */

static char *
read_all(FILE *f)
{
	char *text = f ? malloc(NGINX_BYTES) : NULL;
	size_t n = text ? fread(text, 1, NGINX_BYTES - 1, f) : 0;

	if (text)
		text[n] = '\0';
	if (n > 0)
		return text;
	free(text);
	return NULL;
}

static char *
nginx_text(const char *file)
{
	FILE *f = file ? fopen(file, "r") : popen("PATH=$PATH:/usr/sbin nginx -T 2>/dev/null", "r");
	char *text = read_all(f);

	if (f && file)
		fclose(f);
	else if (f)
		pclose(f);
	return text;
}

static bool
has(const char *text, const char *pattern)
{
	regex_t r;
	bool found;

	if (regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB | REG_NEWLINE) != 0)
		return false;
	found = regexec(&r, text, 0, NULL, 0) == 0;
	regfree(&r);
	return found;
}

/* Those that every request needs; a gateway's and the operator's are apart. */
static bool
is_needed(const char *name)
{
	return strcmp(name, "AUTH_USER_ID") != 0 && strcmp(name, "AUTH_USER_ROLE") != 0 &&
	    strcmp(name, "OPERATOR_NETWORK") != 0 && strcmp(name, "PUPITRE_CONTROL") != 0;
}

static void
look_at_params(struct doctor *d, const char *text)
{
	static const char *const names[] = {
#define X(field, name) name,
		REQUEST_PARAMS(X)
#undef X
	};
	char missing[512] = "not passed on, so pupitre is blind to it:";
	char pattern[128];
	int count = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(pattern, sizeof(pattern),
		    "^[[:space:]]*fastcgi_param[[:space:]]+%s[[:space:]]", names[i]);
		if (is_needed(names[i]) && !has(text, pattern)) {
			count++;
			strncat(missing, " ", sizeof(missing) - strlen(missing) - 1);
			strncat(missing, names[i], sizeof(missing) - strlen(missing) - 1);
		}
	}
	check(d, count == 0, "nginx: parameters", missing);
	check(d, !has(text, "^[[:space:]]*fastcgi_param[[:space:]]+PUPITRE_CONTROL"),
	    "nginx: no operator by nginx",
	    "PUPITRE_CONTROL makes everybody the operator: take it out at once");
}

static void
look_at_nginx(struct doctor *d)
{
	char *text = nginx_text(d->options->nginx);

	if (!text || !strstr(text, "pupitre")) {
		warn(d, "nginx",
		    "its configuration cannot be read, or has no pupitre; as root, or: nginx -T > FILE "
		    "and --nginx FILE");
		free(text);
		return;
	}
	look_at_params(d, text);
	check(d, has(text, "^[[:space:]]*fastcgi_pass_request_headers[[:space:]]+off"),
	    "nginx: clients' headers", "fastcgi_pass_request_headers must be off");
	check(d, has(text, "^[[:space:]]*fastcgi_keep_conn[[:space:]]+on"),
	    "nginx: kept connections",
	    "fastcgi_keep_conn must be on, or each request costs a connection");
	check(d, !has(text, "OPERATOR_NETWORK") || has(text, "^[[:space:]]*deny[[:space:]]+all"),
	    "nginx: /metrics", "everybody may read it: pupitre-operator.conf must end in deny all");
	free(text);
}

int
ctl_doctor(const struct ctl_options *o)
{
	struct doctor d = { .options = o };

	look_at_settings(&d);
	look_at_instance(&d);
	look_at_nginx(&d);
	printf("%d ok, %d to look at, %d broken\n", d.fine, d.warned, d.failed);
	return d.failed ? CTL_FAILED : CTL_FINE;
}
