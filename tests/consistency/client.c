#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define FIRST_BYTES 65536
#define MAX_BYTES (16 << 20)

void
client_init(struct client *c, int port)
{
	*c = (struct client){ .port = port, .fd = -1, .cap = FIRST_BYTES };
	c->buf = malloc(c->cap);
	if (!c->buf)
		abort();
}

static void
disconnect(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
client_close(struct client *c)
{
	disconnect(c);
	free(c->buf);
	c->buf = NULL;
}

static bool
is_connected(struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port) };
	struct timeval limit = { .tv_sec = CLIENT_DEADLINE_S };
	int on = 1;

	if (c->fd >= 0)
		return true;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return false;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return true;
	disconnect(c);
	return false;
}

static enum heard
why_not(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? HEARD_LATE : HEARD_LOST;
}

static enum heard
send_all(int fd, struct span s)
{
	while (s.len > 0) {
		ssize_t n = send(fd, s.at, s.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return why_not();
		s = span_skip(s, (size_t)n);
	}
	return HEARD;
}

static enum heard
receive_more(struct client *c)
{
	ssize_t n;

	if (c->have == c->cap) {
		char *larger = c->cap < MAX_BYTES ? realloc(c->buf, 2 * c->cap) : NULL;

		if (!larger)
			return HEARD_LOST;
		c->buf = larger;
		c->cap *= 2;
	}
	do {
		n = recv(c->fd, c->buf + c->have, c->cap - c->have, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? why_not() : HEARD_LOST;
	c->have += (size_t)n;
	return HEARD;
}

struct span
answer_field(const struct answer *a, const char *name)
{
	size_t len = strlen(name);
	struct span rest = a->head;

	for (;;) {
		const char *end = memmem(rest.at, rest.len, "\r\n", 2);
		struct span line;

		if (!end)
			return span_of(NULL);
		line = span_make(rest.at, (size_t)(end - rest.at));
		rest = span_skip(rest, line.len + 2);
		if (line.len <= len || line.at[len] != ':' || strncasecmp(line.at, name, len) != 0)
			continue;
		line = span_skip(line, len + 1);
		while (line.len && *line.at == ' ')
			line = span_skip(line, 1);
		return line;
	}
}

/*
 * The chunks that begin at AT: the length of their wire form once they are
 * all there, 0 until then.  With OUT, their bytes are put there, which may be
 * AT itself.
 */
static size_t
chunks(const char *at, size_t have, char *out, size_t *out_len)
{
	size_t pos = 0, made = 0;

	for (;;) {
		const char *end = memmem(at + pos, have - pos, "\r\n", 2);
		size_t size;

		if (!end)
			return 0;
		size = strtoull(at + pos, NULL, 16);
		pos = (size_t)(end - at) + 2;
		if (have < pos + 2 || size > have - pos - 2)
			return 0;
		if (size == 0)
			break;
		if (out)
			memmove(out + made, at + pos, size);
		made += size;
		pos += size + 2;
	}
	*out_len = made;
	return pos + 2; /* no trailers come from nginx */
}

static enum heard
receive_chunks(struct client *c, size_t head, struct answer *a)
{
	size_t len = 0;
	enum heard h;

	while (!chunks(c->buf + head, c->have - head, NULL, &len)) {
		h = receive_more(c);
		if (h != HEARD)
			return h;
	}
	chunks(c->buf + head, c->have - head, c->buf + head, &len);
	a->body = span_make(c->buf + head, len);
	return HEARD;
}

static enum heard
receive_length(struct client *c, size_t head, size_t len, struct answer *a)
{
	while (c->have < head + len) {
		enum heard h = receive_more(c);

		if (h != HEARD)
			return h;
	}
	a->body = span_make(c->buf + head, len);
	return c->have == head + len ? HEARD : HEARD_LOST;
}

/* The head's length with its empty line; 0: it did not come. */
static enum heard
receive_head(struct client *c, size_t *head)
{
	for (;;) {
		const char *end = memmem(c->buf, c->have, "\r\n\r\n", 4);
		enum heard h;

		if (end) {
			*head = (size_t)(end - c->buf) + 4;
			return HEARD;
		}
		h = receive_more(c);
		if (h != HEARD)
			return h;
	}
}

static enum heard
receive(struct client *c, struct answer *a)
{
	size_t head = 0;
	enum heard h;
	struct span length;

	c->have = 0;
	h = receive_head(c, &head);
	if (h != HEARD)
		return h;
	a->head = span_make(c->buf, head - 2);
	if (sscanf(c->buf, "HTTP/1.1 %d", &a->status) != 1)
		return HEARD_LOST;
	length = answer_field(a, "Content-Length");
	if (length.len)
		h = receive_length(c, head, strtoull(length.at, NULL, 10), a);
	else if (a->status == 304 || a->status == 204)
		h = HEARD;
	else
		h = receive_chunks(c, head, a);
	a->head.at = c->buf; /* it may have moved */
	return h;
}

enum heard
client_ask(struct client *c, struct span request, struct answer *a)
{
	enum heard h;

	*a = (struct answer){ .head = span_of(NULL), .body = span_of(NULL) };
	if (!is_connected(c))
		return HEARD_NOTHING;
	c->have = 0;
	h = send_all(c->fd, request);
	if (h == HEARD)
		h = receive(c, a);
	if (h != HEARD) {
		a->status = 0;
		a->head = span_make(c->buf, c->have);
		a->body = span_of(NULL);
		disconnect(c);
	} else if (span_is(answer_field(a, "Connection"), "close")) {
		disconnect(c);
	}
	return h;
}
