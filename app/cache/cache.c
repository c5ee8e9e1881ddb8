/*
 * The one place where the rule of design section 4 is applied end to end:
 *
 *   - the number is read before the load begins (land_flight's LOADED),
 *   - an entry is stored only if none of its tags was raised since, and
 *     given only while that holds (memory.c),
 *   - a raise goes to Redis first and to memory second,
 *   - who asked after a raise is never answered from a load that began
 *     before it (may_have).
 *
 * No lock of its own: memory, flights and remote have theirs.
 */
#include "cache/cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "cache/flight.h"
#include "cache/pack.h"

#define SHARDS 16
#define ETAG_BYTES (HASH_HEX_BYTES + 4)

struct counters {
	_Atomic uint64_t memory_hits, redis_hits, loads, collapsed, not_found, failures, stored,
	    refused, busy;
} __attribute__((aligned(64)));

/* How many keys a life time may still bring into Redis. */
struct quota {
	_Atomic int64_t since_ms;
	_Atomic int64_t used;
};

struct cache {
	struct cache_config config;
	struct tag_table *tags;
	struct memory *memory;
	struct flights *flights;
	_Atomic int64_t ttl_ms[TTL_CLASSES];
	_Atomic uint64_t raises;
	struct quota quota;
	struct counters counters[CACHE_MAX_POLICIES];
};

/* What one flight brought home. */
struct haul {
	struct landing landing;
	uint64_t loaded;
	struct remote_token token;
};

#define COUNT(c, policy, what) \
	atomic_fetch_add_explicit(&(c)->counters[policy].what, 1, memory_order_relaxed)

struct cache *
cache_new(const struct cache_config *config)
{
	struct cache *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);

	if (!c || config->policy_count > CACHE_MAX_POLICIES) {
		free(c);
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->config = *config;
	c->tags = calloc(1, sizeof(*c->tags));
	c->flights = flights_new();
	if (c->tags)
		c->memory = memory_new(config->memory_bytes, SHARDS, c->tags);
	for (int i = 0; i < TTL_CLASSES; i++)
		atomic_store(&c->ttl_ms[i], 300000);
	if (c->memory && c->flights)
		return c;
	cache_free(c);
	return NULL;
}

void
cache_free(struct cache *c)
{
	if (!c)
		return;
	memory_free(c->memory);
	flights_free(c->flights);
	free(c->tags);
	free(c);
}

void
cache_set_ttl(struct cache *c, enum ttl_class ttl, int64_t ms)
{
	atomic_store(&c->ttl_ms[ttl], ms);
}

/* Up to a tenth shorter, so that keys made together do not end together. */
static int64_t
ttl_of(struct cache *c, int policy)
{
	int64_t ms = atomic_load(&c->ttl_ms[c->config.policies[policy].ttl]);

	return ms - (int64_t)random_below((uint32_t)(ms / 10 + 1));
}

/* ---- asking ---- */

static struct entry *
peek(void *ctx, struct span key)
{
	struct cache *c = ctx;

	return memory_get(c->memory, key, c->config.now_ms());
}

static void run_flight(struct job *job);

static void
give(struct waiter *w, const struct landing *landing)
{
	if (landing->entry)
		entry_hold(landing->entry);
	w->landed(w, landing);
}

static void
give_all(struct waiter *w, const struct landing *landing)
{
	while (w) {
		struct waiter *next = w->next;

		give(w, landing);
		w = next;
	}
}

static void
refuse(struct cache *c, struct flight *f)
{
	struct landing busy = { .status = BUSY };

	COUNT(c, f->policy, busy);
	give_all(flight_land(c->flights, f), &busy);
	flight_free(f);
}

enum cache_answer
cache_ask(struct cache *c, const struct question *q, struct waiter *w, struct entry **hit)
{
	struct landing no_memory = { .status = BUSY };
	struct flight *made;

	*hit = peek(c, q->key);
	if (*hit) {
		COUNT(c, q->policy, memory_hits);
		return ASK_HIT;
	}
	w->began = tags_now(c->tags);
	switch (flight_join(c->flights, q, w, peek, c, &made, hit)) {
	case FLIGHT_HIT:
		COUNT(c, q->policy, memory_hits);
		return ASK_HIT;
	case FLIGHT_JOINED:
		return ASK_WAIT;
	case FLIGHT_NO_MEMORY:
		w->landed(w, &no_memory);
		return ASK_WAIT;
	case FLIGHT_MADE:
		break;
	}
	made->cache = c;
	made->job.run = run_flight;
	if (!workers_submit(c->config.workers, &made->job))
		refuse(c, made);
	return ASK_WAIT;
}

/* ---- the flight, on a worker ---- */

static struct entry *
entry_from_remote(
    struct cache *c, const struct flight *f, const struct remote_value *v, uint64_t loaded)
{
	int64_t now = c->config.now_ms();
	struct entry_parts parts = {
		.key = f->key,
		.etag = v->etag,
		.body = v->body,
		.gzip = v->gzip,
		.slots = v->slots,
		.slot_count = v->slot_count,
		.policy = (uint8_t)f->policy,
		.loaded = loaded,
		.made_ms = now,
		.expires_ms = now + v->ttl_ms,
	};

	return entry_make(&parts);
}

static void
fetch_remote(struct cache *c, const struct flight *f, struct haul *h)
{
	struct remote_value value = { 0 };
	int64_t began = clock_us();

	if (remote_get(c->config.remote, f->key, &h->token, &value) == REMOTE_HIT) {
		h->landing.entry = entry_from_remote(c, f, &value, h->loaded);
		if (h->landing.entry) {
			h->landing.how = HOW_REDIS;
			COUNT(c, f->policy, redis_hits);
		}
		remote_value_free(&value);
	}
	h->landing.redis_us += clock_us() - began;
}

static struct entry *
entry_from_load(struct cache *c, const struct flight *f, const struct loaded *l, uint64_t loaded)
{
	char etag[ETAG_BYTES];
	char digest[HASH_HEX_BYTES];
	uint16_t slots[TAG_MAX];
	int64_t now = c->config.now_ms();
	size_t packed_len = 0;
	char *packed = pack_gzip(l->body, &packed_len);
	struct entry_parts parts;
	struct entry *e;

	hash_hex(l->body, digest);
	snprintf(etag, sizeof(etag), "W/\"%s\"", digest);
	parts = (struct entry_parts){
		.key = f->key,
		.etag = span_of(etag),
		.body = packed ? span_make(packed, packed_len) : l->body,
		.gzip = packed != NULL,
		.slots = slots,
		.slot_count = tag_slots(l->tags, l->tag_count, slots),
		.policy = (uint8_t)f->policy,
		.loaded = loaded,
		.made_ms = now,
		.expires_ms = now + ttl_of(c, f->policy),
	};
	e = entry_make(&parts);
	free(packed);
	return e;
}

static void
load(struct cache *c, const struct flight *f, struct haul *h)
{
	struct loaded loaded = { 0 };
	int64_t began = clock_us();

	COUNT(c, f->policy, loads);
	h->landing.how = HOW_NOT_STORED;
	h->landing.status = f->load(c->config.load_ctx, f->args, &loaded);
	h->landing.load_us = clock_us() - began;
	if (h->landing.status == OK) {
		h->landing.entry = entry_from_load(c, f, &loaded, h->loaded);
		if (!h->landing.entry)
			h->landing.status = BUSY;
	}
	if (loaded.release)
		loaded.release(loaded.hold);
	if (h->landing.status == NOT_FOUND)
		COUNT(c, f->policy, not_found);
	else if (h->landing.status != OK)
		COUNT(c, f->policy, failures);
}

/* What anyone without a session can make up must not fill Redis. */
static bool
quota_allows(struct cache *c, int policy)
{
	int64_t now = c->config.now_ms();
	int64_t since = atomic_load(&c->quota.since_ms);
	int64_t life = atomic_load(&c->ttl_ms[c->config.policies[policy].ttl]);

	if (!c->config.policies[policy].anonymous)
		return true;
	if (since == 0 || now - since >= life) {
		if (atomic_compare_exchange_strong(&c->quota.since_ms, &since, now))
			atomic_store(&c->quota.used, 0);
	}
	return atomic_fetch_add(&c->quota.used, 1) < (int64_t)c->config.anonymous_keys;
}

static void
store_remote(struct cache *c, const struct flight *f, struct haul *h)
{
	struct entry *e = h->landing.entry;
	struct remote_value v = {
		.body = entry_body(e),
		.gzip = e->gzip,
		.etag = entry_etag(e),
		.slots = e->slots,
		.slot_count = e->slot_count,
		.ttl_ms = e->expires_ms - e->made_ms,
	};
	int64_t began = clock_us();

	if (!h->token.valid || !quota_allows(c, f->policy))
		return;
	if (remote_put(c->config.remote, f->key, &h->token, &v,
		!c->config.policies[f->policy].internal) == REMOTE_REFUSED)
		COUNT(c, f->policy, refused);
	h->landing.redis_us += clock_us() - began;
}

static void
store(struct cache *c, const struct flight *f, struct haul *h)
{
	struct entry *e = h->landing.entry;

	if (e->slot_count == 0)
		return; /* too many tags to be kept */
	if (h->landing.how != HOW_REDIS && c->config.remote)
		store_remote(c, f, h);
	if (!memory_put(c->memory, e)) {
		COUNT(c, f->policy, refused);
		return;
	}
	COUNT(c, f->policy, stored);
	if (h->landing.how == HOW_NOT_STORED)
		h->landing.how = HOW_LOADED;
}

/*
 * May W have what a load brought that began at number LOADED?  Yes if nothing
 * was raised between that and its question, or if nothing the entry depends on
 * was raised since.  GOOD was found out after the flight left the table, so it
 * holds for everyone on the list.  A failure or an absence depends on nothing
 * known, so only the first way counts for an absence.
 */
static bool
may_have(const struct waiter *w, const struct haul *h, bool good)
{
	if (w->began <= h->loaded || good)
		return true;
	return h->landing.status != OK && h->landing.status != NOT_FOUND;
}

/* The last on the list made the flight; the others came along. */
static void
land(struct cache *c, struct flight *f, struct haul *h)
{
	struct waiter *w = flight_land(c->flights, f);
	struct entry *e = h->landing.entry;
	bool good = e && e->slot_count && tags_good(c->tags, e->slots, e->slot_count, h->loaded);
	struct landing along = { h->landing.status, e, HOW_COLLAPSED, 0, 0 };
	struct landing again = { .status = OK };

	while (w) {
		struct waiter *next = w->next;

		if (!may_have(w, h, good))
			give(w, &again);
		else if (next)
			give(w, &along);
		else
			give(w, &h->landing);
		if (next)
			COUNT(c, f->policy, collapsed);
		w = next;
	}
	entry_release(e);
}

static void
run_flight(struct job *job)
{
	struct flight *f = (struct flight *)job; /* its first member */
	struct cache *c = f->cache;
	struct haul h = { .loaded = tags_now(c->tags) };

	if (c->config.remote)
		fetch_remote(c, f, &h);
	if (!h.landing.entry)
		load(c, f, &h);
	if (h.landing.entry)
		store(c, f, &h);
	land(c, f, &h);
	flight_free(f);
}

/* ---- invalidation ---- */

static void
raise_slots(struct cache *c, const uint16_t *slots, size_t count)
{
	if (c->config.remote)
		(void)remote_raise(c->config.remote, slots, count);
	tags_raise(c->tags, slots, count);
	atomic_fetch_add(&c->raises, 1);
}

void
cache_raise(struct cache *c, const struct span *tags, size_t count)
{
	uint16_t slots[TAG_MAX];
	size_t n = 0;

	/* A write that touches more than one raise holds touches everything. */
	if (count > TAG_MAX) {
		slots[n++] = tag_slot(span_of(TAG_ALL));
		count = 0;
	}
	for (size_t i = 0; i < count; i++)
		slots[n++] = tag_slot(tags[i]);
	if (n)
		raise_slots(c, slots, n);
}

bool
cache_clear(struct cache *c)
{
	uint16_t all = tag_slot(span_of(TAG_ALL));
	bool confirmed = !c->config.remote || remote_clear(c->config.remote);

	tags_raise(c->tags, &all, 1);
	memory_clear(c->memory);
	return confirmed;
}

/* ---- statistics ---- */

void
cache_read_counters(struct cache *c, struct cache_counters *out)
{
	for (int i = 0; i < c->config.policy_count; i++) {
		struct counters *from = &c->counters[i];

		out[i] = (struct cache_counters){
			.memory_hits = atomic_load(&from->memory_hits),
			.redis_hits = atomic_load(&from->redis_hits),
			.loads = atomic_load(&from->loads),
			.collapsed = atomic_load(&from->collapsed),
			.not_found = atomic_load(&from->not_found),
			.failures = atomic_load(&from->failures),
			.stored = atomic_load(&from->stored),
			.refused = atomic_load(&from->refused),
			.busy = atomic_load(&from->busy),
		};
	}
}

uint64_t
cache_raises(struct cache *c)
{
	return atomic_load(&c->raises);
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
