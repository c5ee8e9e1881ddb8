/*
 * /metrics: what is counted, in the text format of Prometheus (exposition format
 * 0.0.4).  Base units; no id is ever a label.  Families are in tables; what has
 * no value yet is left out where it has labels of routes.
 */
#include "routes/control.h"
#include "routes/handlers.h"

#include <dirent.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sink.h"
#include "base/version.h"
#include "routes/tend.h"
#include "web/traffic.h"

#define TEXT_BYTES ((size_t)4 << 20)
#define LABELS_BYTES 256

struct scrape {
	struct buf *to;
	struct call *call;
	struct app *app;
	const struct cache_policy *policies;
	int policy_count;
	struct cache_counters counters[CACHE_MAX_POLICIES];
	struct memory_use use[MEMORY_POLICIES];
};

static void
family(struct scrape *s, const char *name, const char *type, const char *help)
{
	buf_printf(s->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
one(struct scrape *s, const char *name, const char *type, const char *help, double value)
{
	family(s, name, type, help);
	buf_printf(s->to, "%s %.15g\n", name, value);
}

static void
gauge(struct scrape *s, const char *name, const char *help, double value)
{
	one(s, name, "gauge", help, value);
}

static void
counter(struct scrape *s, const char *name, const char *help, uint64_t value)
{
	family(s, name, "counter", help);
	buf_printf(s->to, "%s %" PRIu64 "\n", name, value);
}

/* LABELS without braces, perhaps none. */
static void
put_histogram(
    struct scrape *s, const char *name, const char *labels, const struct metrics_histogram *h)
{
	const char *comma = *labels ? "," : "";
	uint64_t below = 0;

	if (h->count == 0)
		return;
	for (int i = 0; i < METRICS_BOUNDS; i++) {
		below += h->counts[i];
		buf_printf(s->to, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma,
		    (double)metrics_bounds_us[i] / 1e6, below);
	}
	buf_printf(
	    s->to, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, h->count);
	buf_printf(s->to, *labels ? "%s_sum{%s} %.6f\n" : "%s_sum%s %.6f\n", name, labels,
	    (double)h->sum_us / 1e6);
	buf_printf(s->to, *labels ? "%s_count{%s} %" PRIu64 "\n" : "%s_count%s %" PRIu64 "\n", name,
	    labels, h->count);
}

/* ---- the process ---- */

static double
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (f && fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	double n = -3; /* ".", ".." and the folder itself */

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void
put_process(struct scrape *s)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	family(s, "pupitre_build_info", "gauge", "Always 1; the label says which version.");
	buf_text(s->to, "pupitre_build_info{version=\"" PUPITRE_VERSION "\"} 1\n");
	gauge(s, "process_start_time_seconds", "When the process started, since 1970.",
	    (double)s->app->started_ms / 1000);
	one(s, "process_cpu_seconds_total", "counter", "Processor time, user and system.",
	    (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		(double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	gauge(s, "process_resident_memory_bytes", "Memory that is in use.", resident_bytes());
	gauge(s, "process_open_fds", "Open descriptors.", open_files());
}

/* ---- requests ---- */

static void
put_answers(struct scrape *s)
{
	family(s, "pupitre_requests_total", "counter", "Requests that were answered.");
	for (int i = 0; i <= route_count; i++) {
		for (unsigned st = 0; st < STATUS_COUNT; st++) {
			uint64_t n = control_answers(s->app, i, (enum status)st);

			if (n)
				buf_printf(s->to,
				    "pupitre_requests_total{route=\"%s\",method=\"%s\",status=\"%d\"}"
				    " %" PRIu64 "\n",
				    control_route_name(i), control_route_method(i),
				    status_code((enum status)st), n);
		}
	}
}

static void
put_times(struct scrape *s, const char *name, const char *help, bool whole)
{
	char labels[LABELS_BYTES];

	family(s, name, "histogram", help);
	for (int i = 0; i <= route_count; i++) {
		unsigned first = s->app->traffic + (unsigned)i * TRAFFIC_CELLS;
		struct metrics_histogram h = { 0 };

		metrics_add_histogram(first + TRAFFIC_HIT, &h);
		if (whole)
			metrics_add_histogram(first + TRAFFIC_OTHER, &h);
		snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\"",
		    control_route_name(i), control_route_method(i));
		put_histogram(s, name, labels, &h);
	}
}

static void
put_requests(struct scrape *s)
{
	put_answers(s);
	put_times(s, "pupitre_request_duration_seconds",
	    "From the last byte of the request to the last of the answer.", true);
	put_times(
	    s, "pupitre_hit_duration_seconds", "Those that were answered from memory.", false);
}

/* ---- the cache ---- */

/* By prefix. */
struct prefix_row {
	const char *family;
	const char *type;
	const char *help; /* empty: of the same family as the row before */
	const char *labels; /* behind the prefix */
	size_t at;
};

static const struct prefix_row cache_rows[] = {
#define X(name, json, family, labels, help) \
	{ family, "counter", help, labels, offsetof(struct cache_counters, name) },
	CACHE_COUNTERS(X)
#undef X
};

static const struct prefix_row memory_rows[] = {
#define X(name, json, family, type, help) \
	{ family, type, help, "", offsetof(struct memory_use, name) },
	MEMORY_COUNTERS(X)
#undef X
};

/* FIRST is the first policy's struct, of SIZE bytes each. */
static void
put_rows(
    struct scrape *s, const struct prefix_row *rows, size_t count, const void *first, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		const struct prefix_row *r = &rows[i];

		if (*r->help)
			family(s, r->family, r->type, r->help);
		for (int j = 0; j < s->policy_count; j++) {
			const char *at = (const char *)first + (size_t)j * size + r->at;

			if (s->policies[j].prefix)
				buf_printf(s->to, "%s{prefix=\"%s\"%s%s} %" PRIu64 "\n", r->family,
				    s->policies[j].prefix, *r->labels ? "," : "", r->labels,
				    *(const uint64_t *)(const void *)at);
		}
	}
}

#define PUT_ROWS(s, rows, of) put_rows(s, rows, sizeof(rows) / sizeof(rows[0]), of, sizeof((of)[0]))

static void
put_counters(struct scrape *s)
{
	struct memory_stats m;

	cache_read_counters(s->app->cache, s->counters);
	memory_read_use(cache_memory(s->app->cache), s->use);
	PUT_ROWS(s, cache_rows, s->counters);
	PUT_ROWS(s, memory_rows, s->use);
	memory_read_stats(cache_memory(s->app->cache), &m);
	gauge(s, "pupitre_cache_capacity_bytes", "Bound of the memory level.", (double)m.cap_bytes);
}

static void
put_policy_times(struct scrape *s, const char *name, const char *help, bool redis)
{
	char labels[LABELS_BYTES];

	family(s, name, "histogram", help);
	for (int i = 0; i < s->policy_count; i++) {
		struct metrics_histogram of_redis = { 0 };
		struct metrics_histogram of_load = { 0 };

		if (!s->policies[i].prefix)
			continue;
		cache_read_times(s->app->cache, i, &of_redis, &of_load);
		snprintf(labels, sizeof(labels), "prefix=\"%s\"", s->policies[i].prefix);
		put_histogram(s, name, labels, redis ? &of_redis : &of_load);
	}
}

static void
put_raises(struct scrape *s)
{
	static const char *const words[] = {
#define X(name) #name,
		CACHE_CAUSES(X)
#undef X
	};

	family(s, "pupitre_cache_raises_total", "counter", "Invalidations, by their cause.");
	for (int i = 0; i < CACHE_CAUSE_COUNT; i++)
		buf_printf(s->to, "pupitre_cache_raises_total{cause=\"%s\"} %" PRIu64 "\n",
		    words[i], cache_raises_by(s->app->cache, (enum cache_cause)i));
}

static void
put_cache(struct scrape *s)
{
	put_counters(s);
	put_policy_times(
	    s, "pupitre_cache_redis_duration_seconds", "How long Redis took for a look-up.", true);
	put_policy_times(s, "pupitre_cache_load_duration_seconds",
	    "How long PostgreSQL took for a load.", false);
	put_raises(s);
	gauge(s, "pupitre_cache_flights", "Loads under way.", (double)cache_flights(s->app->cache));
}

/* ---- what it depends on ---- */

static void
put_redis(struct scrape *s, const struct survey *v, const struct tend_state *t)
{
	gauge(s, "pupitre_redis_configured", "1: there is to be a Redis.", s->app->remote != NULL);
	if (!s->app->remote)
		return;
	gauge(s, "pupitre_redis_up", "1: it answered when last asked, within a second.",
	    t->redis.word == TEND_UP);
	gauge(s, "pupitre_redis_breaker_open", "1: it is not asked, after failures in a row.",
	    remote_is_open(s->app->remote));
	gauge(s, "pupitre_redis_keys", "Entries of ours in Redis.", (double)v->remote.keys);
	gauge(s, "pupitre_redis_bytes", "Their size, estimated.", (double)v->remote.bytes);
	if (v->server.used_bytes) {
		gauge(s, "pupitre_redis_used_bytes", "Memory that Redis uses, for everybody.",
		    (double)v->server.used_bytes);
		gauge(s, "pupitre_redis_max_bytes", "Its bound; 0: none.",
		    (double)v->server.max_bytes);
	}
	counter(s, "pupitre_redis_calls_total", "Calls.", v->remote.calls);
	counter(s, "pupitre_redis_failures_total", "Calls without an answer in time.",
	    v->remote.failures);
	counter(s, "pupitre_redis_epochs_total", "Times that everything in it was given up.",
	    v->remote.epochs);
}

static void
put_postgres(struct scrape *s, const struct tend_state *t)
{
	struct db_stats d;

	db_read_stats(s->app->db, &d);
	gauge(s, "pupitre_postgres_up", "0: the database cannot be reached.",
	    t->postgres.word == TEND_UP);
	family(s, "pupitre_db_connections", "gauge", "Connections of the pool.");
	buf_printf(s->to, "pupitre_db_connections{state=\"idle\"} %d\n", d.open - d.in_use);
	buf_printf(s->to, "pupitre_db_connections{state=\"busy\"} %d\n", d.in_use);
	gauge(s, "pupitre_db_pool_size", "Connections, at most.", (double)s->app->config->db_pool);
	gauge(s, "pupitre_db_waiting", "Callers that wait for a connection.", d.waiting);
	counter(s, "pupitre_db_connects_total", "Connections made.", d.connects);
	counter(s, "pupitre_db_failures_total", "Connections lost or refused.", d.failures);
	counter(s, "pupitre_db_timeouts_total", "Callers that got none in time.", d.timeouts);
	counter(s, "pupitre_db_reads_total", "Reads.", d.reads);
	counter(s, "pupitre_db_commits_total", "Transactions committed.", d.commits);
	one(s, "pupitre_db_wait_seconds_total", "counter",
	    "Time that callers have waited for a connection, together.", (double)d.waited_us / 1e6);
}

static void
put_workers(struct scrape *s)
{
	struct workers_stats w;

	workers_read_stats(s->app->workers, &w);
	gauge(s, "pupitre_workers", "Threads for what may block.", (double)w.threads);
	gauge(s, "pupitre_workers_busy", "Those that work.", (double)w.busy);
	gauge(s, "pupitre_queue_length", "Jobs that wait for one.", (double)w.queue_length);
	gauge(s, "pupitre_queue_limit", "Jobs that may wait.", (double)s->app->config->queue_limit);
	counter(s, "pupitre_jobs_total", "Jobs done.", w.jobs_done);
	counter(s, "pupitre_jobs_refused_total", "Jobs refused, because the queue was full.",
	    w.jobs_refused);
}

static void
put_listener(struct scrape *s, const struct survey *v)
{
	struct metrics_histogram delays = { 0 };
	struct cache_state state;

	metrics_add_histogram(s->app->delays, &delays);
	family(s, "pupitre_listener_delay_seconds", "histogram",
	    "From when a change was made, by whomever, until it was raised here.");
	put_histogram(s, "pupitre_listener_delay_seconds", "", &delays);
	cache_read_state(s->app->cache, &state);
	gauge(s, "pupitre_listener_trusted", "1: all changes of the database are heard of.",
	    state.trusted);
	if (state.silent_ms >= 0)
		gauge(s, "pupitre_listener_silence_seconds", "Since it was last heard.",
		    (double)state.silent_ms / 1000);
	counter(s, "pupitre_listener_lost_total",
	    "Times that changes were missed and the cache was given up.", state.lost);
	if (v->database)
		gauge(s, "pupitre_outbox_rows", "Changes that are kept, about.",
		    (double)v->outbox_rows);
}

static void
put_server(struct scrape *s)
{
	struct server *server = atomic_load(&s->app->server);
	struct server_stats n = { 0 };

	if (server)
		server_read_stats(server, &n);
	gauge(s, "pupitre_connections", "FastCGI connections.", (double)n.connections);
	counter(s, "pupitre_connections_accepted_total", "Accepted.", n.accepted);
	counter(s, "pupitre_connections_broken_total", "Closed: not FastCGI as nginx speaks it.",
	    n.broken);
	counter(s, "pupitre_connections_slow_total", "Closed: not whole, or not taken, in time.",
	    n.too_slow);
	counter(s, "pupitre_log_dropped_bytes_total", "Log lines for which there was no room.",
	    sink_lost());
}

static enum status
answer(struct call *c, struct buf *text)
{
	c->rq->response.hold = buf_take(text);
	if (!c->rq->response.hold)
		return BUSY;
	respond_json(c->rq, OK, span_of(c->rq->response.hold));
	c->rq->response.content_type = "text/plain; version=0.0.4; charset=utf-8";
	c->rq->response.release = free;
	return OK;
}

enum status
metrics(struct call *c)
{
	struct scrape *s = arena_alloc(&c->rq->arena, sizeof(*s));
	struct survey *v = arena_alloc(&c->rq->arena, sizeof(*v));
	struct tend_state t;
	struct buf text;

	if (!s || !v || !survey_read(c->app->surveyor, c->app, v))
		return BUSY;
	buf_init(&text, TEXT_BYTES);
	*s = (struct scrape){ .to = &text, .call = c, .app = c->app };
	s->policies = cache_policies(c->app->cache, &s->policy_count);
	tend_read(c->app->tend, &t);
	put_process(s);
	put_requests(s);
	put_cache(s);
	put_redis(s, v, &t);
	put_postgres(s, &t);
	put_workers(s);
	put_listener(s, v);
	put_server(s);
	survey_free(v);
	return answer(c, &text);
}
