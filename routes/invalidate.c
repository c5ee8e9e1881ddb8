/*
 * Invalidation by a tag, a pattern of keys or a course.  Entries know the slots
 * of their tags alone, so what is raised for a pattern is, for each entry that
 * matches, the slot that takes the fewest others along; how many those are is
 * counted before anything is done.
 */
#include "routes/control.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"

#define MATCHED_MAX 10000 /* entries of Redis whose tags are looked at for a pattern */
#define RAISED_MAX 1000 /* tags of one invalidation */

/* ---- reach ---- */

/* What an invalidation reaches, found out before it is made. */
struct reach {
	const struct cache_policy *policies;
	struct span pattern; /* .at NULL: slots alone */
	uint32_t *bearers; /* of each slot: entries in memory */
	bool *chosen; /* slots that will be raised */
	uint16_t all; /* the slot that every entry bears */
	size_t chosen_count;
	uint64_t matched;
	uint64_t touched;
	/* Of Redis: keys that match and are not in memory. */
	struct cache *cache;
	uint64_t elsewhere;
	bool too_many;
};

static void
count_bearers(void *ctx, const struct entry *e)
{
	struct reach *r = ctx;

	for (size_t i = 0; i < e->slot_count; i++)
		r->bearers[e->slots[i]]++;
}

static void
choose(struct reach *r, uint16_t slot)
{
	r->chosen_count += !r->chosen[slot];
	r->chosen[slot] = true;
}

/* One slot is enough for an entry: the one that takes the fewest others along. */
static void
choose_narrowest(struct reach *r, const uint16_t *slots, size_t count)
{
	uint16_t best = r->all;

	for (size_t i = 0; i < count; i++) {
		if (r->chosen[slots[i]])
			return;
		if (slots[i] != r->all &&
		    (best == r->all || r->bearers[slots[i]] < r->bearers[best]))
			best = slots[i];
	}
	choose(r, best);
}

static void
choose_for(void *ctx, const struct entry *e)
{
	struct reach *r = ctx;

	if (r->policies[e->policy].internal || !control_matches(r->pattern, entry_key(e)))
		return;
	r->matched++;
	choose_narrowest(r, e->slots, e->slot_count);
}

static void
count_touched(void *ctx, const struct entry *e)
{
	struct reach *r = ctx;

	for (size_t i = 0; i < e->slot_count; i++) {
		if (r->chosen[e->slots[i]]) {
			r->touched++;
			return;
		}
	}
}

static bool
see_remote(void *ctx, struct span key)
{
	struct reach *r = ctx;
	struct entry *e;
	struct remote_token token;
	struct remote_value value = { 0 };

	if (!control_matches(r->pattern, key))
		return true;
	e = memory_find(cache_memory(r->cache), key, clock_ms());
	entry_release(e);
	if (e)
		return true;
	if (r->elsewhere >= MATCHED_MAX) {
		r->too_many = true;
		return false;
	}
	if (remote_get(cache_remote(r->cache), key, &token, &value) == REMOTE_HIT) {
		r->elsewhere++;
		choose_narrowest(r, value.slots, value.slot_count);
		remote_value_free(&value);
	}
	return true;
}

static bool
reach_init(struct reach *r, struct call *c)
{
	int count;

	*r = (struct reach){ .cache = c->app->cache, .all = tag_slot(span_of(TAG_ALL)) };
	r->policies = cache_policies(r->cache, &count);
	r->bearers = calloc(TAG_SLOTS, sizeof(r->bearers[0]));
	r->chosen = calloc(TAG_SLOTS, sizeof(r->chosen[0]));
	return r->bearers && r->chosen;
}

static void
reach_free(struct reach *r)
{
	free(r->bearers);
	free(r->chosen);
}

static void
reach_of_tags(struct reach *r, const struct span *tags, size_t count, int64_t now_ms)
{
	for (size_t i = 0; i < count; i++)
		choose(r, tag_slot(tags[i]));
	memory_walk(cache_memory(r->cache), now_ms, count_touched, r);
	r->matched = r->touched;
}

static void
reach_of_pattern(struct reach *r, struct span pattern, int64_t now_ms)
{
	struct memory *m = cache_memory(r->cache);

	r->pattern = pattern;
	memory_walk(m, now_ms, count_bearers, r);
	memory_walk(m, now_ms, choose_for, r);
	if (cache_remote(r->cache))
		(void)remote_list(cache_remote(r->cache), span_of("*"), see_remote, r);
	memory_walk(m, now_ms, count_touched, r);
	r->matched += r->elsewhere;
	r->touched += r->elsewhere;
}

/* A line for each tag. */
static bool
put_slots(struct buf *lines, const struct reach *r)
{
	for (unsigned slot = 0; slot < TAG_SLOTS; slot++) {
		if (r->chosen[slot])
			buf_printf(lines, "%s#%u", lines->len ? "\n" : "", slot);
	}
	return buf_ok(lines);
}

static size_t
split(struct span lines, struct span *tags, size_t room)
{
	size_t n = 0;

	while (lines.len && n < room) {
		const char *end = memchr(lines.at, '\n', lines.len);
		size_t len = end ? (size_t)(end - lines.at) : lines.len;

		tags[n++] = span_make(lines.at, len);
		lines = span_skip(lines, end ? len + 1 : len);
	}
	return n;
}

/* The database first: if it cannot be told, nothing is done, because the other
 * instances would not hear of it. */
static enum status
raise_lines(struct call *c, struct span lines)
{
	struct span *tags = arena_alloc(&c->rq->arena, RAISED_MAX * sizeof(*tags));
	uint64_t id;
	enum status st = tags ? control_tell(c, CAUSE_operator, lines, &id) : BUSY;

	if (st != OK)
		return st;
	(void)cache_raise_for(
	    c->app->cache, CAUSE_operator, id, tags, split(lines, tags, RAISED_MAX));
	return OK;
}

static void
put_lines(struct json *j, struct span lines, bool named)
{
	json_open(j, "tags", '[');
	while (named && lines.len) {
		const char *end = memchr(lines.at, '\n', lines.len);
		size_t len = end ? (size_t)(end - lines.at) : lines.len;

		json_text(j, NULL, span_make(lines.at, len));
		lines = span_skip(lines, end ? len + 1 : len);
	}
	json_close(j, ']');
}

static enum status
end_invalidation(struct call *c, const struct reach *r, struct span lines)
{
	bool dry = control_is_dry(c);
	struct buf b;
	struct json j = { &b, false };
	enum status st = OK;

	if (!dry && lines.len)
		st = raise_lines(c, lines);
	if (st != OK)
		return st;
	buf_init(&b, CONTROL_ANSWER_BYTES);
	control_begin(&j, "invalidate");
	json_bool(&j, "dryRun", dry);
	json_whole(&j, "matched", (int64_t)r->matched);
	json_whole(&j, "touched", (int64_t)r->touched);
	put_lines(&j, lines, r->pattern.at == NULL);
	return control_end(c, &j);
}

static enum status
invalidate_tags(struct call *c, const char *const *forms, struct span name)
{
	struct buf lines;
	struct span tags[4];
	char *text;
	struct reach r;
	enum status st = BUSY;

	buf_init(&lines, 4096);
	for (int i = 0; forms[i]; i++)
		buf_printf(&lines, forms[i], SPAN_ARG(name));
	text = buf_ok(&lines) ? arena_copy(&c->rq->arena, buf_span(&lines)) : NULL;
	if (text && reach_init(&r, c)) {
		struct span all = span_make(text, lines.len);

		reach_of_tags(&r, tags, split(all, tags, 4), c->now_ms);
		st = end_invalidation(c, &r, all);
		reach_free(&r);
	}
	buf_free(&lines);
	return st;
}

static enum status
invalidate_pattern(struct call *c, struct span pattern)
{
	struct buf lines;
	struct reach r;
	enum status st = BUSY;

	buf_init(&lines, RAISED_MAX * 8);
	if (reach_init(&r, c)) {
		reach_of_pattern(&r, pattern, c->now_ms);
		if (r.too_many || r.chosen_count > RAISED_MAX)
			st = control_refuse(c, "Too many entries match; clear is the better way.");
		else if (put_slots(&lines, &r))
			st = end_invalidation(c, &r, buf_span(&lines));
	}
	reach_free(&r);
	buf_free(&lines);
	return st;
}

enum status
control_invalidate(struct call *c)
{
	static const char *const of_tag[] = { "%.*s", NULL };
	static const char *const of_course[] = { "course:%.*s", "\ncourse:%.*s:lessons",
		"\ncourse:%.*s:users", "\ncourse:%.*s:names", NULL };
	struct span tag = c->params[CONTROL_TAG];
	struct span course = c->params[CONTROL_COURSE];
	struct span pattern = c->params[CONTROL_PATTERN];

	if (!control_may_act(c))
		return FORBIDDEN;
	if ((tag.len > 0) + (course.len > 0) + (pattern.len > 0) != 1)
		return control_refuse(c, "Say what: one of tag=, pattern= and course=.");
	if (course.len && !text_is_id(course))
		return control_refuse(c, "That is no id of a course.");
	if (tag.len)
		return invalidate_tags(c, of_tag, tag);
	if (course.len)
		return invalidate_tags(c, of_course, course);
	return invalidate_pattern(c, pattern);
}
