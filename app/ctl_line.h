/*
 * What stands on pupitrectl's command line.
 */
#ifndef CTL_LINE_H
#define CTL_LINE_H

#include "ctl.h"

/* Those that are for some commands alone. */
enum {
	LINE_LIMIT = 1,
	LINE_TAG = 2,
	LINE_PATTERN = 4,
	LINE_COURSE = 8,
	LINE_NGINX = 16,
	LINE_DRY = 32,
	LINE_YES = 64,
	LINE_SOCKET = 128, /* for all */
};

struct ctl_line {
	struct ctl_options options;
	unsigned seen;
	const char *words[2]; /* the command, and what is behind it */
	int count; /* of all words */
	char fault[256]; /* the first; empty: none */
};

struct ctl_command {
	const char *name;
	const char *word; /* what stands behind it; NULL: nothing may */
	bool must; /* ... and must be there */
	unsigned options; /* beside --socket and --json */
	int (*run)(const struct ctl_options *o, const char *word);
};

/* All of it, so that --json holds for a fault before it as well.  True: help or
 * version was asked for, and given. */
bool ctl_read_line(struct ctl_line *l, int argc, char **argv);
/* Do words and options suit C, one of COUNT COMMANDS?  NULL: l->fault says why not. */
const struct ctl_command *ctl_find_command(
    struct ctl_line *l, const struct ctl_command *commands, size_t count);

#endif
