#include "base/random.h"

#include <sodium.h>

bool
random_start(void)
{
	return sodium_init() >= 0;
}

void
random_bytes(void *out, size_t len)
{
	randombytes_buf(out, len);
}

uint32_t
random_below(uint32_t limit)
{
	return randombytes_uniform(limit);
}

void
random_id(char out[RANDOM_ID_BYTES])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

	out[0] = 'c';
	for (int i = 1; i < RANDOM_ID_BYTES - 1; i++)
		out[i] = digits[randombytes_uniform(36)];
	out[RANDOM_ID_BYTES - 1] = '\0';
}

void
random_hex(char *out, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	unsigned char *bytes = (unsigned char *)out + len;

	/* In the second half, from where each is spread over what has been read:
	 * one call, because each is a call of the system. */
	randombytes_buf(bytes, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = bytes[i];

		out[2 * i] = digits[byte >> 4];
		out[2 * i + 1] = digits[byte & 15];
	}
	out[2 * len] = '\0';
}
