#include "cache/pack.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define WORTH_BYTES 2048
#define LEVEL 6
/* 15 bits of window, and 16 for the gzip wrapper (zlib's manual). */
#define GZIP_WINDOW (15 + 16)
#define MEMORY_LEVEL 8

static bool
deflate_all(z_stream *z, struct span body, char *to, size_t room)
{
	z->next_in = (Bytef *)(uintptr_t)body.at;
	z->avail_in = (uInt)body.len;
	z->next_out = (Bytef *)to;
	z->avail_out = (uInt)room;
	return deflate(z, Z_FINISH) == Z_STREAM_END;
}

char *
pack_gzip(struct span body, size_t *len)
{
	size_t room = body.len - body.len / 10;
	z_stream z = { 0 };
	bool smaller;
	char *to;

	if (body.len < WORTH_BYTES || body.len > UINT32_MAX / 2)
		return NULL;
	to = malloc(room);
	if (!to ||
	    deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
		Z_OK) {
		free(to);
		return NULL;
	}
	smaller = deflate_all(&z, body, to, room);
	*len = z.total_out;
	deflateEnd(&z);
	if (smaller)
		return to;
	free(to);
	return NULL;
}

char *
pack_gunzip(struct span packed, size_t most, size_t *len)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)packed.len };
	char *to = malloc(most);
	bool whole;

	if (!to || inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
		free(to);
		return NULL;
	}
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)most;
	whole = inflate(&z, Z_FINISH) == Z_STREAM_END;
	*len = z.total_out;
	inflateEnd(&z);
	if (whole)
		return to;
	free(to);
	return NULL;
}
