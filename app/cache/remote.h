/*
 * The Redis level: shared by all instances, may vanish at any moment, is
 * never waited for longer than its deadline (total time for one call; and
 * connect_ms when a connection has to be made), and sits behind a circuit
 * breaker.  Any thread but a reactor; a small pool of connections inside.
 *
 * One hash per namespace holds a random epoch, the sequence, and the last
 * number raised on every tag slot.  An entry carries the epoch and the number
 * that was current before its load began, and is given only while the epoch
 * is the same and no slot of it bears a later number; look-up and check are
 * one script, one round trip.  If Redis loses the hash, the epoch is gone and
 * every entry is a miss.
 *
 * The hash also names the Redis process (its run id) that it was made in: a
 * connection to another process (restart, restored data, promoted replica)
 * begins a new epoch before anything else.  A raise that got no answer is owed:
 * it is repeated before anything else is said, by whoever speaks next.  One
 * that Redis refuses, or too many owed, leave this object distrustful: nothing
 * is read or stored until a new epoch has been set.
 *
 * Raises may come twice, from the process that wrote and from all that hear of
 * it.  They carry the number of the transaction, and what has come already is
 * not raised again.  A transaction that is about to commit may be pending
 * (strict mode): nothing that depends on its slots is given or stored until it
 * has been raised.
 */
#ifndef CACHE_REMOTE_H
#define CACHE_REMOTE_H

#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

struct remote;
struct redis;

struct remote_config {
	const char
	    *url; /* redis://[user:password@]host[:port][/db], rediss://, unix:///path[?db=n] */
	const char *prefix; /* of every key of ours */
	int deadline_ms;
	int connect_ms;
	int breaker_failures;
	int breaker_ms;
	int connections; /* at most */
};

/* What was current in Redis before a load began. */
struct remote_token {
	bool valid; /* false: do not store */
	uint64_t epoch;
	uint64_t sequence;
};

/* Of one transaction that was pending when it was asked. */
struct remote_pending {
	uint64_t id;
	int64_t age_ms;
	uint16_t slots[255];
	size_t slot_count;
};

#define REMOTE_TTL_MAX_MS (2 * 86400 * (int64_t)1000)

/* A stored answer.  Fields from remote_get() belong to HOLD. */
struct remote_value {
	struct span body; /* as it goes out */
	bool gzip; /* ... is it compressed */
	struct span etag;
	const uint16_t *slots;
	size_t slot_count;
	int64_t ttl_ms; /* left; at most REMOTE_TTL_MAX_MS */
	uint64_t number; /* got: what was current before its load */
	void *hold;
};

enum remote_result { REMOTE_HIT, REMOTE_MISS, REMOTE_DOWN };

/* NULL, with a word in *WHY, if the URL makes no sense.  Connects to nothing
 * yet.  What an earlier process failed to raise is for the caller to find out
 * (remote_recall) before he reads. */
struct remote *remote_open(const struct remote_config *config, const char **why);
void remote_close(struct remote *r);
/* The Redis URL that belongs to an Upstash REST URL and token, malloc'd; NULL
 * if the REST URL is not https://HOST. */
char *remote_url_of_upstash(const char *rest_url, const char *token);

/*
 * One round trip.  *token is what remote_put() wants.  A value that
 * is not whole (checksum over key, slots and body), not of this format, or
 * out of bounds is a miss.
 */
enum remote_result remote_get(
    struct remote *r, struct span key, struct remote_token *token, struct remote_value *out);
void remote_value_free(struct remote_value *v);

/*
 * The same in two steps, so that Redis works while the thread that will take
 * the answer is still being woken.  SEND never blocks, so a reactor may call
 * it; false, with SENT empty, when there is no connection at hand that may be
 * used at once.  Then exactly one of END and DROP; END asks from the beginning
 * if nothing was sent, or if the connection was lost.
 */
struct remote_sent {
	struct redis *conn; /* NULL: nothing was sent */
};

bool remote_get_send(struct remote *r, struct span key, struct remote_sent *sent);
enum remote_result remote_get_end(struct remote *r, struct span key, struct remote_sent *sent,
    struct remote_token *token, struct remote_value *out);
void remote_drop(struct remote_sent *sent);

/* Store, unless the epoch changed or a slot bears a later number than
 * TOKEN->sequence.  LISTED entries are counted and shown in statistics. */
enum remote_put_result { REMOTE_STORED, REMOTE_REFUSED, REMOTE_NOT_STORED };
enum remote_put_result remote_put(struct remote *r, struct span key,
    const struct remote_token *token, const struct remote_value *value, bool listed);
/* In two steps, as above.  SEND may wait for Redis to take a large body. */
bool remote_put_send(struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *value, bool listed, struct remote_sent *sent);
enum remote_put_result remote_put_end(struct remote *r, struct span key,
    const struct remote_token *token, const struct remote_value *value, bool listed,
    struct remote_sent *sent);

/* Is what was loaded under TOKEN still good?  HIT: yes; MISS: no; DOWN: nobody
 * knows. */
enum remote_result remote_check(
    struct remote *r, const struct remote_token *token, const uint16_t *slots, size_t count);

/* Take the next number and write it on the slots, and end what is pending of
 * ID; 0 is nobody's.  False: Redis did not confirm it; it is owed now, and no
 * old entry will be read through this object. */
bool remote_raise(struct remote *r, uint64_t id, const uint16_t *slots, size_t count);
/* Nothing that depends on the slots is given from now on, until remote_raise()
 * with this ID.  False: not confirmed; it may be so all the same. */
bool remote_pend(struct remote *r, uint64_t id, const uint16_t *slots, size_t count);
/* What is pending, into OUT; how many, at most ROOM. */
size_t remote_pending(struct remote *r, struct remote_pending *out, size_t room);

/* Up to where changes have been raised in Redis, in the words of who keeps
 * count of them; empty when it does not say.  False: no answer. */
#define REMOTE_BOOKMARK_BYTES 1024
bool remote_recall(struct remote *r, char text[REMOTE_BOOKMARK_BYTES]);
/* Only what has been raised and is not owed may be noted. */
void remote_note(struct remote *r, const char *text);
/* Nobody knows what was missed: a new epoch, at the next word. */
void remote_distrust(struct remote *r);
/* Nothing is owed, and no new epoch due. */
bool remote_trusted(const struct remote *r);
/* Pay what is owed, if anything is. */
void remote_settle(struct remote *r);

/* A new epoch (all entries are misses at once), then every key of ours is
 * deleted, in batches, by SCAN and UNLINK; other programs' keys stay.
 * False: not confirmed, or not all deleted within 5 s; what is left will not
 * be read all the same. */
bool remote_clear(struct remote *r);

/* Call SEE with the key of every listed entry that matches PATTERN (a glob of
 * Redis), some perhaps twice or expired, until it says false.  False: Redis did
 * not answer, or there are too many to be seen within 2 s. */
bool remote_list(
    struct remote *r, struct span pattern, bool (*see)(void *ctx, struct span key), void *ctx);

/* PING within the deadline, by way of the breaker. */
bool remote_ping(struct remote *r);
/* Are no questions asked for now, because the last ones failed? */
bool remote_is_open(struct remote *r);

struct remote_stats {
	bool reachable; /* as of this call */
	uint64_t keys; /* listed ones that have not expired */
	uint64_t bytes; /* of keys and bodies, estimated from a sample */
	char sample[5][512]; /* some of them, NUL-ended, cut */
	size_t samples;
	int breaker; /* enum breaker_state */
	bool trusted;
	uint64_t calls, failures, epochs;
	int64_t last_us; /* the latest call */
};

void remote_read_stats(struct remote *r, struct remote_stats *out);

/* What Redis says of itself (INFO), whoever else uses it. */
struct remote_server {
	uint64_t used_bytes;
	uint64_t max_bytes; /* 0: no bound */
	uint64_t evicted_keys; /* since it started, to make room */
	char policy[32]; /* what it does when it is full; empty: it does not say */
	char version[32];
};

/* False, with *OUT empty: no answer.  Three round trips. */
bool remote_read_server(struct remote *r, struct remote_server *out);

#endif
