#include "routes/tend.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "routes/route.h"
#include "routes/warm.h"

#define TICK_MS 100 /* while keys are loaded again */
#define IDLE_MS 500
#define PING_MS 1000
#define SAY_MS 5000 /* between two lines about one dependency */
#define ADAPT_MS 10000
#define AGE_MS 60000 /* a read of a minute ago weighs half */
#define ADAPT_LEAST 20 /* entries that ended, before anything is concluded */

struct dependency {
	const char *name;
	struct tend_health health;
	enum tend_word said;
	int64_t said_ms;
	unsigned changes; /* since it was said */
};

struct tend {
	struct app *app;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ends;
	struct dependency postgres;
	struct dependency redis;
	/* The thread's own. */
	bool warms;
	int64_t looked_ms;
	int64_t pinged_ms;
	int64_t adapted_ms;
	int64_t aged_ms;
	struct memory_use seen[MEMORY_POLICIES];
};

/* ---- health ---- */

static void
set_word(struct tend *t, struct dependency *d, enum tend_word word)
{
	pthread_mutex_lock(&t->lock);
	if (d->health.word != word) {
		d->health.word = word;
		d->health.since_ms = clock_wall_ms();
		d->changes++;
	}
	pthread_mutex_unlock(&t->lock);
}

/* The first "up" is no news. */
static void
say(struct dependency *d, int64_t now_ms)
{
	static const char *const words[] = { [TEND_NONE] = "not configured",
		[TEND_UP] = "up again",
		[TEND_DOWN] = "down",
		[TEND_OPEN] = "down: its circuit is open, it is tried now and then" };
	bool first = d->said_ms == 0;

	if (d->health.word == d->said || (!first && now_ms - d->said_ms < SAY_MS))
		return;
	if (!first || d->health.word != TEND_UP)
		log_event(d->health.word == TEND_UP ? LOG_INFO : LOG_WARN, "dependency",
		    "%s is %s (changes since the last word: %u)", d->name, words[d->health.word],
		    d->changes);
	d->said = d->health.word;
	d->said_ms = now_ms;
	d->changes = 0;
}

static enum tend_word
redis_word(struct remote *r)
{
	if (!r)
		return TEND_NONE;
	if (remote_ping(r))
		return TEND_UP;
	return remote_is_open(r) ? TEND_OPEN : TEND_DOWN;
}

static void
look_at_health(struct tend *t, int64_t now_ms)
{
	struct cache_state state;

	cache_read_state(t->app->cache, &state);
	set_word(t, &t->postgres, state.down ? TEND_DOWN : TEND_UP);
	if (now_ms - t->pinged_ms >= PING_MS) {
		t->pinged_ms = now_ms;
		set_word(t, &t->redis, redis_word(t->app->remote));
	}
	say(&t->postgres, now_ms);
	if (t->redis.health.word != TEND_NONE)
		say(&t->redis, now_ms);
}

/* ---- adaptive life times ---- */

/* What ends most of them is a change and not their life: a longer life costs
 * nothing in freshness, and saves the loads of those that nobody changes. */
static void
adapt_policy(struct tend *t, int policy, const struct memory_use *use)
{
	unsigned most = (unsigned)t->app->config->stretch * 100;
	unsigned now = cache_stretch(t->app->cache, policy);
	uint64_t dropped = use->dropped - t->seen[policy].dropped;
	uint64_t expired = use->expiries - t->seen[policy].expiries;
	unsigned next = now;
	int count;

	if (dropped + expired < ADAPT_LEAST)
		return;
	if (dropped > 2 * expired)
		next = now * 3 / 2;
	else if (expired > 2 * dropped)
		next = now * 2 / 3;
	next = next < 100 ? 100 : next > most ? most : next;
	t->seen[policy] = *use;
	if (next == now)
		return;
	cache_set_stretch(t->app->cache, policy, next);
	log_event(LOG_INFO, "life", "%s: %u %% of its class (%llu changed, %llu expired)",
	    cache_policies(t->app->cache, &count)[policy].prefix, next, (unsigned long long)dropped,
	    (unsigned long long)expired);
}

static void
adapt(struct tend *t, int64_t now_ms)
{
	struct memory_use use[MEMORY_POLICIES];

	if (t->app->config->stretch <= 1 || now_ms - t->adapted_ms < ADAPT_MS)
		return;
	t->adapted_ms = now_ms;
	memory_read_use(cache_memory(t->app->cache), use);
	for (int i = 0; i < route_count; i++)
		adapt_policy(t, i, &use[i]);
}

/* ---- the thread ---- */

static void
age(struct tend *t, int64_t now_ms)
{
	if (now_ms - t->aged_ms < AGE_MS)
		return;
	t->aged_ms = now_ms;
	memory_age(cache_memory(t->app->cache));
}

static bool
rest_a_tick(struct tend *t)
{
	struct timespec until = clock_in_ms(t->warms ? TICK_MS : IDLE_MS);
	bool ends;

	pthread_mutex_lock(&t->lock);
	if (!t->ends)
		pthread_cond_timedwait(&t->wake, &t->lock, &until);
	ends = t->ends;
	pthread_mutex_unlock(&t->lock);
	return !ends;
}

static void *
run(void *arg)
{
	struct tend *t = arg;

	t->adapted_ms = t->aged_ms = clock_ms();
	do {
		int64_t now_ms = clock_ms();
		struct cache_state state;

		if (now_ms - t->looked_ms >= IDLE_MS) {
			t->looked_ms = now_ms;
			cache_run_shadow(t->app->cache);
			look_at_health(t, now_ms);
		}
		adapt(t, now_ms);
		age(t, now_ms);
		/* Before the listener has heard of anything, nothing is stored. */
		cache_read_state(t->app->cache, &state);
		t->warms = warm_step(t->app->warm, state.trusted, now_ms);
	} while (rest_a_tick(t));
	if (!t->warms)
		warm_note(t->app->warm);
	return NULL;
}

struct tend *
tend_start(struct app *app)
{
	struct tend *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->app = app;
	t->postgres.name = "PostgreSQL";
	t->redis.name = "Redis";
	pthread_mutex_init(&t->lock, NULL);
	clock_cond_init(&t->wake);
	if (pthread_create(&t->thread, NULL, run, t) == 0)
		return t;
	log_event(LOG_ERROR, "start", "no thread to tend the cache");
	free(t);
	return NULL;
}

void
tend_stop(struct tend *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->ends = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	warm_end(t->app->warm);
	pthread_join(t->thread, NULL);
}

void
tend_free(struct tend *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->wake);
	free(t);
}

/* ---- for the others ---- */

void
tend_read(struct tend *t, struct tend_state *out)
{
	pthread_mutex_lock(&t->lock);
	out->postgres = t->postgres.health;
	out->redis = t->redis.health;
	pthread_mutex_unlock(&t->lock);
}
