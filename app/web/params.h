/*
 * Typed query parameters.  A table says what a route takes; whatever else the
 * query holds is ignored, and what is wrong is a fault that names the
 * parameter.  The values come out normalised, so that one question has one
 * key.  One thread a request.
 */
#ifndef WEB_PARAMS_H
#define WEB_PARAMS_H

#include "web/request.h"

enum param_type {
	PARAM_INT, /* canonical decimal within min and max; fallback if absent */
	PARAM_TEXT, /* UTF-8 without control characters, trimmed, at most max code points */
	PARAM_WORD /* as PARAM_TEXT; for the handler to judge */
};

struct param {
	const char *name; /* NULL ends the table */
	enum param_type type;
	int64_t fallback;
	int64_t min;
	int64_t max;
};

#define PARAMS_MAX 8

/*
 * Read the parameters of TABLE from rq->query; VALUES[i] belongs to TABLE[i]
 * and lives in the arena.  False: rq->faults says what is wrong.
 */
bool params_read(struct request *rq, const struct param *table, struct span values[PARAMS_MAX]);

#endif
