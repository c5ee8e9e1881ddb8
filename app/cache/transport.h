/*
 * Bytes to and from a Redis server, by a unix socket, TCP, or TLS over TCP;
 * transport.c is the one file that knows OpenSSL.  Non-blocking underneath:
 * every call takes a deadline (monotonic ms) and keeps it.  TLS is 1.2 or
 * later, with SNI; the chain and the host name are verified.  One thread at a
 * time.
 */
#ifndef CACHE_TRANSPORT_H
#define CACHE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;
struct tls;

/* What redis://, rediss:// and unix:// say.  Made by transport_parse(). */
struct transport_address {
	bool tls;
	char path[108]; /* of a unix socket; empty: TCP */
	char host[256];
	char port[8];
	char user[256];
	char password[512];
	int database;
};

/* False, with a word in *WHY that repeats nothing of URL. */
bool transport_parse(const char *url, struct transport_address *out, const char **why);

/* Certificates of the system (SSL_CERT_FILE and SSL_CERT_DIR change them).
 * NULL if OpenSSL cannot start. */
struct tls *tls_new(void);
void tls_free(struct tls *tls);

/* TLS may be NULL for an address without it.  NULL: refused or late. */
struct transport *transport_open(
    const struct transport_address *address, struct tls *tls, int64_t until_ms);
void transport_close(struct transport *t);
bool transport_write(struct transport *t, const char *at, size_t len, int64_t until_ms);
/* At least one byte, at most ROOM; 0: closed, broken or late. */
size_t transport_read(struct transport *t, char *to, size_t room, int64_t until_ms);
/* Of one that nobody uses: still open, and silent? */
bool transport_is_quiet(const struct transport *t);

#endif
