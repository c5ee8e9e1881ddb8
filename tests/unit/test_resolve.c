/* Looking up names, with a name service of our own that hangs to order. */
#include "cache/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "unit.h"

#define SOON_MS 50
#define LONG_MS 5000

static _Atomic int look_ups;
static sem_t may_answer;

/* In the place of the C library's. */
int
getaddrinfo(const char *restrict host, const char *restrict port,
    const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	static const struct sockaddr_in loopback = { .sin_family = AF_INET };
	struct addrinfo *one;

	(void)port;
	if (hints->ai_flags & AI_NUMERICHOST && strcmp(host, "127.0.0.1") != 0)
		return EAI_NONAME;
	if (!(hints->ai_flags & AI_NUMERICHOST)) {
		atomic_fetch_add(&look_ups, 1);
		sem_wait(&may_answer);
	}
	if (strcmp(host, "nowhere") == 0)
		return EAI_NONAME;
	one = calloc(1, sizeof(*one));
	one->ai_addr = (struct sockaddr *)(uintptr_t)&loopback;
	one->ai_addrlen = sizeof(loopback);
	*out = one;
	return 0;
}

void
freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

static int
set_up(void **state)
{
	(void)state;
	atomic_store(&look_ups, 0);
	return sem_init(&may_answer, 0, 0);
}

static bool
ask(struct resolver *r, int wait_ms)
{
	struct resolved found;
	bool known = resolver_ask(r, &found, clock_ms() + wait_ms);

	assert_true(!known || found.count == 1);
	return known;
}

static void
a_number_needs_no_look_up(void **state)
{
	struct resolver *r = resolver_new("127.0.0.1", "6379");

	(void)state;
	assert_true(ask(r, 0));
	assert_int_equal(atomic_load(&look_ups), 0);
	resolver_free(r);
}

static void
a_name_is_looked_up_each_time(void **state)
{
	struct resolver *r = resolver_new("name", "6379");

	(void)state;
	sem_post(&may_answer);
	assert_true(ask(r, LONG_MS));
	sem_post(&may_answer);
	assert_true(ask(r, LONG_MS));
	assert_int_equal(atomic_load(&look_ups), 2);
	resolver_free(r);
}

static void
an_unknown_name_is_no_answer(void **state)
{
	struct resolver *r = resolver_new("nowhere", "6379");

	(void)state;
	sem_post(&may_answer);
	assert_false(ask(r, LONG_MS));
	resolver_free(r);
}

static void
a_look_up_that_hangs_is_left_and_not_begun_twice(void **state)
{
	struct resolver *r = resolver_new("name", "6379");
	int64_t began = clock_ms();

	(void)state;
	assert_false(ask(r, SOON_MS));
	assert_false(ask(r, SOON_MS));
	assert_true(clock_ms() - began < 2 * SOON_MS + 500);
	assert_int_equal(atomic_load(&look_ups), 1);
	sem_post(&may_answer);
	sem_post(&may_answer); /* one for another look-up, if the first is over */
	assert_true(ask(r, LONG_MS));
	resolver_free(r);
}

static void *
ask_long(void *r)
{
	return (void *)(intptr_t)ask(r, LONG_MS);
}

static void
who_asks_meanwhile_shares_the_answer(void **state)
{
	struct resolver *r = resolver_new("name", "6379");
	pthread_t threads[4];
	void *known;

	(void)state;
	assert_false(ask(r, 0)); /* begins it */
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, ask_long, r);
	/* Enough for all of them, whoever comes too late for the first. */
	for (int i = 0; i < 5; i++)
		sem_post(&may_answer);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &known);
		assert_non_null(known);
	}
	assert_true(atomic_load(&look_ups) <= 5);
	resolver_free(r);
}

static void
its_owner_may_leave_during_a_look_up(void **state)
{
	struct resolver *r = resolver_new("name", "6379");

	(void)state;
	assert_false(ask(r, SOON_MS));
	resolver_free(r);
	sem_post(&may_answer);
	/* That nothing is used or lost after that is for the sanitizers to see. */
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup(test, set_up)
	const struct CMUnitTest tests[] = {
		T(a_number_needs_no_look_up),
		T(a_name_is_looked_up_each_time),
		T(an_unknown_name_is_no_answer),
		T(a_look_up_that_hangs_is_left_and_not_begun_twice),
		T(who_asks_meanwhile_shares_the_answer),
		T(its_owner_may_leave_during_a_look_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
