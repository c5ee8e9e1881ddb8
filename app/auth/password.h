/*
 * Passwords: argon2id by libsodium (RFC 9106), its "interactive" cost: 64 MiB
 * and two passes.  A gate bounds how many are hashed at once, so that a flood
 * of logins takes neither the memory nor the workers.
 */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "base/span.h"
#include "base/status.h"

#define PASSWORD_HASH_BYTES 128
#define PASSWORD_MIN_BYTES 8
#define PASSWORD_MAX_BYTES 256

struct password_gate;

/* PARALLEL at once; who comes then waits up to WAIT_MS, but at most as many
 * as run.  NULL without memory. */
struct password_gate *password_gate_new(int parallel, int wait_ms);
void password_gate_free(struct password_gate *g);

/* BUSY when there is no turn or no memory.  Blocks: workers only. */
enum status password_hash(
    struct password_gate *g, struct span password, char out[PASSWORD_HASH_BYTES]) MUST_CHECK;
/*
 * OK, UNAUTHENTICATED or BUSY.  HASH.len == 0 (nobody of that name, or no
 * password) takes as long as a wrong password and is UNAUTHENTICATED.
 */
enum status password_verify(
    struct password_gate *g, struct span hash, struct span password) MUST_CHECK;

#endif
