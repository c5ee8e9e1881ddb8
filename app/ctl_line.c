#include "ctl_line.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/version.h"

#define LIMIT_MAX 1000 /* of ?action=keys */

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
    "      --json          the answer as JSON, in one line; errors too\n"
    "      --limit N       keys: how many at most (100), 1 to 1000\n"
    "  -n, --dry-run       invalidate, warm, clear: only say what would be touched\n"
    "  -y, --yes           invalidate, warm, clear: do not ask\n"
    "      --nginx FILE    doctor: what `nginx -T` printed\n"
    "  -h, --help          this text\n"
    "  -V, --version\n"
    "\n"
    "Exit: 0 done, 1 failed or the doctor found something broken, 2 wrong usage,\n"
    "3 pupitre cannot be reached.  NO_COLOR turns colours off.\n";

enum { OPT_WORD = 1, OPT_JSON = 256, OPT_LIMIT, OPT_TAG, OPT_PATTERN, OPT_COURSE, OPT_NGINX };

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

static void
blame(struct ctl_line *l, const char *format, const char *what)
{
	if (!*l->fault)
		snprintf(l->fault, sizeof(l->fault), format, what);
}

static void
take_word(struct ctl_line *l, const char *word)
{
	if (l->count < 2)
		l->words[l->count] = word;
	l->count++;
}

static void
take_value(struct ctl_line *l, const char **to, unsigned option, const char *name)
{
	if (l->seen & option)
		blame(l, "%s is said twice", name);
	if (!*optarg)
		blame(l, "%s must not be empty", name);
	l->seen |= option;
	*to = optarg;
}

static void
take_limit(struct ctl_line *l)
{
	int64_t n;

	take_value(l, &l->options.limit, LINE_LIMIT, "--limit");
	if (!text_number(span_of(optarg), &n) || n < 1 || n > LIMIT_MAX)
		blame(l, "--limit must be a whole number from 1 to 1000, not \"%.40s\"", optarg);
}

static void
take_option(struct ctl_line *l, int option)
{
	struct ctl_options *o = &l->options;

	switch (option) {
	case OPT_WORD:
		take_word(l, optarg);
		break;
	case 's':
		take_value(l, &o->socket, LINE_SOCKET, "--socket");
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_LIMIT:
		take_limit(l);
		break;
	case OPT_TAG:
		take_value(l, &o->tag, LINE_TAG, "--tag");
		break;
	case OPT_PATTERN:
		take_value(l, &o->pattern, LINE_PATTERN, "--pattern");
		break;
	case OPT_COURSE:
		take_value(l, &o->course, LINE_COURSE, "--course");
		break;
	case OPT_NGINX:
		take_value(l, &o->nginx, LINE_NGINX, "--nginx");
		break;
	case 'n':
		o->dry_run = true;
		l->seen |= LINE_DRY;
		break;
	case 'y':
		o->yes = true;
		l->seen |= LINE_YES;
		break;
	}
}

/* getopt complains: OPTION is ':' or '?', WORD where it stands. */
static void
blame_option(struct ctl_line *l, int option, const char *word)
{
	bool whole = strncmp(word, "--", 2) == 0;
	char letter[3] = { '-', (char)optopt, '\0' };

	if (option == ':')
		blame(l, "%.80s wants a value", whole ? word : letter);
	else if (whole && strchr(word, '=') && optopt)
		blame(l, "%.80s: this takes no value", word);
	else
		blame(
		    l, "there is no option %.80s", optopt > 0 && optopt < OPT_JSON ? letter : word);
}

bool
ctl_read_line(struct ctl_line *l, int argc, char **argv)
{
	int option;

	opterr = 0;
	/* '-': words come in their order, wherever the options are. */
	while ((option = getopt_long(argc, argv, "-:s:nyhV", long_options, NULL)) != -1) {
		if (option == 'h')
			fputs(usage, stdout);
		if (option == 'V')
			puts("pupitrectl " PUPITRE_VERSION);
		if (option == 'h' || option == 'V')
			return true;
		if (option == '?' || option == ':')
			blame_option(l, option, argv[optind - 1]);
		else
			take_option(l, option);
	}
	for (; optind < argc; optind++)
		take_word(l, argv[optind]);
	return false;
}

/* Do words and options suit C? */
static void
check_line(struct ctl_line *l, const struct ctl_command *c)
{
	static const struct {
		unsigned option;
		const char *why;
	} strangers[] = { { LINE_LIMIT, "--limit is for keys" },
		{ LINE_TAG, "--tag is for invalidate" },
		{ LINE_PATTERN, "--pattern is for invalidate; keys takes its PATTERN as it is" },
		{ LINE_COURSE, "--course is for invalidate" },
		{ LINE_NGINX, "--nginx is for doctor" },
		{ LINE_DRY, "--dry-run is for invalidate, warm and clear" },
		{ LINE_YES, "--yes is for invalidate, warm and clear" } };

	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		if (l->seen & ~c->options & strangers[i].option)
			blame(l, "%s", strangers[i].why);
	}
	if (l->count > (c->word ? 2 : 1))
		blame(l, c->word ? "%s takes one word" : "%s takes no word behind it", c->name);
	if (c->must && l->count < 2)
		blame(l, "%s wants a key", c->name);
	if (l->count > 1 && !*l->words[1])
		blame(l, "%s must not be empty", c->word ? c->word : "a word");
}

const struct ctl_command *
ctl_find_command(struct ctl_line *l, const struct ctl_command *commands, size_t count)
{
	const struct ctl_command *c = NULL;

	for (size_t i = 0; l->count && !c && i < count; i++) {
		if (strcmp(l->words[0], commands[i].name) == 0)
			c = &commands[i];
	}
	if (c)
		check_line(l, c);
	else if (l->count)
		blame(l, "there is no command \"%.80s\"", l->words[0]);
	else
		blame(l, "%s", "say what to do");
	return *l->fault ? NULL : c;
}
