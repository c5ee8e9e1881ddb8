/*
 * What is not on the way of a request: clearing, counting, asking whether
 * Redis is there.  Like remote.c it holds no lock and keeps nothing.
 */
#include "cache/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "cache/remote_pool.h"

#define CLEAR_MS 5000
#define LIST_MS 2000
#define SCAN_COUNT "1000"
#define UNLINK_WORDS 256

/* ---- clearing ---- */

/* The prefix is to be taken literally: "a*" is not every name with an a. */
static struct span
scan_pattern(const struct remote *r, char text[REMOTE_KEY_BYTES])
{
	size_t n = 0;

	for (const char *at = r->prefix; *at && n < REMOTE_KEY_BYTES - 8; at++) {
		if (strchr("*?[]^\\", *at))
			text[n++] = '\\';
		text[n++] = *at;
	}
	memcpy(text + n, "k:*", 3);
	return span_make(text, n + 3);
}

/* Whatever the server lists: nothing but our own is deleted. */
static bool
is_ours(const struct remote *r, struct span name)
{
	struct span prefix = span_of(r->prefix);

	return span_starts(name, prefix) && span_starts(span_skip(name, prefix.len), span_of("k:"));
}

static bool
unlink_all(struct remote *r, const struct reply *keys)
{
	struct span words[UNLINK_WORDS] = { SPAN("UNLINK") };
	size_t i = 0;

	while (i < keys->count) {
		struct reply reply;
		bool fine;
		int n = 1;

		for (; n < UNLINK_WORDS && i < keys->count; i++) {
			words[n] = reply_at(keys, i).text;
			n += is_ours(r, words[n]);
		}
		if (n == 1)
			continue;
		reply = remote_command(r, words, n, r->config.deadline_ms);
		fine = reply.type == REPLY_NUMBER;
		reply_free(&reply);
		if (!fine)
			return false;
	}
	return true;
}

/* One step; CURSOR is "0" after the last. */
static bool
scan_step(struct remote *r, char cursor[24], struct span pattern)
{
	struct span words[6] = { SPAN("SCAN"), span_of(cursor), SPAN("MATCH"), pattern,
		SPAN("COUNT"), SPAN(SCAN_COUNT) };
	struct reply reply = remote_command(r, words, 6, r->config.deadline_ms);
	struct reply next = reply_at(&reply, 0);
	struct reply keys = reply_at(&reply, 1);
	bool fine = next.type == REPLY_TEXT && next.text.len < 24 && keys.type == REPLY_LIST;

	if (fine) {
		memcpy(cursor, next.text.at, next.text.len);
		cursor[next.text.len] = '\0';
		fine = unlink_all(r, &keys);
	}
	reply_free(&reply);
	return fine;
}

bool
remote_clear(struct remote *r)
{
	int64_t until_ms = clock_ms() + CLEAR_MS;
	char cursor[24] = "0";
	char text[REMOTE_KEY_BYTES];
	struct span pattern = scan_pattern(r, text);

	/* The next thing said to Redis is a new epoch: from then on no entry is
	 * read or listed, whatever becomes of the deleting. */
	remote_distrust(r);
	while (clock_ms() < until_ms) {
		if (!scan_step(r, cursor, pattern))
			return false;
		if (strcmp(cursor, "0") == 0)
			return true;
	}
	return false;
}

/* ---- listing ---- */

enum seen { SEEN_ALL, SEEN_ENOUGH, TOO_LATE };

/* SEE may ask Redis about each of them. */
static enum seen
see_all(
    const struct reply *found, int64_t until_ms, bool (*see)(void *ctx, struct span key), void *ctx)
{
	int64_t now_ms = clock_wall_ms();

	/* Members and scores in turn: keys, and when they expire. */
	for (size_t i = 0; i + 1 < found->count; i += 2) {
		int64_t ends_ms;

		if (text_number(reply_at(found, i + 1).text, &ends_ms) && ends_ms < now_ms)
			continue;
		if (clock_ms() >= until_ms)
			return TOO_LATE;
		if (!see(ctx, reply_at(found, i).text))
			return SEEN_ENOUGH;
	}
	return SEEN_ALL;
}

bool
remote_list(
    struct remote *r, struct span pattern, bool (*see)(void *ctx, struct span key), void *ctx)
{
	int64_t until_ms = clock_ms() + LIST_MS;
	enum seen seen = SEEN_ALL;
	char cursor[24] = "0";

	do {
		struct span words[7] = { SPAN("ZSCAN"), r->index, span_of(cursor), SPAN("MATCH"),
			pattern, SPAN("COUNT"), SPAN(SCAN_COUNT) };
		struct reply reply = remote_command(r, words, 7, r->config.deadline_ms);
		struct reply next = reply_at(&reply, 0);
		struct reply found = reply_at(&reply, 1);
		bool more = next.type == REPLY_TEXT && next.text.len < sizeof(cursor) &&
		    found.type == REPLY_LIST && clock_ms() < until_ms;

		if (more) {
			memcpy(cursor, next.text.at, next.text.len);
			cursor[next.text.len] = '\0';
			seen = see_all(&found, until_ms, see, ctx);
		}
		reply_free(&reply);
		if (!more || seen == TOO_LATE)
			return false;
	} while (seen == SEEN_ALL && strcmp(cursor, "0") != 0);
	return true;
}

bool
remote_ping(struct remote *r)
{
	struct span word = SPAN("PING");
	struct reply reply = remote_command(r, &word, 1, r->config.deadline_ms);
	bool fine = reply.type == REPLY_TEXT;

	reply_free(&reply);
	return fine;
}

bool
remote_is_open(struct remote *r)
{
	return breaker_state(&r->breaker, clock_ms()) != BREAKER_CLOSED;
}

/* ---- statistics ---- */

static void
take_sample(struct remote_stats *out, struct span key)
{
	if (out->samples < sizeof(out->sample) / sizeof(out->sample[0]))
		snprintf(
		    out->sample[out->samples++], sizeof(out->sample[0]), "%.*s", SPAN_ARG(key));
}

/* The mean of the entries that were drawn, and are there, stands for all: a
 * body and its key. */
static void
weigh(struct remote *r, const struct reply *drawn, char (*names)[REMOTE_KEY_BYTES],
    struct remote_stats *out)
{
	struct span keys[REMOTE_KEYS_MAX];
	int count = drawn->count < REMOTE_KEYS_MAX ? (int)drawn->count : REMOTE_KEYS_MAX;
	struct reply sizes;
	uint64_t bytes = 0;
	uint64_t found = 0;

	for (int i = 0; i < count; i++)
		keys[i] = remote_entry_name(r, reply_at(drawn, (size_t)i).text, names[i]);
	sizes = remote_script(r, SCRIPT_SIZES, keys, count, NULL, 0);
	for (size_t i = 0; i < (size_t)count && i < sizes.count; i++) {
		struct span key = reply_at(drawn, i).text;
		int64_t size = reply_at(&sizes, i).number;

		if (size <= 0)
			continue;
		bytes += (uint64_t)size + key.len;
		found++;
		take_sample(out, key);
	}
	reply_free(&sizes);
	if (found)
		out->bytes = bytes * out->keys / found;
}

static void
survey(struct remote *r, struct remote_stats *out)
{
	struct reply reply = remote_script(r, SCRIPT_SURVEY, &r->index, 1, NULL, 0);
	struct reply listed = reply_at(&reply, 0);
	struct reply drawn = reply_at(&reply, 1);
	char(*names)[REMOTE_KEY_BYTES] = NULL;

	out->reachable = listed.type == REPLY_NUMBER;
	out->keys = listed.number > 0 ? (uint64_t)listed.number : 0;
	if (drawn.count)
		names = malloc(REMOTE_KEYS_MAX * sizeof(*names));
	if (names)
		weigh(r, &drawn, names, out);
	free(names);
	reply_free(&reply);
}

void
remote_read_stats(struct remote *r, struct remote_stats *out)
{
	memset(out, 0, sizeof(*out));
	survey(r, out);
	out->breaker = (int)breaker_state(&r->breaker, clock_ms());
	out->trusted = remote_trusted(r);
	out->calls = atomic_load(&r->calls);
	out->failures = atomic_load(&r->failures);
	out->epochs = atomic_load(&r->epochs);
	out->last_us = atomic_load(&r->last_us);
}

/* ---- the server ---- */

/* The value behind "\nNAME:" of an answer of INFO; empty: it does not say. */
static struct span
field_of(struct span info, const char *name)
{
	size_t len = strlen(name);

	while (info.len) {
		const char *end = memchr(info.at, '\n', info.len);
		size_t line = end ? (size_t)(end - info.at) : info.len;

		if (line > len && memcmp(info.at, name, len) == 0 && info.at[len] == ':') {
			size_t until = info.at[line - 1] == '\r' ? line - 1 : line;

			return span_make(info.at + len + 1, until - len - 1);
		}
		info = span_skip(info, end ? line + 1 : line);
	}
	return span_make("", 0);
}

static uint64_t
number_of(struct span info, const char *name)
{
	int64_t n;

	return text_number(field_of(info, name), &n) && n > 0 ? (uint64_t)n : 0;
}

static void
copy_field(char *to, size_t room, struct span info, const char *name)
{
	snprintf(to, room, "%.*s", SPAN_ARG(field_of(info, name)));
}

static struct reply
ask_info(struct remote *r, const char *section)
{
	struct span words[2] = { SPAN("INFO"), span_of(section) };

	return remote_command(r, words, 2, r->config.deadline_ms);
}

bool
remote_read_server(struct remote *r, struct remote_server *out)
{
	struct reply memory = ask_info(r, "memory");
	struct reply stats = { 0 };
	struct reply server = { 0 };
	bool fine = memory.type == REPLY_TEXT;

	memset(out, 0, sizeof(*out));
	if (fine) {
		out->used_bytes = number_of(memory.text, "used_memory");
		out->max_bytes = number_of(memory.text, "maxmemory");
		copy_field(out->policy, sizeof(out->policy), memory.text, "maxmemory_policy");
		stats = ask_info(r, "stats");
		server = ask_info(r, "server");
	}
	if (stats.type == REPLY_TEXT)
		out->evicted_keys = number_of(stats.text, "evicted_keys");
	if (server.type == REPLY_TEXT)
		copy_field(out->version, sizeof(out->version), server.text, "redis_version");
	reply_free(&memory);
	reply_free(&stats);
	reply_free(&server);
	return fine;
}
