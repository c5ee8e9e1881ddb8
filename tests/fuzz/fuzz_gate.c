/*
 * Hostile bytes against the gate.  What it lets through is read a second time
 * by libfcgi, which must find the same parameters, in the same order, and the
 * same body.  Built by `make fuzz` with clang's libFuzzer.
 */
#include <fcgiapp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "web/gate.h"

#define BEGIN_REQUEST 1

/* Pairs that libfcgi has and that the gate saw, side by side. */
struct both {
	char **at;
};

/* Two of one name: libfcgi gives both, as the gate does. */
static void
compare(void *ctx, struct span name, struct span value)
{
	struct both *b = ctx;
	const char *theirs = *b->at++;

	if (!theirs || strlen(theirs) != name.len + 1 + value.len ||
	    memcmp(theirs, name.at, name.len) != 0 || theirs[name.len] != '=' ||
	    memcmp(theirs + name.len + 1, value.at, value.len) != 0)
		abort();
}

static void
ignore(void *ctx, struct span name, struct span value)
{
	(void)ctx;
	(void)name;
	(void)value;
}

/* libfcgi 2.4.2 forgets the padding of a record that begins the request or ends
 * a stream, and takes it for the next header. */
static bool
has_padding_at_an_end(const unsigned char *at, size_t len)
{
	for (size_t done = 0; done < len;) {
		const unsigned char *r = at + done;
		size_t content = (size_t)(r[4] << 8 | r[5]);

		if (r[6] && (content == 0 || r[1] == BEGIN_REQUEST))
			return true;
		done += 8 + content + r[6];
	}
	return false;
}

static void
read_by_both(const unsigned char *data, const struct gate_request *seen, char *params)
{
	static char ours[GATE_BODY_BYTES + 1];
	static char theirs[GATE_BODY_BYTES + 1];
	FCGX_Request request;
	struct both b;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		abort();
	if (write(pair[0], data, seen->wire_bytes) != (ssize_t)seen->wire_bytes)
		abort();
	FCGX_InitRequest(&request, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	request.ipcFd = pair[1];
	request.keepConnection = 1;
	if (FCGX_Accept_r(&request) != 0)
		abort();
	/* The first is its own: FCGI_ROLE=RESPONDER. */
	b.at = request.envp + 1;
	if (!gate_params(data, seen, params, compare, &b) || *b.at)
		abort();
	gate_body(data, seen, ours);
	if (FCGX_GetStr(theirs, sizeof(theirs), request.in) != (int)seen->body_bytes ||
	    memcmp(ours, theirs, seen->body_bytes) != 0)
		abort();
	FCGX_Free(&request, 0);
	close(pair[0]);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool started;
	struct gate_request seen;
	char *params;
	enum gate g;

	if (!started)
		started = FCGX_Init() == 0;
	g = gate_look(data, len, &seen);
	if (g != GATE_READY && g != GATE_TOO_LARGE)
		return 0;
	/* Of their own size, so that a byte too far is noticed. */
	params = malloc(seen.params_bytes ? seen.params_bytes : 1);
	if (gate_params(data, &seen, params, ignore, NULL) && g == GATE_READY &&
	    seen.wire_bytes < 60000 && !has_padding_at_an_end(data, seen.wire_bytes))
		read_by_both(data, &seen, params);
	free(params);
	return 0;
}
