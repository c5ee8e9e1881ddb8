#include "auth/session.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"

#define OURS "pup_"
#define HASHED "pupitre$"
#define TOKEN_RANDOM_BYTES 32

static bool
begins(struct span s, const char *with)
{
	return span_starts(s, span_of(with));
}

void
session_new(char token[SESSION_TOKEN_BYTES])
{
	memcpy(token, OURS, sizeof(OURS));
	random_hex(token + sizeof(OURS) - 1, TOKEN_RANDOM_BYTES);
}

static bool
is_token(struct span token)
{
	if (token.len == 0 || token.len >= SESSION_STORED_BYTES)
		return false;
	for (size_t i = 0; i < token.len; i++) {
		if (token.at[i] <= ' ' || token.at[i] > '~')
			return false;
	}
	return !begins(token, HASHED);
}

bool
session_stored(struct span token, char stored[SESSION_STORED_BYTES])
{
	char hash[HASH_SECRET_BYTES];

	if (!is_token(token))
		return false;
	if (!begins(token, OURS)) {
		memcpy(stored, token.at, token.len);
		stored[token.len] = '\0';
		return true;
	}
	hash_secret("pupitre stored session", token, hash);
	snprintf(stored, SESSION_STORED_BYTES, HASHED "%s", hash);
	return true;
}

/* Names that this thread has found out of late: most tokens come again. */
#define KNOWN 256
#define KNOWN_TOKEN_BYTES 96

struct known {
	uint64_t hash;
	size_t len; /* 0: none */
	char token[KNOWN_TOKEN_BYTES];
	char name[SESSION_NAME_BYTES];
};

/* Nobody learns from its time where tokens differ: they are compared only if a
 * hash is equal whose key nobody knows. */
static bool
is_known(const struct known *k, uint64_t hash, struct span token)
{
	return k->hash == hash && span_equal(span_make(k->token, k->len), token);
}

void
session_name(struct span token, char name[SESSION_NAME_BYTES])
{
	static _Thread_local struct known all[KNOWN];
	uint64_t hash = hash_table(token);
	struct known *k = &all[hash % KNOWN];

	if (token.len > KNOWN_TOKEN_BYTES) {
		hash_name("pupitre session", token, name);
		return;
	}
	if (!is_known(k, hash, token)) {
		hash_name("pupitre session", token, k->name);
		memcpy(k->token, token.at, token.len);
		k->hash = hash;
		k->len = token.len;
	}
	memcpy(name, k->name, SESSION_NAME_BYTES);
}

static struct span
until_tab(struct span *rest)
{
	const char *tab = memchr(rest->at, '\t', rest->len);
	size_t len = tab ? (size_t)(tab - rest->at) : rest->len;
	struct span piece = span_make(rest->at, len);

	*rest = span_skip(*rest, tab ? len + 1 : len);
	return piece;
}

bool
session_parse(struct span body, int64_t now_ms, struct identity *out)
{
	struct span id = until_tab(&body);
	struct span role = until_tab(&body);
	int64_t expires_ms;

	if (id.len == 0 || id.len >= sizeof(out->id) || !text_number(body, &expires_ms))
		return false;
	if (expires_ms <= now_ms)
		return false;
	if (span_is(role, "ADMIN"))
		out->role = ROLE_ADMIN;
	else if (span_is(role, "USER"))
		out->role = ROLE_USER;
	else
		return false;
	memcpy(out->id, id.at, id.len);
	out->id[id.len] = '\0';
	return true;
}
