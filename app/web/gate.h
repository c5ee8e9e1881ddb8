/*
 * The gate: looks at bytes that are still in the socket (MSG_PEEK) and says
 * whether libfcgi may read them.  It lets through exactly one whole, sound
 * responder request, so that
 *   - no read ever blocks a reactor, however slowly a request arrives,
 *   - a body is always there to its end and can never be taken for the next
 *     request on the connection,
 *   - management records and broken lengths, which libfcgi 2.4.2 handles
 *     badly, never reach it.
 * FastCGI 1.0, sections 3.3 and 5.  Pure; any thread.
 */
#ifndef WEB_GATE_H
#define WEB_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_PARAMS_BYTES 32768
#define GATE_BODY_BYTES 65536
/* Enough for both, and for a body cut into records of a few hundred bytes. */
#define GATE_PEEK_BYTES 131072

enum gate {
	GATE_MORE, /* the beginning of a request: wait */
	GATE_READY, /* one whole request */
	GATE_TOO_LARGE, /* its parameters are whole, its body is over the cap */
	GATE_BROKEN /* nothing that we answer: close */
};

struct gate_request {
	uint16_t id;
	bool keep_connection;
	size_t params_bytes;
	size_t body_bytes; /* as far as seen */
	size_t wire_bytes; /* all of it, framing included, if GATE_READY */
};

enum gate gate_look(const unsigned char *at, size_t len, struct gate_request *out);

#endif
