#include "writer.h"

#include <stdlib.h>
#include <unistd.h>

#include "database.h"
#include "tally.h"

#define REQUEST_BYTES (TEXT_BYTES + 1024)
#define AFTER_FAILURE_US 10000
#define BURST 40 /* the first writer writes so often without a rest */
#define REST_US 60000
#define NAP_US 50000 /* looks so often whether it is over */
#define COURSE_PAD 180 /* a presentation has at most 300 characters */
#define LESSON_PAD 1400

void
writer_init(struct writer *w, struct run *run, enum way way, int number)
{
	*w = (struct writer){ .run = run, .way = way, .number = number };
	w->random =
	    (run->seed + 1) * 0x9e3779b97f4a7c15U + (uint64_t)(number + 1) * 104729 + (uint64_t)way;
	w->keys = calloc((size_t)run->plan.key_count, sizeof(*w->keys));
	if (!w->keys)
		abort();
	for (int i = 0; i < run->plan.key_count; i++) {
		const struct key *k = &run->plan.keys[i];

		if (k->way == way && k->writer == number)
			w->keys[w->key_count++] = i;
	}
	client_init(&w->client, run->plan.port);
}

void
writer_free(struct writer *w)
{
	client_close(&w->client);
	free(w->keys);
}

size_t
writer_text(const struct plan *plan, const struct key *k, uint64_t version, char out[TEXT_BYTES])
{
	uint64_t mixed = (version + 1) * 0x9e3779b97f4a7c15U >> 32;
	size_t pad = (size_t)(mixed % (k->kind == COURSE ? COURSE_PAD : LESSON_PAD));

	return text_write(out, version, plan->owners[k->owner].id, k->id, pad);
}

static struct span
write_request(char out[REQUEST_BYTES], const char *method, const char *path, const char *token,
    struct span body)
{
	int n = snprintf(out, REQUEST_BYTES,
	    "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n"
	    "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n%.*s",
	    method, path, token, body.len, SPAN_ARG(body));

	return span_make(out, (size_t)n);
}

/* What came of a write; what may not come of one is a violation. */
static enum outcome
outcome_of(const struct run *run, enum heard heard, int wanted, const struct evidence *e)
{
	int status = e->answer->status;
	bool busy = heard == HEARD && (status == 502 || status == 503 || status == 504);

	if (heard == HEARD && status == wanted)
		return ACKED;
	if (!(run->faults || (run->refusals && busy)) || (heard == HEARD && !busy))
		tally_violation(VIOLATION_STATUS, e, "a write was answered %d%s", status,
		    heard == HEARD ? "" : ": the connection failed");
	return busy ? REFUSED : UNKNOWN;
}

static void
count_outcome(enum way way, enum outcome outcome)
{
	if (outcome == ACKED)
		count(way == BY_SQL ? COUNT_ACKED_SQL : COUNT_ACKED_HTTP);
	else
		count(outcome == REFUSED ? COUNT_WRITES_REFUSED : COUNT_WRITES_UNKNOWN);
}

static void
nap(struct writer *w)
{
	uint64_t left = random_below(&w->random, 2 * (uint64_t)w->run->pace_us + 1);

	while (left > 0 && !atomic_load(&w->run->stop)) {
		uint64_t us = left < NAP_US ? left : NAP_US;

		usleep((unsigned)us);
		left -= us;
	}
}

/* ---- through nginx ---- */

static enum outcome
patch(struct writer *w, struct key *k)
{
	const struct plan *plan = &w->run->plan;
	uint64_t version = key_attempt(k);
	char text[TEXT_BYTES], body[TEXT_BYTES + 64], path[160], bytes[REQUEST_BYTES];
	struct answer a;
	struct span request;
	struct evidence e = { .key = k, .shown = version, .request = &request, .answer = &a };
	enum outcome outcome;
	enum heard heard;
	int n;

	writer_text(plan, k, version, text);
	if (k->kind == COURSE)
		snprintf(path, sizeof(path), "/api/admin/courses/%s", k->id);
	else
		snprintf(path, sizeof(path), "/api/admin/courses/%s/lessons/%s", k->course, k->id);
	n = snprintf(body, sizeof(body), "{\"%s\":\"%s\"}",
	    k->kind == COURSE ? "presentation" : "content", text);
	request = write_request(
	    bytes, "PATCH", path, plan->owners[k->owner].token, span_make(body, (size_t)n));
	e.began_ns = now_ns();
	heard = client_ask(&w->client, request, &a);
	e.ended_ns = now_ns();
	outcome = outcome_of(w->run, heard, 200, &e);
	key_settle(k, outcome);
	count_outcome(BY_HTTP, outcome);
	if (outcome == ACKED && !memmem(a.body.at, a.body.len, text, strlen(text)))
		tally_violation(VIOLATION_WRONG, &e, "the answer to a write shows something else");
	return outcome;
}

static void
run_http(struct writer *w)
{
	for (int n = 1; !atomic_load(&w->run->stop); n++) {
		int key = w->keys[random_below(&w->random, (uint64_t)w->key_count)];

		if (patch(w, &w->run->plan.keys[key]) != ACKED)
			usleep(AFTER_FAILURE_US);
		if (w->number > 0)
			nap(w);
		else if (n % BURST == 0)
			usleep(REST_US);
	}
}

/* ---- by SQL ---- */

static void
update(struct writer *w, struct database *db, struct key *k)
{
	char text[TEXT_BYTES];
	uint64_t version = key_attempt(k);
	enum outcome outcome;

	writer_text(&w->run->plan, k, version, text);
	outcome = database_update(db, k, text) ? ACKED : UNKNOWN;
	key_settle(k, outcome);
	count_outcome(BY_SQL, outcome);
	if (outcome == ACKED)
		return;
	if (!w->run->faults)
		tally_violation(VIOLATION_STATUS, &(struct evidence){ .key = k, .shown = version },
		    "no faults, but: %s", database_error(db));
	usleep(AFTER_FAILURE_US);
}

static void
run_sql(struct writer *w)
{
	struct database *db = database_new(w->run->plan.database);

	while (!atomic_load(&w->run->stop)) {
		int key = w->keys[random_below(&w->random, (uint64_t)w->key_count)];

		update(w, db, &w->run->plan.keys[key]);
		nap(w);
	}
	database_free(db);
}

void *
writer_run(void *writer)
{
	struct writer *w = writer;

	if (w->key_count == 0)
		return NULL;
	if (w->way == BY_HTTP)
		run_http(w);
	else
		run_sql(w);
	return NULL;
}

/* ---- new lessons ---- */

static void
make_one(struct writer *w, uint64_t number)
{
	const struct plan *plan = &w->run->plan;
	struct made *made = &w->run->made;
	char body[128], path[160], bytes[REQUEST_BYTES];
	struct answer a;
	struct span request;
	struct evidence e = { .request = &request, .answer = &a };
	enum heard heard;
	int n;

	n = snprintf(body, sizeof(body), "{\"name\":\"made %llu\",\"content\":\"-\"}",
	    (unsigned long long)number);
	snprintf(path, sizeof(path), "/api/admin/courses/%s/lessons", plan->maker_course);
	request = write_request(
	    bytes, "POST", path, plan->owners[plan->maker].token, span_make(body, (size_t)n));
	atomic_store(&made->attempted, number);
	e.began_ns = now_ns();
	heard = client_ask(&w->client, request, &a);
	e.ended_ns = now_ns();
	made->outcomes[number] = outcome_of(w->run, heard, 201, &e);
	if (made->outcomes[number] == ACKED) {
		uint64_t acked = atomic_load(&made->acked);

		made->acked_ns[acked] = e.ended_ns;
		atomic_store(&made->acked, acked + 1);
		count(COUNT_MADE);
	} else {
		count(COUNT_MADE_UNKNOWN);
		usleep(AFTER_FAILURE_US);
	}
}

void *
writer_make_lessons(void *writer)
{
	struct writer *w = writer;

	for (uint64_t n = 1; n < MADE_MAX && !atomic_load(&w->run->stop); n++) {
		make_one(w, n);
		nap(w);
	}
	return NULL;
}
