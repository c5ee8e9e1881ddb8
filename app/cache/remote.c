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
#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "cache/remote_pool.h"
#include "cache/tags.h"

#define BODY_BYTES (8u << 20)
#define ETAG_MIN_BYTES 4
#define ETAG_MAX_BYTES 64
#define CHECKED_BYTES 16384

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

/* False, with a word in *WHY, leaves what has been made so far in R. */
static bool
furnish(struct remote *r, const struct remote_config *config, const char **why)
{
	struct remote_url url;

	*why = "out of memory";
	r->prefix = strdup(config->prefix);
	r->meta = named(config->prefix, "meta");
	r->index = named(config->prefix, "index");
	if (!r->prefix || !r->meta.at || !r->index.at || !remote_url_parse(config->url, &url, why))
		return false;
	r->dialer = dialer_new(&url, why);
	return r->dialer != NULL;
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
	r->config.url = NULL; /* the caller's, and full of secrets */
	r->config.prefix = NULL;
	pthread_mutex_init(&r->lock, NULL);
	breaker_init(&r->breaker, config->breaker_failures, config->breaker_ms);
	random_hex(r->id, sizeof(r->id) / 2);
	if (furnish(r, config, why))
		return r;
	remote_close(r);
	return NULL;
}

void
remote_close(struct remote *r)
{
	for (int i = 0; i < r->idle_count; i++)
		redis_close(r->idle[i]);
	dialer_free(r->dialer);
	pthread_mutex_destroy(&r->lock);
	free(r->prefix);
	free((char *)(uintptr_t)r->meta.at);
	free((char *)(uintptr_t)r->index.at);
	free(r);
}

/* ---- forms ---- */

/* What a checksum binds together: all that is stored of an entry. */
struct stored {
	struct span key;
	struct span epoch;
	struct span number;
	struct span slots;
	struct span gzip;
	struct span etag;
	struct span body;
};

static void
checksum(const struct stored *s, char out[HASH_HEX_BYTES])
{
	const struct span parts[] = { s->key, s->epoch, s->number, s->slots, s->gzip, s->etag };
	char digest[HASH_HEX_BYTES];
	struct buf all;

	hash_hex(s->body, digest);
	buf_init(&all, CHECKED_BYTES);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		buf_printf(&all, "%zu:", parts[i].len);
		buf_span_add(&all, parts[i]);
	}
	buf_text(&all, digest);
	hash_hex(buf_span(&all), out);
	buf_free(&all);
}

static bool
is_sound(struct span etag, struct span body, int64_t ttl_ms)
{
	return etag.len >= ETAG_MIN_BYTES && etag.len <= ETAG_MAX_BYTES && body.len <= BODY_BYTES &&
	    ttl_ms > 0 && ttl_ms <= REMOTE_TTL_MAX_MS;
}

/* The epoch is 64 random bits, in hex; 0 is none. */
static uint64_t
parse_epoch(struct span text)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t n = 0;

	if (text.len != REMOTE_EPOCH_TEXT - 1)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *digit = memchr(digits, text.at[i], 16);

		if (!digit)
			return 0;
		n = n << 4 | (uint64_t)(digit - digits);
	}
	return n;
}

/* ---- get ---- */

struct hold {
	struct reply reply;
	uint16_t slots[TAG_MAX];
};

/* Elements of a hit; see script_get. */
enum {
	GOT_FLAG,
	GOT_EPOCH,
	GOT_SEQ,
	GOT_TTL,
	GOT_NUMBER,
	GOT_SLOTS,
	GOT_GZIP,
	GOT_ETAG,
	GOT_BODY,
	GOT_SUM
};

static bool
read_hit(struct span key, const struct reply *reply, struct hold *hold, struct remote_value *out)
{
	struct reply ttl = reply_at(reply, GOT_TTL);
	struct stored s = {
		.key = key,
		.epoch = reply_at(reply, GOT_EPOCH).text,
		.number = reply_at(reply, GOT_NUMBER).text,
		.slots = reply_at(reply, GOT_SLOTS).text,
		.gzip = reply_at(reply, GOT_GZIP).text,
		.etag = reply_at(reply, GOT_ETAG).text,
		.body = reply_at(reply, GOT_BODY).text,
	};
	char sum[HASH_HEX_BYTES];
	int64_t number;

	if (ttl.type != REPLY_NUMBER || !is_sound(s.etag, s.body, ttl.number) ||
	    !text_number(s.number, &number))
		return false;
	checksum(&s, sum);
	out->number = (uint64_t)number;
	out->slot_count = remote_parse_slots(s.slots, hold->slots);
	if (!span_is(reply_at(reply, GOT_SUM).text, sum) || out->slot_count == 0)
		return false;
	out->body = s.body;
	out->gzip = span_is(s.gzip, "1");
	out->etag = s.etag;
	out->slots = hold->slots;
	out->ttl_ms = ttl.number;
	return true;
}

static void
read_token(const struct reply *reply, struct remote_token *token)
{
	struct reply epoch = reply_at(reply, GOT_EPOCH);
	struct reply sequence = reply_at(reply, GOT_SEQ);
	int64_t n;

	if (epoch.type != REPLY_TEXT || sequence.type != REPLY_TEXT ||
	    !text_number(sequence.text, &n))
		return;
	token->epoch = parse_epoch(epoch.text);
	token->sequence = (uint64_t)n;
	token->valid = token->epoch != 0;
}

static enum remote_result
take_value(
    struct span key, struct reply *reply, struct remote_token *token, struct remote_value *out)
{
	struct reply flag = reply_at(reply, GOT_FLAG);
	bool hit = flag.type == REPLY_NUMBER && flag.number == 1;
	struct hold *hold = hit ? calloc(1, sizeof(*hold)) : NULL;

	/* One that is not whole has a token too: it is to be written over. */
	read_token(reply, token);
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

/* The words of the question for KEY. */
struct get {
	char epoch[2 * REMOTE_EPOCH_BYTES + 1];
	char name[REMOTE_KEY_BYTES];
	struct span keys[3];
	struct span args[2];
};

/* False: such a key is never stored. */
static bool
write_get(const struct remote *r, struct span key, struct get *g)
{
	random_hex(g->epoch, REMOTE_EPOCH_BYTES);
	g->keys[0] = remote_entry_name(r, key, g->name);
	g->keys[1] = r->meta;
	g->keys[2] = r->index;
	g->args[0] = span_make(g->epoch, 2 * REMOTE_EPOCH_BYTES);
	g->args[1] = key;
	return g->keys[0].len != 0;
}

bool
remote_get_send(struct remote *r, struct span key, struct remote_sent *sent)
{
	struct get g;

	sent->conn = NULL;
	return write_get(r, key, &g) && remote_send(r, SCRIPT_GET, g.keys, 3, g.args, 2, 0, sent);
}

enum remote_result
remote_get(struct remote *r, struct span key, struct remote_token *token, struct remote_value *out)
{
	struct remote_sent nothing = { NULL };

	return remote_get_end(r, key, &nothing, token, out);
}

enum remote_result
remote_get_end(struct remote *r, struct span key, struct remote_sent *sent,
    struct remote_token *token, struct remote_value *out)
{
	struct get g;
	struct reply reply;
	enum remote_result result;

	memset(token, 0, sizeof(*token));
	memset(out, 0, sizeof(*out));
	if (!remote_take(r, sent, &reply)) {
		if (!write_get(r, key, &g))
			return REMOTE_MISS;
		reply = remote_script(r, SCRIPT_GET, g.keys, 3, g.args, 2);
	}
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

/* The words of the storing of an entry; they point into it. */
struct put {
	char name[REMOTE_KEY_BYTES];
	char slots[REMOTE_SLOTS_TEXT];
	char epoch[REMOTE_EPOCH_TEXT];
	char number[24];
	char ttl[24];
	char sum[HASH_HEX_BYTES];
	struct span keys[3];
	struct span args[9];
};

/* False: such an entry is not stored. */
static bool
write_put(const struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *v, bool listed, struct put *p)
{
	struct stored s = {
		.key = key,
		.epoch = remote_epoch_text(token->epoch, p->epoch),
		.gzip = span_of(v->gzip ? "1" : "0"),
		.etag = v->etag,
		.body = v->body,
	};

	if (!token->valid || !is_sound(v->etag, v->body, v->ttl_ms) || v->slot_count == 0 ||
	    v->slot_count > TAG_MAX)
		return false;
	snprintf(p->number, sizeof(p->number), "%llu", (unsigned long long)token->sequence);
	snprintf(p->ttl, sizeof(p->ttl), "%lld", (long long)v->ttl_ms);
	s.number = span_of(p->number);
	s.slots = remote_slots_text(v->slots, v->slot_count, p->slots);
	checksum(&s, p->sum);
	memcpy(p->keys, ((struct span[]){ remote_entry_name(r, key, p->name), r->meta, r->index }),
	    sizeof(p->keys));
	memcpy(p->args,
	    ((struct span[]){ s.epoch, s.number, s.slots, span_of(p->ttl), s.gzip, s.etag, s.body,
		span_of(p->sum), listed ? key : span_of("") }),
	    sizeof(p->args));
	return p->keys[0].len != 0;
}

bool
remote_put_send(struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *v, bool listed, struct remote_sent *sent)
{
	struct put p;

	sent->conn = NULL;
	return write_put(r, key, token, v, listed, &p) &&
	    remote_send(r, SCRIPT_PUT, p.keys, 3, p.args, 9, r->config.deadline_ms, sent);
}

enum remote_put_result
remote_put(struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *v, bool listed)
{
	struct remote_sent nothing = { NULL };

	return remote_put_end(r, key, token, v, listed, &nothing);
}

enum remote_put_result
remote_put_end(struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *v, bool listed, struct remote_sent *sent)
{
	enum remote_put_result result = REMOTE_NOT_STORED;
	struct reply reply;
	struct put p;

	if (!remote_take(r, sent, &reply)) {
		if (!write_put(r, key, token, v, listed, &p))
			return REMOTE_NOT_STORED;
		reply = remote_script(r, SCRIPT_PUT, p.keys, 3, p.args, 9);
	}
	if (reply.type == REPLY_NUMBER)
		result = reply.number == 1 ? REMOTE_STORED : REMOTE_REFUSED;
	reply_free(&reply);
	return result;
}
