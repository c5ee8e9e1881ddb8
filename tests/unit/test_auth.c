/* Sessions and passwords. */
#include "auth/password.h"
#include "auth/session.h"

#include "base/random.h"
#include "unit.h"

static void
a_foreign_token_is_looked_for_as_it_is(void **state)
{
	char stored[SESSION_STORED_BYTES];

	(void)state;
	assert_true(session_stored(span_of("0b8c-uuid"), stored));
	assert_string_equal(stored, "0b8c-uuid");
}

static void
a_token_of_ours_is_looked_for_by_its_hash(void **state)
{
	char token[SESSION_TOKEN_BYTES];
	char stored[SESSION_STORED_BYTES];
	char name[SESSION_NAME_BYTES];
	char again[SESSION_STORED_BYTES];

	(void)state;
	session_new(token);
	assert_int_equal(strlen(token), 4 + 64);
	assert_true(session_stored(span_of(token), stored));
	assert_memory_equal(stored, "pupitre$", 8);
	assert_null(strstr(stored, token + 4));
	/* What is stored opens nothing, and the cache's name says nothing of it. */
	assert_false(session_stored(span_of(stored), again));
	session_name(span_of(token), name);
	assert_null(strstr(stored, name));
}

static void
odd_tokens_are_nobodys(void **state)
{
	static char long_one[600];
	char stored[SESSION_STORED_BYTES];

	(void)state;
	memset(long_one, 'x', sizeof(long_one) - 1);
	assert_false(session_stored(span_of(""), stored));
	assert_false(session_stored(span_of("a b"), stored));
	assert_false(session_stored(span_of("a\n"), stored));
	assert_false(session_stored(span_of("\xc3\xa9"), stored));
	assert_false(session_stored(span_of("pupitre$abc"), stored));
	assert_false(session_stored(span_of(long_one), stored));
}

static void
a_session_ends_on_time_and_must_be_whole(void **state)
{
	static const char *const bad[] = { "", "u", "u\tADMIN", "u\tKING\t2000", "\tUSER\t2000",
		"u\tUSER\t", "u\tUSER\tx", "u\tUSER\t2000\tz", "u\tUSER\t1000" };
	struct identity user = { 0 };

	(void)state;
	assert_true(session_parse(span_of("u1\tADMIN\t2000"), 1999, &user));
	assert_int_equal(user.role, ROLE_ADMIN);
	assert_string_equal(user.id, "u1");
	assert_false(session_parse(span_of("u1\tADMIN\t2000"), 2000, &user));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(session_parse(span_of(bad[i]), 1000, &user));
}

static void
passwords_are_hashed_and_checked(void **state)
{
	struct password_gate *gate = password_gate_new(1, 1000);
	char hash[PASSWORD_HASH_BYTES];

	(void)state;
	assert_int_equal(password_hash(gate, span_of("correct horse"), hash), OK);
	assert_memory_equal(hash, "$argon2id$", 10);
	assert_int_equal(password_verify(gate, span_of(hash), span_of("correct horse")), OK);
	assert_int_equal(
	    password_verify(gate, span_of(hash), span_of("wrong horse")), UNAUTHENTICATED);
	assert_int_equal(
	    password_verify(gate, span_of(""), span_of("correct horse")), UNAUTHENTICATED);
	assert_int_equal(password_verify(gate, span_of("garbage"), span_of("x")), UNAUTHENTICATED);
	password_gate_free(gate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_foreign_token_is_looked_for_as_it_is),
		cmocka_unit_test(a_token_of_ours_is_looked_for_by_its_hash),
		cmocka_unit_test(odd_tokens_are_nobodys),
		cmocka_unit_test(a_session_ends_on_time_and_must_be_whole),
		cmocka_unit_test(passwords_are_hashed_and_checked),
	};

	if (!random_start())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
