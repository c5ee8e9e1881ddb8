/*
 * Login and logout.  A token leaves the app once, in the cookie; what is
 * stored is its hash.
 */
#include "routes/handlers.h"

#include <inttypes.h>
#include <stdio.h>

#include "auth/session.h"
#include "base/clock.h"
#include "base/random.h"
#include "sql.h"

#define COOKIE "pupitre.session-token"
/* Browsers take this name only with Secure, Path=/ and no Domain. */
#define COOKIE_HTTPS "__Host-" COOKIE
#define COOKIE_BYTES 256
#define DAY_S 86400

static void
set_cookie(struct call *c, const char *token, int64_t max_age_s)
{
	bool https = span_is(c->rq->https, "on");
	char text[COOKIE_BYTES];
	int n = snprintf(text, sizeof(text),
	    "%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%" PRId64 "%s",
	    https ? COOKIE_HTTPS : COOKIE, token, max_age_s, https ? "; Secure" : "");

	if (n > 0 && n < (int)sizeof(text))
		response_header(c->rq, "Set-Cookie", span_of(text));
}

static enum status
open_session(struct call *c, struct span user_id)
{
	int64_t life_s = c->app->config->session_days * DAY_S;
	char token[SESSION_TOKEN_BYTES];
	char stored[SESSION_STORED_BYTES];
	char id[RANDOM_ID_BYTES];
	char expires[24];
	struct sql_call write;
	enum status st;

	session_new(token);
	random_id(id);
	if (!session_stored(span_of(token), stored))
		return INTERNAL;
	snprintf(expires, sizeof(expires), "%" PRId64, clock_wall_ms() + life_s * 1000);
	write = SQL_CALL(session_create, span_of(id), user_id, span_of(stored), span_of(expires));
	st = call_write(c, NULL, &write);
	if (st == OK || st == CREATED)
		set_cookie(c, token, life_s);
	return st;
}

static enum status
answer_user(struct call *c, struct span user)
{
	struct buf b;
	char *text = NULL;

	buf_init(&b, 16384);
	buf_text(&b, "{\"user\":");
	buf_span_add(&b, user);
	buf_char(&b, '}');
	if (buf_ok(&b))
		text = arena_copy(&c->rq->arena, buf_span(&b));
	if (text)
		respond_json(c->rq, OK, span_make(text, b.len));
	buf_free(&b);
	return text ? OK : BUSY;
}

enum status
auth_login(struct call *c)
{
	struct row row = { 0 };
	struct span none = { "", 0 };
	enum status st;

	if (!call_has_proof(c))
		return FORBIDDEN;
	st = db_read(c->app->db, SQL(credential_find), &c->fields[LOGIN_EMAIL], 1, &row);
	if (st == OK) {
		struct span hash = row.found ? row_get(&row, "hash") : none;

		st = password_verify(
		    c->app->passwords, hash.at ? hash : none, c->fields[LOGIN_PASSWORD]);
	}
	if (st == OK)
		st = open_session(c, row.body);
	if (st == OK || st == CREATED)
		st = answer_user(c, row_get(&row, "user"));
	row_free(&row);
	if (st == UNAUTHENTICATED)
		respond_problem(c->rq, st, "No account has this e-mail address and password.");
	return st;
}

enum status
auth_logout(struct call *c)
{
	char stored[SESSION_STORED_BYTES];
	struct sql_call write;
	enum status st;

	if (!session_stored(c->rq->session_token, stored))
		return UNAUTHENTICATED;
	write = SQL_CALL(session_delete, span_of(stored));
	st = call_write(c, NULL, &write);
	if (st != OK)
		return st;
	set_cookie(c, "", 0);
	respond_json(c->rq, OK, span_of("{\"success\":true}"));
	return OK;
}
