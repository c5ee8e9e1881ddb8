/*
 * Who calls, and may he.  A token or a header is believed only as far as nginx
 * set it (FastCGI parameters without HTTP_), and a cookie only together with a
 * proof that one of our own pages sent it.
 */
#include "routes/stage.h"

#include "auth/session.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "sql.h"

/* ---- identify ---- */

static bool
is_operator(struct call *c)
{
	const char *want = c->app->config->operator_token;
	struct span have = c->rq->session_token;

	if (c->route->who != OPERATOR && c->route->who != NETWORK)
		return false;
	return span_is(c->rq->control, "1") ||
	    (want && have.len && hash_secret_equal(have, span_of(want)));
}

static enum step
trust_gateway(struct call *c)
{
	struct request *rq = c->rq;
	struct identity *user = &rq->user;

	user->by_cookie = true;
	if (!text_is_id(rq->auth_user_id))
		return NEXT;
	memcpy(user->id, rq->auth_user_id.at, rq->auth_user_id.len);
	user->role = span_is(rq->auth_user_role, "ADMIN") ? ROLE_ADMIN : ROLE_USER;
	return NEXT;
}

static enum step
take_session(struct call *c, struct entry *e)
{
	struct identity user = { .by_cookie = c->rq->user.by_cookie };

	if (!e->absent && session_parse(entry_body(e), c->rq->wall_ms, &user))
		c->rq->user = user;
	entry_release(e);
	return NEXT;
}

static enum step
ask_for_session(struct call *c, const struct plan *plan, struct span key)
{
	char stored[SESSION_STORED_BYTES];
	enum cache_how how;
	struct span value;
	struct entry *e;
	enum step s;

	if (!session_stored(c->rq->session_token, stored))
		return NEXT;
	value = span_of(stored);
	s = call_ask(c, plan, key, &value, &e, &how);
	if (s == DONE && c->landing.status == NOT_FOUND) {
		c->rq->response = (struct response){ 0 };
		return NEXT;
	}
	return s == NEXT ? take_session(c, e) : s;
}

/* How its token is stored need not be known for a session in memory. */
static enum step
look_up_session(struct call *c)
{
	const struct plan *plan = &c->app->plans->session;
	char name[SESSION_NAME_BYTES];
	struct span value = span_make(name, SESSION_NAME_BYTES - 1);
	struct entry *e = NULL;
	struct span key;

	session_name(c->rq->session_token, name);
	key = key_build(&c->rq->arena, &plan->shape, &value);
	if (!c->landed)
		e = cache_hit(c->app->cache, plan->policy, key, c->now_ms);
	return e ? take_session(c, e) : ask_for_session(c, plan, key);
}

enum step
stage_identify(struct call *c)
{
	struct request *rq = c->rq;

	if (is_operator(c)) {
		rq->user.operator= true;
		return NEXT;
	}
	if (c->app->config->identity == 1)
		return trust_gateway(c);
	rq->user.by_cookie = rq->session_token.len && !span_is(rq->session_source, "bearer");
	if (rq->session_token.len == 0 || c->route->who == ANYONE || c->route->who == NETWORK)
		return NEXT;
	return look_up_session(c);
}

/* ---- admit ---- */

static bool
is_trusted_origin(const struct call *c, struct span origin)
{
	const char *at = c->app->config->trusted_origins;

	while (origin.len && at && *at) {
		size_t len = strcspn(at, " ");

		if (len == origin.len && memcmp(at, origin.at, len) == 0)
			return true;
		at += at[len] ? len + 1 : len;
	}
	return false;
}

/*
 * Browsers say where a request comes from (Fetch Metadata; the Origin header
 * of RFC 6454), and a page cannot change it.  Who says nothing at all is no
 * browser; with a cookie that is not enough, see stage_admit().
 */
bool
call_has_proof(const struct call *c)
{
	const struct request *rq = c->rq;

	if (is_trusted_origin(c, rq->origin))
		return true;
	if (rq->fetch_site.len)
		return span_is(rq->fetch_site, "same-origin");
	if (rq->origin.len)
		return span_equal(rq->origin, rq->self_origin);
	return !rq->user.by_cookie;
}

enum step
stage_admit(struct call *c)
{
	const struct identity *user = &c->rq->user;
	bool unsafe = c->route->at.method != METHOD_GET;

	if (c->route->who == ANYONE)
		return NEXT;
	if (c->route->who == NETWORK)
		return user->operator|| span_is(c->rq->operator_network, "1")
		    ? NEXT
		    : call_fail(c, FORBIDDEN, "This is for the operator's network.");
	if (user->role == ROLE_NONE && !user->operator)
		return call_fail(c, UNAUTHENTICATED, NULL);
	if (c->route->who != SIGNED_IN && user->role != ROLE_ADMIN && !user->operator)
		return call_fail(c, FORBIDDEN, "This is for admins.");
	if (unsafe && user->by_cookie && !user->operator&& !call_has_proof(c))
		return call_fail(c, FORBIDDEN,
		    "A write with a cookie must come from our own pages (Sec-Fetch-Site or Origin).");
	return NEXT;
}
