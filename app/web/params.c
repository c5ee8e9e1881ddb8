#include "web/params.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

#define DETAIL_BYTES 96

static struct span
cut(struct span *rest, char at)
{
	const char *end = memchr(rest->at, at, rest->len);
	size_t len = end ? (size_t)(end - rest->at) : rest->len;
	struct span piece = span_make(rest->at, len);

	*rest = span_skip(*rest, end ? len + 1 : len);
	return piece;
}

/* How often NAME stands in the query, and its first value. */
static int
find(struct span query, const char *name, struct span *value)
{
	int times = 0;

	while (query.len) {
		struct span pair = cut(&query, '&');
		struct span this = cut(&pair, '=');

		if (!span_is(this, name))
			continue;
		if (times++ == 0)
			*value = pair;
	}
	return times;
}

static bool
fault(struct request *rq, const struct param *p, const char *detail)
{
	request_fault(rq, p->name, detail);
	return false;
}

static bool
out_of_bounds(struct request *rq, const struct param *p)
{
	char *text = arena_alloc(&rq->arena, DETAIL_BYTES);

	if (!text)
		return fault(rq, p, "is not valid");
	snprintf(text, DETAIL_BYTES, "must be a whole number from %" PRId64 " to %" PRId64, p->min,
	    p->max);
	return fault(rq, p, text);
}

/* Numbers have one form, so that one question has one key. */
static bool
set_number(struct request *rq, int64_t n, struct span *value)
{
	static const char one_digit[] = "0123456789";
	char text[TEXT_DIGITS];
	struct span digits;
	char *copy;

	if (n >= 0 && n <= 9) {
		*value = span_make(one_digit + n, 1);
		return true;
	}
	digits = text_digits(n, text);
	copy = arena_copy(&rq->arena, digits);
	if (!copy)
		return false;
	*value = span_make(copy, digits.len);
	return true;
}

static bool
read_number(struct request *rq, const struct param *p, struct span raw, struct span *value)
{
	int64_t n;

	if (!text_number(raw, &n) || n < p->min || n > p->max)
		return out_of_bounds(rq, p);
	return set_number(rq, n, value);
}

static bool
read_text(struct request *rq, const struct param *p, struct span raw, struct span *value)
{
	char *text = arena_alloc(&rq->arena, raw.len + 1);
	char *detail;

	if (!text || !text_unescape(raw, text, &value->len))
		return fault(rq, p, "is not percent-encoded text");
	*value = text_trim(span_make(text, value->len));
	if (!text_is_utf8(*value) || text_has_control(*value))
		return fault(rq, p, "must be UTF-8 without control characters");
	if (text_length(*value) <= (size_t)p->max)
		return true;
	detail = arena_alloc(&rq->arena, DETAIL_BYTES);
	if (detail)
		snprintf(detail, DETAIL_BYTES, "must have at most %" PRId64 " characters", p->max);
	return fault(rq, p, detail ? detail : "is too long");
}

static bool
read_one(struct request *rq, const struct param *p, struct span *value)
{
	struct span raw = { "", 0 };
	int times = find(rq->query, p->name, &raw);

	if (times > 1)
		return fault(rq, p, "is given more than once");
	if (p->type != PARAM_INT)
		return read_text(rq, p, raw, value);
	if (times == 0)
		return set_number(rq, p->fallback, value);
	return read_number(rq, p, raw, value);
}

bool
params_read(struct request *rq, const struct param *table, struct span values[PARAMS_MAX])
{
	bool fine = true;

	for (int i = 0; table && table[i].name; i++)
		fine = read_one(rq, &table[i], &values[i]) && fine;
	return fine;
}
