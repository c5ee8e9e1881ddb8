/*
 * Where Redis is, out of an address as people write it.  Pure; any thread.
 * remote_url_of_upstash() is declared in remote.h.
 */
#ifndef CACHE_REMOTE_URL_H
#define CACHE_REMOTE_URL_H

#include <stdbool.h>

struct remote_url {
	bool tls;
	char path[108]; /* of a unix socket; empty: TCP */
	char host[256];
	char port[8];
	char user[256];
	char password[1024];
	int database;
};

/* False, with a word in *WHY that repeats nothing of TEXT. */
bool remote_url_parse(const char *text, struct remote_url *out, const char **why);

#endif
