/*
 * JSON written straight into a buffer, with the commas where they belong.  NAME
 * is the member's; NULL within an array.  What goes wrong is the buffer's to
 * tell (buf_ok).
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

struct json {
	struct buf *to;
	bool more; /* a comma comes before what is next */
};

void json_open(struct json *j, const char *name, char bracket);
void json_close(struct json *j, char bracket);
void json_whole(struct json *j, const char *name, int64_t n);
/* Six digits; what is not finite becomes null. */
void json_real(struct json *j, const char *name, double x);
void json_bool(struct json *j, const char *name, bool is);
void json_text(struct json *j, const char *name, struct span text);
/* TEXT is JSON already; empty: null. */
void json_raw(struct json *j, const char *name, struct span text);

#endif
