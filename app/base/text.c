#include "base/text.h"

static bool
continues(struct span s, size_t count)
{
	if (s.len <= count)
		return false;
	for (size_t i = 1; i <= count; i++) {
		if (((unsigned char)s.at[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

size_t
text_sequence(struct span s)
{
	unsigned char c = s.len ? (unsigned char)s.at[0] : 0xff;
	unsigned char d = s.len > 1 ? (unsigned char)s.at[1] : 0;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return continues(s, 1) ? 2 : 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
	    (c == 0xf4 && d > 0x8f))
		return 0;
	if (c >= 0xe0 && c <= 0xef)
		return continues(s, 2) ? 3 : 0;
	if (c >= 0xf0 && c <= 0xf4)
		return continues(s, 3) ? 4 : 0;
	return 0;
}

bool
text_is_utf8(struct span s)
{
	for (size_t at = 0; at < s.len;) {
		size_t len = text_sequence(span_skip(s, at));

		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

size_t
text_length(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.at[i] & 0xc0) != 0x80;
	return n;
}

bool
text_has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c < ' ' || c == 0x7f)
			return true;
		/* U+0080 to U+009F are C2 80 to C2 9F. */
		if (c == 0xc2 && i + 1 < s.len && (unsigned char)s.at[i + 1] < 0xa0)
			return true;
	}
	return false;
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span
text_trim(struct span s)
{
	while (s.len && is_blank(s.at[0]))
		s = span_skip(s, 1);
	while (s.len && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
text_unescape(struct span in, char *out, size_t *out_len)
{
	size_t n = 0;

	*out_len = 0;
	for (size_t i = 0; i < in.len; i++) {
		int high;
		int low;

		if (in.at[i] != '%') {
			out[n++] = in.at[i] == '+' ? ' ' : in.at[i];
			continue;
		}
		if (in.len - i < 3)
			return false;
		high = hex_digit(in.at[i + 1]);
		low = hex_digit(in.at[i + 2]);
		if (high < 0 || low < 0 || high + low == 0)
			return false;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	*out_len = n;
	return true;
}

bool
text_number(struct span s, int64_t *out)
{
	int64_t n = 0;

	if (s.len == 0 || s.len > 18)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		n = n * 10 + (s.at[i] - '0');
	}
	*out = n;
	return true;
}

bool
text_is_id(struct span s)
{
	if (s.len == 0 || s.len > 64)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-_.~", c)))
			return false;
	}
	return true;
}

struct span
text_digits(int64_t n, char room[TEXT_DIGITS])
{
	uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
	size_t at = TEXT_DIGITS;

	for (; left >= 10; left /= 10)
		room[--at] = (char)('0' + left % 10);
	room[--at] = (char)('0' + left);
	if (n < 0)
		room[--at] = '-';
	return span_make(room + at, TEXT_DIGITS - at);
}
