/* Query parameters and JSON bodies. */
#include "web/fields.h"
#include "web/params.h"

#include "unit.h"

static const struct param page[] = {
	{ "page", PARAM_INT, .fallback = 1, .min = 1, .max = 1000000 },
	{ "limit", PARAM_INT, .fallback = 5, .min = 1, .max = 100 },
	{ "search", PARAM_TEXT, .max = 10 },
	{ 0 },
};

static const struct field fields[] = {
	{ "name", FIELD_NAME, true, .min = 3, .max = 40 },
	{ "image", FIELD_URL, .min = 8, .max = 100 },
	{ "state", FIELD_WORD, .choices = "DRAFT PUBLISHED" },
	{ "rank", FIELD_RANK, .min = 0, .max = 1000 },
	{ "content", FIELD_TEXT, .min = 0, .max = 20 },
	{ 0 },
};

static struct request rq;
static struct span values[FIELDS_MAX];

static int
set_up(void **state)
{
	(void)state;
	memset(&rq, 0, sizeof(rq));
	memset(values, 0, sizeof(values));
	arena_init(&rq.arena, 1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_free(&rq.arena);
	return 0;
}

static bool
query(const char *text)
{
	rq.query = span_of(text);
	rq.faults = NULL;
	return params_read(&rq, page, values);
}

static enum status
body(const char *text)
{
	rq.body = span_of(text);
	rq.content_type = span_of("application/json; charset=utf-8");
	rq.faults = NULL;
	memset(values, 0, sizeof(values));
	return fields_read(&rq, fields, values);
}

static void
absent_parameters_have_their_defaults(void **state)
{
	(void)state;
	assert_true(query(""));
	assert_span(values[0], "1");
	assert_span(values[1], "5");
	assert_span(values[2], "");
}

static void
values_come_out_canonical(void **state)
{
	(void)state;
	assert_true(query("limit=007&search=+%C3%A9t%c3%a9+&other=%zz"));
	assert_span(values[1], "7");
	assert_span(values[2], "\xc3\xa9t\xc3\xa9");
}

static void
bad_numbers_name_their_parameter(void **state)
{
	static const char *const bad[] = { "page=0", "page=-1", "page=NaN", "page=1.5", "page=1e3",
		"page=", "page", "page=1000001", "page=99999999999999999999", "page=%31",
		"page=1&page=1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(query(bad[i]));
		assert_string_equal(rq.faults->field, "page");
	}
	assert_false(query("limit=101"));
	assert_string_equal(rq.faults->field, "limit");
}

static void
bad_searches_are_refused(void **state)
{
	static const char *const bad[] = { "search=%", "search=%g0", "search=%00", "search=%ff",
		"search=%ed%a0%80", "search=a%0ab", "search=12345678901", "search=%c2%85" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(query(bad[i]));
		assert_string_equal(rq.faults->field, "search");
	}
}

static void
a_good_body_is_read(void **state)
{
	(void)state;
	assert_int_equal(
	    body(" {\"name\":\"Algebra\",\"rank\":12,\"image\":\"https://a.example/x.png\"} "), OK);
	assert_span(values[0], "Algebra");
	assert_span(values[3], "12");
	assert_null(values[2].at);
	assert_int_equal(body("{\"name\":\"abc\",\"rank\":\"7\",\"content\":\"a\\nb\"}"), OK);
	assert_span(values[3], "7");
	assert_span(values[4], "a\nb");
}

static void
what_is_not_strict_json_is_refused(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "1", "null", "\"x\"",
		"{\"name\":\"abc\",}", "{\"name\":'abc'}", "{\"name\":\"abc\"} x",
		"{\"name\":\"abc\"}{}", "{\"name\":\"abc\" /*x*/}",
		("{\"name\":\"a\xff"
		 "bc\"}"),
		"{\"name\":\"a\nbc\"}", "{\"name\":\"abc\\u0000\"}", "{\"name\\u0000x\":\"abc\"}",
		"{\"name\":\"abc\",\"name\":\"abd\"}", "{\"name\":\"abc\",\"\\u006eame\":\"abd\"}",
		"{\"name\":{\"name\":{\"name\":{\"name\":{\"name\":1}}}}}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (body(bad[i]) != BAD_REQUEST)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(rq.faults);
	}
}

static void
every_bad_field_is_named(void **state)
{
	static const char *const want[] = { "role", "name", "image", "state", "rank", "content" };
	int found = 0;

	(void)state;
	assert_int_equal(
	    body("{\"name\":\"ab\",\"image\":\"ftp://x\",\"state\":\"OPEN\",\"rank\":-1,"
		 "\"content\":\"012345678901234567890\",\"role\":\"ADMIN\"}"),
	    BAD_REQUEST);
	for (const struct fault *f = rq.faults; f; f = f->next) {
		for (size_t i = 0; i < 6; i++)
			found += strcmp(f->field, want[i]) == 0;
	}
	assert_int_equal(found, 6);
}

static void
a_thousand_unknown_fields_are_told_in_short(void **state)
{
	static char text[60000] = "{\"name\":\"abc\"";
	size_t n = strlen(text);
	int told = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"field-%d-%030d\":1", i, i);
	snprintf(text + n, sizeof(text) - n, "}");
	assert_int_equal(body(text), BAD_REQUEST);
	for (const struct fault *f = rq.faults; f; f = f->next)
		told++;
	assert_int_equal(told, 20);
}

static void
types_and_urls_are_checked(void **state)
{
	static const char *const bad[] = { "{\"name\":123}", "{\"name\":null}", "{\"name\":true}",
		"{\"name\":\"abc\",\"rank\":1.5}", "{\"name\":\"abc\",\"rank\":\"x\"}",
		"{\"name\":\"abc\",\"image\":\"http://\"}",
		"{\"name\":\"abc\",\"image\":\"https:///x\"}",
		"{\"name\":\"abc\",\"image\":\"javascript:alert(1)\"}",
		"{\"name\":\"abc\",\"image\":\"https://a b\"}", "{\"name\":\"  a  \"}",
		"{\"name\":\"a\\tbc\"}", "{\"name\":\"abc\",\"state\":\"DRAFT PUBLISHED\"}",
		"{\"name\":\"abc\",\"state\":\"\"}", "{}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (body(bad[i]) != BAD_REQUEST)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void
lengths_count_characters_not_bytes(void **state)
{
	(void)state;
	assert_int_equal(body("{\"name\":\"\xc3\xa9\xc3\xa9\xc3\xa9\"}"), OK);
	assert_int_equal(body("{\"name\":\"\xc3\xa9\xc3\xa9\"}"), BAD_REQUEST);
}

static void
other_media_types_are_refused(void **state)
{
	(void)state;
	assert_int_equal(body("{\"name\":\"abc\"}"), OK);
	rq.content_type = span_of("text/plain");
	assert_int_equal(fields_read(&rq, fields, values), BAD_MEDIA);
	rq.content_type = span_of("");
	assert_int_equal(fields_read(&rq, fields, values), BAD_MEDIA);
	rq.content_type = span_of("application/jsonx");
	assert_int_equal(fields_read(&rq, fields, values), BAD_MEDIA);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    absent_parameters_have_their_defaults, set_up, tear_down),
		cmocka_unit_test_setup_teardown(values_come_out_canonical, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    bad_numbers_name_their_parameter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_searches_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_good_body_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    what_is_not_strict_json_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_bad_field_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_thousand_unknown_fields_are_told_in_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(types_and_urls_are_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    lengths_count_characters_not_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_media_types_are_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
