#include "routes/tend.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "routes/question.h"
#include "sql.h"

#define TICK_MS 100 /* while it warms */
#define IDLE_MS 500
#define PING_MS 1000
#define SAY_MS 5000 /* between two lines about one dependency */
#define NOTE_MS 60000
#define ADAPT_MS 10000
#define ADAPT_LEAST 20 /* entries that ended, before anything is concluded */
#define WARM_MAX_BYTES ((size_t)16 << 20)
#define ARENA_BYTES 16384

struct dependency {
	const char *name;
	struct tend_health health;
	enum tend_word said;
	int64_t said_ms;
	unsigned changes; /* since it was said */
};

/* A key on its way back into memory.  It outlives the thread: whoever lands it
 * frees it. */
struct item {
	struct waiter waiter; /* first: found again from it */
	struct tend *tend;
};

struct tend {
	struct app *app;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ends;
	bool flying; /* an item has not landed yet */
	const char *wanted; /* the cause of a warming that is to begin */
	struct dependency postgres;
	struct dependency redis;
	struct tend_warming warming;
	/* The thread's own. */
	char *hot; /* keys, a line each, the most read first */
	struct span rest; /* of them, still to be loaded */
	size_t hot_count;
	int64_t looked_ms;
	int64_t pinged_ms;
	int64_t noted_ms;
	int64_t adapted_ms;
	double credit; /* keys that may be loaded now */
	int64_t paid_ms;
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

/* ---- the hot list ---- */

struct hot {
	struct span key; /* malloc'd */
	uint32_t reads;
};

struct hottest {
	struct hot *top; /* the most read first */
	int count;
	int room;
	int policies; /* those before it are of routes and guards */
};

/* One that was read but once is nobody's habit. */
static void
see_hot(void *ctx, const struct entry *e)
{
	struct hottest *h = ctx;
	uint32_t reads = atomic_load_explicit(&e->reads, memory_order_relaxed);
	struct span key = entry_key(e);
	char *copy;
	int at = h->count;

	if (e->policy >= h->policies || e->absent || reads < 2)
		return;
	if (at == h->room && h->top[--at].reads >= reads)
		return;
	copy = malloc(key.len);
	if (!copy)
		return;
	if (h->count == h->room)
		free((char *)(uintptr_t)h->top[at].key.at);
	else
		h->count++;
	for (; at > 0 && h->top[at - 1].reads < reads; at--)
		h->top[at] = h->top[at - 1];
	memcpy(copy, key.at, key.len);
	h->top[at] = (struct hot){ span_make(copy, key.len), reads };
}

static void
write_hot(struct app *app, struct span lines)
{
	struct row row = { 0 };
	struct tx *tx;
	enum status st = tx_begin(app->db, &tx);

	if (st == OK) {
		st = tx_run(tx, SQL(hot_put), &lines, 1, &row);
		if (st == OK)
			st = tx_commit(tx);
		else
			tx_abandon(tx);
		row_free(&row);
	}
	if (st != OK)
		log_event(LOG_DEBUG, "warming", "the list of hot keys could not be stored");
}

/* What is read most at present, for the next start. */
static void
note_hot(struct app *app)
{
	struct hottest h = { .room = (int)app->config->warm_keys,
		.policies = route_count + guard_count };
	struct buf lines;

	h.top = h.room ? calloc((size_t)h.room, sizeof(*h.top)) : NULL;
	if (!h.top)
		return;
	memory_walk_all(cache_memory(app->cache), see_hot, &h);
	buf_init(&lines, WARM_MAX_BYTES);
	for (int i = 0; i < h.count; i++) {
		buf_printf(
		    &lines, "%s%u %.*s", i ? "\n" : "", h.top[i].reads, SPAN_ARG(h.top[i].key));
		free((char *)(uintptr_t)h.top[i].key.at);
	}
	if (h.count && buf_ok(&lines))
		write_hot(app, buf_span(&lines));
	buf_free(&lines);
	free(h.top);
}

static void
note(struct tend *t, int64_t now_ms)
{
	t->noted_ms = now_ms;
	note_hot(t->app);
}

static size_t
count_lines(struct span s)
{
	size_t n = s.len > 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.at[i] == '\n';
	return n;
}

/* ---- warming ---- */

static void
begin_warming(struct tend *t, const char *cause)
{
	char number[24];
	struct span most = span_make(number, 0);
	struct row row = { 0 };

	most.len =
	    (size_t)snprintf(number, sizeof(number), "%lld", (long long)t->app->config->warm_keys);
	free(t->hot);
	t->hot = NULL;
	t->rest = span_make("", 0);
	if (db_read(t->app->db, SQL(hot_list), &most, 1, &row) == OK && row.found && row.body.at) {
		t->hot = strndup(row.body.at, row.body.len);
		if (t->hot)
			t->rest = span_of(t->hot);
	}
	row_free(&row);
	t->credit = 0;
	t->paid_ms = clock_ms();
	pthread_mutex_lock(&t->lock);
	t->warming = (struct tend_warming){ .running = t->rest.len > 0,
		.total = count_lines(t->rest),
		.last_ms = clock_wall_ms(),
		.cause = cause };
	pthread_mutex_unlock(&t->lock);
	if (t->rest.len)
		log_event(LOG_INFO, "warming", "%zu keys, after: %s", count_lines(t->rest), cause);
}

static void
landed(struct waiter *w, const struct landing *landing)
{
	struct item *item = (struct item *)w; /* its first member */
	struct tend *t = item->tend;

	if (landing->status == OK && landing->entry)
		entry_release(landing->entry);
	free(item);
	pthread_mutex_lock(&t->lock);
	t->flying = false;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

static const struct plan *
plan_of_key(struct app *app, struct arena *arena, struct span key, struct span *values)
{
	for (int i = 0; i < route_count; i++) {
		const struct plan *read = &app->plans->reads[i];
		const struct plan *guard = &app->plans->guards[i];

		if (read->st && key_parse(arena, &read->shape, key, values))
			return read;
		if (guard->st && key_parse(arena, &guard->shape, key, values))
			return guard;
	}
	return NULL;
}

/* One key, by the way that every question goes: so it is loaded once, with its
 * tags, and not at all if it is there. */
static void
load_key(struct tend *t, struct span key)
{
	struct span values[KEY_MAX_PARTS];
	struct item *item = calloc(1, sizeof(*item));
	struct arena arena;
	const struct plan *plan;
	struct question q;
	enum cache_how how;
	struct entry *e;

	arena_init(&arena, ARENA_BYTES);
	plan = plan_of_key(t->app, &arena, key, values);
	if (!item || !plan || !question_make(&q, &arena, plan, key, values)) {
		free(item);
		arena_free(&arena);
		return;
	}
	item->tend = t;
	item->waiter.landed = landed;
	pthread_mutex_lock(&t->lock);
	t->flying = true;
	pthread_mutex_unlock(&t->lock);
	if (cache_ask(t->app->cache, &q, &item->waiter, &e, &how) == ASK_HIT)
		landed(&item->waiter, &(struct landing){ .status = OK, .entry = e });
	arena_free(&arena);
}

static struct span
next_line(struct span *rest)
{
	const char *end = memchr(rest->at, '\n', rest->len);
	size_t len = end ? (size_t)(end - rest->at) : rest->len;
	struct span line = span_make(rest->at, len);

	*rest = span_skip(*rest, end ? len + 1 : len);
	return line;
}

/* Nobody waits, and most workers have nothing to do. */
static bool
is_quiet(struct tend *t)
{
	struct workers_stats w;
	bool flying;

	workers_read_stats(t->app->workers, &w);
	pthread_mutex_lock(&t->lock);
	flying = t->flying;
	pthread_mutex_unlock(&t->lock);
	return !flying && w.queue_length == 0 && 2 * w.busy <= w.threads;
}

static struct timespec
in_ms(int64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += ms * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_nsec -= 1000000000L;
		at.tv_sec++;
	}
	return at;
}

static void
wait_for_landing(struct tend *t)
{
	struct timespec until = in_ms(TICK_MS);

	pthread_mutex_lock(&t->lock);
	while (t->flying && !t->ends && pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0)
		;
	pthread_mutex_unlock(&t->lock);
}

/* At most what the rate allows; what could not be loaded in time is not made up
 * for. */
static void
warm_some(struct tend *t, int64_t now_ms)
{
	double rate = (double)t->app->config->warm_rate;

	t->credit += rate * (double)(now_ms - t->paid_ms) / 1000;
	t->paid_ms = now_ms;
	if (t->credit > rate / 10 + 1)
		t->credit = rate / 10 + 1;
	while (t->rest.len && t->credit >= 1 && is_quiet(t)) {
		struct span key = next_line(&t->rest);

		t->credit -= 1;
		load_key(t, key);
		wait_for_landing(t);
		pthread_mutex_lock(&t->lock);
		t->warming.done++;
		t->warming.running = t->rest.len > 0;
		pthread_mutex_unlock(&t->lock);
	}
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
	log_event(LOG_INFO, "life", "policy %d: %u %% of its class (%llu changed, %llu expired)",
	    policy, next, (unsigned long long)dropped, (unsigned long long)expired);
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

static const char *
take_wish(struct tend *t)
{
	const char *wish;

	pthread_mutex_lock(&t->lock);
	wish = t->flying ? NULL : t->wanted;
	if (wish)
		t->wanted = NULL;
	pthread_mutex_unlock(&t->lock);
	return wish;
}

static bool
rest_a_tick(struct tend *t)
{
	struct timespec until = in_ms(t->rest.len ? TICK_MS : IDLE_MS);
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

	t->noted_ms = t->adapted_ms = clock_ms();
	do {
		int64_t now_ms = clock_ms();
		struct cache_state state;
		const char *wish;

		if (now_ms - t->looked_ms >= IDLE_MS) {
			t->looked_ms = now_ms;
			cache_run_shadow(t->app->cache);
			look_at_health(t, now_ms);
		}
		adapt(t, now_ms);
		cache_read_state(t->app->cache, &state);
		/* Before the listener has heard of anything, nothing is stored. */
		wish = state.trusted ? take_wish(t) : NULL;
		if (wish)
			begin_warming(t, wish);
		if (t->rest.len)
			warm_some(t, now_ms);
		else if (now_ms - t->noted_ms >= NOTE_MS)
			note(t, now_ms);
	} while (rest_a_tick(t));
	if (t->rest.len == 0)
		note_hot(t->app);
	return NULL;
}

struct tend *
tend_start(struct app *app)
{
	struct tend *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;

	if (!t)
		return NULL;
	t->app = app;
	t->postgres.name = "PostgreSQL";
	t->redis.name = "Redis";
	t->rest = span_make("", 0);
	t->wanted = app->config->warm_keys ? "start" : NULL;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
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
	pthread_join(t->thread, NULL);
}

void
tend_free(struct tend *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->wake);
	free(t->hot);
	free(t);
}

/* ---- for the others ---- */

void
tend_read(struct tend *t, struct tend_state *out)
{
	pthread_mutex_lock(&t->lock);
	out->postgres = t->postgres.health;
	out->redis = t->redis.health;
	out->warming = t->warming;
	pthread_mutex_unlock(&t->lock);
}

void
tend_warm(struct tend *t, const char *cause)
{
	if (t->app->config->warm_keys == 0)
		return;
	pthread_mutex_lock(&t->lock);
	t->wanted = cause;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

void
tend_note(struct tend *t)
{
	note_hot(t->app);
}

size_t
tend_hot(struct tend *t)
{
	char number[24];
	struct span most = span_make(number, 0);
	struct row row = { 0 };
	size_t n = 0;

	most.len =
	    (size_t)snprintf(number, sizeof(number), "%lld", (long long)t->app->config->warm_keys);
	if (db_read(t->app->db, SQL(hot_list), &most, 1, &row) == OK && row.found && row.body.at)
		n = count_lines(row.body);
	row_free(&row);
	return n;
}
