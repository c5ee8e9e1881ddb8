/*
 * Session tokens.  Rows that Auth.js made hold the token as it is; rows that
 * we make hold "pupitre$" and a hash of it.  A token of ours begins with
 * "pup_" and is looked for by its hash alone; any other is looked for as it
 * is, unless it has the form of a stored hash, so that who has read the table
 * cannot use our rows.  Pure, but for session_new(); any thread.
 */
#ifndef AUTH_SESSION_H
#define AUTH_SESSION_H

#include "web/request.h"

#define SESSION_TOKEN_BYTES 70 /* of ours, with its NUL */
#define SESSION_STORED_BYTES 520 /* of any, with its NUL */

/* A new token of ours. */
void session_new(char token[SESSION_TOKEN_BYTES]);
/* What stands in sessions.session_token for TOKEN.  False: no session can
 * have that token (too long, odd bytes, or the form of a stored hash). */
bool session_stored(struct span token, char stored[SESSION_STORED_BYTES]);
/* The name under which a looked-up session is cached: a hash that is not the
 * stored one. */
#define SESSION_NAME_BYTES 33
void session_name(struct span token, char name[SESSION_NAME_BYTES]);
/*
 * Read what sql/queries/session_find.sql gives ("id TAB role TAB expires in
 * ms").  False if it is not of that form or over by NOW_MS (wall time).
 */
bool session_parse(struct span body, int64_t now_ms, struct identity *out);

#endif
