#include "cache/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* Shared by its owner and by the look-up under way; the last one frees. */
struct resolver {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ended;
	int refs;
	bool running;
	uint64_t rounds; /* look-ups that have ended */
	struct resolved found; /* by the last of them */
	char *host; /* these two never change */
	char *port;
};

struct resolver *
resolver_new(const char *host, const char *port)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	clock_cond_init(&r->ended);
	r->refs = 1;
	r->host = strdup(host);
	r->port = strdup(port);
	if (r->host && r->port)
		return r;
	resolver_free(r);
	return NULL;
}

void
resolver_free(struct resolver *r)
{
	int left;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	left = --r->refs;
	pthread_mutex_unlock(&r->lock);
	if (left)
		return;
	pthread_cond_destroy(&r->ended);
	pthread_mutex_destroy(&r->lock);
	free(r->host);
	free(r->port);
	free(r);
}

static void
look_up(const struct resolver *r, int flags, struct resolved *out)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICSERV | flags,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *list = NULL;

	out->count = 0;
	if (getaddrinfo(r->host, r->port, &hints, &list) != 0)
		return;
	for (struct addrinfo *i = list; i && out->count < RESOLVED_MAX; i = i->ai_next) {
		memcpy(&out->list[out->count].at, i->ai_addr, i->ai_addrlen);
		out->list[out->count++].len = i->ai_addrlen;
	}
	freeaddrinfo(list);
}

static void *
run(void *arg)
{
	struct resolver *r = arg;
	struct resolved found;

	memset(&found, 0, sizeof(found));
	look_up(r, 0, &found);
	pthread_mutex_lock(&r->lock);
	r->found = found;
	r->running = false;
	r->rounds++;
	pthread_cond_broadcast(&r->ended);
	pthread_mutex_unlock(&r->lock);
	resolver_free(r);
	return NULL;
}

/* With the lock held. */
static bool
start(struct resolver *r)
{
	pthread_attr_t detached;
	pthread_t thread;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	r->running = pthread_create(&thread, &detached, run, r) == 0;
	pthread_attr_destroy(&detached);
	r->refs += r->running;
	return r->running;
}

static bool
wait_for_round(struct resolver *r, uint64_t seen, int64_t until_ms)
{
	struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };

	while (r->rounds == seen) {
		if (pthread_cond_timedwait(&r->ended, &r->lock, &until) != 0)
			return r->rounds != seen;
	}
	return true;
}

bool
resolver_ask(struct resolver *r, struct resolved *out, int64_t until_ms)
{
	bool known;

	look_up(r, AI_NUMERICHOST, out);
	if (out->count)
		return true;
	pthread_mutex_lock(&r->lock);
	known = (r->running || start(r)) && wait_for_round(r, r->rounds, until_ms);
	if (known)
		*out = r->found;
	pthread_mutex_unlock(&r->lock);
	return known && out->count > 0;
}
