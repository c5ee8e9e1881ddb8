#include "ctl_doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/remote.h"
#include "commands.h"

#define MB(bytes) ((double)(bytes) / 1048576)

/* ZRANDMEMBER, of which the survey for statistics is made, came with it. */
static bool
is_old(const char *version)
{
	char *end;
	long major = strtol(version, &end, 10);
	long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;

	return *version && (major < 6 || (major == 6 && minor < 2));
}

/* The numbers of tags have no life time, entries do: so whoever evicts only what
 * has one keeps the numbers. */
static void
judge_policy(struct doctor *d, const struct remote_server *s)
{
	static const char what[] = "Redis: when it is full";

	if (!*s->policy)
		doctor_good(d, what, "%s", "it does not say what it does then");
	else if (s->max_bytes == 0)
		doctor_good(d, what,
		    "it has no maxmemory, so it never is (now %.1f MB); give it one if others share "
		    "the machine, with maxmemory-policy volatile-lru",
		    MB(s->used_bytes));
	else if (strncmp(s->policy, "allkeys-", 8) == 0)
		doctor_warn(d, what,
		    "maxmemory-policy %s may evict the numbers of the tags, and with them everything "
		    "becomes a miss: set volatile-lru, volatile-lfu or volatile-ttl",
		    s->policy);
	else if (strcmp(s->policy, "noeviction") == 0)
		doctor_warn(d, what,
		    "maxmemory-policy noeviction refuses writes then, invalidations too, and nothing "
		    "in Redis is trusted any more: set volatile-lru, volatile-lfu or volatile-ttl");
	else
		doctor_good(d, what, "maxmemory-policy %s", s->policy);
}

static void
judge_room(struct doctor *d, const struct remote_server *s)
{
	if (s->evicted_keys)
		doctor_warn(d, "Redis: room",
		    "%" PRIu64 " keys were evicted since its start, to make room in %.1f MB: raise "
		    "maxmemory, or see who else uses it",
		    s->evicted_keys, MB(s->max_bytes));
	else if (s->max_bytes)
		doctor_good(d, "Redis: room", "%.1f of %.1f MB; nothing was evicted",
		    MB(s->used_bytes), MB(s->max_bytes));
}

static void
judge_server(struct doctor *d, struct remote *remote)
{
	struct remote_server s;

	if (!remote_read_server(remote, &s)) {
		doctor_warn(d, "Redis: server",
		    "it answers, but not to INFO: see that what it does when it is full is "
		    "volatile-lru, volatile-lfu or volatile-ttl");
		return;
	}
	if (is_old(s.version))
		doctor_warn(d, "Redis: version",
		    "%s is older than 6.2: statistics will not show what is in it", s.version);
	else
		doctor_good(d, "Redis: version", "%s", *s.version ? s.version : "not told");
	judge_policy(d, &s);
	judge_room(d, &s);
}

void
doctor_redis(struct doctor *d, const struct config *config)
{
	struct remote *remote;
	const char *why;

	if (!try_remote(config, &remote, &why)) {
		doctor_fail(d, "Redis", "%s", why);
		return;
	}
	if (!remote) {
		doctor_warn(d, "Redis", "%s", "not configured: each instance has its memory alone");
		return;
	}
	if (remote_ping(remote)) {
		doctor_good(d, "Redis", "%s", "");
		judge_server(d, remote);
	} else {
		doctor_fail(d, "Redis", "%s",
		    "no answer; does it run, and are address and password right?");
	}
	remote_close(remote);
}
