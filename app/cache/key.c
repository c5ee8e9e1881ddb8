#include "cache/key.h"

#include <assert.h>

static bool
is_plain(unsigned char c)
{
	return c > ' ' && c != 0x7f && !strchr("%:*?[]\\", c);
}

static size_t
escape(char *to, struct span value)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (is_plain(c)) {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '%';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	return n;
}

static void
sort_by_name(const struct key_part **order, const struct key_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t j = i;

		for (; j > 0 && strcmp(order[j - 1]->name, parts[i].name) > 0; j--)
			order[j] = order[j - 1];
		order[j] = &parts[i];
	}
}

static size_t
put(char *to, const char *text)
{
	size_t len = strlen(text);

	memcpy(to, text, len);
	return len;
}

struct span
key_build(struct arena *arena, const char *prefix, const struct key_part *parts, size_t count)
{
	const struct key_part *order[KEY_MAX_PARTS];
	size_t worst = strlen(prefix);
	size_t n;
	char *at;

	assert(count <= KEY_MAX_PARTS);
	for (size_t i = 0; i < count; i++)
		worst += strlen(parts[i].name) + 2 + 3 * parts[i].value.len;
	at = worst <= 4 * KEY_MAX_BYTES ? arena_alloc(arena, worst) : NULL;
	if (!at)
		return span_make("", 0);
	sort_by_name(order, parts, count);
	n = put(at, prefix);
	for (size_t i = 0; i < count; i++) {
		at[n++] = ':';
		n += put(at + n, order[i]->name);
		at[n++] = ':';
		n += escape(at + n, order[i]->value);
	}
	return n <= KEY_MAX_BYTES ? span_make(at, n) : span_make("", 0);
}
