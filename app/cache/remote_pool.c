#include "cache/remote_pool.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

/* More slots than this are not raised one by one: a new epoch is cheaper. */
#define OWED_MAX 2000
#define WORDS_MAX (REMOTE_KEYS_MAX + 16)
/* The same trouble is said again only after this long. */
#define COMPLAIN_EVERY_MS 10000

/* Answers after which a connection is of no further use: it lacks what its
 * making gave it, or the server behind it is not the one we want. */
static const char *const unusable[] = { "NOSCRIPT", "LOADING", "BUSY ", "NOAUTH", "WRONGPASS",
	"NOPERM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "MOVED" };

bool
remote_trusted(const struct remote *r)
{
	return atomic_load(&r->renewed) >= atomic_load(&r->demanded) &&
	    atomic_load(&r->owed_count) == 0;
}

void
remote_distrust(struct remote *r)
{
	atomic_fetch_add(&r->demanded, 1);
}

void
remote_owe(struct remote *r, const uint16_t *slots, size_t count)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < count; i++) {
		uint64_t bit = UINT64_C(1) << (slots[i] % 64);

		if (r->owed[slots[i] / 64] & bit)
			continue;
		r->owed[slots[i] / 64] |= bit;
		atomic_fetch_add(&r->owed_count, 1);
	}
	r->owed_times++;
	pthread_mutex_unlock(&r->lock);
}

/* What is owed, into SLOTS; *times says as of when.  How many; more than ROOM
 * are not listed. */
static size_t
owed(struct remote *r, uint16_t *slots, size_t room, uint64_t *times)
{
	size_t n = 0;

	pthread_mutex_lock(&r->lock);
	*times = r->owed_times;
	for (size_t i = 0; i < TAG_SLOTS && atomic_load(&r->owed_count) <= room; i++) {
		if (r->owed[i / 64] >> (i % 64) & 1)
			slots[n++] = (uint16_t)i;
	}
	if (atomic_load(&r->owed_count) > room)
		n = room + 1;
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* Paid as of TIMES; what was added since is owed still, with the rest. */
static void
owe_nothing(struct remote *r, uint64_t times)
{
	pthread_mutex_lock(&r->lock);
	if (r->owed_times == times) {
		memset(r->owed, 0, sizeof(r->owed));
		atomic_store(&r->owed_count, 0);
	}
	pthread_mutex_unlock(&r->lock);
}

static void
complain(struct remote *r, struct span why)
{
	int64_t now = clock_ms();
	int64_t last = atomic_load(&r->complained_ms);

	if (last && now - last < COMPLAIN_EVERY_MS)
		return;
	if (atomic_compare_exchange_strong(&r->complained_ms, &last, now))
		log_event(LOG_WARN, "redis", "%.*s", SPAN_ARG(why));
}

/* ---- connections ---- */

/* An idle connection that is still there, or NULL. */
static struct redis *
take_quiet(struct remote *r)
{
	for (;;) {
		struct redis *conn = NULL;

		pthread_mutex_lock(&r->lock);
		if (r->idle_count > 0)
			conn = r->idle[--r->idle_count];
		pthread_mutex_unlock(&r->lock);
		if (!conn || redis_quiet(conn))
			return conn;
		redis_close(conn);
	}
}

static void
give_back(struct remote *r, struct redis *conn)
{
	bool kept = false;

	pthread_mutex_lock(&r->lock);
	if (redis_fit(conn) && r->idle_count < r->config.connections) {
		r->idle[r->idle_count++] = conn;
		kept = true;
	}
	pthread_mutex_unlock(&r->lock);
	if (!kept)
		redis_close(conn);
}

static void
trust_up_to(struct remote *r, uint64_t demand)
{
	uint64_t seen = atomic_load(&r->renewed);

	while (seen < demand && !atomic_compare_exchange_weak(&r->renewed, &seen, demand))
		;
}

/*
 * A new epoch, if one is due.  The demand is read before the script is sent:
 * a demand that comes later is not met by it.  Two connections with the same
 * demand make one epoch, because the hash remembers for what it was made.
 */
static bool
renew(struct remote *r, struct redis *conn, int64_t until_ms)
{
	uint64_t demand = atomic_load(&r->demanded);
	bool due = atomic_load(&r->renewed) < demand;
	char epoch[2 * REMOTE_EPOCH_BYTES + 1];
	char number[24];
	struct span words[9] = { SPAN("EVALSHA"), span_of(redis_script_sha(conn, SCRIPT_EPOCH)),
		SPAN("2"), r->meta, r->index, span_of(redis_run_id(conn)),
		{ epoch, 2 * REMOTE_EPOCH_BYTES }, span_of(due ? r->id : ""), { number, 0 } };
	struct reply reply;
	bool fine;

	random_hex(epoch, REMOTE_EPOCH_BYTES);
	words[8].len = (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)demand);
	reply = redis_ask(conn, words, 9, until_ms);
	fine = reply.type == REPLY_TEXT;
	if (fine && span_is(reply.text, epoch))
		atomic_fetch_add(&r->epochs, 1);
	if (reply.type == REPLY_FAULT)
		complain(r, reply.text);
	reply_free(&reply);
	if (fine && due)
		trust_up_to(r, demand);
	return fine;
}

static bool
raise_owed(
    struct remote *r, struct redis *conn, const uint16_t *slots, size_t count, int64_t until_ms)
{
	char epoch[REMOTE_EPOCH_TEXT];
	char text[REMOTE_SLOTS_TEXT];
	struct span words[9] = { SPAN("EVALSHA"), span_of(redis_script_sha(conn, SCRIPT_RAISE)),
		SPAN("2"), r->meta, r->index, span_of(redis_run_id(conn)),
		{ epoch, 2 * REMOTE_EPOCH_BYTES }, remote_slots_text(slots, count, text),
		SPAN("0") };
	struct reply reply;
	bool fine;

	random_hex(epoch, REMOTE_EPOCH_BYTES);
	reply = redis_ask(conn, words, 9, until_ms);
	fine = reply.type == REPLY_NUMBER;
	if (reply.type == REPLY_FAULT) {
		complain(r, reply.text);
		remote_distrust(r);
	}
	reply_free(&reply);
	return fine;
}

/*
 * What a raise that got no answer left behind.  A new epoch pays everything:
 * whatever was stored before it is a miss.
 */
static bool
settle(struct remote *r, struct redis *conn, int64_t until_ms)
{
	uint16_t slots[OWED_MAX + 1];
	uint64_t times;
	size_t count = owed(r, slots, OWED_MAX, &times);
	bool due = atomic_load(&r->renewed) < atomic_load(&r->demanded);

	if (count > OWED_MAX && !due)
		remote_distrust(r);
	if (due || count > OWED_MAX) {
		if (!renew(r, conn, until_ms))
			return false;
	} else {
		for (size_t i = 0; i < count; i += TAG_MAX) {
			size_t some = count - i < TAG_MAX ? count - i : TAG_MAX;

			if (!raise_owed(r, conn, slots + i, some, until_ms))
				return false;
		}
	}
	owe_nothing(r, times);
	return true; /* what was added meanwhile is for the next */
}

static struct redis *
open_one(struct remote *r)
{
	static const char *const scripts[REDIS_SCRIPTS] = {
		[SCRIPT_EPOCH] = script_epoch,
		[SCRIPT_GET] = script_get,
		[SCRIPT_PUT] = script_put,
		[SCRIPT_RAISE] = script_raise,
		[SCRIPT_PEND] = script_pend,
		[SCRIPT_CHECK] = script_check,
		[SCRIPT_NOTE] = script_note,
		[SCRIPT_SURVEY] = script_survey,
		[SCRIPT_SIZES] = script_sizes,
	};
	int64_t until_ms = clock_ms() + r->config.connect_ms;
	char why[REDIS_WHY_BYTES];
	struct redis *conn = redis_open(r->dialer, scripts, until_ms, why);

	if (!conn) {
		complain(r, span_of(why));
		return NULL;
	}
	/* Who does not say who he is may be somebody else each time. */
	if (!*redis_run_id(conn))
		remote_distrust(r);
	if (renew(r, conn, until_ms))
		return conn;
	redis_close(conn);
	return NULL;
}

/* ---- one call ---- */

/* A script with what it is given, or (KEYS NULL) a plain command in ARGS. */
struct call {
	enum remote_script script;
	const struct span *keys;
	int key_count;
	const struct span *args;
	int arg_count;
	int wait_ms;
};

static bool
say(struct redis *conn, const struct call *c, int64_t until_ms)
{
	struct span words[WORDS_MAX];
	char number[16];
	int n = 0;

	if (!c->keys)
		return redis_send(conn, c->args, c->arg_count, until_ms);
	words[n++] = span_of("EVALSHA");
	words[n++] = span_of(redis_script_sha(conn, (int)c->script));
	words[n++] =
	    span_make(number, (size_t)snprintf(number, sizeof(number), "%d", c->key_count));
	for (int i = 0; i < c->key_count; i++)
		words[n++] = c->keys[i];
	words[n++] = span_of(redis_run_id(conn));
	for (int i = 0; i < c->arg_count; i++)
		words[n++] = c->args[i];
	return redis_send(conn, words, n, until_ms);
}

static bool
is_unusable(struct span fault)
{
	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
		if (span_starts(fault, span_of(unusable[i])))
			return true;
	}
	return false;
}

/* The answer on CONN, which is given back or closed.  REPLY_NONE: it did not
 * work. */
static struct reply
hear_on(struct remote *r, struct redis *conn, int64_t until_ms)
{
	struct reply reply = redis_answer(conn, until_ms);

	if (reply.type == REPLY_FAULT) {
		complain(r, reply.text);
		if (is_unusable(reply.text))
			reply_free(&reply);
	}
	if (reply.type == REPLY_NONE)
		redis_close(conn);
	else
		give_back(r, conn);
	return reply;
}

static struct reply
say_on(struct remote *r, struct redis *conn, const struct call *c, int64_t until_ms)
{
	struct reply none = { 0 };

	if ((remote_trusted(r) || settle(r, conn, until_ms)) && say(conn, c, until_ms))
		return hear_on(r, conn, until_ms);
	redis_close(conn);
	return none;
}

/* At most WAIT_MS, and CONNECT_MS if a connection has to be made. */
static struct reply
attempt(struct remote *r, const struct call *c)
{
	int64_t until_ms = clock_ms() + c->wait_ms;
	int64_t end_ms = until_ms + r->config.connect_ms;
	struct redis *conn = take_quiet(r);
	struct reply reply = { 0 };

	if (conn) {
		reply = say_on(r, conn, c, until_ms);
		/* It may have died while it was idle, or its scripts were
		 * flushed: once more on a new one, if there is time. */
		if (reply.type != REPLY_NONE || clock_ms() >= until_ms)
			return reply;
	}
	conn = open_one(r);
	if (conn) {
		until_ms = clock_ms() + c->wait_ms;
		reply = say_on(r, conn, c, until_ms < end_ms ? until_ms : end_ms);
	}
	return reply;
}

/* What it was worth, for the circuit and for statistics. */
static void
note(struct remote *r, const struct reply *reply, int64_t began_us, bool closed)
{
	atomic_fetch_add(&r->calls, 1);
	atomic_store(&r->last_us, clock_us() - began_us);
	if (reply->type == REPLY_NONE) {
		atomic_fetch_add(&r->failures, 1);
		complain(r, span_of("no answer in time"));
		breaker_failure(&r->breaker, clock_ms());
		return;
	}
	breaker_success(&r->breaker);
	if (!closed) {
		log_event(LOG_INFO, "redis", "answers again");
		atomic_store(&r->complained_ms, 0);
	}
}

static struct reply
call(struct remote *r, const struct call *c)
{
	int64_t began = clock_us();
	struct reply reply = { 0 };
	bool closed = breaker_state(&r->breaker, clock_ms()) == BREAKER_CLOSED;

	if (!breaker_allow(&r->breaker, clock_ms()))
		return reply;
	reply = attempt(r, c);
	note(r, &reply, began, closed);
	return reply;
}

/* ---- what is asked ---- */

struct reply
remote_command(struct remote *r, const struct span *words, int count, int wait_ms)
{
	struct call c = { .args = words, .arg_count = count, .wait_ms = wait_ms };

	return call(r, &c);
}

struct reply
remote_script(struct remote *r, enum remote_script script, const struct span *keys, int key_count,
    const struct span *args, int arg_count)
{
	struct call c = { script, keys, key_count, args, arg_count, r->config.deadline_ms };

	return call(r, &c);
}

/* Only where there is nothing to settle, to connect or to probe. */
bool
remote_send(struct remote *r, enum remote_script script, const struct span *keys, int key_count,
    const struct span *args, int arg_count, int wait_ms, struct remote_sent *sent)
{
	struct call c = { script, keys, key_count, args, arg_count, wait_ms };
	int64_t now = clock_ms();
	struct redis *conn = NULL;

	sent->conn = NULL;
	if (breaker_state(&r->breaker, now) == BREAKER_CLOSED && remote_trusted(r))
		conn = take_quiet(r);
	if (!conn)
		return false;
	if (say(conn, &c, wait_ms ? now + wait_ms : 0))
		sent->conn = conn;
	else
		redis_close(conn);
	return sent->conn != NULL;
}

bool
remote_take(struct remote *r, struct remote_sent *sent, struct reply *reply)
{
	int64_t began = clock_us();
	int64_t until_ms = clock_ms() + r->config.deadline_ms;
	struct redis *conn = sent->conn;

	memset(reply, 0, sizeof(*reply));
	sent->conn = NULL;
	if (!conn)
		return false;
	*reply = hear_on(r, conn, until_ms);
	if (reply->type == REPLY_NONE && clock_ms() < until_ms)
		return false;
	note(r, reply, began, true);
	return true;
}

void
remote_drop(struct remote_sent *sent)
{
	redis_close(sent->conn);
	sent->conn = NULL;
}

struct span
remote_entry_name(const struct remote *r, struct span key, char text[REMOTE_KEY_BYTES])
{
	size_t len = strlen(r->prefix);

	if (key.len == 0 || len + 2 + key.len > REMOTE_KEY_BYTES)
		return span_make(text, 0);
	memcpy(text, r->prefix, len);
	memcpy(text + len, "k:", 2);
	memcpy(text + len + 2, key.at, key.len);
	return span_make(text, len + 2 + key.len);
}
