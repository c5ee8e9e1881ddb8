/*
 * The models against full simulation: what the memory level itself hits with a
 * quarter to eight times the memory, on recorded traces, and what an exact LRU
 * does, against what the models say from a sample while the trace runs once.
 */
#include <math.h>

#include "base/hash.h"
#include "cache/shadow.h"
#include "tests/bench/memory_drive.h"

#include "unit.h"

#define REQUESTS 600000
#define OBJECTS 80000u
#define SAMPLE 16384
#define TICK 1000
#define BOUND 0.02
#define LIFE_MS 1000000

/* ---- one run with the models beside it ---- */

/* Was it a hit? */
static bool
ask_both(struct memory *m, struct tag_table *tags, struct shadow *s, uint32_t id, trace_size size)
{
	char key[16];
	struct span k = drive_key(id, key);
	struct entry *e = memory_get(m, k, 0);
	bool hit = e != NULL;

	if (hit) {
		shadow_hit(s, e, 0);
	} else {
		shadow_miss(s, hash_table(k), 0);
		e = drive_entry(tags, id, size(id));
		if (memory_put(m, e))
			shadow_stored(s, e, LIFE_MS, 0);
	}
	entry_release(e);
	return hit;
}

static struct shadow_result
model(const struct trace *t, trace_size size, size_t cap_bytes, size_t sample)
{
	struct tag_table *tags = trace_alloc(1, sizeof(*tags));
	struct memory *m = memory_new(cap_bytes, 1, tags);
	struct shadow *s = shadow_new(drive_room(cap_bytes), sample, tags);
	struct shadow_result r;
	uint64_t uses = 0;
	uint64_t hits = 0;

	for (size_t i = 0; i < t->count; i++) {
		uint32_t id = t->at[i] & ~TRACE_RAISE;

		if (t->at[i] & TRACE_RAISE) {
			drive_raise(tags, id);
		} else {
			hits += ask_both(m, tags, s, id, size);
			uses++;
		}
		if (i % TICK == TICK - 1 || i == t->count - 1)
			shadow_run(s, uses, hits);
	}
	shadow_read(s, &r);
	shadow_free(s);
	memory_free(m);
	free(tags);
	return r;
}

/* ---- against full simulation ---- */

static size_t
cap_with_room(size_t room)
{
	size_t cap = room;

	while (drive_room(cap) < room)
		cap += room - drive_room(cap);
	return cap;
}

static void
compare(const char *what, const struct trace *t, trace_size size, size_t room)
{
	struct shadow_result r = model(t, size, cap_with_room(room), SAMPLE);
	double worst = 0;
	double lru;

	print_message("%s: %.3f of the keys\n", what, r.rate);
	for (int i = 0; i < SHADOW_SIZES; i++) {
		size_t cap = cap_with_room((size_t)(r.sizes[i].factor * (double)room));
		double full = drive_memory(t, size, cap, 1);
		double off = r.sizes[i].hit_ratio - full;

		print_message("  x %-4g full %.4f  models %.4f  %+.4f\n", r.sizes[i].factor, full,
		    r.sizes[i].hit_ratio, off);
		worst = fmax(worst, fabs(off));
	}
	lru = drive_lru(t, size, cap_with_room(room));
	print_message("  LRU    full %.4f  models %.4f\n", lru, r.strategies[1].hit_ratio);
	worst = fmax(worst, fabs(r.strategies[1].hit_ratio - lru));
	assert_true(worst <= BOUND);
}

static size_t
room_of(double share, size_t bytes)
{
	return (size_t)(share * OBJECTS * (double)bytes);
}

static void
zipf(void **state)
{
	struct trace t = trace_zipf(REQUESTS, OBJECTS, 9);

	(void)state;
	compare("Zipf 0.9", &t, size_equal, room_of(0.05, drive_bytes(600)));
	free(t.at);
}

static void
zipf_of_many_sizes(void **state)
{
	struct trace t = trace_zipf(REQUESTS, OBJECTS, 8);

	(void)state;
	compare("Zipf 0.8, sizes from 100 to 12,800", &t, size_mixed, room_of(0.05, 3400));
	free(t.at);
}

static void
steep_zipf(void **state)
{
	struct trace t = trace_zipf(REQUESTS, OBJECTS, 12);

	(void)state;
	compare("Zipf 1.2: the first key is a fifth of all", &t, size_equal,
	    room_of(0.02, drive_bytes(600)));
	free(t.at);
}

static void
scans(void **state)
{
	struct trace t = trace_with_scans(REQUESTS, OBJECTS, 9, 10000, 3000);

	(void)state;
	compare("Zipf 0.9 with scans", &t, size_equal, room_of(0.05, drive_bytes(600)));
	free(t.at);
}

static void
writes(void **state)
{
	struct trace t = trace_with_writes(REQUESTS, OBJECTS, 9, 10);

	(void)state;
	compare("Zipf 0.9, a tenth writes", &t, size_equal, room_of(0.05, drive_bytes(600)));
	free(t.at);
}

/* Hot keys are written between any two runs of the models, many times. */
static void
churn(void **state)
{
	struct trace t = trace_with_writes(REQUESTS, OBJECTS, 12, 5);

	(void)state;
	compare("Zipf 1.2, a fifth writes", &t, size_equal, room_of(0.02, drive_bytes(600)));
	free(t.at);
}

static void
moving(void **state)
{
	struct trace t = trace_moving(REQUESTS, OBJECTS, 9, 100000, 500);

	(void)state;
	compare("popularity drifts", &t, size_equal, room_of(0.05, drive_bytes(600)));
	free(t.at);
}

/* ---- alone ---- */

static struct entry *
entry_of(struct tag_table *tags, struct memory *m, uint32_t id)
{
	struct entry *e = drive_entry(tags, id, 100);

	assert_true(memory_put(m, e));
	return e;
}

static double
strategy(struct shadow *s, int i)
{
	struct shadow_result r;

	shadow_read(s, &r);
	return r.strategies[i].hit_ratio;
}

/* Asked for at 0, and at 1.5 lives: only who lives twice as long hits. */
static void
lives(void **state)
{
	struct tag_table *tags = trace_alloc(1, sizeof(*tags));
	struct memory *m = memory_new(1 << 20, 1, tags);
	struct shadow *s = shadow_new(1 << 20, 100, tags);
	struct entry *e = entry_of(tags, m, 7);

	(void)state;
	shadow_miss(s, e->hash, 0);
	shadow_stored(s, e, 1000, 0);
	shadow_run(s, 1, 0);
	shadow_miss(s, e->hash, 1500);
	shadow_run(s, 2, 0);
	assert_true(fabs(strategy(s, 0)) < 0.001);
	assert_true(fabs(strategy(s, 2) - 0.5) < 0.001);
	assert_true(fabs(strategy(s, 3)) < 0.001);
	shadow_hit(s, e, 1700);
	shadow_run(s, 3, 1);
	assert_true(fabs(strategy(s, 0) - 1 / 3.0) < 0.001);
	assert_true(fabs(strategy(s, 3) - 1 / 3.0) < 0.001);
	e->noted = 0;
	shadow_hit(s, e, 2400);
	shadow_run(s, 4, 2);
	assert_true(fabs(strategy(s, 0) - 2 / 4.0) < 0.001);
	assert_true(fabs(strategy(s, 3) - 1 / 4.0) < 0.001);
	entry_release(e);
	shadow_free(s);
	memory_free(m);
	free(tags);
}

/* Between two runs a hit is noted once, and counted always; a miss is always
 * noted. */
static void
repeats_are_hits(void **state)
{
	struct tag_table *tags = trace_alloc(1, sizeof(*tags));
	struct memory *m = memory_new(1 << 20, 1, tags);
	struct shadow *s = shadow_new(1 << 20, 100, tags);
	struct entry *e = entry_of(tags, m, 7);
	struct shadow_result r;

	(void)state;
	shadow_miss(s, e->hash, 0);
	shadow_stored(s, e, 1000, 0);
	for (int i = 0; i < 99; i++)
		shadow_hit(s, e, 10);
	shadow_run(s, 100, 99);
	shadow_read(s, &r);
	assert_int_equal(r.samples, 100);
	assert_true(fabs(strategy(s, 0) - 0.99) < 0.001);
	drive_raise(tags, 7);
	shadow_miss(s, e->hash, 20);
	shadow_run(s, 101, 99);
	for (int i = 0; i < 99; i++)
		shadow_hit(s, e, 30);
	shadow_run(s, 200, 198);
	shadow_read(s, &r);
	assert_int_equal(r.samples, 200);
	assert_true(fabs(strategy(s, 0) - 0.99) < 0.001);
	entry_release(e);
	shadow_free(s);
	memory_free(m);
	free(tags);
}

/* A million keys in a sample of a thousand at most, and too many uses at once. */
static void
the_sample_is_bounded(void **state)
{
	struct tag_table *tags = trace_alloc(1, sizeof(*tags));
	struct memory *m = memory_new(1 << 20, 1, tags);
	struct shadow *s = shadow_new((size_t)1 << 30, 1000, tags);
	struct shadow_result r;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct entry *e = entry_of(tags, m, i);

		shadow_miss(s, e->hash, 0);
		shadow_stored(s, e, 1000, 0);
		entry_release(e);
		if (i % 100 == 0)
			shadow_run(s, i + 1, 0);
	}
	shadow_read(s, &r);
	assert_true(r.rate <= 1000 / 100000.0 * 2 && r.rate > 1000 / 100000.0 / 8);
	for (uint32_t i = 0; i < 1000000; i++)
		shadow_miss(s, (uint64_t)i << 16, 0);
	shadow_run(s, 1100000, 0);
	shadow_read(s, &r);
	assert_true(r.dropped > 0);
	shadow_free(s);
	memory_free(m);
	free(tags);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zipf),
		cmocka_unit_test(zipf_of_many_sizes),
		cmocka_unit_test(steep_zipf),
		cmocka_unit_test(scans),
		cmocka_unit_test(writes),
		cmocka_unit_test(churn),
		cmocka_unit_test(moving),
		cmocka_unit_test(lives),
		cmocka_unit_test(repeats_are_hits),
		cmocka_unit_test(the_sample_is_bounded),
	};

	/* Without a random key for the hash: the same sample every time. */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
