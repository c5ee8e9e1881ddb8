/*
 * Invalidation by a tag, a pattern of keys or a course.  Entries know the slots
 * of their tags alone, so what is raised for a pattern is, for each entry that
 * matches, the slot that takes the fewest others along; how many those are is
 * counted before anything is done.
 */
#include "routes/control.h"

#include <stdlib.h>

#include "base/text.h"

#define FAR_MAX 10000 /* entries of Redis whose tags are looked at */
#define FAR_BYTES (FAR_MAX * (2 + TAG_MAX) * sizeof(uint16_t))
#define RAISED_MAX 1000 /* tags of one invalidation */

/* ---- reach ---- */

/* What an invalidation reaches, found out before it is made. */
struct reach {
	struct cache *cache;
	const struct cache_policy *policies;
	struct span pattern; /* .at NULL: slots alone */
	int64_t now_ms;
	uint32_t *bearers; /* of each slot: entries that bear it */
	bool *chosen; /* slots that will be raised */
	uint16_t all; /* the slot that every entry bears */
	size_t chosen_count;
	uint64_t matched;
	uint64_t touched;
	/* Entries that are in Redis alone: does it match, how many slots, they. */
	struct buf far;
	uint64_t far_count;
	bool partly; /* there are more in Redis than were looked at */
};

static void
count_bearers(struct reach *r, const uint16_t *slots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		r->bearers[slots[i]]++;
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

	r->matched++;
	for (size_t i = 0; i < count; i++) {
		if (r->chosen[slots[i]])
			return;
		if (slots[i] != r->all &&
		    (best == r->all || r->bearers[slots[i]] < r->bearers[best]))
			best = slots[i];
	}
	choose(r, best);
}

static bool
matches(const struct reach *r, int policy, struct span key)
{
	return r->pattern.at && !r->policies[policy].internal && control_matches(r->pattern, key);
}

static void
count_touched(struct reach *r, const uint16_t *slots, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (r->chosen[slots[i]]) {
			r->touched++;
			return;
		}
	}
}

/* ---- in memory ---- */

static void
see_bearer(void *ctx, const struct entry *e)
{
	count_bearers(ctx, e->slots, e->slot_count);
}

static void
see_match(void *ctx, const struct entry *e)
{
	if (matches(ctx, e->policy, entry_key(e)))
		choose_narrowest(ctx, e->slots, e->slot_count);
}

static void
see_touched(void *ctx, const struct entry *e)
{
	count_touched(ctx, e->slots, e->slot_count);
}

static void
walk_memory(struct reach *r, void (*see)(void *ctx, const struct entry *e))
{
	memory_walk_kept(cache_memory(r->cache), r->now_ms, see, r);
}

/* ---- in Redis alone ---- */

/* What is listed there is nobody's secret. */
static bool
gather(void *ctx, struct span key)
{
	struct reach *r = ctx;
	struct remote_token token;
	struct remote_value value;
	uint16_t head[2];

	if (memory_keeps(cache_memory(r->cache), key, r->now_ms))
		return true;
	if (r->far_count++ >= FAR_MAX) {
		r->partly = true;
		return false;
	}
	if (remote_get(cache_remote(r->cache), key, &token, &value) == REMOTE_HIT) {
		head[0] = r->pattern.at && control_matches(r->pattern, key);
		head[1] = (uint16_t)value.slot_count;
		buf_add(&r->far, head, sizeof(head));
		buf_add(&r->far, value.slots, value.slot_count * sizeof(value.slots[0]));
	}
	remote_value_free(&value);
	return true;
}

static void
gather_all(struct reach *r)
{
	struct remote *remote = cache_remote(r->cache);

	if (remote && !remote_list(remote, span_of("*"), gather, r))
		r->partly = true;
	if (!buf_ok(&r->far))
		r->partly = true;
}

static void
walk_far(struct reach *r, bool matching,
    void (*see)(struct reach *r, const uint16_t *slots, size_t count))
{
	const uint16_t *at = (const uint16_t *)(const void *)r->far.at;
	const uint16_t *end = at + r->far.len / sizeof(*at);

	for (; at < end; at += 2 + at[1]) {
		if (at[0] || !matching)
			see(r, at + 2, at[1]);
	}
}

/* ---- both ---- */

static bool
reach_init(struct reach *r, struct call *c)
{
	int count;

	*r = (struct reach){
		.cache = c->app->cache, .now_ms = c->now_ms, .all = tag_slot(span_of(TAG_ALL))
	};
	r->policies = cache_policies(r->cache, &count);
	r->bearers = calloc(TAG_SLOTS, sizeof(r->bearers[0]));
	r->chosen = calloc(TAG_SLOTS, sizeof(r->chosen[0]));
	buf_init(&r->far, FAR_BYTES);
	return r->bearers && r->chosen;
}

static void
reach_free(struct reach *r)
{
	free(r->bearers);
	free(r->chosen);
	buf_free(&r->far);
}

/* As far as this instance can see: what others have in memory alone, it cannot. */
static void
count_all(struct reach *r)
{
	walk_memory(r, see_touched);
	walk_far(r, false, count_touched);
}

static void
reach_of_tags(struct reach *r, const struct span *tags, size_t count)
{
	for (size_t i = 0; i < count; i++)
		choose(r, tag_slot(tags[i]));
	gather_all(r);
	count_all(r);
	r->matched = r->touched;
}

/* False: not all that match could be found. */
static bool
reach_of_pattern(struct reach *r, struct span pattern)
{
	r->pattern = pattern;
	gather_all(r);
	walk_memory(r, see_bearer);
	walk_far(r, false, count_bearers);
	walk_memory(r, see_match);
	walk_far(r, true, choose_narrowest);
	if (r->partly || r->chosen_count > RAISED_MAX)
		return false;
	count_all(r);
	return true;
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
 * instances would not hear of it.  In strict mode nobody may be told that it is
 * done before Redis has it: the others go by that. */
static enum status
raise_lines(struct call *c, struct span lines)
{
	struct span *tags = arena_alloc(&c->rq->arena, RAISED_MAX * sizeof(*tags));
	uint64_t id;
	enum status st = tags ? control_tell(c, CAUSE_operator, lines, &id) : BUSY;

	if (st != OK)
		return st;
	if (cache_raise_for(
		c->app->cache, CAUSE_operator, id, tags, split(lines, tags, RAISED_MAX)) ||
	    !cache_is_strict(c->app->cache))
		return OK;
	respond_problem(c->rq, UNAVAILABLE,
	    "It is on its way to every instance; Redis has not confirmed it yet.");
	return UNAVAILABLE;
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
	json_bool(&j, "complete", !r->partly);
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

		reach_of_tags(&r, tags, split(all, tags, 4));
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
		if (!reach_of_pattern(&r, pattern))
			st = control_refuse(c,
			    "Too many entries match, or Redis did not answer; clear is the better way.");
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
