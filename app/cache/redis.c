#include "cache/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "base/buf.h"

#define READ_BYTES 65536
#define WORDS_MAX 300
/* No answer of ours is larger: a body's cap, and what stands around it. */
#define REPLY_BYTES (16u << 20)
/* Elements of a list: a server's word alone must not take memory. */
#define LIST_MAX 100000
#define GREETING_BYTES 65536

struct redis {
	struct transport *transport;
	redisReader *reader;
	redisReplyObjectFunctions makers;
	void *(*make_list)(const redisReadTask *task, int count);
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

static void *
make_bounded_list(const redisReadTask *task, int count)
{
	const struct redis *r = task->privdata;

	return count <= LIST_MAX ? r->make_list(task, count) : NULL;
}

static bool
make_reader(struct redis *r)
{
	r->reader = redisReaderCreate();
	if (!r->reader)
		return false;
	r->makers = *r->reader->fn;
	r->make_list = r->makers.createArray;
	r->makers.createArray = make_bounded_list;
	r->reader->fn = &r->makers;
	r->reader->privdata = r;
	return true;
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
		at[i] = words[i].at ? words[i].at : "";
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

/* The next answer; without one the connection is of no further use. */
static struct reply
next_reply(struct redis *r, int64_t until_ms)
{
	redisReply *raw = r->broken ? NULL : read_reply(r, until_ms);

	if (!raw)
		r->broken = true;
	return wrap(raw);
}

struct reply
redis_ask(struct redis *r, const struct span *words, int count, int64_t until_ms)
{
	(void)redis_send(r, words, count, until_ms);
	return next_reply(r, until_ms);
}

bool
redis_send(struct redis *r, const struct span *words, int count, int64_t until_ms)
{
	if (!r->broken && !send_words(r, words, count, until_ms))
		r->broken = true;
	return !r->broken;
}

struct reply
redis_answer(struct redis *r, int64_t until_ms)
{
	return next_reply(r, until_ms);
}

/* ---- the greeting ---- */

enum answer { ANSWER_OK, ANSWER_ANY, ANSWER_INFO, ANSWER_SHA };

/* Commands that are sent together, and what is expected of each answer. */
struct greeting {
	struct buf bytes;
	int count;
	enum answer expect[4 + REDIS_SCRIPTS];
};

static void
add_step(struct greeting *g, enum answer expect, const struct span *words, int count)
{
	g->expect[g->count++] = expect;
	buf_printf(&g->bytes, "*%d\r\n", count);
	for (int i = 0; i < count; i++) {
		buf_printf(&g->bytes, "$%zu\r\n", words[i].len);
		buf_span_add(&g->bytes, words[i]);
		buf_text(&g->bytes, "\r\n");
	}
}

static void
add_login(struct greeting *g, const struct remote_url *u)
{
	struct span words[3] = { SPAN("AUTH") };
	int count = 1;

	if (!*u->password)
		return;
	if (*u->user) /* without: the user "default" */
		words[count++] = span_of(u->user);
	words[count++] = span_of(u->password);
	add_step(g, ANSWER_OK, words, count);
}

static void
write_greeting(struct greeting *g, const struct remote_url *u, const char *const scripts[])
{
	static const struct span info[] = { SPAN("INFO"), SPAN("server") };
	static const struct span name[] = { SPAN("CLIENT"), SPAN("SETNAME"), SPAN("pupitre") };
	char number[16];
	struct span select[2] = { SPAN("SELECT"), { number, 0 } };

	add_login(g, u);
	if (u->database) {
		select[1].len = (size_t)snprintf(number, sizeof(number), "%d", u->database);
		add_step(g, ANSWER_OK, select, 2);
	}
	add_step(g, ANSWER_ANY, name, 3);
	add_step(g, ANSWER_INFO, info, 2);
	for (int i = 0; i < REDIS_SCRIPTS; i++) {
		struct span load[3] = { SPAN("SCRIPT"), SPAN("LOAD"), span_of(scripts[i]) };

		add_step(g, ANSWER_SHA, load, 3);
	}
}

/* Some servers have no such line, some users may not ask: then it is empty. */
static void
take_run_id(struct redis *r, struct span info)
{
	static const char label[] = "\nrun_id:";
	const char *at = info.len ? memmem(info.at, info.len, label, sizeof(label) - 1) : NULL;
	size_t len = 0;

	if (!at)
		return;
	at += sizeof(label) - 1;
	while (at + len < info.at + info.len && at[len] > ' ')
		len++;
	if (len < sizeof(r->run_id))
		memcpy(r->run_id, at, len);
}

static bool
take_answer(struct redis *r, enum answer expect, const struct reply *reply, int *scripts)
{
	switch (expect) {
	case ANSWER_OK:
		return reply->type == REPLY_TEXT && span_is(reply->text, "OK");
	case ANSWER_ANY:
		return reply->type != REPLY_NONE;
	case ANSWER_INFO:
		if (reply->type == REPLY_TEXT)
			take_run_id(r, reply->text);
		return reply->type != REPLY_NONE;
	case ANSWER_SHA:
		if (reply->type != REPLY_TEXT || reply->text.len != 40)
			return false;
		memcpy(r->shas[(*scripts)++], reply->text.at, 40);
		return true;
	}
	return false;
}

static bool
read_greeting(
    struct redis *r, const struct greeting *g, int64_t until_ms, char why[REDIS_WHY_BYTES])
{
	int scripts = 0;
	bool fine = true;

	for (int i = 0; fine && i < g->count; i++) {
		struct reply reply = next_reply(r, until_ms);

		fine = take_answer(r, g->expect[i], &reply, &scripts);
		if (!fine && reply.type == REPLY_FAULT)
			snprintf(why, REDIS_WHY_BYTES, "%.*s", SPAN_ARG(reply.text));
		reply_free(&reply);
	}
	return fine;
}

static bool
greet(struct redis *r, const struct remote_url *u, const char *const scripts[], int64_t until_ms,
    char why[REDIS_WHY_BYTES])
{
	struct greeting g = { .count = 0 };
	bool fine;

	snprintf(why, REDIS_WHY_BYTES, "%s", "no proper answer to the greeting in time");
	buf_init(&g.bytes, GREETING_BYTES);
	write_greeting(&g, u, scripts);
	fine = buf_ok(&g.bytes) &&
	    transport_write(r->transport, g.bytes.at, g.bytes.len, until_ms) &&
	    read_greeting(r, &g, until_ms, why);
	buf_free(&g.bytes);
	return fine;
}

struct redis *
redis_open(struct dialer *d, const char *const scripts[REDIS_SCRIPTS], int64_t until_ms,
    char why[REDIS_WHY_BYTES])
{
	struct redis *r = calloc(1, sizeof(*r));
	const char *word = "out of memory";

	if (r && make_reader(r))
		r->transport = transport_open(d, until_ms, &word);
	if (r && r->transport && greet(r, dialer_url(d), scripts, until_ms, why))
		return r;
	if (!r || !r->transport)
		snprintf(why, REDIS_WHY_BYTES, "%s", word);
	redis_close(r);
	return NULL;
}
