/*
 * The text that carries a version, in a course's presentation or a lesson's
 * content:
 *
 *   v=17 owner=a2 key=c5 pad=xxxxxxxxxxx sum=0123456789abcdef
 *
 * The sum is over everything before " sum=", so a text that is torn, or mixed
 * of two, is found out.  Nothing in it needs an escape in JSON.  Pure.
 */
#ifndef CONSISTENCY_TEXT_H
#define CONSISTENCY_TEXT_H

#include <stdint.h>

#include "base/span.h"

#define TEXT_BYTES 2048

struct text {
	uint64_t version;
	struct span owner;
	struct span key;
};

/* Its length; PAD bytes of filler, which must leave room in OUT. */
size_t text_write(
    char out[TEXT_BYTES], uint64_t version, const char *owner, const char *key, size_t pad);
/* False: not whole. */
bool text_read(struct span s, struct text *out);

#endif
