#include "cache/key.h"

#include "base/text.h"

/* What is escaped. */
static const bool odd[256] = {
	[0 ... ' '] = true,
	['%'] = true,
	['*'] = true,
	[':'] = true,
	['?'] = true,
	['['] = true,
	['\\'] = true,
	[']'] = true,
	[0x7f] = true,
};

static size_t
escape(char *to, struct span value)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (!odd[c]) {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '%';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	return n;
}

void
key_shape_make(struct key_shape *shape, const char *prefix, const char *const *names)
{
	memset(shape, 0, sizeof(*shape));
	shape->prefix = span_of(prefix);
	shape->fixed_bytes = shape->prefix.len;
	for (size_t i = 0; i < KEY_MAX_PARTS && names[i]; i++) {
		size_t j = shape->count++;

		for (; j > 0 && strcmp(shape->parts[j - 1].name.at, names[i]) > 0; j--)
			shape->parts[j] = shape->parts[j - 1];
		shape->parts[j].name = span_of(names[i]);
		shape->parts[j].value = i;
		shape->fixed_bytes += shape->parts[j].name.len + 2;
	}
}

static size_t
put(char *to, struct span s)
{
	memcpy(to, s.at, s.len);
	return s.len;
}

struct span
key_build(struct arena *arena, const struct key_shape *shape, const struct span *values)
{
	size_t worst = shape->fixed_bytes;
	size_t n;
	char *at;

	for (size_t i = 0; i < shape->count; i++)
		worst += 3 * values[i].len;
	at = worst <= 4 * KEY_MAX_BYTES ? arena_alloc(arena, worst) : NULL;
	if (!at)
		return span_make("", 0);
	n = put(at, shape->prefix);
	for (size_t i = 0; i < shape->count; i++) {
		at[n++] = ':';
		n += put(at + n, shape->parts[i].name);
		at[n++] = ':';
		n += escape(at + n, values[shape->parts[i].value]);
	}
	return n <= KEY_MAX_BYTES ? span_make(at, n) : span_make("", 0);
}

/* Is KEY's beginning S, and then a ':' or its end?  Taken off if so. */
static bool
take(struct span *key, struct span s)
{
	if (key->len < s.len || memcmp(key->at, s.at, s.len) != 0)
		return false;
	if (key->len > s.len && key->at[s.len] != ':')
		return false;
	*key = span_skip(*key, key->len > s.len ? s.len + 1 : s.len);
	return true;
}

static bool
take_value(struct arena *arena, struct span *key, struct span *value)
{
	const char *end = memchr(key->at, ':', key->len);
	struct span raw = span_make(key->at, end ? (size_t)(end - key->at) : key->len);
	char *text = arena_alloc(arena, raw.len + 1);

	if (!text || !text_unescape(raw, text, &value->len))
		return false;
	value->at = text;
	*key = span_skip(*key, end ? raw.len + 1 : raw.len);
	return true;
}

bool
key_parse(struct arena *arena, const struct key_shape *shape, struct span key, struct span *values)
{
	if (!take(&key, shape->prefix))
		return false;
	for (size_t i = 0; i < shape->count; i++) {
		if (!take(&key, shape->parts[i].name) ||
		    !take_value(arena, &key, &values[shape->parts[i].value]))
			return false;
	}
	return key.len == 0;
}
