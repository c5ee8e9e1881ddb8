/*
 * json-c 0.16 parses, in strict mode and with its UTF-8 check.  What it lets
 * pass is found by a walk over the text that it accepted: keys cut at U+0000,
 * later keys that replace earlier ones, bare control characters in strings.
 */
#include "web/fields.h"

#include <inttypes.h>
#include <stdio.h>

#include <json-c/json.h>

#include "base/text.h"

#define DEPTH 4
#define DETAIL_BYTES 128
#define NAME_BYTES 64
#define UNKNOWN_SAID 20

static enum status
bad(struct request *rq, const char *field, const char *detail)
{
	request_fault(rq, field, detail);
	return BAD_REQUEST;
}

static const char *
say(struct request *rq, const char *format, int64_t min, int64_t max)
{
	char *text = arena_alloc(&rq->arena, DETAIL_BYTES);

	if (!text)
		return "is not valid";
	snprintf(text, DETAIL_BYTES, format, min, max);
	return text;
}

static bool
is_json_type(struct span type)
{
	static const char want[] = "application/json";
	size_t len = sizeof(want) - 1;

	return type.len >= len && strncasecmp(type.at, want, len) == 0 &&
	    (type.len == len || type.at[len] == ';' || type.at[len] == ' ');
}

/* ---- the walk over accepted text ---- */

struct walk {
	int depth;
	int keys; /* strings followed by ':' at depth 1 */
	bool nul;
	bool control;
};

/* AT is behind the opening quote; returns behind the closing one. */
static const char *
walk_string(struct walk *w, const char *at, const char *end)
{
	for (; at < end && *at != '"'; at++) {
		if ((unsigned char)*at < ' ')
			w->control = true;
		if (*at != '\\')
			continue;
		if (end - at >= 6 && memcmp(at + 1, "u0000", 5) == 0)
			w->nul = true;
		at++;
	}
	return at < end ? at + 1 : end;
}

static const char *
skip_blank(const char *at, const char *end)
{
	while (at < end && strchr(" \t\r\n", *at))
		at++;
	return at;
}

static struct walk
walk_text(struct span text)
{
	const char *end = text.at + text.len;
	struct walk w = { 0 };

	for (const char *at = text.at; at < end;) {
		char c = *at++;

		if (c == '{' || c == '[')
			w.depth++;
		else if (c == '}' || c == ']')
			w.depth--;
		if (c != '"')
			continue;
		at = skip_blank(walk_string(&w, at, end), end);
		if (w.depth == 1 && at < end && *at == ':')
			w.keys++;
	}
	return w;
}

/* ---- one value by its type ---- */

static enum status
take(struct request *rq, const struct field *f, struct span text, struct span *value)
{
	char *copy = arena_copy(&rq->arena, text);

	if (!copy)
		return bad(rq, f->name, "is too long");
	*value = span_make(copy, text.len);
	return OK;
}

static enum status
read_chars(struct request *rq, const struct field *f, struct span text, struct span *value)
{
	struct span counted = f->type == FIELD_NAME ? text_trim(text) : text;
	size_t length = text_length(counted);

	if (length < (size_t)f->min || text_length(text) > (size_t)f->max)
		return bad(rq, f->name,
		    say(rq, "must have %" PRId64 " to %" PRId64 " characters", f->min, f->max));
	if (f->type == FIELD_NAME && text_has_control(text))
		return bad(rq, f->name, "must have no control characters");
	return take(rq, f, text, value);
}

static bool
is_url_char(unsigned char c)
{
	return c > ' ' && c != 0x7f && !strchr("\"<>\\^`{|}", c);
}

static bool
is_http_url(struct span s)
{
	size_t scheme = strncasecmp(s.at, "https://", 8) == 0 ? 8 : 7;

	if (s.len <= scheme || (scheme == 7 && strncasecmp(s.at, "http://", 7) != 0))
		return false;
	if (strchr("/?#:@.", s.at[scheme]))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_url_char((unsigned char)s.at[i]))
			return false;
	}
	return true;
}

static bool
is_choice(const char *choices, struct span word)
{
	const char *at = choices;

	while (word.len && at) {
		size_t len = strcspn(at, " ");

		if (len == word.len && memcmp(at, word.at, len) == 0)
			return true;
		at = at[len] ? at + len + 1 : NULL;
	}
	return false;
}

static enum status
read_word(struct request *rq, const struct field *f, struct span text, struct span *value)
{
	char *detail;

	if (is_choice(f->choices, text))
		return take(rq, f, text, value);
	detail = arena_alloc(&rq->arena, DETAIL_BYTES);
	if (detail)
		snprintf(detail, DETAIL_BYTES, "must be one of: %s", f->choices);
	return bad(rq, f->name, detail ? detail : "is not valid");
}

static enum status
read_rank(struct request *rq, const struct field *f, struct span text, struct span *value)
{
	char digits[24];
	int64_t n;

	if (!text_number(text, &n) || n < f->min || n > f->max)
		return bad(rq, f->name,
		    say(rq, "must be a whole number from %" PRId64 " to %" PRId64, f->min, f->max));
	snprintf(digits, sizeof(digits), "%" PRId64, n);
	return take(rq, f, span_of(digits), value);
}

static enum status
read_url(struct request *rq, const struct field *f, struct span text, struct span *value)
{
	if (text_length(text) > (size_t)f->max)
		return bad(rq, f->name,
		    say(rq, "must have %" PRId64 " to %" PRId64 " characters", f->min, f->max));
	if (!is_http_url(text))
		return bad(rq, f->name, "must be an http or https URL");
	return take(rq, f, text, value);
}

static enum status
read_secret(struct request *rq, const struct field *f, struct span text, struct span *value)
{
	if (text.len < (size_t)f->min || text.len > (size_t)f->max)
		return bad(rq, f->name,
		    say(rq, "must have %" PRId64 " to %" PRId64 " bytes", f->min, f->max));
	return take(rq, f, text, value);
}

static enum status
read_value(struct request *rq, const struct field *f, struct json_object *json, struct span *value)
{
	struct span text;

	if (f->type == FIELD_RANK && json_object_is_type(json, json_type_int)) {
		text = span_of(json_object_to_json_string(json));
		return read_rank(rq, f, text, value);
	}
	if (!json_object_is_type(json, json_type_string))
		return bad(rq, f->name, "must be text");
	text = span_make(json_object_get_string(json), (size_t)json_object_get_string_len(json));
	switch (f->type) {
	case FIELD_NAME:
	case FIELD_TEXT:
		return read_chars(rq, f, text, value);
	case FIELD_URL:
		return read_url(rq, f, text, value);
	case FIELD_WORD:
		return read_word(rq, f, text, value);
	case FIELD_RANK:
		return read_rank(rq, f, text, value);
	case FIELD_SECRET:
		return read_secret(rq, f, text, value);
	}
	return INTERNAL;
}

/* ---- the whole body ---- */

/* Names as the client wrote them; enough of them to see what is wrong. */
static const char *
short_name(struct request *rq, const char *key)
{
	char *copy = arena_copy(&rq->arena, span_make(key, strnlen(key, NAME_BYTES)));

	return copy ? copy : "body";
}

static enum status
check_unknown(struct request *rq, const struct field *table, struct json_object *json)
{
	int unknown = 0;

	json_object_object_foreach(json, key, value)
	{
		const struct field *f = table;

		(void)value;
		while (f->name && strcmp(f->name, key) != 0)
			f++;
		if (!f->name && unknown++ < UNKNOWN_SAID)
			bad(rq, short_name(rq, key), "is not a field of this request");
	}
	return unknown ? BAD_REQUEST : OK;
}

static enum status
read_fields(struct request *rq, const struct field *table, struct json_object *json,
    struct span values[FIELDS_MAX])
{
	enum status st = check_unknown(rq, table, json);
	int present = 0;

	for (int i = 0; table[i].name; i++) {
		struct json_object *one;

		if (!json_object_object_get_ex(json, table[i].name, &one)) {
			if (table[i].required)
				st = bad(rq, table[i].name, "is missing");
			continue;
		}
		present++;
		if (read_value(rq, &table[i], one, &values[i]) != OK)
			st = BAD_REQUEST;
	}
	if (st == OK && present == 0)
		return bad(rq, "body", "has no field to change");
	return st;
}

static enum status
check_object(struct request *rq, struct json_object *json)
{
	struct walk w;

	if (!json_object_is_type(json, json_type_object))
		return bad(rq, "body", "must be a JSON object");
	w = walk_text(rq->body);
	if (w.nul)
		return bad(rq, "body", "must not hold U+0000");
	if (w.control)
		return bad(rq, "body", "has a bare control character in a text");
	if (w.keys != json_object_object_length(json))
		return bad(rq, "body", "has a field twice");
	return OK;
}

static struct json_object *
parse(struct span text)
{
	struct json_tokener *t = json_tokener_new_ex(DEPTH);
	struct json_object *json = NULL;

	if (!t)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(t, text.at, (int)text.len);
	if (json_tokener_get_error(t) != json_tokener_success ||
	    json_tokener_get_parse_end(t) != text.len) {
		json_object_put(json);
		json = NULL;
	}
	json_tokener_free(t);
	return json;
}

enum status
fields_read(struct request *rq, const struct field *table, struct span values[FIELDS_MAX])
{
	struct json_object *json;
	enum status st;

	if (rq->body_too_large)
		return TOO_LARGE;
	if (!is_json_type(rq->content_type))
		return BAD_MEDIA;
	if (memchr(rq->body.at, 0, rq->body.len))
		return bad(rq, "body", "is not valid JSON");
	json = parse(text_trim(rq->body));
	if (!json)
		return bad(rq, "body", "is not valid JSON");
	st = check_object(rq, json);
	if (st == OK)
		st = read_fields(rq, table, json, values);
	json_object_put(json);
	return st;
}
