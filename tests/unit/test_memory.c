/* Keys, tags, and the memory level. */
#include "cache/key.h"
#include "cache/memory.h"

#include <pthread.h>

#include "unit.h"

static struct tag_table tags;

static struct entry *
make(const char *key, size_t body_len, const char *tag, int64_t expires_ms)
{
	static char body[1 << 16];
	uint16_t slots[TAG_MAX];
	struct span t = span_of(tag);
	struct entry_parts parts = {
		.key = span_of(key),
		.etag = span_of("W/\"x\""),
		.body = span_make(body, body_len),
		.slots = slots,
		.slot_count = tag_slots(&t, 1, slots),
		.loaded = tags_now(&tags),
		.expires_ms = expires_ms,
	};

	return entry_make(&parts);
}

static bool
put(struct memory *m, const char *key, size_t body_len, const char *tag)
{
	struct entry *e = make(key, body_len, tag, 1000);
	bool stored = memory_put(m, e);

	entry_release(e);
	return stored;
}

static bool
has(struct memory *m, const char *key, int64_t now_ms)
{
	struct entry *e = memory_get(m, span_of(key), now_ms);

	entry_release(e);
	return e != NULL;
}

static void
raise_tag(const char *tag)
{
	uint16_t slot = tag_slot(span_of(tag));

	tags_raise(&tags, &slot, 1);
}

/* ---- keys ---- */

static void
a_key_is_sorted_and_escaped(void **state)
{
	static const char *const names[] = { "search", "adminId", "page", NULL };
	struct span values[] = { SPAN("a:page:9*%\n"), SPAN("123"), SPAN("1") };
	struct key_shape shape;
	struct arena a;

	(void)state;
	arena_init(&a, 1 << 16);
	key_shape_make(&shape, "admin:courses", names);
	assert_span(key_build(&a, &shape, values),
	    "admin:courses:adminId:123:page:1:search:a%3Apage%3A9%2A%25%0A");
	values[0] = span_of("[x]?\\ \x7f\xc3\xa9");
	assert_span(key_build(&a, &shape, values),
	    "admin:courses:adminId:123:page:1:search:%5Bx%5D%3F%5C%20%7F\xc3\xa9");
	values[0] = span_of("");
	assert_span(key_build(&a, &shape, values), "admin:courses:adminId:123:page:1:search:");
	arena_free(&a);
}

static void
a_key_that_is_too_long_is_empty(void **state)
{
	static char text[KEY_MAX_BYTES];
	static const char *const names[KEY_MAX_PARTS] = { "search" };
	struct span value = { text, sizeof(text) };
	struct key_shape shape;
	struct arena a;

	(void)state;
	arena_init(&a, 1 << 16);
	key_shape_make(&shape, "x", names);
	assert_int_equal(key_build(&a, &shape, &value).len, 0);
	arena_free(&a);
}

/* ---- tags ---- */

static void
a_tag_brings_its_family_and_all(void **state)
{
	struct span two[] = { SPAN("course:1"), SPAN("course:2") };
	uint16_t slots[TAG_MAX];

	(void)state;
	assert_int_equal(tag_slots(two, 2, slots), 4);
	assert_int_equal(tag_slots(two, 1, slots), 3);
}

static void
too_many_tags_give_none(void **state)
{
	static struct span many[300];
	static char names[300][32];
	uint16_t slots[TAG_MAX];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(names[i], sizeof(names[i]), "user:%d", i);
		many[i] = span_of(names[i]);
	}
	assert_int_equal(tag_slots(many, 300, slots), 0);
	assert_true(tag_slots(many, 100, slots) > 90);
}

/* ---- memory ---- */

static void
an_entry_lives_until_its_time(void **state)
{
	struct memory *m = memory_new(1 << 20, 4, &tags);

	(void)state;
	assert_true(put(m, "a", 10, "course:1"));
	assert_true(has(m, "a", 999));
	assert_false(has(m, "b", 999));
	assert_false(has(m, "a", 1000));
	memory_free(m);
}

static void
a_raised_tag_a_family_or_all_drops_it(void **state)
{
	static const char *const raises[] = { "course:1", "course", TAG_ALL };
	struct memory *m = memory_new(1 << 20, 4, &tags);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_true(put(m, "a", 10, "course:1"));
		raise_tag("course:2");
		raise_tag("lesson");
		assert_true(has(m, "a", 0));
		raise_tag(raises[i]);
		assert_false(has(m, "a", 0));
	}
	memory_free(m);
}

static void
a_load_that_a_raise_overtook_is_not_stored(void **state)
{
	struct memory *m = memory_new(1 << 20, 4, &tags);
	struct entry *e = make("a", 10, "course:1", 1000);

	(void)state;
	raise_tag("course:1");
	assert_false(memory_put(m, e));
	assert_false(has(m, "a", 0));
	entry_release(e);
	memory_free(m);
}

static void
bytes_stay_within_the_bound(void **state)
{
	struct memory *m = memory_new(100000, 1, &tags);
	struct memory_stats stats;
	char key[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_true(put(m, key, 1000, "course:1"));
		memory_read_stats(m, &stats);
		assert_true(stats.table_bytes > 0);
		assert_true(stats.bytes + stats.table_bytes <= 100000);
	}
	assert_true(stats.evictions > 800);
	assert_true(stats.entries > 70);
	assert_true(has(m, "k999", 0));
	memory_free(m);
}

static void
what_was_hit_survives_a_scan(void **state)
{
	struct memory *m = memory_new(100000, 1, &tags);
	char key[16];

	(void)state;
	assert_true(put(m, "hot", 1000, "course:1"));
	for (int i = 0; i < 1000; i++) {
		assert_true(has(m, "hot", 0));
		snprintf(key, sizeof(key), "k%d", i);
		assert_true(put(m, key, 1000, "course:1"));
	}
	assert_true(has(m, "hot", 0));
	memory_free(m);
}

static void
an_entry_too_large_is_refused(void **state)
{
	struct memory *m = memory_new(10000, 1, &tags);

	(void)state;
	assert_false(put(m, "big", 6000, "course:1"));
	memory_free(m);
}

static void
a_second_store_replaces_the_first(void **state)
{
	struct memory *m = memory_new(1 << 20, 4, &tags);
	struct memory_stats stats;

	(void)state;
	assert_true(put(m, "a", 10, "course:1"));
	assert_true(put(m, "a", 20, "course:1"));
	memory_read_stats(m, &stats);
	assert_int_equal(stats.entries, 1);
	memory_clear(m);
	assert_false(has(m, "a", 0));
	memory_read_stats(m, &stats);
	assert_int_equal(stats.entries, 0);
	assert_int_equal(stats.bytes, 0);
	memory_free(m);
}

static void
an_entry_held_outlives_the_table(void **state)
{
	struct memory *m = memory_new(1 << 20, 4, &tags);
	struct entry *e;

	(void)state;
	assert_true(put(m, "a", 10, "course:1"));
	e = memory_get(m, span_of("a"), 0);
	memory_free(m);
	assert_int_equal(entry_body(e).len, 10);
	entry_release(e);
}

/* A header and rounding beside what an entry holds; and the table. */
static void
bytes_count_what_the_heap_takes(void **state)
{
	struct memory *m = memory_new(1 << 20, 1, &tags);
	struct memory_stats before = { 0 };
	struct memory_stats after;
	char key[16];

	(void)state;
	for (size_t len = 0; len < 100; len++) {
		struct entry *e;

		snprintf(key, sizeof(key), "k%zu", len);
		e = make(key, len, "course:1", 1000);
		assert_true(memory_put(m, e));
		memory_read_stats(m, &after);
		assert_true(after.bytes - before.bytes >= entry_bytes(e) + sizeof(size_t));
		assert_true(after.bytes - before.bytes < entry_bytes(e) + 3 * sizeof(size_t));
		assert_true(after.bytes % (2 * sizeof(size_t)) == 0);
		before = after;
		entry_release(e);
	}
	memory_free(m);
}

static void
a_replacement_is_counted_once(void **state)
{
	struct memory *m = memory_new(100000, 1, &tags);
	struct memory_stats first;
	struct memory_stats stats;

	(void)state;
	assert_true(put(m, "a", 1000, "course:1"));
	memory_read_stats(m, &first);
	assert_true(put(m, "a", 3000, "course:1"));
	assert_true(put(m, "a", 1000, "course:1"));
	memory_read_stats(m, &stats);
	assert_int_equal(stats.entries, 1);
	assert_int_equal(stats.bytes, first.bytes);
	assert_int_equal(stats.dropped, 0);
	raise_tag("course:1");
	assert_false(has(m, "a", 0));
	assert_true(put(m, "a", 1000, "course:1"));
	memory_read_stats(m, &stats);
	assert_int_equal(stats.bytes, first.bytes);
	assert_int_equal(stats.dropped, 1);
	assert_int_equal(stats.expiries, 0);
	memory_free(m);
}

/* One that grows while it is replaced makes others go. */
static void
replacements_stay_within_the_bound(void **state)
{
	struct memory *m = memory_new(100000, 1, &tags);
	struct memory_stats stats;
	char key[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i % 8);
		assert_true(put(m, key, (size_t)(i * 7919 % 20000), "course:1"));
		memory_read_stats(m, &stats);
		assert_true(stats.bytes <= 100000);
	}
	assert_true(stats.evictions > 0);
	memory_free(m);
}

/* Whose life has ended makes room as well, but is no sign of too little memory. */
static void
what_had_expired_is_not_evicted(void **state)
{
	struct memory *m = memory_new(100000, 1, &tags);
	struct memory_stats stats;
	char key[16];

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct entry *e;

		snprintf(key, sizeof(key), "k%d", i);
		e = make(key, 1000, "course:1", i + 10);
		e->made_ms = i;
		assert_true(memory_put(m, e));
		entry_release(e);
	}
	memory_read_stats(m, &stats);
	assert_int_equal(stats.evictions, 0);
	assert_int_equal(stats.expiries, 200 - stats.entries);
	memory_free(m);
}

/* It is the oldest, and was asked for again; others are not. */
static void
what_is_stored_anew_after_a_write_is_no_newcomer(void **state)
{
	struct memory *m = memory_new(100000, 1, &tags);
	char key[16];

	(void)state;
	assert_true(put(m, "popular", 1000, "course:2"));
	for (int i = 0; i < 70; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_true(put(m, key, 1000, "course:1"));
	}
	raise_tag("course:2");
	assert_false(has(m, "popular", 0));
	assert_true(put(m, "popular", 1000, "course:2"));
	for (int i = 100; i < 150; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_true(put(m, key, 1000, "course:1"));
	}
	assert_true(has(m, "popular", 0));
	memory_free(m);
}

static void
see_visited(void *ctx, const struct entry *e)
{
	*(int *)ctx += atomic_load(&e->visited);
}

/* So nobody waits long for the lock, however many entries were hit. */
static void
one_eviction_looks_at_some_entries_only(void **state)
{
	struct memory *m = memory_new(1000000, 1, &tags);
	struct memory_stats stats = { 0 };
	int visited = 0;
	int entries = 0;
	char key[16];

	(void)state;
	while (stats.bytes + stats.table_bytes < 999000) {
		snprintf(key, sizeof(key), "k%d", entries++);
		assert_true(put(m, key, 10, "course:1"));
		assert_true(has(m, key, 0));
		memory_read_stats(m, &stats);
	}
	assert_true(entries > 3000);
	assert_true(put(m, "new", 1000, "course:1"));
	memory_walk(m, 0, see_visited, &visited);
	memory_read_stats(m, &stats);
	assert_true(stats.evictions > 0);
	assert_true(visited >= entries - (int)stats.evictions * 201);
	assert_true(visited < entries);
	memory_free(m);
}

static void
what_was_read_of_late_weighs_more(void **state)
{
	struct memory *m = memory_new(100000, 1, &tags);
	struct entry *e;

	(void)state;
	assert_true(put(m, "k", 10, "course:1"));
	e = memory_get(m, span_of("k"), 0);
	for (int i = 0; i < 100; i++)
		entry_count_read(e);
	assert_int_equal(entry_recent_reads(e), 101); /* and the one it was made for */
	memory_age(m);
	assert_int_equal(entry_recent_reads(e), 50);
	memory_age(m);
	entry_count_read(e);
	assert_int_equal(entry_recent_reads(e), 26);
	entry_release(e);
	/* What takes its place goes on with it. */
	assert_true(put(m, "k", 20, "course:1"));
	e = memory_get(m, span_of("k"), 0);
	assert_int_equal(entry_recent_reads(e), 27);
	assert_int_equal(e->reads, 103);
	entry_release(e);
	for (int i = 0; i < 10; i++)
		memory_age(m);
	e = memory_get(m, span_of("k"), 0);
	assert_int_equal(entry_recent_reads(e), 0);
	entry_release(e);
	memory_free(m);
}

struct growth {
	struct memory *m;
	_Atomic bool walked;
	_Atomic int stored;
	int stored_at_once; /* while one walk went on */
	uint8_t seen[20000];
};

/* New entries, so that the table grows while it is walked through. */
static void *
grow_on(void *ctx)
{
	struct growth *g = ctx;
	char key[16];

	while (!atomic_load(&g->walked) && atomic_load(&g->stored) < 60000) {
		snprintf(key, sizeof(key), "new-%d", atomic_load(&g->stored));
		assert_true(put(g->m, key, 10, "course:1"));
		atomic_fetch_add(&g->stored, 1);
	}
	return NULL;
}

static void
count_old(void *ctx, const struct entry *e)
{
	struct growth *g = ctx;
	struct span key = entry_key(e);

	if (key.at[0] == 'k')
		g->seen[strtol(key.at + 1, NULL, 10)]++;
}

static void
a_walk_sees_each_once_and_lets_others_store(void **state)
{
	struct growth *g = calloc(1, sizeof(*g));
	pthread_t thread;
	char key[16];

	(void)state;
	/* A shard for entries of a kilobyte: those of fewer bytes make it grow. */
	g->m = memory_new(24 << 20, 1, &tags);
	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_true(put(g->m, key, 10, "course:1"));
	}
	pthread_create(&thread, NULL, grow_on, g);
	while (atomic_load(&g->stored) == 0)
		;
	for (int walks = 0; walks < 20; walks++) {
		int before = atomic_load(&g->stored);

		memset(g->seen, 0, sizeof(g->seen));
		memory_walk(g->m, 0, count_old, g);
		if (atomic_load(&g->stored) - before > g->stored_at_once)
			g->stored_at_once = atomic_load(&g->stored) - before;
		for (int i = 0; i < 20000; i++)
			assert_int_equal(g->seen[i], 1);
	}
	atomic_store(&g->walked, true);
	pthread_join(thread, NULL);
	/* A walk of 20,000 in one piece lets one store at most. */
	assert_true(g->stored_at_once > 20);
	memory_free(g->m);
	free(g);
}

static void
a_small_cache_is_not_cut_into_shards(void **state)
{
	struct memory *m = memory_new(100000, 16, &tags);
	struct memory_stats stats;

	(void)state;
	assert_true(put(m, "large", 40000, "course:1"));
	memory_read_stats(m, &stats);
	assert_int_equal(stats.cap_bytes, 100000);
	memory_free(m);
}

static void *
hammer(void *ctx)
{
	struct memory *m = ctx;
	char key[16];

	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "k%d", i % 97);
		if (!has(m, key, 0))
			(void)put(m, key, 100 + (size_t)(i % 50), "course:1");
		if (i % 500 == 0)
			raise_tag("course:1");
		if (i % 5000 == 0)
			memory_clear(m);
	}
	return NULL;
}

static void
threads_share_it(void **state)
{
	struct memory *m = memory_new(20000, 2, &tags);
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, hammer, m);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	memory_free(m);
}

#define LARGE_BYTES 60000
#define LARGE_KEYS 400

/* The body says whose it is. */
static struct entry *
make_large(const char *key)
{
	static _Thread_local char body[LARGE_BYTES];
	uint16_t slots[TAG_MAX];
	struct span tag = span_of("course:9");
	struct entry_parts parts = {
		.key = span_of(key),
		.body = span_make(body, sizeof(body)),
		.slots = slots,
		.slot_count = tag_slots(&tag, 1, slots),
		.loaded = tags_now(&tags),
		.expires_ms = 1000,
	};

	snprintf(body, sizeof(body), "%s", key);
	snprintf(body + sizeof(body) - 16, 16, "%s", key);
	return entry_make(&parts);
}

static bool
is_its_own(const struct entry *e, const char *key)
{
	const char *body = entry_body(e).at;

	return strcmp(body, key) == 0 && strcmp(body + LARGE_BYTES - 16, key) == 0;
}

static void *
hammer_large(void *ctx)
{
	struct memory *m = ctx;
	uint64_t wrong = 0;
	uint32_t at = (uint32_t)(uintptr_t)&at;
	char key[16];

	for (int i = 0; i < 5000; i++) {
		struct entry *e;

		at = at * 1664525 + 1013904223;
		snprintf(key, sizeof(key), "k%u", at % 3 ? (at >> 8) % 8 : (at >> 8) % LARGE_KEYS);
		e = memory_get(m, span_of(key), 0);
		if (!e || at % 64 == 0) {
			entry_release(e);
			e = make_large(key);
			(void)memory_put(m, e);
		}
		wrong += !is_its_own(e, key);
		entry_release(e);
		if (i % 1000 == 0)
			raise_tag("course:9");
	}
	return (void *)(uintptr_t)wrong;
}

/* Look-ups, replacements and evictions in several shards at once: each gets
 * what is its own, whole. */
static void
threads_get_what_is_their_own(void **state)
{
	struct memory *m = memory_new((size_t)16 << 20, 4, &tags);
	struct memory_stats stats;
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, hammer_large, m);
	for (int i = 0; i < 4; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	memory_read_stats(m, &stats);
	assert_true(stats.evictions > 0);
	assert_true(stats.dropped > 0);
	assert_true(stats.bytes + stats.table_bytes <= stats.cap_bytes);
	memory_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_sorted_and_escaped),
		cmocka_unit_test(a_key_that_is_too_long_is_empty),
		cmocka_unit_test(a_tag_brings_its_family_and_all),
		cmocka_unit_test(too_many_tags_give_none),
		cmocka_unit_test(an_entry_lives_until_its_time),
		cmocka_unit_test(a_raised_tag_a_family_or_all_drops_it),
		cmocka_unit_test(a_load_that_a_raise_overtook_is_not_stored),
		cmocka_unit_test(bytes_stay_within_the_bound),
		cmocka_unit_test(what_was_hit_survives_a_scan),
		cmocka_unit_test(an_entry_too_large_is_refused),
		cmocka_unit_test(a_second_store_replaces_the_first),
		cmocka_unit_test(an_entry_held_outlives_the_table),
		cmocka_unit_test(bytes_count_what_the_heap_takes),
		cmocka_unit_test(a_replacement_is_counted_once),
		cmocka_unit_test(replacements_stay_within_the_bound),
		cmocka_unit_test(what_had_expired_is_not_evicted),
		cmocka_unit_test(what_is_stored_anew_after_a_write_is_no_newcomer),
		cmocka_unit_test(one_eviction_looks_at_some_entries_only),
		cmocka_unit_test(a_small_cache_is_not_cut_into_shards),
		cmocka_unit_test(what_was_read_of_late_weighs_more),
		cmocka_unit_test(a_walk_sees_each_once_and_lets_others_store),
		cmocka_unit_test(threads_share_it),
		cmocka_unit_test(threads_get_what_is_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
