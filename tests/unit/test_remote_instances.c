/*
 * Several caches over one Redis and one source of truth, as several processes
 * are: each with its workers, its memory and its connections.  Redis is a real
 * server (tests/unit/with-redis); the source is a number for each key, which
 * changes at once, as a COMMIT does.
 */
#include "cache/cache.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "unit.h"

#define INSTANCES 3
#define KEYS 4

struct instance {
	struct workers *workers;
	struct remote *remote;
	struct cache *cache;
};

static struct instance all[INSTANCES];
static _Atomic int truth[KEYS];
static _Atomic uint64_t last_id = 1000;

/* The load of key 0 of the first instance is held up when these are set. */
static sem_t *_Atomic hold;
static sem_t *_Atomic began;

static const struct cache_policy policies[] = { { "test", SEARCH_RESULTS, false, false } };

static enum status
load(void *ctx, const void *args, struct loaded *out)
{
	static __thread char text[64];
	static __thread char tag[16];
	static __thread struct span tags[1];
	int key = *(const int *)args;
	int seen = atomic_load(&truth[key]);
	sem_t *until = atomic_load(&hold); /* taken away once this has begun */

	if (ctx == &all[0] && key == 0 && until) {
		sem_post(atomic_load(&began));
		sem_wait(until);
	}
	if (random_below(8) == 0)
		usleep(random_below(300));
	snprintf(text, sizeof(text), "v%d of %d", seen, key);
	snprintf(tag, sizeof(tag), "course:%d", key);
	tags[0] = span_of(tag);
	out->body = span_of(text);
	out->tags = tags;
	out->tag_count = 1;
	return OK;
}

static void
redis_cli(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "redis-cli -s %s/redis.sock %s >/dev/null",
	    getenv("TEST_REDIS_DIR"), command);
	assert_int_equal(system(line), 0);
}

static void
open_instance(struct instance *one, bool strict)
{
	struct remote_config rc = {
		.url = getenv("REDIS_URL"),
		.prefix = "i:",
		.deadline_ms = 300,
		.connect_ms = 600,
		.breaker_failures = 3,
		.breaker_ms = 10,
		.connections = 4,
	};
	struct cache_config cc = {
		.memory_bytes = 1 << 20,
		.policies = policies,
		.policy_count = 1,
		.load_ctx = one,
		.now_ms = clock_ms,
		.strict = strict,
	};
	const char *why;

	one->remote = remote_open(&rc, &why);
	one->workers = workers_start(4, 64);
	cc.remote = one->remote;
	cc.workers = one->workers;
	one->cache = cache_new(&cc);
	assert_non_null(one->cache);
}

static int
set_up(void **state)
{
	redis_cli("replicaof no one");
	redis_cli("config set maxmemory 0");
	redis_cli("flushall");
	for (int i = 0; i < KEYS; i++)
		atomic_store(&truth[i], 0);
	atomic_store(&hold, NULL);
	for (int i = 0; i < INSTANCES; i++)
		open_instance(&all[i], *state != NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < INSTANCES; i++) {
		workers_stop(all[i].workers);
		cache_free(all[i].cache);
		remote_close(all[i].remote);
	}
	return 0;
}

/* ---- who asks ---- */

struct asker {
	struct waiter waiter; /* first */
	struct landing landing;
	sem_t landed;
};

static void
landed(struct waiter *w, const struct landing *landing)
{
	struct asker *a = (struct asker *)w;

	a->landing = *landing;
	sem_post(&a->landed);
}

static int
version_of(struct entry *e, int key)
{
	struct span body = entry_body(e);
	char text[64];
	int version = -1;
	int of = -1;

	snprintf(text, sizeof(text), "%.*s", SPAN_ARG(body));
	assert_int_equal(sscanf(text, "v%d of %d", &version, &of), 2);
	assert_int_equal(of, key);
	entry_release(e);
	return version;
}

static enum cache_answer
ask(struct asker *a, struct instance *one, int key, struct entry **hit)
{
	char name[16];
	struct question q = {
		.key = { name, 0 }, .load = load, .args = &key, .args_len = sizeof(key)
	};
	enum cache_how how;

	q.key.len = (size_t)snprintf(name, sizeof(name), "key:%d", key);
	memset(a, 0, sizeof(*a));
	sem_init(&a->landed, 0, 0);
	a->waiter.landed = landed;
	return cache_ask(one->cache, &q, &a->waiter, hit, &how);
}

/* -1: a failure. */
static int
wait_for(struct asker *a, int key)
{
	sem_wait(&a->landed);
	if (a->landing.status != OK)
		return -1;
	return a->landing.entry ? version_of(a->landing.entry, key) : -2;
}

static int
read_of(struct instance *one, int key)
{
	struct asker a;
	struct entry *hit;
	int version;

	do {
		if (ask(&a, one, key, &hit) == ASK_HIT)
			return version_of(hit, key);
		version = wait_for(&a, key);
	} while (version == -2);
	return version;
}

static bool
pend(struct instance *one, int key, uint64_t *id)
{
	char text[16];
	struct span tag = { text, 0 };

	tag.len = (size_t)snprintf(text, sizeof(text), "course:%d", key);
	*id = atomic_fetch_add(&last_id, 1);
	return cache_pend(one->cache, *id, &tag, 1);
}

static bool
raise_key(struct instance *one, int key, uint64_t id)
{
	char text[16];
	struct span tag = { text, 0 };

	tag.len = (size_t)snprintf(text, sizeof(text), "course:%d", key);
	return cache_raise(one->cache, id, &tag, 1);
}

/* As routes/write.c does it in strict mode.  True: acknowledged. */
static bool
write_strict(struct instance *one, int key, int version)
{
	uint64_t id;

	if (!pend(one, key, &id)) {
		(void)raise_key(one, key, id);
		return false;
	}
	atomic_store(&truth[key], version);
	return raise_key(one, key, id);
}

/* ---- behaviours ---- */

static void
a_write_shows_on_every_instance_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < INSTANCES; i++) {
		assert_int_equal(read_of(&all[i], 0), 0);
		assert_int_equal(read_of(&all[i], 0), 0);
	}
	assert_true(write_strict(&all[0], 0, 1));
	for (int i = 0; i < INSTANCES; i++)
		assert_int_equal(read_of(&all[i], 0), 1);
}

static void
who_joins_a_flight_after_anothers_write_is_not_given_the_old_row(void **state)
{
	struct asker first;
	struct asker second;
	struct entry *hit;
	sem_t go;
	sem_t at;

	(void)state;
	sem_init(&go, 0, 0);
	sem_init(&at, 0, 0);
	atomic_store(&began, &at);
	atomic_store(&hold, &go);
	assert_int_equal(ask(&first, &all[0], 0, &hit), ASK_WAIT);
	sem_wait(&at); /* it has seen version 0 */
	assert_true(write_strict(&all[1], 0, 1));
	assert_int_equal(ask(&second, &all[0], 0, &hit), ASK_WAIT);
	atomic_store(&hold, NULL);
	sem_post(&go);
	assert_int_equal(wait_for(&first, 0), 0);
	assert_int_equal(wait_for(&second, 0), -2); /* ask again */
	assert_int_equal(read_of(&all[0], 0), 1);
}

static void
who_joins_while_redis_is_down_asks_again(void **state)
{
	struct asker first;
	struct asker second;
	struct entry *hit;
	sem_t go;
	sem_t at;

	(void)state;
	kill((pid_t)atoi(getenv("TEST_REDIS_PID")), SIGSTOP);
	sem_init(&go, 0, 0);
	sem_init(&at, 0, 0);
	atomic_store(&began, &at);
	atomic_store(&hold, &go);
	assert_int_equal(ask(&first, &all[0], 0, &hit), ASK_WAIT);
	sem_wait(&at);
	assert_int_equal(ask(&second, &all[0], 0, &hit), ASK_WAIT);
	atomic_store(&hold, NULL);
	sem_post(&go);
	assert_int_equal(wait_for(&first, 0), 0);
	assert_int_equal(wait_for(&second, 0), -2);
	kill((pid_t)atoi(getenv("TEST_REDIS_PID")), SIGCONT);
}

static bool
runs(void *ctx, uint64_t id)
{
	(void)id;
	return *(bool *)ctx;
}

static void
what_a_dead_writer_left_pending_is_missed_until_it_is_settled(void **state)
{
	bool still = true;
	uint64_t id;
	struct cache_counters before;
	struct cache_counters after;

	(void)state;
	assert_int_equal(read_of(&all[0], 0), 0);
	assert_true(pend(&all[1], 0, &id));
	atomic_store(&truth[0], 1); /* committed, and then it dies */
	assert_int_equal(read_of(&all[0], 0), 1);
	cache_read_counters(all[0].cache, &before);
	assert_int_equal(read_of(&all[0], 0), 1);
	cache_read_counters(all[0].cache, &after);
	assert_int_equal(after.loads, before.loads + 1); /* nothing is kept */
	cache_settle(all[2].cache, -1, runs, &still);
	assert_int_equal(read_of(&all[0], 0), 1);
	still = false;
	cache_settle(all[2].cache, -1, runs, &still);
	assert_int_equal(read_of(&all[0], 0), 1);
	cache_read_counters(all[0].cache, &before);
	assert_int_equal(read_of(&all[0], 0), 1);
	cache_read_counters(all[0].cache, &after);
	assert_int_equal(after.loads, before.loads);
}

static void
two_pending_on_one_tag_end_one_by_one(void **state)
{
	uint64_t one;
	uint64_t two;
	struct remote_pending found[4];

	(void)state;
	assert_true(pend(&all[0], 0, &one));
	assert_true(pend(&all[1], 0, &two));
	assert_int_equal(remote_pending(all[2].remote, found, 4), 2);
	assert_int_equal(found[0].id, one);
	assert_int_equal(found[0].slot_count, 1);
	atomic_store(&truth[0], 1);
	assert_true(raise_key(&all[0], 0, one));
	assert_int_equal(read_of(&all[2], 0), 1);
	atomic_store(&truth[0], 2); /* the second one's commit, unannounced yet */
	assert_int_equal(read_of(&all[2], 0), 2);
	assert_true(raise_key(&all[1], 0, two));
	assert_int_equal(remote_pending(all[2].remote, found, 4), 0);
}

static void
without_redis_nothing_can_be_pending(void **state)
{
	uint64_t id;

	(void)state;
	kill((pid_t)atoi(getenv("TEST_REDIS_PID")), SIGSTOP);
	assert_false(pend(&all[0], 0, &id));
	kill((pid_t)atoi(getenv("TEST_REDIS_PID")), SIGCONT);
}

static void
the_same_transaction_is_raised_once(void **state)
{
	struct cache_counters before;
	struct cache_counters after;

	(void)state;
	atomic_store(&truth[0], 1);
	assert_true(raise_key(&all[0], 0, 77));
	assert_int_equal(read_of(&all[0], 0), 1);
	/* The others hear of it, and so does the one who made it. */
	for (int i = 0; i < INSTANCES; i++)
		assert_true(raise_key(&all[i], 0, 77));
	cache_read_counters(all[0].cache, &before);
	assert_int_equal(read_of(&all[0], 0), 1);
	assert_int_equal(read_of(&all[1], 0), 1);
	cache_read_counters(all[0].cache, &after);
	assert_int_equal(after.loads, before.loads);
	cache_read_counters(all[1].cache, &after);
	assert_int_equal(after.redis_hits, 1);
	assert_int_equal(after.loads, 0);
}

/* Its connections are cut and it cannot be reached: nothing that we say arrives
 * late. */
static void
hide_redis(bool hide)
{
	char here[200];
	char away[208];

	snprintf(here, sizeof(here), "%s/redis.sock", getenv("TEST_REDIS_DIR"));
	snprintf(away, sizeof(away), "%s.away", here);
	if (hide)
		redis_cli("client kill type normal skipme yes");
	assert_int_equal(hide ? rename(here, away) : rename(away, here), 0);
}

/* Not confirmed, and then Redis goes on with all it had: what is owed is paid
 * first, and nothing else is lost. */
static void
a_raise_without_an_answer_is_owed(void **state)
{
	struct remote_stats before;
	struct remote_stats after;
	struct cache_counters counters;

	(void)state;
	assert_int_equal(read_of(&all[0], 0), 0);
	assert_int_equal(read_of(&all[0], 1), 0);
	remote_read_stats(all[0].remote, &before);
	hide_redis(true);
	atomic_store(&truth[0], 1);
	assert_false(raise_key(&all[0], 0, 5));
	assert_int_equal(read_of(&all[0], 0), 1);
	hide_redis(false);
	usleep(50000); /* the breaker's 10 ms, real time */
	cache_settle(all[0].cache, 0, runs, NULL);
	assert_int_equal(read_of(&all[1], 0), 1); /* from Redis, if it had it still */
	assert_int_equal(read_of(&all[1], 1), 0);
	cache_read_counters(all[1].cache, &counters);
	assert_int_equal(counters.redis_hits, 1);
	remote_read_stats(all[0].remote, &after);
	assert_int_equal(after.epochs, before.epochs);
}

static void
a_bookmark_is_found_by_the_next(void **state)
{
	char text[REMOTE_BOOKMARK_BYTES];

	(void)state;
	cache_recall(all[1].cache, text);
	assert_string_equal(text, "");
	cache_heard(all[0].cache, clock_ms(), "here/12:14:");
	cache_settle(all[0].cache, 0, runs, NULL);
	cache_recall(all[1].cache, text);
	assert_string_equal(text, "here/12:14:");
	redis_cli("del i:meta");
	cache_recall(all[1].cache, text);
	assert_string_equal(text, "");
}

/* ---- many threads, and Redis in trouble ---- */

static _Atomic int acknowledged[KEYS];
static _Atomic bool stop;
static _Atomic int stale;
static _Atomic int reads;

static void *
read_on(void *ctx)
{
	(void)ctx;
	while (!atomic_load(&stop)) {
		int key = (int)random_below(KEYS);
		int least = atomic_load(&acknowledged[key]);
		int version = read_of(&all[random_below(INSTANCES)], key);

		if (version >= 0 && version < least)
			atomic_fetch_add(&stale, 1);
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

/* Each key has one writer, who writes through any instance. */
static void *
write_on(void *ctx)
{
	int key = (int)(intptr_t)ctx;

	for (int v = 1; !atomic_load(&stop); v++) {
		if (write_strict(&all[random_below(INSTANCES)], key, v))
			atomic_store(&acknowledged[key], v);
		usleep(random_below(400));
	}
	return NULL;
}

static void
trouble(int round)
{
	static const char *const commands[] = {
		"flushall",
		"del i:meta",
		"script flush",
		"client kill type normal skipme yes",
		"replicaof 127.0.0.1 1",
		"replicaof no one",
		"config set maxmemory 1",
		"config set maxmemory 0",
	};
	pid_t pid = (pid_t)atoi(getenv("TEST_REDIS_PID"));

	if (round % 9 == 8) {
		kill(pid, SIGSTOP);
		usleep(20000);
		kill(pid, SIGCONT);
	} else {
		redis_cli(commands[round % 9]);
	}
	usleep(15000);
}

static void
no_instance_reads_what_was_overwritten_whatever_happens_to_redis(void **state)
{
	pthread_t readers[4];
	pthread_t writers[KEYS];

	(void)state;
	log_set_level(LOG_ERROR);
	atomic_store(&stop, false);
	atomic_store(&stale, 0);
	atomic_store(&reads, 0);
	for (int i = 0; i < KEYS; i++)
		atomic_store(&acknowledged[i], 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&readers[i], NULL, read_on, NULL);
	for (int i = 0; i < KEYS; i++)
		pthread_create(&writers[i], NULL, write_on, (void *)(intptr_t)i);
	for (int round = 0; round < 90; round++)
		trouble(round);
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(readers[i], NULL);
	for (int i = 0; i < KEYS; i++)
		pthread_join(writers[i], NULL);
	assert_int_equal(atomic_load(&stale), 0);
	assert_true(atomic_load(&reads) > 1000);
	for (int i = 0; i < KEYS; i++)
		assert_true(atomic_load(&acknowledged[i]) > 10);
}

static char strictly[] = "strict";

#define STRICT(test) \
	{ \
#test, test, set_up, tear_down, strictly \
	}
#define BOUNDED(test) \
	{ \
#test, test, set_up, tear_down, NULL \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STRICT(a_write_shows_on_every_instance_at_once),
		STRICT(who_joins_a_flight_after_anothers_write_is_not_given_the_old_row),
		STRICT(who_joins_while_redis_is_down_asks_again),
		STRICT(what_a_dead_writer_left_pending_is_missed_until_it_is_settled),
		STRICT(two_pending_on_one_tag_end_one_by_one),
		STRICT(without_redis_nothing_can_be_pending),
		STRICT(no_instance_reads_what_was_overwritten_whatever_happens_to_redis),
		BOUNDED(the_same_transaction_is_raised_once),
		BOUNDED(a_raise_without_an_answer_is_owed),
		BOUNDED(a_bookmark_is_found_by_the_next),
	};

	if (!random_start())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
