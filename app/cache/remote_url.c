#include "cache/remote_url.h"

#include "base/buf.h"
#include "base/text.h"
#include "cache/remote.h"

#define UPSTASH_URL_BYTES 4096
#define DATABASE_MAX 1000000

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * A piece of an address without its percent-encoding (RFC 3986 section 2.1)
 * into TO.  Not text_unescape(): here '+' is itself.
 */
static bool
copy_piece(struct span piece, char *to, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < piece.len; i++) {
		char c = piece.at[i];

		if (c == '%') {
			int high = i + 2 < piece.len ? hex_value(piece.at[i + 1]) : -1;
			int low = i + 2 < piece.len ? hex_value(piece.at[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || n + 1 >= room)
			return false;
		to[n++] = c;
	}
	to[n] = '\0';
	return true;
}

/* "user:password", ":password", or a bare password. */
static bool
parse_login(struct span login, struct remote_url *u)
{
	const char *colon = memchr(login.at, ':', login.len);
	size_t user_len = colon ? (size_t)(colon - login.at) : 0;

	if (colon && !copy_piece(span_make(login.at, user_len), u->user, sizeof(u->user)))
		return false;
	return copy_piece(
	    colon ? span_skip(login, user_len + 1) : login, u->password, sizeof(u->password));
}

/* What stands behind the host: nothing, or ':' and a number. */
static bool
parse_port(struct span rest, struct remote_url *u)
{
	struct span port = SPAN("6379");
	int64_t n;

	if (rest.len) {
		if (rest.at[0] != ':')
			return false;
		port = span_skip(rest, 1);
	}
	return text_number(port, &n) && n >= 1 && n <= 65535 &&
	    copy_piece(port, u->port, sizeof(u->port));
}

static bool
parse_host(struct span host, struct remote_url *u)
{
	const char *end;
	size_t len;

	if (host.len && host.at[0] == '[') { /* [::1]:6379 */
		end = memchr(host.at, ']', host.len);
		if (!end)
			return false;
		len = (size_t)(end - host.at);
		return len > 1 &&
		    copy_piece(span_make(host.at + 1, len - 1), u->host, sizeof(u->host)) &&
		    parse_port(span_skip(host, len + 1), u);
	}
	end = memchr(host.at, ':', host.len);
	len = end ? (size_t)(end - host.at) : host.len;
	return len && copy_piece(span_make(host.at, len), u->host, sizeof(u->host)) &&
	    parse_port(span_skip(host, len), u);
}

static bool
parse_database(struct span text, struct remote_url *u)
{
	int64_t n = 0;

	if (text.len && (!text_number(text, &n) || n > DATABASE_MAX))
		return false;
	u->database = (int)n;
	return true;
}

static bool
parse_unix(struct span rest, struct remote_url *u)
{
	const char *query = memchr(rest.at, '?', rest.len);
	struct span path = rest;
	struct span database = { "", 0 };

	if (query) {
		path.len = (size_t)(query - rest.at);
		database = span_skip(rest, path.len + 1);
		if (!span_starts(database, span_of("db=")))
			return false;
		database = span_skip(database, 3);
	}
	return path.len > 1 && path.at[0] == '/' && copy_piece(path, u->path, sizeof(u->path)) &&
	    parse_database(database, u);
}

static bool
parse_tcp(struct span rest, struct remote_url *u)
{
	const char *slash;
	const char *at = memrchr(rest.at, '@', rest.len);
	struct span database = { "", 0 };

	if (at) {
		size_t len = (size_t)(at - rest.at);

		if (!parse_login(span_make(rest.at, len), u))
			return false;
		rest = span_skip(rest, len + 1);
	}
	slash = memchr(rest.at, '/', rest.len);
	if (slash) {
		database = span_skip(rest, (size_t)(slash - rest.at) + 1);
		rest.len = (size_t)(slash - rest.at);
	}
	return parse_host(rest, u) && parse_database(database, u);
}

bool
remote_url_parse(const char *text, struct remote_url *out, const char **why)
{
	struct span s = span_of(text);

	memset(out, 0, sizeof(*out));
	*why = "the address must be redis://HOST, rediss://HOST or unix:///PATH";
	if (span_starts(s, span_of("unix://")))
		return parse_unix(span_skip(s, 7), out);
	out->tls = span_starts(s, span_of("rediss://"));
	if (!out->tls && !span_starts(s, span_of("redis://")))
		return false;
	return parse_tcp(span_skip(s, out->tls ? 9 : 8), out);
}

/* Upstash's Redis port is not that of its REST address, but the default one;
 * the REST token is the password of its user "default". */
char *
remote_url_of_upstash(const char *rest_url, const char *token)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char scheme[] = "https://";
	const char *host;
	size_t host_len;
	struct buf url;

	if (!rest_url || !token || strncmp(rest_url, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	host = rest_url + sizeof(scheme) - 1;
	host_len = strcspn(host, "/?#");
	if (host_len == 0 || strcspn(host, ":@") < host_len ||
	    host[host_len + strspn(host + host_len, "/")])
		return NULL;
	buf_init(&url, UPSTASH_URL_BYTES);
	buf_text(&url, "rediss://default:");
	for (; *token; token++) {
		unsigned char c = (unsigned char)*token;

		if (text_is_id(span_make(token, 1)))
			buf_char(&url, *token);
		else
			buf_printf(&url, "%%%c%c", hex[c >> 4], hex[c & 15]);
	}
	buf_char(&url, '@');
	buf_add(&url, host, host_len);
	buf_text(&url, ":6379");
	return buf_take(&url);
}
