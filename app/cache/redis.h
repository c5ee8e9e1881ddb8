/*
 * One Redis connection: a question, its answer, one after the other.  hiredis
 * formats and parses (redis.c is the one file that knows it); transport.h
 * carries the bytes.  A connection that missed a deadline or broke is of no
 * further use, because a late answer would answer the next question:
 * redis_fit() says so.  One thread at a time.
 */
#ifndef CACHE_REDIS_H
#define CACHE_REDIS_H

#include "base/span.h"
#include "cache/transport.h"

struct redis;

#define REDIS_RUN_ID_BYTES 64
#define REDIS_SCRIPTS 9
/* Room for a reason to be logged. */
#define REDIS_WHY_BYTES 160

/* Connects, logs in, chooses the database, says who we are, asks who the
 * server is, loads SCRIPTS: all of it in one round trip.  NULL, with a line in
 * WHY, if that fails or is late. */
struct redis *redis_open(struct dialer *d, const char *const scripts[REDIS_SCRIPTS],
    int64_t until_ms, char why[REDIS_WHY_BYTES]);
void redis_close(struct redis *r);
bool redis_fit(const struct redis *r);
/* Of an idle one: still there? */
bool redis_quiet(const struct redis *r);
/* Of the server's process: changes when it restarts.  Empty: it does not say. */
const char *redis_run_id(const struct redis *r);
const char *redis_script_sha(const struct redis *r, int script);

enum reply_type { REPLY_NONE, REPLY_TEXT, REPLY_NUMBER, REPLY_LIST, REPLY_NIL, REPLY_FAULT };

/* An answer; free it with reply_free().  REPLY_NONE: there was none. */
struct reply {
	void *raw;
	enum reply_type type;
	struct span text; /* of TEXT and FAULT */
	int64_t number;
	size_t count; /* of LIST */
};

struct reply redis_ask(struct redis *r, const struct span *words, int count, int64_t until_ms);
/* The same in two steps, perhaps of two threads; nothing else may be said in
 * between.  UNTIL_MS as for transport_write(). */
bool redis_send(struct redis *r, const struct span *words, int count, int64_t until_ms);
struct reply redis_answer(struct redis *r, int64_t until_ms);
/* An element, to be read only while the list lives; not freed. */
struct reply reply_at(const struct reply *list, size_t i);
void reply_free(struct reply *reply);

#endif
