#include "web/router.h"

/* The length of the segment that S begins with. */
static size_t
segment(const char *s, size_t len)
{
	const char *slash = memchr(s, '/', len);

	return slash ? (size_t)(slash - s) : len;
}

static bool
is_odd(struct span s)
{
	return s.len == 0 || span_is(s, ".") || span_is(s, "..");
}

/* Side by side, from one '/' to the next. */
static bool
matches(const char *pattern, struct span path, struct match *m)
{
	m->id_count = 0;
	while (*pattern) {
		if (path.len == 0)
			return false;
		if (*pattern == ':') {
			struct span id = span_make(path.at, segment(path.at, path.len));

			if (is_odd(id))
				return false;
			m->ids[m->id_count++] = id;
			path = span_skip(path, id.len);
			pattern += strcspn(pattern, "/");
		} else if (*pattern == *path.at) {
			path = span_skip(path, 1);
			pattern++;
		} else {
			return false;
		}
	}
	return path.len == 0;
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

		if (!matches(p->path, path, &m))
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
