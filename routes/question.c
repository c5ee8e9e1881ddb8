#include "routes/question.h"

#include <stdlib.h>

/* The parameters of a statement in one piece of memory, as a flight wants
 * them: texts by their offsets. */
struct args {
	const struct statement *st;
	int count;
	struct {
		uint32_t at;
		uint32_t len;
	} values[KEY_MAX_PARTS];
	char text[];
};

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
		params[i] = span_make(args->text + args->values[i].at, args->values[i].len);
	out->hold = row;
	out->release = release_row;
	st = db_read(app->db, args->st, params, args->count, row);
	if (st != OK)
		return st;
	out->tags = row->tags;
	out->tag_count = row->tag_count;
	if (!row->found || !row->body.at)
		return NOT_FOUND;
	out->body = row->body;
	return OK;
}

static int
count_of(const struct cached *cached)
{
	int n = 0;

	while (n < KEY_MAX_PARTS && cached->by[n])
		n++;
	return n;
}

static bool
put_args(struct question *q, struct arena *arena, const struct statement *st,
    const struct span *values, int count)
{
	struct args *args;
	size_t text = 0;

	for (int i = 0; i < count; i++)
		text += values[i].len;
	q->args_len = sizeof(*args) + text;
	args = arena_alloc(arena, q->args_len);
	if (!args)
		return false;
	args->st = st;
	args->count = count;
	text = 0;
	for (int i = 0; i < count; i++) {
		args->values[i].at = (uint32_t)text;
		args->values[i].len = (uint32_t)values[i].len;
		memcpy(args->text + text, values[i].at, values[i].len);
		text += values[i].len;
	}
	q->args = args;
	return true;
}

bool
question_make(struct question *q, struct arena *arena, int policy, const struct cached *cached,
    const struct statement *st, const struct span *values)
{
	struct key_part parts[KEY_MAX_PARTS] = { { 0 } };
	int count = count_of(cached);

	for (int i = 0; i < count; i++) {
		parts[i].name = cached->by[i];
		parts[i].value = cached == &session_cache ? values[1] : values[i];
	}
	q->policy = policy;
	q->load = load_row;
	q->key = key_build(arena, cached->prefix, parts, (size_t)count);
	return q->key.len && put_args(q, arena, st, values, count);
}
