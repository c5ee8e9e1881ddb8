#include "web/request.h"

#include <stdio.h>

#include "base/log.h"
#include "base/text.h"

#define PROBLEM_BYTES 16384
#define HEAD_BYTES 8192

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

/* "db;dur=1.234", in milliseconds as Server-Timing wants it. */
static size_t
put_timing(char *to, size_t room, const char *name, int64_t us)
{
	int n = snprintf(
	    to, room, "%s;dur=%lld.%03lld", name, (long long)(us / 1000), (long long)(us % 1000));

	return n > 0 ? (size_t)n : 0;
}

static void
put_timings(struct buf *b, const struct request *rq, int64_t total_us)
{
	char text[128];
	size_t n = put_timing(text, sizeof(text), "Server-Timing: total", total_us);

	if (rq->redis_us)
		n += put_timing(text + n, sizeof(text) - n, ", redis", rq->redis_us);
	if (rq->db_us)
		n += put_timing(text + n, sizeof(text) - n, ", db", rq->db_us);
	buf_add(b, text, n);
	buf_text(b, "\r\n");
}

static void
put_body_headers(struct buf *b, const struct response *rs)
{
	buf_text(b, "Content-Type: ");
	buf_text(b, rs->content_type ? rs->content_type : "application/json");
	buf_text(b, "\r\nContent-Length: ");
	buf_number(b, (int64_t)rs->body.len);
	buf_text(b, rs->gzip ? "\r\nContent-Encoding: gzip\r\n" : "\r\n");
}

struct span
response_head(struct request *rq, int64_t total_us)
{
	struct response *rs = &rq->response;
	struct span head = { "", 0 };
	struct buf b;
	char *text;

	buf_init(&b, HEAD_BYTES);
	buf_text(&b, "Status: ");
	buf_text(&b, reason(status_code(rs->status)));
	buf_text(&b, "\r\nCache-Control: private, no-cache\r\n");
	if (rs->status != NOT_MODIFIED)
		put_body_headers(&b, rs);
	if (rs->etag.len) {
		buf_text(&b, "ETag: ");
		buf_span_add(&b, rs->etag);
		buf_text(&b, "\r\n");
	}
	if (rs->retry_after_s) {
		buf_text(&b, "Retry-After: ");
		buf_number(&b, rs->retry_after_s);
		buf_text(&b, "\r\n");
	}
	if (rs->headers && buf_ok(rs->headers))
		buf_span_add(&b, buf_span(rs->headers));
	put_timings(&b, rq, total_us);
	buf_text(&b, "\r\n");
	text = buf_ok(&b) ? arena_copy(&rq->arena, buf_span(&b)) : NULL;
	if (text)
		head = span_make(text, b.len);
	buf_free(&b);
	return head;
}
