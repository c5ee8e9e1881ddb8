/*
 * Turns of reads: how many have begun at once, and that nobody waits for long
 * behind who does not end.
 */
#include "db/turns.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "unit.h"

static enum status
take_now(struct turns *t, struct turn *turn)
{
	return turns_take(t, clock_ms(), turn);
}

static void
without_a_limit_nobody_waits(void **state)
{
	struct turns *t = turns_new(0);
	struct turn turn;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(take_now(t, &turn), OK);
	turns_end(t, &turn);
	turns_free(t);
}

static void
no_more_than_the_limit_have_begun(void **state)
{
	struct turns *t = turns_new(2);
	struct turn turns[3];

	(void)state;
	/* Were it held up for as long as a turn counts, once more would do. */
	for (int tries = 0; tries < 5; tries++) {
		int64_t began = clock_ms();
		enum status third;

		assert_int_equal(turns_take(t, began + 1000, &turns[0]), OK);
		assert_int_equal(turns_take(t, began + 1000, &turns[1]), OK);
		third = take_now(t, &turns[2]);
		turns_end(t, &turns[0]);
		turns_end(t, &turns[1]);
		if (third == BUSY && take_now(t, &turns[2]) == OK) {
			turns_free(t);
			return;
		}
		turns_end(t, &turns[2]);
		assert_true(clock_ms() - began >= TURN_MS);
	}
	fail_msg("held up five times");
}

static void
who_is_at_it_for_long_does_not_count(void **state)
{
	struct turns *t = turns_new(1);
	int64_t began = clock_ms();
	struct turn slow;
	struct turn next;

	(void)state;
	assert_int_equal(turns_take(t, began, &slow), OK);
	assert_int_equal(turns_take(t, began + 10000, &next), OK);
	assert_true(clock_ms() - began >= TURN_MS);
	assert_true(clock_ms() - began < 5000);
	turns_free(t);
}

static void
an_old_turn_that_ends_gives_nobody_elses_away(void **state)
{
	struct turns *t = turns_new(1);
	struct turn slow;
	struct turn next;
	struct turn third;
	int64_t began;

	(void)state;
	assert_int_equal(take_now(t, &slow), OK);
	assert_int_equal(turns_take(t, clock_ms() + 10000, &next), OK);
	began = clock_ms();
	turns_end(t, &slow);
	if (take_now(t, &third) == OK)
		assert_true(clock_ms() - began >= TURN_MS - 1);
	turns_free(t);
}

struct one {
	struct turns *turns;
	_Atomic int *in;
	_Atomic int *most;
};

static void *
come_and_go(void *ctx)
{
	struct one *one = ctx;

	for (int i = 0; i < 200; i++) {
		struct turn turn;
		int64_t began = clock_ms();
		int in;

		assert_int_equal(turns_take(one->turns, began + 30000, &turn), OK);
		in = atomic_fetch_add(one->in, 1) + 1;
		/* Who was held up is old, and does not count. */
		if (in > 1 && clock_ms() < turn.until_ms)
			atomic_fetch_add(one->most, 1);
		atomic_fetch_sub(one->in, 1);
		turns_end(one->turns, &turn);
	}
	return NULL;
}

static void
everybody_has_his_turn(void **state)
{
	enum { THREADS = 8 };
	_Atomic int in = 0;
	_Atomic int together = 0;
	struct one one = { turns_new(1), &in, &together };
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &one), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(in, 0);
	/* Only beside one that was held up. */
	assert_true(together < THREADS * 200 / 10);
	turns_free(one.turns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_limit_nobody_waits),
		cmocka_unit_test(no_more_than_the_limit_have_begun),
		cmocka_unit_test(who_is_at_it_for_long_does_not_count),
		cmocka_unit_test(an_old_turn_that_ends_gives_nobody_elses_away),
		cmocka_unit_test(everybody_has_his_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
