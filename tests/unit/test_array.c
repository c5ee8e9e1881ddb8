#include "db/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define HEAD \
	"\0\0\0\1" \
	"\0\0\0\0" \
	"\0\0\0\x19"
#define BYTES(literal) span_make(literal, sizeof(literal) - 1)

/* From the heap, so that a sanitizer sees a read behind the end. */
static bool
parses(struct span raw, size_t *count)
{
	char *copy = malloc(raw.len + 1);
	struct span *out;
	bool good;

	assert_non_null(copy);
	copy = realloc(copy, raw.len ? raw.len : 1);
	assert_non_null(copy);
	memcpy(copy, raw.at, raw.len);
	good = array_parse(span_make(copy, raw.len), &out, count);
	assert_true(good || !out);
	free(out);
	free(copy);
	return good;
}

static void
two_elements_are_found(void **state)
{
	struct span raw = BYTES(HEAD "\0\0\0\2"
				     "\0\0\0\1"
				     "\0\0\0\3one"
				     "\0\0\0\0");
	struct span *out;
	size_t count;

	(void)state;
	assert_true(array_parse(raw, &out, &count));
	assert_int_equal(count, 2);
	assert_true(span_is(out[0], "one"));
	assert_int_equal(out[1].len, 0);
	free(out);
}

static void
an_empty_array_has_no_elements(void **state)
{
	size_t count = 9;

	(void)state;
	assert_true(parses(BYTES("\0\0\0\0"
				 "\0\0\0\0"
				 "\0\0\0\x19"),
	    &count));
	assert_int_equal(count, 0);
}

static void
every_cut_array_is_refused(void **state)
{
	struct span raw = BYTES(HEAD "\0\0\0\2"
				     "\0\0\0\1"
				     "\0\0\0\3one"
				     "\0\0\0\3two");
	size_t count;

	(void)state;
	for (size_t len = 0; len < raw.len; len++)
		assert_false(parses(span_make(raw.at, len), &count));
	assert_true(parses(raw, &count));
}

static void
what_is_not_a_plain_array_is_refused(void **state)
{
	size_t count;

	(void)state;
	/* two dimensions */
	assert_false(parses(BYTES("\0\0\0\2"
				  "\0\0\0\0"
				  "\0\0\0\x19"
				  "\0\0\0\1\0\0\0\1"
				  "\0\0\0\1\0\0\0\1\0\0\0\0"),
	    &count));
	/* a NULL */
	assert_false(parses(BYTES(HEAD "\0\0\0\1"
				       "\0\0\0\1"
				       "\xff\xff\xff\xff"),
	    &count));
	/* more elements than bytes, and a length beyond the end */
	assert_false(parses(BYTES(HEAD "\xff\xff\xff\xff"
				       "\0\0\0\1"
				       "\0\0\0\0"),
	    &count));
	assert_false(parses(BYTES(HEAD "\0\0\0\1"
				       "\0\0\0\1"
				       "\x7f\xff\xff\xffx"),
	    &count));
	/* bytes behind the last */
	assert_false(parses(BYTES(HEAD "\0\0\0\1"
				       "\0\0\0\1"
				       "\0\0\0\1xy"),
	    &count));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_elements_are_found),
		cmocka_unit_test(an_empty_array_has_no_elements),
		cmocka_unit_test(every_cut_array_is_refused),
		cmocka_unit_test(what_is_not_a_plain_array_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
