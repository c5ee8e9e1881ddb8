#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"

#define SENTENCE_BYTES 2048

/* ---- characters ---- */

static unsigned
code_point(const char *at, size_t len)
{
	unsigned n = (unsigned char)at[0];

	if (len > 1)
		n &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++)
		n = n << 6 | ((unsigned char)at[i] & 0x3f);
	return n;
}

/* Acted upon, or not seen for what it is: C0, DEL and C1; marks of direction
 * and their like; other ends of lines. */
static bool
is_odd(unsigned n)
{
	return n < ' ' || (n >= 0x7f && n <= 0x9f) || n == 0x61c || n == 0x200e || n == 0x200f ||
	    (n >= 0x2028 && n <= 0x202e) || (n >= 0x2066 && n <= 0x2069);
}

void
ctl_clean(char *to, size_t room, const char *from)
{
	struct span s = span_of(from);
	size_t n = 0;

	while (s.len) {
		size_t len = text_sequence(s);
		bool plain = len && !is_odd(code_point(s.at, len));

		if (n + (plain ? len : 1) >= room)
			break;
		if (plain)
			memcpy(to + n, s.at, len);
		else
			to[n] = '?';
		n += plain ? len : 1;
		s = span_skip(s, len ? len : 1);
	}
	to[n] = '\0';
}

/* ---- JSON ---- */

/* Beyond ASCII JSON has characters only within strings, where an escape may
 * stand for each; control bytes it has only between them, as blanks. */
static void
put(struct span s, bool lines)
{
	while (s.len) {
		size_t len = text_sequence(s);
		unsigned n = len ? code_point(s.at, len) : 0xfffd;

		if (lines && n == '\n')
			putchar('\n');
		else if (n < ' ')
			putchar(' ');
		else if (is_odd(n) || !len)
			printf("\\u%04x", n);
		else
			fwrite(s.at, 1, len, stdout);
		s = span_skip(s, len ? len : 1);
	}
	putchar('\n');
	fflush(stdout);
}

void
ctl_put_json(const char *json, size_t len)
{
	put(span_make(json, len), false);
}

void
ctl_put_pretty(const char *json)
{
	put(span_of(json), true);
}

static void
put_failure(const char *sentence)
{
	struct buf b;
	struct json j = { &b, false };

	buf_init(&b, 16 * SENTENCE_BYTES);
	json_open(&j, NULL, '{');
	json_bool(&j, "success", false);
	json_text(&j, "error", span_of(sentence));
	json_close(&j, '}');
	if (buf_ok(&b))
		ctl_put_json(b.at, b.len);
	buf_free(&b);
}

/* ---- people ---- */

const char *
ctl_count(char to[CTL_COUNT_BYTES], long long n)
{
	snprintf(to, CTL_COUNT_BYTES, "%lld %s", n, n == 1 ? "entry" : "entries");
	return to;
}

int
ctl_fail(const struct ctl_options *o, int code, const char *format, ...)
{
	char sentence[SENTENCE_BYTES];
	char clean[SENTENCE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	ctl_clean(clean, sizeof(clean), sentence);
	if (o->json)
		put_failure(clean);
	else
		fprintf(stderr, "pupitrectl: %s\n", clean);
	return code;
}

const char *
ctl_colour(const char *name)
{
	static const struct {
		const char *name;
		const char *code;
	} colours[] = { { "good", "\033[32m" }, { "warn", "\033[33m" }, { "bad", "\033[31m" },
		{ "bold", "\033[1m" }, { "off", "\033[0m" } };
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if ((no && *no) || !isatty(STDOUT_FILENO) || (term && strcmp(term, "dumb") == 0))
		return "";
	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (strcmp(colours[i].name, name) == 0)
			return colours[i].code;
	}
	return "";
}
