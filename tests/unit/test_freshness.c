/*
 * What the cache gives around the end of an entry's life, while it hears
 * nothing, and while the source of truth is down.  Time is stepped, there is
 * no Redis.
 */
#include "cache/cache.h"

#include <semaphore.h>
#include <unistd.h>

#include "unit.h"

#define LIFE_MS 10000
#define GRACE_MS 2000
#define STALE_MS 60000
#define HEARD_MS 1000

static _Atomic int64_t now;
static struct workers *workers;
static struct cache *cache;

static struct {
	_Atomic int calls;
	_Atomic int status;
	_Atomic int truth;
} loader;

static const struct cache_policy policies[] = { { "test", SEARCH_RESULTS, false, false } };

static int64_t
read_now(void)
{
	return atomic_load(&now);
}

static enum status
load(void *ctx, const void *args, struct loaded *out)
{
	static __thread char text[32];
	static __thread struct span tag;

	(void)ctx;
	(void)args;
	atomic_fetch_add(&loader.calls, 1);
	snprintf(text, sizeof(text), "v%d", atomic_load(&loader.truth));
	tag = span_of("course:1");
	out->body = span_of(text);
	out->tags = &tag;
	out->tag_count = 1;
	return (enum status)atomic_load(&loader.status);
}

struct asker {
	struct waiter waiter; /* first */
	struct landing landing;
	sem_t landed;
	enum status status;
	enum cache_how how;
	int version; /* -1: none */
};

static void
landed(struct waiter *w, const struct landing *landing)
{
	struct asker *a = (struct asker *)w;

	a->landing = *landing;
	sem_post(&a->landed);
}

static void
take(struct asker *a, struct entry *e)
{
	struct span body = entry_body(e);

	a->status = e->absent ? NOT_FOUND : OK;
	a->version = e->absent ? -1 : body.at[1] - '0';
	entry_release(e);
}

/* One question to its end; .how and .version say what came. */
static struct asker
get(void)
{
	struct question q = { .key = SPAN("k"), .load = load };
	struct asker a = { .version = -1 };
	struct entry *hit;

	sem_init(&a.landed, 0, 0);
	a.waiter.landed = landed;
	if (cache_ask(cache, &q, &a.waiter, &hit, &a.how) == ASK_HIT) {
		take(&a, hit);
		return a;
	}
	sem_wait(&a.landed);
	a.status = a.landing.status;
	a.how = a.landing.how;
	if (a.landing.entry)
		take(&a, a.landing.entry);
	return a;
}

static void
raise_course(uint64_t id)
{
	struct span tag = SPAN("course:1");

	(void)cache_raise(cache, id, &tag, 1);
}

static void
pass(int64_t ms)
{
	atomic_fetch_add(&now, ms);
}

/* Until so many flights have landed, those behind our back among them. */
static void
wait_for_flights(uint64_t count)
{
	struct workers_stats stats = { 0 };

	for (int i = 0; i < 10000 && stats.jobs_done < count; i++) {
		usleep(500);
		workers_read_stats(workers, &stats);
	}
	assert_true(stats.jobs_done >= count);
}

/* Until the load that goes on behind our back has landed. */
static void
wait_for_refresh(int version)
{
	for (int i = 0; i < 5000 && get().version != version; i++)
		usleep(1000);
	assert_int_equal(get().version, version);
}

static int
set_up(void **state)
{
	struct cache_config config = {
		.memory_bytes = 1 << 20,
		.policies = policies,
		.policy_count = 1,
		.now_ms = read_now,
		.heard_ms = *state ? HEARD_MS : 0,
	};

	atomic_store(&now, 1000000);
	atomic_store(&loader.calls, 0);
	atomic_store(&loader.status, OK);
	atomic_store(&loader.truth, 0);
	config.workers = workers = workers_start(2, 8);
	cache = cache_new(&config);
	cache_set_ttl(cache, SEARCH_RESULTS, LIFE_MS);
	cache_set_ttl(cache, ABSENCE, 500);
	cache_set_keep(cache, GRACE_MS, STALE_MS);
	if (*state)
		cache_heard(cache, read_now(), "");
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

/* ---- around the end of a life ---- */

static void
a_hit_late_in_life_is_refreshed_once_behind_the_answer(void **state)
{
	(void)state;
	get();
	wait_for_flights(1);
	pass(LIFE_MS * 75 / 100); /* before the last tenth of the shortest life */
	assert_int_equal(get().how, HOW_MEMORY);
	assert_int_equal(loader.calls, 1);
	atomic_store(&loader.truth, 1);
	pass(LIFE_MS * 20 / 100); /* 95 %: within it, or a little after the end */
	for (int i = 0; i < 20; i++)
		assert_true(get().version >= 0);
	wait_for_flights(2);
	wait_for_refresh(1);
	assert_int_equal(loader.calls, 2);
}

static void
one_whose_life_has_ended_is_given_in_its_grace_and_refreshed(void **state)
{
	struct asker a;

	(void)state;
	get();
	wait_for_flights(1);
	atomic_store(&loader.truth, 1);
	pass(LIFE_MS);
	a = get();
	assert_int_equal(a.how, HOW_GRACE);
	assert_int_equal(a.version, 0);
	wait_for_flights(2);
	wait_for_refresh(1);
	assert_int_equal(loader.calls, 2);
}

static void
after_its_grace_it_is_loaded_again(void **state)
{
	(void)state;
	get();
	atomic_store(&loader.truth, 1);
	pass(LIFE_MS + GRACE_MS);
	assert_int_equal(get().version, 1);
}

static void
a_raised_one_has_no_grace(void **state)
{
	(void)state;
	get();
	atomic_store(&loader.truth, 1);
	pass(LIFE_MS);
	raise_course(0);
	assert_int_equal(get().version, 1);
	assert_int_equal(loader.calls, 2);
}

static void
a_refresh_that_fails_is_not_tried_at_every_hit(void **state)
{
	(void)state;
	get();
	wait_for_flights(1);
	atomic_store(&loader.status, UNAVAILABLE);
	pass(LIFE_MS * 95 / 100); /* the whole second that follows is within its grace */
	for (int i = 0; i < 50; i++)
		assert_int_equal(get().version, 0);
	wait_for_flights(2);
	assert_int_equal(loader.calls, 2);
	pass(1000);
	assert_int_equal(get().version, 0);
	wait_for_flights(3);
	assert_int_equal(loader.calls, 3);
}

/* ---- what is not there ---- */

static void
an_absence_is_kept_for_a_short_while(void **state)
{
	(void)state;
	atomic_store(&loader.status, NOT_FOUND);
	assert_int_equal(get().status, NOT_FOUND);
	assert_int_equal(get().status, NOT_FOUND);
	assert_int_equal(loader.calls, 1);
	pass(500);
	assert_int_equal(get().status, NOT_FOUND);
	assert_int_equal(loader.calls, 2);
}

static void
what_comes_into_being_is_there_at_once(void **state)
{
	struct asker a;

	(void)state;
	atomic_store(&loader.status, NOT_FOUND);
	get();
	atomic_store(&loader.status, OK);
	raise_course(0);
	a = get();
	assert_int_equal(a.status, OK);
	assert_int_equal(a.version, 0);
}

/* ---- while nothing is heard ---- */

static void
nothing_is_trusted_before_the_first_word(void **state)
{
	(void)state;
	cache_heard(cache, 0, "");
	get();
	get();
	assert_int_equal(loader.calls, 2);
}

static void
after_its_bound_of_silence_memory_is_not_trusted(void **state)
{
	(void)state;
	get();
	pass(HEARD_MS);
	assert_int_equal(get().how, HOW_MEMORY);
	pass(1);
	assert_int_equal(get().how, HOW_LOADED);
	assert_int_equal(get().how, HOW_LOADED);
	assert_int_equal(loader.calls, 3);
	cache_heard(cache, read_now(), "");
	assert_int_equal(get().how, HOW_MEMORY);
}

static void
what_was_missed_is_not_believed(void **state)
{
	(void)state;
	get();
	cache_lost(cache);
	assert_int_equal(get().how, HOW_LOADED);
}

static void
the_same_transaction_invalidates_once(void **state)
{
	(void)state;
	get();
	raise_course(7);
	get();
	raise_course(7);
	assert_int_equal(get().how, HOW_MEMORY);
	raise_course(8);
	assert_int_equal(get().how, HOW_LOADED);
}

/* ---- while the source is down ---- */

static void
silent_and_down(void)
{
	pass(HEARD_MS + 1);
	cache_down(cache, true);
	atomic_store(&loader.status, UNAVAILABLE);
}

static void
an_outage_is_bridged_as_stale_without_a_load(void **state)
{
	(void)state;
	get();
	silent_and_down();
	assert_int_equal(get().how, HOW_STALE);
	assert_int_equal(loader.calls, 1);
	pass(LIFE_MS + 1000);
	assert_int_equal(get().how, HOW_STALE);
	assert_int_equal(get().version, 0);
	pass(STALE_MS);
	assert_int_equal(get().status, UNAVAILABLE);
}

static void
what_was_invalidated_is_not_given_in_an_outage(void **state)
{
	(void)state;
	get();
	raise_course(0);
	silent_and_down();
	assert_int_equal(get().status, UNAVAILABLE);
}

/* Before anybody has noticed: the load itself finds out. */
static void
a_load_that_fails_falls_back(void **state)
{
	struct asker a;

	(void)state;
	get();
	pass(LIFE_MS + GRACE_MS);
	cache_heard(cache, read_now(), "");
	atomic_store(&loader.status, UNAVAILABLE);
	a = get();
	assert_int_equal(a.status, OK);
	assert_int_equal(a.how, HOW_STALE);
	raise_course(0);
	assert_int_equal(get().status, UNAVAILABLE);
}

static void
a_wrong_statement_is_not_hidden_behind_an_old_answer(void **state)
{
	(void)state;
	get();
	pass(LIFE_MS + GRACE_MS);
	cache_heard(cache, read_now(), "");
	atomic_store(&loader.status, INTERNAL);
	assert_int_equal(get().status, INTERNAL);
}

/* Who cannot listen, but can load, loads. */
static void
silent_but_not_down_is_loaded(void **state)
{
	(void)state;
	get();
	atomic_store(&loader.truth, 1);
	pass(HEARD_MS + 1);
	assert_int_equal(get().version, 1);
}

static void
after_an_outage_everything_is_as_before(void **state)
{
	(void)state;
	get();
	silent_and_down();
	get();
	atomic_store(&loader.status, OK);
	cache_down(cache, false);
	cache_heard(cache, read_now(), "");
	assert_int_equal(get().how, HOW_MEMORY);
}

static char listening[] = "listening";

#define ALONE(test) \
	{ \
#test, test, set_up, tear_down, NULL \
	}
#define LISTENING(test) \
	{ \
#test, test, set_up, tear_down, listening \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(a_hit_late_in_life_is_refreshed_once_behind_the_answer),
		ALONE(one_whose_life_has_ended_is_given_in_its_grace_and_refreshed),
		ALONE(after_its_grace_it_is_loaded_again),
		ALONE(a_raised_one_has_no_grace),
		ALONE(a_refresh_that_fails_is_not_tried_at_every_hit),
		ALONE(an_absence_is_kept_for_a_short_while),
		ALONE(what_comes_into_being_is_there_at_once),
		LISTENING(nothing_is_trusted_before_the_first_word),
		LISTENING(after_its_bound_of_silence_memory_is_not_trusted),
		LISTENING(what_was_missed_is_not_believed),
		LISTENING(the_same_transaction_invalidates_once),
		LISTENING(an_outage_is_bridged_as_stale_without_a_load),
		LISTENING(what_was_invalidated_is_not_given_in_an_outage),
		LISTENING(a_load_that_fails_falls_back),
		LISTENING(a_wrong_statement_is_not_hidden_behind_an_old_answer),
		LISTENING(silent_but_not_down_is_loaded),
		LISTENING(after_an_outage_everything_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
