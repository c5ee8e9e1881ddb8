/*
 * A small HTTP/1.1 client: one kept connection to 127.0.0.1, one question at a
 * time, with a deadline.  For one thread.
 */
#ifndef CONSISTENCY_HTTP_H
#define CONSISTENCY_HTTP_H

#include <stddef.h>

#define ANSWER_BYTES (1u << 20)

struct http {
	int port;
	int fd; /* -1: not connected */
	int status;
	char *head; /* NUL-ended, in .bytes */
	char *body; /* likewise */
	size_t body_len;
	char bytes[ANSWER_BYTES];
};

/* malloc'd. */
struct http *http_new(int port);
void http_free(struct http *h);
/* BODY may be NULL.  The status, or 0 when no whole answer came within 30 s;
 * then the next question is asked on a new connection. */
int http_ask(
    struct http *h, const char *method, const char *path, const char *token, const char *body);

#endif
