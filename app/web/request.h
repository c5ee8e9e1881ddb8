/*
 * One request and its answer, as everything above the server sees them.  It
 * belongs to one connection of one reactor.  While its handler runs, or while
 * it is parked, nobody else touches it: a worker that was given it has it to
 * itself until request_resume().
 */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/workers.h"

/* GET stands for HEAD as well: see request.head. */
#define METHOD_TABLE(X) X(GET) X(POST) X(PUT) X(PATCH) X(DELETE)

enum method {
#define X(name) METHOD_##name,
	METHOD_TABLE(X)
#undef X
	    METHOD_OTHER
};

const char *method_name(enum method m);

/* The parameters that we read, in the order in which deploy/nginx sets them; none
 * begins with HTTP_, so no client can.  The last is never set by nginx: it is the
 * word of who may open our socket, see deploy/README.md. */
#define REQUEST_PARAMS(X) \
	X(method_text, "REQUEST_METHOD") \
	X(path, "DOCUMENT_URI") \
	X(query, "QUERY_STRING") \
	X(content_type, "CONTENT_TYPE") \
	X(request_id, "REQUEST_ID") \
	X(if_none_match, "IF_NONE_MATCH") \
	X(origin, "ORIGIN") \
	X(fetch_site, "SEC_FETCH_SITE") \
	X(self_origin, "SELF_ORIGIN") \
	X(https, "HTTPS") \
	X(session_token, "SESSION_TOKEN") \
	X(session_source, "SESSION_SOURCE") \
	X(auth_user_id, "AUTH_USER_ID") \
	X(auth_user_role, "AUTH_USER_ROLE") \
	X(operator_network, "OPERATOR_NETWORK") \
	X(control, "PUPITRE_CONTROL")

enum role { ROLE_NONE, ROLE_USER, ROLE_ADMIN };

#define IDENTITY_ID_BYTES 129

/* Who calls.  .operator: by the operator's token; then there is no user. */
struct identity {
	enum role role;
	bool operator;
	bool by_cookie; /* so an unsafe method wants a proof */
	char id[IDENTITY_ID_BYTES];
};

/* One thing that is wrong with the input. */
struct fault {
	const struct fault *next;
	const char *field;
	const char *detail;
};

struct response {
	enum status status;
	const char *content_type; /* NULL: application/json */
	struct span body; /* must live until RELEASE(HOLD) */
	bool gzip; /* the body is compressed */
	struct span body_digits; /* its length in decimal; empty: not known yet */
	struct span etag; /* may be empty */
	struct span cache_status; /* RFC 9211, without the ttl; empty: none */
	int64_t ttl_s;
	struct buf *headers; /* further lines, each with its CRLF; may be NULL */
	int retry_after_s;
	void *hold;
	void (*release)(void *hold);
};

struct conn;

struct request {
#define X(field, name) struct span field;
	REQUEST_PARAMS(X)
#undef X
	enum method method;
	bool head; /* HEAD: as GET, without the body */
	bool body_too_large;
	struct span body;
	struct arena arena; /* all gone after the answer */
	int64_t began_us; /* monotonic */
	int64_t wall_ms; /* then, or a little before */

	struct identity user;
	struct response response;
	const struct fault *faults; /* newest first */
	void *state; /* the handler's own, in the arena */
	struct job job; /* to be given to the workers */

	/* For the log and Server-Timing. */
	const char *route; /* the pattern; NULL: none matched */
	const char *cache; /* a constant word, or NULL */
	bool hit; /* from memory */
	unsigned cells; /* of the route, see traffic.h; 0: of none */
	int64_t redis_us;
	int64_t db_us;

	struct conn *conn;
	struct request *next_resumed;
};

/* Note what is wrong with FIELD; both texts must live as long as the arena. */
void request_fault(struct request *rq, const char *field, const char *detail);

/* Add a header line.  A name or value with a control byte is our own
 * mistake: it is left out and logged. */
void response_header(struct request *rq, const char *name, struct span value);
/* The answer is BODY, which lives in the arena or for ever. */
void respond_json(struct request *rq, enum status st, struct span body);
/* The answer is the problem (RFC 9457) of status ST, with the faults. */
void respond_problem(struct request *rq, enum status st, const char *detail);

/* The head of the answer, CGI style, in the arena; empty without memory.
 * TOTAL_US is the time so far. */
struct span response_head(struct request *rq, int64_t total_us);

#endif
