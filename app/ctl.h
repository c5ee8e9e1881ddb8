/*
 * pupitrectl: what its files share.  One thread.  Exit codes: 0 done; 1 it failed,
 * or the doctor found something; 2 wrong usage; 3 pupitre cannot be reached.
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

/* ---- ctl_wire.c: a FastCGI client ---- */

struct ctl_answer {
	int status; /* HTTP */
	char *body; /* malloc'd, NUL-ended */
	size_t len;
};

/* One request to /api/test/cache, or to PATH, as the operator: who may open the
 * socket is one.  Takes 10 s at most.  False: *why is a constant or strerror(). */
bool ctl_ask(const char *socket, const char *path, const char *query, struct ctl_answer *out,
    const char **why);
/* "NAME=VALUE", percent-encoded, added to QUERY of ROOM bytes; false: no room. */
bool ctl_add(char *query, size_t room, const char *name, const char *value);

/* ---- ctl_show.c: answers as text; the one file of it that knows json-c ---- */

/* Each returns an exit code. */
int ctl_show_stats(const char *json);
int ctl_show_top(const char *json);
int ctl_show_keys(const char *json);
int ctl_show_entry(const char *json);
/* 400 and problems: what they say, on stderr. */
void ctl_show_refusal(const char *json, int status);
/* A number of data in a flat answer; -1: there is none. */
long long ctl_number(const char *json, const char *name);

/* What watch and doctor look at. */
struct ctl_health {
	char instance[128];
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

bool ctl_read_health(const char *json, struct ctl_health *out);

/* ---- ctl_watch.c, ctl_doctor.c ---- */

int ctl_watch(const struct ctl_options *o);
int ctl_doctor(const struct ctl_options *o);

/* Colours, if the terminal has them and NO_COLOR is not set (no-color.org). */
const char *ctl_colour(const char *name);

#endif
