/*
 * What an invalidation costs when few entries are cached and when very many
 * are, in memory and in Redis: it raises a tag's number and looks for no entry,
 * so it should be the same.  Run by tests/bench/invalidate-run, which starts a
 * Redis for it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "cache/cache.h"
#include "cache/entry.h"

#define ROUNDS 9
#define RAISES 2000
#define FEW 1000
#define MANY 1000000
#define BODY_BYTES 200

static const struct cache_policy policies[] = { { "bench", SEARCH_RESULTS, true, false } };

struct bench {
	struct cache *cache;
	struct remote *remote;
	int filled;
	char body[BODY_BYTES];
};

static struct remote *
open_remote(void)
{
	struct remote_config config = {
		.url = getenv("REDIS_URL"),
		.prefix = "bench:",
		.deadline_ms = 5000,
		.connect_ms = 5000,
		.breaker_failures = 3,
		.breaker_ms = 100,
		.connections = 4,
	};
	const char *why = "REDIS_URL is not set";
	struct remote *r = config.url ? remote_open(&config, &why) : NULL;

	if (!r)
		fprintf(stderr, "invalidate: %s\n", why);
	return r;
}

/* One entry in both levels, as a flight leaves it there. */
static bool
put_one(struct bench *b, int i)
{
	char key[64];
	char tag[32];
	uint16_t slots[TAG_MAX];
	struct span tags[1] = { { tag, 0 } };
	struct span name = { key, (size_t)snprintf(key, sizeof(key), "bench:courseId:%d", i) };
	struct remote_token token;
	struct remote_value v;
	struct entry_parts parts = { .key = name,
		.etag = SPAN("W/\"0123456789abcdef\""),
		.body = { b->body, BODY_BYTES },
		.slots = slots,
		.loaded = UINT64_MAX,
		.expires_ms = INT64_MAX / 2 };
	struct entry *e;

	tags[0].len = (size_t)snprintf(tag, sizeof(tag), "course:%d", i);
	parts.slot_count = tag_slots(tags, 1, slots);
	e = entry_make(&parts);
	if (!e || !memory_put(cache_memory(b->cache), e))
		return false;
	entry_release(e);
	if (remote_get(b->remote, name, &token, &v) == REMOTE_HIT)
		remote_value_free(&v);
	v = (struct remote_value){ .body = parts.body,
		.etag = parts.etag,
		.slots = slots,
		.slot_count = parts.slot_count,
		.ttl_ms = 3600000 };
	return remote_put(b->remote, name, &token, &v, false) == REMOTE_STORED;
}

static bool
fill(struct bench *b, int count)
{
	for (; b->filled < count; b->filled++) {
		if (!put_one(b, b->filled)) {
			fprintf(stderr, "invalidate: entry %d is not stored\n", b->filled);
			return false;
		}
		if (b->filled % 100000 == 0 && b->filled)
			fprintf(stderr, "  %d entries\n", b->filled);
	}
	return true;
}

/* Microseconds of one, on average. */
static double
raise_some(struct bench *b)
{
	int64_t began = clock_us();

	for (int i = 0; i < RAISES; i++) {
		char text[32];
		struct span tag = { text, 0 };

		tag.len = (size_t)snprintf(
		    text, sizeof(text), "course:%u", random_below((uint32_t)b->filled));
		if (!cache_raise(b->cache, 0, &tag, 1))
			return 0;
	}
	return (double)(clock_us() - began) / RAISES;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median_of_rounds(struct bench *b)
{
	double took[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		took[i] = raise_some(b);
	qsort(took, ROUNDS, sizeof(took[0]), by_value);
	return took[ROUNDS / 2];
}

int
main(void)
{
	struct bench b = { 0 };
	struct cache_config config = { .memory_bytes = (size_t)4 << 30,
		.policies = policies,
		.policy_count = 1,
		.now_ms = clock_ms };
	struct memory_stats memory;
	double few;
	double many;

	if (!random_start())
		return 1;
	memset(b.body, 'x', sizeof(b.body));
	b.remote = config.remote = open_remote();
	config.workers = workers_start(1, 1);
	b.cache = b.remote && config.workers ? cache_new(&config) : NULL;
	if (!b.cache || !fill(&b, FEW))
		return 1;
	few = median_of_rounds(&b);
	if (!fill(&b, MANY))
		return 1;
	memory_read_stats(cache_memory(b.cache), &memory);
	many = median_of_rounds(&b);
	printf("| entries in memory and in Redis | one invalidation, median of %d x %d |\n", ROUNDS,
	    RAISES);
	printf("| --- | --- |\n| %d | %.1f us |\n| %llu | %.1f us |\n\n", FEW, few,
	    (unsigned long long)memory.entries, many);
	printf("ratio %.2f\n", many / few);
	workers_stop(config.workers);
	cache_free(b.cache);
	remote_close(b.remote);
	return few > 0 && many > 0 && memory.entries == MANY ? 0 : 1;
}
