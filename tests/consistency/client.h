/*
 * HTTP/1.1 over one kept connection to 127.0.0.1, blocking, with a deadline on
 * each send and receive.  One thread a client.
 */
#ifndef CONSISTENCY_CLIENT_H
#define CONSISTENCY_CLIENT_H

#include <stdint.h>

#include "base/span.h"

struct client {
	int port;
	int fd; /* -1: not connected */
	char *buf;
	size_t cap;
	size_t have;
};

struct answer {
	int status;
	struct span head; /* the status line and the fields, as they came */
	struct span body; /* whole, chunks put together */
};

enum heard {
	HEARD,
	HEARD_NOTHING, /* no connection: nothing was sent */
	HEARD_LOST, /* the connection ended too early, or made no sense */
	HEARD_LATE, /* not within the deadline */
};

/* Longer than nginx waits for the app, so that nginx's word comes first. */
#define CLIENT_DEADLINE_S 20

void client_init(struct client *c, int port);
void client_close(struct client *c);
/*
 * Send REQUEST and wait for its answer, whose spans stay until the next
 * request.  *A is set if HEARD; otherwise it holds what had come so far as
 * its head.  A connection that failed is made anew the next time.
 */
enum heard client_ask(struct client *c, struct span request, struct answer *a);
/* The value of a field; empty if it is not there. */
struct span answer_field(const struct answer *a, const char *name);

#endif
