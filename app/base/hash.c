/*
 * The key of hash_table() is drawn once, by the first who needs it; that once
 * is the only state here.
 */
#include "base/hash.h"

#include <pthread.h>
#include <sodium.h>

static unsigned char table_key[crypto_shorthash_KEYBYTES];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* Never to be changed: what it gives is stored in Redis. */
static const unsigned char stable_key[crypto_shorthash_KEYBYTES] = "pupitre, stable";

static void
draw_key(void)
{
	crypto_shorthash_keygen(table_key);
}

static uint64_t
siphash(struct span s, const unsigned char *key)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t n;

	crypto_shorthash(out, (const unsigned char *)s.at, s.len, key);
	memcpy(&n, out, sizeof(n));
	return n;
}

uint64_t
hash_table(struct span s)
{
	pthread_once(&table_once, draw_key);
	return siphash(s, table_key);
}

uint64_t
hash_stable(struct span s)
{
	return siphash(s, stable_key);
}

static void
put_hex(char *to, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		to[2 * i] = digits[bytes[i] >> 4];
		to[2 * i + 1] = digits[bytes[i] & 15];
	}
	to[2 * len] = '\0';
}

void
hash_hex(struct span s, char out[HASH_HEX_BYTES])
{
	unsigned char bytes[crypto_shorthash_siphashx24_BYTES];

	crypto_shorthash_siphashx24(bytes, (const unsigned char *)s.at, s.len, stable_key);
	put_hex(out, bytes, sizeof(bytes));
}

void
hash_secret(const char *purpose, struct span secret, char out[HASH_SECRET_BYTES])
{
	unsigned char bytes[crypto_generichash_BYTES];

	crypto_generichash(bytes, sizeof(bytes), (const unsigned char *)secret.at, secret.len,
	    (const unsigned char *)purpose, strlen(purpose));
	put_hex(out, bytes, sizeof(bytes));
}

void
hash_name(const char *purpose, struct span secret, char out[HASH_HEX_BYTES])
{
	unsigned char personal[crypto_generichash_blake2b_PERSONALBYTES] = { 0 };
	unsigned char bytes[(HASH_HEX_BYTES - 1) / 2];

	memcpy(personal, purpose, strnlen(purpose, sizeof(personal)));
	crypto_generichash_blake2b_salt_personal(bytes, sizeof(bytes),
	    (const unsigned char *)secret.at, secret.len, NULL, 0, NULL, personal);
	put_hex(out, bytes, sizeof(bytes));
}

bool
hash_secret_equal(struct span a, struct span b)
{
	return a.len == b.len && sodium_memcmp(a.at, b.at, a.len) == 0;
}
