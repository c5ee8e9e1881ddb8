/*
 * Bytes to and from a Redis server, by a unix socket, TCP, or TLS over TCP;
 * transport.c is the one file that knows OpenSSL.  Non-blocking underneath:
 * every call takes a deadline (monotonic ms) and keeps it, however slowly or
 * fast the bytes come.  TLS is 1.2 or later, with SNI; the chain and the host
 * name are verified.  SIGPIPE must be ignored by the program.  A dialer: any
 * thread; a transport: one thread at a time.
 */
#ifndef CACHE_TRANSPORT_H
#define CACHE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/remote_url.h"

/* What every connection to one server needs: its address, the look-up of its
 * name, the certificates to trust (the system's; SSL_CERT_FILE and
 * SSL_CERT_DIR change them). */
struct dialer;

/* Copies URL; connects to nothing.  NULL, with a word in *WHY. */
struct dialer *dialer_new(const struct remote_url *url, const char **why);
void dialer_free(struct dialer *d);
const struct remote_url *dialer_url(const struct dialer *d);

struct transport;

/* NULL, with a constant word in *WHY: not found, refused, late, or not who
 * it should be. */
struct transport *transport_open(struct dialer *d, int64_t until_ms, const char **why);
void transport_close(struct transport *t);
/* UNTIL_MS 0: only what the socket takes at once. */
bool transport_write(struct transport *t, const char *at, size_t len, int64_t until_ms);
/* At least one byte, at most ROOM; 0: closed, broken or late. */
size_t transport_read(struct transport *t, char *to, size_t room, int64_t until_ms);
/* Of one that nobody uses: still open, and silent? */
bool transport_is_quiet(const struct transport *t);

#endif
