#include "text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SUM_DIGITS 16

/* FNV-1a, and a last mix so that a lost tail shows in every digit. */
static uint64_t
sum_of(struct span s)
{
	uint64_t h = 0xcbf29ce484222325U;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.at[i]) * 0x100000001b3U;
	return h ^ (h >> 29) ^ ((uint64_t)s.len << 40);
}

size_t
text_write(char out[TEXT_BYTES], uint64_t version, const char *owner, const char *key, size_t pad)
{
	int n = snprintf(out, TEXT_BYTES,
	    "v=%llu owner=%s key=%s pad=", (unsigned long long)version, owner, key);
	size_t len = (size_t)n;
	char mark = (char)('a' + version % 26);

	assert(n > 0 && len + pad + sizeof(" sum=") + SUM_DIGITS < TEXT_BYTES);
	memset(out + len, mark, pad);
	len += pad;
	n = snprintf(out + len, TEXT_BYTES - len, " sum=%016llx",
	    (unsigned long long)sum_of(span_make(out, len)));
	return len + (size_t)n;
}

/* What stands between LABEL and the next space. */
static bool
field(struct span *rest, const char *label, struct span *out)
{
	struct span want = span_of(label);
	const char *end;

	if (!span_starts(*rest, want))
		return false;
	*rest = span_skip(*rest, want.len);
	end = memchr(rest->at, ' ', rest->len);
	*out = span_make(rest->at, end ? (size_t)(end - rest->at) : rest->len);
	*rest = span_skip(*rest, out->len + (end ? 1 : 0));
	return true;
}

bool
text_read(struct span s, struct text *out)
{
	struct span rest = s;
	struct span version, pad, sum;
	char digits[SUM_DIGITS + 1];

	if (!field(&rest, "v=", &version) || !field(&rest, "owner=", &out->owner) ||
	    !field(&rest, "key=", &out->key) || !field(&rest, "pad=", &pad))
		return false;
	if (!field(&rest, "sum=", &sum) || sum.len != SUM_DIGITS || rest.len || !version.len)
		return false;
	out->version = strtoull(version.at, NULL, 10);
	snprintf(digits, sizeof(digits), "%016llx",
	    (unsigned long long)sum_of(span_make(s.at, s.len - SUM_DIGITS - strlen(" sum="))));
	return memcmp(digits, sum.at, SUM_DIGITS) == 0;
}
