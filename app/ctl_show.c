#include "ctl.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What comes from a cache may hold anything: control bytes do not reach the
 * terminal, as json-c escapes them only when it writes JSON. */
static const char *
text(struct json_object *o, const char *path)
{
	static char copies[8][2400];
	static int next;
	const char *from = json_object_get_string(at(o, path));
	char *to = copies[next++ % 8];
	size_t n = 0;

	for (; from && *from && n < sizeof(copies[0]) - 1; from++)
		to[n++] = (unsigned char)*from < ' ' || *from == 0x7f ? '?' : *from;
	to[n] = '\0';
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

const char *
ctl_colour(const char *name)
{
	static const struct {
		const char *name;
		const char *code;
	} colours[] = { { "good", "\033[32m" }, { "warn", "\033[33m" }, { "bad", "\033[31m" },
		{ "bold", "\033[1m" }, { "off", "\033[0m" } };
	const char *no = getenv("NO_COLOR");

	if ((no && *no) || !isatty(STDOUT_FILENO))
		return "";
	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (strcmp(colours[i].name, name) == 0)
			return colours[i].code;
	}
	return "";
}

static int
no_sense(void)
{
	fputs("pupitrectl: the answer makes no sense\n", stderr);
	return CTL_FAILED;
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
ctl_show_stats(const char *json)
{
	struct json_object *all = json_tokener_parse(json);
	struct json_object *d = at(all, "data");
	struct json_object *prefixes = at(d, "cache.prefixes");

	if (!d)
		return no_sense();
	show_health(d);
	printf("\n%s%-26s %7s %10s %8s %8s %8s %8s %8s%s\n", ctl_colour("bold"), "prefix", "hits",
	    "memory", "redis", "loads", "changed", "evicted", "entries", ctl_colour("off"));
	for (size_t i = 0; i < length(prefixes); i++)
		show_prefix(json_object_array_get_idx(prefixes, i));
	json_object_put(all);
	return CTL_FINE;
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
ctl_show_top(const char *json)
{
	struct json_object *all = json_tokener_parse(json);
	struct json_object *d = at(all, "data");

	if (!d)
		return no_sense();
	show_list(at(d, "hottest"), "most read: reads, loads", "reads", "loads");
	show_list(at(d, "loaded"), "most loaded: loads, reads", "loads", "reads");
	show_list(at(d, "biggest"), "biggest: bytes, reads", "bytes", "reads");
	json_object_put(all);
	return CTL_FINE;
}

int
ctl_show_keys(const char *json)
{
	struct json_object *all = json_tokener_parse(json);
	struct json_object *keys = at(all, "data.keys");

	if (!keys)
		return no_sense();
	for (size_t i = 0; i < length(keys); i++)
		puts(text(json_object_array_get_idx(keys, i), "key"));
	if (whole(all, "data.matched") > (long long)length(keys))
		fprintf(stderr, "pupitrectl: %zu of %lld shown; --limit N shows more\n",
		    length(keys), whole(all, "data.matched"));
	json_object_put(all);
	return CTL_FINE;
}

int
ctl_show_entry(const char *json)
{
	struct json_object *all = json_tokener_parse(json);
	struct json_object *d = at(all, "data");
	struct json_object *body = at(d, "body");

	if (!d)
		return no_sense();
	printf("key     %s\nprefix  %s\nbytes   %lld%s\nttl     %.1f s\netag    %s\nreads   %lld\n"
	       "loads   %lld\n",
	    text(d, "key"), text(d, "prefix"), whole(d, "bytes"),
	    json_object_get_boolean(at(d, "gzip")) ? ", compressed" : "", real(d, "ttlMs") / 1000,
	    text(d, "etag"), whole(d, "reads"), whole(d, "loads"));
	puts(json_object_to_json_string_ext(body, JSON_C_TO_STRING_PRETTY));
	json_object_put(all);
	return CTL_FINE;
}

void
ctl_show_refusal(const char *json, int status)
{
	struct json_object *all = json_tokener_parse(json);
	const char *why = text(all, "error");

	if (!*why)
		why = text(all, "detail");
	fprintf(stderr, "pupitrectl: %s (HTTP %d)\n", *why ? why : "refused", status);
	json_object_put(all);
}

long long
ctl_number(const char *json, const char *name)
{
	struct json_object *all = json_tokener_parse(json);
	struct json_object *o = at(at(all, "data"), name);
	long long n = o ? json_object_get_int64(o) : -1;

	json_object_put(all);
	return n;
}

/* ---- for watch and doctor ---- */

static void
copy(char *to, size_t room, const char *from)
{
	snprintf(to, room, "%s", from);
}

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

		if (!statuses)
			continue;
		json_object_object_foreach(statuses, code, n)
		{
			(void)code;
			h->requests += json_object_get_int64(n);
		}
	}
}

static void
take_lists(struct json_object *d, struct ctl_health *h)
{
	struct json_object *hottest = at(d, "hottest");
	struct json_object *recent = at(d, "invalidations");

	for (size_t i = 0; i < length(hottest) && i < 5; i++) {
		struct json_object *k = json_object_array_get_idx(hottest, i);

		copy(h->hottest[h->hottest_count], sizeof(h->hottest[0]), text(k, "key"));
		h->reads[h->hottest_count++] = whole(k, "reads");
	}
	for (size_t i = 0; i < length(recent) && i < 5; i++) {
		struct json_object *r = json_object_array_get_idx(recent, i);

		snprintf(h->recent[h->recent_count++], sizeof(h->recent[0]), "%.8s %s %.40s %.60s",
		    text(r, "at") + (strlen(text(r, "at")) > 19 ? 11 : 0), text(r, "cause"),
		    text(r, "what"),
		    json_object_to_json_string_ext(at(r, "tags"), JSON_C_TO_STRING_PLAIN));
	}
}

bool
ctl_read_health(const char *json, struct ctl_health *h)
{
	struct json_object *all = json_tokener_parse(json);
	struct json_object *d = at(all, "data");

	memset(h, 0, sizeof(*h));
	if (!d || !at(d, "health"))
		return false;
	copy(h->instance, sizeof(h->instance), text(d, "instance"));
	copy(h->mode, sizeof(h->mode), text(d, "mode"));
	copy(h->postgres, sizeof(h->postgres), text(d, "health.postgres.state"));
	copy(h->redis, sizeof(h->redis), text(d, "health.redis.state"));
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
	return true;
}
