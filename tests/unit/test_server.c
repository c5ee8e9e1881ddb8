/*
 * The server over a real unix socket: kept connections,
 * half-open ones, pipelined ones, parked requests, large answers, the end.
 */
#include "web/listen.h"
#include "web/server.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "unit.h"

#define LARGE_BYTES (3u << 20)

static char folder[64];
static char path[96];
static int listen_fd;
static struct server *server;
static struct workers *workers;
static char *large;
static _Atomic int handled;

/* ---- the handler ---- */

static void
resume_later(struct job *job)
{
	struct request *rq =
	    (struct request *)(void *)((char *)job - offsetof(struct request, job));

	rq->state = rq;
	request_resume(rq);
}

static enum handled
handle(void *app, struct request *rq)
{
	(void)app;
	if (span_is(rq->path, "/parked") && !rq->state) {
		rq->job.run = resume_later;
		assert_true(workers_submit(workers, &rq->job));
		return PARKED;
	}
	atomic_fetch_add(&handled, 1);
	if (rq->body_too_large) {
		respond_problem(rq, TOO_LARGE, NULL);
		return ANSWERED;
	}
	if (span_is(rq->path, "/large"))
		respond_json(rq, OK, span_make(large, LARGE_BYTES));
	else if (span_is(rq->path, "/early"))
		respond_problem(rq, UNAUTHENTICATED, NULL);
	else
		respond_json(rq, OK, rq->body.len ? rq->body : rq->path);
	return ANSWERED;
}

static int
set_up(void **state)
{
	struct server_config config = {
		.reactors = 2,
		.connections = 400,
		.request_ms = 300,
		.send_ms = 2000,
		.handle = handle,
	};
	const char *why;

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/pupitre-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	listen_fd = config.listen_fd = listen_open(path, &why);
	assert_true(listen_fd >= 0);
	workers = workers_start(2, 64);
	server = server_start(&config);
	atomic_store(&handled, 0);
	return server ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	if (server) {
		assert_true(server_stop(server, 5000));
		workers_stop(workers);
		server_free(server);
	}
	listen_close(listen_fd, path);
	rmdir(folder);
	return 0;
}

/* ---- a client ---- */

static int
dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static size_t
record(char *to, int type, const void *content, size_t len)
{
	char head[8] = { 1, (char)type, 0, 1, (char)(len >> 8), (char)len, 0, 0 };

	memcpy(to, head, 8);
	if (len)
		memcpy(to + 8, content, len);
	return len + 8;
}

static size_t
write_request(char *to, const char *uri, const char *body, size_t body_len)
{
	static const char begin[8] = { 0, 1, 1 };
	char params[256];
	size_t n = record(to, 1, begin, 8);
	int len = snprintf(params, sizeof(params), "%c%cREQUEST_METHODGET%c%cDOCUMENT_URI%s", 14, 3,
	    12, (char)strlen(uri), uri);

	n += record(to + n, 4, params, (size_t)len);
	n += record(to + n, 4, NULL, 0);
	for (; body_len > 60000; body += 60000, body_len -= 60000)
		n += record(to + n, 5, body, 60000);
	if (body_len)
		n += record(to + n, 5, body, body_len);
	return n + record(to + n, 5, NULL, 0);
}

static void
send_all(int fd, const char *at, size_t len)
{
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

static bool
read_all(int fd, char *to, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, to, len, 0);

		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

/* The whole answer's STDOUT, NUL behind it; false if the server closed. */
static bool
read_answer(int fd, char *to, size_t room, size_t *len)
{
	unsigned char head[8];
	size_t n = 0;

	while (read_all(fd, (char *)head, 8)) {
		size_t content = (size_t)head[4] << 8 | head[5];
		char skip[8];

		if (head[1] == 3) {
			*len = n;
			to[n] = '\0';
			return read_all(fd, skip, content);
		}
		assert_true(n + content < room);
		if (!read_all(fd, to + n, content))
			return false;
		n += content;
	}
	return false;
}

static bool
ask(int fd, const char *uri, const char *body, size_t body_len, char *answer, size_t room)
{
	char *wire = malloc(body_len + 4096);
	size_t len;
	bool fine;

	send_all(fd, wire, write_request(wire, uri, body, body_len));
	fine = read_answer(fd, answer, room, &len);
	free(wire);
	return fine;
}

static const char *
body_of(const char *answer)
{
	return strstr(answer, "\r\n\r\n") + 4;
}

/* ---- behaviours ---- */

static void
a_kept_connection_answers_again_and_again(void **state)
{
	int fd = dial();
	char answer[4096];

	(void)state;
	for (int i = 0; i < 100; i++) {
		const char *uri = i % 2 ? "/one" : "/parked";

		assert_true(ask(fd, uri, "", 0, answer, sizeof(answer)));
		assert_memory_equal(answer, "Status: 200 OK\r\n", 16);
		assert_string_equal(body_of(answer), uri);
	}
	close(fd);
}

static void
a_body_comes_whole(void **state)
{
	static char body[65536];
	static char answer[70000];
	int fd = dial();

	(void)state;
	memset(body, 'x', sizeof(body));
	assert_true(ask(fd, "/one", body, sizeof(body), answer, sizeof(answer)));
	assert_int_equal(strlen(body_of(answer)), sizeof(body));
	assert_true(ask(fd, "/one", "", 0, answer, sizeof(answer)));
	assert_string_equal(body_of(answer), "/one");
	close(fd);
}

static void
a_body_too_large_is_413_and_closes(void **state)
{
	static char body[70000];
	char answer[4096];
	int fd = dial();

	(void)state;
	assert_true(ask(fd, "/one", body, sizeof(body), answer, sizeof(answer)));
	assert_memory_equal(answer, "Status: 413", 11);
	assert_false(ask(fd, "/one", "", 0, answer, sizeof(answer)));
	close(fd);
}

static void
forged_records_in_a_body_reach_no_handler(void **state)
{
	static char body[64000];
	char forged[512];
	char answer[4096];
	size_t len = write_request(forged, "/forged", "", 0);
	int fd = dial();

	(void)state;
	for (size_t at = 0; at < 1200; at += 7) {
		memset(body, 'x', sizeof(body));
		for (size_t i = at; i + len < sizeof(body); i += 1400)
			memcpy(body + i, forged, len);
		assert_true(ask(fd, "/early", body, sizeof(body), answer, sizeof(answer)));
		assert_memory_equal(answer, "Status: 401", 11);
		assert_true(ask(fd, "/next", "", 0, answer, sizeof(answer)));
		assert_string_equal(body_of(answer), "/next");
	}
	assert_int_equal(atomic_load(&handled), 2 * 172);
	close(fd);
}

static void
a_pipelined_request_is_not_mixed_in(void **state)
{
	char wire[1024];
	char answer[4096];
	size_t n = write_request(wire, "/one", "", 0);
	size_t len;
	int fd = dial();

	(void)state;
	n += write_request(wire + n, "/two", "", 0);
	send_all(fd, wire, n);
	assert_true(read_answer(fd, answer, sizeof(answer), &len));
	assert_string_equal(body_of(answer), "/one");
	assert_false(read_answer(fd, answer, sizeof(answer), &len));
	close(fd);
}

static void
who_hangs_up_behind_his_request_is_answered_and_forgotten(void **state)
{
	static const char *const uris[] = { "/one", "/parked" };
	char wire[512];
	char answer[4096];
	struct server_stats stats;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = dial();

		send_all(fd, wire, write_request(wire, uris[i], "", 0));
		shutdown(fd, SHUT_WR);
		assert_true(read_answer(fd, answer, sizeof(answer), &len));
		assert_string_equal(body_of(answer), uris[i]);
		assert_int_equal(recv(fd, answer, 1, 0), 0);
		close(fd);
	}
	server_read_stats(server, &stats);
	assert_int_equal(stats.connections, 0);
}

static void
reactors_share_the_connections(void **state)
{
	enum { MANY = 40 };
	int fds[MANY];
	char answer[4096];
	struct server_stats stats;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		fds[i] = dial();
		assert_true(ask(fds[i], "/one", "", 0, answer, sizeof(answer)));
	}
	server_read_stats(server, &stats);
	assert_int_equal(stats.connections, MANY);
	assert_int_equal(stats.most_connections, MANY / 2);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void
half_open_connections_delay_nobody_and_are_closed(void **state)
{
	enum { HALF = 200 };
	int half[HALF];
	char wire[512];
	char answer[4096];
	size_t n = write_request(wire, "/one", "hello", 5);
	int fd = dial();
	struct server_stats stats;

	(void)state;
	for (int i = 0; i < HALF; i++) {
		half[i] = dial();
		send_all(half[i], wire, 1 + (size_t)i % (n - 1));
	}
	for (int i = 0; i < 50; i++)
		assert_true(ask(fd, "/one", "", 0, answer, sizeof(answer)));
	for (int i = 0; i < HALF; i++) {
		char byte;

		assert_true(recv(half[i], &byte, 1, 0) <= 0);
		close(half[i]);
	}
	server_read_stats(server, &stats);
	assert_int_equal(stats.too_slow, HALF);
	assert_int_equal(stats.requests, 50);
	close(fd);
}

static void
a_request_may_arrive_byte_by_byte(void **state)
{
	char wire[512];
	char answer[4096];
	size_t n = write_request(wire, "/one", "hello", 5);
	size_t len;
	int fd = dial();

	(void)state;
	for (size_t i = 0; i < n; i++)
		send_all(fd, wire + i, 1);
	assert_true(read_answer(fd, answer, sizeof(answer), &len));
	assert_string_equal(body_of(answer), "hello");
	close(fd);
}

static void
idle_connections_make_room_for_new_ones(void **state)
{
	enum { MANY = 1000 };
	static int fds[MANY];
	char answer[4096];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		fds[i] = dial();
		assert_true(ask(fds[i], "/one", "", 0, answer, sizeof(answer)));
	}
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void
a_large_answer_comes_whole_and_blocks_nobody(void **state)
{
	char *answer = malloc(LARGE_BYTES + 4096);
	char wire[512];
	char small[4096];
	size_t n = write_request(wire, "/large", "", 0);
	size_t len;
	int slow[4];
	int fd = dial();

	(void)state;
	for (int i = 0; i < 4; i++) {
		slow[i] = dial();
		send_all(slow[i], wire, n);
	}
	/* Nobody reads them yet; others go on. */
	for (int i = 0; i < 50; i++)
		assert_true(ask(fd, "/one", "", 0, small, sizeof(small)));
	for (int i = 0; i < 4; i++) {
		assert_true(read_answer(slow[i], answer, LARGE_BYTES + 4096, &len));
		assert_memory_equal(body_of(answer), large, LARGE_BYTES);
		close(slow[i]);
	}
	close(fd);
	free(answer);
}

static void
noise_is_closed_and_harms_nobody(void **state)
{
	char noise[2000];
	char answer[4096];
	int fd = dial();

	(void)state;
	for (int i = 0; i < 500; i++) {
		int bad = dial();

		random_bytes(noise, sizeof(noise));
		if (i % 2)
			memcpy(noise, "\1\1\0\1\0\x08\0\0\0\1\1\0\0\0\0\0\1\4\0\1", 20);
		send_all(bad, noise, 1 + random_below(sizeof(noise)));
		close(bad);
	}
	assert_true(ask(fd, "/one", "", 0, answer, sizeof(answer)));
	close(fd);
}

static void *
ask_often(void *ctx)
{
	char answer[4096];
	int fd = dial();

	(void)ctx;
	for (int i = 0; i < 300; i++)
		assert_true(ask(fd, i % 3 ? "/parked" : "/one", "", 0, answer, sizeof(answer)));
	close(fd);
	return NULL;
}

static void
many_clients_are_answered_at_once(void **state)
{
	pthread_t clients[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		pthread_create(&clients[i], NULL, ask_often, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(clients[i], NULL);
	assert_int_equal(atomic_load(&handled), 8 * 300);
}

static void
the_end_waits_for_what_is_under_way(void **state)
{
	char wire[512];
	char answer[4096];
	size_t n = write_request(wire, "/one", "", 0);
	size_t len;
	int fd = dial();
	int idle = dial();

	(void)state;
	assert_true(ask(idle, "/one", "", 0, answer, sizeof(answer)));
	send_all(fd, wire, n);
	assert_true(server_stop(server, 5000));
	assert_true(read_answer(fd, answer, sizeof(answer), &len));
	assert_int_equal(recv(idle, answer, 1, 0), 0);
	workers_stop(workers);
	server_free(server);
	server = NULL;
	close(fd);
	close(idle);
}

int
main(void)
{
#define T(test) \
	{ \
#test, test, set_up, tear_down, NULL \
	}
	const struct CMUnitTest tests[] = {
		T(a_kept_connection_answers_again_and_again),
		T(a_body_comes_whole),
		T(a_body_too_large_is_413_and_closes),
		T(forged_records_in_a_body_reach_no_handler),
		T(a_pipelined_request_is_not_mixed_in),
		T(who_hangs_up_behind_his_request_is_answered_and_forgotten),
		T(reactors_share_the_connections),
		T(half_open_connections_delay_nobody_and_are_closed),
		T(a_request_may_arrive_byte_by_byte),
		T(idle_connections_make_room_for_new_ones),
		T(a_large_answer_comes_whole_and_blocks_nobody),
		T(noise_is_closed_and_harms_nobody),
		T(many_clients_are_answered_at_once),
		T(the_end_waits_for_what_is_under_way),
	};

	struct rlimit files;

	/* Both ends of a thousand connections are in this process. */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	log_set_level(LOG_ERROR);
	if (!random_start())
		return 1;
	large = malloc(LARGE_BYTES);
	if (!large)
		return 1;
	memset(large, 'y', LARGE_BYTES);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
