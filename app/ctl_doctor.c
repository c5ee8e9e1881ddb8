/*
 * Looks at everything that pupitre needs, and says what to do.
 */
#include "ctl_doctor.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/version.h"

#define ADVICE_BYTES 1536
#define REPORT_BYTES ((size_t)1 << 20)
#define ENV_FILE "/etc/pupitre/env" /* where deploy/README.md has it */

extern char **environ;

/* ---- findings ---- */

enum state { STATE_OK, STATE_WARN, STATE_FAIL };

static void
find(struct doctor *d, enum state state, const char *what, const char *format, va_list args)
{
	static const struct {
		const char *word; /* in JSON */
		const char *shown;
		const char *colour;
	} as[] = { { "ok", "ok   ", "good" }, { "warn", "warn ", "warn" },
		{ "fail", "FAIL ", "bad" } };
	char text[ADVICE_BYTES];
	char advice[ADVICE_BYTES];

	vsnprintf(text, sizeof(text), format, args);
	ctl_clean(advice, sizeof(advice), text);
	d->fine += state == STATE_OK;
	d->warned += state == STATE_WARN;
	d->failed += state == STATE_FAIL;
	if (!d->options->json) {
		printf("%s%s%s %s%s%s\n", ctl_colour(as[state].colour), as[state].shown,
		    ctl_colour("off"), what, *advice ? ": " : "", advice);
		return;
	}
	json_open(&d->list, NULL, '{');
	json_text(&d->list, "name", span_of(what));
	json_text(&d->list, "state", span_of(as[state].word));
	json_text(&d->list, "advice", span_of(advice));
	json_close(&d->list, '}');
}

void
doctor_good(struct doctor *d, const char *what, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	find(d, STATE_OK, what, format, args);
	va_end(args);
}

void
doctor_warn(struct doctor *d, const char *what, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	find(d, STATE_WARN, what, format, args);
	va_end(args);
}

void
doctor_fail(struct doctor *d, const char *what, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	find(d, STATE_FAIL, what, format, args);
	va_end(args);
}

void
doctor_check(struct doctor *d, bool fine, const char *what, const char *advice)
{
	if (fine)
		doctor_good(d, what, "%s", "");
	else
		doctor_fail(d, what, "%s", advice);
}

/* ---- settings ---- */

/* "a\nb\n" as "a; b" */
static void
join_lines(char *text)
{
	size_t len = strlen(text);

	if (len && text[len - 1] == '\n')
		text[len - 1] = '\0';
	for (char *at = text; (at = strchr(at, '\n'));)
		*at = ';';
}

static void
look_at_file(struct doctor *d, const char *path)
{
	struct stat file;

	if (stat(path, &file) == 0 && file.st_mode & S_IROTH)
		doctor_warn(d, "settings: file",
		    "everybody may read %s, passwords and all: chmod 600, and give it to pupitre's "
		    "user",
		    path);
	else
		doctor_good(d, "settings: file", "%s", path);
}

/* Where pupitre takes them from, the doctor has to take them from as well. */
static void
say_where_from(struct doctor *d)
{
	const char *file = getenv("PUPITRE_ENV_FILE");

	if (file && *file)
		doctor_fail(d, "settings",
		    "DATABASE_URL is neither in the environment nor in %s: write it there", file);
	else if (access(ENV_FILE, F_OK) == 0)
		doctor_fail(d, "settings",
		    "DATABASE_URL is not in the environment; pupitre's own settings are in " ENV_FILE
		    ": sudo env PUPITRE_ENV_FILE=" ENV_FILE " pupitrectl doctor");
	else
		doctor_fail(d, "settings",
		    "DATABASE_URL is not in the environment; set it, or name the file that pupitre "
		    "reads, as in PUPITRE_ENV_FILE=" ENV_FILE);
}

static void
look_at_settings(struct doctor *d)
{
	struct config config;
	struct buf faults;
	char *text = NULL;

	buf_init(&faults, 65536);
	if (!config_read(&config, environ, &faults)) {
		text = buf_take(&faults);
		if (text)
			join_lines(text);
		doctor_fail(d, "settings", "%s", text ? text : "not valid");
	} else if (!config.database_url) {
		say_where_from(d);
	} else {
		doctor_good(d, "settings", "%s",
		    config.env_file ? "from the environment and PUPITRE_ENV_FILE"
				    : "from the environment");
		if (config.env_file)
			look_at_file(d, config.env_file);
		doctor_postgres(d, &config);
		doctor_redis(d, &config);
	}
	free(text);
	config_free(&config);
	buf_free(&faults);
}

/* ---- the running instance ---- */

/* Whoever opens it is the operator, and can say of any request whose it is. */
static void
look_at_socket(struct doctor *d, const char *path)
{
	struct stat file;

	if (stat(path, &file) != 0)
		return; /* said when it is tried */
	if (!S_ISSOCK(file.st_mode))
		doctor_fail(d, "socket", "%s is no socket; say which is: --socket", path);
	else if (file.st_mode & S_IWOTH)
		doctor_fail(d, "socket",
		    "%s is open to everybody (mode %03o), who could claim to be anybody: chmod 660, "
		    "and give it to the group of nginx (systemd: SocketMode=0660)",
		    path, (unsigned)(file.st_mode & 0777));
	else
		doctor_good(d, "socket", "%s, mode %03o", path, (unsigned)(file.st_mode & 0777));
}

static void
judge_redis(struct doctor *d, const char *state)
{
	if (strcmp(state, "open") == 0)
		doctor_fail(d, "its Redis",
		    "it was slow or gone so often that it is left alone (the circuit is open); it is "
		    "tried again every PUPITRE_BREAKER_MS: see that Redis answers within "
		    "PUPITRE_REDIS_MS");
	else
		doctor_check(d, strcmp(state, "up") == 0 || strcmp(state, "none") == 0, "its Redis",
		    "it does not reach it: every miss goes to PostgreSQL");
}

static void
judge(struct doctor *d, const struct ctl_health *h)
{
	if (strcmp(h->version, PUPITRE_VERSION) != 0)
		doctor_warn(d, "its version",
		    "it runs %s, this is pupitrectl " PUPITRE_VERSION
		    ": restart it after an upgrade, and install both together",
		    *h->version ? h->version : "one that it does not tell");
	else
		doctor_good(d, "its version", "%s", h->version);
	doctor_check(d, strcmp(h->postgres, "up") == 0, "its PostgreSQL",
	    "it does not reach it: what is cached is answered, writes are refused");
	judge_redis(d, h->redis);
	doctor_check(d, h->trusted, "its listener",
	    "it does not hear of changes, so nothing cached is trusted; see its log");
	if (h->waiting > h->pool)
		doctor_warn(d, "its pool",
		    "%lld callers wait for one of %lld connections: raise PUPITRE_DB_POOL",
		    h->waiting, h->pool);
	else
		doctor_good(d, "its pool", "%s", "");
}

static void
look_at_instance(struct doctor *d)
{
	const char *socket = d->options->socket;
	struct ctl_answer a;
	struct ctl_health h;
	const char *why;

	look_at_socket(d, socket);
	if (!ctl_ask(socket, "action=overview", CTL_PATIENCE_MS, &a, &why)) {
		doctor_fail(d, "pupitre",
		    "%s: %s; is it running, and is this its socket (--socket)?", socket, why);
		return;
	}
	if (a.status == 200 && ctl_read_health(&a, &h)) {
		doctor_good(d, "pupitre", "%s", h.instance);
		judge(d, &h);
	} else {
		doctor_fail(d, "pupitre",
		    "it answers, but not with its numbers (HTTP %d): are both of one version?",
		    a.status);
	}
	free(a.body);
}

/* ---- all of it ---- */

static int
report(struct doctor *d)
{
	if (!d->options->json) {
		printf("%d ok, %d to look at, %d broken\n", d->fine, d->warned, d->failed);
		return CTL_FINE;
	}
	json_close(&d->list, ']');
	json_whole(&d->list, "ok", d->fine);
	json_whole(&d->list, "warned", d->warned);
	json_whole(&d->list, "failed", d->failed);
	json_close(&d->list, '}');
	if (!buf_ok(&d->text))
		return ctl_fail(d->options, CTL_FAILED, "no memory for the report");
	ctl_put_json(d->text.at, d->text.len);
	return CTL_FINE;
}

int
ctl_doctor(const struct ctl_options *o)
{
	struct doctor d = { .options = o };
	int code;

	/* What writes to a server that hangs up says so itself. */
	signal(SIGPIPE, SIG_IGN);
	if (!random_start())
		return ctl_fail(o, CTL_FAILED, "there is no randomness");
	buf_init(&d.text, REPORT_BYTES);
	d.list = (struct json){ &d.text, false };
	json_open(&d.list, NULL, '{');
	json_open(&d.list, "checks", '[');
	look_at_settings(&d);
	look_at_instance(&d);
	doctor_nginx(&d);
	code = report(&d);
	buf_free(&d.text);
	return d.failed ? CTL_FAILED : code;
}
