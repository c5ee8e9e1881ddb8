/*
 * pupitrectl: sees what a running pupitre's cache does, and acts on it, through
 * its socket.
 */
#include "ctl.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"

#define QUERY_BYTES 8192

#ifndef PUPITRE_VERSION
#define PUPITRE_VERSION "0.1.0"
#endif

static const char usage[] =
    "pupitrectl - sees what a running pupitre's cache does, and acts on it\n"
    "\n"
    "  pupitrectl stats                numbers since its start, and its health\n"
    "  pupitrectl top                  the keys most read, most loaded, biggest\n"
    "  pupitrectl keys [PATTERN]       keys in memory; * stands for anything\n"
    "  pupitrectl get KEY              one entry\n"
    "  pupitrectl invalidate --tag TAG | --pattern PATTERN | --course ID\n"
    "  pupitrectl warm                 load the most read keys again\n"
    "  pupitrectl clear                drop everything, in memory and in Redis\n"
    "  pupitrectl watch                a live view; q ends it\n"
    "  pupitrectl doctor               looks at all that pupitre needs, says what to do\n"
    "\n"
    "  -s, --socket PATH   pupitre's socket (PUPITRE_LISTEN, /run/pupitre/pupitre.sock)\n"
    "      --json          the answer as it is\n"
    "      --limit N       keys: how many at most (100)\n"
    "  -n, --dry-run       only say what would be touched\n"
    "  -y, --yes           do not ask\n"
    "      --nginx FILE    doctor: what `nginx -T` printed\n"
    "  -h, --help          this text\n"
    "  -V, --version\n"
    "\n"
    "Exit: 0 done, 1 failed or the doctor found something, 2 wrong usage,\n"
    "3 pupitre cannot be reached.  NO_COLOR turns colours off.\n";

enum { OPT_JSON = 256, OPT_LIMIT, OPT_TAG, OPT_PATTERN, OPT_COURSE, OPT_NGINX };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "tag", required_argument, NULL, OPT_TAG },
	{ "pattern", required_argument, NULL, OPT_PATTERN },
	{ "course", required_argument, NULL, OPT_COURSE },
	{ "nginx", required_argument, NULL, OPT_NGINX },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "yes", no_argument, NULL, 'y' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

static int
misuse(const char *what)
{
	fprintf(stderr, "pupitrectl: %s; pupitrectl --help says how\n", what);
	return CTL_USAGE;
}

static void
take_option(struct ctl_options *o, int option)
{
	switch (option) {
	case 's':
		o->socket = optarg;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_LIMIT:
		o->limit = optarg;
		break;
	case OPT_TAG:
		o->tag = optarg;
		break;
	case OPT_PATTERN:
		o->pattern = optarg;
		break;
	case OPT_COURSE:
		o->course = optarg;
		break;
	case OPT_NGINX:
		o->nginx = optarg;
		break;
	case 'n':
		o->dry_run = true;
		break;
	case 'y':
		o->yes = true;
		break;
	}
}

/* ---- asking ---- */

/* The answer to QUERY; on anything but 200 the exit code that it means. */
static int
ask(const struct ctl_options *o, const char *query, struct ctl_answer *a)
{
	const char *why;

	if (!ctl_ask(o->socket, "/api/test/cache", query, a, &why)) {
		fprintf(stderr, "pupitrectl: %s: %s; is pupitre running, and is this its socket?\n",
		    o->socket, why);
		return CTL_UNREACHABLE;
	}
	if (a->status == 200)
		return CTL_FINE;
	ctl_show_refusal(a->body, a->status);
	free(a->body);
	return CTL_FAILED;
}

static int
show(const struct ctl_options *o, const char *query, int (*as_text)(const char *json))
{
	struct ctl_answer a;
	int code = ask(o, query, &a);

	if (code != CTL_FINE)
		return code;
	if (o->json)
		puts(a.body);
	else
		code = as_text(a.body);
	free(a.body);
	return code;
}

/* ---- acting ---- */

/* CTL_FINE: he is sure. */
static int
confirm(const struct ctl_options *o, const char *what, long long touched)
{
	char line[16] = "";

	if (o->yes)
		return CTL_FINE;
	if (!isatty(STDIN_FILENO))
		return misuse("without a terminal this wants --yes, or --dry-run");
	fprintf(stderr, "%s touches %lld entries. Go on? [y/N] ", what, touched);
	if (fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return CTL_FINE;
	fputs("nothing was done\n", stderr);
	return CTL_FAILED;
}

/* COUNTED is the name of the number of entries in the preview. */
static int
act(const struct ctl_options *o, const char *what, char query[QUERY_BYTES], const char *counted)
{
	char preview[QUERY_BYTES];
	struct ctl_answer a;
	long long touched;
	int code;

	snprintf(preview, sizeof(preview), "%s", query);
	if (!ctl_add(preview, sizeof(preview), "dryRun", "1"))
		return misuse("that is too long");
	code = ask(o, preview, &a);
	if (code != CTL_FINE)
		return code;
	touched = ctl_number(a.body, counted);
	if (o->dry_run) {
		if (o->json)
			puts(a.body);
		else
			printf("%s would touch %lld entries\n", what, touched);
	}
	free(a.body);
	if (o->dry_run)
		return CTL_FINE;
	code = confirm(o, what, touched);
	if (code == CTL_FINE)
		code = ask(o, query, &a);
	if (code != CTL_FINE)
		return code;
	if (o->json)
		puts(a.body);
	else
		printf("%s: done, %lld entries\n", what, touched);
	free(a.body);
	return CTL_FINE;
}

/* ---- commands ---- */

static int
stats(const struct ctl_options *o, char *query, const char *word)
{
	(void)word;
	return ctl_add(query, QUERY_BYTES, "action", "overview") ? show(o, query, ctl_show_stats)
								 : CTL_FAILED;
}

static int
top(const struct ctl_options *o, char *query, const char *word)
{
	(void)word;
	return ctl_add(query, QUERY_BYTES, "action", "overview") ? show(o, query, ctl_show_top)
								 : CTL_FAILED;
}

static int
keys(const struct ctl_options *o, char *query, const char *word)
{
	if (!ctl_add(query, QUERY_BYTES, "action", "keys") ||
	    !ctl_add(query, QUERY_BYTES, "pattern", word ? word : "*") ||
	    (o->limit && !ctl_add(query, QUERY_BYTES, "limit", o->limit)))
		return misuse("that is too long");
	return show(o, query, ctl_show_keys);
}

static int
get(const struct ctl_options *o, char *query, const char *word)
{
	if (!word)
		return misuse("get wants a key");
	if (!ctl_add(query, QUERY_BYTES, "action", "get") ||
	    !ctl_add(query, QUERY_BYTES, "key", word))
		return misuse("that is too long");
	return show(o, query, ctl_show_entry);
}

static int
invalidate(const struct ctl_options *o, char *query, const char *word)
{
	const char *name = o->tag ? "tag" : o->pattern ? "pattern" : "course";
	const char *value = o->tag ? o->tag : o->pattern ? o->pattern : o->course;

	if (word || (o->tag != NULL) + (o->pattern != NULL) + (o->course != NULL) != 1)
		return misuse("invalidate wants one of --tag, --pattern and --course");
	if (!ctl_add(query, QUERY_BYTES, "action", "invalidate") ||
	    !ctl_add(query, QUERY_BYTES, name, value))
		return misuse("that is too long");
	return act(o, "invalidate", query, "touched");
}

static int
warm(const struct ctl_options *o, char *query, const char *word)
{
	struct ctl_options sure = *o;

	(void)word;
	sure.yes = true; /* it harms nobody */
	return ctl_add(query, QUERY_BYTES, "action", "warm") ? act(&sure, "warm", query, "keys")
							     : CTL_FAILED;
}

static int
clear(const struct ctl_options *o, char *query, const char *word)
{
	(void)word;
	return ctl_add(query, QUERY_BYTES, "action", "clear") ? act(o, "clear", query, "touched")
							      : CTL_FAILED;
}

static int
watch(const struct ctl_options *o, char *query, const char *word)
{
	(void)query;
	(void)word;
	return ctl_watch(o);
}

static int
doctor(const struct ctl_options *o, char *query, const char *word)
{
	(void)query;
	(void)word;
	return ctl_doctor(o);
}

static int
run(const struct ctl_options *o, int count, char **words)
{
	static const struct {
		const char *name;
		int words; /* at most, behind the name */
		int (*run)(const struct ctl_options *o, char *query, const char *word);
	} commands[] = { { "stats", 0, stats }, { "top", 0, top }, { "keys", 1, keys },
		{ "get", 1, get }, { "invalidate", 0, invalidate }, { "warm", 0, warm },
		{ "clear", 0, clear }, { "watch", 0, watch }, { "doctor", 0, doctor } };
	char query[QUERY_BYTES] = "";

	if (count == 0)
		return misuse("say what to do");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(words[0], commands[i].name) != 0)
			continue;
		if (count - 1 > commands[i].words)
			return misuse("too many words");
		return commands[i].run(o, query, count > 1 ? words[1] : NULL);
	}
	return misuse("no such command");
}

int
main(int argc, char **argv)
{
	const char *listen = getenv("PUPITRE_LISTEN");
	struct ctl_options o = { .socket =
				     listen && *listen ? listen : "/run/pupitre/pupitre.sock" };
	int option;

	while ((option = getopt_long(argc, argv, "s:nyhV", long_options, NULL)) != -1) {
		if (option == '?')
			return CTL_USAGE;
		if (option == 'h') {
			fputs(usage, stdout);
			return CTL_FINE;
		}
		if (option == 'V') {
			puts("pupitrectl " PUPITRE_VERSION);
			return CTL_FINE;
		}
		take_option(&o, option);
	}
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_WARN);
	if (!random_start())
		return CTL_FAILED;
	return run(&o, argc - optind, argv + optind);
}
