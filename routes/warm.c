#include "routes/warm.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "routes/question.h"
#include "sql.h"

#define WAIT_MS 100 /* for a key to land */
#define NOTE_MS 60000
#define LIST_MAX_BYTES ((size_t)16 << 20)
#define ARENA_BYTES 16384

/* A key on its way back into memory.  It outlives the step that sent it: whoever
 * lands it frees it. */
struct item {
	struct waiter waiter; /* first: found again from it */
	struct warm *warm;
};

struct warm {
	struct app *app;
	pthread_mutex_t lock;
	pthread_cond_t landed;
	bool ends;
	bool flying; /* an item has not landed yet */
	const char *wanted; /* the cause of a warming that is to begin */
	struct warm_state state;
	/* Of the thread that takes the steps. */
	char *hot; /* keys, a line each, the most read first */
	struct span rest; /* of them, still to be loaded */
	double credit; /* keys that may be loaded now */
	int64_t paid_ms;
	int64_t noted_ms;
};

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

void
warm_note(struct warm *w)
{
	struct app *app = w->app;
	struct hottest h = { .room = (int)app->config->warm_keys,
		.policies = route_count + guard_count };
	struct buf lines;

	h.top = h.room ? calloc((size_t)h.room, sizeof(*h.top)) : NULL;
	if (!h.top)
		return;
	memory_walk_all(cache_memory(app->cache), see_hot, &h);
	buf_init(&lines, LIST_MAX_BYTES);
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

/* ---- loading them again ---- */

static size_t
count_lines(struct span s)
{
	size_t n = s.len > 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.at[i] == '\n';
	return n;
}

/* The keys, a line each; a row to be freed. */
static bool
read_list(struct app *app, struct row *row)
{
	char number[24];
	struct span most = span_make(number, 0);

	most.len =
	    (size_t)snprintf(number, sizeof(number), "%lld", (long long)app->config->warm_keys);
	return db_read(app->db, SQL(hot_list), &most, 1, row) == OK && row->found && row->body.at;
}

static void
begin(struct warm *w, const char *cause, int64_t now_ms)
{
	struct row row = { 0 };

	free(w->hot);
	w->hot = read_list(w->app, &row) ? strndup(row.body.at, row.body.len) : NULL;
	row_free(&row);
	w->rest = span_of(w->hot ? w->hot : "");
	w->credit = 0;
	w->paid_ms = now_ms;
	pthread_mutex_lock(&w->lock);
	w->state = (struct warm_state){ .running = w->rest.len > 0,
		.total = count_lines(w->rest),
		.last_ms = clock_wall_ms(),
		.cause = cause };
	pthread_mutex_unlock(&w->lock);
	if (w->rest.len)
		log_event(LOG_INFO, "warming", "%zu keys, after: %s", count_lines(w->rest), cause);
}

static void
landed(struct waiter *waiter, const struct landing *landing)
{
	struct item *item = (struct item *)waiter; /* its first member */
	struct warm *w = item->warm;

	if (landing->status == OK && landing->entry)
		entry_release(landing->entry);
	free(item);
	pthread_mutex_lock(&w->lock);
	w->flying = false;
	pthread_cond_signal(&w->landed);
	pthread_mutex_unlock(&w->lock);
}

/* By the way that every question goes: so it is loaded once, with its tags. */
static void
send(struct warm *w, const struct question *q)
{
	struct item *item = calloc(1, sizeof(*item));
	enum cache_how how;
	struct entry *e;

	if (!item)
		return;
	item->warm = w;
	item->waiter.landed = landed;
	pthread_mutex_lock(&w->lock);
	w->flying = true;
	pthread_mutex_unlock(&w->lock);
	if (cache_ask(w->app->cache, q, &item->waiter, &e, &how) == ASK_HIT)
		landed(&item->waiter, &(struct landing){ .status = OK, .entry = e });
}

/* To ask for it would count as a use of it, and nobody has used it. */
static bool
is_there(struct warm *w, struct span key)
{
	struct entry *e = memory_find(cache_memory(w->app->cache), key, clock_ms());

	entry_release(e);
	return e != NULL;
}

static void
load_key(struct warm *w, struct span key)
{
	struct span values[KEY_MAX_PARTS];
	struct arena arena;
	const struct plan *plan;
	struct question q;

	arena_init(&arena, ARENA_BYTES);
	plan = question_plan(w->app->plans, &arena, key, values);
	if (plan && !is_there(w, key) &&
	    question_make(&q, &arena, plan, key, values, span_of(""))) {
		q.ahead = true;
		send(w, &q);
	}
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
is_quiet(struct warm *w)
{
	struct workers_stats stats;
	bool flying;

	workers_read_stats(w->app->workers, &stats);
	pthread_mutex_lock(&w->lock);
	flying = w->flying;
	pthread_mutex_unlock(&w->lock);
	return !flying && stats.queue_length == 0 && 2 * stats.busy <= stats.threads;
}

static void
wait_for_landing(struct warm *w)
{
	struct timespec until = clock_in_ms(WAIT_MS);

	pthread_mutex_lock(&w->lock);
	while (w->flying && !w->ends && pthread_cond_timedwait(&w->landed, &w->lock, &until) == 0)
		;
	pthread_mutex_unlock(&w->lock);
}

/* At most what the rate allows; what could not be loaded in time is not made up
 * for. */
static void
load_some(struct warm *w, int64_t now_ms)
{
	double rate = (double)w->app->config->warm_rate;

	w->credit += rate * (double)(now_ms - w->paid_ms) / 1000;
	w->paid_ms = now_ms;
	if (w->credit > rate / 10 + 1)
		w->credit = rate / 10 + 1;
	while (w->rest.len && w->credit >= 1 && is_quiet(w)) {
		struct span key = next_line(&w->rest);

		w->credit -= 1;
		load_key(w, key);
		wait_for_landing(w);
		pthread_mutex_lock(&w->lock);
		w->state.done++;
		w->state.running = w->rest.len > 0;
		pthread_mutex_unlock(&w->lock);
	}
}

/* ---- what the others call ---- */

static const char *
take_wish(struct warm *w)
{
	const char *wish;

	pthread_mutex_lock(&w->lock);
	wish = w->flying ? NULL : w->wanted;
	if (wish)
		w->wanted = NULL;
	pthread_mutex_unlock(&w->lock);
	return wish;
}

bool
warm_step(struct warm *w, bool trusted, int64_t now_ms)
{
	const char *wish = trusted ? take_wish(w) : NULL;

	if (wish)
		begin(w, wish, now_ms);
	if (w->rest.len) {
		load_some(w, now_ms);
	} else if (now_ms - w->noted_ms >= NOTE_MS) {
		w->noted_ms = now_ms;
		warm_note(w);
	}
	return w->rest.len > 0;
}

void
warm_end(struct warm *w)
{
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	pthread_cond_signal(&w->landed);
	pthread_mutex_unlock(&w->lock);
}

struct warm *
warm_new(struct app *app)
{
	struct warm *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->app = app;
	w->rest = span_make("", 0);
	w->noted_ms = clock_ms();
	w->wanted = app->config->warm_keys ? "start" : NULL;
	pthread_mutex_init(&w->lock, NULL);
	clock_cond_init(&w->landed);
	return w;
}

void
warm_free(struct warm *w)
{
	if (!w)
		return;
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->landed);
	free(w->hot);
	free(w);
}

void
warm_read(struct warm *w, struct warm_state *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->state;
	pthread_mutex_unlock(&w->lock);
}

void
warm_want(struct warm *w, const char *cause)
{
	if (w->app->config->warm_keys == 0)
		return;
	pthread_mutex_lock(&w->lock);
	w->wanted = cause;
	w->state.running = true; /* at once, for who looks */
	w->state.done = w->state.total = 0;
	pthread_mutex_unlock(&w->lock);
}

size_t
warm_count(struct warm *w)
{
	struct row row = { 0 };
	size_t n = read_list(w->app, &row) ? count_lines(row.body) : 0;

	row_free(&row);
	return n;
}
