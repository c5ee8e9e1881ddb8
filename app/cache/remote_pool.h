/*
 * Between remote.c and its connections: a small pool, the circuit breaker, and
 * trust.  Any thread but a reactor.
 *
 * Trust: DEMANDED is raised by whatever makes the stored entries doubtful (a
 * raise that was refused, changes that nobody knows).  RENEWED is the demand
 * that was seen before a new epoch was last set for it.  While it lags behind,
 * the first thing said on any connection is a new epoch; a demand that comes
 * while one is being set is not met by it.  Likewise what is OWED: slots whose
 * raise got no answer are raised first.
 */
#ifndef CACHE_REMOTE_POOL_H
#define CACHE_REMOTE_POOL_H

#include <pthread.h>

#include "cache/breaker.h"
#include "cache/remote.h"
#include "cache/remote_scripts.h"
#include "cache/tags.h"

/* Entry keys that one script may be given. */
#define REMOTE_KEYS_MAX 20
#define REMOTE_KEY_BYTES 4096
#define REMOTE_SLOTS_TEXT (TAG_MAX * 6 + 1)
#define REMOTE_EPOCH_BYTES 8
#define REMOTE_EPOCH_TEXT (2 * REMOTE_EPOCH_BYTES + 1)

struct remote {
	struct remote_config config;
	char *prefix;
	struct span meta; /* names of keys, with the prefix */
	struct span index;
	struct dialer *dialer;
	struct breaker breaker;
	char id[33]; /* random, of this object */
	_Atomic uint64_t demanded;
	_Atomic uint64_t renewed;
	_Atomic uint64_t calls, failures, epochs;
	_Atomic int64_t last_us;
	_Atomic int64_t complained_ms; /* monotonic */
	_Atomic size_t owed_count;
	uint64_t owed_times; /* something was added; under the lock, as the next */
	uint64_t owed[TAG_SLOTS / 64]; /* a bit a slot */
	pthread_mutex_t lock; /* of what is owed, and the stack of idle connections */
	int idle_count;
	struct redis *idle[];
};

/*
 * Run a script: KEYS, then ARGS behind the run id that is put before them.
 * The reply is the caller's; REPLY_NONE: Redis is not to be had now (open
 * circuit, deadline, refused, not trusted and not renewable).  Takes at most
 * the deadline, and the time to connect if there is no connection.
 */
struct reply remote_script(struct remote *r, enum remote_script script, const struct span *keys,
    int key_count, const struct span *args, int arg_count);
/*
 * Likewise in two steps, see remote.h.  SEND waits at most WAIT_MS, 0: not at
 * all.  TAKE is true when *reply is what there is, if only REPLY_NONE; false:
 * nothing was sent, or it was lost and there is time to ask again.
 */
bool remote_send(struct remote *r, enum remote_script script, const struct span *keys,
    int key_count, const struct span *args, int arg_count, int wait_ms, struct remote_sent *sent);
bool remote_take(struct remote *r, struct remote_sent *sent, struct reply *reply);
/* A plain command, likewise, with WAIT_MS of its own. */
struct reply remote_command(struct remote *r, const struct span *words, int count, int wait_ms);

/* These slots are to be raised before anything else is said. */
void remote_owe(struct remote *r, const uint16_t *slots, size_t count);

/* How slots and epochs are written. */
struct span remote_slots_text(const uint16_t *slots, size_t count, char text[REMOTE_SLOTS_TEXT]);
/* 0 if it makes no sense. */
size_t remote_parse_slots(struct span text, uint16_t slots[TAG_MAX]);
struct span remote_epoch_text(uint64_t epoch, char text[REMOTE_EPOCH_TEXT]);
/* The name in Redis of the entry of KEY, in TEXT; empty if it is too long. */
struct span remote_entry_name(const struct remote *r, struct span key, char text[REMOTE_KEY_BYTES]);

#endif
