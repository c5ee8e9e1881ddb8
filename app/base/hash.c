/*
 * The key of hash_table() is drawn once, by the first who needs it; that once
 * is the only state here.
 */
#include "base/hash.h"

#include <endian.h>
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

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline __attribute__((always_inline)) struct sip
sip_rounds(struct sip v, int count)
{
	for (int i = 0; i < count; i++) {
		v.a += v.b;
		v.c += v.d;
		v.b = rotate(v.b, 13) ^ v.a;
		v.d = rotate(v.d, 16) ^ v.c;
		v.a = rotate(v.a, 32) + v.d;
		v.c += v.b;
		v.d = rotate(v.d, 21) ^ v.a;
		v.b = rotate(v.b, 17) ^ v.c;
		v.c = rotate(v.c, 32);
	}
	return v;
}

static inline __attribute__((always_inline)) struct sip
sip_word(struct sip v, uint64_t word, int rounds)
{
	v.d ^= word;
	v = sip_rounds(v, rounds);
	v.a ^= word;
	return v;
}

static inline uint64_t
word_at(const void *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

/* The bytes after the last whole word, and the length in the highest byte. */
static inline uint64_t
last_word(struct span s)
{
	unsigned left = s.len % 8;
	uint64_t word = (uint64_t)s.len << 56;

	if (left > 0 && s.len > 8)
		return word | word_at(s.at + s.len - 8) >> (64 - 8 * left);
	for (unsigned i = 0; i < left; i++)
		word |= (uint64_t)(unsigned char)s.at[i] << (8 * i);
	return word;
}

/* SipHash-EACH-LAST (Aumasson and Bernstein, 2012); here because libsodium has
 * 2-4 only, and most of a look-up is its hash. */
static inline __attribute__((always_inline)) uint64_t
siphash(struct span s, const unsigned char *key, int each, int last)
{
	uint64_t k0 = word_at(key);
	uint64_t k1 = word_at(key + 8);
	struct sip v = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };

	for (size_t i = 0; i + 8 <= s.len; i += 8)
		v = sip_word(v, word_at(s.at + i), each);
	v = sip_word(v, last_word(s), each);
	v.c ^= 0xff;
	v = sip_rounds(v, last);
	return v.a ^ v.b ^ v.c ^ v.d;
}

uint64_t
hash_table(struct span s)
{
	pthread_once(&table_once, draw_key);
	return siphash(s, table_key, 1, 3);
}

uint64_t
hash_stable(struct span s)
{
	return siphash(s, stable_key, 2, 4);
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
