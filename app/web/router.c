#include "web/router.h"

static struct span
next_segment(struct span *rest)
{
	const char *slash = memchr(rest->at, '/', rest->len);
	size_t len = slash ? (size_t)(slash - rest->at) : rest->len;
	struct span segment = span_make(rest->at, len);

	*rest = span_skip(*rest, slash ? len + 1 : len);
	return segment;
}

static bool
is_odd(struct span segment)
{
	return segment.len == 0 || span_is(segment, ".") || span_is(segment, "..");
}

/* Both begin behind their first '/'. */
static bool
matches(struct span pattern, struct span path, struct match *m)
{
	m->id_count = 0;
	for (;;) {
		bool last = !memchr(path.at, '/', path.len);
		bool pattern_last = !memchr(pattern.at, '/', pattern.len);
		struct span want = next_segment(&pattern);
		struct span have = next_segment(&path);

		if (last != pattern_last || is_odd(have))
			return false;
		if (want.at[0] == ':')
			m->ids[m->id_count++] = have;
		else if (!span_equal(want, have))
			return false;
		if (last)
			return true;
	}
}

struct match
router_find(const struct pattern *const *patterns, int count, enum method method, struct span path)
{
	struct match found = { .index = -1 };
	struct match m = { .index = -1 };
	unsigned allowed = 0;

	if (path.len < 2 || path.at[0] != '/')
		return found;
	for (int i = 0; i < count; i++) {
		const struct pattern *p = patterns[i];

		if (!matches(span_skip(span_of(p->path), 1), span_skip(path, 1), &m))
			continue;
		allowed |= 1u << p->method;
		if (p->method != method)
			continue;
		found = m;
		found.index = i;
		break;
	}
	found.allowed = allowed;
	return found;
}

void
router_allow(unsigned allowed, struct buf *out)
{
	const char *between = "";

	for (int i = 0; i < METHOD_OTHER; i++) {
		if (!(allowed & 1u << i))
			continue;
		buf_text(out, between);
		buf_text(out, method_name((enum method)i));
		if (i == METHOD_GET)
			buf_text(out, ", HEAD");
		between = ", ";
	}
}
