/*
 * A buffer that grows up to a cap fixed when it is made.  Past the cap, or
 * without memory, it keeps what it had, ignores the rest and remembers it:
 * look at buf_ok() once, at the end.  One thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#include "base/span.h"

struct buf {
	char *at;
	size_t len;
	size_t room_bytes;
	size_t cap_bytes;
	bool failed;
};

/* Takes no memory yet. */
void buf_init(struct buf *b, size_t cap_bytes);
void buf_free(struct buf *b);
/* Empty again, memory kept, failure forgotten. */
void buf_clear(struct buf *b);
bool buf_ok(const struct buf *b);
struct span buf_span(const struct buf *b);
/* The bytes, malloc'd, now the caller's (NUL behind them); NULL if !buf_ok. */
char *buf_take(struct buf *b);

/* Where there is no room: they grow, or fail. */
char *buf_room_slowly(struct buf *b, size_t len);
void buf_add_slowly(struct buf *b, const void *bytes, size_t len);
void buf_number(struct buf *b, int64_t n);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* S as a JSON string with its quotes (RFC 8259 section 7); bytes that are
 * not UTF-8 become U+FFFD. */
void buf_json(struct buf *b, struct span s);

/* LEN more bytes, for the caller to write; NULL where it fails. */
static inline char *
buf_room(struct buf *b, size_t len)
{
	char *at = b->at + b->len;

	if (b->failed || b->room_bytes - b->len <= len)
		return buf_room_slowly(b, len);
	b->len += len;
	return at;
}

static inline void
buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (b->failed || len == 0 || b->room_bytes - b->len <= len) {
		buf_add_slowly(b, bytes, len);
		return;
	}
	memcpy(b->at + b->len, bytes, len);
	b->len += len;
}

static inline void
buf_span_add(struct buf *b, struct span s)
{
	buf_add(b, s.at, s.len);
}

static inline void
buf_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

static inline void
buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

#endif
