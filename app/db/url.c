#include "db/url.h"

#include "base/span.h"

/* Prisma's own, of which libpq knows nothing; "schema" is handled apart. */
static const struct span prisma_only[] = { SPAN("connection_limit"),
	SPAN("max_connection_lifetime"), SPAN("max_idle_connection_lifetime"), SPAN("pgbouncer"),
	SPAN("pool_timeout"), SPAN("single_use_connections"), SPAN("socket_timeout"),
	SPAN("sslaccept"), SPAN("sslidentity"), SPAN("statement_cache_size") };

static bool
is_prisma_only(struct span name)
{
	for (size_t i = 0; i < sizeof(prisma_only) / sizeof(prisma_only[0]); i++) {
		if (span_equal(name, prisma_only[i]))
			return true;
	}
	return false;
}

static bool
is_word(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (c != '_' && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z'))
			return false;
	}
	return s.len > 0;
}

/* Cut S at the first C: what is before it; the rest, without C, stays in S.
 * Without C everything is before it and S is empty. */
static struct span
cut(struct span *s, char c)
{
	const char *at = s->len ? memchr(s->at, c, s->len) : NULL;
	struct span before = span_make(s->at, at ? (size_t)(at - s->at) : s->len);

	*s = span_skip(*s, at ? before.len + 1 : s->len);
	return before;
}

/* Where what is behind "scheme://" begins; 0 if it is no URL. */
static size_t
authority_at(struct span url)
{
	const char *at = strstr(url.at, "://");

	if (!at || memchr(url.at, '=', (size_t)(at - url.at)))
		return 0;
	return (size_t)(at - url.at) + 3;
}

static bool
is_postgres(struct span url)
{
	return span_starts(url, span_of("postgresql://")) ||
	    span_starts(url, span_of("postgres://"));
}

/* Where the query begins ('?' or the end), by libpq's rule: a '?' before the
 * '@' of user and password belongs to the password. */
static size_t
query_at(struct span url)
{
	struct span rest = span_skip(url, authority_at(url));
	struct span path = rest;
	struct span login = cut(&path, '/');
	size_t host = cut(&(struct span){ login.at, login.len }, '@').len;

	if (host < login.len)
		rest = span_skip(rest, host);
	return (size_t)(rest.at - url.at) + cut(&(struct span){ rest.at, rest.len }, '?').len;
}

static bool
take_schema(struct span value, char *schema, size_t room, const char **why)
{
	if (!is_word(value) || value.len >= room) {
		*why = "the parameter schema is not a name of [A-Za-z0-9_]";
		return false;
	}
	memcpy(schema, value.at, value.len);
	schema[value.len] = '\0';
	return true;
}

static bool
copy_query(struct span query, struct buf *out, char *schema, size_t room, const char **why)
{
	char before = '?';

	while (query.len) {
		struct span whole = cut(&query, '&');
		struct span value = whole;
		struct span name = cut(&value, '=');

		if (span_is(name, "schema")) {
			if (!take_schema(value, schema, room, why))
				return false;
		} else if (whole.len && !is_prisma_only(name)) {
			buf_char(out, before);
			buf_span_add(out, whole);
			before = '&';
		}
	}
	return true;
}

bool
url_for_libpq(const char *url, struct buf *out, char *schema, size_t room, const char **why)
{
	struct span whole = span_of(url);
	size_t at;

	*schema = '\0';
	*why = "neither postgresql:// nor key=value";
	if (!authority_at(whole)) {
		if (!memchr(whole.at, '=', whole.len))
			return false;
		buf_span_add(out, whole);
	} else {
		if (!is_postgres(whole))
			return false;
		at = query_at(whole);
		buf_add(out, whole.at, at);
		if (at < whole.len && !copy_query(span_skip(whole, at + 1), out, schema, room, why))
			return false;
	}
	*why = "too long";
	return buf_ok(out);
}
