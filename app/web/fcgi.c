/*
 * How libfcgi 2.4.2 is used.  A connection that we accepted is put into an
 * initialised FCGX_Request as ipcFd; FCGX_Accept_r() then parses the next
 * request from it instead of accepting one.  listen_sock is -1, so that its
 * own accept, which it tries after an error, fails at once.  FCGX_Finish_r()
 * is never reached with anything to do: FCGX_Free() with close = 0 throws the
 * streams away without writing and leaves the descriptor to us.
 */
#include "web/fcgi.h"

#include <stdlib.h>
#include <stdio.h>

#include <fcgiapp.h>

struct fcgi {
	FCGX_Request request;
	int fd;
};

bool
fcgi_start(void)
{
	return FCGX_Init() == 0;
}

struct fcgi *
fcgi_new(int fd)
{
	struct fcgi *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fd = fd;
	FCGX_InitRequest(&f->request, -1, FCGI_FAIL_ACCEPT_ON_INTR);
	return f;
}

void
fcgi_free(struct fcgi *f)
{
	if (!f)
		return;
	fcgi_done(f);
	free(f);
}

bool
fcgi_accept(struct fcgi *f)
{
	f->request.ipcFd = f->fd;
	f->request.keepConnection = 1;
	if (FCGX_Accept_r(&f->request) == 0)
		return true;
	f->request.ipcFd = -1;
	return false;
}

void
fcgi_params(struct fcgi *f, void (*see)(void *ctx, struct span name, struct span value), void *ctx)
{
	for (char **at = f->request.envp; at && *at; at++) {
		const char *equals = strchr(*at, '=');

		if (equals)
			see(ctx, span_make(*at, (size_t)(equals - *at)), span_of(equals + 1));
	}
}

bool
fcgi_body(struct fcgi *f, char *to, size_t room, size_t *len)
{
	int got = FCGX_GetStr(to, (int)room, f->request.in);

	*len = got > 0 ? (size_t)got : 0;
	return FCGX_GetChar(f->request.in) == EOF && FCGX_GetError(f->request.in) == 0;
}

void
fcgi_done(struct fcgi *f)
{
	FCGX_Free(&f->request, 0);
	f->request.envp = NULL;
	f->request.ipcFd = -1;
}
