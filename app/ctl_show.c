#include "ctl.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 64

/* ---- JSON ---- */

/* PATH is names with dots; NULL: there is no such thing. */
static struct json_object *
at(struct json_object *o, const char *path)
{
	char name[64];

	while (o && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!json_object_object_get_ex(o, name, &o))
			return NULL;
		path += len + (path[len] == '.');
	}
	return o;
}

/* Clean, and good until the eighth from now. */
static const char *
text(struct json_object *o, const char *path)
{
	static char copies[8][2400];
	static int next;
	char *to = copies[next++ % 8];

	ctl_clean(to, sizeof(copies[0]), json_object_get_string(at(o, path)));
	return to;
}

static long long
whole(struct json_object *o, const char *path)
{
	return json_object_get_int64(at(o, path));
}

static double
real(struct json_object *o, const char *path)
{
	return json_object_get_double(at(o, path));
}

static size_t
length(struct json_object *o)
{
	return json_object_is_type(o, json_type_array) ? json_object_array_length(o) : 0;
}

/* NULL: not JSON, or not only.  For json_object_put(). */
static struct json_object *
parse(const struct ctl_answer *a)
{
	struct json_tokener *t = a->len <= INT_MAX ? json_tokener_new_ex(DEPTH) : NULL;
	struct json_object *o = NULL;

	if (!t)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(t, a->body, (int)a->len);
	if (json_tokener_get_error(t) != json_tokener_success ||
	    json_tokener_get_parse_end(t) != a->len) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(t);
	return o;
}

bool
ctl_is_json(const struct ctl_answer *a)
{
	struct json_object *o = parse(a);

	json_object_put(o);
	return o != NULL;
}

/* Done with ALL; D is the part of it that was wanted. */
static int
done(const struct ctl_options *o, struct json_object *all, const struct json_object *d)
{
	bool fine = d != NULL;

	json_object_put(all);
	return fine ? CTL_FINE
		    : ctl_fail(o, CTL_FAILED,
			  "the answer makes no sense: are pupitre and pupitrectl of one version?");
}

/* ---- stats ---- */

static void
show_health(struct json_object *d)
{
	const char *pg = text(d, "health.postgres.state");
	const char *redis = text(d, "health.redis.state");
	bool trusted = json_object_get_boolean(at(d, "health.listener.trusted"));

	printf("%-12s %s (process %lld), version %s, %s, since %s\n", "instance",
	    text(d, "instance"), whole(d, "process"), text(d, "version"), text(d, "mode"),
	    text(d, "startedAt"));
	printf("%-12s %s%s%s; pool %lld of %lld busy, %lld wait, %.1f s waited\n", "PostgreSQL",
	    ctl_colour(strcmp(pg, "up") ? "bad" : "good"), pg, ctl_colour("off"),
	    whole(d, "health.postgres.pool.busy"), whole(d, "health.postgres.pool.size"),
	    whole(d, "health.postgres.pool.waiting"), real(d, "health.postgres.pool.waitSeconds"));
	printf("%-12s %s%s%s; %lld keys, %.1f MB\n", "Redis",
	    ctl_colour(strcmp(redis, "up") ? "bad" : "good"), redis, ctl_colour("off"),
	    whole(d, "health.redis.keys"), real(d, "health.redis.bytes") / 1048576);
	printf("%-12s %s%s%s; about %lld changes kept\n", "listener",
	    ctl_colour(trusted ? "good" : "bad"), trusted ? "trusted" : "silent", ctl_colour("off"),
	    whole(d, "health.listener.outboxRows"));
	printf("%-12s %lld entries, %.1f of %.0f MB\n", "memory", whole(d, "cache.entries"),
	    real(d, "cache.bytes") / 1048576, real(d, "cache.capacityBytes") / 1048576);
}

static void
show_prefix(struct json_object *p)
{
	long long hits = whole(p, "memoryHits") + whole(p, "redisHits") + whole(p, "collapsed");
	long long all = hits + whole(p, "misses");

	if (all == 0 && whole(p, "entries") == 0)
		return;
	printf("%-26s %6.1f%% %10lld %8lld %8lld %8lld %8lld %8lld\n", text(p, "prefix"),
	    all ? 100.0 * (double)hits / (double)all : 0.0, whole(p, "memoryHits"),
	    whole(p, "redisHits"), whole(p, "misses"), whole(p, "invalidated"),
	    whole(p, "evictions"), whole(p, "entries"));
}

int
ctl_show_stats(const struct ctl_options *o, const struct ctl_answer *a)
{
	struct json_object *all = parse(a);
	struct json_object *d = at(all, "data");
	struct json_object *prefixes = at(d, "cache.prefixes");

	if (!prefixes)
		return done(o, all, NULL);
	show_health(d);
	printf("\n%s%-26s %7s %10s %8s %8s %8s %8s %8s%s\n", ctl_colour("bold"), "prefix", "hits",
	    "memory", "redis", "loads", "changed", "evicted", "entries", ctl_colour("off"));
	for (size_t i = 0; i < length(prefixes); i++)
		show_prefix(json_object_array_get_idx(prefixes, i));
	return done(o, all, d);
}

/* ---- top, keys, get ---- */

static void
show_list(struct json_object *list, const char *title, const char *first, const char *second)
{
	printf("%s%s%s\n", ctl_colour("bold"), title, ctl_colour("off"));
	for (size_t i = 0; i < length(list) && i < 10; i++) {
		struct json_object *k = json_object_array_get_idx(list, i);

		printf("  %10lld %8lld  %s\n", whole(k, first), whole(k, second), text(k, "key"));
	}
	if (length(list) == 0)
		puts("  none");
}

int
ctl_show_top(const struct ctl_options *o, const struct ctl_answer *a)
{
	struct json_object *all = parse(a);
	struct json_object *d = at(all, "data");

	if (!at(d, "hottest"))
		return done(o, all, NULL);
	show_list(at(d, "hottest"), "most read: reads, loads", "reads", "loads");
	show_list(at(d, "loaded"), "most loaded: loads, reads", "loads", "reads");
	show_list(at(d, "biggest"), "biggest: bytes, reads", "bytes", "reads");
	return done(o, all, d);
}

int
ctl_show_keys(const struct ctl_options *o, const struct ctl_answer *a)
{
	struct json_object *all = parse(a);
	struct json_object *keys = at(all, "data.keys");

	for (size_t i = 0; i < length(keys); i++)
		puts(text(json_object_array_get_idx(keys, i), "key"));
	if (whole(all, "data.matched") > (long long)length(keys))
		fprintf(stderr, "pupitrectl: %zu of %lld shown; --limit N shows more\n",
		    length(keys), whole(all, "data.matched"));
	return done(o, all, keys);
}

int
ctl_show_entry(const struct ctl_options *o, const struct ctl_answer *a)
{
	struct json_object *all = parse(a);
	struct json_object *d = at(all, "data");

	if (!at(d, "key"))
		return done(o, all, NULL);
	printf("key     %s\nprefix  %s\nbytes   %lld%s\nttl     %.1f s\netag    %s\nreads   %lld\n"
	       "loads   %lld\n",
	    text(d, "key"), text(d, "prefix"), whole(d, "bytes"),
	    json_object_get_boolean(at(d, "gzip")) ? ", compressed" : "", real(d, "ttlMs") / 1000,
	    text(d, "etag"), whole(d, "reads"), whole(d, "loads"));
	ctl_put_pretty(json_object_to_json_string_ext(
	    at(d, "body"), JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	return done(o, all, d);
}

void
ctl_read_refusal(const struct ctl_answer *a, char *to, size_t room)
{
	struct json_object *all = parse(a);
	const char *why = text(all, "error");

	if (!*why)
		why = text(all, "detail");
	ctl_clean(to, room, *why ? why : "refused");
	json_object_put(all);
}

long long
ctl_number(const struct ctl_answer *a, const char *name)
{
	struct json_object *all = parse(a);
	struct json_object *o = at(at(all, "data"), name);
	long long n = json_object_is_type(o, json_type_int) ? json_object_get_int64(o) : -1;

	json_object_put(all);
	return n;
}

/* ---- for watch and doctor ---- */

static void
add_up(struct json_object *d, struct ctl_health *h)
{
	struct json_object *prefixes = at(d, "cache.prefixes");
	struct json_object *requests = at(d, "requests");

	for (size_t i = 0; i < length(prefixes); i++) {
		struct json_object *p = json_object_array_get_idx(prefixes, i);

		h->hits += whole(p, "memoryHits") + whole(p, "collapsed");
		h->redis_hits += whole(p, "redisHits");
		h->misses += whole(p, "misses");
		h->evictions += whole(p, "evictions");
		h->invalidated += whole(p, "invalidated");
	}
	for (size_t i = 0; i < length(requests); i++) {
		struct json_object *statuses =
		    at(json_object_array_get_idx(requests, i), "statuses");

		if (!json_object_is_type(statuses, json_type_object))
			continue;
		json_object_object_foreach(statuses, code, n)
		{
			(void)code;
			h->requests += json_object_get_int64(n);
		}
	}
}

static void
take(struct json_object *o, const char *path, char *to, size_t room)
{
	ctl_clean(to, room, json_object_get_string(at(o, path)));
}

/* "12:34:56 cause what tags" */
static void
take_change(struct json_object *r, char *to, size_t room)
{
	char cause[41];
	char what[41];
	char tags[61];
	const char *when = text(r, "at");

	take(r, "cause", cause, sizeof(cause));
	take(r, "what", what, sizeof(what));
	ctl_clean(tags, sizeof(tags),
	    json_object_to_json_string_ext(
		at(r, "tags"), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	snprintf(to, room, "%.8s %s %s %s", when + (strlen(when) > 19 ? 11 : 0), cause, what, tags);
}

static void
take_lists(struct json_object *d, struct ctl_health *h)
{
	struct json_object *hottest = at(d, "hottest");
	struct json_object *recent = at(d, "invalidations");

	for (size_t i = 0; i < length(hottest) && i < 5; i++) {
		struct json_object *k = json_object_array_get_idx(hottest, i);

		ctl_clean(h->hottest[h->hottest_count], sizeof(h->hottest[0]), text(k, "key"));
		h->reads[h->hottest_count++] = whole(k, "reads");
	}
	for (size_t i = 0; i < length(recent) && i < 5; i++)
		take_change(json_object_array_get_idx(recent, i), h->recent[h->recent_count++],
		    sizeof(h->recent[0]));
}

bool
ctl_read_health(const struct ctl_answer *a, struct ctl_health *h)
{
	struct json_object *all = parse(a);
	struct json_object *d = at(all, "data");
	bool fine = at(d, "health") != NULL;

	memset(h, 0, sizeof(*h));
	take(d, "instance", h->instance, sizeof(h->instance));
	take(d, "version", h->version, sizeof(h->version));
	take(d, "mode", h->mode, sizeof(h->mode));
	take(d, "health.postgres.state", h->postgres, sizeof(h->postgres));
	take(d, "health.redis.state", h->redis, sizeof(h->redis));
	h->trusted = json_object_get_boolean(at(d, "health.listener.trusted"));
	h->pool = whole(d, "health.postgres.pool.size");
	h->waiting = whole(d, "health.postgres.pool.waiting");
	h->wait_s = real(d, "health.postgres.pool.waitSeconds");
	h->queue = whole(d, "health.workers.queue");
	h->entries = whole(d, "cache.entries");
	h->bytes = whole(d, "cache.bytes");
	h->capacity = whole(d, "cache.capacityBytes");
	h->flights = whole(d, "flights");
	h->now_s = real(d, "nowMs") / 1000;
	add_up(d, h);
	take_lists(d, h);
	json_object_put(all);
	return fine;
}
