/*
 * The one place where the rule of design section 4 is applied from end to end,
 * together with fly.c (the flight) and raise.c (what others change):
 *
 *   - the number is read before the load begins (fly.c),
 *   - an entry is stored only if none of its tags was raised since, and
 *     given only while that holds (memory.c),
 *   - a raise goes to Redis first and to memory second (raise.c),
 *   - who asked after a raise is never answered from a load that began
 *     before it (fly.c),
 *   - nothing is given as fresh when too long nothing was heard of what
 *     others change.
 *
 * No lock on the way of a request: memory, flights and remote have theirs.
 */
#include "cache/cache.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "cache/inner.h"

#define SHARDS 16
#define DEFAULT_TTL_MS 300000
#define REFRESH_EVERY_MS 1000

/* The models may use what the entries may, not their table. */
static bool
add_shadow(struct cache *c)
{
	struct memory_stats m;

	if (c->config.shadow_objects == 0)
		return true;
	memory_read_stats(c->memory, &m);
	c->shadow = shadow_new(m.cap_bytes - m.table_bytes, c->config.shadow_objects, c->tags);
	return c->shadow != NULL;
}

struct cache *
cache_new(const struct cache_config *config)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c || config->policy_count > CACHE_MAX_POLICIES ||
	    (config->strict && !config->remote)) {
		free(c);
		return NULL;
	}
	c->config = *config;
	c->cells = metrics_reserve((unsigned)config->policy_count * POLICY_CELLS);
	c->causes = metrics_reserve(CACHE_CAUSE_COUNT);
	pthread_mutex_init(&c->lock, NULL);
	c->tags = calloc(1, sizeof(*c->tags));
	c->flights = flights_new();
	if (c->tags)
		c->memory = memory_new(config->memory_bytes, SHARDS, c->tags);
	for (int i = 0; i < TTL_CLASSES; i++)
		atomic_store(&c->ttl_ms[i], DEFAULT_TTL_MS);
	if (c->memory && c->flights && add_shadow(c))
		return c;
	cache_free(c);
	return NULL;
}

void
cache_free(struct cache *c)
{
	if (!c)
		return;
	shadow_free(c->shadow);
	memory_free(c->memory);
	flights_free(c->flights);
	metrics_release(c->cells, (unsigned)c->config.policy_count * POLICY_CELLS);
	metrics_release(c->causes, CACHE_CAUSE_COUNT);
	pthread_mutex_destroy(&c->lock);
	free(c->tags);
	free(c);
}

int64_t
cache_ttl(struct cache *c, enum ttl_class ttl)
{
	return atomic_load(&c->ttl_ms[ttl]);
}

unsigned
cache_stretch(struct cache *c, int policy)
{
	unsigned percent = atomic_load_explicit(&c->stretch[policy], memory_order_relaxed);

	return percent ? percent : 100;
}

void
cache_set_stretch(struct cache *c, int policy, unsigned percent)
{
	atomic_store_explicit(&c->stretch[policy], percent, memory_order_relaxed);
}

void
cache_set_ttl(struct cache *c, enum ttl_class ttl, int64_t ms)
{
	atomic_store(&c->ttl_ms[ttl], ms);
}

void
cache_set_keep(struct cache *c, int64_t grace_ms, int64_t stale_ms)
{
	atomic_store(&c->grace_ms, grace_ms);
	atomic_store(&c->stale_ms, stale_ms > grace_ms ? stale_ms : grace_ms);
}

bool
cache_is_strict(const struct cache *c)
{
	return c->config.strict;
}

/* ---- what may be given ---- */

static bool
trusts_at(struct cache *c, int64_t now)
{
	return c->config.heard_ms == 0 ||
	    rule_trusted(atomic_load(&c->heard_at_ms), now, c->config.heard_ms);
}

bool
cache_trusts(struct cache *c)
{
	return trusts_at(c, c->config.now_ms());
}

static enum serve
judge_at(struct cache *c, const struct entry *e, int64_t now)
{
	struct rule_life life = {
		.made_ms = e->made_ms,
		.expires_ms = e->expires_ms,
		.grace_ms = e->absent ? 0 : atomic_load(&c->grace_ms),
		.stale_ms = atomic_load(&c->stale_ms),
	};

	return rule_serve(&life, now, trusts_at(c, now), atomic_load(&c->down));
}

struct entry *
cache_peek(struct cache *c, struct span key)
{
	return memory_get(c->memory, key, c->config.now_ms());
}

/* ---- asking ---- */

/* One that may be given as it is, from memory alone.  While nothing is heard,
 * Redis may know better: that is for the flight to ask. */
static struct entry *
peek_good(void *ctx, struct span key)
{
	struct cache *c = ctx;
	struct entry *e = c->config.strict ? NULL : cache_peek(c, key);
	enum serve serve = e ? judge_at(c, e, c->config.now_ms()) : SERVE_NO;

	if (serve == SERVE_NO || (serve == SERVE_STALE && c->config.remote)) {
		entry_release(e);
		return NULL;
	}
	return e;
}

/* At most one at a time for each entry, and not again at once if it fails. */
static void
refresh(struct cache *c, const struct question *q, struct entry *e)
{
	uint32_t now = (uint32_t)(c->config.now_ms() - e->made_ms);
	uint32_t again = atomic_load(&e->refresh);
	struct flight *made;

	if (now < again ||
	    !atomic_compare_exchange_strong(&e->refresh, &again, now + REFRESH_EVERY_MS))
		return;
	if (flight_join_unseen(c->flights, q, &made) != FLIGHT_MADE)
		return;
	made->refresh = true;
	CACHE_COUNT(c, q->policy, refreshes);
	flight_launch(c, made);
}

static enum cache_answer
give_hit(struct cache *c, const struct question *q, struct entry *e, enum cache_how *how)
{
	*how = HOW_MEMORY;
	if (q->ahead)
		return ASK_HIT;
	entry_count_read(e);
	CACHE_COUNT(c, q->policy, memory_hits);
	if (c->shadow)
		shadow_hit(c->shadow, e, c->config.now_ms());
	if (e->absent)
		CACHE_COUNT(c, q->policy, absent_hits);
	switch (judge_at(c, e, c->config.now_ms())) {
	case SERVE_REFRESH:
		refresh(c, q, e);
		break;
	case SERVE_GRACE:
		*how = HOW_GRACE;
		CACHE_COUNT(c, q->policy, grace);
		refresh(c, q, e);
		break;
	case SERVE_STALE:
		*how = HOW_STALE;
		CACHE_COUNT(c, q->policy, stale);
		break;
	case SERVE_FRESH:
	case SERVE_NO: /* it was good a moment ago */
		break;
	}
	return ASK_HIT;
}

struct entry *
cache_hit(struct cache *c, int policy, struct span key, int64_t now)
{
	struct entry *e = c->config.strict ? NULL : memory_get(c->memory, key, now);

	if (!e)
		return NULL;
	if (judge_at(c, e, now) != SERVE_FRESH) {
		entry_release(e);
		return NULL;
	}
	entry_count_read(e);
	CACHE_COUNT(c, policy, memory_hits);
	if (c->shadow)
		shadow_hit(c->shadow, e, now);
	if (e->absent)
		CACHE_COUNT(c, policy, absent_hits);
	return e;
}

static void
count_forwarded(struct cache *c, const struct question *q)
{
	if (q->ahead)
		return;
	CACHE_COUNT(c, q->policy, forwarded);
	if (c->shadow)
		shadow_miss(c->shadow, hash_table(q->key), c->config.now_ms());
}

enum cache_answer
cache_ask(struct cache *c, const struct question *q, struct waiter *w, struct entry **hit,
    enum cache_how *how)
{
	struct landing no_memory = { .status = BUSY };
	struct flight *made;

	*how = HOW_NONE;
	*hit = peek_good(c, q->key);
	if (*hit)
		return give_hit(c, q, *hit, how);
	w->began = tags_now(c->tags);
	switch (flight_join(c->flights, q, w, peek_good, c, &made, hit)) {
	case FLIGHT_HIT:
		return give_hit(c, q, *hit, how);
	case FLIGHT_JOINED:
		count_forwarded(c, q);
		return ASK_WAIT;
	case FLIGHT_NO_MEMORY:
		w->landed(w, &no_memory);
		return ASK_WAIT;
	case FLIGHT_MADE:
		break;
	}
	count_forwarded(c, q);
	flight_launch(c, made);
	return ASK_WAIT;
}

/* ---- statistics ---- */

void
cache_read_counters(struct cache *c, struct cache_counters *out)
{
	for (int i = 0; i < c->config.policy_count; i++) {
#define X(name, ...) out[i].name = metrics_sum(cache_cells(c, i) + COUNT_##name);
		CACHE_COUNTERS(X)
#undef X
	}
}

void
cache_read_times(
    struct cache *c, int policy, struct metrics_histogram *redis, struct metrics_histogram *load)
{
	metrics_add_histogram(cache_cells(c, policy) + TIME_REDIS, redis);
	metrics_add_histogram(cache_cells(c, policy) + TIME_LOAD, load);
}

/* In strict mode every use is forwarded, and may then be a hit of memory. */
void
cache_run_shadow(struct cache *c)
{
	uint64_t hits = 0;
	uint64_t uses = 0;

	if (!c->shadow)
		return;
	for (int i = 0; i < c->config.policy_count; i++) {
		hits += metrics_sum(cache_cells(c, i) + COUNT_memory_hits);
		uses += metrics_sum(cache_cells(c, i) + COUNT_forwarded);
	}
	shadow_run(c->shadow, c->config.strict ? uses : uses + hits, hits);
}

bool
cache_read_shadow(struct cache *c, struct shadow_result *out)
{
	if (c->shadow)
		shadow_read(c->shadow, out);
	return c->shadow != NULL;
}

size_t
cache_flights(struct cache *c)
{
	return flights_count(c->flights);
}

uint64_t
cache_raises(struct cache *c)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < CACHE_CAUSE_COUNT; i++)
		all += metrics_sum(c->causes + i);
	return all;
}

uint64_t
cache_raises_by(struct cache *c, enum cache_cause cause)
{
	return metrics_sum(c->causes + cause);
}

struct memory *
cache_memory(struct cache *c)
{
	return c->memory;
}

struct remote *
cache_remote(struct cache *c)
{
	return c->config.remote;
}

const struct cache_policy *
cache_policies(struct cache *c, int *count)
{
	*count = c->config.policy_count;
	return c->config.policies;
}
