#include "routes/control.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "routes/warm.h"
#include "sql.h"
#include "web/traffic.h"

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
	return span_is(c->params[CONTROL_DRY_RUN], "1");
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
		warm_want(c->app->warm, "operator");
	buf_init(&b, 4096);
	control_begin(&j, "warm");
	json_bool(&j, "dryRun", dry);
	json_whole(&j, "keys", (int64_t)warm_count(c->app->warm));
	return control_end(c, &j);
}
