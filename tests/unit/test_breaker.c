/* The circuit breaker, by a clock of ours. */
#include "cache/breaker.h"

#include <pthread.h>

#include "unit.h"

#define LIMIT 3
#define WAIT_MS 100

static struct breaker b;

static int
closed(void **state)
{
	(void)state;
	breaker_init(&b, LIMIT, WAIT_MS);
	return 0;
}

static void
fail_times(int times, int64_t now_ms)
{
	for (int i = 0; i < times; i++)
		breaker_failure(&b, now_ms);
}

static void
it_lets_through_until_the_last_failure_that_is_allowed(void **state)
{
	(void)state;
	fail_times(LIMIT - 1, 10);
	assert_int_equal(breaker_state(&b, 10), BREAKER_CLOSED);
	assert_true(breaker_allow(&b, 10));
	breaker_failure(&b, 10);
	assert_int_equal(breaker_state(&b, 10), BREAKER_OPEN);
	assert_false(breaker_allow(&b, 10));
}

static void
a_success_forgets_the_failures_before_it(void **state)
{
	(void)state;
	fail_times(LIMIT - 1, 10);
	breaker_success(&b);
	fail_times(LIMIT - 1, 20);
	assert_int_equal(breaker_state(&b, 20), BREAKER_CLOSED);
}

static void
nothing_is_tried_while_it_is_open(void **state)
{
	(void)state;
	fail_times(LIMIT, 10);
	assert_false(breaker_allow(&b, 10 + WAIT_MS - 1));
	assert_int_equal(breaker_state(&b, 10 + WAIT_MS - 1), BREAKER_OPEN);
	assert_int_equal(breaker_state(&b, 10 + WAIT_MS), BREAKER_HALF_OPEN);
}

static void
one_probe_at_a_time_is_let_through(void **state)
{
	(void)state;
	fail_times(LIMIT, 10);
	assert_true(breaker_allow(&b, 200));
	assert_false(breaker_allow(&b, 200));
	assert_false(breaker_allow(&b, 10000));
}

static void
a_probe_that_fails_opens_it_for_another_while(void **state)
{
	(void)state;
	fail_times(LIMIT, 10);
	assert_true(breaker_allow(&b, 200));
	breaker_failure(&b, 250);
	assert_false(breaker_allow(&b, 250 + WAIT_MS - 1));
	assert_true(breaker_allow(&b, 250 + WAIT_MS));
}

static void
a_probe_that_succeeds_closes_it(void **state)
{
	(void)state;
	fail_times(LIMIT, 10);
	assert_true(breaker_allow(&b, 200));
	breaker_success(&b);
	assert_int_equal(breaker_state(&b, 200), BREAKER_CLOSED);
	fail_times(LIMIT - 1, 210);
	assert_true(breaker_allow(&b, 210));
	assert_true(breaker_allow(&b, 210));
}

/* A call that began before it opened may end much later. */
static void
a_late_failure_lets_no_second_probe_through_at_once(void **state)
{
	(void)state;
	fail_times(LIMIT, 10);
	assert_true(breaker_allow(&b, 200));
	breaker_failure(&b, 201);
	assert_false(breaker_allow(&b, 201));
}

static _Atomic int let_through;

static void *
probe(void *ctx)
{
	(void)ctx;
	if (breaker_allow(&b, 200))
		atomic_fetch_add(&let_through, 1);
	return NULL;
}

static void
of_many_threads_one_probes(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		pthread_t threads[4];

		breaker_init(&b, LIMIT, WAIT_MS);
		fail_times(LIMIT, 10);
		atomic_store(&let_through, 0);
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, probe, NULL);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(atomic_load(&let_through), 1);
	}
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup(test, closed)
	const struct CMUnitTest tests[] = {
		T(it_lets_through_until_the_last_failure_that_is_allowed),
		T(a_success_forgets_the_failures_before_it),
		T(nothing_is_tried_while_it_is_open),
		T(one_probe_at_a_time_is_let_through),
		T(a_probe_that_fails_opens_it_for_another_while),
		T(a_probe_that_succeeds_closes_it),
		T(a_late_failure_lets_no_second_probe_through_at_once),
		T(of_many_threads_one_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
