/*
 * The Redis level against a real server; tests/unit/with-redis starts one.
 */
#include "cache/remote.h"
#include "cache/remote_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "cache/breaker.h"
#include "cache/tags.h"
#include "unit.h"

static struct remote *remote;

static struct remote *
open_url(const char *url)
{
	struct remote_config config = {
		.url = url,
		.prefix = "test*[:",
		.deadline_ms = 100,
		.connect_ms = 500,
		.breaker_failures = 3,
		.breaker_ms = 50,
		.connections = 4,
	};
	const char *why;
	struct remote *r = remote_open(&config, &why);

	if (!r)
		fail_msg("%s", why);
	return r;
}

static int
set_up(void **state)
{
	(void)state;
	remote = open_url(getenv("REDIS_URL"));
	assert_true(remote_clear(remote));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	remote_close(remote);
	return 0;
}

static void
redis_cli(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "redis-cli -s %s/redis.sock %s >/dev/null",
	    getenv("TEST_REDIS_DIR"), command);
	assert_int_equal(system(line), 0);
}

static struct remote_token
token_for(struct remote *r, const char *key)
{
	struct remote_token token;
	struct remote_value value;

	assert_int_equal(remote_get(r, span_of(key), &token, &value), REMOTE_MISS);
	assert_true(token.valid);
	return token;
}

static enum remote_put_result
put(struct remote *r, const char *key, const struct remote_token *token, struct span body)
{
	uint16_t slots[TAG_MAX];
	struct span tag = SPAN("course:1");
	struct remote_value value = {
		.body = body,
		.etag = SPAN("W/\"abc\""),
		.slots = slots,
		.slot_count = tag_slots(&tag, 1, slots),
		.ttl_ms = 60000,
	};

	return remote_put(r, span_of(key), token, &value, true);
}

static void
store(struct remote *r, const char *key, const char *body)
{
	struct remote_token token = token_for(r, key);

	assert_int_equal(put(r, key, &token, span_of(body)), REMOTE_STORED);
}

static enum remote_result
look(struct remote *r, const char *key)
{
	struct remote_token token;
	struct remote_value value;
	enum remote_result result = remote_get(r, span_of(key), &token, &value);

	remote_value_free(&value);
	return result;
}

static bool
raise_tag(struct remote *r, const char *tag)
{
	uint16_t slot = tag_slot(span_of(tag));

	return remote_raise(r, 0, &slot, 1);
}

/* ---- behaviours ---- */

static void
what_is_stored_comes_back_whole(void **state)
{
	static char body[100000];
	struct remote_token token = token_for(remote, "k");
	struct remote_value value;

	(void)state;
	random_bytes(body, sizeof(body));
	assert_int_equal(put(remote, "k", &token, span_make(body, sizeof(body))), REMOTE_STORED);
	assert_int_equal(remote_get(remote, span_of("k"), &token, &value), REMOTE_HIT);
	assert_int_equal(value.body.len, sizeof(body));
	assert_memory_equal(value.body.at, body, sizeof(body));
	assert_span(value.etag, "W/\"abc\"");
	assert_int_equal(value.slot_count, 3);
	assert_true(value.ttl_ms > 59000 && value.ttl_ms <= 60000);
	remote_value_free(&value);
}

static void
a_raise_refuses_the_load_that_it_overtook(void **state)
{
	struct remote_token token = token_for(remote, "k");

	(void)state;
	assert_true(raise_tag(remote, "course:1"));
	assert_int_equal(put(remote, "k", &token, span_of("old")), REMOTE_REFUSED);
	token = token_for(remote, "k");
	assert_true(raise_tag(remote, "course:2"));
	assert_int_equal(put(remote, "k", &token, span_of("new")), REMOTE_STORED);
}

static void
a_raise_makes_entries_misses(void **state)
{
	static const char *const tags[] = { "course:1", "course", TAG_ALL };

	(void)state;
	for (int i = 0; i < 3; i++) {
		store(remote, "k", "body");
		assert_true(raise_tag(remote, "course:2"));
		assert_int_equal(look(remote, "k"), REMOTE_HIT);
		assert_true(raise_tag(remote, tags[i]));
		assert_int_equal(look(remote, "k"), REMOTE_MISS);
	}
}

static void
lost_metadata_makes_misses_not_lies(void **state)
{
	struct remote_token token;

	(void)state;
	store(remote, "k", "body");
	token = token_for(remote, "other");
	redis_cli("del 'test*[:meta'");
	assert_int_equal(look(remote, "k"), REMOTE_MISS);
	assert_int_equal(put(remote, "other", &token, span_of("old")), REMOTE_REFUSED);
	redis_cli("del 'test*[:meta'");
	assert_true(raise_tag(remote, "course:1"));
	store(remote, "k", "body");
	redis_cli("flushall");
	assert_int_equal(look(remote, "k"), REMOTE_MISS);
	redis_cli("script flush");
	assert_int_equal(look(remote, "k"), REMOTE_MISS);
}

static void
who_missed_changes_believes_nothing(void **state)
{
	struct remote *second;

	(void)state;
	store(remote, "k", "body");
	second = open_url(getenv("REDIS_URL"));
	assert_int_equal(look(second, "k"), REMOTE_HIT);
	remote_distrust(second);
	assert_int_equal(look(second, "k"), REMOTE_MISS);
	/* And the first one goes on with the new epoch. */
	store(remote, "k", "again");
	assert_int_equal(look(second, "k"), REMOTE_HIT);
	remote_close(second);
}

static void
garbled_values_are_misses(void **state)
{
	static const char *const damage[] = { "hset 'test*[:k:k' b other",
		"hset 'test*[:k:k' s 99999999", "hset 'test*[:k:k' s ''", "hset 'test*[:k:k' n x",
		"hset 'test*[:k:k' t ''", "hset 'test*[:k:k' g 1", "hdel 'test*[:k:k' c",
		"hdel 'test*[:k:k' b", "set 'test*[:k:k' text", "persist 'test*[:k:k'" };

	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		redis_cli("del 'test*[:k:k'");
		store(remote, "k", "body");
		assert_int_equal(look(remote, "k"), REMOTE_HIT);
		redis_cli(damage[i]);
		if (look(remote, "k") != REMOTE_MISS)
			fail_msg("believed after: %s", damage[i]);
	}
}

static void
a_value_under_another_key_is_a_miss(void **state)
{
	(void)state;
	store(remote, "mine", "body");
	redis_cli("copy 'test*[:k:mine' 'test*[:k:yours' replace");
	assert_int_equal(look(remote, "yours"), REMOTE_MISS);
	assert_int_equal(look(remote, "mine"), REMOTE_HIT);
}

static void
clearing_takes_ours_and_nobody_elses(void **state)
{
	struct remote_stats stats;

	(void)state;
	redis_cli("mset somebody 1 testx[:k:k 1 'test*[:else' 1");
	for (int i = 0; i < 50; i++) {
		char key[16];

		snprintf(key, sizeof(key), "key%d", i);
		store(remote, key, "body");
	}
	remote_read_stats(remote, &stats);
	assert_int_equal(stats.keys, 50);
	assert_int_equal(stats.samples, 5);
	assert_true(stats.bytes >= 50 * 8 && stats.bytes <= 50 * 12);
	assert_true(remote_clear(remote));
	remote_read_stats(remote, &stats);
	assert_int_equal(stats.keys, 0);
	redis_cli("--raw exists somebody testx[:k:k 'test*[:else' | grep -q 3");
	redis_cli("--raw exists 'test*[:k:key1' | grep -q 0");
}

static void
out_of_memory_stores_nothing_and_lies_not(void **state)
{
	struct remote_token token;
	struct remote_value value;

	(void)state;
	store(remote, "k", "body");
	token = token_for(remote, "other");
	redis_cli("config set maxmemory 1");
	assert_int_not_equal(put(remote, "other", &token, span_of("x")), REMOTE_STORED);
	assert_false(raise_tag(remote, "course:1"));
	redis_cli("config set maxmemory 0");
	/* The raise was not taken: nothing from before may be read. */
	assert_int_not_equal(remote_get(remote, span_of("k"), &token, &value), REMOTE_HIT);
}

static void
a_hanging_server_is_waited_for_no_longer_than_the_deadline(void **state)
{
	pid_t pid = (pid_t)atoi(getenv("TEST_REDIS_PID"));
	struct remote_stats stats;
	int64_t began;

	(void)state;
	store(remote, "k", "body");
	kill(pid, SIGSTOP);
	for (int i = 0; i < 3; i++) {
		began = clock_ms();
		assert_int_equal(look(remote, "k"), REMOTE_DOWN);
		assert_true(clock_ms() - began < 100 + 500 + 200);
	}
	/* The circuit is open now: nothing is waited for. */
	began = clock_ms();
	assert_false(raise_tag(remote, "course:1"));
	assert_true(clock_ms() - began < 40);
	kill(pid, SIGCONT);
	usleep(100000); /* the breaker's 50 ms, real time */
	/* It is back with all its data, and has missed a raise. */
	assert_int_equal(look(remote, "k"), REMOTE_MISS);
	remote_read_stats(remote, &stats);
	assert_true(stats.trusted);
	assert_int_equal(stats.breaker, BREAKER_CLOSED);
}

static void
a_restart_with_restored_data_is_not_believed(void **state)
{
	char line[256];
	char pid_file[128];

	(void)state;
	store(remote, "k", "body");
	redis_cli("save");
	redis_cli("shutdown save || true");
	snprintf(line, sizeof(line), "%s/start", getenv("TEST_REDIS_DIR"));
	assert_int_equal(system(line), 0);
	redis_cli("--raw exists 'test*[:k:k' | grep -q 1");
	assert_int_equal(look(remote, "k"), REMOTE_MISS);
	snprintf(pid_file, sizeof(pid_file), "%s/pid", getenv("TEST_REDIS_DIR"));
	assert_int_equal(access(pid_file, R_OK), 0);
}

/* ---- servers that misbehave ---- */

static char bad_path[64];
static _Atomic bool bad_stop;

static void *
drip(void *ctx)
{
	int fd = accept(*(int *)ctx, NULL, NULL);

	while (!atomic_load(&bad_stop) && send(fd, "$", 1, MSG_NOSIGNAL) == 1)
		usleep(5000);
	close(fd);
	return NULL;
}

static void
a_server_that_drips_is_late(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char url[96];
	struct remote *r;
	pthread_t thread;
	int64_t began;

	(void)state;
	snprintf(bad_path, sizeof(bad_path), "%s/bad.sock", getenv("TEST_REDIS_DIR"));
	memcpy(address.sun_path, bad_path, strlen(bad_path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	listen(fd, 5);
	pthread_create(&thread, NULL, drip, &fd);
	snprintf(url, sizeof(url), "unix://%s", bad_path);
	r = open_url(url);
	began = clock_ms();
	assert_int_equal(look(r, "k"), REMOTE_DOWN);
	assert_true(clock_ms() - began < 800);
	atomic_store(&bad_stop, true);
	pthread_join(thread, NULL);
	remote_close(r);
	close(fd);
}

static void
tls_is_spoken_and_verified(void **state)
{
	const char *host = getenv("TEST_REDIS_TLS");
	char url[128];
	struct remote *r;

	(void)state;
	snprintf(url, sizeof(url), "rediss://%s", host);
	r = open_url(url);
	store(r, "tls", "body");
	assert_int_equal(look(r, "tls"), REMOTE_HIT);
	remote_close(r);
	/* The certificate is for localhost and 127.0.0.1, not for this name. */
	snprintf(url, sizeof(url), "rediss://127.0.0.2%s", strchr(host, ':'));
	r = open_url(url);
	assert_int_equal(look(r, "tls"), REMOTE_DOWN);
	remote_close(r);
}

static void
addresses_are_read(void **state)
{
	struct remote_config config = { .prefix = "", .breaker_failures = 1 };
	static const char *const bad[] = { "", "http://x", "redis://", "redis://x/y", "unix://x",
		"redis://x:99999999999", "unix:///x?y=1" };
	const char *why;
	char *url;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.url = bad[i];
		if (remote_open(&config, &why))
			fail_msg("accepted: %s", bad[i]);
		assert_true(strlen(why) > 10);
	}
	url = remote_url_of_upstash("https://eu1-x.upstash.io", "AX/+=1");
	assert_string_equal(url, "rediss://default:AX%2F%2B%3D1@eu1-x.upstash.io:6379");
	free(url);
	assert_null(remote_url_of_upstash("http://x", "y"));
	assert_null(remote_url_of_upstash("https://", "y"));
}

/* ---- many threads ---- */

static _Atomic int version;
static _Atomic int acknowledged;
static _Atomic int lies;

static void *
read_and_store(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 300; i++) {
		int least = atomic_load(&acknowledged);
		struct remote_token token;
		struct remote_value value;
		char body[16];

		if (remote_get(remote, span_of("shared"), &token, &value) == REMOTE_HIT) {
			snprintf(body, sizeof(body), "%.*s", SPAN_ARG(value.body));
			if (atoi(body) < least)
				atomic_fetch_add(&lies, 1);
			remote_value_free(&value);
		} else if (token.valid) {
			snprintf(body, sizeof(body), "%d", atomic_load(&version));
			(void)put(remote, "shared", &token, span_of(body));
		}
	}
	return NULL;
}

static void *
write_and_raise(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 300; i++) {
		int mine = atomic_fetch_add(&version, 1) + 1;

		assert_true(raise_tag(remote, "course:1"));
		atomic_store(&acknowledged, mine);
	}
	return NULL;
}

static void
threads_read_no_old_version(void **state)
{
	pthread_t threads[5];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, read_and_store, NULL);
	pthread_create(&threads[4], NULL, write_and_raise, NULL);
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&lies), 0);
}

/* ---- the breaker, by a clock of ours ---- */

static void
the_breaker_opens_probes_and_closes(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 2, 100);
	assert_true(breaker_allow(&b, 0));
	breaker_failure(&b, 0);
	assert_true(breaker_allow(&b, 0));
	breaker_failure(&b, 0);
	assert_int_equal(breaker_state(&b, 0), BREAKER_OPEN);
	assert_false(breaker_allow(&b, 99));
	assert_int_equal(breaker_state(&b, 100), BREAKER_HALF_OPEN);
	assert_true(breaker_allow(&b, 100));
	assert_false(breaker_allow(&b, 100)); /* one probe at a time */
	breaker_failure(&b, 100);
	assert_false(breaker_allow(&b, 199));
	assert_true(breaker_allow(&b, 200));
	breaker_success(&b);
	assert_int_equal(breaker_state(&b, 200), BREAKER_CLOSED);
	assert_true(breaker_allow(&b, 200));
}

/* ---- in two steps ---- */

static enum remote_result
look_at_sent(struct remote *r, const char *key, struct remote_sent *sent)
{
	struct remote_token token;
	struct remote_value value;
	enum remote_result result = remote_get_end(r, span_of(key), sent, &token, &value);

	remote_value_free(&value);
	assert_true(token.valid);
	assert_null(sent->conn);
	return result;
}

static void
what_was_sent_is_answered_when_it_is_asked_for(void **state)
{
	struct remote_sent first;
	struct remote_sent second;

	(void)state;
	store(remote, "k", "body");
	assert_true(remote_get_send(remote, span_of("k"), &first));
	/* That connection is taken, and there is no other. */
	assert_false(remote_get_send(remote, span_of("k"), &second));
	assert_int_equal(look_at_sent(remote, "other", &second), REMOTE_MISS);
	assert_int_equal(look_at_sent(remote, "k", &first), REMOTE_HIT);
}

static void
a_connection_lost_behind_the_question_harms_nothing(void **state)
{
	struct remote_sent sent;

	(void)state;
	store(remote, "k", "body");
	assert_true(remote_get_send(remote, span_of("k"), &sent));
	redis_cli("client kill type normal");
	assert_int_equal(look_at_sent(remote, "k", &sent), REMOTE_HIT);
}

static void
what_is_dropped_answers_nobody_else(void **state)
{
	struct remote_sent sent;

	(void)state;
	store(remote, "k", "body");
	assert_true(remote_get_send(remote, span_of("k"), &sent));
	remote_drop(&sent);
	assert_int_equal(look(remote, "other"), REMOTE_MISS);
}

static void
nothing_is_sent_before_what_is_owed(void **state)
{
	uint16_t slot = tag_slot(span_of("course:1"));
	struct remote_sent sent;

	(void)state;
	store(remote, "k", "body");
	remote_owe(remote, &slot, 1);
	assert_false(remote_get_send(remote, span_of("k"), &sent));
	assert_int_equal(look_at_sent(remote, "k", &sent), REMOTE_MISS);
}

static void
a_put_that_was_sent_is_judged_by_redis(void **state)
{
	struct remote_token token = token_for(remote, "k");
	struct span tag = SPAN("course:1");
	uint16_t slots[TAG_MAX];
	struct remote_value value = {
		.body = SPAN("body"),
		.etag = SPAN("W/\"abc\""),
		.slots = slots,
		.slot_count = tag_slots(&tag, 1, slots),
		.ttl_ms = 60000,
	};
	struct remote_sent sent;

	(void)state;
	assert_true(remote_put_send(remote, span_of("k"), &token, &value, true, &sent));
	assert_int_equal(look(remote, "k"), REMOTE_HIT);
	assert_int_equal(
	    remote_put_end(remote, span_of("k"), &token, &value, true, &sent), REMOTE_STORED);
	assert_true(raise_tag(remote, "course:1"));
	assert_true(remote_put_send(remote, span_of("k"), &token, &value, true, &sent));
	assert_int_equal(
	    remote_put_end(remote, span_of("k"), &token, &value, true, &sent), REMOTE_REFUSED);
}

static void
the_server_says_what_it_does_when_it_is_full(void **state)
{
	struct remote_server server;
	struct remote *nobody = open_url("redis://127.0.0.1:1");

	(void)state;
	redis_cli("config set maxmemory 123456789");
	redis_cli("config set maxmemory-policy volatile-lfu");
	assert_true(remote_read_server(remote, &server));
	redis_cli("config set maxmemory 0");
	assert_int_equal(server.max_bytes, 123456789);
	assert_string_equal(server.policy, "volatile-lfu");
	assert_true(server.used_bytes > 100000);
	assert_true(server.version[0] >= '1' && server.version[0] <= '9');
	assert_false(remote_read_server(nobody, &server));
	assert_int_equal(server.used_bytes, 0);
	remote_close(nobody);
}

int
main(void)
{
#define T(test) \
	{ \
#test, test, set_up, tear_down, NULL \
	}
	const struct CMUnitTest tests[] = {
		T(what_is_stored_comes_back_whole),
		T(a_raise_refuses_the_load_that_it_overtook),
		T(a_raise_makes_entries_misses),
		T(lost_metadata_makes_misses_not_lies),
		T(who_missed_changes_believes_nothing),
		T(garbled_values_are_misses),
		T(a_value_under_another_key_is_a_miss),
		T(clearing_takes_ours_and_nobody_elses),
		T(out_of_memory_stores_nothing_and_lies_not),
		T(threads_read_no_old_version),
		T(a_server_that_drips_is_late),
		T(tls_is_spoken_and_verified),
		T(a_hanging_server_is_waited_for_no_longer_than_the_deadline),
		T(a_restart_with_restored_data_is_not_believed),
		T(what_was_sent_is_answered_when_it_is_asked_for),
		T(a_connection_lost_behind_the_question_harms_nothing),
		T(what_is_dropped_answers_nobody_else),
		T(nothing_is_sent_before_what_is_owed),
		T(a_put_that_was_sent_is_judged_by_redis),
		T(the_server_says_what_it_does_when_it_is_full),
		cmocka_unit_test(addresses_are_read),
		cmocka_unit_test(the_breaker_opens_probes_and_closes),
	};

	if (!getenv("REDIS_URL")) {
		fputs("test_remote wants a server: tests/unit/with-redis\n", stderr);
		return 1;
	}
	if (!random_start())
		return 1;
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
