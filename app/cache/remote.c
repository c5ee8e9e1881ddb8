/*
 * What is said to Redis, and what its answers are worth.  Connections, circuit
 * and trust are in remote_pool.c, the scripts in remote_scripts.h.  Nothing
 * that comes from Redis is believed: numbers are parsed within bounds, and a
 * checksum binds a body to its key.
 */
#include "cache/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "cache/remote_pool.h"
#include "cache/tags.h"

#define KEY_BYTES 4096
#define SLOTS_TEXT_BYTES (TAG_MAX * 6 + 1)
#define BODY_BYTES (8u << 20)
#define TTL_MAX_MS (86400 * (int64_t)1000)
#define CLEAR_MS 5000
#define SCAN_COUNT "1000"

/* ---- opening ---- */

static struct span
named(const char *prefix, const char *name)
{
	char *text = malloc(strlen(prefix) + strlen(name) + 1);

	if (!text)
		return span_make(NULL, 0);
	snprintf(text, strlen(prefix) + strlen(name) + 1, "%s%s", prefix, name);
	return span_of(text);
}

struct remote *
remote_open(const struct remote_config *config, const char **why)
{
	size_t idle = (size_t)config->connections * sizeof(struct redis *);
	struct remote *r = calloc(1, sizeof(*r) + idle);

	*why = "out of memory";
	if (!r)
		return NULL;
	r->config = *config;
	pthread_mutex_init(&r->lock, NULL);
	breaker_init(&r->breaker, config->breaker_failures, config->breaker_ms);
	atomic_store(&r->demanded, 1);
	r->prefix = strdup(config->prefix);
	r->meta = named(config->prefix, "meta");
	r->index = named(config->prefix, "index");
	if (r->prefix && r->meta.at && r->index.at &&
	    transport_parse(config->url, &r->address, why)) {
		*why = "OpenSSL cannot start";
		r->tls = r->address.tls ? tls_new() : NULL;
		if (r->tls || !r->address.tls)
			return r;
	}
	remote_close(r);
	return NULL;
}

void
remote_close(struct remote *r)
{
	for (int i = 0; i < r->idle_count; i++)
		redis_close(r->idle[i]);
	tls_free(r->tls);
	pthread_mutex_destroy(&r->lock);
	free(r->prefix);
	free((char *)(uintptr_t)r->meta.at);
	free((char *)(uintptr_t)r->index.at);
	free(r);
}

char *
remote_url_of_upstash(const char *rest_url, const char *token)
{
	static const char hex[] = "0123456789ABCDEF";
	const char *host = rest_url + 8;
	size_t host_len = strcspn(host, "/?#");
	struct buf url;

	if (strncmp(rest_url, "https://", 8) != 0 || host_len == 0 ||
	    strcspn(host, ":@") < host_len)
		return NULL;
	buf_init(&url, KEY_BYTES);
	buf_text(&url, "rediss://default:");
	for (; *token; token++) {
		unsigned char c = (unsigned char)*token;

		if (text_is_id(span_make(token, 1)))
			buf_char(&url, *token);
		else
			buf_printf(&url, "%%%c%c", hex[c >> 4], hex[c & 15]);
	}
	buf_char(&url, '@');
	buf_add(&url, host, host_len);
	buf_text(&url, ":6379");
	return buf_take(&url);
}

/* ---- forms ---- */

static struct span
entry_name(struct remote *r, struct span key, char text[KEY_BYTES])
{
	int n = snprintf(text, KEY_BYTES, "%sk:%.*s", r->prefix, SPAN_ARG(key));

	return span_make(text, n > 0 && n < KEY_BYTES ? (size_t)n : 0);
}

static struct span
slots_text(const uint16_t *slots, size_t count, char text[SLOTS_TEXT_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < count && i < TAG_MAX; i++)
		n += (size_t)snprintf(
		    text + n, SLOTS_TEXT_BYTES - n, i ? ",%u" : "%u", (unsigned)slots[i]);
	return span_make(text, n);
}

static size_t
parse_slots(struct span text, uint16_t slots[TAG_MAX])
{
	size_t count = 0;

	while (text.len) {
		const char *comma = memchr(text.at, ',', text.len);
		size_t len = comma ? (size_t)(comma - text.at) : text.len;
		int64_t n;

		if (count == TAG_MAX || !text_number(span_make(text.at, len), &n) || n >= TAG_SLOTS)
			return 0;
		slots[count++] = (uint16_t)n;
		text = span_skip(text, comma ? len + 1 : len);
	}
	return count;
}

/* Binds the body to its key and to what it depends on. */
static void
checksum(struct span key, struct span slots, bool gzip, struct span etag, struct span body,
    char out[HASH_HEX_BYTES])
{
	char digest[HASH_HEX_BYTES];
	struct buf all;

	hash_hex(body, digest);
	buf_init(&all, 4 * KEY_BYTES);
	buf_printf(&all, "%zu:%.*s:%.*s:%d:%.*s:%s", key.len, SPAN_ARG(key), SPAN_ARG(slots), gzip,
	    SPAN_ARG(etag), digest);
	hash_hex(buf_span(&all), out);
	buf_free(&all);
}

/* ---- get ---- */

struct hold {
	struct reply reply;
	uint16_t slots[TAG_MAX];
};

static bool
read_hit(struct span key, const struct reply *reply, struct hold *hold, struct remote_value *out)
{
	struct reply ttl = reply_at(reply, 1);
	struct reply slots = reply_at(reply, 2);
	struct reply gzip = reply_at(reply, 3);
	struct reply etag = reply_at(reply, 4);
	struct reply body = reply_at(reply, 5);
	struct reply sum = reply_at(reply, 6);
	char expected[HASH_HEX_BYTES];

	if (ttl.type != REPLY_NUMBER || ttl.number <= 0 || ttl.number > TTL_MAX_MS ||
	    slots.type != REPLY_TEXT || gzip.type != REPLY_TEXT || etag.type != REPLY_TEXT ||
	    etag.text.len < 4 || etag.text.len > 64 || body.type != REPLY_TEXT ||
	    body.text.len > BODY_BYTES || sum.type != REPLY_TEXT)
		return false;
	out->gzip = span_is(gzip.text, "1");
	checksum(key, slots.text, out->gzip, etag.text, body.text, expected);
	out->slot_count = parse_slots(slots.text, hold->slots);
	if (!span_is(sum.text, expected) || out->slot_count == 0)
		return false;
	out->body = body.text;
	out->etag = etag.text;
	out->slots = hold->slots;
	out->ttl_ms = ttl.number;
	return true;
}

static void
read_token(const struct reply *reply, struct remote_token *token)
{
	struct reply epoch = reply_at(reply, 1);
	struct reply sequence = reply_at(reply, 2);
	int64_t n;

	if (epoch.type != REPLY_TEXT || epoch.text.len != sizeof(token->epoch) - 1 ||
	    sequence.type != REPLY_TEXT || !text_number(sequence.text, &n))
		return;
	memcpy(token->epoch, epoch.text.at, sizeof(token->epoch) - 1);
	token->epoch[sizeof(token->epoch) - 1] = '\0';
	token->sequence = (uint64_t)n;
	token->valid = true;
}

static enum remote_result
take_value(
    struct span key, struct reply *reply, struct remote_token *token, struct remote_value *out)
{
	struct reply flag = reply_at(reply, 0);
	struct hold *hold;

	if (flag.type != REPLY_NUMBER || flag.number != 1) {
		read_token(reply, token);
		return REMOTE_MISS;
	}
	hold = calloc(1, sizeof(*hold));
	if (!hold || !read_hit(key, reply, hold, out)) {
		free(hold);
		memset(out, 0, sizeof(*out));
		return REMOTE_MISS;
	}
	hold->reply = *reply;
	memset(reply, 0, sizeof(*reply));
	out->hold = hold;
	return REMOTE_HIT;
}

enum remote_result
remote_get(struct remote *r, struct span key, struct remote_token *token, struct remote_value *out)
{
	char epoch[33];
	char name[KEY_BYTES];
	struct span keys[3] = { entry_name(r, key, name), r->meta, r->index };
	struct span args[2] = { { epoch, 32 }, key };
	struct reply reply;
	enum remote_result result;

	memset(token, 0, sizeof(*token));
	memset(out, 0, sizeof(*out));
	random_hex(epoch, 16);
	reply = remote_script(r, SCRIPT_GET, keys, 3, args, 2);
	if (reply.type == REPLY_NONE)
		return REMOTE_DOWN;
	result = take_value(key, &reply, token, out);
	reply_free(&reply);
	return result;
}

void
remote_value_free(struct remote_value *v)
{
	struct hold *hold = v->hold;

	if (hold)
		reply_free(&hold->reply);
	free(hold);
	memset(v, 0, sizeof(*v));
}

/* ---- put ---- */

enum remote_put_result
remote_put(struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *v, bool listed)
{
	char name[KEY_BYTES];
	char number[24];
	char ttl[24];
	char slots[SLOTS_TEXT_BYTES];
	char sum[HASH_HEX_BYTES];
	struct span slots_span = slots_text(v->slots, v->slot_count, slots);
	struct span keys[3] = { entry_name(r, key, name), r->meta, r->index };
	struct span args[9];
	struct reply reply;
	enum remote_put_result result = REMOTE_NOT_STORED;

	if (!token->valid || v->body.len > BODY_BYTES || v->slot_count == 0 || keys[0].len == 0)
		return REMOTE_NOT_STORED;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)token->sequence);
	snprintf(ttl, sizeof(ttl), "%lld", (long long)v->ttl_ms);
	checksum(key, slots_span, v->gzip, v->etag, v->body, sum);
	args[0] = span_of(token->epoch);
	args[1] = span_of(number);
	args[2] = slots_span;
	args[3] = span_of(ttl);
	args[4] = span_of(v->gzip ? "1" : "0");
	args[5] = v->etag;
	args[6] = v->body;
	args[7] = span_of(sum);
	args[8] = listed ? key : span_of("");
	reply = remote_script(r, SCRIPT_PUT, keys, 3, args, 9);
	if (reply.type == REPLY_NUMBER)
		result = reply.number == 1 ? REMOTE_STORED : REMOTE_REFUSED;
	reply_free(&reply);
	return result;
}

/* ---- raise and clear ---- */

bool
remote_raise(struct remote *r, const uint16_t *slots, size_t count)
{
	char epoch[33];
	char text[SLOTS_TEXT_BYTES];
	struct span keys[1] = { r->meta };
	struct span args[2] = { { epoch, 32 }, slots_text(slots, count, text) };
	struct reply reply;
	bool confirmed;

	random_hex(epoch, 16);
	reply = remote_script(r, SCRIPT_RAISE, keys, 1, args, 2);
	confirmed = reply.type == REPLY_NUMBER;
	reply_free(&reply);
	if (!confirmed)
		remote_distrust(r);
	return confirmed;
}

static struct span
scan_pattern(const struct remote *r, char text[KEY_BYTES])
{
	size_t n = 0;

	for (const char *at = r->prefix; *at && n < KEY_BYTES - 8; at++) {
		if (strchr("*?[]^\\", *at))
			text[n++] = '\\';
		text[n++] = *at;
	}
	memcpy(text + n, "k:*", 4);
	return span_make(text, n + 3);
}

static bool
unlink_all(struct remote *r, const struct reply *keys)
{
	struct span words[256] = { SPAN("UNLINK") };
	bool fine = true;

	for (size_t i = 0; fine && i < keys->count;) {
		struct reply reply;
		int n = 1;

		while (n < 256 && i < keys->count)
			words[n++] = reply_at(keys, i++).text;
		reply = remote_command(r, words, n, r->config.deadline_ms * 4);
		fine = reply.type == REPLY_NUMBER;
		reply_free(&reply);
	}
	return fine;
}

/* One step; CURSOR is "0" after the last. */
static bool
scan_step(struct remote *r, char cursor[24], struct span pattern)
{
	struct span words[6] = { SPAN("SCAN"), span_of(cursor), SPAN("MATCH"), pattern,
		SPAN("COUNT"), SPAN(SCAN_COUNT) };
	struct reply reply = remote_command(r, words, 6, r->config.deadline_ms * 4);
	struct reply next = reply_at(&reply, 0);
	struct reply keys = reply_at(&reply, 1);
	bool fine = next.type == REPLY_TEXT && next.text.len < 24 && keys.type == REPLY_LIST;

	if (fine) {
		memcpy(cursor, next.text.at, next.text.len);
		cursor[next.text.len] = '\0';
		fine = unlink_all(r, &keys);
	}
	reply_free(&reply);
	return fine;
}

bool
remote_clear(struct remote *r)
{
	int64_t until_ms = clock_ms() + CLEAR_MS;
	char cursor[24] = "0";
	char pattern[KEY_BYTES];
	struct span words[2] = { SPAN("UNLINK"), r->index };
	struct reply reply;
	bool fine;

	/* The next thing said to Redis is a new epoch: from then on no entry is
	 * read, whatever becomes of the deleting. */
	remote_distrust(r);
	reply = remote_command(r, words, 2, r->config.deadline_ms * 4);
	fine = reply.type == REPLY_NUMBER;
	reply_free(&reply);
	while (fine && clock_ms() < until_ms) {
		fine = scan_step(r, cursor, scan_pattern(r, pattern));
		if (strcmp(cursor, "0") == 0)
			return fine;
	}
	return false;
}

bool
remote_ping(struct remote *r)
{
	struct span word = SPAN("PING");
	struct reply reply = remote_command(r, &word, 1, r->config.deadline_ms);
	bool fine = reply.type == REPLY_TEXT;

	reply_free(&reply);
	return fine;
}

/* ---- statistics ---- */

static int64_t
ask_number(struct remote *r, const struct span *words, int count)
{
	struct reply reply = remote_command(r, words, count, r->config.deadline_ms);
	int64_t n = reply.type == REPLY_NUMBER ? reply.number : -1;

	reply_free(&reply);
	return n;
}

static bool
count_keys(struct remote *r, struct remote_stats *out)
{
	char from[32];
	struct span words[4] = { SPAN("ZCOUNT"), r->index, { from, 0 }, SPAN("+inf") };
	int64_t n;

	/* The scores are Redis's time; ours may differ a little. */
	words[2].len = (size_t)snprintf(from, sizeof(from), "%lld", (long long)clock_wall_ms());
	n = ask_number(r, words, 4);
	out->keys = n > 0 ? (uint64_t)n : 0;
	return n >= 0;
}

static void
sample(struct remote *r, struct remote_stats *out)
{
	struct span words[4] = { SPAN("ZREVRANGE"), r->index, SPAN("0"), SPAN("4") };
	struct reply reply = remote_command(r, words, 4, r->config.deadline_ms);
	uint64_t bytes = 0;

	for (size_t i = 0; reply.type == REPLY_LIST && i < reply.count && i < 5; i++) {
		struct span key = reply_at(&reply, i).text;
		char name[KEY_BYTES];
		struct span ask[3] = { SPAN("HSTRLEN"), entry_name(r, key, name), SPAN("b") };
		int64_t n = ask_number(r, ask, 3);

		snprintf(out->sample[i], sizeof(out->sample[i]), "%.*s", SPAN_ARG(key));
		bytes += n > 0 ? (uint64_t)n + key.len : 0;
		out->samples++;
	}
	reply_free(&reply);
	if (out->samples)
		out->bytes = bytes / out->samples * out->keys;
}

void
remote_read_stats(struct remote *r, struct remote_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->reachable = count_keys(r, out);
	if (out->reachable && out->keys)
		sample(r, out);
	out->breaker = (int)breaker_state(&r->breaker, clock_ms());
	out->trusted = remote_trusted(r);
	out->calls = atomic_load(&r->calls);
	out->failures = atomic_load(&r->failures);
	out->epochs = atomic_load(&r->epochs);
	out->last_us = atomic_load(&r->last_us);
}
