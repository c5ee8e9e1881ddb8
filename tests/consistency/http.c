#include "http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define QUESTION_BYTES 65536
#define WAIT_S 30

struct http *
http_new(int port)
{
	struct http *h = malloc(sizeof(*h));

	if (h) {
		h->port = port;
		h->fd = -1;
	}
	return h;
}

static void
hang_up(struct http *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

void
http_free(struct http *h)
{
	hang_up(h);
	free(h);
}

static int
dial(struct http *h)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)h->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval wait = { .tv_sec = WAIT_S };
	int one = 1;

	if (h->fd >= 0)
		return 0;
	h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->fd < 0)
		return -1;
	setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(h->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(h->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	hang_up(h);
	return -1;
}

static int
say(struct http *h, const char *method, const char *path, const char *token, const char *body)
{
	char text[QUESTION_BYTES];
	int n = snprintf(text, sizeof(text),
	    "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n"
	    "Authorization: Bearer %s\r\n",
	    method, path, token);

	if (body)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
		    body);
	else
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	if (n >= (int)sizeof(text))
		return -1;
	return send(h->fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

/* More bytes behind the *have that are there. */
static int
hear(struct http *h, size_t *have)
{
	ssize_t n = recv(h->fd, h->bytes + *have, ANSWER_BYTES - 1 - *have, 0);

	if (n <= 0)
		return -1;
	*have += (size_t)n;
	h->bytes[*have] = '\0';
	return 0;
}

/* Chunks (RFC 9112 section 7.1), put together in place. */
static int
hear_chunks(struct http *h, size_t *have)
{
	char *to = h->body;
	char *at = h->body;

	for (;;) {
		char *end;
		size_t size;

		while (!(end = strstr(at, "\r\n"))) {
			if (hear(h, have) < 0)
				return -1;
		}
		size = strtoul(at, NULL, 16);
		at = end + 2;
		while ((size_t)(h->bytes + *have - at) < size + 2) {
			if (hear(h, have) < 0)
				return -1;
		}
		memmove(to, at, size);
		to += size;
		at += size + 2;
		if (size == 0)
			break;
	}
	h->body_len = (size_t)(to - h->body);
	*to = '\0';
	return 0;
}

static const char *
header(const struct http *h, const char *name)
{
	const char *at = strcasestr(h->head, name);

	return at ? at + strlen(name) : NULL;
}

static int
hear_answer(struct http *h)
{
	const char *length;
	size_t have = 0;

	h->bytes[0] = '\0';
	while (!(h->body = strstr(h->bytes, "\r\n\r\n"))) {
		if (have >= ANSWER_BYTES - 1 || hear(h, &have) < 0)
			return -1;
	}
	h->head = h->bytes;
	*h->body = '\0';
	h->body += 4;
	if (sscanf(h->head, "HTTP/1.1 %d", &h->status) != 1)
		return -1;
	length = header(h, "\r\nContent-Length: ");
	if (!length)
		return header(h, "\r\nTransfer-Encoding: chunked") ? hear_chunks(h, &have) : -1;
	h->body_len = strtoul(length, NULL, 10);
	while ((size_t)(h->bytes + have - h->body) < h->body_len) {
		if (have >= ANSWER_BYTES - 1 || hear(h, &have) < 0)
			return -1;
	}
	h->body[h->body_len] = '\0';
	return 0;
}

int
http_ask(struct http *h, const char *method, const char *path, const char *token, const char *body)
{
	h->status = 0;
	h->head = h->body = h->bytes;
	h->bytes[0] = '\0';
	if (dial(h) < 0)
		return 0;
	if (say(h, method, path, token, body) < 0 || hear_answer(h) < 0) {
		hang_up(h);
		return h->status = 0;
	}
	if (header(h, "\r\nConnection: close"))
		hang_up(h);
	return h->status;
}
