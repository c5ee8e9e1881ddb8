#include "db/array.h"

#include <stdint.h>
#include <stdlib.h>

/* Of the array: dimensions, "has NULLs", type; of each dimension: size, base. */
#define HEAD_WORDS 3
#define DIMENSION_WORDS 2
#define WORD_BYTES 4

static bool
take_word(struct span *s, uint32_t *out)
{
	const unsigned char *p = (const unsigned char *)s->at;

	if (s->len < WORD_BYTES)
		return false;
	*out = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*s = span_skip(*s, WORD_BYTES);
	return true;
}

/* *count is bounded by the bytes that are there: each element has a length. */
static bool
take_head(struct span *s, uint32_t *count)
{
	uint32_t head[HEAD_WORDS + DIMENSION_WORDS];
	size_t words = HEAD_WORDS;

	for (size_t i = 0; i < words; i++) {
		if (!take_word(s, &head[i]))
			return false;
		if (i == 0 && head[0] > 1)
			return false;
		if (i == 0 && head[0] == 1)
			words += DIMENSION_WORDS;
	}
	*count = head[0] ? head[HEAD_WORDS] : 0;
	return *count <= s->len / WORD_BYTES;
}

/* The length of a NULL is -1, which is beyond any bound here. */
static bool
take_element(struct span *s, struct span *out)
{
	uint32_t len;

	if (!take_word(s, &len) || len > s->len)
		return false;
	*out = span_make(s->at, len);
	*s = span_skip(*s, len);
	return true;
}

bool
array_parse(struct span raw, struct span **out, size_t *count)
{
	uint32_t n;
	uint32_t i = 0;

	*out = NULL;
	*count = 0;
	if (!take_head(&raw, &n))
		return false;
	if (n > 0 && !(*out = calloc(n, sizeof(**out))))
		return false;
	while (i < n && take_element(&raw, &(*out)[i]))
		i++;
	if (i < n || raw.len > 0) {
		free(*out);
		*out = NULL;
		return false;
	}
	*count = n;
	return true;
}
