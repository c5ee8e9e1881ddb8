/*
 * What the stages of a call share; call.c has the list of them.  All of it
 * runs on the reactor of the request and never blocks.
 */
#ifndef ROUTES_STAGE_H
#define ROUTES_STAGE_H

#include "routes/call.h"
#include "routes/question.h"

/* To the next stage; parked, enter this one again; the answer is there. */
enum step { NEXT, WAIT, DONE };

/* Who calls: the operator, a session from the cache, or the gateway's word. */
enum step stage_identify(struct call *c);
/* May this role call this route at all, and is the write ours? */
enum step stage_admit(struct call *c);

/* The answer is the problem of ST.  DONE. */
enum step call_fail(struct call *c, enum status st, const char *detail);

/*
 * Ask for the entry of KEY, which PLAN's statement loads with VALUES.  NEXT:
 * *e is a reference of ours and *how says where from.  WAIT: enter this stage
 * again.
 */
enum step call_ask(struct call *c, const struct plan *plan, struct span key,
    const struct span *values, struct entry **e, enum cache_how *how);

#endif
