/*
 * The handlers named in routes.c, and the places of their fields.  Each runs
 * on a worker, may block up to the deadlines of what it calls, fills the
 * response when it returns OK or CREATED, and otherwise returns the status
 * that the server makes into a problem.
 */
#ifndef ROUTES_HANDLERS_H
#define ROUTES_HANDLERS_H

#include "routes/call.h"

enum { COURSE_NAME, COURSE_IMAGE, COURSE_PRESENTATION, COURSE_STATE };
enum { LESSON_NAME, LESSON_CONTENT, LESSON_STATE, LESSON_RANK };
enum { LOGIN_EMAIL, LOGIN_PASSWORD };

/* courses.c */
enum status course_create(struct call *c);
enum status course_update(struct call *c);
enum status course_delete(struct call *c);

/* lessons.c */
enum status lesson_create(struct call *c);
enum status lesson_update(struct call *c);
enum status lesson_delete(struct call *c);
enum status progress_put(struct call *c);

/* enrolment.c */
enum status enrolment_put(struct call *c);
enum status enrolment_delete(struct call *c);

/* session.c */
enum status auth_login(struct call *c);
enum status auth_logout(struct call *c);

/* test_cache.c */
enum status test_cache(struct call *c);

/* openapi.c; on the reactor */
enum status openapi(struct call *c);
/* Once, before the first request: compressing it would hold a reactor up. */
void openapi_prepare(void);

/* metrics.c */
enum status metrics(struct call *c);

/* health.c; the first on the reactor */
enum status health_alive(struct call *c);
enum status health_ready(struct call *c);

#endif
