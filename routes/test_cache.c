/*
 * /api/test/cache: the statistics and the clear action of the original, with
 * its envelope, and the way to the others (control.h).  Sessions and guards are
 * cached too, but they are ours: the totals count what the routes cache.
 */
#include "routes/control.h"
#include "routes/handlers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "routes/warm.h"

#define ANSWER_BYTES 131072
#define SAMPLES 5
#define SAMPLE_KEY_BYTES 512

struct sample {
	char key[SAMPLE_KEY_BYTES];
	int64_t made_ms;
	int64_t ttl_ms;
	size_t bytes;
};

struct look {
	const struct cache_policy *policies;
	int64_t now_ms;
	uint64_t keys;
	uint64_t bytes;
	uint64_t internal;
	uint64_t keys_of[CACHE_MAX_POLICIES];
	struct sample newest[SAMPLES];
	size_t samples;
};

/* ---- what is in memory ---- */

static void
keep_newest(struct look *s, const struct entry *e)
{
	struct span key = entry_key(e);
	size_t len = key.len < SAMPLE_KEY_BYTES ? key.len : SAMPLE_KEY_BYTES - 1;
	size_t at = s->samples < SAMPLES ? s->samples : SAMPLES - 1;

	if (s->samples == SAMPLES && e->made_ms <= s->newest[at].made_ms)
		return;
	for (; at > 0 && s->newest[at - 1].made_ms < e->made_ms; at--)
		s->newest[at] = s->newest[at - 1];
	memcpy(s->newest[at].key, key.at, len);
	s->newest[at].key[len] = '\0';
	s->newest[at].made_ms = e->made_ms;
	s->newest[at].ttl_ms = e->expires_ms - s->now_ms;
	s->newest[at].bytes = entry_bytes(e);
	if (s->samples < SAMPLES)
		s->samples++;
}

static void
see_entry(void *ctx, const struct entry *e)
{
	struct look *s = ctx;

	if (s->policies[e->policy].internal) {
		s->internal++;
		return;
	}
	s->keys++;
	s->bytes += entry_bytes(e);
	s->keys_of[e->policy]++;
	keep_newest(s, e);
}

/* ---- JSON ---- */

static void
put_number(struct buf *b, const char *name, uint64_t value)
{
	buf_json(b, span_of(name));
	buf_char(b, ':');
	buf_number(b, (int64_t)value);
}

static void
put_ratio(struct buf *b, uint64_t hits, uint64_t all)
{
	buf_printf(b, "\"hitRatio\":%.4f", all ? (double)hits / (double)all : 0.0);
}

static uint64_t
hits_of(const struct cache_counters *n)
{
	return n->memory_hits + n->redis_hits + n->collapsed;
}

static void
put_counters(struct buf *b, const struct cache_counters *n)
{
	uint64_t hits = hits_of(n);

	put_number(b, "hits", hits);
	buf_char(b, ',');
	put_number(b, "memoryHits", n->memory_hits);
	buf_char(b, ',');
	put_number(b, "redisHits", n->redis_hits);
	buf_char(b, ',');
	put_number(b, "collapsed", n->collapsed);
	buf_char(b, ',');
	put_number(b, "misses", n->loads);
	buf_char(b, ',');
	put_number(b, "stale", n->stale);
	buf_char(b, ',');
	put_number(b, "grace", n->grace);
	buf_char(b, ',');
	put_number(b, "refreshes", n->refreshes);
	buf_char(b, ',');
	put_number(b, "refused", n->refused + n->redis_refused);
	buf_char(b, ',');
	put_number(b, "notFound", n->not_found);
	buf_char(b, ',');
	put_number(b, "failures", n->failures);
	buf_char(b, ',');
	put_number(b, "stored", n->stored);
	buf_char(b, ',');
	put_ratio(b, hits, hits + n->loads);
}

static void
add_counters(struct cache_counters *to, const struct cache_counters *n)
{
#define X(name, ...) to->name += n->name;
	CACHE_COUNTERS(X)
#undef X
}

static void
put_prefixes(struct buf *b, const struct look *s, const struct cache_counters *counters, int count)
{
	const char *between = "";

	buf_text(b, "\"prefixes\":{");
	for (int i = 0; i < count; i++) {
		if (!s->policies[i].prefix || s->policies[i].internal)
			continue;
		buf_text(b, between);
		buf_json(b, span_of(s->policies[i].prefix));
		buf_text(b, ":{");
		put_number(b, "keys", s->keys_of[i]);
		buf_char(b, ',');
		put_counters(b, &counters[i]);
		buf_char(b, '}');
		between = ",";
	}
	buf_char(b, '}');
}

static void
put_memory(struct buf *b, struct cache *cache, const struct look *s)
{
	struct memory_stats m;

	memory_read_stats(cache_memory(cache), &m);
	buf_text(b, "\"memory\":{");
	put_number(b, "keys", s->keys);
	buf_char(b, ',');
	put_number(b, "internalKeys", s->internal);
	buf_char(b, ',');
	put_number(b, "bytes", m.bytes);
	buf_char(b, ',');
	put_number(b, "capacityBytes", m.cap_bytes);
	buf_char(b, ',');
	put_number(b, "evictions", m.evictions);
	buf_char(b, ',');
	put_number(b, "expiries", m.expiries);
	buf_char(b, ',');
	put_number(b, "invalidated", m.dropped);
	buf_char(b, '}');
}

static void
put_redis(struct buf *b, const struct remote_stats *r)
{
	static const char *const states[] = { "closed", "open", "half-open" };

	buf_text(b, "\"redis\":{\"reachable\":");
	buf_text(b, r->reachable ? "true," : "false,");
	put_number(b, "keys", r->keys);
	buf_char(b, ',');
	put_number(b, "estimatedBytes", r->bytes);
	buf_printf(b, ",\"circuit\":\"%s\",", states[r->breaker]);
	put_number(b, "calls", r->calls);
	buf_char(b, ',');
	put_number(b, "failures", r->failures);
	buf_char(b, ',');
	put_number(b, "lastMicroseconds", (uint64_t)r->last_us);
	buf_char(b, '}');
}

/* What is heard of changes that others make; "seen" is the first transaction
 * that may not have been applied yet. */
static void
put_listener(struct buf *b, struct cache *cache)
{
	struct cache_state state;
	const char *place;

	cache_read_state(cache, &state);
	place = strchr(state.bookmark, '/');
	buf_printf(b, "\"listener\":{\"trusted\":%s,\"databaseDown\":%s,",
	    state.trusted ? "true" : "false", state.down ? "true" : "false");
	buf_printf(b, "\"silentMs\":%lld,\"seen\":%lld,", (long long)state.silent_ms,
	    place ? strtoll(place + 1, NULL, 10) : 0LL);
	put_number(b, "lost", state.lost);
	buf_char(b, '}');
}

static void
put_samples(struct buf *b, const struct look *s, const struct remote_stats *r)
{
	buf_text(b, "\"sampleKeys\":[");
	for (size_t i = 0; i < s->samples; i++) {
		buf_text(b, i ? "," : "");
		buf_json(b, span_of(s->newest[i].key));
	}
	/* Nothing in this process: what others have put into Redis. */
	for (size_t i = 0; s->samples == 0 && i < r->samples; i++) {
		buf_text(b, i ? "," : "");
		buf_json(b, span_of(r->sample[i]));
	}
	buf_text(b, "],\"samples\":[");
	for (size_t i = 0; i < s->samples; i++) {
		buf_text(b, i ? ",{\"key\":" : "{\"key\":");
		buf_json(b, span_of(s->newest[i].key));
		buf_char(b, ',');
		put_number(b, "ttlMs", (uint64_t)s->newest[i].ttl_ms);
		buf_char(b, ',');
		put_number(b, "bytes", s->newest[i].bytes);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void
put_time(struct buf *b)
{
	char now[CLOCK_ISO_BYTES];

	clock_iso(clock_wall_ms(), now);
	buf_printf(b, "\"timestamp\":\"%s\"", now);
}

static void
put_data(struct buf *b, struct call *c, const struct look *s, const struct remote_stats *r)
{
	struct cache *cache = c->app->cache;
	struct cache_counters counters[CACHE_MAX_POLICIES];
	struct cache_counters total = { 0 };
	uint64_t keys = s->keys > r->keys ? s->keys : r->keys;
	uint64_t bytes = s->bytes > r->bytes ? s->bytes : r->bytes;
	int count;

	cache_policies(cache, &count);
	cache_read_counters(cache, counters);
	for (int i = 0; i < count; i++) {
		if (!s->policies[i].internal)
			add_counters(&total, &counters[i]);
	}
	put_number(b, "totalKeys", keys);
	buf_printf(b, ",\"estimatedMemory\":\"%.2f MB\",", (double)bytes / (1024.0 * 1024.0));
	put_samples(b, s, r);
	buf_char(b, ',');
	put_counters(b, &total);
	buf_char(b, ',');
	put_number(b, "invalidations", cache_raises(cache));
	buf_text(b, ",\"levels\":{");
	put_memory(b, cache, s);
	if (c->app->remote) {
		buf_char(b, ',');
		put_redis(b, r);
	}
	buf_text(b, "},");
	put_listener(b, cache);
	buf_char(b, ',');
	put_prefixes(b, s, counters, count);
	buf_char(b, ',');
	put_time(b);
}

/* ---- the two actions ---- */

static enum status
answer(struct call *c, struct buf *b)
{
	char *text = buf_ok(b) ? arena_copy(&c->rq->arena, buf_span(b)) : NULL;

	if (text)
		respond_json(c->rq, OK, span_make(text, b->len));
	buf_free(b);
	return text ? OK : BUSY;
}

static enum status
stats(struct call *c)
{
	struct remote_stats remote = { 0 };
	struct look *s = arena_alloc(&c->rq->arena, sizeof(*s));
	struct buf b;
	int count;

	if (!s)
		return BUSY;
	s->policies = cache_policies(c->app->cache, &count);
	s->now_ms = clock_ms();
	memory_walk(cache_memory(c->app->cache), s->now_ms, see_entry, s);
	if (c->app->remote)
		remote_read_stats(c->app->remote, &remote);
	buf_init(&b, ANSWER_BYTES);
	buf_text(&b, "{\"success\":true,\"action\":\"stats\",\"data\":{");
	put_data(&b, c, s, &remote);
	buf_text(&b, "},");
	put_time(&b);
	buf_char(&b, '}');
	return answer(c, &b);
}

static enum status
clear(struct call *c)
{
	enum status told;
	uint64_t id;
	struct buf b;

	if (control_is_dry(c))
		return control_clear_preview(c);
	if (!control_may_act(c))
		return FORBIDDEN;
	warm_note(c->app->warm);
	told = control_tell(c, CAUSE_clear, span_of(TAG_ALL), &id);
	if (!cache_clear(c->app->cache, told == OK ? id : 0)) {
		respond_problem(c->rq, UNAVAILABLE,
		    "Memory is cleared; Redis has not confirmed in time, and what it holds will not be used.");
		return UNAVAILABLE;
	}
	if (told != OK) {
		respond_problem(c->rq, UNAVAILABLE,
		    "This instance and Redis are cleared; the database could not be reached to tell the others.");
		return UNAVAILABLE;
	}
	warm_want(c->app->warm, "clear");
	buf_init(&b, 256);
	buf_text(&b, "{\"success\":true,\"action\":\"clear\",\"message\":\"Cache cleared\",");
	put_time(&b);
	buf_char(&b, '}');
	return answer(c, &b);
}

enum status
test_cache(struct call *c)
{
	static const struct {
		const char *name;
		enum status (*run)(struct call *c);
	} actions[] = {
		{ "stats", stats },
		{ "clear", clear },
		{ "overview", control_overview },
		{ "keys", control_keys },
		{ "get", control_get },
		{ "invalidate", control_invalidate },
		{ "warm", control_warm },
	};
	struct span dry = c->params[CONTROL_DRY_RUN];

	/* Who says "true" must not be taken to mean it. */
	if (dry.len && !span_is(dry, "0") && !span_is(dry, "1"))
		return control_refuse(c, "dryRun is 0 or 1.");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (span_is(c->params[CONTROL_ACTION], actions[i].name))
			return actions[i].run(c);
	}
	return control_refuse(c, "Invalid action");
}
