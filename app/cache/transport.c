#include "cache/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "cache/resolve.h"

#define TLS_PIECE_BYTES 65536

struct dialer {
	struct remote_url url;
	struct resolver *resolver; /* NULL: a unix socket */
	SSL_CTX *tls; /* NULL: plain */
};

struct transport {
	int fd;
	SSL *ssl; /* NULL: plain */
};

/* ---- the dialer ---- */

static SSL_CTX *
new_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context)
		return NULL;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_default_verify_paths(context) == 1)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

struct dialer *
dialer_new(const struct remote_url *url, const char **why)
{
	struct dialer *d = calloc(1, sizeof(*d));

	*why = "out of memory";
	if (!d)
		return NULL;
	d->url = *url;
	if (!*url->path) {
		d->resolver = resolver_new(url->host, url->port);
		if (!d->resolver)
			goto failed;
	}
	if (url->tls) {
		*why = "OpenSSL cannot start";
		d->tls = new_context();
		if (!d->tls)
			goto failed;
	}
	return d;

failed:
	dialer_free(d);
	return NULL;
}

void
dialer_free(struct dialer *d)
{
	if (!d)
		return;
	resolver_free(d->resolver);
	SSL_CTX_free(d->tls);
	free(d);
}

const struct remote_url *
dialer_url(const struct dialer *d)
{
	return &d->url;
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
connect_to(const void *address, socklen_t len, int64_t until_ms)
{
	const struct sockaddr *to = address;
	int error = 0;
	socklen_t size = sizeof(error);
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, to, len) == 0)
		return fd;
	if (errno == EINPROGRESS && wait_for(fd, POLLOUT, until_ms) &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
		return fd;
	close(fd);
	return -1;
}

static int
connect_unix(const char *path, int64_t until_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, strlen(path) + 1);
	return connect_to(&address, sizeof(address), until_ms);
}

/* An address that swallows everything gets its share of the time, not all. */
static int
connect_tcp(const struct resolved *found, int64_t until_ms)
{
	int on = 1;

	for (size_t i = 0; i < found->count; i++) {
		int64_t now = clock_ms();
		int64_t share = (until_ms - now) / (int64_t)(found->count - i);
		int fd = connect_to(&found->list[i].at, found->list[i].len, now + share);

		if (fd >= 0) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			return fd;
		}
	}
	return -1;
}

static int
dial(struct dialer *d, int64_t until_ms, const char **why)
{
	struct resolved found;

	*why = "the connection was refused, or took too long";
	if (!d->resolver)
		return connect_unix(d->url.path, until_ms);
	if (resolver_ask(d->resolver, &found, until_ms))
		return connect_tcp(&found, until_ms);
	*why = "the name of the host was not found in time";
	return -1;
}

/* ---- TLS ---- */

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
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/*
 * The queue of errors belongs to the thread, not to the connection: what
 * somebody else left in it would be taken for ours, and ours for theirs.
 */
static bool
shake_hands(struct transport *t, int64_t until_ms)
{
	int result;

	for (;;) {
		ERR_clear_error();
		result = SSL_connect(t->ssl);
		if (result == 1)
			return SSL_get_verify_result(t->ssl) == X509_V_OK;
		if (!wait_for_tls(t, result, until_ms))
			return false;
	}
}

static bool
start_tls(struct transport *t, struct dialer *d, int64_t until_ms, const char **why)
{
	bool fine;

	*why = "out of memory";
	t->ssl = SSL_new(d->tls);
	if (!t->ssl || !expect_host(t->ssl, d->url.host) || SSL_set_fd(t->ssl, t->fd) != 1)
		return false;
	fine = shake_hands(t, until_ms);
	if (!fine) {
		long verdict = SSL_get_verify_result(t->ssl);

		*why = verdict == X509_V_OK ? "the TLS handshake failed, or took too long"
					    : X509_verify_cert_error_string(verdict);
	}
	ERR_clear_error();
	return fine;
}

/* ---- opening and closing ---- */

struct transport *
transport_open(struct dialer *d, int64_t until_ms, const char **why)
{
	struct transport *t = calloc(1, sizeof(*t));

	*why = "out of memory";
	if (!t)
		return NULL;
	t->fd = dial(d, until_ms, why);
	if (t->fd >= 0 && (!d->tls || start_tls(t, d, until_ms, why)))
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

/* One try: bytes moved; 0: closed or broken, or (*again) not yet. */
static size_t
write_once(struct transport *t, const char *at, size_t len, int64_t until_ms, bool *again)
{
	ssize_t n;

	if (t->ssl) {
		ERR_clear_error();
		n = SSL_write(t->ssl, at, len > TLS_PIECE_BYTES ? TLS_PIECE_BYTES : (int)len);
		*again = n <= 0 && wait_for_tls(t, (int)n, until_ms);
		ERR_clear_error();
	} else {
		n = send(t->fd, at, len, MSG_NOSIGNAL);
		*again = n < 0 &&
		    (errno == EINTR || (errno == EAGAIN && wait_for(t->fd, POLLOUT, until_ms)));
	}
	return n > 0 ? (size_t)n : 0;
}

static size_t
read_once(struct transport *t, char *to, size_t room, int64_t until_ms, bool *again)
{
	ssize_t n;

	if (t->ssl) {
		ERR_clear_error();
		n = SSL_read(t->ssl, to, room > TLS_PIECE_BYTES ? TLS_PIECE_BYTES : (int)room);
		*again = n <= 0 && wait_for_tls(t, (int)n, until_ms);
		ERR_clear_error();
	} else {
		n = recv(t->fd, to, room, 0);
		*again = n < 0 &&
		    (errno == EINTR || (errno == EAGAIN && wait_for(t->fd, POLLIN, until_ms)));
	}
	return n > 0 ? (size_t)n : 0;
}

bool
transport_write(struct transport *t, const char *at, size_t len, int64_t until_ms)
{
	while (len) {
		bool again = false;
		size_t n;

		if (until_ms && clock_ms() >= until_ms)
			return false;
		n = write_once(t, at, len, until_ms, &again);
		if (n == 0 && !again)
			return false;
		at += n;
		len -= n;
	}
	return true;
}

size_t
transport_read(struct transport *t, char *to, size_t room, int64_t until_ms)
{
	bool again = true;
	size_t n = 0;

	/* The time is looked at even when there is always something to read. */
	while (n == 0 && again && clock_ms() < until_ms)
		n = read_once(t, to, room, until_ms, &again);
	return n;
}

bool
transport_is_quiet(const struct transport *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0 && (!t->ssl || SSL_pending(t->ssl) == 0);
}
