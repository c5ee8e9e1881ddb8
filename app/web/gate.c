#include "web/gate.h"

#include <string.h>

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

/* Where the name-value pairs of PARAMS stand (section 3.4); they may be cut
 * anywhere by record boundaries. */
struct pairs {
	unsigned char lengths[8];
	size_t have;
	size_t left; /* bytes of the current name and value still to come */
};

static enum gate
read_record(const unsigned char *at, size_t len, struct record *r)
{
	if (len < HEADER_BYTES)
		return len && at[0] != VERSION ? GATE_BROKEN : GATE_MORE;
	if (at[0] != VERSION)
		return GATE_BROKEN;
	r->type = at[1];
	r->id = (uint16_t)(at[2] << 8 | at[3]);
	r->content = (size_t)(at[4] << 8 | at[5]);
	r->total = HEADER_BYTES + r->content + at[6];
	r->at = at + HEADER_BYTES;
	return len < r->total ? GATE_MORE : GATE_READY;
}

static size_t
one_length(const unsigned char *at, size_t have, size_t *used)
{
	*used = 0;
	if (have == 0)
		return 0;
	if (at[0] < 0x80) {
		*used = 1;
		return at[0];
	}
	if (have < 4)
		return 0;
	*used = 4;
	return (size_t)(at[0] & 0x7f) << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

/* Both lengths of a pair are there: go on to its bytes. */
static bool
pair_begins(struct pairs *p)
{
	size_t name_used;
	size_t value_used;
	size_t name = one_length(p->lengths, p->have, &name_used);
	size_t value = one_length(p->lengths + name_used, p->have - name_used, &value_used);

	if (!name_used || !value_used)
		return true;
	if (name == 0 || name > GATE_PARAMS_BYTES || value > GATE_PARAMS_BYTES)
		return false;
	p->left = name + value;
	p->have = 0;
	return true;
}

static bool
walk_pairs(struct pairs *p, const unsigned char *at, size_t len)
{
	/* Names and values go into C strings: a NUL would cut them short. */
	while (len) {
		if (p->left) {
			size_t n = p->left < len ? p->left : len;

			if (memchr(at, 0, n))
				return false;
			p->left -= n;
			at += n;
			len -= n;
			continue;
		}
		p->lengths[p->have++] = *at++;
		len--;
		if (!pair_begins(p))
			return false;
	}
	return true;
}

/* libfcgi forgets the padding of a record that ends a stream, or that begins
 * the request, and takes it for the next header. */
static bool
has_no_padding(const struct record *r)
{
	return r->total == HEADER_BYTES + r->content;
}

static bool
is_begin(const struct record *r)
{
	return r->type == BEGIN_REQUEST && r->id != 0 && r->content == 8 && has_no_padding(r) &&
	    r->at[0] == 0 && r->at[1] == ROLE_RESPONDER;
}

static bool
params_end_well(const struct pairs *p)
{
	return p->left == 0 && p->have == 0;
}

struct look {
	struct gate_request *out;
	struct pairs pairs;
	int stream; /* PARAMS, then STDIN, then 0: all there */
};

static enum gate
take_record(struct look *l, const struct record *r)
{
	if (r->type != l->stream || r->id != l->out->id)
		return GATE_BROKEN;
	if (l->stream == PARAMS) {
		l->out->params_bytes += r->content;
		if (l->out->params_bytes > GATE_PARAMS_BYTES ||
		    !walk_pairs(&l->pairs, r->at, r->content))
			return GATE_BROKEN;
		if (r->content == 0 && !params_end_well(&l->pairs))
			return GATE_BROKEN;
	} else {
		l->out->body_bytes += r->content;
		if (l->out->body_bytes > GATE_BODY_BYTES)
			return GATE_TOO_LARGE;
	}
	if (r->content)
		return GATE_READY;
	if (!has_no_padding(r))
		return GATE_BROKEN;
	l->stream = l->stream == PARAMS ? STDIN : 0;
	return GATE_READY;
}

enum gate
gate_look(const unsigned char *at, size_t len, struct gate_request *out)
{
	struct look l = { .out = out, .stream = PARAMS };
	struct record r;
	enum gate g;
	size_t done;

	memset(out, 0, sizeof(*out));
	g = read_record(at, len, &r);
	if (g != GATE_READY)
		return g;
	if (!is_begin(&r))
		return GATE_BROKEN;
	out->id = r.id;
	out->keep_connection = (r.at[2] & FLAG_KEEP) != 0;
	for (done = r.total; l.stream; done += r.total) {
		g = read_record(at + done, len - done, &r);
		if (g == GATE_READY)
			g = take_record(&l, &r);
		else if (g == GATE_MORE && l.stream == STDIN && len >= GATE_PEEK_BYTES)
			return GATE_TOO_LARGE;
		if (g != GATE_READY)
			return g;
	}
	out->wire_bytes = done;
	return GATE_READY;
}
