#include "verdict.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define SMALL_BYTES 2

static int64_t
allowed_ns(const struct run *run, enum way way)
{
	return way == BY_SQL || run->mode == MODE_BOUNDED ? run->bound_ns : 0;
}

static void
judge_age(struct reader *r, enum way way, int64_t age_ns, const struct evidence *e)
{
	int64_t allowed = allowed_ns(r->run, way);
	struct span stale = SPAN("detail=stale");

	/* What SQL changed a moment before the database went down is not known
	 * to anybody, and the answer says that it may be old. */
	if (way == BY_SQL && e->answer &&
	    memmem(e->answer->head.at, e->answer->head.len, stale.at, stale.len))
		count(COUNT_STALE_MARKED);
	else if (allowed && age_ns <= allowed)
		count(COUNT_STALE_WITHIN);
	else
		tally_violation(VIOLATION_STALE, e,
		    "v=%llu was shown %.3f ms after a newer one had been acknowledged (v=%llu)",
		    (unsigned long long)e->shown, (double)age_ns / 1e6,
		    (unsigned long long)e->floor);
}

void
verdict_version(struct reader *r, int key, uint64_t shown, struct evidence *e)
{
	struct key *k = &r->run->plan.keys[key];

	count(COUNT_SHOWN);
	e->key = k;
	e->shown = shown;
	e->floor = r->floors[key];
	if (shown > key_ceiling(k))
		tally_violation(
		    VIOLATION_WRONG, e, "v=%llu was never written", (unsigned long long)shown);
	else if (shown < e->floor)
		judge_age(r, k->way, key_stale(k, shown, e->floor, e->began_ns), e);
	else if (r->final && shown != r->final[key])
		tally_violation(VIOLATION_UNHEARD, e,
		    "v=%llu is shown at the end, the database holds v=%llu",
		    (unsigned long long)shown, (unsigned long long)r->final[key]);
}

/* The string that begins after MARK, the next one in *REST. */
static bool
next_string(struct span *rest, const char *mark, struct span *out)
{
	size_t len = strlen(mark);
	const char *at = memmem(rest->at, rest->len, mark, len);
	const char *end;

	if (!at)
		return false;
	*rest = span_skip(*rest, (size_t)(at - rest->at) + len);
	end = memchr(rest->at, '"', rest->len);
	if (!end)
		return false;
	*out = span_make(rest->at, (size_t)(end - rest->at));
	return true;
}

static int
find_key(const struct reader *r, const struct question *q, struct span id)
{
	for (int i = 0; i < q->key_count; i++) {
		if (span_is(id, r->run->plan.keys[q->keys[i]].id))
			return q->keys[i];
	}
	return -1;
}

static bool
complain(struct evidence *e, const char *what)
{
	tally_violation(VIOLATION_WRONG, e, "%s", what);
	return false;
}

/* One object: its id, and the text after it. */
static bool
judge_item(struct reader *r, const struct question *q, struct span *rest, struct evidence *e,
    int *key, uint64_t *version)
{
	const char *mark = q->route == ROUTE_ADMIN_COURSE || q->route == ROUTE_USER_COURSE ||
		q->route == ROUTE_ADMIN_COURSES || q->route == ROUTE_USER_COURSES
	    ? "\"presentation\":\""
	    : "\"content\":\"";
	struct plan *plan = &r->run->plan;
	struct span id, string;
	struct text text;

	e->key = NULL;
	if (!next_string(rest, "\"id\":\"", &id) || !next_string(rest, mark, &string))
		return complain(e, "an item is missing");
	*key = find_key(r, q, id);
	if (*key < 0)
		return complain(e, "it shows a key that does not belong there");
	e->key = &plan->keys[*key];
	if (!text_read(string, &text))
		return complain(e, "the text is not whole");
	if (!span_is(text.key, e->key->id))
		return complain(e, "the text of another key");
	if (!span_is(text.owner, plan->owners[e->key->owner].id))
		return complain(e, "the text of another owner");
	*version = text.version;
	verdict_version(r, *key, text.version, e);
	return true;
}

static bool
is_closed(struct span body)
{
	return body.len > SMALL_BYTES && body.at[0] == '{' && body.at[body.len - 1] == '}';
}

bool
verdict_body(struct reader *r, const struct question *q, struct evidence *e, uint64_t *version)
{
	struct span rest = e->answer->body, more;
	char seen[MAX_KEYS] = { 0 };

	if (!is_closed(rest))
		return complain(e, "the body is not whole");
	for (int i = 0; i < q->key_count; i++) {
		int key = 0;

		if (!judge_item(r, q, &rest, e, &key, version))
			return false;
		if (seen[key]++)
			return complain(e, "a key is shown twice");
	}
	e->key = NULL;
	if (next_string(&rest, "\"id\":\"", &more))
		return complain(e, "there are too many items");
	return true;
}

void
verdict_made(struct reader *r, struct evidence *e)
{
	struct span body = e->answer->body;
	const char *at = memmem(body.at, body.len, "\"total\":", 8);
	uint64_t total;

	if (!is_closed(body) || !at) {
		complain(e, "the body is not whole");
		return;
	}
	total = strtoull(at + 8, NULL, 10);
	e->shown = total;
	e->floor = r->made_floor;
	count(COUNT_SHOWN);
	if (total > atomic_load(&r->run->made.attempted))
		complain(e, "more lessons than were made");
	else if (total < r->made_floor)
		judge_age(r, BY_HTTP, e->began_ns - r->run->made.acked_ns[total], e);
}
