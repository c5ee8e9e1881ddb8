/*
 * The log: one line an event on stderr, JSON or logfmt.  A line is built in a
 * caller's buffer and written with one write(2), so lines of several threads
 * do not mix.  The level is the one mutable global of the program (with the
 * stop flag); it is atomic.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "base/buf.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_JSON, LOG_LOGFMT };

/* Any thread, any time.  The format is set once, before threads start. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
bool log_wants(enum log_level level);

/* The name of a field, a literal, as it stands in the line. */
struct log_name {
	struct span as[2]; /* by format */
};

#define LOG_NAME(name) \
	({ \
		static const struct log_name made = { { SPAN(",\"" name "\":"), \
		    SPAN(" " name "=") } }; \
		&made; \
	})

/* A line under way.  Add fields, then log_end(). */
struct log_line {
	struct buf *to;
	enum log_format format;
};

/*
 * Begin a line in TO, behind what is already there.  TIME_MS is wall time.
 * Every line has: time, level, event.
 */
struct log_line log_begin(struct buf *to, int64_t time_ms, enum log_level level, const char *event);
#define log_text(l, name, value) log_put_text(l, LOG_NAME(name), value)
/* WORD is one of ours and is written as it is: no quotes, no blanks. */
#define log_word(l, name, word) log_put_word(l, LOG_NAME(name), word)
#define log_number(l, name, value) log_put_number(l, LOG_NAME(name), value)
void log_put_text(struct log_line *l, const struct log_name *name, struct span value);
void log_put_word(struct log_line *l, const struct log_name *name, const char *word);
void log_put_number(struct log_line *l, const struct log_name *name, int64_t value);
void log_end(struct log_line *l);
/* Hand all lines in FROM to the sink (sink.h), if there is one, and empty it.
 * Never fails or blocks the caller: what finds no room is dropped. */
void log_flush(struct buf *from);

/*
 * The short way for rare events: one line with a message made by a format,
 * dropped if the level is off.  Never put a secret or a token here.
 */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
