/*
 * The keys that there are, and one entry as it is stored: in the memory of this
 * instance, else in Redis.  Sessions and guards are nobody's to see, and the body
 * of an entry is for whom its route would give it.
 */
#include "routes/control.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "cache/pack.h"
#include "routes/question.h"

#define BODY_MAX_BYTES ((size_t)8 << 20)
#define KEY_ARENA_BYTES 16384

/* What is shown of an entry; of one in memory or in Redis. */
struct shown {
	struct span key;
	int policy;
	const struct entry *entry; /* NULL: it is in Redis */
	const struct remote_value *value;
	int64_t now_ms;
};

static void
put_shown(struct json *j, const struct cache_policy *policies, const struct shown *s)
{
	const struct entry *e = s->entry;
	size_t bytes = e ? entry_bytes(e) : s->key.len + s->value->body.len;

	json_text(j, "key", s->key);
	json_text(j, "prefix", span_of(policies[s->policy].prefix));
	json_text(j, "level", span_of(e ? "memory" : "redis"));
	json_whole(j, "bytes", (int64_t)bytes);
	json_whole(j, "ttlMs", e ? e->expires_ms - s->now_ms : s->value->ttl_ms);
	if (!e)
		return;
	json_whole(j, "reads", atomic_load_explicit(&e->reads, memory_order_relaxed));
	json_whole(j, "loads", e->loads);
}

/* The policy of a key that may be spoken of, and its VALUES in ARENA; -1: there
 * is none. */
static int
find_policy(const struct app *app, const struct cache_policy *policies, struct arena *arena,
    struct span key, struct span *values)
{
	const struct plan *plan = question_plan(app->plans, arena, key, values);

	return plan && !policies[plan->policy].internal ? plan->policy : -1;
}

static int
policy_of(const struct app *app, const struct cache_policy *policies, struct span key)
{
	struct span values[KEY_MAX_PARTS];
	struct arena arena;
	int policy;

	arena_init(&arena, KEY_ARENA_BYTES);
	policy = find_policy(app, policies, &arena, key, values);
	arena_free(&arena);
	return policy;
}

/* ---- many ---- */

struct listing {
	struct app *app;
	const struct cache_policy *policies;
	struct span pattern;
	struct json *j;
	int64_t now_ms;
	int64_t room;
	int64_t matched;
};

static void
list_one(struct listing *l, const struct shown *s)
{
	json_open(l->j, NULL, '{');
	put_shown(l->j, l->policies, s);
	json_close(l->j, '}');
}

static void
list_key(void *ctx, const struct entry *e)
{
	struct listing *l = ctx;

	if (l->policies[e->policy].internal || !control_matches(l->pattern, entry_key(e)))
		return;
	if (l->matched++ < l->room)
		list_one(l, &(struct shown){ entry_key(e), e->policy, e, NULL, l->now_ms });
}

/* One of Redis that memory has not; as long as there is room it is looked up, and
 * left out if it is not good any more. */
static bool
list_remote(void *ctx, struct span key)
{
	struct listing *l = ctx;
	struct cache *cache = l->app->cache;
	struct remote_value value = { 0 };
	struct remote_token token;
	struct entry *e;
	int policy;

	if (!control_matches(l->pattern, key))
		return true;
	e = memory_find(cache_memory(cache), key, l->now_ms);
	entry_release(e);
	if (e)
		return true;
	if (l->matched >= l->room) {
		l->matched++;
		return true;
	}
	policy = policy_of(l->app, l->policies, key);
	if (policy >= 0 && remote_get(cache_remote(cache), key, &token, &value) == REMOTE_HIT) {
		l->matched++;
		list_one(l, &(struct shown){ key, policy, NULL, &value, l->now_ms });
	}
	remote_value_free(&value);
	return true;
}

enum status
control_keys(struct call *c)
{
	struct cache *cache = c->app->cache;
	struct buf b;
	struct json j = { &b, false };
	struct listing l = {
		.app = c->app, .j = &j, .pattern = c->params[CONTROL_PATTERN], .now_ms = c->now_ms
	};
	bool whole = true;
	int count;

	(void)text_number(c->params[CONTROL_LIMIT], &l.room);
	if (l.pattern.len == 0)
		l.pattern = span_of("*");
	l.policies = cache_policies(cache, &count);
	buf_init(&b, CONTROL_ANSWER_BYTES);
	control_begin(&j, "keys");
	json_open(&j, "keys", '[');
	memory_walk(cache_memory(cache), c->now_ms, list_key, &l);
	if (cache_remote(cache))
		whole = remote_list(cache_remote(cache), span_of("*"), list_remote, &l);
	json_close(&j, ']');
	json_whole(&j, "matched", l.matched);
	json_bool(&j, "complete", whole);
	return control_end(c, &j);
}

/* ---- one ---- */

/* JSON as it is; what is stored compressed is unpacked. */
static void
put_body(struct json *j, struct span body, bool gzip)
{
	size_t len = 0;
	char *plain = gzip ? pack_gunzip(body, BODY_MAX_BYTES, &len) : NULL;

	if (plain)
		body = span_make(plain, len);
	else if (gzip)
		body = span_of("null");
	json_raw(j, "body", body);
	free(plain);
}

static enum status
give(struct call *c, const struct cache_policy *policies, const struct shown *s)
{
	const struct entry *e = s->entry;
	struct span body = e ? entry_body(e) : s->value->body;
	bool gzip = e ? e->gzip : s->value->gzip;
	bool absent = e && e->absent;
	struct buf b;
	struct json j = { &b, false };

	buf_init(&b, BODY_MAX_BYTES + CONTROL_ANSWER_BYTES);
	control_begin(&j, "get");
	put_shown(&j, policies, s);
	json_whole(&j, "bodyBytes", (int64_t)body.len);
	json_bool(&j, "gzip", gzip);
	json_text(&j, "etag", e ? entry_etag(e) : s->value->etag);
	json_bool(&j, "absent", absent);
	put_body(&j, absent ? span_of("null") : body, gzip && !absent);
	return control_end(c, &j);
}

static bool
is_caller(const char *name)
{
	return strcmp(name, "userId") == 0 || strcmp(name, "adminId") == 0;
}

static struct span
value_of(const struct route *r, const char *name, const struct span *values)
{
	int i = 0;

	while (strcmp(r->cache.by[i], name) != 0)
		i++;
	return values[i];
}

static bool
passes_guard(struct call *c, const struct route *r, const struct span *values)
{
	const char *const *by = r->guard->cache.by;
	struct span params[KEY_MAX_PARTS];
	struct row row = { 0 };
	bool passes;
	int n = 0;

	for (; n < KEY_MAX_PARTS && by[n]; n++)
		params[n] = is_caller(by[n]) ? call_user(c) : value_of(r, by[n], values);
	passes = db_read(c->app->db, r->guard->query, params, n, &row) == OK && row.found &&
	    span_is(row.body, "ok");
	row_free(&row);
	return passes;
}

/* The operator sees everything; an admin what the route would give him: not the
 * participants of somebody else's course. */
static bool
may_see(struct call *c, int policy, const struct span *values)
{
	const struct route *r = &routes[policy];

	if (c->rq->user.operator)
		return true;
	for (int i = 0; i < KEY_MAX_PARTS && r->cache.by[i]; i++) {
		if (is_caller(r->cache.by[i]) && !span_equal(values[i], call_user(c)))
			return false;
	}
	return !r->guard || passes_guard(c, r, values);
}

enum status
control_get(struct call *c)
{
	struct cache *cache = c->app->cache;
	struct span values[KEY_MAX_PARTS];
	struct shown s = { .key = c->params[CONTROL_KEY], .now_ms = c->now_ms };
	struct remote_value value = { 0 };
	struct remote_token token;
	const struct cache_policy *policies;
	struct entry *e;
	enum status st = NOT_FOUND;
	int count;

	if (s.key.len == 0)
		return control_refuse(c, "Say which: key=...");
	policies = cache_policies(cache, &count);
	s.policy = find_policy(c->app, policies, &c->rq->arena, s.key, values);
	if (s.policy >= 0 && !may_see(c, s.policy, values)) {
		respond_problem(c->rq, FORBIDDEN, "What it shows is not yours to see.");
		return FORBIDDEN;
	}
	e = s.policy < 0 ? NULL : memory_find(cache_memory(cache), s.key, c->now_ms);
	s.entry = e;
	s.value = &value;
	if (e ||
	    (s.policy >= 0 && cache_remote(cache) &&
		remote_get(cache_remote(cache), s.key, &token, &value) == REMOTE_HIT))
		st = give(c, policies, &s);
	else
		respond_problem(c->rq, NOT_FOUND,
		    "No such key is in the memory of this instance, or in Redis.");
	entry_release(e);
	remote_value_free(&value);
	return st;
}
