/*
 * The one door to libfcgi: one connection's request.  Call fcgi_accept() only
 * when the gate has seen a whole request in the socket; then nothing here
 * blocks.  Answers do not pass through libfcgi's 8 KB streams: frame.h writes
 * them without a copy.  One thread at a time for each object.
 */
#ifndef WEB_FCGI_H
#define WEB_FCGI_H

#include "base/span.h"

struct fcgi;

/* Once, before any thread.  False if the library cannot start. */
bool fcgi_start(void);
/* NULL without memory.  FD stays the caller's. */
struct fcgi *fcgi_new(int fd);
void fcgi_free(struct fcgi *f);

/* Parse the request in the socket.  False: libfcgi could not, and has closed
 * the descriptor. */
bool fcgi_accept(struct fcgi *f);
/* Call SEE for every parameter; name and value live until fcgi_done(). */
void fcgi_params(
    struct fcgi *f, void (*see)(void *ctx, struct span name, struct span value), void *ctx);
/*
 * Read the body to its end.  False if it is longer than ROOM or cut off; the
 * connection must then be closed.
 */
bool fcgi_body(struct fcgi *f, char *to, size_t room, size_t *len);
/* The request is over; the connection stays as it is. */
void fcgi_done(struct fcgi *f);

#endif
