/*
 * What the memory level keeps, on traces that are the same every time: it is
 * SIEVE, and LRU keeps hardly more on any.  tests/bench/memory prints the whole
 * table.
 */
#include "tests/bench/memory_drive.h"

#include "unit.h"

#define REQUESTS 60000
#define OBJECTS 8000u

/* ---- SIEVE as in the paper's listing, but for the young quarter that the hand
 * does not enter; written anew: objects are numbers ---- */

struct sieve {
	uint32_t *older, *newer;
	bool *in, *visited;
	uint32_t newest, oldest, hand, count, room;
};

static struct sieve
sieve_new(uint32_t objects, uint32_t room)
{
	return (struct sieve){ trace_alloc(objects, 4), trace_alloc(objects, 4),
		trace_alloc(objects, 1), trace_alloc(objects, 1), LRU_NONE, LRU_NONE, LRU_NONE, 0,
		room };
}

static void
sieve_free(struct sieve *s)
{
	free(s->older);
	free(s->newer);
	free(s->in);
	free(s->visited);
}

static bool
sieve_is_young(const struct sieve *s, uint32_t id)
{
	uint32_t o = s->newest;

	for (uint32_t i = 0; i < s->count / 4; i++) {
		if (o == id)
			return true;
		o = s->older[o];
	}
	return false;
}

static void
sieve_evict(struct sieve *s)
{
	uint32_t o = s->hand;

	for (;;) {
		if (o == LRU_NONE || sieve_is_young(s, o))
			o = s->oldest;
		if (!s->visited[o])
			break;
		s->visited[o] = false;
		o = s->newer[o];
	}
	s->hand = s->newer[o];
	*(s->newer[o] == LRU_NONE ? &s->newest : &s->older[s->newer[o]]) = s->older[o];
	*(s->older[o] == LRU_NONE ? &s->oldest : &s->newer[s->older[o]]) = s->newer[o];
	s->in[o] = false;
	s->count--;
}

static bool
sieve_ask(struct sieve *s, uint32_t id)
{
	if (s->in[id]) {
		s->visited[id] = true;
		return true;
	}
	if (s->count == s->room)
		sieve_evict(s);
	s->older[id] = s->newest;
	s->newer[id] = LRU_NONE;
	*(s->newest == LRU_NONE ? &s->oldest : &s->newer[s->newest]) = id;
	s->newest = id;
	s->in[id] = true;
	s->visited[id] = false;
	s->count++;
	return false;
}

static void
it_hits_when_sieve_hits(void **state)
{
	struct trace traces[] = { trace_with_scans(REQUESTS, OBJECTS, 10, 5000, 1000),
		trace_moving(REQUESTS, OBJECTS, 10, 10000, 800), trace_loop(REQUESTS, 900) };
	struct tag_table *tags = trace_alloc(1, sizeof(*tags));

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct sieve s = sieve_new(traces[i].objects, 800);
		struct memory *m = memory_new(drive_cap(800), 1, tags);

		for (size_t j = 0; j < traces[i].count; j++) {
			uint32_t id = traces[i].at[j];

			assert_int_equal(drive_ask(m, tags, id, size_equal), sieve_ask(&s, id));
		}
		memory_free(m);
		sieve_free(&s);
		free(traces[i].at);
	}
	free(tags);
}

/* ---- against LRU ---- */

/* How much more than LRU it hits, at the worst of three sizes. */
static double
least_gain(struct trace t, trace_size size)
{
	static const size_t parts[] = { 100, 10, 2 };
	double least = 1;

	for (size_t i = 0; i < 3; i++) {
		size_t cap = drive_cap(OBJECTS / parts[i]);
		double gain = drive_memory(&t, size, cap, 16) - drive_lru(&t, size, cap);

		least = gain < least ? gain : least;
	}
	free(t.at);
	return least;
}

static void
it_is_no_worse_than_lru_on_zipf(void **state)
{
	static const unsigned tenths[] = { 7, 9, 10, 12 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(
		    least_gain(trace_zipf(REQUESTS, OBJECTS, tenths[i]), size_equal) > -0.01);
		assert_true(
		    least_gain(trace_zipf(REQUESTS, OBJECTS, tenths[i]), size_mixed) > -0.01);
	}
}

static void
it_is_better_than_lru_on_zipf_with_scans(void **state)
{
	(void)state;
	assert_true(
	    least_gain(trace_with_scans(REQUESTS, OBJECTS, 10, 5000, 1000), size_equal) > 0);
	assert_true(least_gain(trace_with_once(REQUESTS, OBJECTS, 10, 4), size_equal) > 0);
}

static void
it_is_better_than_lru_where_entries_are_invalidated(void **state)
{
	struct trace t = trace_with_writes(REQUESTS, OBJECTS, 10, 5);
	size_t cap = drive_cap(80);

	(void)state;
	assert_true(drive_memory(&t, size_equal, cap, 1) > drive_lru(&t, size_equal, cap) + 0.06);
	assert_true(least_gain(t, size_equal) > -0.01);
}

static void
it_follows_popularity_that_moves(void **state)
{
	struct trace drifting = trace_moving(REQUESTS, OBJECTS, 10, 100, 1);
	struct trace moving = trace_moving(REQUESTS, OBJECTS, 10, REQUESTS / 10, OBJECTS / 10);

	(void)state;
	assert_true(least_gain(drifting, size_equal) > -0.01);
	assert_true(least_gain(moving, size_equal) > -0.02);
}

static void
a_loop_that_fits_is_kept_and_one_that_does_not_is_lost_to_both(void **state)
{
	struct trace fits = trace_loop(REQUESTS, 900);
	struct trace larger = trace_loop(REQUESTS, 1100);

	(void)state;
	assert_true(drive_memory(&fits, size_equal, drive_cap(1000), 16) > 0.98);
	assert_true(drive_lru(&fits, size_equal, drive_cap(1000)) > 0.98);
	assert_true(drive_memory(&larger, size_equal, drive_cap(1000), 1) == 0);
	assert_true(drive_lru(&larger, size_equal, drive_cap(1000)) == 0);
	free(fits.at);
	free(larger.at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_hits_when_sieve_hits),
		cmocka_unit_test(it_is_no_worse_than_lru_on_zipf),
		cmocka_unit_test(it_is_better_than_lru_on_zipf_with_scans),
		cmocka_unit_test(it_is_better_than_lru_where_entries_are_invalidated),
		cmocka_unit_test(it_follows_popularity_that_moves),
		cmocka_unit_test(a_loop_that_fits_is_kept_and_one_that_does_not_is_lost_to_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
