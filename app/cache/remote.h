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
 * begins a new epoch before anything else.  A raise that fails leaves this
 * object distrustful: nothing is read or stored until a new epoch has been
 * set, which every connection attempt then tries first.
 */
#ifndef CACHE_REMOTE_H
#define CACHE_REMOTE_H

#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

struct remote;

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
	char epoch[33];
	uint64_t sequence;
};

/* A stored answer.  Fields from remote_get() belong to HOLD. */
struct remote_value {
	struct span body; /* as it goes out */
	bool gzip; /* ... is it compressed */
	struct span etag;
	const uint16_t *slots;
	size_t slot_count;
	int64_t ttl_ms; /* left */
	void *hold;
};

enum remote_result { REMOTE_HIT, REMOTE_MISS, REMOTE_DOWN };

/* NULL, with a word in *WHY, if the URL makes no sense.  Connects to nothing
 * yet.  The first connection of this object begins a new epoch, because
 * nobody knows what an earlier process failed to raise. */
struct remote *remote_open(const struct remote_config *config, const char **why);
void remote_close(struct remote *r);
/* The Redis URL that belongs to an Upstash REST URL and token, malloc'd; NULL
 * if the REST URL is not https://HOST. */
char *remote_url_of_upstash(const char *rest_url, const char *token);

/*
 * One round trip.  On a miss *token is what remote_put() wants.  A value that
 * is not whole (checksum over key, slots and body), not of this format, or
 * out of bounds is a miss.
 */
enum remote_result remote_get(
    struct remote *r, struct span key, struct remote_token *token, struct remote_value *out);
void remote_value_free(struct remote_value *v);

/* Store, unless the epoch changed or a slot bears a later number than
 * TOKEN->sequence.  LISTED entries are counted and shown in statistics. */
enum remote_put_result { REMOTE_STORED, REMOTE_REFUSED, REMOTE_NOT_STORED };
enum remote_put_result remote_put(struct remote *r, struct span key,
    const struct remote_token *token, const struct remote_value *value, bool listed);

/* Take the next number and write it on the slots.  False: Redis did not
 * confirm it; the object is now distrustful, and no old entry will be read
 * through it. */
bool remote_raise(struct remote *r, const uint16_t *slots, size_t count);

/* A new epoch (all entries are misses at once), then every key of ours is
 * deleted, in batches, by SCAN and UNLINK; other programs' keys stay.
 * False: not confirmed, or not all deleted within 5 s; what is left will not
 * be read all the same. */
bool remote_clear(struct remote *r);

/* PING within the deadline, by way of the breaker. */
bool remote_ping(struct remote *r);

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

#endif
