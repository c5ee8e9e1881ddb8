/*
 * Stands between a program and a server, and harms what passes: see USAGE.
 * Two threads a connection, one for each direction; what they are to do is in
 * one struct under one lock.  It ends when its standard input does.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 16384
#define WORD_BYTES 64
#define STEP_MS 5

static const char usage[] =
    "usage: proxy LISTEN UPSTREAM      each unix:PATH or tcp:HOST:PORT (numeric)\n"
    "\n"
    "Forwards connections.  Commands on standard input, one a line, each answered\n"
    "by \"ok\" or \"error\"; down is from the server to the client:\n"
    "  pass                       forward everything again; ends all that follows\n"
    "  delay up|down|both MS      hold each chunk so long\n"
    "  drip up|down|both MS       single bytes, so far apart\n"
    "  drop up|down|both          swallow what comes\n"
    "  hang                       take nothing, close nothing\n"
    "  late MS                    hold the next chunk down so long, once\n"
    "  cut                        close all connections now\n"
    "  refuse                     close all, and new ones at once\n"
    "  cut-at WORD before|after [TIMES]   close the connection on which WORD goes\n"
    "                             up, before it does, or after, without the answer;\n"
    "                             \\0 at its end is the byte zero\n"
    "  hold-at WORD MS            hold a chunk with WORD that goes up so long\n"
    "  count                      connections so far, open now, cuts, bytes\n";

enum { UP, DOWN };

static struct {
	pthread_mutex_t lock;
	int delay_ms[2];
	int drip_ms[2];
	bool drop[2];
	bool hang;
	bool refuse;
	int late_ms;
	char cut_word[WORD_BYTES];
	bool cut_after;
	int cut_times;
	char hold_word[WORD_BYTES];
	int hold_ms;
} harm = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct conn {
	int fd[2]; /* the client's, the server's */
	_Atomic bool mute; /* nothing goes down any more */
	_Atomic bool dead;
	_Atomic int users; /* threads; the last one frees */
	struct conn *next;
};

static struct conn *conns; /* under harm.lock */
static _Atomic long accepted, open_now, cuts, passed;
static const char *upstream;

static void
pause_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* In small steps, so that a connection that is cut does not wait. */
static void
hold(const struct conn *c, int ms)
{
	for (; ms > 0 && !c->dead; ms -= STEP_MS)
		pause_ms(ms < STEP_MS ? ms : STEP_MS);
}

/* ---- addresses ---- */

static socklen_t
parse(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)out;
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	char host[64];
	int port;

	memset(out, 0, sizeof(*out));
	if (strncmp(text, "unix:", 5) == 0 && strlen(text) - 5 < sizeof(un->sun_path)) {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", text + 5);
		return sizeof(*un);
	}
	if (sscanf(text, "tcp:%63[0-9.]:%d", host, &port) == 2 && port > 0 && port < 65536) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? sizeof(*in) : 0;
	}
	return 0;
}

static int
open_socket(const char *text, struct sockaddr_storage *to, socklen_t *len)
{
	int one = 1;
	int fd;

	*len = parse(text, to);
	fd = *len ? socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
	if (fd >= 0 && to->ss_family == AF_INET) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	return fd;
}

static int
dial(void)
{
	struct sockaddr_storage to;
	socklen_t len;
	int fd = open_socket(upstream, &to, &len);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
listen_on(const char *text)
{
	struct sockaddr_storage to;
	socklen_t len;
	int fd = open_socket(text, &to, &len);

	if (fd < 0)
		return -1;
	if (to.ss_family == AF_UNIX)
		unlink(text + 5);
	if (bind(fd, (struct sockaddr *)&to, len) < 0 || listen(fd, 512) < 0)
		return -1;
	if (to.ss_family == AF_UNIX)
		chmod(text + 5, 0777);
	return fd;
}

/* ---- harm ---- */

/* The lock is held. */
static void
kill_conn(struct conn *c)
{
	struct linger reset = { 1, 0 };

	if (atomic_exchange(&c->dead, true))
		return;
	for (int i = 0; i < 2; i++) {
		setsockopt(c->fd[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		shutdown(c->fd[i], SHUT_RDWR);
	}
	cuts++;
}

static void
kill_all(void)
{
	for (struct conn *c = conns; c; c = c->next)
		kill_conn(c);
}

/* WORD without regard to case; "\\0" at its end is the byte zero. */
static bool
has(const char *chunk, size_t len, const char *word)
{
	char plain[WORD_BYTES];
	size_t n = strlen(word);

	memcpy(plain, word, n + 1);
	if (n > 2 && strcmp(plain + n - 2, "\\0") == 0) {
		n--;
		plain[n - 1] = '\0';
	}

	for (size_t i = 0; n && i + n <= len; i++) {
		if (strncasecmp(chunk + i, plain, n) == 0)
			return true;
	}
	return false;
}

static bool
send_all(int fd, const char *at, size_t len)
{
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
		passed += n;
	}
	return true;
}

/* WORD goes up in this chunk, and the connection is to be cut there. */
static bool
cut_at(struct conn *c, const char *chunk, size_t len)
{
	bool mine;
	bool after;

	pthread_mutex_lock(&harm.lock);
	mine = harm.cut_times > 0 && has(chunk, len, harm.cut_word);
	after = harm.cut_after;
	if (mine)
		harm.cut_times--;
	pthread_mutex_unlock(&harm.lock);
	if (!mine)
		return false;
	if (after) {
		c->mute = true;
		send_all(c->fd[1], chunk, len);
		pause_ms(50); /* the server acts on it before it sees the end */
	}
	pthread_mutex_lock(&harm.lock);
	kill_conn(c);
	pthread_mutex_unlock(&harm.lock);
	return true;
}

/* How long this chunk is held, how far its bytes are apart, whether it goes. */
static void
ask_harm(int way, const char *chunk, size_t len, int *wait_ms, int *drip_ms, bool *drop)
{
	pthread_mutex_lock(&harm.lock);
	*wait_ms = harm.delay_ms[way];
	*drip_ms = harm.drip_ms[way];
	*drop = harm.drop[way];
	if (way == DOWN && harm.late_ms) {
		*wait_ms += harm.late_ms;
		harm.late_ms = 0;
	}
	if (way == UP && harm.hold_ms && has(chunk, len, harm.hold_word))
		*wait_ms += harm.hold_ms;
	pthread_mutex_unlock(&harm.lock);
}

static bool
hangs(void)
{
	bool yes;

	pthread_mutex_lock(&harm.lock);
	yes = harm.hang;
	pthread_mutex_unlock(&harm.lock);
	return yes;
}

static bool
pass_on(struct conn *c, int way, const char *chunk, size_t len)
{
	int to = c->fd[way == UP];
	int wait_ms;
	int drip_ms;
	bool drop;

	while (hangs() && !c->dead)
		pause_ms(STEP_MS);
	if (way == UP && cut_at(c, chunk, len))
		return false;
	ask_harm(way, chunk, len, &wait_ms, &drip_ms, &drop);
	hold(c, wait_ms);
	if (drop || (way == DOWN && c->mute))
		return !c->dead;
	for (size_t i = 0; drip_ms && i < len && !c->dead; i++) {
		if (!send_all(to, chunk + i, 1))
			return false;
		hold(c, drip_ms);
	}
	return drip_ms ? !c->dead : send_all(to, chunk, len);
}

/* ---- connections ---- */

static void
leave(struct conn *c)
{
	pthread_mutex_lock(&harm.lock);
	shutdown(c->fd[0], SHUT_RDWR);
	shutdown(c->fd[1], SHUT_RDWR);
	if (atomic_fetch_sub(&c->users, 1) == 1) {
		struct conn **at = &conns;

		while (*at != c)
			at = &(*at)->next;
		*at = c->next;
		close(c->fd[0]);
		close(c->fd[1]);
		free(c);
		open_now--;
	}
	pthread_mutex_unlock(&harm.lock);
}

static void
pump(struct conn *c, int way)
{
	char chunk[CHUNK];
	ssize_t n;

	while ((n = recv(c->fd[way == DOWN], chunk, sizeof(chunk), 0)) > 0) {
		if (c->dead || !pass_on(c, way, chunk, (size_t)n))
			break;
	}
	leave(c);
}

static void *
pump_up(void *c)
{
	pump(c, UP);
	return NULL;
}

static void *
pump_down(void *c)
{
	pump(c, DOWN);
	return NULL;
}

static void
start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg) != 0)
		abort();
	pthread_detach(thread);
}

static void
begin(int client)
{
	struct conn *c = calloc(1, sizeof(*c));
	int server = c ? dial() : -1;

	if (server < 0) {
		free(c);
		close(client);
		return;
	}
	c->fd[0] = client;
	c->fd[1] = server;
	c->users = 2;
	pthread_mutex_lock(&harm.lock);
	c->next = conns;
	conns = c;
	pthread_mutex_unlock(&harm.lock);
	open_now++;
	start_thread(pump_up, c);
	start_thread(pump_down, c);
}

static void *
accept_on(void *ctx)
{
	int fd = *(int *)ctx;

	for (;;) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		bool refuse;

		if (client < 0)
			continue;
		accepted++;
		pthread_mutex_lock(&harm.lock);
		refuse = harm.refuse;
		pthread_mutex_unlock(&harm.lock);
		if (refuse)
			close(client);
		else
			begin(client);
	}
	return NULL;
}

/* ---- commands ---- */

static void
forget_harm(void)
{
	memset(harm.delay_ms, 0, sizeof(harm.delay_ms));
	memset(harm.drip_ms, 0, sizeof(harm.drip_ms));
	memset(harm.drop, 0, sizeof(harm.drop));
	harm.hang = harm.refuse = false;
	harm.late_ms = harm.cut_times = harm.hold_ms = 0;
}

/* WAY of "up", "down", "both", as bits; 0: none of them. */
static int
ways(const char *word)
{
	return strcmp(word, "up") == 0	? 1
	    : strcmp(word, "down") == 0 ? 2
	    : strcmp(word, "both") == 0 ? 3
					: 0;
}

static bool
directed(const char *what, int way, int ms)
{
	for (int i = 0; i < 2; i++) {
		if (!(way >> i & 1))
			continue;
		if (strcmp(what, "delay") == 0)
			harm.delay_ms[i] = ms;
		else if (strcmp(what, "drip") == 0)
			harm.drip_ms[i] = ms;
		else
			harm.drop[i] = true;
	}
	return way && (ms > 0 || strcmp(what, "drop") == 0);
}

/* N words; the lock is held. */
static bool
obey(int n, char word[4][WORD_BYTES])
{
	const char *what = word[0];

	if (strcmp(what, "pass") == 0)
		forget_harm();
	else if (strcmp(what, "hang") == 0)
		harm.hang = true;
	else if (strcmp(what, "cut") == 0)
		kill_all();
	else if (strcmp(what, "refuse") == 0)
		harm.refuse = true, kill_all();
	else if (n == 2 && strcmp(what, "late") == 0)
		harm.late_ms = atoi(word[1]);
	else if (strcmp(what, "delay") == 0 || strcmp(what, "drip") == 0 ||
	    strcmp(what, "drop") == 0)
		return directed(what, n > 1 ? ways(word[1]) : 0, n > 2 ? atoi(word[2]) : 0);
	else if (n == 3 && strcmp(what, "hold-at") == 0) {
		memcpy(harm.hold_word, word[1], WORD_BYTES);
		harm.hold_ms = atoi(word[2]);
	} else if (n >= 3 && strcmp(what, "cut-at") == 0) {
		memcpy(harm.cut_word, word[1], WORD_BYTES);
		harm.cut_after = strcmp(word[2], "after") == 0;
		harm.cut_times = n > 3 ? atoi(word[3]) : 1;
	} else if (strcmp(what, "count") == 0)
		printf("%ld %ld %ld %ld ", accepted, open_now, cuts, passed);
	else
		return false;
	return true;
}

int
main(int argc, char **argv)
{
	char line[300];
	int fd = argc == 3 ? listen_on(argv[1]) : -1;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	upstream = argv[argc - 1];
	if (fd < 0) {
		fputs(argc == 3 ? "proxy: cannot listen there\n" : usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	start_thread(accept_on, &fd);
	puts("ok");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		char word[4][WORD_BYTES] = { "" };
		int n = sscanf(line, "%63s %63s %63s %63s", word[0], word[1], word[2], word[3]);
		bool fine;

		pthread_mutex_lock(&harm.lock);
		fine = obey(n, word);
		pthread_mutex_unlock(&harm.lock);
		puts(fine ? "ok" : "error: --help lists the commands");
		fflush(stdout);
	}
	return 0;
}
