#include "routes/control.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cache/pack.h"
#include "routes/tend.h"
#include "sql.h"
#include "web/traffic.h"

#define LIMIT_MAX 1000
#define BODY_MAX_BYTES ((size_t)2 << 20)

/* ---- the envelope ---- */

void
control_begin(struct json *j, const char *action)
{
	json_open(j, NULL, '{');
	json_bool(j, "success", true);
	json_text(j, "action", span_of(action));
	json_open(j, "data", '{');
}

enum status
control_end(struct call *c, struct json *j)
{
	char now[CLOCK_ISO_BYTES];
	char *text;

	json_close(j, '}');
	clock_iso(clock_wall_ms(), now);
	json_text(j, "timestamp", span_of(now));
	json_close(j, '}');
	text = buf_take(j->to);
	if (!text)
		return BUSY;
	respond_json(c->rq, OK, span_of(text));
	c->rq->response.hold = text;
	c->rq->response.release = free;
	return OK;
}

enum status
control_refuse(struct call *c, const char *why)
{
	struct buf b;
	struct json j = { &b, false };
	char *text;

	buf_init(&b, 1024);
	json_open(&j, NULL, '{');
	json_bool(&j, "success", false);
	json_text(&j, "error", span_of(why));
	json_close(&j, '}');
	text = buf_ok(&b) ? arena_copy(&c->rq->arena, buf_span(&b)) : NULL;
	if (text)
		respond_json(c->rq, BAD_REQUEST, span_make(text, b.len));
	buf_free(&b);
	return BAD_REQUEST;
}

/* GET works for old scripts, but a link on another site must not. */
bool
control_may_act(const struct call *c)
{
	return c->rq->user.operator|| !c->rq->user.by_cookie || call_has_proof(c);
}

const char *
control_route_name(int route)
{
	return route < route_count ? routes[route].at.path : "none";
}

const char *
control_route_method(int route)
{
	return route < route_count ? method_name(routes[route].at.method) : "any";
}

uint64_t
control_answers(const struct app *app, int route, enum status st)
{
	unsigned first = app->traffic + (unsigned)route * TRAFFIC_CELLS + TRAFFIC_STATUS;
	uint64_t n = 0;

	for (unsigned other = 0; other < STATUS_COUNT; other++) {
		if (status_code((enum status)other) != status_code(st))
			continue;
		if (other < st)
			return 0;
		n += metrics_sum(first + other);
	}
	return n;
}

/* ---- patterns ---- */

bool
control_matches(struct span pattern, struct span key)
{
	const char *star = NULL;
	const char *p = pattern.at;
	const char *p_end = p + pattern.len;
	const char *k = key.at;
	const char *k_end = k + key.len;
	const char *from = NULL;

	while (k < k_end) {
		if (p < p_end && *p == '*') {
			star = p++;
			from = k;
		} else if (p < p_end && *p == *k) {
			p++;
			k++;
		} else if (star) {
			p = star + 1;
			k = ++from;
		} else {
			return false;
		}
	}
	while (p < p_end && *p == '*')
		p++;
	return p == p_end;
}

/* ---- keys ---- */

struct listing {
	const struct cache_policy *policies;
	struct span pattern;
	struct json *j;
	int64_t now_ms;
	int64_t room;
	int64_t matched;
};

static void
list_key(void *ctx, const struct entry *e)
{
	struct listing *l = ctx;

	if (l->policies[e->policy].internal || !control_matches(l->pattern, entry_key(e)))
		return;
	if (l->matched++ >= l->room)
		return;
	json_open(l->j, NULL, '{');
	json_text(l->j, "key", entry_key(e));
	json_text(l->j, "prefix", span_of(l->policies[e->policy].prefix));
	json_whole(l->j, "bytes", (int64_t)entry_bytes(e));
	json_whole(l->j, "ttlMs", e->expires_ms - l->now_ms);
	json_whole(l->j, "reads", atomic_load_explicit(&e->reads, memory_order_relaxed));
	json_whole(l->j, "loads", e->loads);
	json_close(l->j, '}');
}

enum status
control_keys(struct call *c)
{
	struct cache *cache = c->app->cache;
	struct buf b;
	struct json j = { &b, false };
	struct listing l = { .j = &j, .pattern = c->params[CONTROL_PATTERN], .now_ms = c->now_ms };
	int count;

	(void)text_number(c->params[CONTROL_LIMIT], &l.room);
	if (l.pattern.len == 0)
		l.pattern = span_of("*");
	l.policies = cache_policies(cache, &count);
	buf_init(&b, CONTROL_ANSWER_BYTES);
	control_begin(&j, "keys");
	json_open(&j, "keys", '[');
	memory_walk(cache_memory(cache), c->now_ms, list_key, &l);
	json_close(&j, ']');
	json_whole(&j, "matched", l.matched);
	return control_end(c, &j);
}

/* ---- one ---- */

/* JSON as it is; what is stored compressed is unpacked. */
static void
put_body(struct json *j, const struct entry *e)
{
	struct span body = entry_body(e);
	size_t len = 0;
	char *plain = e->gzip ? pack_gunzip(body, BODY_MAX_BYTES, &len) : NULL;

	if (plain)
		body = span_make(plain, len);
	else if (e->gzip || e->absent)
		body = span_of("null");
	json_raw(j, "body", body);
	free(plain);
}

enum status
control_get(struct call *c)
{
	struct cache *cache = c->app->cache;
	struct span key = c->params[CONTROL_KEY];
	struct buf b;
	struct json j = { &b, false };
	struct entry *e;
	const struct cache_policy *policies;
	int count;

	if (key.len == 0)
		return control_refuse(c, "Say which: key=...");
	policies = cache_policies(cache, &count);
	e = memory_find(cache_memory(cache), key, c->now_ms);
	if (!e || policies[e->policy].internal) {
		entry_release(e);
		respond_problem(c->rq, NOT_FOUND, "No such key is in the memory of this instance.");
		return NOT_FOUND;
	}
	buf_init(&b, CONTROL_ANSWER_BYTES);
	control_begin(&j, "get");
	json_text(&j, "key", key);
	json_text(&j, "prefix", span_of(policies[e->policy].prefix));
	json_text(&j, "level", span_of("memory"));
	json_whole(&j, "bytes", (int64_t)entry_bytes(e));
	json_whole(&j, "bodyBytes", (int64_t)entry_body(e).len);
	json_bool(&j, "gzip", e->gzip);
	json_whole(&j, "ttlMs", e->expires_ms - c->now_ms);
	json_text(&j, "etag", entry_etag(e));
	json_whole(&j, "reads", atomic_load_explicit(&e->reads, memory_order_relaxed));
	json_whole(&j, "loads", e->loads);
	json_bool(&j, "absent", e->absent);
	put_body(&j, e);
	entry_release(e);
	return control_end(c, &j);
}

/* ---- changes ---- */

/* Told by the outbox, every other instance does the same.  *id is the
 * transaction that says so, 0 if the database cannot be reached. */
enum status
control_tell(struct call *c, enum cache_cause cause, struct span lines, uint64_t *id)
{
	struct row row = { 0 };
	struct row mine = { 0 };
	struct tx *tx;
	int64_t number = 0;
	enum status st = tx_begin(c->app->db, &tx);

	*id = 0;
	if (st != OK)
		return st;
	st = tx_run(tx, SQL(outbox_note), &lines, 1, &row);
	if (st == OK)
		st = tx_run(tx, SQL(outbox_mine), NULL, 0, &mine);
	if (st == OK && text_number(mine.body, &number))
		*id = (uint64_t)number;
	cache_expect(c->app->cache, cause, *id);
	row_free(&row);
	row_free(&mine);
	if (st == OK)
		return tx_commit(tx);
	tx_abandon(tx);
	return st;
}

bool
control_is_dry(const struct call *c)
{
	struct span dry = c->params[CONTROL_DRY_RUN];

	return dry.len && !span_is(dry, "0");
}

/* ---- clear, warm ---- */

enum status
control_clear_preview(struct call *c)
{
	struct memory_stats m;
	struct remote_stats remote = { 0 };
	struct buf b;
	struct json j = { &b, false };

	memory_read_stats(cache_memory(c->app->cache), &m);
	if (c->app->remote)
		remote_read_stats(c->app->remote, &remote);
	buf_init(&b, 4096);
	control_begin(&j, "clear");
	json_bool(&j, "dryRun", true);
	json_whole(&j, "touched", (int64_t)(m.entries > remote.keys ? m.entries : remote.keys));
	return control_end(c, &j);
}

enum status
control_warm(struct call *c)
{
	struct buf b;
	struct json j = { &b, false };
	bool dry = control_is_dry(c);

	if (!control_may_act(c))
		return FORBIDDEN;
	if (c->app->config->warm_keys == 0)
		return control_refuse(c, "Warming is off: PUPITRE_WARM_KEYS is 0.");
	if (!dry)
		tend_warm(c->app->tend, "operator");
	buf_init(&b, 4096);
	control_begin(&j, "warm");
	json_bool(&j, "dryRun", dry);
	json_whole(&j, "keys", (int64_t)tend_hot(c->app->tend));
	return control_end(c, &j);
}
