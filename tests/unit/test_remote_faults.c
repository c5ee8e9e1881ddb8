/*
 * The Redis level when Redis, the way to it, or somebody beside us
 * misbehaves; against a real server that tests/unit/with-redis starts, and
 * against servers made here.  What simply works is in test_remote.c.
 */
#include "cache/remote.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "cache/remote_pool.h"
#include "cache/tags.h"
#include "unit.h"

#define DEADLINE_MS 300
#define CONNECT_MS 600
/* A busy machine may run us this much later. */
#define SLACK_MS 300

static struct remote *remote;

static struct remote *
open_url(const char *url)
{
	struct remote_config config = {
		.url = url,
		.prefix = "f:",
		.deadline_ms = DEADLINE_MS,
		.connect_ms = CONNECT_MS,
		.breaker_failures = 3,
		.breaker_ms = 20,
		.connections = 8,
	};
	const char *why;
	struct remote *r = remote_open(&config, &why);

	if (!r)
		fail_msg("%s", why);
	return r;
}

static void
redis_cli(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "redis-cli -s %s/redis.sock %s >/dev/null",
	    getenv("TEST_REDIS_DIR"), command);
	assert_int_equal(system(line), 0);
}

static int
set_up(void **state)
{
	(void)state;
	/* A test that failed may have left the server as it was then. */
	redis_cli("replicaof no one");
	redis_cli("config set maxmemory 0");
	remote = open_url(getenv("REDIS_URL"));
	return remote_clear(remote) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	remote_close(remote);
	return 0;
}

static enum remote_put_result
put(struct remote *r, const char *key, const struct remote_token *token, const char *body)
{
	uint16_t slots[TAG_MAX];
	struct span tag = SPAN("course:1");
	struct remote_value value = {
		.body = span_of(body),
		.etag = SPAN("W/\"abc\""),
		.slots = slots,
		.slot_count = tag_slots(&tag, 1, slots),
		.ttl_ms = 60000,
	};

	return remote_put(r, span_of(key), token, &value, true);
}

static enum remote_result
look(struct remote *r, const char *key, struct remote_token *token)
{
	struct remote_value value;
	enum remote_result result = remote_get(r, span_of(key), token, &value);

	remote_value_free(&value);
	return result;
}

static bool
is_hit(struct remote *r, const char *key)
{
	struct remote_token token;

	return look(r, key, &token) == REMOTE_HIT;
}

static void
store(struct remote *r, const char *key)
{
	struct remote_token token;

	assert_int_equal(look(r, key, &token), REMOTE_MISS);
	assert_true(token.valid);
	assert_int_equal(put(r, key, &token, "body"), REMOTE_STORED);
	assert_true(is_hit(r, key));
}

static bool
raise_tag(struct remote *r, const char *tag)
{
	uint16_t slot = tag_slot(span_of(tag));

	return remote_raise(r, 0, &slot, 1);
}

/* ---- connections ---- */

static void
flushed_scripts_cost_no_miss(void **state)
{
	(void)state;
	store(remote, "k");
	redis_cli("script flush");
	assert_true(is_hit(remote, "k"));
}

static void
a_cut_connection_costs_no_miss(void **state)
{
	(void)state;
	store(remote, "k");
	redis_cli("client kill type normal skipme yes");
	assert_true(is_hit(remote, "k"));
	redis_cli("client kill type normal skipme yes");
	assert_true(raise_tag(remote, "course:1"));
	assert_false(is_hit(remote, "k"));
}

static void
a_login_is_made_and_a_wrong_one_is_no_hit(void **state)
{
	char url[256];
	struct remote *r;

	(void)state;
	redis_cli("acl setuser p on '>a+b/c%' '~*' '+@all'");
	snprintf(url, sizeof(url), "rediss://p:a+b%%2Fc%%25@%s/3", getenv("TEST_REDIS_TLS"));
	r = open_url(url);
	store(r, "k");
	redis_cli("-n 3 --raw exists f:k:k | grep -q 1");
	redis_cli("client list | grep -q 'name=pupitre.*db=3.*user=p'");
	remote_close(r);
	snprintf(url, sizeof(url), "rediss://p:wrong@%s/3", getenv("TEST_REDIS_TLS"));
	r = open_url(url);
	assert_false(remote_ping(r));
	remote_close(r);
}

/* Then every connection may be to somebody else. */
static void
a_server_without_a_run_id_is_used_with_care(void **state)
{
	char url[256];
	struct remote *one;
	struct remote_stats stats;

	(void)state;
	redis_cli("acl setuser quiet on '>p' '~*' '+@all' '-info'");
	snprintf(url, sizeof(url), "rediss://quiet:p@%s", getenv("TEST_REDIS_TLS"));
	one = open_url(url);
	store(one, "k");
	redis_cli("client kill type normal skipme yes");
	assert_false(is_hit(one, "k"));
	remote_read_stats(one, &stats);
	assert_int_equal(stats.epochs, 2);
	remote_close(one);
}

static void
a_certificate_that_nobody_vouches_for_is_refused(void **state)
{
	char *trusted = strdup(getenv("SSL_CERT_FILE"));
	char url[128];
	struct remote *r;

	(void)state;
	snprintf(url, sizeof(url), "rediss://%s", getenv("TEST_REDIS_TLS"));
	setenv("SSL_CERT_FILE", "/dev/null", 1);
	r = open_url(url);
	assert_false(remote_ping(r));
	remote_close(r);
	setenv("SSL_CERT_FILE", trusted, 1);
	free(trusted);
}

/* Both are this server, and its certificate is for neither. */
static void
a_certificate_of_another_host_is_refused(void **state)
{
	static const char *const hosts[] = { "127.1", "127.0.0.2" };
	const char *port = strchr(getenv("TEST_REDIS_TLS"), ':');
	char url[128];

	(void)state;
	redis_cli("config set bind '127.0.0.1 127.0.0.2'");
	snprintf(url, sizeof(url), "rediss://127.0.0.1%s", port);
	for (int i = 0; i < 3; i++) {
		struct remote *r = open_url(url);

		assert_int_equal(remote_ping(r), i == 0);
		remote_close(r);
		snprintf(url, sizeof(url), "rediss://%s%s", hosts[i % 2], port);
	}
}

static void
a_host_that_cannot_be_found_is_not_waited_for(void **state)
{
	struct remote *r = open_url("redis://nowhere.invalid:6379");
	int64_t began = clock_ms();

	(void)state;
	assert_false(remote_ping(r));
	assert_true(clock_ms() - began < CONNECT_MS + SLACK_MS);
	remote_close(r);
}

/* What is asked while it hangs is answered later: to nobody. */
static void
a_late_answer_answers_no_later_question(void **state)
{
	pid_t pid = (pid_t)atoi(getenv("TEST_REDIS_PID"));
	struct remote_stats stats;
	struct remote_token token;

	(void)state;
	store(remote, "k");
	kill(pid, SIGSTOP);
	assert_int_equal(look(remote, "k", &token), REMOTE_DOWN);
	kill(pid, SIGCONT);
	assert_int_equal(look(remote, "other", &token), REMOTE_MISS);
	assert_true(token.valid);
	assert_true(is_hit(remote, "k"));
	assert_true(remote_ping(remote));
	remote_read_stats(remote, &stats);
	assert_int_equal(stats.keys, 1);
}

/* ---- other hands in our Redis ---- */

static void
wrong_types_under_our_names_are_removed(void **state)
{
	struct remote_stats stats;

	(void)state;
	redis_cli("set f:index text");
	store(remote, "k");
	remote_read_stats(remote, &stats);
	assert_int_equal(stats.keys, 1);
	redis_cli("set f:meta text");
	assert_false(is_hit(remote, "k"));
	store(remote, "k");
	redis_cli("set f:meta text");
	assert_true(raise_tag(remote, "course:1"));
	redis_cli("set f:k:k text");
	store(remote, "k");
	redis_cli("set f:index text");
	remote_read_stats(remote, &stats);
	assert_true(stats.reachable);
}

static void
a_garbled_value_is_written_over(void **state)
{
	struct remote_token token;

	(void)state;
	store(remote, "k");
	redis_cli("hset f:k:k b other");
	assert_int_equal(look(remote, "k", &token), REMOTE_MISS);
	assert_true(token.valid);
	assert_int_equal(put(remote, "k", &token, "good"), REMOTE_STORED);
	assert_true(is_hit(remote, "k"));
	/* A later number would let it outlive a raise. */
	redis_cli("hset f:k:k n 99999");
	assert_true(raise_tag(remote, "course:1"));
	assert_false(is_hit(remote, "k"));
}

static void
a_full_redis_refuses_a_store_over_an_old_value_too(void **state)
{
	struct remote_token token;

	(void)state;
	store(remote, "k");
	redis_cli("hset f:k:k b other");
	assert_int_equal(look(remote, "k", &token), REMOTE_MISS);
	redis_cli("config set maxmemory 1");
	assert_int_equal(put(remote, "k", &token, "new"), REMOTE_NOT_STORED);
	/* A raise is refused as well, a new epoch is not: trust comes back. */
	assert_false(raise_tag(remote, "course:1"));
	assert_int_equal(look(remote, "k", &token), REMOTE_MISS);
	assert_true(remote_trusted(remote));
}

/* As when the server became a replica, under a connection that goes on. */
static void
a_hash_of_another_run_is_not_believed(void **state)
{
	struct remote_token token;

	(void)state;
	store(remote, "k");
	assert_int_equal(look(remote, "other", &token), REMOTE_MISS);
	redis_cli("hset f:meta run somebody");
	assert_int_equal(put(remote, "other", &token, "old"), REMOTE_REFUSED);
	assert_false(is_hit(remote, "k"));
	store(remote, "k");
}

static void
a_replica_takes_no_raise_and_gives_no_hit_after(void **state)
{
	(void)state;
	store(remote, "k");
	redis_cli("replicaof 127.0.0.1 1");
	assert_false(raise_tag(remote, "course:1"));
	assert_false(is_hit(remote, "k"));
	redis_cli("replicaof no one");
	usleep(30000); /* the breaker's 20 ms, real time */
	assert_false(is_hit(remote, "k"));
	store(remote, "k");
}

static void
a_new_epoch_empties_the_list(void **state)
{
	struct remote_stats stats;

	(void)state;
	store(remote, "k");
	redis_cli("del f:meta");
	assert_false(is_hit(remote, "k"));
	remote_read_stats(remote, &stats);
	assert_int_equal(stats.keys, 0);
}

static void
more_slots_than_one_raise_holds_touch_everything(void **state)
{
	static uint16_t many[TAG_MAX + 1];

	(void)state;
	store(remote, "k");
	assert_true(remote_raise(remote, 0, many, TAG_MAX));
	assert_true(is_hit(remote, "k"));
	assert_true(remote_raise(remote, 0, many, TAG_MAX + 1));
	assert_false(is_hit(remote, "k"));
}

/* ---- trust ---- */

static void *
look_once(void *ctx)
{
	struct remote_token token;

	return (void *)(intptr_t)(look(remote, ctx, &token) == REMOTE_DOWN);
}

static void
many_threads_make_one_epoch_for_one_demand(void **state)
{
	pthread_t threads[8];
	struct remote_stats before;
	struct remote_stats after;

	(void)state;
	for (int round = 0; round < 20; round++) {
		remote_read_stats(remote, &before);
		remote_distrust(remote);
		for (int i = 0; i < 8; i++)
			pthread_create(&threads[i], NULL, look_once, "k");
		for (int i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
		remote_read_stats(remote, &after);
		assert_true(after.trusted);
		assert_int_equal(after.epochs, before.epochs + 1);
	}
}

static void
a_demand_during_a_renewal_is_not_met_by_it(void **state)
{
	pid_t pid = (pid_t)atoi(getenv("TEST_REDIS_PID"));
	struct remote_token token;
	pthread_t thread;
	void *down;

	(void)state;
	store(remote, "k");
	remote_distrust(remote);
	kill(pid, SIGSTOP);
	pthread_create(&thread, NULL, look_once, "k");
	usleep(DEADLINE_MS * 1000 / 3); /* it waits for its new epoch now */
	remote_distrust(remote);
	kill(pid, SIGCONT);
	pthread_join(thread, &down);
	assert_null(down);
	assert_false(remote_trusted(remote));
	assert_int_equal(look(remote, "k", &token), REMOTE_MISS);
	assert_true(remote_trusted(remote));
}

/* ---- servers made here ---- */

struct bad_server {
	char path[100];
	int fd;
	const char *says; /* again and again */
	pthread_t thread;
	_Atomic bool stop;
};

static void *
talk(void *ctx)
{
	struct bad_server *s = ctx;
	size_t len = strlen(s->says);

	while (!atomic_load(&s->stop)) {
		int fd = accept(s->fd, NULL, NULL);

		while (
		    fd >= 0 && !atomic_load(&s->stop) && send(fd, s->says, len, MSG_NOSIGNAL) > 0)
			;
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static void
a_babbling_server_is_left(const char *says)
{
	struct bad_server s = { .fd = socket(AF_UNIX, SOCK_STREAM, 0), .says = says };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char url[128];
	struct remote *r;
	int64_t began;

	snprintf(s.path, sizeof(s.path), "%s/bad.sock", getenv("TEST_REDIS_DIR"));
	unlink(s.path);
	memcpy(address.sun_path, s.path, strlen(s.path) + 1);
	assert_int_equal(bind(s.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s.fd, 5), 0);
	pthread_create(&s.thread, NULL, talk, &s);
	snprintf(url, sizeof(url), "unix://%s", s.path);
	r = open_url(url);
	began = clock_ms();
	assert_false(remote_ping(r));
	assert_true(clock_ms() - began < CONNECT_MS + SLACK_MS);
	remote_close(r);
	atomic_store(&s.stop, true);
	shutdown(s.fd, SHUT_RDWR);
	pthread_join(s.thread, NULL);
	close(s.fd);
}

static void
a_flood_is_left(void **state)
{
	(void)state;
	a_babbling_server_is_left("++++++++++++++++++++++++++++++++++++++++++++++++++++++++");
	a_babbling_server_is_left("$100000000\r\n");
	a_babbling_server_is_left("*2000000000\r\n");
	a_babbling_server_is_left("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n");
	a_babbling_server_is_left("-ERR no\r\n");
	a_babbling_server_is_left(":1\r\n");
}

/* ---- everything at once ---- */

/*
 * A row with a version, as a database would have it.  After a write has been
 * raised, confirmed or not, no reader of this object may see an older one.
 */
static _Atomic int version;
static _Atomic int acknowledged;
static _Atomic int lies, hits;
static _Atomic bool over;

static void *
read_and_store(void *ctx)
{
	(void)ctx;
	while (!atomic_load(&over)) {
		int least = atomic_load(&acknowledged);
		struct remote_token token;
		struct remote_value value;
		char body[16];

		if (remote_get(remote, span_of("row"), &token, &value) == REMOTE_HIT) {
			snprintf(body, sizeof(body), "%.*s", SPAN_ARG(value.body));
			atomic_fetch_add(&lies, atoi(body) < least);
			atomic_fetch_add(&hits, 1);
			remote_value_free(&value);
		} else if (token.valid) {
			snprintf(body, sizeof(body), "%d", atomic_load(&version));
			(void)put(remote, "row", &token, body);
		}
	}
	return NULL;
}

static void *
write_and_raise(void *ctx)
{
	(void)ctx;
	while (!atomic_load(&over)) {
		int mine = atomic_fetch_add(&version, 1) + 1;

		(void)raise_tag(remote, "course:1");
		atomic_store(&acknowledged, mine);
		usleep(500);
	}
	return NULL;
}

static void
no_old_version_is_read_whatever_happens_to_redis(void **state)
{
	static const char *const harm[] = { "del f:meta", "client kill type normal skipme yes",
		"script flush", "flushall", "replicaof 127.0.0.1 1", "replicaof no one",
		"config set maxmemory 1", "config set maxmemory 0", "set f:meta text",
		"hset f:k:row n 999999" };
	pid_t pid = (pid_t)atoi(getenv("TEST_REDIS_PID"));
	pthread_t threads[5];

	(void)state;
	for (int i = 0; i < 5; i++)
		pthread_create(&threads[i], NULL, i ? read_and_store : write_and_raise, NULL);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
			redis_cli(harm[i]);
			usleep(40000);
		}
		kill(pid, SIGSTOP);
		usleep((DEADLINE_MS + 100) * 1000);
		kill(pid, SIGCONT);
		usleep(40000);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&lies), 0);
	assert_true(atomic_load(&hits) > 100);
}

int
main(void)
{
#define T(test) \
	{ \
#test, test, set_up, tear_down, NULL \
	}
	const struct CMUnitTest tests[] = {
		T(flushed_scripts_cost_no_miss),
		T(a_cut_connection_costs_no_miss),
		T(a_login_is_made_and_a_wrong_one_is_no_hit),
		T(a_server_without_a_run_id_is_used_with_care),
		T(a_certificate_that_nobody_vouches_for_is_refused),
		T(a_certificate_of_another_host_is_refused),
		T(a_host_that_cannot_be_found_is_not_waited_for),
		T(a_late_answer_answers_no_later_question),
		T(wrong_types_under_our_names_are_removed),
		T(a_garbled_value_is_written_over),
		T(a_full_redis_refuses_a_store_over_an_old_value_too),
		T(a_hash_of_another_run_is_not_believed),
		T(a_replica_takes_no_raise_and_gives_no_hit_after),
		T(a_new_epoch_empties_the_list),
		T(more_slots_than_one_raise_holds_touch_everything),
		T(many_threads_make_one_epoch_for_one_demand),
		T(a_demand_during_a_renewal_is_not_met_by_it),
		T(a_flood_is_left),
		T(no_old_version_is_read_whatever_happens_to_redis),
	};

	if (!getenv("REDIS_URL")) {
		fputs("test_remote_faults wants a server: tests/unit/with-redis\n", stderr);
		return 1;
	}
	if (!random_start())
		return 1;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
