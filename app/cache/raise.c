/*
 * What is not good any more, and who says so: a write of ours, somebody else's
 * that was heard of, an operator, or nobody, when changes were missed.  In Redis
 * first and in memory second.  No lock of its own but the bookmark's.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "cache/inner.h"

/* More slots than this in one raise are everything. */
#define RAISE_SLOTS 4096
#define PENDING_AT_ONCE 16
#define RECALL_TRIES 3 /* without it everything in Redis is thrown away */
/* Of a line in the log. */
#define SAID_TAGS 50
#define SAID_BYTES 4096

/* ---- raising ---- */

static int
by_number(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* The distinct slots of TAGS, into SLOTS; one for everything if they are too
 * many.  *clears: everything is among them. */
static size_t
slots_of(const struct span *tags, size_t count, uint16_t slots[RAISE_SLOTS], bool *clears)
{
	size_t kept = 0;

	*clears = count > RAISE_SLOTS;
	if (*clears) {
		slots[0] = tag_slot(span_of(TAG_ALL));
		return 1;
	}
	for (size_t i = 0; i < count; i++) {
		slots[i] = tag_slot(tags[i]);
		*clears |= span_is(tags[i], TAG_ALL);
	}
	qsort(slots, count, sizeof(slots[0]), by_number);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || slots[kept - 1] != slots[i])
			slots[kept++] = slots[i];
	}
	return kept;
}

static bool
raise_remote(struct cache *c, uint64_t id, const uint16_t *slots, size_t count)
{
	bool confirmed = true;

	if (count > TAG_MAX)
		id = 0; /* in several calls: none of them is all of it */
	for (size_t i = 0; c->config.remote && i < count; i += TAG_MAX) {
		size_t some = count - i < TAG_MAX ? count - i : TAG_MAX;

		confirmed &= remote_raise(c->config.remote, id, slots + i, some);
	}
	return confirmed;
}

static _Atomic uint64_t *
place_of(struct cache *c, uint64_t id)
{
	return &c->raised_ids[id % RAISED_IDS];
}

/* ---- whose doing it was ---- */

#define CAUSES_SHIFT 3 /* of an id in cause_ids */

_Static_assert(CACHE_CAUSE_COUNT <= 1 << CAUSES_SHIFT, "a cause fits behind an id");

void
cache_expect(struct cache *c, enum cache_cause cause, uint64_t id)
{
	if (id)
		atomic_store(&c->cause_ids[id % RAISED_IDS], id << CAUSES_SHIFT | cause);
}

static enum cache_cause
cause_of(struct cache *c, enum cache_cause cause, uint64_t id)
{
	uint64_t expected = atomic_load(&c->cause_ids[id % RAISED_IDS]);

	return id && expected >> CAUSES_SHIFT == id
	    ? (enum cache_cause)(expected & ((1 << CAUSES_SHIFT) - 1))
	    : cause;
}

static void
say_cause(enum cache_cause cause, uint64_t id, const struct span *tags, size_t count)
{
	static const char *const words[] = {
#define X(name) #name,
		CACHE_CAUSES(X)
#undef X
	};
	struct buf text;

	buf_init(&text, SAID_BYTES);
	for (size_t i = 0; i < count && i < SAID_TAGS; i++) {
		buf_text(&text, i ? " " : "");
		buf_span_add(&text, tags[i]);
	}
	if (count > SAID_TAGS)
		buf_text(&text, " ...");
	log_event(LOG_DEBUG, "invalidation", "by %s, transaction %llu, %zu tags: %.*s",
	    words[cause], (unsigned long long)id, count, SPAN_ARG(buf_span(&text)));
	buf_free(&text);
}

/* Once for each transaction, whoever raises it first: who wrote, or who heard
 * of it. */
static void
count_cause(
    struct cache *c, enum cache_cause cause, uint64_t id, const struct span *tags, size_t count)
{
	if (id && atomic_exchange(&c->counted_ids[id % RAISED_IDS], id) == id)
		return;
	cause = cause_of(c, cause, id);
	metrics_add(c->causes + cause, 1);
	if (log_wants(LOG_DEBUG))
		say_cause(cause, id, tags, count);
}

/* ---- raising, in both levels ---- */

bool
cache_raise(struct cache *c, uint64_t id, const struct span *tags, size_t count)
{
	return cache_raise_for(c, CAUSE_route, id, tags, count);
}

/* In Redis first and in memory second; whether Redis confirmed. */
static bool
raise_both(struct cache *c, uint64_t id, const struct span *tags, size_t count)
{
	uint16_t slots[RAISE_SLOTS];
	bool clears;
	size_t n = slots_of(tags, count, slots, &clears);
	bool confirmed = raise_remote(c, id, slots, n);

	tags_raise(c->tags, slots, n);
	if (clears)
		memory_clear(c->memory);
	return confirmed;
}

static bool
is_raised(struct cache *c, uint64_t id)
{
	return id && atomic_load(place_of(c, id)) == id;
}

bool
cache_raise_for(
    struct cache *c, enum cache_cause cause, uint64_t id, const struct span *tags, size_t count)
{
	bool confirmed;

	if (count == 0 || is_raised(c, id))
		return true;
	confirmed = raise_both(c, id, tags, count);
	count_cause(c, cause, id, tags, count);
	if (id && confirmed)
		atomic_store(place_of(c, id), id);
	return confirmed;
}

void
cache_raise_many(struct cache *c, enum cache_cause cause, const struct span *tags, size_t count)
{
	if (count == 0)
		return;
	(void)raise_both(c, 0, tags, count);
	if (log_wants(LOG_DEBUG))
		say_cause(cause, 0, tags, count);
}

void
cache_count_raise(struct cache *c, enum cache_cause cause, uint64_t id)
{
	if (!is_raised(c, id))
		count_cause(c, cause, id, NULL, 0);
}

bool
cache_pend(struct cache *c, uint64_t id, const struct span *tags, size_t count)
{
	uint16_t slots[RAISE_SLOTS];
	bool clears;
	size_t n;

	if (count == 0)
		return true;
	n = slots_of(tags, count, slots, &clears);
	if (n > TAG_MAX) {
		slots[0] = tag_slot(span_of(TAG_ALL));
		n = 1;
	}
	return remote_pend(c->config.remote, id, slots, n);
}

static void
clear_memory(struct cache *c)
{
	uint16_t all = tag_slot(span_of(TAG_ALL));

	tags_raise(c->tags, &all, 1);
	memory_clear(c->memory);
}

bool
cache_clear(struct cache *c, uint64_t id)
{
	struct span all = span_of(TAG_ALL);
	bool confirmed = !c->config.remote || remote_clear(c->config.remote);

	clear_memory(c);
	count_cause(c, CAUSE_clear, id, &all, 1);
	if (id && confirmed)
		atomic_store(place_of(c, id), id);
	return confirmed;
}

/* ---- who listens ---- */

void
cache_recall(struct cache *c, char text[REMOTE_BOOKMARK_BYTES])
{
	bool answered = false;

	text[0] = '\0';
	for (int i = 0; c->config.remote && i < RECALL_TRIES && !answered; i++)
		answered = remote_recall(c->config.remote, text);
	atomic_store(&c->recalled, text[0] != '\0');
}

void
cache_heard(struct cache *c, int64_t at_ms, const char *text)
{
	pthread_mutex_lock(&c->lock);
	if (strlen(text) < sizeof(c->bookmark))
		memcpy(c->bookmark, text, strlen(text) + 1);
	pthread_mutex_unlock(&c->lock);
	atomic_store(&c->heard_at_ms, at_ms);
}

void
cache_lost(struct cache *c)
{
	if (c->config.remote)
		remote_distrust(c->config.remote);
	clear_memory(c);
	/* Before anything was ever heard, there was nothing to be missed. */
	if (atomic_load(&c->heard_at_ms) || atomic_load(&c->recalled))
		atomic_fetch_add(&c->lost, 1);
}

void
cache_down(struct cache *c, bool down)
{
	atomic_store(&c->down, down);
}

/* For the next who starts; each time, because Redis may have forgotten it. */
static void
note_place(struct cache *c)
{
	char text[REMOTE_BOOKMARK_BYTES];

	pthread_mutex_lock(&c->lock);
	memcpy(text, c->bookmark, sizeof(text));
	pthread_mutex_unlock(&c->lock);
	if (*text)
		remote_note(c->config.remote, text);
}

/* In memory as well: the raise of who died may never come by another way. */
static void
end_pending(struct cache *c, const struct remote_pending *p)
{
	log_event(LOG_INFO, "pending", "raised for a transaction that was left behind");
	(void)remote_raise(c->config.remote, p->id, p->slots, p->slot_count);
	tags_raise(c->tags, p->slots, p->slot_count);
}

void
cache_settle(struct cache *c, int64_t age_ms, bool (*runs)(void *ctx, uint64_t id), void *ctx)
{
	struct remote_pending found[PENDING_AT_ONCE];
	size_t count;

	if (!c->config.remote)
		return;
	remote_settle(c->config.remote);
	note_place(c);
	if (!c->config.strict)
		return;
	count = remote_pending(c->config.remote, found, PENDING_AT_ONCE);
	for (size_t i = 0; i < count; i++) {
		if (found[i].age_ms > age_ms && !runs(ctx, found[i].id))
			end_pending(c, &found[i]);
	}
}

void
cache_read_state(struct cache *c, struct cache_state *out)
{
	int64_t at = atomic_load(&c->heard_at_ms);

	out->trusted = cache_trusts(c);
	out->down = atomic_load(&c->down);
	out->silent_ms = at ? c->config.now_ms() - at : -1;
	out->lost = atomic_load(&c->lost);
	pthread_mutex_lock(&c->lock);
	memcpy(out->bookmark, c->bookmark, sizeof(out->bookmark));
	pthread_mutex_unlock(&c->lock);
}
