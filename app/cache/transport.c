#include "cache/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/text.h"

struct transport {
	int fd;
	SSL *ssl; /* NULL: plain */
};

/* ---- addresses ---- */

/* A piece of a URL, percent-decoded, into TO. */
static bool
copy_piece(struct span piece, char *to, size_t room)
{
	char decoded[1024];
	size_t len;

	if (piece.len > sizeof(decoded) || memchr(piece.at, '+', piece.len))
		len = piece.len; /* '+' is itself here: no escapes beside it */
	else if (!text_unescape(piece, decoded, &len))
		return false;
	else
		piece = span_make(decoded, len);
	if (len >= room)
		return false;
	memcpy(to, piece.at, len);
	to[len] = '\0';
	return true;
}

static bool
parse_login(struct span login, struct transport_address *a)
{
	const char *colon = memchr(login.at, ':', login.len);
	size_t user_len = colon ? (size_t)(colon - login.at) : 0;

	if (!colon)
		return copy_piece(login, a->password, sizeof(a->password));
	return copy_piece(span_make(login.at, user_len), a->user, sizeof(a->user)) &&
	    copy_piece(span_skip(login, user_len + 1), a->password, sizeof(a->password));
}

static bool
parse_host(struct span host, struct transport_address *a)
{
	const char *colon = memrchr(host.at, ':', host.len);
	struct span port = SPAN("6379");

	if (host.len && host.at[0] == '[') { /* [::1]:6379 */
		const char *close = memchr(host.at, ']', host.len);

		if (!close)
			return false;
		colon = close + 1 < host.at + host.len && close[1] == ':' ? close + 1 : NULL;
		if (colon)
			port = span_make(colon + 1, (size_t)(host.at + host.len - colon - 1));
		return copy_piece(span_make(host.at + 1, (size_t)(close - host.at - 1)), a->host,
			   sizeof(a->host)) &&
		    copy_piece(port, a->port, sizeof(a->port));
	}
	if (colon) {
		port = span_make(colon + 1, (size_t)(host.at + host.len - colon - 1));
		host.len = (size_t)(colon - host.at);
	}
	return host.len && copy_piece(host, a->host, sizeof(a->host)) &&
	    copy_piece(port, a->port, sizeof(a->port));
}

static bool
parse_database(struct span text, struct transport_address *a)
{
	int64_t n = 0;

	if (text.len && (!text_number(text, &n) || n > 1000000))
		return false;
	a->database = (int)n;
	return true;
}

static bool
parse_unix(struct span rest, struct transport_address *a)
{
	const char *query = memchr(rest.at, '?', rest.len);
	struct span path = rest;
	struct span database = { "", 0 };

	if (query) {
		path.len = (size_t)(query - rest.at);
		database = span_skip(rest, path.len + 1);
		if (!span_starts(database, span_of("db=")))
			return false;
		database = span_skip(database, 3);
	}
	return path.len && path.at[0] == '/' && copy_piece(path, a->path, sizeof(a->path)) &&
	    parse_database(database, a);
}

static bool
parse_tcp(struct span rest, struct transport_address *a)
{
	const char *slash = memchr(rest.at, '/', rest.len);
	struct span database = { "", 0 };
	const char *at;

	if (slash) {
		database = span_skip(rest, (size_t)(slash - rest.at) + 1);
		rest.len = (size_t)(slash - rest.at);
	}
	at = memrchr(rest.at, '@', rest.len);
	if (at) {
		if (!parse_login(span_make(rest.at, (size_t)(at - rest.at)), a))
			return false;
		rest = span_skip(rest, (size_t)(at - rest.at) + 1);
	}
	return parse_host(rest, a) && parse_database(database, a);
}

bool
transport_parse(const char *url, struct transport_address *out, const char **why)
{
	struct span s = span_of(url);

	memset(out, 0, sizeof(*out));
	*why = "the address must be redis://HOST, rediss://HOST or unix:///PATH";
	if (span_starts(s, span_of("unix://")))
		return parse_unix(span_skip(s, 7), out);
	out->tls = span_starts(s, span_of("rediss://"));
	if (!out->tls && !span_starts(s, span_of("redis://")))
		return false;
	return parse_tcp(span_skip(s, out->tls ? 9 : 8), out);
}

/* ---- waiting ---- */

static bool
wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = until_ms - clock_ms();
		int n;

		if (left <= 0)
			return false;
		n = poll(&p, 1, (int)left);
		if (n >= 0 || errno != EINTR)
			return n > 0;
	}
}

/* ---- connecting ---- */

static int
finish_connect(int fd, const struct sockaddr *to, socklen_t len, int64_t until_ms)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (connect(fd, to, len) == 0)
		return fd;
	if (errno == EINPROGRESS && wait_for(fd, POLLOUT, until_ms) &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
		return fd;
	close(fd);
	return -1;
}

static int
connect_unix(const struct transport_address *a, int64_t until_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memcpy(address.sun_path, a->path, strlen(a->path) + 1);
	return finish_connect(fd, (struct sockaddr *)&address, sizeof(address), until_ms);
}

static int
connect_tcp(const struct transport_address *a, int64_t until_ms)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int on = 1;
	int fd = -1;

	/* The resolver keeps its own time: a numeric address, or a name that the
	 * machine knows, costs none. */
	if (getaddrinfo(a->host, a->port, &hints, &list) != 0)
		return -1;
	for (struct addrinfo *i = list; i && fd < 0; i = i->ai_next) {
		fd = socket(i->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd >= 0)
			fd = finish_connect(fd, i->ai_addr, i->ai_addrlen, until_ms);
	}
	freeaddrinfo(list);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* ---- TLS ---- */

struct tls *
tls_new(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context)
		return NULL;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_default_verify_paths(context);
	return (struct tls *)context;
}

void
tls_free(struct tls *tls)
{
	SSL_CTX_free((SSL_CTX *)tls);
}

/* After RESULT of an SSL call: may it be tried again? */
static bool
wait_for_tls(struct transport *t, int result, int64_t until_ms)
{
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(t->fd, POLLIN, until_ms);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(t->fd, POLLOUT, until_ms);
	default:
		return false;
	}
}

static bool
is_numeric(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool
expect_host(SSL *ssl, const char *host)
{
	if (is_numeric(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool
start_tls(struct transport *t, struct tls *tls, const char *host, int64_t until_ms)
{
	int result;

	t->ssl = tls ? SSL_new((SSL_CTX *)tls) : NULL;
	if (!t->ssl || !expect_host(t->ssl, host) || SSL_set_fd(t->ssl, t->fd) != 1)
		return false;
	while ((result = SSL_connect(t->ssl)) != 1) {
		if (!wait_for_tls(t, result, until_ms))
			return false;
	}
	return SSL_get_verify_result(t->ssl) == X509_V_OK;
}

struct transport *
transport_open(const struct transport_address *a, struct tls *tls, int64_t until_ms)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->fd = *a->path ? connect_unix(a, until_ms) : connect_tcp(a, until_ms);
	if (t->fd >= 0 && (!a->tls || start_tls(t, tls, a->host, until_ms)))
		return t;
	transport_close(t);
	return NULL;
}

void
transport_close(struct transport *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

/* ---- bytes ---- */

static ssize_t
write_some(struct transport *t, const char *at, size_t len, int64_t until_ms)
{
	for (;;) {
		ssize_t n;

		if (t->ssl) {
			n = SSL_write(t->ssl, at, len > 65536 ? 65536 : (int)len);
			if (n > 0 || !wait_for_tls(t, (int)n, until_ms))
				return n;
			continue;
		}
		n = send(t->fd, at, len, MSG_NOSIGNAL);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return n;
		if (!wait_for(t->fd, POLLOUT, until_ms))
			return -1;
	}
}

bool
transport_write(struct transport *t, const char *at, size_t len, int64_t until_ms)
{
	while (len) {
		ssize_t n = write_some(t, at, len, until_ms);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

size_t
transport_read(struct transport *t, char *to, size_t room, int64_t until_ms)
{
	for (;;) {
		ssize_t n;

		if (t->ssl) {
			n = SSL_read(t->ssl, to, (int)room);
			if (n > 0)
				return (size_t)n;
			if (!wait_for_tls(t, (int)n, until_ms))
				return 0;
			continue;
		}
		n = recv(t->fd, to, room, 0);
		if (n >= 0)
			return (size_t)n;
		if ((errno != EAGAIN && errno != EINTR) || !wait_for(t->fd, POLLIN, until_ms))
			return 0;
	}
}

bool
transport_is_quiet(const struct transport *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0 && (!t->ssl || SSL_pending(t->ssl) == 0);
}
