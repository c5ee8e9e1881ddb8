/*
 * The cache as a whole, over real workers and a Redis level that this file
 * makes itself: it can be slow, absent, or hold something.  Time is stepped.
 */
#include "cache/cache.h"
#include "cache/flight.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "unit.h"

/* ---- a Redis level to order ---- */

struct remote {
	bool down;
	_Atomic int gets, puts;
	_Atomic int64_t put_ttl_ms; /* of the last one */
	int raises, clears;
	char stored[256]; /* the one body it holds; empty: none */
	uint16_t slots[TAG_MAX];
	size_t slot_count;
	void (*during_raise)(void);
	_Atomic int sent; /* of the gets, those ahead of a worker */
	char answer[256]; /* what was found for one that was sent */
	void (*after_send)(void);
	bool crowded; /* no connection is at hand */
	sem_t *hold_put; /* waited for where the answer to a put is read */
};

static struct remote fake;

/* What was sent is done at once; its answer waits to be read. */
struct redis {
	enum remote_result result;
	struct remote_token token;
	struct remote_value value;
};

static enum remote_result
find(struct remote *r, struct remote_token *token, struct remote_value *out)
{
	r->gets++;
	token->valid = !r->down;
	if (r->down)
		return REMOTE_DOWN;
	if (!r->stored[0])
		return REMOTE_MISS;
	out->body = span_of(r->stored);
	out->etag = span_of("W/\"r\"");
	out->slots = r->slots;
	out->slot_count = r->slot_count;
	out->ttl_ms = 5000;
	return REMOTE_HIT;
}

bool
remote_get_send(struct remote *r, struct span key, struct remote_sent *sent)
{
	(void)key;
	sent->conn = r->down || r->crowded ? NULL : calloc(1, sizeof(*sent->conn));
	if (sent->conn)
		sent->conn->result = find(r, &sent->conn->token, &sent->conn->value);
	if (!sent->conn)
		return false;
	r->sent++;
	memcpy(r->answer, r->stored, sizeof(r->answer));
	sent->conn->value.body.at = r->answer;
	if (r->after_send)
		r->after_send();
	return true;
}

enum remote_result
remote_get_end(struct remote *r, struct span key, struct remote_sent *sent,
    struct remote_token *token, struct remote_value *out)
{
	struct redis *had = sent->conn;
	enum remote_result result;

	(void)key;
	sent->conn = NULL;
	memset(token, 0, sizeof(*token));
	memset(out, 0, sizeof(*out));
	if (!had)
		return find(r, token, out);
	*token = had->token;
	*out = had->value;
	result = had->result;
	free(had);
	return result;
}

bool
remote_is_open(struct remote *r)
{
	return r->down;
}

void
remote_drop(struct remote_sent *sent)
{
	free(sent->conn);
	sent->conn = NULL;
}

void
remote_value_free(struct remote_value *v)
{
	(void)v;
}

bool
remote_put_send(struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *value, bool listed, struct remote_sent *sent)
{
	(void)key;
	(void)token;
	(void)listed;
	r->put_ttl_ms = value->ttl_ms;
	sent->conn = r->crowded ? NULL : calloc(1, sizeof(*sent->conn));
	r->puts += sent->conn != NULL;
	return sent->conn != NULL;
}

enum remote_put_result
remote_put_end(struct remote *r, struct span key, const struct remote_token *token,
    const struct remote_value *value, bool listed, struct remote_sent *sent)
{
	(void)key;
	(void)token;
	(void)value;
	(void)listed;
	if (r->hold_put)
		sem_wait(r->hold_put);
	r->puts += sent->conn == NULL;
	remote_drop(sent);
	return REMOTE_STORED;
}

enum remote_result
remote_check(
    struct remote *r, const struct remote_token *token, const uint16_t *slots, size_t count)
{
	(void)r;
	(void)token;
	(void)slots;
	(void)count;
	return REMOTE_DOWN;
}

bool
remote_pend(struct remote *r, uint64_t id, const uint16_t *slots, size_t count)
{
	(void)r;
	(void)id;
	(void)slots;
	(void)count;
	return false;
}

size_t
remote_pending(struct remote *r, struct remote_pending *out, size_t room)
{
	(void)r;
	(void)out;
	(void)room;
	return 0;
}

bool
remote_recall(struct remote *r, char text[REMOTE_BOOKMARK_BYTES])
{
	(void)r;
	text[0] = '\0';
	return false;
}

void
remote_note(struct remote *r, const char *text)
{
	(void)r;
	(void)text;
}

void
remote_settle(struct remote *r)
{
	(void)r;
}

void
remote_distrust(struct remote *r)
{
	r->stored[0] = '\0';
}

bool
remote_raise(struct remote *r, uint64_t id, const uint16_t *slots, size_t count)
{
	(void)id;
	(void)slots;
	(void)count;
	r->raises++;
	r->stored[0] = '\0';
	if (r->during_raise)
		r->during_raise();
	return !r->down;
}

bool
remote_clear(struct remote *r)
{
	r->clears++;
	r->stored[0] = '\0';
	return !r->down;
}

/* ---- a loader to order ---- */

struct loader {
	_Atomic int calls;
	enum status status;
	const char *body;
	const char *tag;
	sem_t *hold; /* waited for in the middle of the load */
	sem_t *began;
	_Atomic int truth; /* what the "database" says now */
};

static enum status
load(void *ctx, const void *args, struct loaded *out)
{
	static __thread char text[4096];
	static __thread struct span tags[1];
	struct loader *l = ctx;
	int truth = atomic_load(&l->truth);

	(void)args;
	atomic_fetch_add(&l->calls, 1);
	if (l->began)
		sem_post(l->began);
	if (l->hold)
		sem_wait(l->hold);
	if (l->status != OK)
		return l->status;
	snprintf(text, sizeof(text), "%s%d", l->body ? l->body : "v", truth);
	tags[0] = span_of(l->tag ? l->tag : "course:1");
	out->body = span_of(text);
	out->tags = tags;
	out->tag_count = 1;
	return OK;
}

/* ---- who asks ---- */

struct asker {
	struct waiter waiter; /* first */
	struct landing landing;
	sem_t landed;
	char body[2048];
};

static _Atomic int64_t now;
static struct workers *workers;
static struct loader loader;
static struct cache *cache;

static const struct cache_policy policies[] = {
	{ "test", SEARCH_RESULTS, false, false },
	{ "anonymous", SEARCH_RESULTS, false, true },
};

static int64_t
read_now(void)
{
	return atomic_load(&now);
}

static void
landed(struct waiter *w, const struct landing *landing)
{
	struct asker *a = (struct asker *)w;

	a->landing = *landing;
	sem_post(&a->landed);
}

static void
keep_body(struct asker *a, struct entry *e)
{
	struct span body = entry_body(e);

	snprintf(a->body, sizeof(a->body), "%.*s", SPAN_ARG(body));
	entry_release(e);
}

static enum cache_answer
ask_policy(struct asker *a, const char *key, int policy)
{
	struct question q = { .key = span_of(key), .policy = policy, .load = load };
	struct entry *hit;
	enum cache_how how;

	memset(a, 0, sizeof(*a));
	sem_init(&a->landed, 0, 0);
	a->waiter.landed = landed;
	if (cache_ask(cache, &q, &a->waiter, &hit, &how) == ASK_WAIT)
		return ASK_WAIT;
	a->landing.how = how;
	keep_body(a, hit);
	return ASK_HIT;
}

static void
wait_for(struct asker *a)
{
	sem_wait(&a->landed);
	if (a->landing.entry)
		keep_body(a, a->landing.entry);
}

/* Ask and wait; asks again when told to. */
static void
get(struct asker *a, const char *key)
{
	do {
		if (ask_policy(a, key, 0) == ASK_HIT)
			return;
		wait_for(a);
	} while (a->landing.status == OK && !a->landing.entry);
}

static void
raise_tag(const char *tag)
{
	struct span t = span_of(tag);

	(void)cache_raise(cache, 0, &t, 1);
}

/* Of the first policy. */
static struct cache_counters
counters(void)
{
	struct cache_counters all[2];

	cache_read_counters(cache, all);
	return all[0];
}

static int
set_up(void **state)
{
	struct cache_config config = {
		.memory_bytes = 1 << 20,
		.anonymous_keys = 3,
		.policies = policies,
		.policy_count = 2,
		.load_ctx = &loader,
		.now_ms = read_now,
		.remote = *state ? &fake : NULL,
	};

	memset(&fake, 0, sizeof(fake));
	memset(&loader, 0, sizeof(loader));
	atomic_store(&now, 1000);
	config.workers = workers = workers_start(4, 8);
	cache = cache_new(&config);
	cache_set_ttl(cache, SEARCH_RESULTS, 1000);
	return cache ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	workers_stop(workers);
	cache_free(cache);
	return 0;
}

/* ---- behaviours ---- */

static void
a_second_read_loads_nothing(void **state)
{
	struct asker a;

	(void)state;
	get(&a, "k");
	assert_int_equal(a.landing.how, HOW_LOADED);
	assert_string_equal(a.body, "v0");
	get(&a, "k");
	assert_int_equal(a.landing.how, HOW_MEMORY);
	assert_string_equal(a.body, "v0");
	assert_int_equal(loader.calls, 1);
}

static void
a_falsy_body_is_a_value(void **state)
{
	struct asker a;

	(void)state;
	loader.body = "";
	get(&a, "k");
	assert_string_equal(a.body, "0");
	get(&a, "k");
	assert_int_equal(loader.calls, 1);
}

static void
a_life_ends_within_a_tenth_of_its_class(void **state)
{
	struct asker a;

	(void)state;
	get(&a, "k");
	atomic_fetch_add(&now, 809); /* then a refresh may begin */
	get(&a, "k");
	assert_int_equal(loader.calls, 1);
	atomic_fetch_add(&now, 191);
	get(&a, "k");
	assert_int_equal(loader.calls, 2);
	atomic_fetch_add(&now, 899);
	get(&a, "k");
	assert_int_equal(a.landing.how, HOW_MEMORY);
}

static void
a_raise_makes_the_next_read_new(void **state)
{
	struct asker a;

	(void)state;
	get(&a, "k");
	atomic_store(&loader.truth, 1);
	raise_tag("course:2");
	get(&a, "k");
	assert_string_equal(a.body, "v0");
	raise_tag("course:1");
	get(&a, "k");
	assert_string_equal(a.body, "v1");
}

static void
a_cold_key_is_loaded_once(void **state)
{
	enum { READERS = 1000 };
	struct asker *readers = calloc(READERS, sizeof(*readers));
	sem_t hold;

	(void)state;
	sem_init(&hold, 0, 0);
	loader.hold = &hold;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(ask_policy(&readers[i], "k", 0), ASK_WAIT);
	sem_post(&hold);
	for (int i = 0; i < READERS; i++) {
		wait_for(&readers[i]);
		assert_string_equal(readers[i].body, "v0");
	}
	assert_int_equal(loader.calls, 1);
	free(readers);
}

/* ---- what is sent ahead ---- */

static void
wait_until_idle(void)
{
	struct workers_stats stats = { .busy = 1 };

	for (int i = 0; i < 5000 && (stats.busy || stats.queue_length); i++) {
		usleep(1000);
		workers_read_stats(workers, &stats);
	}
	assert_int_equal(stats.busy, 0);
}

static pthread_barrier_t all_there;

static void
meet(struct job *job)
{
	(void)job;
	pthread_barrier_wait(&all_there);
}

/* All workers have started, and wait for a job. */
static void
come_to_rest(void)
{
	static struct job jobs[4];

	pthread_barrier_init(&all_there, NULL, 4);
	for (int i = 0; i < 4; i++) {
		jobs[i].run = meet;
		assert_true(workers_submit(workers, &jobs[i]));
	}
	wait_until_idle();
	assert_true(workers_idle(workers));
}

static void
redis_is_asked_once_while_a_worker_wakes(void **state)
{
	struct asker a;

	(void)state;
	come_to_rest();
	get(&a, "k");
	assert_string_equal(a.body, "v0");
	assert_int_equal(fake.sent, 1);
	assert_int_equal(fake.gets, 1);
	assert_int_equal(fake.puts, 1);
}

static void
without_a_connection_at_hand_a_worker_asks_and_stores(void **state)
{
	struct asker a;

	(void)state;
	fake.crowded = true;
	get(&a, "k");
	assert_string_equal(a.body, "v0");
	wait_until_idle();
	assert_int_equal(fake.sent, 0);
	assert_int_equal(fake.gets, 1);
	assert_int_equal(fake.puts, 1);
}

static void
a_busy_pool_asks_nothing_ahead(void **state)
{
	static const char *const keys[] = { "1", "2", "3", "4" };
	struct asker held[4];
	struct asker waiting;
	sem_t hold;
	sem_t began;

	(void)state;
	sem_init(&hold, 0, 0);
	sem_init(&began, 0, 0);
	loader.hold = &hold;
	loader.began = &began;
	come_to_rest();
	for (int i = 0; i < 4; i++) {
		assert_int_equal(ask_policy(&held[i], keys[i], 0), ASK_WAIT);
		sem_wait(&began);
	}
	assert_int_equal(fake.sent, 4);
	assert_int_equal(ask_policy(&waiting, "5", 0), ASK_WAIT);
	assert_int_equal(fake.sent, 4);
	for (int i = 0; i < 5; i++)
		sem_post(&hold);
	for (int i = 0; i < 4; i++)
		wait_for(&held[i]);
	wait_for(&waiting);
	assert_int_equal(fake.gets, 5);
}

static void
raise_behind_the_question(void)
{
	fake.after_send = NULL;
	atomic_store(&loader.truth, 1);
	raise_tag("course:1");
}

/* What Redis had found by then is not kept, and not for who asks now. */
static void
a_raise_behind_the_question_is_not_overlooked(void **state)
{
	struct span tag = SPAN("course:1");
	struct asker a;

	(void)state;
	strcpy(fake.stored, "old");
	fake.slot_count = tag_slots(&tag, 1, fake.slots);
	fake.after_send = raise_behind_the_question;
	come_to_rest();
	get(&a, "k");
	get(&a, "k");
	assert_string_equal(a.body, "v1");
}

static void
an_answer_does_not_wait_for_redis_to_store(void **state)
{
	struct asker a;
	sem_t hold;

	(void)state;
	sem_init(&hold, 0, 0);
	fake.hold_put = &hold;
	come_to_rest();
	get(&a, "k");
	assert_int_equal(a.landing.how, HOW_LOADED);
	assert_string_equal(a.body, "v0");
	get(&a, "k");
	assert_int_equal(a.landing.how, HOW_MEMORY);
	assert_int_equal(fake.puts, 1); /* it was sent all the same */
	sem_post(&hold);
}

static struct entry *
just_landed(void *ctx, struct span key)
{
	(void)key;
	return entry_hold(ctx);
}

static void
a_key_that_landed_since_the_look_is_not_loaded_again(void **state)
{
	struct question q = { .key = SPAN("k"), .load = load };
	struct entry_parts parts = { .key = SPAN("k"), .body = SPAN("body") };
	struct entry *landed_entry = entry_make(&parts);
	struct flights *all = flights_new();
	struct waiter waiter = { 0 };
	struct flight *made;
	struct entry *hit;

	(void)state;
	assert_int_equal(
	    flight_join(all, &q, &waiter, just_landed, landed_entry, &made, &hit), FLIGHT_HIT);
	assert_ptr_equal(hit, landed_entry);
	assert_null(made);
	assert_int_equal(flights_count(all), 0);
	entry_release(hit);
	entry_release(landed_entry);
	flights_free(all);
}

static void
who_asks_after_a_raise_never_gets_the_load_before_it(void **state)
{
	struct asker before;
	struct asker after;
	sem_t hold;
	sem_t began;

	(void)state;
	sem_init(&hold, 0, 0);
	sem_init(&began, 0, 0);
	loader.hold = &hold;
	loader.began = &began;
	assert_int_equal(ask_policy(&before, "k", 0), ASK_WAIT);
	sem_wait(&began);
	atomic_store(&loader.truth, 1);
	raise_tag("course:1");
	assert_int_equal(ask_policy(&after, "k", 0), ASK_WAIT);
	sem_post(&hold);
	wait_for(&before);
	wait_for(&after);
	/* The first asked before the write was acknowledged: it may have it. */
	assert_string_equal(before.body, "v0");
	assert_int_equal(after.landing.status, OK);
	assert_null(after.landing.entry);
	sem_post(&hold);
	get(&after, "k");
	assert_string_equal(after.body, "v1");
	assert_int_equal(loader.calls, 2);
	assert_int_equal(counters().collapsed, 0);
}

static void
an_absence_is_not_given_to_who_asks_after_a_raise(void **state)
{
	struct asker before;
	struct asker after;
	sem_t hold;
	sem_t began;

	(void)state;
	sem_init(&hold, 0, 0);
	sem_init(&began, 0, 0);
	loader.hold = &hold;
	loader.began = &began;
	loader.status = NOT_FOUND;
	assert_int_equal(ask_policy(&before, "k", 0), ASK_WAIT);
	sem_wait(&began);
	raise_tag("something:else");
	assert_int_equal(ask_policy(&after, "k", 0), ASK_WAIT);
	sem_post(&hold);
	wait_for(&before);
	wait_for(&after);
	assert_int_equal(before.landing.status, NOT_FOUND);
	assert_int_equal(after.landing.status, OK);
	assert_null(after.landing.entry);
}

static void
a_failure_reaches_everybody_and_is_not_kept(void **state)
{
	struct asker a;

	(void)state;
	loader.status = UNAVAILABLE;
	get(&a, "k");
	assert_int_equal(a.landing.status, UNAVAILABLE);
	loader.status = OK;
	get(&a, "k");
	assert_int_equal(a.landing.status, OK);
	assert_int_equal(loader.calls, 2);
}

static void
who_comes_along_is_counted_unless_it_fails(void **state)
{
	struct asker askers[3];
	sem_t hold;

	(void)state;
	sem_init(&hold, 0, 0);
	loader.hold = &hold;
	loader.status = UNAVAILABLE;
	for (int failed = 1; failed >= 0; failed--) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(ask_policy(&askers[i], "k", 0), ASK_WAIT);
		sem_post(&hold);
		for (int i = 0; i < 3; i++)
			wait_for(&askers[i]);
		assert_int_equal(counters().collapsed, failed ? 0 : 2);
		loader.status = OK;
	}
	assert_int_equal(counters().failures, 1);
	assert_int_equal(counters().loads, 2);
}

static void
a_full_queue_is_busy_at_once(void **state)
{
	enum { KEYS = 4 + 8 + 5 };
	struct asker askers[KEYS];
	char key[16];
	sem_t hold;
	sem_t began;
	int busy = 0;

	(void)state;
	sem_init(&hold, 0, 0);
	sem_init(&began, 0, 0);
	loader.hold = &hold;
	loader.began = &began;
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(ask_policy(&askers[i], key, 0), ASK_WAIT);
		if (i < 4)
			sem_wait(&began); /* each worker has one */
	}
	for (int i = 0; i < KEYS; i++)
		sem_post(&hold);
	for (int i = 0; i < KEYS; i++) {
		wait_for(&askers[i]);
		busy += askers[i].landing.status == BUSY;
	}
	assert_int_equal(busy, 5);
}

static void
a_large_body_is_kept_compressed(void **state)
{
	static char large[2048]; /* the loader adds a digit */
	struct question q = { .key = SPAN("k"), .load = load };
	struct asker a;
	struct entry *hit;
	enum cache_how how;

	(void)state;
	memset(large, 'a', sizeof(large) - 1);
	loader.body = large;
	get(&a, "k");
	assert_int_equal(cache_ask(cache, &q, &a.waiter, &hit, &how), ASK_HIT);
	assert_true(hit->gzip);
	assert_true(entry_body(hit).len < 200);
	assert_memory_equal(entry_body(hit).at, "\x1f\x8b", 2);
	assert_int_equal(strtol(entry_digits(hit).at, NULL, 10), entry_body(hit).len);
	entry_release(hit);
	large[2046] = '\0';
	get(&a, "one byte less");
	q.key = span_of("one byte less");
	assert_int_equal(cache_ask(cache, &q, &a.waiter, &hit, &how), ASK_HIT);
	assert_false(hit->gzip);
	assert_span(entry_digits(hit), "2047");
	entry_release(hit);
}

/* ---- with Redis ---- */

static void
a_redis_hit_loads_nothing(void **state)
{
	struct asker a;
	struct span tag = SPAN("course:1");

	(void)state;
	snprintf(fake.stored, sizeof(fake.stored), "from redis");
	fake.slot_count = tag_slots(&tag, 1, fake.slots);
	get(&a, "k");
	assert_int_equal(a.landing.how, HOW_REDIS);
	assert_string_equal(a.body, "from redis");
	get(&a, "k");
	assert_int_equal(a.landing.how, HOW_MEMORY);
	assert_int_equal(loader.calls, 0);
	assert_int_equal(fake.puts, 0);
}

static void
redis_down_fails_nothing_and_loads_once(void **state)
{
	struct asker a;

	(void)state;
	fake.down = true;
	get(&a, "k");
	assert_string_equal(a.body, "v0");
	assert_int_equal(loader.calls, 1);
	assert_int_equal(fake.puts, 0);
	atomic_store(&loader.truth, 1);
	raise_tag("course:1");
	get(&a, "k");
	assert_string_equal(a.body, "v1");
}

static struct asker in_between;

static void
read_in_between(void)
{
	get(&in_between, "k");
}

static void
redis_is_raised_before_memory(void **state)
{
	struct asker a;
	struct span tag = SPAN("course:1");

	(void)state;
	get(&a, "k");
	atomic_store(&loader.truth, 1);
	/* A read between the two raises may be old: the write is not yet
	 * acknowledged.  What it leaves behind must not outlive the second. */
	fake.slot_count = tag_slots(&tag, 1, fake.slots);
	fake.during_raise = read_in_between;
	raise_tag("course:1");
	fake.during_raise = NULL;
	assert_string_equal(in_between.body, "v0");
	get(&a, "k");
	assert_string_equal(a.body, "v1");
}

static void
anonymous_keys_reach_redis_up_to_a_bound(void **state)
{
	struct asker a;
	char key[16];

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "a%d", i);
		if (ask_policy(&a, key, 1) == ASK_WAIT)
			wait_for(&a);
	}
	assert_int_equal(fake.puts, 3);
	atomic_fetch_add(&now, 1000);
	if (ask_policy(&a, "a10", 1) == ASK_WAIT)
		wait_for(&a);
	assert_int_equal(fake.puts, 4);
}

static void
a_long_life_is_cut_to_what_redis_takes(void **state)
{
	struct asker a;

	(void)state;
	cache_set_ttl(cache, SEARCH_RESULTS, 86400 * (int64_t)1000);
	get(&a, "k");
	assert_true(fake.put_ttl_ms > 70000 * (int64_t)1000);
	assert_true(fake.put_ttl_ms <= 86400 * (int64_t)1000);
	cache_set_stretch(cache, 0, 2400);
	get(&a, "l");
	assert_int_equal(fake.put_ttl_ms, REMOTE_TTL_MAX_MS);
}

static void
clearing_empties_both_levels(void **state)
{
	struct asker a;

	(void)state;
	get(&a, "k");
	assert_true(cache_clear(cache, 0));
	assert_int_equal(fake.clears, 1);
	get(&a, "k");
	assert_int_equal(loader.calls, 2);
	fake.down = true;
	assert_false(cache_clear(cache, 0));
}

/* ---- many threads: a read that began after a raise sees it ---- */

static _Atomic int acknowledged;
static _Atomic bool stop;
static _Atomic int stale;

static void *
read_on(void *ctx)
{
	struct asker *a = calloc(1, sizeof(*a));

	(void)ctx;
	while (!atomic_load(&stop)) {
		int least = atomic_load(&acknowledged);

		get(a, "k");
		if (a->landing.status == OK && atoi(a->body + 1) < least)
			atomic_fetch_add(&stale, 1);
	}
	free(a);
	return NULL;
}

static void
readers_never_see_what_was_overwritten(void **state)
{
	pthread_t readers[3];

	(void)state;
	atomic_store(&stop, false);
	atomic_store(&acknowledged, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&readers[i], NULL, read_on, NULL);
	for (int v = 1; loader.calls < 2000 && v < 10000000; v++) {
		atomic_store(&loader.truth, v);
		raise_tag("course:1");
		atomic_store(&acknowledged, v);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(atomic_load(&stale), 0);
	assert_true(loader.calls >= 2000);
}

#define ALONE(test) \
	{ \
#test, test, set_up, tear_down, NULL \
	}
#define REDIS(test) \
	{ \
#test, test, set_up, tear_down, &fake \
	}

static void
a_change_is_counted_once_and_for_who_made_it(void **state)
{
	struct span tag = SPAN("course:1");
	uint64_t by_route = cache_raises_by(cache, CAUSE_route);
	uint64_t by_database = cache_raises_by(cache, CAUSE_database);

	(void)state;
	/* What Redis has not confirmed is raised again by whoever comes. */
	fake.down = true;
	for (uint64_t id = 100000001; id < 100000011; id++) {
		cache_expect(cache, CAUSE_route, id);
		if (id % 2)
			(void)cache_raise(cache, id, &tag, 1);
		(void)cache_raise_for(cache, CAUSE_database, id, &tag, 1);
		(void)cache_raise(cache, id, &tag, 1);
	}
	(void)cache_raise_for(cache, CAUSE_database, 7, &tag, 1);
	assert_int_equal(cache_raises_by(cache, CAUSE_route) - by_route, 10);
	assert_int_equal(cache_raises_by(cache, CAUSE_database) - by_database, 1);
}

/* Told as one, of which some were raised before, by who made them. */
static void
changes_that_are_raised_together_are_counted_one_by_one(void **state)
{
	struct span tag = SPAN("course:1");
	struct asker a;

	(void)state;
	get(&a, "k");
	cache_expect(cache, CAUSE_route, 100000001);
	(void)cache_raise(cache, 100000001, &tag, 1);
	cache_expect(cache, CAUSE_route, 100000002);
	get(&a, "k");
	cache_raise_many(cache, CAUSE_database, &tag, 1);
	for (uint64_t id = 100000001; id < 100000101; id++)
		cache_count_raise(cache, CAUSE_database, id);
	get(&a, "k");
	assert_int_equal(loader.calls, 3);
	assert_int_equal(cache_raises_by(cache, CAUSE_route), 2);
	assert_int_equal(cache_raises_by(cache, CAUSE_database), 98);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(a_second_read_loads_nothing),
		ALONE(a_falsy_body_is_a_value),
		ALONE(a_life_ends_within_a_tenth_of_its_class),
		ALONE(a_raise_makes_the_next_read_new),
		ALONE(a_cold_key_is_loaded_once),
		ALONE(a_key_that_landed_since_the_look_is_not_loaded_again),
		ALONE(who_asks_after_a_raise_never_gets_the_load_before_it),
		ALONE(an_absence_is_not_given_to_who_asks_after_a_raise),
		ALONE(a_failure_reaches_everybody_and_is_not_kept),
		ALONE(who_comes_along_is_counted_unless_it_fails),
		ALONE(a_full_queue_is_busy_at_once),
		ALONE(changes_that_are_raised_together_are_counted_one_by_one),
		ALONE(a_large_body_is_kept_compressed),
		ALONE(readers_never_see_what_was_overwritten),
		REDIS(a_change_is_counted_once_and_for_who_made_it),
		REDIS(a_redis_hit_loads_nothing),
		REDIS(redis_down_fails_nothing_and_loads_once),
		REDIS(redis_is_raised_before_memory),
		REDIS(anonymous_keys_reach_redis_up_to_a_bound),
		REDIS(a_long_life_is_cut_to_what_redis_takes),
		REDIS(clearing_empties_both_levels),
		REDIS(redis_is_asked_once_while_a_worker_wakes),
		REDIS(without_a_connection_at_hand_a_worker_asks_and_stores),
		REDIS(a_busy_pool_asks_nothing_ahead),
		REDIS(a_raise_behind_the_question_is_not_overlooked),
		REDIS(an_answer_does_not_wait_for_redis_to_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
