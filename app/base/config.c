/*
 * One loop over one table.  A value is looked for in the environment, then in
 * the file, then in the table; then its type and bounds are checked.  Faults
 * name the setting and what would be right, and never repeat a secret.
 */
#include "base/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"

#define FILE_BYTES 65536
#define PREFIX "PUPITRE_"

struct setting {
	const char *name;
	enum setting_type type;
	const char *unit;
	const char *fallback;
	int64_t min;
	int64_t max;
	enum setting_reload reload;
	const char *help;
	size_t at; /* in struct config */
};

static const struct setting table[] = {
#define X(field, name, type, unit, fallback, min, max, reload, help) \
	{ name, SETTING_##type, unit, fallback, min, max, reload, help, \
		offsetof(struct config, field) },
	SETTINGS(X)
#undef X
};

#define COUNT (sizeof(table) / sizeof(table[0]))

/* Where values come from. */
struct source {
	char *const *environ;
	char *file; /* NULL, or NAME=value lines, each ended by a NUL */
	size_t file_len;
};

/* ---- looking ---- */

static const struct setting *
find_setting(struct span name)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (span_is(name, table[i].name))
			return &table[i];
	}
	return NULL;
}

static struct span
name_of(const char *line)
{
	return span_make(line, strcspn(line, "="));
}

static const char *
value_in(char *const *list, const char *name)
{
	size_t len = strlen(name);

	for (; list && *list; list++) {
		if (strncmp(*list, name, len) == 0 && (*list)[len] == '=')
			return *list + len + 1;
	}
	return NULL;
}

static const char *
value_in_file(const struct source *s, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = s->file; at && at < s->file + s->file_len; at += strlen(at) + 1) {
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
	}
	return NULL;
}

static const char *
value_of(const struct source *s, const struct setting *t)
{
	const char *value = value_in(s->environ, t->name);

	if (!value)
		value = value_in_file(s, t->name);
	if (value && !*value && t->type != SETTING_NUMBER && t->min == 0 && t->fallback == NULL)
		value = NULL; /* "NAME=" is how a shell says not set */
	return value ? value : t->fallback;
}

/* ---- the file ---- */

static char *
without_quotes(char *value)
{
	size_t len = strlen(value);

	if (len >= 2 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0]) {
		memmove(value, value + 1, len - 2);
		value[len - 2] = '\0';
	}
	return value;
}

/* One line, in place; its form is NAME=value afterwards.  False: neither that
 * nor a comment. */
static bool
tidy_line(char *line)
{
	struct span s = text_trim(span_of(line));
	char *equals;

	memmove(line, s.at, s.len);
	line[s.len] = '\0';
	if (*line == '#' || *line == '\0') {
		*line = '\0';
		return true;
	}
	equals = strchr(line, '=');
	if (!equals)
		return false;
	without_quotes(equals + 1);
	return true;
}

static bool
read_lines(struct source *s, const char *path, FILE *f, struct buf *faults)
{
	char line[4096];
	struct buf all;
	bool fine = true;
	int number = 0;

	buf_init(&all, FILE_BYTES);
	while (fgets(line, sizeof(line), f)) {
		number++;
		if (!tidy_line(line)) {
			buf_printf(faults, "%s, line %d: must be NAME=value\n", path, number);
			fine = false;
		} else if (*line) {
			buf_add(&all, line, strlen(line) + 1);
		}
	}
	s->file_len = all.len;
	s->file = buf_take(&all);
	if (!s->file) {
		buf_printf(faults, "%s: too long\n", path);
		return false;
	}
	return fine;
}

static bool
read_file(struct source *s, struct buf *faults)
{
	const char *path = value_in(s->environ, "PUPITRE_ENV_FILE");
	FILE *f;
	bool fine;

	if (!path || !*path)
		return true;
	f = fopen(path, "re");
	if (!f) {
		buf_printf(faults, "PUPITRE_ENV_FILE: %s: %s\n", path, strerror(errno));
		return false;
	}
	fine = read_lines(s, path, f, faults);
	fclose(f);
	return fine;
}

/* ---- names that nobody knows ---- */

/* Levenshtein's distance, two rows. */
static size_t
distance(struct span a, struct span b)
{
	size_t row[64];

	if (a.len >= 64 || b.len >= 64)
		return 64;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t change = diagonal + (a.at[i - 1] != b.at[j - 1]);
			size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < least ? change : least;
		}
	}
	return row[b.len];
}

static void
say_unknown(struct span name, struct buf *faults)
{
	size_t best = 5;
	const char *near = NULL;

	for (size_t i = 0; i < COUNT; i++) {
		size_t d = distance(name, span_of(table[i].name));

		if (d < best) {
			best = d;
			near = table[i].name;
		}
	}
	buf_printf(faults, "%.*s: there is no such setting", SPAN_ARG(name));
	if (near)
		buf_printf(faults, "; did you mean %s?", near);
	buf_char(faults, '\n');
}

static bool
check_names(const struct source *s, struct buf *faults)
{
	bool fine = true;

	for (char *const *at = s->environ; at && *at; at++) {
		struct span name = name_of(*at);

		if (!span_starts(name, span_of(PREFIX)) || find_setting(name))
			continue;
		say_unknown(name, faults);
		fine = false;
	}
	for (const char *at = s->file; at && at < s->file + s->file_len; at += strlen(at) + 1) {
		if (find_setting(name_of(at)))
			continue;
		say_unknown(name_of(at), faults);
		fine = false;
	}
	return fine;
}

/* ---- one value ---- */

static bool
set_number(const struct setting *t, const char *value, int64_t *to, struct buf *faults)
{
	if (text_number(span_of(value), to) && *to >= t->min && *to <= t->max)
		return true;
	buf_printf(faults,
	    "%s: \"%.40s\" is not a whole number of %s from %" PRId64 " to %" PRId64 "\n", t->name,
	    value, t->unit, t->min, t->max);
	return false;
}

static bool
set_choice(const struct setting *t, const char *value, int64_t *to, struct buf *faults)
{
	const char *at = t->unit;

	for (int64_t i = 0; *at; i++) {
		size_t len = strcspn(at, " ");

		if (len == strlen(value) && memcmp(at, value, len) == 0) {
			*to = i;
			return true;
		}
		at += at[len] ? len + 1 : len;
	}
	buf_printf(faults, "%s: \"%.40s\" is none of: %s\n", t->name, value, t->unit);
	return false;
}

static bool
set_text(const struct setting *t, const char *value, char **to, struct buf *faults)
{
	size_t len = value ? strlen(value) : 0;

	if (!value)
		return true;
	if (len < (size_t)t->min || (t->max && len > (size_t)t->max)) {
		buf_printf(faults, "%s: must have %" PRId64 " to %" PRId64 " characters\n", t->name,
		    t->min, t->max);
		return false;
	}
	*to = strdup(value);
	if (!*to)
		buf_printf(faults, "%s: no memory\n", t->name);
	return *to != NULL;
}

static bool
set_one(struct config *c, const struct setting *t, const char *value, struct buf *faults)
{
	void *to = (char *)c + t->at;

	switch (t->type) {
	case SETTING_NUMBER:
		return set_number(t, value, to, faults);
	case SETTING_CHOICE:
		return set_choice(t, value, to, faults);
	case SETTING_TEXT:
	case SETTING_SECRET:
		return set_text(t, value, to, faults);
	}
	return false;
}

static bool
set_all(struct config *c, const struct source *s, bool only_reload, struct buf *faults)
{
	bool fine = check_names(s, faults);

	for (size_t i = 0; i < COUNT; i++) {
		if (only_reload && table[i].reload != RELOAD)
			continue;
		fine = set_one(c, &table[i], value_of(s, &table[i]), faults) && fine;
	}
	return fine;
}

static bool
check_together(const struct config *c, struct buf *faults)
{
	if (!c->upstash_url == !c->upstash_token)
		return true;
	buf_printf(faults, "%s: not set, but %s is; they go together\n",
	    c->upstash_url ? "UPSTASH_REDIS_REST_TOKEN" : "UPSTASH_REDIS_REST_URL",
	    c->upstash_url ? "UPSTASH_REDIS_REST_URL" : "UPSTASH_REDIS_REST_TOKEN");
	return false;
}

bool
config_read(struct config *c, char *const environ[], struct buf *faults)
{
	struct source s = { .environ = environ };
	bool fine;

	memset(c, 0, sizeof(*c));
	fine = read_file(&s, faults);
	fine = set_all(c, &s, false, faults) && fine;
	fine = check_together(c, faults) && fine;
	free(s.file);
	return fine;
}

bool
config_reload(struct config *c, char *const environ[], struct buf *faults)
{
	struct source s = { .environ = environ };
	struct config next = *c; /* no RELOAD setting owns memory */
	bool fine = read_file(&s, faults) && set_all(&next, &s, true, faults);

	if (fine)
		*c = next;
	free(s.file);
	return fine;
}

void
config_free(struct config *c)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (table[i].type == SETTING_TEXT || table[i].type == SETTING_SECRET)
			free(*(char **)(void *)((char *)c + table[i].at));
	}
	memset(c, 0, sizeof(*c));
}

/* ---- for people ---- */

void
config_help(FILE *to)
{
	for (size_t i = 0; i < COUNT; i++) {
		const struct setting *t = &table[i];

		fprintf(to, "%c %s\n      %s\n      ", t->reload == RELOAD ? '*' : ' ', t->name,
		    t->help);
		if (t->type == SETTING_NUMBER)
			fprintf(to, "%s, %" PRId64 " to %" PRId64 "; ", t->unit, t->min, t->max);
		else
			fprintf(to, "%s; ", t->unit);
		fprintf(to, t->fallback ? "default %s\n" : "not set by default\n", t->fallback);
	}
}

/* The text with what stands between "//user:" and "@", or behind "password=",
 * replaced. */
static void
show_without_password(const char *value, FILE *to)
{
	const char *slashes = strstr(value, "//");
	const char *at = slashes ? strchr(slashes, '@') : NULL;
	const char *colon = at ? memchr(slashes + 2, ':', (size_t)(at - slashes - 2)) : NULL;
	const char *key = strstr(value, "password=");

	if (colon)
		fprintf(to, "%.*s:***%s\n", (int)(colon - value), value, key ? "@..." : at);
	else if (key)
		fprintf(to, "%.*spassword=***\n", (int)(key - value), value);
	else
		fprintf(to, "%s\n", value);
}

void
config_show(const struct config *c, FILE *to)
{
	for (size_t i = 0; i < COUNT; i++) {
		const void *at = (const char *)c + table[i].at;
		const char *text;

		fprintf(to, "%-32s ", table[i].name);
		switch (table[i].type) {
		case SETTING_NUMBER:
			fprintf(to, "%" PRId64 " %s\n", *(const int64_t *)at, table[i].unit);
			break;
		case SETTING_CHOICE:
			text = table[i].unit;
			for (int64_t n = *(const int64_t *)at; n > 0; n--)
				text = strchr(text, ' ') + 1;
			fprintf(to, "%.*s\n", (int)strcspn(text, " "), text);
			break;
		case SETTING_TEXT:
			text = *(char *const *)at;
			show_without_password(text ? text : "(not set)", to);
			break;
		case SETTING_SECRET:
			fprintf(to, "%s\n", *(char *const *)at ? "(set)" : "(not set)");
			break;
		}
	}
}
