/*
 * The order that makes a verdict sound: floors, the clock, the request, its
 * answer, ceilings.  A write that is acknowledged after the floor was taken
 * asks nothing of this read; one that was begun after the ceiling was taken
 * cannot be in its answer.
 */
#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "tally.h"
#include "verdict.h"

#define REQUEST_BYTES 1024
#define AFTER_FAILURE_US 3000
#define LIKING_POWER 0.9

double *
liking_make(int count)
{
	double *sums = calloc((size_t)count, sizeof(*sums));
	double sum = 0;

	if (!sums)
		abort();
	for (int i = 0; i < count; i++) {
		sum += 1 / pow(i + 1, LIKING_POWER);
		sums[i] = sum;
	}
	for (int i = 0; i < count; i++)
		sums[i] /= sum;
	return sums;
}

static int
liked_key(struct reader *r)
{
	double x = (double)(random_next(&r->random) >> 11) / (double)(1ULL << 53);
	int low = 0, high = r->run->plan.key_count - 1;

	while (low < high) {
		int middle = (low + high) / 2;

		if (r->liking[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
reader_init(struct reader *r, struct run *run, const struct questions *questions, int number)
{
	*r = (struct reader){ .run = run, .questions = questions };
	r->random = (run->seed + 1) * 0x9e3779b97f4a7c15U + (uint64_t)number * 7919 + 1;
	r->seen = calloc((size_t)questions->count, sizeof(*r->seen));
	if (!r->seen)
		abort();
	client_init(&r->client, run->plan.port);
}

void
reader_free(struct reader *r)
{
	client_close(&r->client);
	free(r->seen);
}

/* A quarter of the repeated questions offer the ETag of the last answer. */
static const char *
etag_to_offer(struct reader *r, const struct question *q)
{
	const char *etag = r->seen[q->number].etag;

	return *etag && random_below(&r->random, 4) == 0 ? etag : NULL;
}

static struct span
write_request(struct reader *r, const struct question *q, const char *etag, char out[REQUEST_BYTES])
{
	const struct plan *plan = &r->run->plan;
	const char *token = q->token;
	int n;

	if (!token) {
		uint64_t any = random_below(&r->random, (uint64_t)plan->learner_count);

		token = plan->learners[any].token;
	}
	n = snprintf(out, REQUEST_BYTES,
	    "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n"
	    "Authorization: Bearer %s\r\n%s%s%s\r\n",
	    q->path, token, etag ? "If-None-Match: " : "", etag ? etag : "", etag ? "\r\n" : "");
	return span_make(out, (size_t)n);
}

static void
count_cache(struct span status)
{
	static const struct {
		const char *word;
		enum counter counter;
	} kinds[] = {
		{ "stale", COUNT_CACHE_STALE },
		{ "detail=memory", COUNT_CACHE_MEMORY },
		{ "detail=redis", COUNT_CACHE_REDIS },
		{ "collapsed", COUNT_CACHE_COLLAPSED },
		{ "fwd=uri-miss", COUNT_CACHE_MISS },
		{ "fwd=bypass", COUNT_CACHE_BYPASS },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (memmem(status.at, status.len, kinds[i].word, strlen(kinds[i].word))) {
			count(kinds[i].counter);
			return;
		}
	}
	count(COUNT_CACHE_OTHER);
}

/* Nothing to judge.  Where there are no faults, a reason to complain. */
static void
failed(struct reader *r, enum heard heard, const struct evidence *e)
{
	int status = e->answer->status;

	bool expected = r->run->faults;

	if (heard != HEARD) {
		count(COUNT_READ_LOST);
	} else if (status == 503) {
		count(COUNT_READ_UNAVAILABLE);
	} else if (status == 502 || status == 504) {
		count(COUNT_READ_GATEWAY);
	} else {
		expected = false;
	}
	if (!expected)
		tally_violation(VIOLATION_STATUS, e, "a read was answered %d%s", status,
		    heard == HEARD ? "" : ": the connection failed");
}

static void
remember(struct reader *r, const struct question *q, const struct answer *a, uint64_t version)
{
	struct seen *seen = &r->seen[q->number];
	struct span etag = answer_field(a, "ETag");

	seen->version = version;
	snprintf(seen->etag, sizeof(seen->etag), "%.*s", SPAN_ARG(etag));
	if (etag.len >= sizeof(seen->etag))
		seen->etag[0] = '\0';
}

static void
judge(struct reader *r, const struct question *q, struct evidence *e)
{
	uint64_t version;

	if (q->route == ROUTE_MADE) {
		verdict_made(r, e);
	} else if (e->answer->status == 304) {
		count(COUNT_NOT_MODIFIED);
		e->key = &r->run->plan.keys[q->keys[0]];
		verdict_version(r, q->keys[0], r->seen[q->number].version, e);
	} else if (verdict_body(r, q, e, &version) && q->key_count == 1) {
		remember(r, q, e->answer, version);
	}
}

static void
take_floors(struct reader *r, const struct question *q)
{
	struct plan *plan = &r->run->plan;

	for (int i = 0; i < q->key_count; i++)
		r->floors[q->keys[i]] = key_floor(&plan->keys[q->keys[i]]);
	r->made_floor = atomic_load(&r->run->made.acked);
}

bool
reader_ask(struct reader *r, const struct question *q)
{
	char bytes[REQUEST_BYTES];
	const char *etag = etag_to_offer(r, q);
	struct span request = write_request(r, q, etag, bytes);
	struct answer a;
	struct evidence e = { .request = &request, .answer = &a };
	enum heard heard;

	take_floors(r, q);
	e.began_ns = now_ns();
	heard = client_ask(&r->client, request, &a);
	e.ended_ns = now_ns();
	count(COUNT_READS);
	atomic_fetch_add_explicit(&r->by_route[q->route], 1, memory_order_relaxed);
	if (heard != HEARD || (a.status != 200 && !(a.status == 304 && etag))) {
		failed(r, heard, &e);
		return false;
	}
	count_cache(answer_field(&a, "Cache-Status"));
	judge(r, q, &e);
	return true;
}

static const struct question *
choose(struct reader *r)
{
	uint64_t dice = random_below(&r->random, 100);
	const struct question *const *of = r->questions->of[liked_key(r)];

	if (dice < 1 && r->questions->made)
		return r->questions->made;
	if (dice < 6)
		return of[LIST_OFTEN];
	if (dice < 8)
		return of[LIST_SELDOM];
	return of[dice % 2 ? ALONE_ADMIN : ALONE_USER];
}

void *
reader_run(void *reader)
{
	struct reader *r = reader;

	while (!atomic_load_explicit(&r->run->stop, memory_order_relaxed)) {
		if (!reader_ask(r, choose(r)))
			usleep(AFTER_FAILURE_US);
	}
	return NULL;
}
