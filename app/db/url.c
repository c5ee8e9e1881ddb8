#include "db/url.h"

#include <stdio.h>

/* https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments */
static const char *const prisma_only[] = {
	"connection_limit",
	"pool_timeout",
	"pgbouncer",
	"socket_timeout",
	"statement_cache_size",
	"max_idle_connection_lifetime",
	"max_connection_lifetime",
	"single_use_connections",
	"sslaccept",
	"sslidentity",
	"schema",
};

static bool
is_prisma_only(struct span name)
{
	for (size_t i = 0; i < sizeof(prisma_only) / sizeof(prisma_only[0]); i++) {
		if (span_is(name, prisma_only[i]))
			return true;
	}
	return false;
}

static bool
copy_schema(struct span value, char *schema, size_t room)
{
	if (value.len == 0 || value.len >= room)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		        c == '_'))
			return false;
	}
	memcpy(schema, value.at, value.len);
	schema[value.len] = '\0';
	return true;
}

static bool
filter_query(const char *query, struct buf *out, char *schema, size_t room)
{
	char between = '?';

	while (*query) {
		size_t len = strcspn(query, "&");
		struct span pair = span_make(query, len);
		const char *equals = memchr(query, '=', len);
		size_t name_len = equals ? (size_t)(equals - query) : len;
		struct span name = span_make(query, name_len);

		if (span_is(name, "schema") && equals &&
		    !copy_schema(span_skip(pair, name_len + 1), schema, room))
			return false;
		if (len && !is_prisma_only(name)) {
			buf_char(out, between);
			buf_span_add(out, pair);
			between = '&';
		}
		query += len;
		query += *query == '&';
	}
	return true;
}

static bool
is_url(const char *url)
{
	return strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0;
}

bool
url_for_libpq(const char *url, struct buf *out, char *schema, size_t room, const char **why)
{
	const char *query = strchr(url, '?');

	*schema = '\0';
	if (!is_url(url)) {
		*why = "it must begin with postgresql:// or hold name=value pairs";
		buf_text(out, url);
		return strchr(url, '=') && !strstr(url, "://") && buf_ok(out);
	}
	*why = "schema= must be letters, digits and '_'";
	buf_add(out, url, query ? (size_t)(query - url) : strlen(url));
	if (query && !filter_query(query + 1, out, schema, room))
		return false;
	*why = "it is too long";
	return buf_ok(out);
}
