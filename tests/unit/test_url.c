#include "db/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char schema[64];

static void
becomes(const char *url, const char *expected, const char *expected_schema)
{
	const char *why = NULL;
	struct buf out;

	buf_init(&out, 1000);
	assert_true(url_for_libpq(url, &out, schema, sizeof(schema), &why));
	assert_true(span_is(buf_span(&out), expected));
	assert_string_equal(schema, expected_schema);
	buf_free(&out);
}

static void
is_refused(const char *url)
{
	const char *why = NULL;
	struct buf out;

	buf_init(&out, 200);
	assert_false(url_for_libpq(url, &out, schema, sizeof(schema), &why));
	assert_non_null(why);
	buf_free(&out);
}

static void
a_plain_url_passes_unchanged(void **state)
{
	(void)state;
	becomes("postgresql://u:p@h:5432/d", "postgresql://u:p@h:5432/d", "");
	becomes("postgres://h1:1,h2:2/d?sslmode=require&target_session_attrs=any",
	    "postgres://h1:1,h2:2/d?sslmode=require&target_session_attrs=any", "");
	becomes("postgresql://", "postgresql://", "");
}

static void
a_key_value_string_passes_unchanged(void **state)
{
	(void)state;
	becomes("host=/tmp dbname=x schema=y", "host=/tmp dbname=x schema=y", "");
	becomes("dbname=x password=a://b", "dbname=x password=a://b", "");
}

static void
prismas_parameters_are_left_out(void **state)
{
	(void)state;
	becomes("postgresql://h/d?connection_limit=5&sslmode=require&pgbouncer=true"
		"&application_name=x&pool_timeout=2&socket_timeout=1&statement_cache_size=0"
		"&sslaccept=strict",
	    "postgresql://h/d?sslmode=require&application_name=x", "");
	becomes("postgresql://h/d?connection_limit=5", "postgresql://h/d", "");
	becomes("postgresql://h/d?&&", "postgresql://h/d", "");
}

static void
the_schema_is_taken_out(void **state)
{
	(void)state;
	becomes("postgresql://h/d?schema=public", "postgresql://h/d", "public");
	becomes("postgresql://h/d?a=b&schema=My_1&c=d", "postgresql://h/d?a=b&c=d", "My_1");
}

static void
a_question_mark_in_a_password_begins_no_query(void **state)
{
	(void)state;
	becomes("postgresql://u:p?schema=x@h/d?schema=y", "postgresql://u:p?schema=x@h/d", "y");
}

static void
what_is_no_connection_string_is_refused(void **state)
{
	(void)state;
	is_refused("");
	is_refused("localhost");
	is_refused("mysql://h/d");
	is_refused("prisma://accelerate.example/?api_key=x");
	is_refused("postgresql://h/d?schema=");
	is_refused("postgresql://h/d?schema");
	is_refused("postgresql://h/d?schema=a\"b");
	is_refused("postgresql://h/d?schema=a%20b");
	is_refused("postgresql://h/d?schema="
		   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void
a_url_beyond_the_cap_is_refused(void **state)
{
	char url[300] = "postgresql://h/";

	(void)state;
	memset(url + 15, 'a', sizeof(url) - 16);
	is_refused(url);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_url_passes_unchanged),
		cmocka_unit_test(a_key_value_string_passes_unchanged),
		cmocka_unit_test(prismas_parameters_are_left_out),
		cmocka_unit_test(the_schema_is_taken_out),
		cmocka_unit_test(a_question_mark_in_a_password_begins_no_query),
		cmocka_unit_test(what_is_no_connection_string_is_refused),
		cmocka_unit_test(a_url_beyond_the_cap_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
