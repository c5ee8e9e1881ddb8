/*
 * The least that a libfcgi program can do, as a yardstick: a reactor on each
 * core, kept connections, libfcgi for the protocol; it compares the session
 * token with one that it was given and answers bytes that it was given.  No
 * route, no cache, no log.
 *
 * usage: bare SOCKET FILE      (the token in BARE_TOKEN, BARE_REACTORS=2)
 *
 * libfcgi 2.4.2 is used as a reactor can: the connection is put into the
 * request as ipcFd, so that FCGX_Accept_r() reads the next request from it, and
 * FCGX_Finish_r() leaves it open.  It blocks if a request comes in pieces, which
 * nginx' do not.
 */
#include <fcgiapp.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS 128
#define BODY_BYTES (1 << 20)

static int listen_fd;
static char *answer;
static int answer_len;
static const char *token;

static const char unauthorized[] = "Status: 401 Unauthorized\r\n"
				   "Content-Type: application/problem+json\r\n"
				   "Content-Length: 2\r\n\r\n{}";

/* False: the connection is gone. */
static bool
serve(FCGX_Request *request, int fd)
{
	const char *have;

	request->ipcFd = fd;
	request->keepConnection = 1;
	if (FCGX_Accept_r(request) != 0)
		return false; /* libfcgi has closed it */
	have = FCGX_GetParam("SESSION_TOKEN", request->envp);
	if (have && strcmp(have, token) == 0)
		FCGX_PutStr(answer, answer_len, request->out);
	else
		FCGX_PutStr(unauthorized, sizeof(unauthorized) - 1, request->out);
	FCGX_Finish_r(request);
	return true;
}

static void
add(int epoll_fd, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		perror("bare: epoll");
}

static void *
run(void *ctx)
{
	struct epoll_event events[EVENTS];
	int epoll_fd = epoll_create1(0);
	FCGX_Request request;

	(void)ctx;
	FCGX_InitRequest(&request, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	add(epoll_fd, listen_fd, EPOLLIN | EPOLLEXCLUSIVE);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listen_fd) {
				fd = accept4(listen_fd, NULL, NULL, 0);
				if (fd >= 0)
					add(epoll_fd, fd, EPOLLIN | EPOLLRDHUP);
			} else if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
				close(fd);
			} else {
				(void)serve(&request, fd);
			}
		}
	}
	return NULL;
}

static bool
read_answer(const char *path)
{
	static char body[BODY_BYTES];
	FILE *file = fopen(path, "rb");
	size_t len = file ? fread(body, 1, sizeof(body), file) : 0;

	answer = malloc(len + 512);
	if (!file || !answer)
		return false;
	fclose(file);
	answer_len = snprintf(answer, 512,
	    "Status: 200 OK\r\n"
	    "Cache-Control: private, no-cache\r\n"
	    "Content-Type: application/json\r\n"
	    "Content-Length: %zu\r\n"
	    "ETag: W/\"0123456789abcdef0123456789abcdef\"\r\n"
	    "\r\n",
	    len);
	memcpy(answer + answer_len, body, len);
	answer_len += (int)len;
	return true;
}

static bool
open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	unlink(path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return listen_fd >= 0 &&
	    bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    chmod(path, 0666) == 0 && listen(listen_fd, 1024) == 0;
}

int
main(int argc, char **argv)
{
	const char *count = getenv("BARE_REACTORS");
	int reactors = count ? atoi(count) : 2;
	sigset_t ends;
	int got;

	token = getenv("BARE_TOKEN");
	if (argc != 3 || !token || reactors < 1) {
		fputs("usage: BARE_TOKEN=... bare SOCKET FILE\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (FCGX_Init() != 0 || !read_answer(argv[2]) || !open_socket(argv[1])) {
		perror("bare");
		return 1;
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	for (int i = 0; i < reactors; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, run, NULL) != 0)
			return 1;
	}
	sigwait(&ends, &got);
	return 0;
}
