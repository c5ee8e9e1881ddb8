/*
 * Load over HTTP on kept-alive connections, and how long each kind of answer
 * took.  tests/bench/storm and tests/bench/headline drive it.
 *
 * usage: storm PORT GROUP...
 * GROUP: file=FILE[,name=WORD][,connections=N][,requests=N][,rate=N][,seconds=N][,obey]
 *
 *   file         lines "TOKEN PATH", taken in turn; the end is followed by the
 *                beginning
 *   requests     end after so many; 0: after the seconds
 *   rate         so many a second, whether or not answers come; 0: each
 *                connection asks again when it has its answer
 *   obey         who is answered 503 waits as Retry-After says, then asks the
 *                same again; the time of the last answer counts from the first
 *                asking as "settled"
 *
 * Groups run side by side, a thread each, and start together when all are
 * connected.  For each a line of JSON: kinds of answers (the words of
 * Cache-Status, or the status), how many, and microseconds.  With a rate they
 * count from when the request was due, not from when it could be sent.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES 4096
#define ANSWER_BYTES (4u << 20)
#define FIRST_BYTES 16384
#define EVENTS 256
#define STILL_US 15000000 /* without an answer for so long: given up */

enum kind { MEMORY, REDIS, MISS, COLLAPSED, OTHER_OK, BUSY, OTHER, LOST, SETTLED, KINDS };

static const char *const kind_words[KINDS] = { "memory", "redis", "miss", "collapsed", "200", "503",
	"other", "lost", "settled" };

struct times {
	uint32_t *us;
	size_t count, room;
};

struct client {
	int fd;
	bool waiting; /* for an answer */
	int64_t due_us; /* of the request under way */
	int64_t first_us; /* of the first asking of it */
	int64_t again_us; /* obeying: not before; 0: nothing to repeat */
	size_t line;
	size_t len, room;
	char *answer;
};

struct group {
	const char *name, *file;
	size_t connections, requests, rate;
	double seconds;
	bool obey;
	char **lines; /* whole requests */
	size_t line_count;
	struct client *clients;
	int epoll_fd;
	size_t asked, open; /* open: without an answer, or to be repeated */
	size_t with_retry_after;
	uint64_t bytes;
	int64_t start_us, end_us, last_us;
	struct times times[KINDS];
	pthread_t thread;
};

static int port;
static pthread_barrier_t together;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void *
must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
note(struct group *g, enum kind kind, int64_t us)
{
	struct times *t = &g->times[kind];

	if (t->count == t->room) {
		t->room = t->room ? t->room * 2 : 1024;
		t->us = must(realloc(t->us, t->room * sizeof(t->us[0])));
	}
	t->us[t->count++] = us < 0 ? 0 : (uint32_t)us;
}

/* ---- connections ---- */

static void
connect_one(struct group *g, struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die("epoll");
	c->len = 0;
}

static void
send_line(struct group *g, struct client *c)
{
	const char *text = g->lines[c->line];
	size_t len = strlen(text);

	c->waiting = true;
	/* Small, and the socket is empty: it goes out whole, or it is lost. */
	if (send(c->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		shutdown(c->fd, SHUT_RDWR);
}

static void
ask(struct group *g, struct client *c, int64_t due_us)
{
	c->line = g->asked++ % g->line_count;
	c->due_us = c->first_us = due_us;
	c->again_us = 0;
	g->open++;
	send_line(g, c);
}

/* ---- answers ---- */

/* The value of a header in what has come so far, or NULL. */
static const char *
header(const struct client *c, const char *name)
{
	const char *at = strstr(c->answer, name);

	return at ? at + strlen(name) : NULL;
}

static bool
is_whole(const struct client *c)
{
	const char *end = strstr(c->answer, "\r\n\r\n");
	const char *length = header(c, "\r\nContent-Length: ");

	if (!end)
		return false;
	if (!length || length > end)
		return strstr(c->answer, "304 Not Modified") != NULL;
	return c->len >= (size_t)(end + 4 - c->answer) + strtoul(length, NULL, 10);
}

static enum kind
kind_of(const struct client *c)
{
	const char *how = header(c, "\r\nCache-Status: pupitre; ");

	if (strncmp(c->answer, "HTTP/1.1 503", 12) == 0)
		return BUSY;
	if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0)
		return OTHER;
	if (!how)
		return OTHER_OK;
	if (strncmp(how, "hit; detail=memory", 18) == 0)
		return MEMORY;
	if (strncmp(how, "hit; detail=redis", 17) == 0)
		return REDIS;
	return strncmp(how, "fwd=uri-miss; collapsed", 23) == 0 ? COLLAPSED : MISS;
}

static void
take_answer(struct group *g, struct client *c)
{
	enum kind kind = kind_of(c);
	const char *wait = kind == BUSY ? header(c, "\r\nRetry-After: ") : NULL;
	int64_t now = now_us();

	note(g, kind, now - c->due_us);
	g->bytes += c->len;
	g->last_us = now;
	g->with_retry_after += wait != NULL;
	c->waiting = false;
	if (g->obey && wait) {
		c->again_us = now + strtol(wait, NULL, 10) * 1000000;
	} else {
		if (g->obey)
			note(g, SETTLED, now - c->first_us);
		c->again_us = 0;
		g->open--;
	}
	c->len = 0;
}

static void
lose(struct group *g, struct client *c)
{
	if (c->waiting) {
		note(g, LOST, now_us() - c->due_us);
		g->open--;
	}
	c->waiting = false;
	c->again_us = 0;
	close(c->fd);
	connect_one(g, c);
}

static void
read_some(struct group *g, struct client *c)
{
	ssize_t n;

	if (c->room - c->len < 2) {
		c->room *= 2;
		c->answer = must(c->room <= ANSWER_BYTES ? realloc(c->answer, c->room) : NULL);
	}
	n = recv(c->fd, c->answer + c->len, c->room - c->len - 1, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		lose(g, c);
		return;
	}
	c->len += (size_t)n;
	c->answer[c->len] = '\0';
	if (c->waiting && is_whole(c))
		take_answer(g, c);
}

/* ---- the run of a group ---- */

static bool
may_begin(const struct group *g, int64_t now)
{
	return now < g->end_us && (g->requests == 0 || g->asked < g->requests);
}

static int64_t
due(const struct group *g, int64_t now)
{
	return g->rate ? g->start_us + (int64_t)(g->asked * 1000000 / g->rate) : now;
}

/* Ask where it is time to; when the next is due. */
static int64_t
ask_some(struct group *g, int64_t now)
{
	int64_t next = now + 20000;

	for (size_t i = 0; i < g->connections; i++) {
		struct client *c = &g->clients[i];

		if (c->waiting && now - c->due_us > STILL_US)
			shutdown(c->fd, SHUT_RDWR);
		if (c->waiting)
			continue;
		if (c->again_us && now >= g->end_us) {
			c->again_us = 0;
			g->open--;
		} else if (c->again_us && now >= c->again_us) {
			c->due_us = now;
			send_line(g, c);
		} else if (c->again_us) {
			next = c->again_us < next ? c->again_us : next;
		} else if (may_begin(g, now)) {
			if (due(g, now) > now)
				return due(g, now) < next ? due(g, now) : next;
			ask(g, c, due(g, now));
		}
	}
	return next;
}

static void
wait_for_answers(struct group *g, int64_t until_us)
{
	struct epoll_event events[EVENTS];
	int64_t left = until_us - now_us();
	struct timespec t = { .tv_nsec = left > 0 ? left * 1000 : 0 };
	int n = epoll_pwait2(g->epoll_fd, events, EVENTS, &t, NULL);

	for (int i = 0; i < n; i++)
		read_some(g, events[i].data.ptr);
}

static void *
run(void *ctx)
{
	struct group *g = ctx;
	int64_t now;

	g->clients = must(calloc(g->connections, sizeof(g->clients[0])));
	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < g->connections; i++) {
		g->clients[i].answer = must(malloc(g->clients[i].room = FIRST_BYTES));
		connect_one(g, &g->clients[i]);
	}
	pthread_barrier_wait(&together);
	g->start_us = g->last_us = now_us();
	g->end_us = g->start_us + (int64_t)(g->seconds * 1e6);
	while (now = now_us(), may_begin(g, now) || g->open > 0)
		wait_for_answers(g, ask_some(g, now));
	return NULL;
}

/* ---- reading and telling ---- */

static void
read_lines(struct group *g)
{
	char line[REQUEST_BYTES];
	char token[REQUEST_BYTES];
	char path[REQUEST_BYTES];
	FILE *f = must(fopen(g->file, "r"));

	while (fgets(line, sizeof(line), f)) {
		char *text = NULL;

		if (sscanf(line, "%s %s", token, path) != 2)
			continue;
		if (asprintf(&text,
			"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
			"Accept-Encoding: gzip\r\n\r\n",
			path, token) < 0)
			die("memory");
		g->lines = must(realloc(g->lines, (g->line_count + 1) * sizeof(char *)));
		g->lines[g->line_count++] = text;
	}
	fclose(f);
	if (g->line_count == 0) {
		fprintf(stderr, "storm: nothing to ask for in %s\n", g->file);
		exit(1);
	}
}

static struct group
read_group(char *text)
{
	enum { O_FILE, O_NAME, O_CONNECTIONS, O_REQUESTS, O_RATE, O_SECONDS, O_OBEY };
	char *const names[] = { "file", "name", "connections", "requests", "rate", "seconds",
		"obey", NULL };
	struct group g = { .name = "group", .connections = 1, .seconds = 3600 };
	char *value;

	while (*text) {
		int option = getsubopt(&text, names, &value);
		size_t number = value ? strtoul(value, NULL, 10) : 0;

		if (option < 0 || (!value && option != O_OBEY)) {
			fprintf(stderr, "storm: what is %s?\n", value);
			exit(2);
		}
		switch (option) {
		case O_FILE:
			g.file = value;
			break;
		case O_NAME:
			g.name = value;
			break;
		case O_CONNECTIONS:
			g.connections = number;
			break;
		case O_REQUESTS:
			g.requests = number;
			break;
		case O_RATE:
			g.rate = number;
			break;
		case O_SECONDS:
			g.seconds = strtod(value, NULL);
			break;
		case O_OBEY:
			g.obey = true;
			break;
		}
	}
	return g;
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t
quantile(const struct times *t, double q)
{
	return t->us[(size_t)((double)(t->count - 1) * q)];
}

static void
tell(struct group *g)
{
	printf("{\"name\": \"%s\", \"asked\": %zu, \"retry_after\": %zu, \"bytes\": %llu, "
	       "\"seconds\": %.6f",
	    g->name, g->asked, g->with_retry_after, (unsigned long long)g->bytes,
	    (double)(g->last_us - g->start_us) / 1e6);
	for (int i = 0; i < KINDS; i++) {
		struct times *t = &g->times[i];

		if (t->count == 0)
			continue;
		qsort(t->us, t->count, sizeof(t->us[0]), by_size);
		printf(
		    ", \"%s\": {\"n\": %zu, \"p50\": %u, \"p90\": %u, \"p99\": %u, \"p999\": %u, "
		    "\"max\": %u}",
		    kind_words[i], t->count, quantile(t, 0.5), quantile(t, 0.9), quantile(t, 0.99),
		    quantile(t, 0.999), t->us[t->count - 1]);
	}
	printf("}\n");
}

int
main(int argc, char **argv)
{
	struct group groups[8];
	int count = argc - 2;

	if (count < 1 || count > 8) {
		fputs("usage: storm PORT file=FILE,connections=N,... ...; see storm.c\n", stderr);
		return 2;
	}
	port = atoi(argv[1]);
	pthread_barrier_init(&together, NULL, (unsigned)count);
	for (int i = 0; i < count; i++) {
		groups[i] = read_group(argv[i + 2]);
		read_lines(&groups[i]);
	}
	for (int i = 0; i < count; i++) {
		if (pthread_create(&groups[i].thread, NULL, run, &groups[i]) != 0)
			die("thread");
	}
	for (int i = 0; i < count; i++) {
		pthread_join(groups[i].thread, NULL);
		tell(&groups[i]);
	}
	return 0;
}
