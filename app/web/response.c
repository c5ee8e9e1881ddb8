#include "web/request.h"

#include "base/log.h"
#include "base/text.h"

#define PROBLEM_BYTES 16384
#define HEAD_BYTES 8192
/* Of a head, all that is not of a length of its own; half of it is used. */
#define FIXED_BYTES 640

const char *
method_name(enum method m)
{
	static const char *const names[] = {
#define X(name) [METHOD_##name] = #name,
		METHOD_TABLE(X)
#undef X
		    [METHOD_OTHER] = "OTHER",
	};

	return names[m];
}

static const char *
reason(int code)
{
	static const struct {
		int code;
		const char *text;
	} table[] = {
		{ 200, "200 OK" },
		{ 201, "201 Created" },
		{ 304, "304 Not Modified" },
		{ 400, "400 Bad Request" },
		{ 401, "401 Unauthorized" },
		{ 403, "403 Forbidden" },
		{ 404, "404 Not Found" },
		{ 405, "405 Method Not Allowed" },
		{ 409, "409 Conflict" },
		{ 413, "413 Content Too Large" },
		{ 415, "415 Unsupported Media Type" },
		{ 429, "429 Too Many Requests" },
		{ 503, "503 Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].code == code)
			return table[i].text;
	}
	return "500 Internal Server Error";
}

void
request_fault(struct request *rq, const char *field, const char *detail)
{
	struct fault *f = arena_alloc(&rq->arena, sizeof(*f));

	if (!f)
		return;
	f->field = field;
	f->detail = detail;
	f->next = rq->faults;
	rq->faults = f;
}

void
response_header(struct request *rq, const char *name, struct span value)
{
	struct buf *to = rq->response.headers;

	if (text_has_control(value) || text_has_control(span_of(name))) {
		log_event(LOG_ERROR, "bad_header", "header %s has a control byte", name);
		return;
	}
	if (!to) {
		to = arena_alloc(&rq->arena, sizeof(*to));
		if (!to)
			return;
		buf_init(to, HEAD_BYTES);
		rq->response.headers = to;
	}
	buf_text(to, name);
	buf_text(to, ": ");
	buf_span_add(to, value);
	buf_text(to, "\r\n");
}

void
respond_json(struct request *rq, enum status st, struct span body)
{
	rq->response.status = st;
	rq->response.content_type = NULL;
	rq->response.body = body;
}

/* A list that was built newest first, in the order of the input. */
static const struct fault *
oldest_first(const struct fault *newest)
{
	const struct fault *list = NULL;

	while (newest) {
		struct fault *f = (struct fault *)(uintptr_t)newest;

		newest = f->next;
		f->next = list;
		list = f;
	}
	return list;
}

static void
put_faults(struct buf *b, const struct fault *f)
{
	const char *between = ",\"errors\":[";

	for (; f; f = f->next) {
		buf_text(b, between);
		buf_text(b, "{\"field\":");
		buf_json(b, span_of(f->field));
		buf_text(b, ",\"detail\":");
		buf_json(b, span_of(f->detail));
		buf_char(b, '}');
		between = ",";
	}
	buf_char(b, ']');
}

static void
put_problem(struct buf *b, struct request *rq, enum status st, const char *detail)
{
	int code = status_code(st);

	buf_text(b, "{\"type\":\"about:blank\",\"title\":");
	buf_json(b, span_of(strchr(reason(code), ' ') + 1));
	buf_text(b, ",\"status\":");
	buf_number(b, code);
	buf_text(b, ",\"code\":");
	buf_json(b, span_of(status_word(st)));
	buf_text(b, ",\"detail\":");
	buf_json(b, span_of(detail));
	if (rq->request_id.len) {
		buf_text(b, ",\"requestId\":");
		buf_json(b, rq->request_id);
	}
	if (rq->faults) {
		rq->faults = oldest_first(rq->faults);
		put_faults(b, rq->faults);
	}
	buf_char(b, '}');
}

void
respond_problem(struct request *rq, enum status st, const char *detail)
{
	struct buf b;
	char *text;

	buf_init(&b, PROBLEM_BYTES);
	put_problem(&b, rq, st, detail ? detail : status_text(st));
	text = buf_ok(&b) ? arena_copy(&rq->arena, buf_span(&b)) : NULL;
	rq->response.status = st;
	rq->response.content_type = "application/problem+json";
	rq->response.body = text ? span_make(text, b.len) : span_make("{}", 2);
	if (st == BUSY || st == UNAVAILABLE || st == NOT_SHARED || st == TOO_MANY)
		rq->response.retry_after_s = 1;
	buf_free(&b);
}

/* ---- the head ---- */

/* Writes into room that was measured before. */
struct pen {
	char *at;
	char *end;
};

static void
put_span(struct pen *p, struct span s)
{
	if (s.len > (size_t)(p->end - p->at))
		return;
	memcpy(p->at, s.at, s.len);
	p->at += s.len;
}

static inline void
put_text(struct pen *p, const char *text)
{
	put_span(p, span_make(text, strlen(text)));
}

static void
put_number(struct pen *p, int64_t n)
{
	char room[TEXT_DIGITS];

	put_span(p, text_digits(n, room));
}

/* "1.234", milliseconds, as Server-Timing wants them. */
static void
put_ms(struct pen *p, int64_t us)
{
	int64_t rest = us % 1000;
	char text[] = { '.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
		(char)('0' + rest % 10) };

	put_number(p, us / 1000);
	put_span(p, span_make(text, sizeof(text)));
}

static void
put_timings(struct pen *p, const struct request *rq, int64_t total_us)
{
	put_text(p, "Server-Timing: total;dur=");
	put_ms(p, total_us > 0 ? total_us : 0);
	if (rq->redis_us) {
		put_text(p, ", redis;dur=");
		put_ms(p, rq->redis_us);
	}
	if (rq->db_us) {
		put_text(p, ", db;dur=");
		put_ms(p, rq->db_us);
	}
	put_text(p, "\r\n");
}

static void
put_body_headers(struct pen *p, const struct response *rs)
{
	put_text(p, "Content-Type: ");
	put_text(p, rs->content_type ? rs->content_type : "application/json");
	put_text(p, "\r\nContent-Length: ");
	if (rs->body_digits.len)
		put_span(p, rs->body_digits);
	else
		put_number(p, (int64_t)rs->body.len);
	put_text(p, rs->gzip ? "\r\nContent-Encoding: gzip\r\n" : "\r\n");
}

static void
put_cache_status(struct pen *p, const struct response *rs)
{
	put_text(p, "Cache-Status: pupitre; ");
	put_span(p, rs->cache_status);
	put_text(p, "; ttl=");
	put_number(p, rs->ttl_s);
	put_text(p, "\r\n");
}

static void
put_head(struct pen *p, const struct request *rq, int64_t total_us)
{
	const struct response *rs = &rq->response;

	put_text(p, "Status: ");
	put_text(p, reason(status_code(rs->status)));
	put_text(p, "\r\nCache-Control: private, no-cache\r\n");
	if (rs->status != NOT_MODIFIED)
		put_body_headers(p, rs);
	if (rs->etag.len) {
		put_text(p, "ETag: ");
		put_span(p, rs->etag);
		put_text(p, "\r\n");
	}
	if (rs->cache_status.len)
		put_cache_status(p, rs);
	if (rs->status == UNAUTHENTICATED) /* RFC 9110, section 15.5.2 */
		put_text(p, "WWW-Authenticate: Bearer realm=\"pupitre\"\r\n");
	if (rs->retry_after_s) {
		put_text(p, "Retry-After: ");
		put_number(p, rs->retry_after_s);
		put_text(p, "\r\n");
	}
	if (rs->headers && buf_ok(rs->headers))
		put_span(p, buf_span(rs->headers));
	put_timings(p, rq, total_us);
	put_text(p, "\r\n");
}

struct span
response_head(struct request *rq, int64_t total_us)
{
	const struct response *rs = &rq->response;
	size_t room = FIXED_BYTES + rs->etag.len + rs->cache_status.len +
	    (rs->headers ? rs->headers->len : 0);
	char *text = arena_alloc(&rq->arena, room);
	struct pen p = { text, text + room };

	if (!text)
		return span_make("", 0);
	put_head(&p, rq, total_us);
	return span_make(text, (size_t)(p.at - text));
}
