/*
 * The actions of /api/test/cache beside those of the original, and what they
 * share.  Each runs on a worker and answers with the contract's envelope.
 */
#ifndef ROUTES_CONTROL_H
#define ROUTES_CONTROL_H

#include "base/json.h"
#include "routes/call.h"
#include "routes/survey.h"

#define CONTROL_ANSWER_BYTES ((size_t)4 << 20)

/* Parameters of the query, as in the table of routes.c. */
enum {
	CONTROL_ACTION,
	CONTROL_PATTERN,
	CONTROL_LIMIT,
	CONTROL_KEY,
	CONTROL_TAG,
	CONTROL_COURSE,
	CONTROL_DRY_RUN
};

enum status control_overview(struct call *c);
enum status control_keys(struct call *c);
enum status control_get(struct call *c);
enum status control_invalidate(struct call *c);
enum status control_warm(struct call *c);
/* What clear would drop. */
enum status control_clear_preview(struct call *c);

/* Tell every instance, by the outbox, what TAGS (a line each) are to be raised.
 * *id is the transaction that says so; cache_raise_for() is for the caller. */
enum status control_tell(struct call *c, enum cache_cause cause, struct span tags, uint64_t *id);

/* The envelope up to the members of data, and its end; the answer is the
 * request's then. */
void control_begin(struct json *j, const char *action);
enum status control_end(struct call *c, struct json *j);
/* 400 with WHY, a constant. */
enum status control_refuse(struct call *c, const char *why);
/* Is it only asked what it would do? */
bool control_is_dry(const struct call *c);
/* '*' stands for any bytes; everything else for itself. */
bool control_matches(struct span pattern, struct span key);
/* May this caller change anything?  See call_has_proof(). */
bool control_may_act(const struct call *c);

/* Routes by their place in the table; route_count stands for none. */
const char *control_route_name(int route);
const char *control_route_method(int route);
/* Answers with the HTTP code of ST; 0 if an earlier status has the same code, so
 * that nothing is counted twice. */
uint64_t control_answers(const struct app *app, int route, enum status st);

#endif
