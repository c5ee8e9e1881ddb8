/*
 * The flight, on a worker: Redis, then the loader, then store and land.  What
 * can be on its way while somebody else has to be woken is sent before: the
 * question to Redis by who makes the flight, while a worker wakes; the storing
 * in Redis just before the landing, and its answer is read after it.  Not in
 * strict mode, where Redis has the word on what may be given.
 *
 * What is found is shared with all who wait, as far as they may have it: see
 * land().  In strict mode that is who had joined before Redis was asked
 * whether it is good, or before its load began; the others ask again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "cache/inner.h"
#include "cache/pack.h"
#include "cache/store.h"

#define ETAG_BYTES (HASH_HEX_BYTES + 4)
/* A job that waited longer is not worth the work: with what it takes itself
 * (a connection, a statement) nginx would have given up. */
#define QUEUED_MAX_MS 5000

/* ---- giving ---- */

static void
give(struct waiter *w, const struct landing *landing)
{
	if (landing->entry)
		entry_hold(landing->entry);
	w->landed(w, landing);
}

static void
refuse(struct cache *c, struct flight *f)
{
	struct landing busy = { .status = BUSY };
	struct waiter *w = flight_land(c->flights, f);

	remote_drop(&f->asked);
	while (w) {
		struct waiter *next = w->next;

		CACHE_COUNT(c, f->policy, busy);
		give(w, &busy);
		w = next;
	}
	flight_free(f);
}

/* A failure is everybody's.  GOOD was found out after the flight left the
 * table, so it holds for everyone on the list. */
static bool
may_have(const struct cache *c, const struct waiter *w, const struct haul *h, bool good)
{
	if (h->status != OK && h->status != NOT_FOUND)
		return true;
	if (c->config.strict && !rule_was_there(w->joined, h->verified))
		return false;
	return rule_may_share(w->began, h->loaded, good);
}

/* Of those who get what somebody else's flight has brought: who has to ask again
 * is counted then, and a failure is no answer from the cache. */
static void
count_along(struct cache *c, const struct flight *f, const struct haul *h)
{
	if (h->status == OK || h->status == NOT_FOUND)
		CACHE_COUNT(c, f->policy, collapsed);
}

/* The last on the list made the flight, unless nobody waited for it: it was to
 * refresh.  The others came along. */
static void
land(struct cache *c, struct flight *f, struct haul *h)
{
	struct waiter *w = flight_land(c->flights, f);
	struct entry *e = h->entry;
	bool good = e && e->slot_count && tags_good(c->tags, e->slots, e->slot_count, h->loaded);
	struct entry *given = e && !e->absent ? e : NULL;
	struct landing first = { h->status, given, h->how, h->redis_us, h->load_us };
	struct landing along = { h->status, given, HOW_COLLAPSED, 0, 0 };
	struct landing again = { .status = OK };

	if (h->how == HOW_STALE)
		along.how = HOW_STALE;
	while (w) {
		struct waiter *next = w->next;

		if (!may_have(c, w, h, good)) {
			give(w, &again);
		} else if (next || f->refresh) {
			count_along(c, f, h);
			give(w, &along);
		} else {
			give(w, &first);
		}
		w = next;
	}
	entry_release(e);
}

/* ---- Redis ---- */

static struct entry *
entry_from_remote(
    struct cache *c, const struct flight *f, const struct remote_value *v, const struct haul *h)
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
		.loaded = h->loaded,
		.made_ms = now,
		.expires_ms = now + v->ttl_ms,
		.keep_ms = atomic_load(&c->stale_ms),
		.epoch = h->token.epoch,
		.number = v->number,
	};

	return entry_make(&parts);
}

/* How much of its life must be left?  A flight that is to refresh wants more
 * than what it has. */
static int64_t
least_ttl(struct cache *c, const struct flight *f)
{
	return f->refresh ? atomic_load(&c->ttl_ms[c->config.policies[f->policy].ttl]) / 5 : 1;
}

static void
fetch_remote(struct cache *c, struct flight *f, struct haul *h, int64_t least_ms)
{
	struct remote_value value = { 0 };
	bool open = remote_is_open(c->config.remote);
	int64_t began = clock_us();
	int64_t took;
	enum remote_result found;

	found = remote_get_end(c->config.remote, f->key, &f->asked, &h->token, &value);
	if (found == REMOTE_DOWN)
		CACHE_COUNT(c, f->policy, redis_errors);
	if (found == REMOTE_HIT) {
		if (value.ttl_ms >= least_ms)
			h->entry = entry_from_remote(c, f, &value, h);
		remote_value_free(&value);
	}
	took = clock_us() - began;
	h->redis_us += took;
	if (found != REMOTE_DOWN || !open) /* else it was not asked */
		metrics_time(cache_cells(c, f->policy) + TIME_REDIS, took);
	if (!h->entry)
		return;
	h->how = HOW_REDIS;
	if (!f->ahead && !f->refresh) /* it is somebody's answer */
		CACHE_COUNT(c, f->policy, redis_hits);
}

/* An entry of memory that Redis calls good.  DOUBTFUL: one that nobody can say
 * anything about will do as well. */
static void
check_memory(struct cache *c, const struct flight *f, struct haul *h, bool doubtful)
{
	struct entry *e = cache_peek(c, f->key);
	enum remote_result found = REMOTE_DOWN;
	struct remote_token token;
	int64_t began = clock_us();
	int64_t took;

	if (!e)
		return;
	token = (struct remote_token){ e->epoch != 0, e->epoch, e->number };
	if (c->config.remote) {
		found = remote_check(c->config.remote, &token, e->slots, e->slot_count);
		took = clock_us() - began;
		h->redis_us += took;
		metrics_time(cache_cells(c, f->policy) + TIME_REDIS, took);
	}
	if (found == REMOTE_HIT || (found == REMOTE_DOWN && doubtful)) {
		h->entry = e;
		h->kept = true;
		h->status = e->absent ? NOT_FOUND : OK;
	} else {
		entry_release(e);
	}
}

/* ---- the loader ---- */

/* Up to a tenth shorter, so that keys made together do not end together. */
static int64_t
ttl_of(struct cache *c, int policy, bool absent)
{
	int64_t ms = store_life(c, policy, absent);

	return ms - (int64_t)random_below((uint32_t)(ms / 10 + 1));
}

static struct entry *
entry_from_load(struct cache *c, const struct flight *f, const struct loaded *l, struct haul *h)
{
	bool absent = h->status == NOT_FOUND;
	char etag[ETAG_BYTES];
	char digest[HASH_HEX_BYTES];
	uint16_t slots[TAG_MAX];
	int64_t now = c->config.now_ms();
	size_t packed_len = 0;
	char *packed = absent ? NULL : pack_gzip(l->body, &packed_len);
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
		.loaded = h->loaded,
		.made_ms = now,
		.expires_ms = now + ttl_of(c, f->policy, absent),
		.keep_ms = absent ? 0 : atomic_load(&c->stale_ms),
		.absent = absent,
		.was_loaded = true,
		.epoch = h->token.valid ? h->token.epoch : 0,
		.number = h->token.sequence,
	};
	e = entry_make(&parts);
	free(packed);
	return e;
}

static void
load(struct cache *c, const struct flight *f, struct haul *h)
{
	struct loaded loaded = { .body = { "", 0 } };
	int64_t began = clock_us();

	if (f->ahead)
		CACHE_COUNT(c, f->policy, warmed);
	else
		CACHE_COUNT(c, f->policy, loads);
	h->how = HOW_NOT_STORED;
	h->status = f->load(c->config.load_ctx, f->args, &loaded);
	h->load_us = clock_us() - began;
	metrics_time(cache_cells(c, f->policy) + TIME_LOAD, h->load_us);
	if (h->status == OK || (h->status == NOT_FOUND && loaded.tag_count)) {
		h->entry = entry_from_load(c, f, &loaded, h);
		if (!h->entry && h->status == OK)
			h->status = BUSY;
	}
	if (loaded.release)
		loaded.release(loaded.hold);
	if (h->status == NOT_FOUND)
		CACHE_COUNT(c, f->policy, not_found);
	else if (h->status != OK)
		CACHE_COUNT(c, f->policy, failures);
}

/*
 * The source does not answer: what was never invalidated may be given, as
 * stale.  Redis is asked first, because others may have written; in strict
 * mode it must say so.
 */
static void
fall_back(struct cache *c, struct flight *f, struct haul *h)
{
	if (c->config.strict)
		h->verified = flight_step(c->flights, f);
	check_memory(c, f, h, !c->config.strict);
	if (!h->entry && c->config.remote)
		fetch_remote(c, f, h, 1);
	if (!h->entry)
		return;
	h->status = h->entry->absent ? NOT_FOUND : OK;
	h->how = HOW_STALE;
	CACHE_COUNT(c, f->policy, stale);
}

/* It failed, and what else there is is known to be good, or the source is down
 * for everybody. */
static bool
may_fall_back(struct cache *c, const struct haul *h)
{
	return (h->status == UNAVAILABLE || h->status == BUSY) &&
	    (cache_trusts(c) || atomic_load(&c->down));
}

/* ---- all of it ---- */

/* Strict: a hit is what Redis says is one. */
static void
look_up_memory(struct cache *c, const struct flight *f, struct haul *h)
{
	check_memory(c, f, h, false);
	if (h->entry && c->config.now_ms() >= h->entry->expires_ms) {
		entry_release(h->entry);
		h->entry = NULL;
		h->kept = false;
	}
	if (!h->entry)
		return;
	h->how = HOW_MEMORY;
	entry_count_read(h->entry);
	CACHE_COUNT(c, f->policy, memory_hits);
	if (h->entry->absent)
		CACHE_COUNT(c, f->policy, absent_hits);
}

/* What is there already, in either level, while that can be trusted. */
static void
look(struct cache *c, struct flight *f, struct haul *h)
{
	if (!c->config.remote || !cache_trusts(c))
		return;
	if (c->config.strict) {
		h->verified = flight_step(c->flights, f);
		look_up_memory(c, f, h);
	}
	if (!h->entry)
		fetch_remote(c, f, h, least_ttl(c, f));
}

static void
load_or_fall_back(struct cache *c, struct flight *f, struct haul *h)
{
	/* Known to be down: the listener finds out when it is back. */
	if (atomic_load(&c->down) && !cache_trusts(c))
		fall_back(c, f, h);
	if (h->entry)
		return;
	if (c->config.strict)
		h->verified = flight_step(c->flights, f);
	load(c, f, h);
	if (!h->entry && may_fall_back(c, h))
		fall_back(c, f, h);
}

/* Its own reference to what is stored behind the landing. */
static void
land_and_store(struct cache *c, struct flight *f, struct haul *h)
{
	if (h->storing)
		entry_hold(h->entry);
	land(c, f, h);
	if (!h->storing)
		return;
	(void)store_end(c, f, h);
	entry_release(h->entry);
}

static void
fly(struct job *job)
{
	struct flight *f = (struct flight *)job; /* its first member */
	struct cache *c = f->cache;
	struct haul h = { .loaded = f->asked.conn ? f->began : tags_now(c->tags) };

	if (clock_ms() - job->queued_ms > QUEUED_MAX_MS) {
		refuse(c, f);
		return;
	}
	look(c, f, &h);
	remote_drop(&f->asked); /* trust was lost meanwhile */
	if (!h.entry)
		load_or_fall_back(c, f, &h);
	if (h.entry)
		store_haul(c, f, &h);
	land_and_store(c, f, &h);
	flight_free(f);
}

/* Only if a worker takes the answer at once: a connection is held by it. */
static bool
may_ask_ahead(struct cache *c)
{
	return c->config.remote && !c->config.strict && cache_trusts(c) &&
	    workers_idle(c->config.workers);
}

void
flight_launch(struct cache *c, struct flight *f)
{
	f->cache = c;
	f->job.run = fly;
	if (may_ask_ahead(c)) {
		f->began = tags_now(c->tags);
		(void)remote_get_send(c->config.remote, f->key, &f->asked);
	}
	if (!workers_submit(c->config.workers, &f->job))
		refuse(c, f);
}
