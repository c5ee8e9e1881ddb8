#include "auth/password.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "base/clock.h"

struct password_gate {
	pthread_mutex_t lock;
	pthread_cond_t turn;
	int free;
	int waiting;
	int parallel;
	int wait_ms;
	/* Of a password that nobody has, to spend the same time on. */
	char decoy[PASSWORD_HASH_BYTES];
};

_Static_assert(PASSWORD_HASH_BYTES >= crypto_pwhash_STRBYTES, "libsodium's hash fits");

static bool
hash(struct span password, char out[PASSWORD_HASH_BYTES])
{
	return crypto_pwhash_str(out, password.at, password.len, crypto_pwhash_OPSLIMIT_INTERACTIVE,
		   crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0;
}

struct password_gate *
password_gate_new(int parallel, int wait_ms)
{
	struct password_gate *g = calloc(1, sizeof(*g));
	char nobody[32];

	if (!g)
		return NULL;
	randombytes_buf(nobody, sizeof(nobody));
	if (!hash(span_make(nobody, sizeof(nobody)), g->decoy)) {
		free(g);
		return NULL;
	}
	g->free = g->parallel = parallel;
	g->wait_ms = wait_ms;
	pthread_mutex_init(&g->lock, NULL);
	clock_cond_init(&g->turn);
	return g;
}

void
password_gate_free(struct password_gate *g)
{
	if (!g)
		return;
	pthread_cond_destroy(&g->turn);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

static bool
enter(struct password_gate *g)
{
	struct timespec until = clock_in_ms(g->wait_ms);
	bool mine;
	int late = 0;

	pthread_mutex_lock(&g->lock);
	if (g->free == 0 && g->waiting >= g->parallel)
		late = ETIMEDOUT;
	g->waiting++;
	while (g->free == 0 && late == 0)
		late = pthread_cond_timedwait(&g->turn, &g->lock, &until);
	g->waiting--;
	mine = g->free > 0;
	if (mine)
		g->free--;
	pthread_mutex_unlock(&g->lock);
	return mine;
}

static void
leave(struct password_gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->free++;
	pthread_cond_signal(&g->turn);
	pthread_mutex_unlock(&g->lock);
}

enum status
password_hash(struct password_gate *g, struct span password, char out[PASSWORD_HASH_BYTES])
{
	bool fine;

	if (!enter(g))
		return BUSY;
	fine = hash(password, out);
	leave(g);
	return fine ? OK : BUSY;
}

enum status
password_verify(struct password_gate *g, struct span stored, struct span password)
{
	char text[PASSWORD_HASH_BYTES] = { 0 };
	bool known = stored.len > 0 && stored.len < sizeof(text);
	bool same;

	if (!enter(g))
		return BUSY;
	if (known)
		memcpy(text, stored.at, stored.len);
	same = crypto_pwhash_str_verify(known ? text : g->decoy, password.at, password.len) == 0;
	leave(g);
	return known && same ? OK : UNAUTHENTICATED;
}
