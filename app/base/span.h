/*
 * A span is a run of bytes that somebody else owns: pointer and length, not
 * ended by a NUL.  Passed by value.  Header only; any thread.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *at;
	size_t len;
};

/* A string literal as a span, usable in constant tables. */
#define SPAN(literal) \
	{ \
		(literal), sizeof(literal) - 1 \
	}
/* For "%.*s" in a format. */
#define SPAN_ARG(s) (int)(s).len, (s).at

static inline struct span
span_make(const char *at, size_t len)
{
	struct span s = { at, len };

	return s;
}

/* NULL gives the empty span. */
static inline struct span
span_of(const char *text)
{
	return span_make(text ? text : "", text ? strlen(text) : 0);
}

static inline bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool
span_is(struct span a, const char *text)
{
	return span_equal(a, span_of(text));
}

static inline bool
span_starts(struct span a, struct span prefix)
{
	return a.len >= prefix.len && memcmp(a.at, prefix.at, prefix.len) == 0;
}

static inline struct span
span_skip(struct span a, size_t n)
{
	return span_make(a.at + n, a.len - n);
}

#endif
