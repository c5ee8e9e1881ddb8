/*
 * All that can be read, and which keys the answer must show.
 */
#ifndef CONSISTENCY_QUESTIONS_H
#define CONSISTENCY_QUESTIONS_H

#include "plan.h"

#define ROUTE_TABLE(X) \
	X(ADMIN_COURSE, "admin_course") \
	X(USER_COURSE, "user_course") \
	X(ADMIN_LESSON, "admin_lesson") \
	X(USER_LESSON, "user_lesson") \
	X(ADMIN_LESSONS, "admin_lessons") \
	X(ADMIN_COURSES, "admin_courses") \
	X(USER_COURSES, "user_courses") \
	X(PUBLIC_LESSONS, "public_lessons") \
	X(MADE, "made")

enum route {
#define X(name, word) ROUTE_##name,
	ROUTE_TABLE(X)
#undef X
	    ROUTES
};

extern const char *const route_words[ROUTES];

#define PATH_BYTES 160

struct question {
	enum route route;
	int number;
	char path[PATH_BYTES];
	const char *token; /* NULL: any learner's */
	int *keys; /* exactly these are shown, each once */
	int key_count;
};

enum { ALONE_ADMIN, ALONE_USER, LIST_OFTEN, LIST_SELDOM, QUESTIONS_OF_A_KEY };

struct questions {
	struct question *all;
	int count;
	/* For each key. */
	const struct question *(*of)[QUESTIONS_OF_A_KEY];
	const struct question *made; /* NULL: nobody makes lessons */
};

void questions_make(const struct plan *plan, struct questions *out);

#endif
