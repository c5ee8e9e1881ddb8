/*
 * The way of hostile bytes: the gate, and what it lets through, libfcgi, as the
 * server uses them.  Built by `make fuzz` with clang's libFuzzer; bytes that
 * the gate lets through must be read to their end without blocking, and the
 * parameters must be whole.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "web/fcgi.h"
#include "web/gate.h"

static void
see(void *ctx, struct span name, struct span value)
{
	size_t *bytes = ctx;

	*bytes += name.len + value.len;
}

static void
read_through(const uint8_t *data, const struct gate_request *seen)
{
	static char body[GATE_BODY_BYTES + 1];
	struct fcgi *f;
	size_t bytes = 0;
	size_t len = 0;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	if (write(pair[0], data, seen->wire_bytes) != (ssize_t)seen->wire_bytes)
		abort();
	f = fcgi_new(pair[1]);
	if (!f || !fcgi_accept(f))
		abort();
	fcgi_params(f, see, &bytes);
	if (bytes > seen->params_bytes + 64)
		abort();
	if (!fcgi_body(f, body, sizeof(body), &len) || len != seen->body_bytes)
		abort();
	/* Nothing is left for a next request to begin with. */
	if (recv(pair[1], body, 1, MSG_DONTWAIT) >= 0)
		abort();
	fcgi_free(f);
	close(pair[0]);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool started;
	struct gate_request seen;

	if (!started)
		started = fcgi_start();
	if (gate_look(data, len, &seen) == GATE_READY && seen.wire_bytes < 60000)
		read_through(data, &seen);
	return 0;
}
