/*
 * pupitrectl: sees what a running pupitre's cache does, and acts on it, through
 * its socket.
 */
#include "ctl_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define QUERY_BYTES 8192

static int
misuse(const struct ctl_options *o, const char *what)
{
	return ctl_fail(o, CTL_USAGE, "%s; pupitrectl --help says how", what);
}

/* ---- acting ---- */

static int
show(const struct ctl_options *o, const char *query,
    int (*as_text)(const struct ctl_options *o, const struct ctl_answer *a))
{
	struct ctl_answer a;
	int code = ctl_answer(o, query, CTL_PATIENCE_MS, &a);

	if (code != CTL_FINE)
		return code;
	if (o->json)
		ctl_put_json(a.body, a.len);
	else
		code = as_text(o, &a);
	free(a.body);
	return code;
}

/* CTL_FINE: he is sure. */
static int
confirm(const struct ctl_options *o, const char *what, long long touched)
{
	char line[16] = "";
	char count[CTL_COUNT_BYTES];

	if (o->yes)
		return CTL_FINE;
	if (!isatty(STDIN_FILENO))
		return misuse(o, "without a terminal this wants --yes, or --dry-run");
	fprintf(stderr, "%s touches %s. Go on? [y/N] ", what, ctl_count(count, touched));
	if (fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return CTL_FINE;
	return ctl_fail(o, CTL_FAILED, "nothing was done");
}

/* How many entries it would touch.  COUNTED is the name of that number. */
static int
preview(const struct ctl_options *o, const char *what, const char *query, const char *counted,
    long long *touched)
{
	char dry[QUERY_BYTES];
	char count[CTL_COUNT_BYTES];
	struct ctl_answer a;
	int code;

	snprintf(dry, sizeof(dry), "%s", query);
	if (!ctl_add(dry, sizeof(dry), "dryRun", "1"))
		return misuse(o, "that is too long");
	code = ctl_answer(o, dry, CTL_PATIENCE_MS, &a);
	if (code != CTL_FINE)
		return code;
	*touched = ctl_number(&a, counted);
	if (*touched < 0)
		code = ctl_fail(o, CTL_FAILED,
		    "the answer makes no sense: are pupitre and pupitrectl of one version?");
	else if (o->dry_run && o->json)
		ctl_put_json(a.body, a.len);
	else if (o->dry_run)
		printf("%s would touch %s\n", what, ctl_count(count, *touched));
	free(a.body);
	return code;
}

static int
act(const struct ctl_options *o, const char *what, const char *query, const char *counted)
{
	struct ctl_answer a;
	char count[CTL_COUNT_BYTES];
	long long touched = 0;
	int code = preview(o, what, query, counted, &touched);

	if (code != CTL_FINE || o->dry_run)
		return code;
	code = confirm(o, what, touched);
	if (code == CTL_FINE)
		code = ctl_answer(o, query, CTL_PATIENCE_MS, &a);
	if (code != CTL_FINE)
		return code;
	if (o->json)
		ctl_put_json(a.body, a.len);
	else
		printf("%s: done, %s\n", what, ctl_count(count, touched));
	free(a.body);
	return CTL_FINE;
}

/* ---- commands ---- */

static int
stats(const struct ctl_options *o, const char *word)
{
	(void)word;
	return show(o, "action=overview", ctl_show_stats);
}

static int
top(const struct ctl_options *o, const char *word)
{
	(void)word;
	return show(o, "action=overview", ctl_show_top);
}

static int
keys(const struct ctl_options *o, const char *word)
{
	char query[QUERY_BYTES] = "action=keys";

	if (!ctl_add(query, sizeof(query), "pattern", word ? word : "*") ||
	    (o->limit && !ctl_add(query, sizeof(query), "limit", o->limit)))
		return misuse(o, "that is too long");
	return show(o, query, ctl_show_keys);
}

static int
get(const struct ctl_options *o, const char *word)
{
	char query[QUERY_BYTES] = "action=get";

	if (!ctl_add(query, sizeof(query), "key", word))
		return misuse(o, "that is too long");
	return show(o, query, ctl_show_entry);
}

static int
invalidate(const struct ctl_options *o, const char *word)
{
	const char *name = o->tag ? "tag" : o->pattern ? "pattern" : "course";
	const char *value = o->tag ? o->tag : o->pattern ? o->pattern : o->course;
	char query[QUERY_BYTES] = "action=invalidate";

	(void)word;
	if ((o->tag != NULL) + (o->pattern != NULL) + (o->course != NULL) != 1)
		return misuse(o, "invalidate wants one of --tag, --pattern and --course");
	if (!ctl_add(query, sizeof(query), name, value))
		return misuse(o, "that is too long");
	return act(o, "invalidate", query, "touched");
}

static int
warm(const struct ctl_options *o, const char *word)
{
	struct ctl_options sure = *o;

	(void)word;
	sure.yes = true; /* it harms nobody */
	return act(&sure, "warm", "action=warm", "keys");
}

static int
clear(const struct ctl_options *o, const char *word)
{
	(void)word;
	return act(o, "clear", "action=clear", "touched");
}

static int
watch(const struct ctl_options *o, const char *word)
{
	(void)word;
	return ctl_watch(o);
}

static int
doctor(const struct ctl_options *o, const char *word)
{
	(void)word;
	return ctl_doctor(o);
}

static const struct ctl_command commands[] = {
	{ "stats", NULL, false, 0, stats },
	{ "top", NULL, false, 0, top },
	{ "keys", "PATTERN", false, LINE_LIMIT, keys },
	{ "get", "KEY", true, 0, get },
	{ "invalidate", NULL, false, LINE_TAG | LINE_PATTERN | LINE_COURSE | LINE_DRY | LINE_YES,
	    invalidate },
	{ "warm", NULL, false, LINE_DRY | LINE_YES, warm },
	{ "clear", NULL, false, LINE_DRY | LINE_YES, clear },
	{ "watch", NULL, false, 0, watch },
	{ "doctor", NULL, false, LINE_NGINX, doctor },
};

int
main(int argc, char **argv)
{
	const char *listen = getenv("PUPITRE_LISTEN");
	struct ctl_line line = { .options.socket =
				     listen && *listen ? listen : "/run/pupitre/pupitre.sock" };
	const struct ctl_command *c;
	int code = CTL_FINE;

	log_set_level(LOG_ERROR);
	if (!ctl_read_line(&line, argc, argv)) {
		c = ctl_find_command(&line, commands, sizeof(commands) / sizeof(commands[0]));
		code = c ? c->run(&line.options, line.words[1]) : misuse(&line.options, line.fault);
	}
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CTL_FINE) {
		perror("pupitrectl: standard output");
		code = CTL_FAILED;
	}
	return code;
}
