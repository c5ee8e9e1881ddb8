#include "cache/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#define READ_BYTES 65536
#define WORDS_MAX 300
/* No answer of ours is larger: a body's cap, and what stands around it. */
#define REPLY_BYTES (16u << 20)

struct redis {
	struct transport *transport;
	redisReader *reader;
	bool broken;
	char run_id[REDIS_RUN_ID_BYTES];
	char shas[REDIS_SCRIPTS][41];
};

void
redis_close(struct redis *r)
{
	if (!r)
		return;
	transport_close(r->transport);
	if (r->reader)
		redisReaderFree(r->reader);
	free(r);
}

bool
redis_fit(const struct redis *r)
{
	return !r->broken;
}

bool
redis_quiet(const struct redis *r)
{
	return !r->broken && transport_is_quiet(r->transport);
}

const char *
redis_run_id(const struct redis *r)
{
	return r->run_id;
}

const char *
redis_script_sha(const struct redis *r, int script)
{
	return r->shas[script];
}

/* ---- replies ---- */

static struct reply
wrap(redisReply *raw)
{
	struct reply r = { .raw = raw };

	if (!raw)
		return r;
	switch (raw->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		r.type = REPLY_TEXT;
		r.text = span_make(raw->str, (size_t)raw->len);
		break;
	case REDIS_REPLY_ERROR:
		r.type = REPLY_FAULT;
		r.text = span_make(raw->str, (size_t)raw->len);
		break;
	case REDIS_REPLY_INTEGER:
		r.type = REPLY_NUMBER;
		r.number = raw->integer;
		break;
	case REDIS_REPLY_ARRAY:
		r.type = REPLY_LIST;
		r.count = raw->elements;
		break;
	default:
		r.type = REPLY_NIL;
	}
	return r;
}

struct reply
reply_at(const struct reply *list, size_t i)
{
	redisReply *raw = list->raw;

	if (list->type != REPLY_LIST || i >= list->count)
		return wrap(NULL);
	return wrap(raw->element[i]);
}

void
reply_free(struct reply *reply)
{
	if (reply->raw)
		freeReplyObject(reply->raw);
	memset(reply, 0, sizeof(*reply));
}

/* ---- asking ---- */

static bool
send_words(struct redis *r, const struct span *words, int count, int64_t until_ms)
{
	const char *at[WORDS_MAX];
	size_t lens[WORDS_MAX];
	char *command = NULL;
	bool sent;
	int len;

	if (count > WORDS_MAX)
		return false;
	for (int i = 0; i < count; i++) {
		at[i] = words[i].at;
		lens[i] = words[i].len;
	}
	len = (int)redisFormatCommandArgv(&command, count, at, lens);
	if (len < 0)
		return false;
	sent = transport_write(r->transport, command, (size_t)len, until_ms);
	redisFreeCommand(command);
	return sent;
}

static redisReply *
read_reply(struct redis *r, int64_t until_ms)
{
	char bytes[READ_BYTES];
	size_t total = 0;
	void *raw = NULL;

	for (;;) {
		size_t n;

		if (redisReaderGetReply(r->reader, &raw) != REDIS_OK)
			return NULL;
		if (raw)
			return raw;
		n = transport_read(r->transport, bytes, sizeof(bytes), until_ms);
		total += n;
		if (n == 0 || total > REPLY_BYTES ||
		    redisReaderFeed(r->reader, bytes, n) != REDIS_OK)
			return NULL;
	}
}

struct reply
redis_ask(struct redis *r, const struct span *words, int count, int64_t until_ms)
{
	redisReply *raw = NULL;

	if (!r->broken && send_words(r, words, count, until_ms))
		raw = read_reply(r, until_ms);
	if (!raw)
		r->broken = true;
	return wrap(raw);
}

/* ---- opening ---- */

static bool
expect_ok(struct redis *r, const struct span *words, int count, int64_t until_ms)
{
	struct reply reply = redis_ask(r, words, count, until_ms);
	bool fine = reply.type == REPLY_TEXT && span_is(reply.text, "OK");

	reply_free(&reply);
	return fine;
}

static bool
log_in(struct redis *r, const struct transport_address *a, int64_t until_ms)
{
	struct span words[3] = { SPAN("AUTH") };
	int count = 1;

	if (!*a->password)
		return true;
	if (*a->user)
		words[count++] = span_of(a->user);
	words[count++] = span_of(a->password);
	return expect_ok(r, words, count, until_ms);
}

static bool
choose(struct redis *r, int database, int64_t until_ms)
{
	char number[16];
	struct span words[2] = { SPAN("SELECT"), { number, 0 } };

	if (database == 0)
		return true;
	words[1].len = (size_t)snprintf(number, sizeof(number), "%d", database);
	return expect_ok(r, words, 2, until_ms);
}

static bool
learn_run_id(struct redis *r, int64_t until_ms)
{
	struct span words[2] = { SPAN("INFO"), SPAN("server") };
	struct reply reply = redis_ask(r, words, 2, until_ms);
	const char *at = NULL;

	if (reply.type == REPLY_TEXT)
		at = memmem(reply.text.at, reply.text.len, "run_id:", 7);
	if (at && (size_t)(reply.text.at + reply.text.len - at) >= 7 + REDIS_RUN_ID_BYTES - 1)
		memcpy(r->run_id, at + 7, REDIS_RUN_ID_BYTES - 1);
	reply_free(&reply);
	return at != NULL;
}

static bool
load_script(struct redis *r, const char *text, char sha[41], int64_t until_ms)
{
	struct span words[3] = { SPAN("SCRIPT"), SPAN("LOAD"), span_of(text) };
	struct reply reply = redis_ask(r, words, 3, until_ms);
	bool fine = reply.type == REPLY_TEXT && reply.text.len == 40;

	if (fine)
		memcpy(sha, reply.text.at, 40);
	reply_free(&reply);
	return fine;
}

static bool
greet(struct redis *r, const struct transport_address *a, const char *const scripts[],
    int64_t until_ms)
{
	if (!log_in(r, a, until_ms) || !choose(r, a->database, until_ms) ||
	    !learn_run_id(r, until_ms))
		return false;
	for (int i = 0; i < REDIS_SCRIPTS; i++) {
		if (!load_script(r, scripts[i], r->shas[i], until_ms))
			return false;
	}
	return true;
}

struct redis *
redis_open(const struct transport_address *address, struct tls *tls,
    const char *const scripts[REDIS_SCRIPTS], int64_t until_ms)
{
	struct redis *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->transport = transport_open(address, tls, until_ms);
	r->reader = redisReaderCreate();
	if (r->transport && r->reader && greet(r, address, scripts, until_ms))
		return r;
	redis_close(r);
	return NULL;
}
