#include "web/gate.h"

#include "unit.h"

/* A request as nginx would send it, built piece by piece. */
struct wire {
	unsigned char at[2 * GATE_WIRE_BYTES];
	size_t len;
};

static void
record(struct wire *w, int type, int id, const void *content, size_t len, int padding)
{
	unsigned char head[8] = { 1, (unsigned char)type, (unsigned char)(id >> 8),
		(unsigned char)id, (unsigned char)(len >> 8), (unsigned char)len,
		(unsigned char)padding, 0 };

	memcpy(w->at + w->len, head, 8);
	if (len)
		memcpy(w->at + w->len + 8, content, len);
	memset(w->at + w->len + 8 + len, 0, (size_t)padding);
	w->len += 8 + len + (size_t)padding;
}

static void
begin(struct wire *w, int role, int flags)
{
	unsigned char body[8] = { 0, (unsigned char)role, (unsigned char)flags };

	w->len = 0;
	record(w, 1, 1, body, 8, 0);
}

static void
request(struct wire *w, const char *body, size_t body_len)
{
	static const char pair[] = "\x0c\x0d"
				   "DOCUMENT_URI/api/test/one";

	begin(w, 1, 1);
	record(w, 4, 1, pair, sizeof(pair) - 1, 3);
	record(w, 4, 1, NULL, 0, 0);
	while (body_len) {
		size_t n = body_len < 30000 ? body_len : 30000;

		record(w, 5, 1, body, n, 0);
		body += n;
		body_len -= n;
	}
	record(w, 5, 1, NULL, 0, 0);
}

static struct wire wire;
static struct gate_request seen;
static char params[GATE_PARAMS_BYTES + 1];

/* The pairs that were seen, as name=value with a blank behind each. */
static char pairs[512];

static void
see(void *ctx, struct span name, struct span value)
{
	size_t len = strlen(pairs);

	assert_ptr_equal(ctx, &wire);
	snprintf(pairs + len, sizeof(pairs) - len, "%.*s=%.*s ", SPAN_ARG(name), SPAN_ARG(value));
}

static bool
read_params(void)
{
	pairs[0] = '\0';
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_READY);
	return gate_params(wire.at, &seen, params, see, &wire);
}

/* A request whose one PARAMS record has these bytes. */
static void
request_of(const void *content, size_t len)
{
	begin(&wire, 1, 1);
	record(&wire, 4, 1, content, len, 0);
	record(&wire, 4, 1, NULL, 0, 0);
	record(&wire, 5, 1, NULL, 0, 0);
}

static void
a_whole_request_passes(void **state)
{
	(void)state;
	request(&wire, "hello", 5);
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_READY);
	assert_int_equal(seen.wire_bytes, wire.len);
	assert_int_equal(seen.body_bytes, 5);
	assert_int_equal(seen.params_bytes, 27);
	assert_true(seen.keep_connection);
}

static void
every_beginning_of_it_waits(void **state)
{
	(void)state;
	request(&wire, "hello", 5);
	for (size_t n = 0; n < wire.len; n++)
		assert_int_equal(gate_look(wire.at, n, &seen), GATE_MORE);
}

static void
what_follows_is_not_counted(void **state)
{
	size_t len;

	(void)state;
	request(&wire, "", 0);
	len = wire.len;
	record(&wire, 1, 1, "\0\1\0\0\0\0\0\0", 8, 0);
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_READY);
	assert_int_equal(seen.wire_bytes, len);
}

static void
forged_records_inside_a_body_stay_body(void **state)
{
	static char body[60000];
	struct wire *forged = calloc(1, sizeof(*forged));

	(void)state;
	request(forged, "", 0);
	memcpy(body, forged->at, forged->len);
	memcpy(body + 8192 - 100, forged->at, forged->len);
	request(&wire, body, sizeof(body));
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_READY);
	assert_int_equal(seen.body_bytes, sizeof(body));
	assert_int_equal(seen.wire_bytes, wire.len);
	free(forged);
}

static void
a_body_over_the_cap_is_too_large(void **state)
{
	static char body[GATE_BODY_BYTES + 1];

	(void)state;
	request(&wire, body, sizeof(body));
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_TOO_LARGE);
	request(&wire, body, sizeof(body) - 1);
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_READY);
}

static void
management_records_are_broken(void **state)
{
	(void)state;
	wire.len = 0;
	record(&wire, 9, 0, "\x0e\0FCGI_MAX_CONNS", 16, 0);
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_BROKEN);
	begin(&wire, 1, 1);
	record(&wire, 9, 0, "\x0e\0FCGI_MAX_CONNS", 16, 0);
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_BROKEN);
}

static void
other_roles_versions_and_ids_are_broken(void **state)
{
	(void)state;
	begin(&wire, 2, 1);
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_BROKEN);
	begin(&wire, 1, 1);
	wire.at[0] = 2;
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_BROKEN);
	begin(&wire, 1, 1);
	record(&wire, 4, 2,
	    "\x01\x01"
	    "ab",
	    4, 0);
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_BROKEN);
}

static void
lengths_that_lie_are_broken(void **state)
{
	(void)state;
	/* A name of 2 GiB. */
	request_of("\xff\xff\xff\xff\x01"
		   "ab",
	    7);
	assert_false(read_params());
	/* Both of 2 GiB less one: their sum must not overflow. */
	request_of("\xff\xff\xff\xff\xff\xff\xff\xff"
		   "ab",
	    10);
	assert_false(read_params());
	/* Parameters that end inside a value, a length, between the two. */
	request_of("\x01\x09"
		   "ab",
	    4);
	assert_false(read_params());
	request_of("\x01\x80\x00", 3);
	assert_false(read_params());
	request_of("\x01", 1);
	assert_false(read_params());
	/* A name of nothing. */
	request_of("\x00\x01"
		   "a",
	    3);
	assert_false(read_params());
	/* A NUL in a value. */
	request_of("\x01\x02"
		   "ab\0",
	    5);
	assert_false(read_params());
}

static void
parameters_are_read(void **state)
{
	(void)state;
	request_of("\x01\x02"
		   "abc"
		   "\x80\0\0\x03\x00"
		   "def",
	    13);
	assert_true(read_params());
	assert_string_equal(pairs, "a=bc def= ");
}

static void
pairs_may_be_cut_by_records(void **state)
{
	static const char pair[] = "\x80\0\0\x01\x02"
				   "abc";

	(void)state;
	begin(&wire, 1, 1);
	for (size_t i = 0; i < sizeof(pair) - 1; i++)
		record(&wire, 4, 1, pair + i, 1, (int)i % 3);
	record(&wire, 4, 1, NULL, 0, 0);
	record(&wire, 5, 1, NULL, 0, 0);
	assert_true(read_params());
	assert_string_equal(pairs, "a=bc ");
}

static void
a_body_in_pieces_is_put_together(void **state)
{
	char body[9];

	(void)state;
	begin(&wire, 1, 1);
	record(&wire, 4, 1, NULL, 0, 0);
	record(&wire, 5, 1, "one ", 4, 4);
	record(&wire, 5, 1, "two, ", 5, 3);
	record(&wire, 5, 1, NULL, 0, 0);
	assert_true(read_params());
	assert_int_equal(seen.body_bytes, sizeof(body));
	gate_body(wire.at, &seen, body);
	assert_memory_equal(body, "one two, ", sizeof(body));
}

static void
padding_is_passed_over_anywhere(void **state)
{
	(void)state;
	for (int padded = 0; padded < 4; padded++) {
		char body[4];

		wire.len = 0;
		record(&wire, 1, 1, "\0\1\1\0\0\0\0\0", 8, padded == 1 ? 8 : 0);
		record(&wire, 4, 1,
		    "\x01\x02"
		    "abc",
		    5, 3);
		record(&wire, 4, 1, NULL, 0, padded == 2 ? 8 : 0);
		record(&wire, 5, 1, "body", 4, 4);
		record(&wire, 5, 1, NULL, 0, padded == 3 ? 8 : 0);
		assert_true(read_params());
		assert_string_equal(pairs, "a=bc ");
		gate_body(wire.at, &seen, body);
		assert_memory_equal(body, "body", 4);
		assert_int_equal(seen.wire_bytes, wire.len);
	}
}

static void
more_parameters_than_the_cap_are_broken(void **state)
{
	static char many[GATE_PARAMS_BYTES + 1];

	(void)state;
	request_of(many, sizeof(many));
	assert_int_equal(gate_look(wire.at, wire.len, &seen), GATE_BROKEN);
}

/* Records of one byte: the framing is eight times the content. */
static void
framing_that_fills_the_buffer_waits_no_longer(void **state)
{
	(void)state;
	begin(&wire, 1, 1);
	record(&wire, 4, 1, NULL, 0, 0);
	while (wire.len < GATE_WIRE_BYTES)
		record(&wire, 5, 1, "x", 1, 0);
	assert_int_equal(gate_look(wire.at, GATE_WIRE_BYTES, &seen), GATE_TOO_LARGE);
	begin(&wire, 1, 1);
	while (wire.len < GATE_WIRE_BYTES)
		record(&wire, 4, 1, "x", 1, 0);
	assert_int_equal(gate_look(wire.at, GATE_WIRE_BYTES, &seen), GATE_BROKEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_request_passes),
		cmocka_unit_test(every_beginning_of_it_waits),
		cmocka_unit_test(what_follows_is_not_counted),
		cmocka_unit_test(forged_records_inside_a_body_stay_body),
		cmocka_unit_test(a_body_over_the_cap_is_too_large),
		cmocka_unit_test(management_records_are_broken),
		cmocka_unit_test(other_roles_versions_and_ids_are_broken),
		cmocka_unit_test(lengths_that_lie_are_broken),
		cmocka_unit_test(pairs_may_be_cut_by_records),
		cmocka_unit_test(parameters_are_read),
		cmocka_unit_test(a_body_in_pieces_is_put_together),
		cmocka_unit_test(padding_is_passed_over_anywhere),
		cmocka_unit_test(more_parameters_than_the_cap_are_broken),
		cmocka_unit_test(framing_that_fills_the_buffer_waits_no_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
