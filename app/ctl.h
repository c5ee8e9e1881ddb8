/*
 * pupitrectl: what its files share.  One thread.  Nothing that comes from
 * elsewhere reaches the terminal before it has been through ctl_clean() or
 * ctl_put_json().  Exit codes: 0 done; 1 it failed, or the doctor found something
 * broken; 2 wrong usage; 3 pupitre cannot be reached.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>

enum { CTL_FINE, CTL_FAILED, CTL_USAGE, CTL_UNREACHABLE };

struct ctl_options {
	const char *socket;
	const char *nginx; /* what `nginx -T` printed; NULL: ask nginx */
	const char *tag;
	const char *pattern;
	const char *course;
	const char *limit;
	bool json;
	bool dry_run;
	bool yes;
};

/* ---- ctl_say.c: what is printed ---- */

/* FROM, cut to ROOM at the end of a character, with '?' for what a terminal
 * might act on or be fooled by: control characters (C1 too), what is not UTF-8,
 * marks that turn the direction of text. */
void ctl_clean(char *to, size_t room, const char *from);
/* One line of JSON on stdout, at once; what ctl_clean() would not show is
 * escaped, so it is the same JSON. */
void ctl_put_json(const char *json, size_t len);
/* The same in the lines that it has. */
void ctl_put_pretty(const char *json);
/* "1 entry", "2 entries", into TO. */
#define CTL_COUNT_BYTES 32
const char *ctl_count(char to[CTL_COUNT_BYTES], long long n);
/* What went wrong: on stderr, or with --json as {"success":false,"error":"..."}
 * on stdout.  Gives CODE back. */
int ctl_fail(const struct ctl_options *o, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Colours, if the terminal has them and NO_COLOR is not set (no-color.org). */
const char *ctl_colour(const char *name);

/* ---- ctl_wire.c: a FastCGI client ---- */

struct ctl_answer {
	int status; /* HTTP */
	char *body; /* malloc'd, NUL-ended */
	size_t len;
};

#define CTL_PATIENCE_MS 10000

/* One request to /api/test/cache as the operator: who may open the socket is
 * one.  Takes PATIENCE_MS at most, all in all.  False, with nothing to free:
 * *why is a constant or strerror(). */
bool ctl_ask(const char *socket, const char *query, int patience_ms, struct ctl_answer *out,
    const char **why);
/* "NAME=VALUE", percent-encoded, added to QUERY of ROOM bytes; false: no room. */
bool ctl_add(char *query, size_t room, const char *name, const char *value);
/* As an exit code, with what is wrong said; anything but CTL_FINE leaves nothing
 * to free.  CTL_FINE is 200, and JSON. */
int ctl_answer(
    const struct ctl_options *o, const char *query, int patience_ms, struct ctl_answer *out);

/* ---- ctl_show.c: answers as text; the one file of it that knows json-c ---- */

/* Whole, and nothing behind it. */
bool ctl_is_json(const struct ctl_answer *a);
/* Each returns an exit code. */
int ctl_show_stats(const struct ctl_options *o, const struct ctl_answer *a);
int ctl_show_top(const struct ctl_options *o, const struct ctl_answer *a);
int ctl_show_keys(const struct ctl_options *o, const struct ctl_answer *a);
int ctl_show_entry(const struct ctl_options *o, const struct ctl_answer *a);
/* What a refusal (400 and the like) says; "refused" if nothing. */
void ctl_read_refusal(const struct ctl_answer *a, char *to, size_t room);
/* A number of data in a flat answer; -1: there is none. */
long long ctl_number(const struct ctl_answer *a, const char *name);

/* What watch and doctor look at; all text is clean. */
struct ctl_health {
	char instance[128];
	char version[32];
	char mode[16];
	char postgres[16];
	char redis[16];
	bool trusted;
	long long pool, waiting, queue, entries, bytes, capacity, flights;
	double now_s, wait_s;
	long long requests, hits, redis_hits, misses, evictions, invalidated;
	char hottest[5][160];
	long long reads[5];
	char recent[5][160];
	int hottest_count, recent_count;
};

bool ctl_read_health(const struct ctl_answer *a, struct ctl_health *out);

/* ---- ctl_watch.c, ctl_doctor.c ---- */

int ctl_watch(const struct ctl_options *o);
int ctl_doctor(const struct ctl_options *o);

#endif
