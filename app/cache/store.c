#include "cache/store.h"

#include "base/clock.h"

int64_t
store_life(struct cache *c, int policy, bool absent)
{
	int64_t ms = atomic_load(&c->ttl_ms[absent ? ABSENCE : c->config.policies[policy].ttl]);

	return absent ? ms : ms * cache_stretch(c, policy) / 100;
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

/* With a life that was made longer it may end in Redis first. */
static struct remote_value
value_of(const struct entry *e)
{
	int64_t life_ms = e->expires_ms - e->made_ms;

	return (struct remote_value){
		.body = entry_body(e),
		.gzip = e->gzip,
		.etag = entry_etag(e),
		.slots = e->slots,
		.slot_count = e->slot_count,
		.ttl_ms = life_ms < REMOTE_TTL_MAX_MS ? life_ms : REMOTE_TTL_MAX_MS,
	};
}

static bool
is_listed(const struct cache *c, const struct flight *f)
{
	return !c->config.policies[f->policy].internal;
}

/* All of it, or the rest of what was sent. */
bool
store_end(struct cache *c, const struct flight *f, struct haul *h)
{
	struct remote_value v = value_of(h->entry);
	enum remote_put_result put =
	    remote_put_end(c->config.remote, f->key, &h->token, &v, is_listed(c, f), &h->sent);

	if (put == REMOTE_REFUSED)
		CACHE_COUNT(c, f->policy, redis_refused);
	else if (put == REMOTE_STORED)
		CACHE_COUNT(c, f->policy, redis_stored);
	else
		CACHE_COUNT(c, f->policy, redis_errors);
	return put == REMOTE_STORED;
}

/* In Redis too; an absence is cheap to find out again.  What Redis then calls
 * good is so for all who are there now. */
static void
store_strictly(struct cache *c, struct flight *f, struct haul *h)
{
	struct entry *e = h->entry;
	int64_t began = clock_us();
	uint32_t step = flight_step(c->flights, f);
	bool good;

	if (!e->absent && quota_allows(c, f->policy))
		good = store_end(c, f, h);
	else
		good = remote_check(c->config.remote, &h->token, e->slots, e->slot_count) ==
		    REMOTE_HIT;
	if (good)
		h->verified = step;
	h->redis_us += clock_us() - began;
}

/* A raise meanwhile is no harm: Redis looks at the numbers when it stores. */
static void
begin_put(struct cache *c, const struct flight *f, struct haul *h)
{
	struct remote_value v = value_of(h->entry);

	if (h->entry->absent || !quota_allows(c, f->policy))
		return;
	h->storing = true;
	(void)remote_put_send(c->config.remote, f->key, &h->token, &v, is_listed(c, f), &h->sent);
}

void
store_haul(struct cache *c, struct flight *f, struct haul *h)
{
	struct entry *e = h->entry;

	if (e->slot_count == 0 || h->kept)
		return; /* too many tags to be kept; or it is there */
	if (h->how == HOW_NOT_STORED && h->token.valid && c->config.strict)
		store_strictly(c, f, h);
	else if (h->how == HOW_NOT_STORED && h->token.valid)
		begin_put(c, f, h);
	if (!memory_put(c->memory, e)) {
		if (memory_fits(c->memory, e))
			CACHE_COUNT(c, f->policy, refused);
		else
			CACHE_COUNT(c, f->policy, oversized);
		return;
	}
	CACHE_COUNT(c, f->policy, stored);
	if (c->shadow)
		shadow_stored(c->shadow, e, (uint32_t)store_life(c, f->policy, e->absent),
		    c->config.now_ms());
	if (h->how == HOW_NOT_STORED)
		h->how = HOW_LOADED;
}
