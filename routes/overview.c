/*
 * All that the page and the command line show, in one answer: see
 * routes/openapi.json.  Totals since the start; who wants rates asks twice.
 */
#include "routes/control.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/version.h"
#include "routes/tend.h"
#include "routes/warm.h"
#include "web/traffic.h"

static void
put_time(struct json *j, const char *name, int64_t wall_ms)
{
	char text[CLOCK_ISO_BYTES];

	if (wall_ms <= 0) {
		json_raw(j, name, span_of("null"));
		return;
	}
	clock_iso(wall_ms, text);
	json_text(j, name, span_of(text));
}

/* ---- requests ---- */

static unsigned
cells_of(const struct app *app, int route)
{
	return app->traffic + (unsigned)route * TRAFFIC_CELLS;
}

static void
put_route(struct json *j, const struct app *app, int i)
{
	char code[8];
	bool any = false;

	for (unsigned st = 0; st < STATUS_COUNT; st++) {
		uint64_t n = control_answers(app, i, (enum status)st);

		if (n == 0)
			continue;
		if (!any) {
			json_open(j, NULL, '{');
			json_text(j, "route", span_of(control_route_name(i)));
			json_text(j, "method", span_of(control_route_method(i)));
			json_open(j, "statuses", '{');
		}
		any = true;
		snprintf(code, sizeof(code), "%d", status_code((enum status)st));
		json_whole(j, code, (int64_t)n);
	}
	if (any) {
		json_close(j, '}');
		json_close(j, '}');
	}
}

static void
put_requests(struct json *j, const struct app *app)
{
	json_open(j, "requests", '[');
	for (int i = 0; i <= route_count; i++)
		put_route(j, app, i);
	json_close(j, ']');
}

/* ---- latency ---- */

static void
put_histogram(struct json *j, const char *name, const struct metrics_histogram *h)
{
	if (h->count == 0)
		return;
	json_open(j, name, '{');
	json_open(j, "counts", '[');
	for (int i = 0; i < METRICS_BUCKETS; i++)
		json_whole(j, NULL, (int64_t)h->counts[i]);
	json_close(j, ']');
	json_real(j, "sum", (double)h->sum_us / 1e6);
	json_close(j, '}');
}

/* The routes' of both kinds: one name may have several methods, so its method
 * is part of the name here. */
static void
put_route_times(struct json *j, const struct app *app, const char *name, bool whole)
{
	json_open(j, name, '{');
	for (int i = 0; i <= route_count; i++) {
		struct metrics_histogram h = { 0 };
		char label[160];

		metrics_add_histogram(cells_of(app, i) + TRAFFIC_HIT, &h);
		if (whole)
			metrics_add_histogram(cells_of(app, i) + TRAFFIC_OTHER, &h);
		snprintf(
		    label, sizeof(label), "%s %s", control_route_method(i), control_route_name(i));
		put_histogram(j, label, &h);
	}
	json_close(j, '}');
}

static void
put_policy_times(struct json *j, struct app *app, const char *name, bool redis)
{
	int count;
	const struct cache_policy *policies = cache_policies(app->cache, &count);

	json_open(j, name, '{');
	for (int i = 0; i < count; i++) {
		struct metrics_histogram of_redis = { 0 };
		struct metrics_histogram of_load = { 0 };

		if (!policies[i].prefix)
			continue;
		cache_read_times(app->cache, i, &of_redis, &of_load);
		put_histogram(j, policies[i].prefix, redis ? &of_redis : &of_load);
	}
	json_close(j, '}');
}

static void
put_latency(struct json *j, struct app *app)
{
	struct metrics_histogram heard = { 0 };

	json_open(j, "latency", '{');
	json_open(j, "bounds", '[');
	for (int i = 0; i < METRICS_BOUNDS; i++)
		json_real(j, NULL, (double)metrics_bounds_us[i] / 1e6);
	json_close(j, ']');
	put_route_times(j, app, "request", true);
	put_route_times(j, app, "hit", false);
	put_policy_times(j, app, "redis", true);
	put_policy_times(j, app, "load", false);
	metrics_add_histogram(app->delays, &heard);
	put_histogram(j, "listener", &heard);
	json_close(j, '}');
}

/* ---- the cache ---- */

static void
put_prefix(struct json *j, struct app *app, int policy, const struct cache_policy *p,
    const struct cache_counters *n, const struct memory_use *use)
{
	json_open(j, NULL, '{');
	json_text(j, "prefix", span_of(p->prefix));
	json_bool(j, "internal", p->internal);
	json_real(j, "ttlS", (double)cache_ttl(app->cache, p->ttl) / 1000);
	json_real(j, "ttlFactor", cache_stretch(app->cache, policy) / 100.0);
#define X(name, outside, ...) json_whole(j, outside, (int64_t)n->name);
	CACHE_COUNTERS(X)
#undef X
#define X(name, outside, ...) json_whole(j, outside, (int64_t)use->name);
	MEMORY_COUNTERS(X)
#undef X
	json_close(j, '}');
}

static void
put_cache(struct json *j, struct app *app)
{
	struct memory_use use[MEMORY_POLICIES];
	struct cache_counters counters[CACHE_MAX_POLICIES];
	struct memory_stats m;
	int count;
	const struct cache_policy *policies = cache_policies(app->cache, &count);

	memory_read_stats(cache_memory(app->cache), &m);
	memory_read_use(cache_memory(app->cache), use);
	cache_read_counters(app->cache, counters);
	json_open(j, "cache", '{');
	json_whole(j, "bytes", (int64_t)m.bytes);
	json_whole(j, "capacityBytes", (int64_t)m.cap_bytes);
	json_whole(j, "entries", (int64_t)m.entries);
	json_open(j, "prefixes", '[');
	for (int i = 0; i < count; i++) {
		if (policies[i].prefix)
			put_prefix(j, app, i, &policies[i], &counters[i], &use[i]);
	}
	json_close(j, ']');
	json_close(j, '}');
	json_whole(j, "flights", (int64_t)cache_flights(app->cache));
}

/* ---- health ---- */

static void
put_word(struct json *j, const struct tend_health *h)
{
	static const char *const words[] = {
		[TEND_NONE] = "none", [TEND_UP] = "up", [TEND_DOWN] = "down", [TEND_OPEN] = "open"
	};

	json_text(j, "state", span_of(words[h->word]));
	put_time(j, "since", h->since_ms);
}

static void
put_postgres(struct json *j, struct app *app, const struct tend_health *h)
{
	struct db_stats d;

	db_read_stats(app->db, &d);
	json_open(j, "postgres", '{');
	put_word(j, h);
	json_open(j, "pool", '{');
	json_whole(j, "size", app->config->db_pool);
	json_whole(j, "open", d.open);
	json_whole(j, "busy", d.in_use);
	json_whole(j, "waiting", d.waiting);
	json_whole(j, "timeouts", (int64_t)d.timeouts);
	json_real(j, "waitSeconds", (double)d.waited_us / 1e6);
	json_whole(j, "reads", (int64_t)d.reads);
	json_whole(j, "commits", (int64_t)d.commits);
	json_whole(j, "failures", (int64_t)d.failures);
	json_close(j, '}');
	json_close(j, '}');
}

static void
put_redis(struct json *j, const struct tend_health *h, const struct survey *s)
{
	const struct remote_stats *r = &s->remote;

	json_open(j, "redis", '{');
	put_word(j, h);
	json_whole(j, "keys", (int64_t)r->keys);
	json_whole(j, "bytes", (int64_t)r->bytes);
	json_whole(j, "calls", (int64_t)r->calls);
	json_whole(j, "failures", (int64_t)r->failures);
	json_whole(j, "lastUs", r->last_us);
	json_text(j, "version", span_of(s->server.version));
	json_whole(j, "usedBytes", (int64_t)s->server.used_bytes);
	json_whole(j, "maxBytes", (int64_t)s->server.max_bytes);
	json_text(j, "policy", span_of(s->server.policy));
	json_whole(j, "evictedKeys", (int64_t)s->server.evicted_keys);
	json_close(j, '}');
}

static void
put_health(struct json *j, struct app *app, const struct survey *s, const struct tend_state *t)
{
	struct workers_stats w;
	struct cache_state state;

	cache_read_state(app->cache, &state);
	workers_read_stats(app->workers, &w);
	json_open(j, "health", '{');
	put_postgres(j, app, &t->postgres);
	put_redis(j, &t->redis, s);
	json_open(j, "listener", '{');
	json_bool(j, "trusted", state.trusted);
	json_whole(j, "silentMs", state.silent_ms);
	json_whole(j, "lost", (int64_t)state.lost);
	json_whole(j, "outboxRows", s->outbox_rows);
	json_close(j, '}');
	json_open(j, "workers", '{');
	json_whole(j, "threads", (int64_t)w.threads);
	json_whole(j, "busy", (int64_t)w.busy);
	json_whole(j, "queue", (int64_t)w.queue_length);
	json_whole(j, "queueLimit", app->config->queue_limit);
	json_whole(j, "refused", (int64_t)w.jobs_refused);
	json_close(j, '}');
	json_close(j, '}');
}

/* ---- keys ---- */

static void
put_keys(struct json *j, struct app *app, const char *name, const struct survey_list *l)
{
	int count;
	const struct cache_policy *policies = cache_policies(app->cache, &count);

	json_open(j, name, '[');
	for (int i = 0; i < l->count; i++) {
		const struct survey_key *k = &l->top[i];

		json_open(j, NULL, '{');
		json_text(j, "key", span_of(k->key));
		json_text(j, "prefix", span_of(policies[k->policy].prefix));
		json_whole(j, "reads", k->reads);
		json_whole(j, "loads", k->loads);
		json_whole(j, "recentReads", k->recent_reads);
		json_whole(j, "recentLoads", k->recent_loads);
		json_whole(j, "bytes", (int64_t)k->bytes);
		if (k->cause[0]) {
			json_text(j, "cause", span_of(k->cause));
			json_text(j, "what", span_of(k->what));
			json_text(j, "tag", span_of(k->tag));
		}
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
put_warming(struct json *j, const struct app *app, const struct warm_state *w)
{
	json_open(j, "warming", '{');
	json_text(j, "state", span_of(w->running ? "running" : "idle"));
	json_whole(j, "done", (int64_t)w->done);
	json_whole(j, "total", (int64_t)w->total);
	json_whole(j, "ratePerS", app->config->warm_rate);
	put_time(j, "lastAt", w->last_ms);
	if (w->cause)
		json_text(j, "cause", span_of(w->cause));
	else
		json_raw(j, "cause", span_of("null"));
	json_close(j, '}');
}

/* ---- what other memory would hit ---- */

#define SAMPLES_ENOUGH 1000

static void
put_shadow(struct json *j, struct app *app)
{
	struct shadow_result r;

	if (!cache_read_shadow(app->cache, &r))
		return;
	json_open(j, "curve", '{');
	json_text(j, "state", span_of(r.samples < SAMPLES_ENOUGH ? "warming" : "ready"));
	json_real(j, "sampleRate", r.rate);
	json_whole(j, "samples", (int64_t)r.samples);
	json_whole(j, "dropped", (int64_t)r.dropped);
	json_open(j, "points", '[');
	for (int i = 0; i < SHADOW_SIZES; i++) {
		json_open(j, NULL, '{');
		json_real(j, "factor", r.sizes[i].factor);
		json_whole(j, "bytes", (int64_t)r.sizes[i].bytes);
		json_real(j, "hitRatio", r.sizes[i].hit_ratio);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
	json_open(j, "strategies", '[');
	for (int i = 0; i < SHADOW_STRATEGIES; i++) {
		json_open(j, NULL, '{');
		json_text(j, "name", span_of(r.strategies[i].name));
		json_real(j, "hitRatio", r.strategies[i].hit_ratio);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
put_instance(struct json *j, struct call *c)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	json_text(j, "instance", span_of(host));
	json_whole(j, "process", getpid());
	json_text(j, "version", span_of(PUPITRE_VERSION));
	put_time(j, "startedAt", c->app->started_ms);
	json_whole(j, "nowMs", clock_ms());
	json_text(j, "mode", span_of(cache_is_strict(c->app->cache) ? "strict" : "bounded"));
}

enum status
control_overview(struct call *c)
{
	struct survey *s = arena_alloc(&c->rq->arena, sizeof(*s));
	struct tend_state t;
	struct warm_state w;
	struct buf b;
	struct json j = { &b, false };

	if (!s || !survey_read(c->app->surveyor, c->app, s))
		return BUSY;
	tend_read(c->app->tend, &t);
	warm_read(c->app->warm, &w);
	buf_init(&b, CONTROL_ANSWER_BYTES);
	control_begin(&j, "overview");
	put_instance(&j, c);
	put_requests(&j, c->app);
	put_latency(&j, c->app);
	put_cache(&j, c->app);
	put_health(&j, c->app, s, &t);
	put_keys(&j, c->app, "hottest", &s->hottest);
	put_keys(&j, c->app, "loaded", &s->loaded);
	put_keys(&j, c->app, "biggest", &s->biggest);
	json_raw(&j, "invalidations", span_of(s->outbox_latest ? s->outbox_latest : "[]"));
	put_shadow(&j, c->app);
	put_warming(&j, c->app, &w);
	survey_free(s);
	return control_end(c, &j);
}
