#include "web/gate.h"

#define HEADER_BYTES 8
#define VERSION 1
#define BEGIN_REQUEST 1
#define PARAMS 4
#define STDIN 5
#define ROLE_RESPONDER 1
#define FLAG_KEEP 1

struct record {
	int type;
	uint16_t id;
	size_t content; /* length */
	size_t total; /* header, content and padding */
	const unsigned char *at;
};

static struct record
record_at(const unsigned char *at)
{
	struct record r = {
		.type = at[1],
		.id = (uint16_t)(at[2] << 8 | at[3]),
		.content = (size_t)(at[4] << 8 | at[5]),
		.at = at + HEADER_BYTES,
	};

	r.total = HEADER_BYTES + r.content + at[6];
	return r;
}

static enum gate
read_record(const unsigned char *at, size_t len, struct record *r)
{
	if (len && at[0] != VERSION)
		return GATE_BROKEN;
	if (len < HEADER_BYTES)
		return GATE_MORE;
	*r = record_at(at);
	return len < r->total ? GATE_MORE : GATE_READY;
}

static bool
is_begin(const struct record *r)
{
	return r->type == BEGIN_REQUEST && r->id != 0 && r->content == 8 && r->at[0] == 0 &&
	    r->at[1] == ROLE_RESPONDER;
}

/* One more record of STREAM, which the last one, without content, ends. */
static enum gate
take_record(struct gate_request *out, int *stream, const struct record *r)
{
	if (r->type != *stream || r->id != out->id)
		return GATE_BROKEN;
	if (*stream == PARAMS) {
		out->params_bytes += r->content;
		if (out->params_bytes > GATE_PARAMS_BYTES)
			return GATE_BROKEN;
	} else {
		out->body_bytes += r->content;
		if (out->body_bytes > GATE_BODY_BYTES)
			return GATE_TOO_LARGE;
	}
	if (r->content == 0)
		*stream = *stream == PARAMS ? STDIN : 0;
	return GATE_READY;
}

/* There will be no room for what is still to come. */
static enum gate
too_long(int stream)
{
	return stream == STDIN ? GATE_TOO_LARGE : GATE_BROKEN;
}

enum gate
gate_look(const unsigned char *at, size_t len, struct gate_request *out)
{
	struct record r;
	enum gate g;
	int stream = PARAMS;
	size_t done;

	memset(out, 0, sizeof(*out));
	g = read_record(at, len, &r);
	if (g != GATE_READY)
		return g;
	if (!is_begin(&r))
		return GATE_BROKEN;
	out->id = r.id;
	out->keep_connection = (r.at[2] & FLAG_KEEP) != 0;
	out->params_at = r.total;
	for (done = r.total; stream; done += r.total) {
		g = read_record(at + done, len - done, &r);
		if (g == GATE_READY)
			g = take_record(out, &stream, &r);
		else if (g == GATE_MORE && len >= GATE_WIRE_BYTES)
			g = too_long(stream);
		if (g != GATE_READY)
			return g;
		if (stream == STDIN && !out->body_at)
			out->body_at = done + r.total;
	}
	out->wire_bytes = done;
	return GATE_READY;
}

/* The contents of a stream's records, one behind the other. */
static void
gather(const unsigned char *at, char *to, size_t bytes)
{
	while (bytes) {
		struct record r = record_at(at);

		memcpy(to, r.at, r.content);
		to += r.content;
		bytes -= r.content;
		at += r.total;
	}
}

/* A length of section 3.4: one byte, or four with the first bit set. */
static bool
read_length(struct span *rest, size_t *length)
{
	const unsigned char *at = (const unsigned char *)rest->at;

	if (rest->len == 0)
		return false;
	if (at[0] < 0x80) {
		*length = at[0];
		*rest = span_skip(*rest, 1);
		return true;
	}
	if (rest->len < 4)
		return false;
	*length = (size_t)(at[0] & 0x7f) << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	*rest = span_skip(*rest, 4);
	return true;
}

bool
gate_params(const unsigned char *at, const struct gate_request *r, char *to,
    void (*see)(void *ctx, struct span name, struct span value), void *ctx)
{
	struct span rest = span_make(to, r->params_bytes);
	bool has_nul;

	gather(at + r->params_at, to, r->params_bytes);
	has_nul = memchr(to, 0, r->params_bytes) != NULL;
	while (rest.len) {
		size_t name;
		size_t value;

		if (!read_length(&rest, &name) || !read_length(&rest, &value))
			return false;
		if (name == 0 || name > rest.len || value > rest.len - name)
			return false;
		/* Who goes on with a value as a C string must not see less of it.
		 * (A NUL may also be the length of an empty value.) */
		if (has_nul && memchr(rest.at, 0, name + value))
			return false;
		see(ctx, span_make(rest.at, name), span_make(rest.at + name, value));
		rest = span_skip(rest, name + value);
	}
	return true;
}

void
gate_body(const unsigned char *at, const struct gate_request *r, char *to)
{
	gather(at + r->body_at, to, r->body_bytes);
}
