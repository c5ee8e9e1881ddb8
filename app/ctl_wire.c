#include "ctl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define PATH "/api/test/cache"
#define ANSWER_MAX ((size_t)64 << 20)
#define PARAMS_BYTES 16384
#define BEGIN 1
#define END 3
#define PARAMS 4
#define STDIN 5
#define STDOUT 6

bool
ctl_add(char *query, size_t room, const char *name, const char *value)
{
	size_t n = strlen(query);
	int put = snprintf(query + n, room - n, "%s%s=", n ? "&" : "", name);

	if (put < 0 || (size_t)put >= room - n)
		return false;
	n += (size_t)put;
	for (; *value; value++) {
		if (n + 4 > room)
			return false;
		if (isalnum((unsigned char)*value) || strchr("-._~", *value))
			query[n++] = *value;
		else
			n += (size_t)snprintf(query + n, room - n, "%%%02X", (unsigned char)*value);
		query[n] = '\0';
	}
	return true;
}

/* ---- the request ---- */

struct text {
	char at[PARAMS_BYTES];
	size_t len;
};

static void
put_header(struct text *t, int type, size_t len)
{
	char header[8] = { 1, (char)type, 0, 1, (char)(len >> 8), (char)(len & 255), 0, 0 };

	memcpy(t->at + t->len, header, sizeof(header));
	t->len += sizeof(header);
}

static void
put_length(struct text *t, size_t len)
{
	uint32_t n = (uint32_t)len;

	if (len > 127) {
		t->at[t->len++] = (char)(0x80 | n >> 24);
		t->at[t->len++] = (char)(n >> 16 & 255);
		t->at[t->len++] = (char)(n >> 8 & 255);
	}
	t->at[t->len++] = (char)(n & 255);
}

static bool
put_param(struct text *t, const char *name, const char *value)
{
	size_t a = strlen(name);
	size_t b = strlen(value);

	if (t->len + a + b + 64 > sizeof(t->at))
		return false;
	put_length(t, a);
	put_length(t, b);
	memcpy(t->at + t->len, name, a);
	memcpy(t->at + t->len + a, value, b);
	t->len += a + b;
	return true;
}

static bool
make_request(struct text *t, const char *query)
{
	static const char responder[8] = { 0, 1 };
	size_t begun;
	size_t len;

	t->len = 0;
	put_header(t, BEGIN, sizeof(responder));
	memcpy(t->at + t->len, responder, sizeof(responder));
	t->len += sizeof(responder);
	begun = t->len;
	put_header(t, PARAMS, 0);
	if (!put_param(t, "REQUEST_METHOD", "POST") || !put_param(t, "DOCUMENT_URI", PATH) ||
	    !put_param(t, "QUERY_STRING", query) || !put_param(t, "REQUEST_ID", "pupitrectl") ||
	    !put_param(t, "PUPITRE_CONTROL", "1"))
		return false;
	len = t->len - begun - 8;
	t->at[begun + 4] = (char)(len >> 8);
	t->at[begun + 5] = (char)(len & 255);
	put_header(t, PARAMS, 0);
	put_header(t, STDIN, 0);
	return true;
}

/* ---- the socket ---- */

static bool
wait_for(int fd, short what, int64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = what };
	int64_t left = until_ms - clock_ms();
	int ready;

	if (left <= 0) {
		errno = ETIMEDOUT;
		return false;
	}
	ready = poll(&p, 1, (int)left);
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0 || (ready < 0 && errno == EINTR);
}

/* Where more are waiting than it lets wait, connect(2) blocks: as long as it
 * takes a send(2). */
static void
bound_connect(int fd, int64_t until_ms)
{
	int64_t left = until_ms - clock_ms();
	struct timeval t;

	if (left < 1)
		left = 1;
	t = (struct timeval){ .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int
connect_to(const char *path, int64_t until_ms, const char **why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		*why = "its name is too long for a socket";
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		bound_connect(fd, until_ms);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	*why = strerror(errno == EAGAIN ? ETIMEDOUT : errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool
send_all(int fd, const char *at, size_t len, int64_t until_ms)
{
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n < 0 && !wait_for(fd, POLLOUT, until_ms))
			return false;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* ---- the answer ---- */

#define HUNG_UP \
	"it hung up without an answer, as it does on those who are not root, its own user or in " \
	"the socket's group"

static const char *
say_failure(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return "no answer in time";
	case EPIPE:
	case ECONNRESET:
		return HUNG_UP;
	}
	return strerror(error);
}

/* Of one, as it comes in. */
struct reading {
	int fd;
	int64_t until_ms;
	bool any; /* something has come */
	const char *why;
};

static bool
receive(struct reading *r, void *to, size_t len)
{
	char *at = to;

	while (len) {
		ssize_t n = recv(r->fd, at, len, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			r->why = r->any ? "the answer was cut off" : HUNG_UP;
			return false;
		}
		if (n < 0 &&
		    ((errno != EAGAIN && errno != EINTR) ||
			!wait_for(r->fd, POLLIN, r->until_ms))) {
			r->why = say_failure(errno);
			return false;
		}
		if (n > 0) {
			r->any = true;
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool
append(struct ctl_answer *a, const char *from, size_t len)
{
	char *grown = a->len + len < ANSWER_MAX ? realloc(a->body, a->len + len + 1) : NULL;

	if (!grown)
		return false;
	a->body = grown;
	memcpy(a->body + a->len, from, len);
	a->len += len;
	a->body[a->len] = '\0';
	return true;
}

/* Records until the end of the request; all of STDOUT into A. */
static bool
read_records(struct reading *r, struct ctl_answer *a)
{
	unsigned char header[8];
	static char content[65535 + 255];

	for (;;) {
		size_t len;

		if (!receive(r, header, sizeof(header)))
			return false;
		len = (size_t)(header[4] << 8 | header[5]);
		if (header[0] != 1 || header[2] << 8 != 0 || header[3] != 1) {
			r->why = "what listens there does not speak FastCGI";
			return false;
		}
		if (!receive(r, content, len + header[6]))
			return false;
		if (header[1] == END)
			return true;
		if (header[1] == STDOUT && !append(a, content, len)) {
			r->why = "the answer is too long";
			return false;
		}
	}
}

/* Its head off; the code from "Status:". */
static bool
take_head(struct ctl_answer *a)
{
	char *end = a->body ? strstr(a->body, "\r\n\r\n") : NULL;
	char *status = a->body ? strstr(a->body, "Status: ") : NULL;

	if (!end)
		return false;
	a->status = status && status < end ? atoi(status + 8) : 200;
	end += 4;
	a->len -= (size_t)(end - a->body);
	memmove(a->body, end, a->len + 1);
	return true;
}

bool
ctl_ask(const char *socket, const char *query, int patience_ms, struct ctl_answer *out,
    const char **why)
{
	static struct text request;
	struct reading r = { .until_ms = clock_ms() + patience_ms };
	bool fine = false;

	*out = (struct ctl_answer){ 0 };
	if (!make_request(&request, query)) {
		*why = "the question is too long";
		return false;
	}
	r.fd = connect_to(socket, r.until_ms, why);
	if (r.fd < 0)
		return false;
	if (!send_all(r.fd, request.at, request.len, r.until_ms))
		r.why = say_failure(errno);
	else
		fine = read_records(&r, out);
	close(r.fd);
	if (fine && !take_head(out)) {
		r.why = "the answer has no head";
		fine = false;
	}
	*why = r.why;
	if (!fine) {
		free(out->body);
		out->body = NULL;
	}
	return fine;
}

int
ctl_answer(const struct ctl_options *o, const char *query, int patience_ms, struct ctl_answer *out)
{
	const char *why;
	char text[1024];
	int code = CTL_FINE;

	if (!ctl_ask(o->socket, query, patience_ms, out, &why))
		return ctl_fail(o, CTL_UNREACHABLE,
		    "%s: %s; is pupitre running, and is this its socket?", o->socket, why);
	if (out->status != 200) {
		ctl_read_refusal(out, text, sizeof(text));
		code = ctl_fail(o, CTL_FAILED, "%s (HTTP %d)", text, out->status);
	} else if (!ctl_is_json(out)) {
		code = ctl_fail(
		    o, CTL_FAILED, "the answer makes no sense: it is not JSON, or not all of it");
	}
	if (code != CTL_FINE) {
		free(out->body);
		out->body = NULL;
	}
	return code;
}
