/*
 * The gate: the beginning of every request, FastCGI 1.0, sections 3.3 to 5.
 * It looks at the bytes that have come so far and says whether they are one
 * whole, sound responder request; only then are its parameters and its body
 * taken out.  So
 *   - nothing waits for bytes that may never come,
 *   - a body is there to its end and can never be taken for the next request
 *     on the connection,
 *   - management records, which nginx does not send, are not answered.
 * Pure; any thread.
 *
 * libfcgi could do this and did: it reads the socket itself, so the bytes had
 * to be looked at first (MSG_PEEK) and read a second time, and it copies each
 * parameter into memory of its own.  The fuzzer still holds it against this.
 */
#ifndef WEB_GATE_H
#define WEB_GATE_H

#include <stdint.h>

#include "base/span.h"

#define GATE_PARAMS_BYTES 32768
#define GATE_BODY_BYTES 65536
/* Enough for both, and for a body cut into records of a few hundred bytes. */
#define GATE_WIRE_BYTES 131072

enum gate {
	GATE_MORE, /* the beginning of a request: wait */
	GATE_READY, /* one whole request */
	GATE_TOO_LARGE, /* its parameters are whole, its body is over the cap */
	GATE_BROKEN /* nothing that we answer: close */
};

struct gate_request {
	uint16_t id;
	bool keep_connection;
	size_t params_at; /* the first PARAMS record */
	size_t params_bytes;
	size_t body_at; /* the first STDIN record */
	size_t body_bytes; /* as far as seen */
	size_t wire_bytes; /* all of it, framing included, if GATE_READY */
};

/* LEN <= GATE_WIRE_BYTES. */
enum gate gate_look(const unsigned char *at, size_t len, struct gate_request *out);

/*
 * Of what gate_look() called GATE_READY or GATE_TOO_LARGE: copy its parameters
 * to TO, of .params_bytes, and call SEE for each; name and value point into TO.
 * False: they are broken, and some may have been seen.
 */
bool gate_params(const unsigned char *at, const struct gate_request *r, char *to,
    void (*see)(void *ctx, struct span name, struct span value), void *ctx);
/* Of GATE_READY: copy the body to TO, of .body_bytes. */
void gate_body(const unsigned char *at, const struct gate_request *r, char *to);

#endif
