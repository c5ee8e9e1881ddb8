/*
 * Names of hosts to addresses, by a deadline.  getaddrinfo() keeps a time of
 * its own (tens of seconds when no name server answers), so it runs in a
 * thread that nobody has to wait for: at most one at a time for a resolver,
 * and all who ask meanwhile share its answer.  Any thread.
 */
#ifndef CACHE_RESOLVE_H
#define CACHE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct resolver;

#define RESOLVED_MAX 8

struct resolved {
	size_t count;
	struct {
		struct sockaddr_storage at;
		socklen_t len;
	} list[RESOLVED_MAX];
};

/* NULL without memory. */
struct resolver *resolver_new(const char *host, const char *port);
/* A look-up under way lives on by itself and ends unheard. */
void resolver_free(struct resolver *r);
/* TCP addresses, at least one; false: unknown, or not known by UNTIL_MS
 * (monotonic).  A numeric address needs no thread. */
bool resolver_ask(struct resolver *r, struct resolved *out, int64_t until_ms);

#endif
