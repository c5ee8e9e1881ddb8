#include "routes/question.h"

#include <assert.h>
#include <stdlib.h>

#include "sql.h"

/* The parameters of a statement in one piece of memory, as a flight wants
 * them: texts by their offsets.  Behind them is who asks. */
struct args {
	const struct statement *st;
	int count;
	struct {
		uint32_t at;
		uint32_t len;
	} values[KEY_MAX_PARTS + 1];
	char text[];
};

static struct span
arg_at(const struct args *args, int i)
{
	return span_make(args->text + args->values[i].at, args->values[i].len);
}

static void
release_row(void *hold)
{
	row_free(hold);
	free(hold);
}

static enum status
load_row(void *ctx, const void *raw, struct loaded *out)
{
	struct app *app = ctx;
	const struct args *args = raw;
	struct span params[KEY_MAX_PARTS];
	struct row *row = calloc(1, sizeof(*row));
	enum status st;

	if (!row)
		return BUSY;
	for (int i = 0; i < args->count; i++)
		params[i] = arg_at(args, i);
	out->hold = row;
	out->release = release_row;
	db_asker(NULL, NULL, arg_at(args, args->count));
	st = db_read(app->db, args->st, params, args->count, row);
	db_asker(NULL, NULL, span_of(""));
	if (st != OK)
		return st;
	out->tags = row->tags;
	out->tag_count = row->tag_count;
	if (!row->found || !row->body.at)
		return NOT_FOUND;
	out->body = row->body;
	return OK;
}

static void
put_arg(struct args *args, int i, struct span value)
{
	uint32_t at = i ? args->values[i - 1].at + args->values[i - 1].len : 0;

	args->values[i].at = at;
	args->values[i].len = (uint32_t)value.len;
	if (value.len)
		memcpy(args->text + at, value.at, value.len);
}

bool
question_make(struct question *q, struct arena *arena, const struct plan *plan, struct span key,
    const struct span *values, struct span asker)
{
	size_t text = asker.len;
	struct args *args;

	for (int i = 0; i < plan->count; i++)
		text += values[i].len;
	q->policy = plan->policy;
	q->load = load_row;
	q->key = key;
	q->ahead = false;
	q->args_len = sizeof(*args) + text;
	q->args = args = arena_alloc(arena, q->args_len);
	if (!args)
		return false;
	args->st = plan->st;
	args->count = plan->count;
	for (int i = 0; i < plan->count; i++)
		put_arg(args, i, values[i]);
	put_arg(args, plan->count, asker);
	return true;
}

/* ---- plans ---- */

/* The I-th ':' segment of PATTERN, or NULL. */
static const char *
id_name(const char *pattern, int i)
{
	const char *at = strchr(pattern, ':');

	for (; at && i > 0; i--)
		at = strchr(at + 1, ':');
	return at ? at + 1 : NULL;
}

static struct source
source_of(const struct route *r, const char *name)
{
	const char *id;

	if (strcmp(name, "userId") == 0 || strcmp(name, "adminId") == 0)
		return (struct source){ FROM_USER, 0 };
	for (int i = 0; (id = id_name(r->at.path, i)); i++) {
		if (strcspn(id, "/") == strlen(name) && memcmp(id, name, strlen(name)) == 0)
			return (struct source){ FROM_PATH, i };
	}
	for (int i = 0; r->params && r->params[i].name; i++) {
		if (strcmp(name, r->params[i].name) == 0)
			return (struct source){ FROM_QUERY, i };
	}
	assert(false && "a key parameter that the route does not have");
	return (struct source){ FROM_USER, 0 };
}

static struct plan
plan_of(int policy, const struct cached *cached, const struct statement *st)
{
	struct plan p = { .policy = policy, .st = st };

	while (p.count < KEY_MAX_PARTS && cached->by[p.count])
		p.count++;
	key_shape_make(&p.shape, cached->prefix, cached->by);
	return p;
}

static struct plan
plan_for_route(
    const struct route *r, int policy, const struct cached *cached, const struct statement *st)
{
	struct plan p = plan_of(policy, cached, st);

	for (int i = 0; i < p.count; i++)
		p.values[i] = source_of(r, cached->by[i]);
	return p;
}

static int
guard_policy(const struct guard *g)
{
	int i = 0;

	while (guards[i] != g)
		i++;
	return route_count + i;
}

struct plans *
plans_make(void)
{
	struct plans *p = calloc(1,
	    sizeof(*p) + (size_t)route_count * (2 * sizeof(struct plan) + sizeof(p->patterns[0])));

	if (!p)
		return NULL;
	p->reads = (struct plan *)(p + 1);
	p->guards = p->reads + route_count;
	p->patterns = (const struct pattern **)(p->guards + route_count);
	for (int i = 0; i < route_count; i++) {
		const struct route *r = &routes[i];

		p->patterns[i] = &r->at;
		if (r->query)
			p->reads[i] = plan_for_route(r, i, &r->cache, r->query);
		if (r->guard)
			p->guards[i] = plan_for_route(
			    r, guard_policy(r->guard), &r->guard->cache, r->guard->query);
	}
	p->session = plan_of(route_count + guard_count, &session_cache, SQL(session_find));
	return p;
}

void
plans_free(struct plans *p)
{
	free(p);
}

const struct plan *
question_plan(const struct plans *plans, struct arena *arena, struct span key, struct span *values)
{
	for (int i = 0; i < route_count; i++) {
		const struct plan *read = &plans->reads[i];
		const struct plan *guard = &plans->guards[i];

		if (read->st && key_parse(arena, &read->shape, key, values))
			return read;
		if (guard->st && key_parse(arena, &guard->shape, key, values))
			return guard;
	}
	return NULL;
}
