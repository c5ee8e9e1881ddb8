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
		assert_true(stats.bytes <= 100000);
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
		cmocka_unit_test(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
