#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define FIRST_BYTES 256

void
buf_init(struct buf *b, size_t cap_bytes)
{
	memset(b, 0, sizeof(*b));
	b->cap_bytes = cap_bytes;
}

void
buf_free(struct buf *b)
{
	free(b->at);
	buf_init(b, b->cap_bytes);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

struct span
buf_span(const struct buf *b)
{
	return span_make(b->at ? b->at : "", b->len);
}

/* Room for MORE bytes and a NUL. */
static bool
reserve(struct buf *b, size_t more)
{
	size_t want;
	char *at;

	if (b->failed || more > b->cap_bytes - b->len) {
		b->failed = true;
		return false;
	}
	if (b->room_bytes > b->len + more)
		return true;
	want = b->room_bytes ? b->room_bytes * 2 : FIRST_BYTES;
	if (want < b->len + more + 1)
		want = b->len + more + 1;
	if (want > b->cap_bytes + 1)
		want = b->cap_bytes + 1;
	at = realloc(b->at, want);
	if (!at) {
		b->failed = true;
		return false;
	}
	b->at = at;
	b->room_bytes = want;
	return true;
}

char *
buf_take(struct buf *b)
{
	char *at = NULL;

	if (buf_ok(b) && reserve(b, 0)) {
		at = b->at;
		at[b->len] = '\0';
		b->at = NULL;
	}
	buf_free(b);
	return at;
}

void
buf_add_slowly(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0 || !reserve(b, len))
		return;
	memcpy(b->at + b->len, bytes, len);
	b->len += len;
}

char *
buf_room_slowly(struct buf *b, size_t len)
{
	char *at;

	if (!reserve(b, len))
		return NULL;
	at = b->at + b->len;
	b->len += len;
	return at;
}

void
buf_number(struct buf *b, int64_t n)
{
	char room[TEXT_DIGITS];

	buf_span_add(b, text_digits(n, room));
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || !reserve(b, (size_t)len))
		return;
	va_start(args, format);
	vsnprintf(b->at + b->len, (size_t)len + 1, format, args);
	va_end(args);
	b->len += (size_t)len;
}

/* ---- JSON ---- */

static void
put_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
	static const char *const letters = "\bb\ff\nn\rr\tt\"\"\\\\";

	for (const char *at = letters; *at; at += 2) {
		if ((unsigned char)*at != c)
			continue;
		text[1] = at[1];
		buf_add(b, text, 2);
		return;
	}
	buf_add(b, text, sizeof(text));
}

/* What cannot stand in a string as it is. */
static const bool odd[256] = {
	[0 ... 31] = true,
	['"'] = true,
	['\\'] = true,
	[0x80 ... 255] = true,
};

static size_t
put_odd(struct buf *b, struct span s, size_t at)
{
	size_t len;

	if ((unsigned char)s.at[at] < 0x80) {
		put_escape(b, (unsigned char)s.at[at]);
		return 1;
	}
	len = text_sequence(span_skip(s, at));
	if (len) {
		buf_add(b, s.at + at, len);
		return len;
	}
	buf_text(b, "\xef\xbf\xbd");
	return 1;
}

void
buf_json(struct buf *b, struct span s)
{
	size_t at = 0;

	buf_char(b, '"');
	while (at < s.len) {
		size_t run = at;

		while (run < s.len && !odd[(unsigned char)s.at[run]])
			run++;
		buf_add(b, s.at + at, run - at);
		at = run;
		if (at < s.len)
			at += put_odd(b, s, at);
	}
	buf_char(b, '"');
}
