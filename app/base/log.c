#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/sink.h"
#include "base/text.h"

#define EVENT_BYTES 4096

static _Atomic int current_level = LOG_INFO;
static enum log_format current_format = LOG_JSON;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void
log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

void
log_set_format(enum log_format format)
{
	current_format = format;
}

bool
log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* NAME, and room for a value of LEN bytes behind it; NULL without. */
static char *
put_name(struct log_line *l, const struct log_name *name, size_t len)
{
	struct span text = name->as[l->format];
	char *at = buf_room(l->to, text.len + len);

	if (!at)
		return NULL;
	memcpy(at, text.at, text.len);
	return at + text.len;
}

static void
put_plain(struct log_line *l, const struct log_name *name, struct span value)
{
	size_t quotes = l->format == LOG_JSON ? 2 : 0;
	char *at = put_name(l, name, value.len + quotes);

	if (!at)
		return;
	if (quotes)
		*at++ = '"';
	memcpy(at, value.at, value.len);
	if (quotes)
		at[value.len] = '"';
}

void
log_put_word(struct log_line *l, const struct log_name *name, const char *word)
{
	put_plain(l, name, span_of(word));
}

struct log_line
log_begin(struct buf *to, int64_t time_ms, enum log_level level, const char *event)
{
	struct log_line l = { to, current_format };
	char time[CLOCK_ISO_BYTES];

	clock_iso(time_ms, time);
	buf_text(to, l.format == LOG_JSON ? "{\"time\":\"" : "time=");
	buf_add(to, time, CLOCK_ISO_BYTES - 1);
	if (l.format == LOG_JSON)
		buf_char(to, '"');
	log_word(&l, "level", level_names[level]);
	log_word(&l, "event", event);
	return l;
}

/* What needs neither quotes nor an escape, in either format. */
static bool
is_word(struct span s)
{
	static const bool odd[256] = {
		[0 ... ' '] = true,
		['"'] = true,
		['='] = true,
		['\\'] = true,
		[0x7f ... 255] = true,
	};

	for (size_t i = 0; i < s.len; i++) {
		if (odd[(unsigned char)s.at[i]])
			return false;
	}
	return s.len > 0;
}

void
log_put_text(struct log_line *l, const struct log_name *name, struct span value)
{
	if (is_word(value))
		put_plain(l, name, value);
	else if (put_name(l, name, 0))
		buf_json(l->to, value);
}

void
log_put_number(struct log_line *l, const struct log_name *name, int64_t value)
{
	char room[TEXT_DIGITS];
	struct span digits = text_digits(value, room);
	char *at = put_name(l, name, digits.len);

	if (at)
		memcpy(at, digits.at, digits.len);
}

void
log_end(struct log_line *l)
{
	buf_text(l->to, l->format == LOG_JSON ? "}\n" : "\n");
}

void
log_flush(struct buf *from)
{
	size_t dropped;

	if (from->len == 0)
		return;
	if (!sink_put(buf_span(from)))
		sink_write(buf_span(from));
	buf_clear(from);
	dropped = sink_dropped();
	if (dropped)
		log_event(LOG_WARN, "log", "%zu bytes of log lines were dropped", dropped);
}

void
log_event(enum log_level level, const char *event, const char *format, ...)
{
	char message[1024];
	struct log_line l;
	struct buf line;
	va_list args;
	int len;

	if (!log_wants(level))
		return;
	va_start(args, format);
	len = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (len < 0)
		return;
	buf_init(&line, EVENT_BYTES);
	l = log_begin(&line, clock_wall_ms(), level, event);
	log_text(&l, "message", span_of(message));
	log_end(&l);
	sink_write(buf_span(&line));
	buf_free(&line);
}
