/*
 * What is said to Redis about tags: raises, pending transactions, checks, and
 * up to where changes have been raised.  Holds no lock.
 */
#include "cache/remote.h"

#include <stdio.h>

#include "base/random.h"
#include "base/text.h"
#include "cache/remote_pool.h"

struct span
remote_slots_text(const uint16_t *slots, size_t count, char text[REMOTE_SLOTS_TEXT])
{
	size_t n = 0;

	for (size_t i = 0; i < count && i < TAG_MAX; i++)
		n += (size_t)snprintf(
		    text + n, REMOTE_SLOTS_TEXT - n, i ? ",%u" : "%u", (unsigned)slots[i]);
	return span_make(text, n);
}

size_t
remote_parse_slots(struct span text, uint16_t slots[TAG_MAX])
{
	size_t count = 0;

	while (text.len) {
		const char *comma = memchr(text.at, ',', text.len);
		size_t len = comma ? (size_t)(comma - text.at) : text.len;
		int64_t n;

		if (count == TAG_MAX || !text_number(span_make(text.at, len), &n) || n >= TAG_SLOTS)
			return 0;
		slots[count++] = (uint16_t)n;
		text = span_skip(text, comma ? len + 1 : len);
	}
	return count;
}

struct span
remote_epoch_text(uint64_t epoch, char text[REMOTE_EPOCH_TEXT])
{
	snprintf(text, REMOTE_EPOCH_TEXT, "%016llx", (unsigned long long)epoch);
	return span_make(text, REMOTE_EPOCH_TEXT - 1);
}

static struct span
number_text(uint64_t number, char text[24])
{
	return span_make(text, (size_t)snprintf(text, 24, "%llu", (unsigned long long)number));
}

enum remote_result
remote_check(
    struct remote *r, const struct remote_token *token, const uint16_t *slots, size_t count)
{
	char epoch[REMOTE_EPOCH_TEXT];
	char number[24];
	char text[REMOTE_SLOTS_TEXT];
	struct span args[3] = { remote_epoch_text(token->epoch, epoch),
		number_text(token->sequence, number), remote_slots_text(slots, count, text) };
	struct reply reply;
	enum remote_result result = REMOTE_DOWN;

	if (!token->valid || count == 0 || count > TAG_MAX)
		return REMOTE_DOWN;
	reply = remote_script(r, SCRIPT_CHECK, &r->meta, 1, args, 3);
	if (reply.type == REPLY_NUMBER && reply.number < 2)
		result = reply.number == 1 ? REMOTE_HIT : REMOTE_MISS;
	reply_free(&reply);
	return result;
}

/* SCRIPT_RAISE or SCRIPT_PEND. */
static struct reply
send_tags(
    struct remote *r, enum remote_script script, uint64_t id, const uint16_t *slots, size_t count)
{
	char epoch[REMOTE_EPOCH_TEXT];
	char text[REMOTE_SLOTS_TEXT];
	char number[24];
	struct span keys[2] = { r->meta, r->index };
	struct span args[3] = { { epoch, 2 * REMOTE_EPOCH_BYTES },
		remote_slots_text(slots, count, text), number_text(id, number) };

	random_hex(epoch, REMOTE_EPOCH_BYTES);
	return remote_script(r, script, keys, 2, args, 3);
}

bool
remote_raise(struct remote *r, uint64_t id, const uint16_t *slots, size_t count)
{
	uint16_t all = tag_slot(span_of(TAG_ALL));
	struct reply reply;
	bool confirmed;

	if (count == 0)
		return true;
	/* Never more than one call: what is too much touches everything. */
	if (count > TAG_MAX) {
		slots = &all;
		count = 1;
	}
	/* Owed before it is tried: who reads meanwhile must not be first. */
	reply = send_tags(r, SCRIPT_RAISE, id, slots, count);
	confirmed = reply.type == REPLY_NUMBER;
	if (reply.type == REPLY_NONE)
		remote_owe(r, slots, count);
	else if (!confirmed)
		remote_distrust(r);
	reply_free(&reply);
	return confirmed;
}

bool
remote_pend(struct remote *r, uint64_t id, const uint16_t *slots, size_t count)
{
	struct reply reply;
	bool confirmed;

	if (count == 0 || count > TAG_MAX)
		return false;
	reply = send_tags(r, SCRIPT_PEND, id, slots, count);
	confirmed = reply.type == REPLY_NUMBER && reply.number == 1;
	reply_free(&reply);
	return confirmed;
}

/* ---- the bookmark, and what is pending ---- */

/* {bookmark, pending, ms}; TEXT may be empty. */
static struct reply
send_note(struct remote *r, const char *text)
{
	struct span arg = span_of(text);

	return remote_script(r, SCRIPT_NOTE, &r->meta, 1, &arg, 1);
}

bool
remote_recall(struct remote *r, char text[REMOTE_BOOKMARK_BYTES])
{
	struct reply reply = send_note(r, "");
	struct span found = reply_at(&reply, 0).text;
	bool answered = reply.type == REPLY_LIST;

	text[0] = '\0';
	if (answered && found.len && found.len < REMOTE_BOOKMARK_BYTES) {
		memcpy(text, found.at, found.len);
		text[found.len] = '\0';
	}
	reply_free(&reply);
	return answered;
}

void
remote_note(struct remote *r, const char *text)
{
	struct reply reply;

	if (!remote_trusted(r) || strlen(text) >= REMOTE_BOOKMARK_BYTES)
		return;
	reply = send_note(r, text);
	reply_free(&reply);
}

void
remote_settle(struct remote *r)
{
	struct reply reply;

	if (remote_trusted(r))
		return;
	reply = send_note(r, "");
	reply_free(&reply);
}

/* "id:ms:slots" */
static bool
parse_pending(struct span item, int64_t now_ms, struct remote_pending *out)
{
	const char *first = memchr(item.at, ':', item.len);
	struct span rest = first ? span_skip(item, (size_t)(first - item.at) + 1) : item;
	const char *second = first ? memchr(rest.at, ':', rest.len) : NULL;
	int64_t id;
	int64_t ms;

	if (!second || !text_number(span_make(item.at, (size_t)(first - item.at)), &id) ||
	    !text_number(span_make(rest.at, (size_t)(second - rest.at)), &ms))
		return false;
	out->id = (uint64_t)id;
	out->age_ms = now_ms - ms;
	out->slot_count =
	    remote_parse_slots(span_skip(rest, (size_t)(second - rest.at) + 1), out->slots);
	return out->slot_count > 0;
}

size_t
remote_pending(struct remote *r, struct remote_pending *out, size_t room)
{
	struct reply reply = send_note(r, "");
	struct span left = reply_at(&reply, 1).text;
	int64_t now_ms = 0;
	size_t count = 0;

	if (!text_number(reply_at(&reply, 2).text, &now_ms))
		left.len = 0;
	while (left.len && count < room) {
		const char *end = memchr(left.at, ';', left.len);
		size_t len = end ? (size_t)(end - left.at) : left.len;

		count += parse_pending(span_make(left.at, len), now_ms, &out[count]);
		left = span_skip(left, end ? len + 1 : len);
	}
	reply_free(&reply);
	return count;
}
