/*
 * Each shard has its own lock, hash table (chained) and
 * eviction list.  A look-up shares the lock with other look-ups and changes
 * nothing in the table; whoever stores has the lock alone.  The table owns one
 * reference to each entry; memory_get() adds one for the caller under the lock,
 * so an entry cannot die between look-up and use.  Releases that may free
 * happen outside the lock.
 *
 * SIEVE: new entries go to the newest end; the hand walks from the oldest to
 * the newest, clears the visited bit of what was hit since it last passed, and
 * evicts the first that was not.  In the paper it walks to the very end, and a
 * newcomer that it meets there has had no time to be hit: where popularity
 * moves, what was popular is kept and what is going to be is not.  Here the
 * hand begins anew when it comes to the youngest part (tests/bench/memory).
 *
 * What may not be given any more stays in its place until it is stored anew or
 * the hand comes by: whoever found it is about to load it again, and what is
 * asked for again after a write should not have to begin as a newcomer.
 */
#include "cache/memory.h"

#include <stdlib.h>

#include "cache/memory_inner.h"

/* The table is made for entries of this size: to double it when there are more
 * holds everybody up for milliseconds. */
#define USUAL_ENTRY_BYTES 1024
#define FIRST_BUCKETS 64
/* A cache that is too small for shards of this size has fewer. */
#define SHARD_MIN_BYTES ((size_t)4 << 20)
/* The hand clears no more bits than this for one eviction, so that nobody waits
 * long for the lock; it then takes what it is at. */
#define MAX_STEPS 200

/* One part in so many is young. */
#define YOUNG 4

/* Whoever stores goes before readers that come later: by default they could keep
 * him out for ever. */
static bool
lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	bool made;

	if (pthread_rwlockattr_init(&attr) != 0)
		return false;
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	made = pthread_rwlock_init(lock, &attr) == 0;
	pthread_rwlockattr_destroy(&attr);
	return made;
}

static bool
shard_init(struct shard *s, size_t cap_bytes)
{
	s->bucket_count = FIRST_BUCKETS;
	while (s->bucket_count < cap_bytes / USUAL_ENTRY_BYTES)
		s->bucket_count *= 2;
	s->buckets = calloc(s->bucket_count, sizeof(s->buckets[0]));
	s->stats.cap_bytes = cap_bytes;
	if (s->buckets && lock_init(&s->lock))
		return true;
	free(s->buckets);
	return false;
}

struct memory *
memory_new(size_t cap_bytes, size_t shards, struct tag_table *tags)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->tags = tags;
	while (shards > 1 && cap_bytes / shards < SHARD_MIN_BYTES)
		shards /= 2;
	m->shards = aligned_alloc(64, shards * sizeof(struct shard));
	if (m->shards)
		memset(m->shards, 0, shards * sizeof(struct shard));
	while (m->shards && m->shard_count < shards) {
		if (!shard_init(&m->shards[m->shard_count], cap_bytes / shards))
			break;
		m->shard_count++;
	}
	if (m->shard_count == shards)
		return m;
	memory_free(m);
	return NULL;
}

void
memory_free(struct memory *m)
{
	if (!m)
		return;
	memory_clear(m);
	for (size_t i = 0; i < m->shard_count; i++) {
		pthread_rwlock_destroy(&m->shards[i].lock);
		free(m->shards[i].buckets);
	}
	free(m->shards);
	free(m);
}

size_t
memory_cost(const struct entry *e)
{
	size_t word = sizeof(size_t);

	return (entry_bytes(e) + word + 2 * word - 1) / (2 * word) * (2 * word);
}

static struct memory_use *
use_of(struct shard *s, const struct entry *e)
{
	return &s->use[e->policy % MEMORY_POLICIES];
}

static void
count_in(struct shard *s, const struct entry *e)
{
	s->stats.entries++;
	s->stats.bytes += memory_cost(e);
	use_of(s, e)->entries++;
	use_of(s, e)->bytes += memory_cost(e);
}

static void
count_out(struct shard *s, const struct entry *e)
{
	s->stats.entries--;
	s->stats.bytes -= memory_cost(e);
	use_of(s, e)->entries--;
	use_of(s, e)->bytes -= memory_cost(e);
}

static void
list_add(struct shard *s, struct entry *e)
{
	e->older = s->newest;
	e->newer = NULL;
	if (s->newest)
		s->newest->newer = e;
	else
		s->oldest = e;
	s->newest = e;
}

static void
list_remove(struct shard *s, struct entry *e)
{
	if (e->newer)
		e->newer->older = e->older;
	else
		s->newest = e->older;
	if (e->older)
		e->older->newer = e->newer;
	else
		s->oldest = e->newer;
}

/* Out of table and list; the table's reference is now the caller's. */
static struct entry *
take_out(struct shard *s, struct entry **place)
{
	struct entry *e = *place;

	*place = e->chain;
	list_remove(s, e);
	count_out(s, e);
	return e;
}

static struct entry *
at_hand(struct shard *s)
{
	if (!s->hand || s->ahead < s->stats.entries / YOUNG) {
		s->hand = s->oldest;
		s->ahead = s->stats.entries - 1;
	}
	return s->hand;
}

static void
move_hand(struct shard *s)
{
	s->hand = s->hand->newer;
	s->ahead--;
}

/* E is about to go at NOW_MS: why it ended, if not for room. */
static void
count_end(struct memory *m, struct shard *s, const struct entry *e, int64_t now_ms, bool for_room)
{
	if (!is_good(m, e)) {
		s->stats.dropped++;
		use_of(s, e)->dropped++;
	} else if (now_ms >= e->expires_ms) {
		s->stats.expiries++;
		use_of(s, e)->expiries++;
	} else if (for_room) {
		s->stats.evictions++;
		use_of(s, e)->evictions++;
	}
}

static struct entry *
evict_one(struct memory *m, struct shard *s, int64_t now_ms)
{
	struct entry *e = at_hand(s);

	for (int i = 0; i < MAX_STEPS && atomic_load_explicit(&e->visited, memory_order_relaxed);
	     i++) {
		atomic_store_explicit(&e->visited, false, memory_order_relaxed);
		move_hand(s);
		e = at_hand(s);
	}
	move_hand(s);
	count_end(m, s, e, now_ms, true);
	return take_out(s, place_of(s, e->hash, entry_key(e)));
}

static void
grow(struct shard *s)
{
	size_t count = s->bucket_count * 2;
	struct entry **buckets = calloc(count, sizeof(buckets[0]));

	if (!buckets)
		return; /* longer chains, still right */
	for (struct entry *e = s->oldest; e; e = e->newer) {
		struct entry **at = &buckets[e->hash & (count - 1)];

		e->chain = *at;
		*at = e;
	}
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_count = count;
}

struct entry *
memory_get(struct memory *m, struct span key, int64_t now_ms)
{
	uint64_t hash = hash_table(key);
	struct shard *s = shard_of(m, hash);
	struct entry *e;

	pthread_rwlock_rdlock(&s->lock);
	e = *place_of(s, hash, key);
	if (e && now_ms >= e->gone_ms) {
		e = NULL;
	} else if (e && !is_good(m, e)) {
		e = NULL; /* kept for memory_put() */
	} else if (e) {
		/* Other cores have this line too: not written without need. */
		if (!atomic_load_explicit(&e->visited, memory_order_relaxed))
			atomic_store_explicit(&e->visited, true, memory_order_relaxed);
		entry_hold(e);
	}
	pthread_rwlock_unlock(&s->lock);
	return e;
}

/* Entries that must go to make room, chained by their chain link. */
static struct entry *
make_room(struct memory *m, struct shard *s, size_t bytes, int64_t now_ms)
{
	struct entry *gone = NULL;

	while (s->oldest && s->stats.bytes + bytes + table_bytes(s) > s->stats.cap_bytes) {
		struct entry *e = evict_one(m, s, now_ms);

		e->chain = gone;
		gone = e;
	}
	return gone;
}

static void
release_all(struct entry *gone)
{
	while (gone) {
		struct entry *next = gone->chain;

		entry_release(gone);
		gone = next;
	}
}

static void
add(struct shard *s, struct entry *e)
{
	struct entry **place;

	if (s->stats.entries >= 2 * s->bucket_count)
		grow(s);
	place = &s->buckets[e->hash & (s->bucket_count - 1)];
	e->chain = *place;
	*place = e;
	list_add(s, e);
	s->ahead++;
	count_in(s, e);
}

static void
inherit(struct entry *e, const struct entry *old)
{
	e->loads += old->loads;
	e->reads_aged = old->reads_aged;
	e->loads_aged = old->loads_aged;
	e->reads_weight = old->reads_weight;
	e->loads_weight = old->loads_weight;
	/* This use, too. */
	e->reads = old->reads + 1;
}

/* E takes the place of an entry with its key, and counts as hit: it was asked
 * for more than once. */
static struct entry *
replace(struct memory *m, struct shard *s, struct entry **place, struct entry *e)
{
	struct entry *old = *place;

	count_end(m, s, old, e->made_ms, false);
	*place = e;
	inherit(e, old);
	e->chain = old->chain;
	e->newer = old->newer;
	e->older = old->older;
	*(e->newer ? &e->newer->older : &s->newest) = e;
	*(e->older ? &e->older->newer : &s->oldest) = e;
	if (s->hand == old)
		s->hand = e;
	atomic_store_explicit(&e->visited, true, memory_order_relaxed);
	count_in(s, e);
	count_out(s, old);
	return old;
}

bool
memory_fits(const struct memory *m, const struct entry *e)
{
	return memory_cost(e) <= m->shards[0].stats.cap_bytes / 2;
}

bool
memory_put(struct memory *m, struct entry *e)
{
	struct span key = entry_key(e);
	size_t bytes = memory_cost(e);
	struct entry **place;
	struct entry *gone = NULL;
	struct entry *old = NULL;
	struct shard *s;

	e->hash = hash_table(key);
	s = shard_of(m, e->hash);
	if (!memory_fits(m, e) || !is_good(m, e))
		return false;
	entry_hold(e);
	pthread_rwlock_wrlock(&s->lock);
	place = place_of(s, e->hash, key);
	if (*place)
		old = replace(m, s, place, e);
	gone = make_room(m, s, old ? 0 : bytes, e->made_ms);
	if (!old)
		add(s, e);
	pthread_rwlock_unlock(&s->lock);
	entry_release(old);
	release_all(gone);
	return true;
}

/* The oldest of a list that nobody but the caller knows any more. */
static struct entry *
empty(struct shard *s)
{
	struct entry *oldest = s->oldest;

	memset(s->buckets, 0, table_bytes(s));
	s->newest = s->oldest = s->hand = NULL;
	s->stats.entries = s->stats.bytes = 0;
	for (int i = 0; i < MEMORY_POLICIES; i++)
		s->use[i].entries = s->use[i].bytes = 0;
	return oldest;
}

void
memory_clear(struct memory *m)
{
	for (size_t i = 0; i < m->shard_count; i++) {
		struct shard *s = &m->shards[i];
		struct entry *e;

		pthread_rwlock_wrlock(&s->lock);
		e = empty(s);
		pthread_rwlock_unlock(&s->lock);
		while (e) {
			struct entry *newer = e->newer;

			entry_release(e);
			e = newer;
		}
	}
}
