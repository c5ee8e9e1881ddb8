#include "cache/remote_pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#define EPOCH_BYTES 16

/* Why a server that answers cannot be used. */
static const char *const unusable[] = { "LOADING", "MISCONF", "NOAUTH", "WRONGPASS", "NOPERM",
	"READONLY", "MASTERDOWN", "CLUSTERDOWN", "MOVED" };

bool
remote_trusted(const struct remote *r)
{
	return atomic_load(&r->renewed) >= atomic_load(&r->demanded);
}

void
remote_distrust(struct remote *r)
{
	atomic_fetch_add(&r->demanded, 1);
}

/* ---- connections ---- */

static struct redis *
take_idle(struct remote *r)
{
	struct redis *conn = NULL;

	pthread_mutex_lock(&r->lock);
	if (r->idle_count > 0)
		conn = r->idle[--r->idle_count];
	pthread_mutex_unlock(&r->lock);
	return conn;
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

static bool
renew(struct remote *r, struct redis *conn, bool force, int64_t until_ms)
{
	uint64_t demand = atomic_load(&r->demanded);
	uint64_t seen = atomic_load(&r->renewed);
	char epoch[2 * EPOCH_BYTES + 1];
	struct span words[7] = {
		SPAN("EVALSHA"),
		span_of(redis_script_sha(conn, SCRIPT_EPOCH)),
		SPAN("1"),
		r->meta,
		span_of(redis_run_id(conn)),
		{ epoch, 2 * EPOCH_BYTES },
		span_of(force ? "1" : "0"),
	};
	struct reply reply;
	bool fine;

	random_hex(epoch, EPOCH_BYTES);
	reply = redis_ask(conn, words, 7, until_ms);
	fine = reply.type == REPLY_TEXT;
	if (fine && span_is(reply.text, epoch))
		atomic_fetch_add(&r->epochs, 1);
	reply_free(&reply);
	while (fine && force && seen < demand &&
	    !atomic_compare_exchange_weak(&r->renewed, &seen, demand))
		;
	return fine;
}

static struct redis *
open_one(struct remote *r)
{
	static const char *const scripts[REDIS_SCRIPTS] = {
		[SCRIPT_EPOCH] = script_epoch,
		[SCRIPT_GET] = script_get,
		[SCRIPT_PUT] = script_put,
		[SCRIPT_RAISE] = script_raise,
	};
	int64_t until_ms = clock_ms() + r->config.connect_ms;
	struct redis *conn = redis_open(&r->address, r->tls, scripts, until_ms);

	/* Another process, or restored data: what it holds is not ours. */
	if (conn && !renew(r, conn, !remote_trusted(r), until_ms)) {
		redis_close(conn);
		return NULL;
	}
	return conn;
}

/* An idle connection that is still there, or NULL. */
static struct redis *
take_quiet(struct remote *r)
{
	struct redis *conn;

	while ((conn = take_idle(r)) != NULL) {
		if (redis_quiet(conn))
			return conn;
		redis_close(conn);
	}
	return NULL;
}

/* ---- one call ---- */

typedef struct reply ask_fn(
    struct remote *r, struct redis *conn, const void *what, int64_t until_ms);

static bool
is_unusable(const struct reply *reply)
{
	if (reply->type != REPLY_FAULT)
		return false;
	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
		if (span_starts(reply->text, span_of(unusable[i])))
			return true;
	}
	return false;
}

/* On CONN, which is given back or closed.  REPLY_NONE: it did not work. */
static struct reply
ask_on(struct remote *r, struct redis *conn, ask_fn *ask, const void *what, int64_t until_ms)
{
	struct reply reply = { 0 };

	if (remote_trusted(r) || renew(r, conn, true, until_ms))
		reply = ask(r, conn, what, until_ms);
	if (is_unusable(&reply) ||
	    (reply.type == REPLY_FAULT && span_starts(reply.text, span_of("NOSCRIPT")))) {
		log_event(LOG_WARN, "redis", "%.*s", SPAN_ARG(reply.text));
		reply_free(&reply);
	}
	if (reply.type == REPLY_NONE)
		redis_close(conn);
	else
		give_back(r, conn);
	return reply;
}

static struct reply
attempt(struct remote *r, ask_fn *ask, const void *what, int wait_ms)
{
	int64_t until_ms = clock_ms() + wait_ms;
	struct redis *conn = take_quiet(r);
	struct reply reply = { 0 };

	if (conn) {
		reply = ask_on(r, conn, ask, what, until_ms);
		/* It may have died while it was idle, or its scripts were
		 * flushed: once more on a new one, if there is time. */
		if (reply.type != REPLY_NONE || clock_ms() >= until_ms)
			return reply;
	}
	conn = open_one(r);
	if (conn)
		reply = ask_on(r, conn, ask, what, clock_ms() + wait_ms);
	return reply;
}

static void
say_change(const struct remote *r, bool works)
{
	bool closed = breaker_state(&r->breaker, clock_ms()) == BREAKER_CLOSED;

	if (works && !closed)
		log_event(LOG_INFO, "redis", "answers again");
	else if (!works && closed && atomic_load(&r->breaker.failures) == 0)
		log_event(LOG_WARN, "redis", "does not answer");
}

static struct reply
call(struct remote *r, ask_fn *ask, const void *what, int wait_ms)
{
	int64_t began = clock_us();
	struct reply reply = { 0 };

	if (!breaker_allow(&r->breaker, clock_ms()))
		return reply;
	reply = attempt(r, ask, what, wait_ms);
	say_change(r, reply.type != REPLY_NONE);
	atomic_fetch_add(&r->calls, 1);
	if (reply.type == REPLY_NONE) {
		atomic_fetch_add(&r->failures, 1);
		breaker_failure(&r->breaker, clock_ms());
	} else {
		breaker_success(&r->breaker);
	}
	atomic_store(&r->last_us, clock_us() - began);
	return reply;
}

/* ---- what is asked ---- */

struct words {
	const struct span *at;
	int count;
};

static struct reply
ask_words(struct remote *r, struct redis *conn, const void *what, int64_t until_ms)
{
	const struct words *words = what;

	(void)r;
	return redis_ask(conn, words->at, words->count, until_ms);
}

struct reply
remote_command(struct remote *r, const struct span *words, int count, int wait_ms)
{
	struct words what = { words, count };

	return call(r, ask_words, &what, wait_ms);
}

struct script_call {
	enum remote_script script;
	const struct span *keys;
	int key_count;
	const struct span *args;
	int arg_count;
};

static struct reply
ask_script(struct remote *r, struct redis *conn, const void *what, int64_t until_ms)
{
	static const char digits[] = "0123456789";
	const struct script_call *s = what;
	struct span words[REMOTE_WORDS_MAX];
	int n = 0;

	(void)r;
	words[n++] = span_of("EVALSHA");
	words[n++] = span_of(redis_script_sha(conn, (int)s->script));
	words[n++] = span_make(&digits[s->key_count], 1);
	for (int i = 0; i < s->key_count; i++)
		words[n++] = s->keys[i];
	words[n++] = span_of(redis_run_id(conn));
	for (int i = 0; i < s->arg_count; i++)
		words[n++] = s->args[i];
	return redis_ask(conn, words, n, until_ms);
}

struct reply
remote_script(struct remote *r, enum remote_script script, const struct span *keys, int key_count,
    const struct span *args, int arg_count)
{
	struct script_call what = { script, keys, key_count, args, arg_count };

	return call(r, ask_script, &what, r->config.deadline_ms);
}
