/*
 * What is dear to find out about the cache: a walk through memory, a question
 * to Redis, one to the database.  Made anew when it is older than a hundred
 * times what it took, but half a second at least and five at most; so looking
 * costs little, however many look.  Runs on a worker.
 */
#ifndef ROUTES_SURVEY_H
#define ROUTES_SURVEY_H

#include "routes/app.h"

#define SURVEY_TOP 20
#define SURVEY_KEY_BYTES 400
#define SURVEY_WHAT_BYTES 104

struct survey_key {
	char key[SURVEY_KEY_BYTES]; /* NUL-ended, cut */
	int policy;
	uint32_t reads;
	uint32_t loads;
	uint32_t recent_reads;
	uint32_t recent_loads;
	uint64_t bytes;
	/* Of those that were loaded most: the latest change that touched it, of those
	 * that are still known; .cause empty: none. */
	char cause[16];
	char what[SURVEY_WHAT_BYTES];
	char tag[SURVEY_WHAT_BYTES];
};

/* The most first. */
struct survey_list {
	struct survey_key top[SURVEY_TOP];
	int count;
};

struct survey {
	int64_t at_ms; /* monotonic */
	struct survey_list hottest; /* by reads of late */
	struct survey_list loaded; /* by loads of late; of those loaded twice or more */
	struct survey_list biggest;
	struct remote_stats remote;
	struct remote_server server; /* likewise */
	bool database; /* it answered */
	int64_t outbox_rows;
	char *outbox_latest; /* JSON; the copy's own, see survey_free() */
};

struct surveyor;

struct surveyor *surveyor_new(void);
void surveyor_free(struct surveyor *s);
/* A copy for the caller.  False: without memory. */
bool survey_read(struct surveyor *s, struct app *app, struct survey *out);
void survey_free(struct survey *s);

#endif
