/*
 * Looking at what memory holds, for statistics and for operators: nothing here
 * changes an entry or the order of eviction.
 */
#include "cache/memory_inner.h"

/* Entries and buckets that are seen while a shard's lock is held. */
#define PIECE 256

/* ---- sums ---- */

void
memory_read_stats(struct memory *m, struct memory_stats *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < m->shard_count; i++) {
		struct shard *s = &m->shards[i];

		pthread_rwlock_rdlock(&s->lock);
		out->entries += s->stats.entries;
		out->bytes += s->stats.bytes;
		out->cap_bytes += s->stats.cap_bytes;
		out->table_bytes += table_bytes(s);
		out->evictions += s->stats.evictions;
		out->expiries += s->stats.expiries;
		out->dropped += s->stats.dropped;
		pthread_rwlock_unlock(&s->lock);
	}
}

void
memory_read_use(struct memory *m, struct memory_use out[MEMORY_POLICIES])
{
	memset(out, 0, MEMORY_POLICIES * sizeof(out[0]));
	for (size_t i = 0; i < m->shard_count; i++) {
		struct shard *s = &m->shards[i];

		pthread_rwlock_rdlock(&s->lock);
		for (int j = 0; j < MEMORY_POLICIES; j++) {
#define X(name, ...) out[j].name += s->use[j].name;
			MEMORY_COUNTERS(X)
#undef X
		}
		pthread_rwlock_unlock(&s->lock);
	}
}

/* ---- every entry ---- */

struct walk {
	enum { LIVING, KEPT, ALL } which;
	int64_t now_ms;
	void (*see)(void *ctx, const struct entry *e);
	void *ctx;
};

static bool
is_seen(struct memory *m, const struct entry *e, const struct walk *w)
{
	if (w->which == ALL)
		return true;
	return w->now_ms < (w->which == KEPT ? e->gone_ms : e->expires_ms) && is_good(m, e);
}

/* What was the bucket AT when there were COUNT: the table only ever doubles, so
 * its entries are in every COUNTth bucket from there on.  How many were seen. */
static size_t
see_bucket(struct memory *m, struct shard *s, size_t at, size_t count, const struct walk *w)
{
	size_t seen = 0;

	for (; at < s->bucket_count; at += count) {
		for (struct entry *e = s->buckets[at]; e; e = e->chain) {
			seen++;
			if (is_seen(m, e, w))
				w->see(w->ctx, e);
		}
	}
	return seen;
}

/* By pieces: who wants to store waits for one, not for all of it, and so do the
 * hits behind him. */
static void
walk_shard(struct memory *m, struct shard *s, const struct walk *w)
{
	size_t at = 0;
	size_t count;

	pthread_rwlock_rdlock(&s->lock);
	count = s->bucket_count;
	pthread_rwlock_unlock(&s->lock);
	while (at < count) {
		size_t work = 0;

		pthread_rwlock_rdlock(&s->lock);
		for (; at < count && work < PIECE; at++)
			work += 1 + see_bucket(m, s, at, count, w);
		pthread_rwlock_unlock(&s->lock);
	}
}

static void
walk(struct memory *m, const struct walk *w)
{
	for (size_t i = 0; i < m->shard_count; i++)
		walk_shard(m, &m->shards[i], w);
}

void
memory_walk(
    struct memory *m, int64_t now_ms, void (*see)(void *ctx, const struct entry *e), void *ctx)
{
	walk(m, &(struct walk){ LIVING, now_ms, see, ctx });
}

void
memory_walk_kept(
    struct memory *m, int64_t now_ms, void (*see)(void *ctx, const struct entry *e), void *ctx)
{
	walk(m, &(struct walk){ KEPT, now_ms, see, ctx });
}

void
memory_walk_all(struct memory *m, void (*see)(void *ctx, const struct entry *e), void *ctx)
{
	walk(m, &(struct walk){ ALL, 0, see, ctx });
}

static void
set(_Atomic uint32_t *n, uint32_t value)
{
	atomic_store_explicit(n, value, memory_order_relaxed);
}

static void
age(void *ctx, const struct entry *entry)
{
	struct entry *e = (struct entry *)(uintptr_t)entry;
	uint32_t reads = entry_recent_reads(e);
	uint32_t loads = entry_recent_loads(e);

	(void)ctx;
	set(&e->reads_aged, atomic_load_explicit(&e->reads, memory_order_relaxed));
	set(&e->loads_aged, e->loads);
	set(&e->reads_weight, reads / 2);
	set(&e->loads_weight, loads / 2);
}

void
memory_age(struct memory *m)
{
	memory_walk_all(m, age, NULL);
}

/* ---- one ---- */

static struct entry *
find(struct memory *m, struct span key, const struct walk *w)
{
	uint64_t hash = hash_table(key);
	struct shard *s = shard_of(m, hash);
	struct entry *e;

	pthread_rwlock_rdlock(&s->lock);
	e = *place_of(s, hash, key);
	if (e && !is_seen(m, e, w))
		e = NULL;
	if (e)
		entry_hold(e);
	pthread_rwlock_unlock(&s->lock);
	return e;
}

struct entry *
memory_find(struct memory *m, struct span key, int64_t now_ms)
{
	return find(m, key, &(struct walk){ .which = LIVING, .now_ms = now_ms });
}

bool
memory_keeps(struct memory *m, struct span key, int64_t now_ms)
{
	struct entry *e = find(m, key, &(struct walk){ .which = KEPT, .now_ms = now_ms });

	entry_release(e);
	return e != NULL;
}
