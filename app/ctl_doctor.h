/*
 * pupitrectl doctor: what its files share.  Every finding goes through these: it
 * is shown at once, or with --json in one object at the end.  FAIL is for what is
 * broken; a format says what was found, or what to do.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include "base/buf.h"
#include "base/config.h"
#include "base/json.h"
#include "ctl.h"

struct doctor {
	const struct ctl_options *options;
	struct buf text; /* of LIST */
	struct json list; /* the findings, for --json */
	int fine;
	int warned;
	int failed;
};

void doctor_good(struct doctor *d, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_warn(struct doctor *d, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_fail(struct doctor *d, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Good, or else broken. */
void doctor_check(struct doctor *d, bool fine, const char *what, const char *advice);

/* ctl_doctor_postgres.c, ctl_doctor_redis.c, ctl_doctor_nginx.c */
void doctor_postgres(struct doctor *d, const struct config *config);
void doctor_redis(struct doctor *d, const struct config *config);
void doctor_nginx(struct doctor *d);

#endif
