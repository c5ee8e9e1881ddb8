/*
 * The cache: one question, two levels, one load per key at a time.
 *
 *   cache_ask()    reactors: a hit at once, or a place on the key's flight
 *   the flight     workers: Redis, then the loader, then store and land
 *   cache_raise()  workers: after a commit and before the answer
 *
 * It knows no HTTP and no SQL: what is loaded, and how, is the asker's.
 * Whatever Redis does, a question is answered, and the loader runs once.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/status.h"
#include "base/workers.h"
#include "cache/entry.h"
#include "cache/memory.h"
#include "cache/remote.h"
#include "cache/tags.h"

struct cache;

enum ttl_class {
	SEARCH_RESULTS,
	COURSE_DETAIL,
	LESSON_DETAIL,
	LESSON_LIST,
	USER_PROGRESS,
	SESSION_LOOKUP,
	TTL_CLASSES
};

/* Of all keys that share a prefix. */
struct cache_policy {
	const char *prefix;
	enum ttl_class ttl;
	bool internal; /* sessions, guards: not listed in statistics */
	bool anonymous; /* anyone can make keys: few of them reach Redis */
};

#define CACHE_MAX_POLICIES 64

/* What a loader brings.  RELEASE(HOLD) gives it back. */
struct loaded {
	struct span body;
	const struct span *tags;
	size_t tag_count;
	void *hold;
	void (*release)(void *hold);
};

/*
 * ARGS is flat memory of ARGS_LEN bytes (no pointers into itself); it is
 * copied when a flight is made.  LOAD runs on a worker, at most once a
 * flight, and returns OK with *out filled, NOT_FOUND, or a failure.
 */
struct question {
	struct span key;
	int policy;
	enum status (*load)(void *ctx, const void *args, struct loaded *out);
	const void *args;
	size_t args_len;
};

/* How an answer came about, for Cache-Status and the log. */
enum cache_how { HOW_NONE, HOW_MEMORY, HOW_REDIS, HOW_LOADED, HOW_NOT_STORED, HOW_COLLAPSED };

struct landing {
	enum status status;
	struct entry *entry; /* a reference for the waiter if OK; NULL with OK: ask again */
	enum cache_how how;
	int64_t redis_us;
	int64_t load_us;
};

/* Embedded in what waits.  LANDED is called once, on a worker or (BUSY) on
 * the asking thread, and must not block. */
struct waiter {
	struct waiter *next;
	uint64_t began; /* the number that was current when it asked */
	void (*landed)(struct waiter *self, const struct landing *landing);
};

struct cache_config {
	size_t memory_bytes;
	size_t anonymous_keys; /* new ones in Redis in one life time */
	struct workers *workers;
	struct remote *remote; /* NULL: memory alone */
	const struct cache_policy *policies;
	int policy_count;
	void *load_ctx;
	int64_t (*now_ms)(void); /* monotonic */
};

/* Keeps the pointers of CONFIG; NULL without memory. */
struct cache *cache_new(const struct cache_config *config);
/* After the workers have stopped. */
void cache_free(struct cache *c);
/* Any thread, any time. */
void cache_set_ttl(struct cache *c, enum ttl_class ttl, int64_t ms);

enum cache_answer { ASK_HIT, ASK_WAIT };

/*
 * Any thread; never blocks.
 *   ASK_HIT   *hit is the caller's reference
 *   ASK_WAIT  w->landed will be called, perhaps before this returns
 */
enum cache_answer cache_ask(
    struct cache *c, const struct question *q, struct waiter *w, struct entry **hit);

/*
 * Invalidate everything that depends on one of TAGS: in Redis first, then in
 * memory (the other order would let memory take an old entry from Redis).
 * When it returns, no read that begins now sees an older answer, whether or
 * not Redis could be reached.  Blocks up to the Redis deadline.
 */
void cache_raise(struct cache *c, const struct span *tags, size_t count);

/* Every entry of ours, in both levels.  False: Redis did not confirm; its
 * old entries will not be read all the same. */
bool cache_clear(struct cache *c);

struct cache_counters {
	uint64_t memory_hits;
	uint64_t redis_hits;
	uint64_t loads;
	uint64_t collapsed; /* answered by somebody else's flight */
	uint64_t not_found;
	uint64_t failures;
	uint64_t stored;
	uint64_t refused; /* a raise came in between: not stored */
	uint64_t busy;
};

/* Sums since the start; OUT has policy_count elements. */
void cache_read_counters(struct cache *c, struct cache_counters *out);
uint64_t cache_raises(struct cache *c);
struct memory *cache_memory(struct cache *c);
struct remote *cache_remote(struct cache *c);
/* The table that cache_new() was given. */
const struct cache_policy *cache_policies(struct cache *c, int *count);

#endif
