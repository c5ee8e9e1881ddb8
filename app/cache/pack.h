/*
 * A body in the form in which it goes out: compressed once, when it is
 * stored, and only where that pays.  Any thread.
 */
#ifndef CACHE_PACK_H
#define CACHE_PACK_H

#include "base/span.h"

/*
 * The gzip form (RFC 1952) of BODY, malloc'd, the caller's; *len its length.
 * NULL when BODY is under 2 KiB (it travels in two packets, and would in one or
 * two), or the result would not be at least a tenth smaller, or there is no
 * memory: then it goes out as it is.
 */
char *pack_gzip(struct span body, size_t *len);
/* The other way; NULL as well when it is more than MOST bytes, or no gzip. */
char *pack_gunzip(struct span packed, size_t most, size_t *len);

#endif
