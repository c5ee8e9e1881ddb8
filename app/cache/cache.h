/*
 * The cache: one question, two levels, one load per key at a time.
 *
 *   cache_hit()    reactors: a fresh hit in memory, at once
 *   cache_ask()    reactors: that or any other hit, or a place on the flight
 *   the flight     workers: Redis, then the loader, then store and land
 *   cache_raise()  workers: after a commit and before the answer; and whoever
 *                  listens for what others have changed
 *   cache_heard()  whoever listens: the cache is trusted while this goes on
 *
 * It knows no HTTP and no SQL: what is loaded, and how, is the asker's.
 * Whatever Redis does, a question is answered, and the loader runs once.
 *
 * Several processes may share one Redis and one source of truth.  Bounded: each
 * serves from its memory and learns of the others' writes by cache_raise().
 * Strict: whatever is given is looked up in Redis first, and a write is pending
 * there before it commits; so nobody ever sees an older answer, but each hit is
 * a round trip.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/metrics.h"
#include "base/status.h"
#include "base/workers.h"
#include "cache/entry.h"
#include "cache/memory.h"
#include "cache/remote.h"
#include "cache/shadow.h"
#include "cache/tags.h"

struct cache;

enum ttl_class {
	SEARCH_RESULTS,
	COURSE_DETAIL,
	LESSON_DETAIL,
	LESSON_LIST,
	USER_PROGRESS,
	SESSION_LOOKUP,
	ABSENCE, /* there is no such thing */
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

/* What a loader brings.  RELEASE(HOLD) gives it back.  With NOT_FOUND the
 * tags, if any, are those of the absence. */
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
	bool ahead; /* nobody has asked yet: not counted as a use of the cache */
};

/* How an answer came about, for Cache-Status and the log. */
enum cache_how {
	HOW_NONE,
	HOW_MEMORY,
	HOW_GRACE, /* from memory, its life has ended; it is being refreshed */
	HOW_REDIS,
	HOW_LOADED,
	HOW_NOT_STORED,
	HOW_COLLAPSED,
	HOW_STALE, /* the source is down */
};

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
	uint32_t joined; /* the step of the flight; see rule.h */
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
	int64_t heard_ms; /* trusted so long after cache_heard(); 0: always */
	bool strict; /* needs a remote */
	size_t shadow_objects; /* of the models of shadow.h; 0: none */
};

/* Keeps the pointers of CONFIG; NULL without memory. */
struct cache *cache_new(const struct cache_config *config);
/* After the workers have stopped. */
void cache_free(struct cache *c);
/* Any thread, any time. */
int64_t cache_ttl(struct cache *c, enum ttl_class ttl);
void cache_set_ttl(struct cache *c, enum ttl_class ttl, int64_t ms);
/* The life of a policy's entries beside that of its class, in percent. */
unsigned cache_stretch(struct cache *c, int policy);
void cache_set_stretch(struct cache *c, int policy, unsigned percent);

/* Of entries whose life has ended.  Any thread, any time. */
void cache_set_keep(struct cache *c, int64_t grace_ms, int64_t stale_ms);

/*
 * Any thread; never blocks.  The entry in memory if at NOW (monotonic ms; the
 * asker has just read the clock) it may be given as it is and nothing else need
 * be done: a reference of the caller's, perhaps an absence.  NULL: cache_ask().
 */
struct entry *cache_hit(struct cache *c, int policy, struct span key, int64_t now);

enum cache_answer { ASK_HIT, ASK_WAIT };

/*
 * Any thread; never blocks.
 *   ASK_HIT   *hit is the caller's reference, *how says where from; it may be
 *             an absence
 *   ASK_WAIT  w->landed will be called, perhaps before this returns
 */
enum cache_answer cache_ask(struct cache *c, const struct question *q, struct waiter *w,
    struct entry **hit, enum cache_how *how);

/*
 * Invalidate everything that depends on one of TAGS, changed by the transaction
 * ID (0: none): in Redis first, then in memory (the other order would let
 * memory take an old entry from Redis).  When it returns, no read of this
 * process that begins now sees an older answer, whether or not Redis could be
 * reached.  What this process has raised already under the same ID is left
 * alone.  Blocks up to the Redis deadline.
 * True: Redis confirmed, so that holds for every process in strict mode.
 */
bool cache_raise(struct cache *c, uint64_t id, const struct span *tags, size_t count);

/* Who is the cause of a raise, for the statistics and the log. */
#define CACHE_CAUSES(X) X(route) X(database) X(operator) X(clear)
enum cache_cause {
#define X(name) CAUSE_##name,
	CACHE_CAUSES(X)
#undef X
	    CACHE_CAUSE_COUNT
};
/* The transaction ID is about to commit: whoever raises it first, it is CAUSE's. */
void cache_expect(struct cache *c, enum cache_cause cause, uint64_t id);
/* cache_raise() is the first's.  Each ID is counted once. */
bool cache_raise_for(
    struct cache *c, enum cache_cause cause, uint64_t id, const struct span *tags, size_t count);
/* Of several transactions at once; each is to be counted then. */
void cache_raise_many(
    struct cache *c, enum cache_cause cause, const struct span *tags, size_t count);
void cache_count_raise(struct cache *c, enum cache_cause cause, uint64_t id);
uint64_t cache_raises_by(struct cache *c, enum cache_cause cause);

/*
 * Strict mode: the transaction ID, which will touch TAGS, is about to commit.
 * False: Redis did not take it, so it must not commit.  After true,
 * cache_raise() with that ID must follow; if this process dies in between,
 * cache_settle() of any other does it.
 */
bool cache_pend(struct cache *c, uint64_t id, const struct span *tags, size_t count);
bool cache_is_strict(const struct cache *c);

/* Every entry of ours, in both levels, here; ID as above.  False: Redis did
 * not confirm; its old entries will not be read all the same. */
bool cache_clear(struct cache *c, uint64_t id);

/* ---- for who listens to the source: one thread ---- */

/* Up to where changes have been raised in Redis, so that it is known from
 * where to listen on; empty: not known. */
void cache_recall(struct cache *c, char text[REMOTE_BOOKMARK_BYTES]);
/* All that was committed before AT_MS (monotonic) has been raised; TEXT is for
 * the next cache_recall(), of any process. */
void cache_heard(struct cache *c, int64_t at_ms, const char *text);
/* Changes were missed: nothing that is stored anywhere is given any more. */
void cache_lost(struct cache *c);
/* The source cannot be reached: entries past their life are given, as stale. */
void cache_down(struct cache *c, bool down);
/* From time to time: pay what is owed to Redis, and raise what somebody left
 * pending for longer than AGE_MS unless RUNS says that his transaction may
 * still commit. */
void cache_settle(struct cache *c, int64_t age_ms, bool (*runs)(void *ctx, uint64_t id), void *ctx);

struct cache_state {
	bool trusted;
	bool down;
	int64_t silent_ms; /* -1: nothing was heard yet */
	uint64_t lost;
	char bookmark[REMOTE_BOOKMARK_BYTES];
};

void cache_read_state(struct cache *c, struct cache_state *out);

/*
 * What is counted for each policy, all since the start, and how it is called
 * outside: in JSON, and as a counter of Prometheus (family, labels, help; rows of
 * one family stand together).
 */
#define CACHE_COUNTERS(X) \
	X(memory_hits, "memoryHits", "pupitre_cache_hits_total", "level=\"memory\"", \
	    "Answers from the cache, by its level.") \
	X(redis_hits, "redisHits", "pupitre_cache_hits_total", "level=\"redis\"", "") \
	X(forwarded, "forwarded", "pupitre_cache_forwarded_total", "", \
	    "Questions that memory could not answer.") \
	X(loads, "misses", "pupitre_cache_misses_total", "", \
	    "Loads from PostgreSQL for who asked, or to refresh.") \
	X(warmed, "warmed", "pupitre_cache_warmed_total", "", \
	    "Loads ahead of any question, after a start or a clear.") \
	X(collapsed, "collapsed", "pupitre_cache_collapsed_total", "", \
	    "Answers from the load of somebody else.") \
	X(grace, "grace", "pupitre_cache_stale_total", "reason=\"grace\"", \
	    "Answers past their life: while they were refreshed, or while PostgreSQL was down.") \
	X(stale, "stale", "pupitre_cache_stale_total", "reason=\"down\"", "") \
	X(absent_hits, "negative", "pupitre_cache_negative_total", "", \
	    "Absences that memory knew; they are hits, too.") \
	X(not_found, "notFound", "pupitre_cache_not_found_total", "", \
	    "Loads that found nothing; they are misses, too.") \
	X(stored, "stores", "pupitre_cache_stores_total", "level=\"memory\"", \
	    "Entries stored, by level.") \
	X(redis_stored, "redisStores", "pupitre_cache_stores_total", "level=\"redis\"", "") \
	X(refused, "refused", "pupitre_cache_refused_stores_total", "level=\"memory\"", \
	    "Entries not stored, because a change came in between.") \
	X(redis_refused, "redisRefused", "pupitre_cache_refused_stores_total", "level=\"redis\"", \
	    "") \
	X(oversized, "oversized", "pupitre_cache_oversized_total", "", \
	    "Entries not stored, because they were too large for memory.") \
	X(refreshes, "refreshes", "pupitre_cache_refreshes_total", "", \
	    "Entries loaded anew behind the answer, near the end of their life or past it.") \
	X(failures, "errors", "pupitre_cache_errors_total", "level=\"load\"", \
	    "Loads that failed; look-ups and stores for which Redis was not there.") \
	X(redis_errors, "redisErrors", "pupitre_cache_errors_total", "level=\"redis\"", "") \
	X(busy, "busy", "pupitre_cache_busy_total", "", \
	    "Questions refused, because too many waited.")

struct cache_counters {
#define X(name, ...) uint64_t name;
	CACHE_COUNTERS(X)
#undef X
};

/* Sums since the start; OUT has policy_count elements. */
void cache_read_counters(struct cache *c, struct cache_counters *out);
/* How long Redis and the loader took; added to what is in REDIS and LOAD. */
void cache_read_times(
    struct cache *c, int policy, struct metrics_histogram *redis, struct metrics_histogram *load);
size_t cache_flights(struct cache *c);
uint64_t cache_raises(struct cache *c);
struct memory *cache_memory(struct cache *c);
struct remote *cache_remote(struct cache *c);
/* Have the models catch up: one thread, now and then. */
void cache_run_shadow(struct cache *c);
/* False: there are none. */
bool cache_read_shadow(struct cache *c, struct shadow_result *out);
/* The table that cache_new() was given. */
const struct cache_policy *cache_policies(struct cache *c, int *count);

#endif
