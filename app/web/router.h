/*
 * From a method and a path to a place in a list of patterns.  A pattern is
 * segments; one that begins with ':' takes any one segment.  The path is
 * nginx's DOCUMENT_URI: decoded once and normalised; an empty segment or a
 * dot segment matches nothing.  Pure; any thread.
 */
#ifndef WEB_ROUTER_H
#define WEB_ROUTER_H

#include "web/request.h"

#define ROUTER_MAX_IDS 3

struct pattern {
	enum method method;
	const char *path;
};

struct match {
	int index; /* -1 */
	struct span ids[ROUTER_MAX_IDS]; /* of the ':' segments, in order */
	int id_count;
	unsigned allowed; /* bit m: method m exists for this path */
};

/* Every pattern is looked at; those of other methods fill .allowed. */
struct match router_find(
    const struct pattern *const *patterns, int count, enum method method, struct span path);
/* "GET, HEAD, PUT" for an Allow header; in OUT. */
void router_allow(unsigned allowed, struct buf *out);

#endif
