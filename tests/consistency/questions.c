#include "questions.h"

#include <stdarg.h>
#include <stdlib.h>

const char *const route_words[ROUTES] = {
#define X(name, word) word,
	ROUTE_TABLE(X)
#undef X
};

static struct question *add(struct questions *to, enum route route, const char *token,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static struct question *
add(struct questions *to, enum route route, const char *token, const char *format, ...)
{
	struct question *q = &to->all[to->count];
	va_list args;

	*q = (struct question){ .route = route, .number = to->count++, .token = token };
	va_start(args, format);
	vsnprintf(q->path, sizeof(q->path), format, args);
	va_end(args);
	return q;
}

static void
show(struct question *q, int key)
{
	q->keys = realloc(q->keys, (size_t)(q->key_count + 1) * sizeof(*q->keys));
	if (!q->keys)
		abort();
	q->keys[q->key_count++] = key;
}

static void
add_alone(struct questions *to, const struct plan *plan, int i)
{
	const struct key *k = &plan->keys[i];
	const char *token = plan->owners[k->owner].token;
	struct question *admin, *user;

	if (k->kind == COURSE) {
		admin = add(to, ROUTE_ADMIN_COURSE, token, "/api/admin/courses/%s", k->id);
		user = add(to, ROUTE_USER_COURSE, NULL, "/api/user/courses/%s", k->id);
	} else {
		admin = add(to, ROUTE_ADMIN_LESSON, token, "/api/admin/courses/%s/lessons/%s",
		    k->course, k->id);
		user = add(to, ROUTE_USER_LESSON, NULL, "/api/user/lessons/%s", k->id);
	}
	show(admin, i);
	show(user, i);
	to->of[i][ALONE_ADMIN] = admin;
	to->of[i][ALONE_USER] = user;
}

static struct question *
find(struct questions *in, enum route route, const char *path)
{
	for (int i = 0; i < in->count; i++) {
		if (in->all[i].route == route && (!path || strcmp(in->all[i].path, path) == 0))
			return &in->all[i];
	}
	return NULL;
}

static void
into_course_lists(struct questions *to, const struct plan *plan, int i)
{
	const char *token = plan->owners[plan->keys[i].owner].token;
	struct question *own = NULL;
	struct question *all = find(to, ROUTE_USER_COURSES, NULL);

	for (int n = 0; n < to->count; n++) {
		if (to->all[n].route == ROUTE_ADMIN_COURSES && to->all[n].token == token)
			own = &to->all[n];
	}
	if (!own)
		own = add(to, ROUTE_ADMIN_COURSES, token, "/api/admin/courses?limit=100");
	if (!all)
		all = add(to, ROUTE_USER_COURSES, NULL, "/api/user/courses?limit=100");
	show(own, i);
	show(all, i);
	to->of[i][LIST_OFTEN] = own;
	to->of[i][LIST_SELDOM] = all;
}

static void
into_lesson_lists(struct questions *to, const struct plan *plan, int i)
{
	const struct key *k = &plan->keys[i];
	const char *token = plan->owners[k->owner].token;
	char path[PATH_BYTES];
	struct question *own, *open = NULL;

	snprintf(path, sizeof(path), "/api/admin/courses/%s/lessons?limit=100", k->course);
	own = find(to, ROUTE_ADMIN_LESSONS, path);
	if (!own)
		own = add(to, ROUTE_ADMIN_LESSONS, token, "%s", path);
	show(own, i);
	if (k->is_public) {
		open = find(to, ROUTE_PUBLIC_LESSONS, NULL);
		if (!open)
			open = add(to, ROUTE_PUBLIC_LESSONS, NULL, "/api/public/lessons?limit=100");
		show(open, i);
	}
	to->of[i][LIST_OFTEN] = own;
	to->of[i][LIST_SELDOM] = open ? open : own;
}

void
questions_make(const struct plan *plan, struct questions *out)
{
	size_t most = (size_t)plan->key_count * QUESTIONS_OF_A_KEY + 1;

	*out = (struct questions){ 0 };
	out->all = calloc(most, sizeof(*out->all));
	out->of = calloc((size_t)plan->key_count, sizeof(*out->of));
	if (!out->all || !out->of)
		abort();
	for (int i = 0; i < plan->key_count; i++) {
		add_alone(out, plan, i);
		if (plan->keys[i].kind == COURSE)
			into_course_lists(out, plan, i);
		else
			into_lesson_lists(out, plan, i);
	}
	if (plan->maker >= 0)
		out->made = add(out, ROUTE_MADE, plan->owners[plan->maker].token,
		    "/api/admin/courses/%s/lessons?limit=1", plan->maker_course);
}
