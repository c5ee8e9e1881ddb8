/*
 * /api/openapi.json: the description of the whole API, from routes/openapi.json.
 * Compressed once; on the reactor.
 */
#include "routes/handlers.h"

#include <stdio.h>

#include "base/hash.h"
#include "cache/pack.h"

__asm__(".section .rodata\n"
	"openapi_begin:\n"
	".incbin \"routes/openapi.json\"\n"
	"openapi_end:\n"
	".byte 0\n"
	".previous\n");

extern const char openapi_begin[] __asm__("openapi_begin");
extern const char openapi_end[] __asm__("openapi_end");

#define ETAG_BYTES 64

static struct span body;
static bool gzip;
static char etag[ETAG_BYTES];

void
openapi_prepare(void)
{
	char digest[HASH_HEX_BYTES];
	size_t len = 0;
	char *packed;

	body = span_make(openapi_begin, (size_t)(openapi_end - openapi_begin));
	hash_hex(body, digest);
	snprintf(etag, sizeof(etag), "W/\"%s\"", digest);
	packed = pack_gzip(body, &len); /* for the life of the process */
	if (packed)
		body = span_make(packed, len);
	gzip = packed != NULL;
}

enum status
openapi(struct call *c)
{
	struct response *rs = &c->rq->response;

	rs->status = call_has_same(c->rq->if_none_match, span_of(etag)) ? NOT_MODIFIED : OK;
	rs->body = body;
	rs->gzip = gzip;
	rs->etag = span_of(etag);
	return rs->status;
}
