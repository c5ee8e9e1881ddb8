#include "web/router.h"

#include "unit.h"

static const struct pattern list[] = {
	{ METHOD_GET, "/api/courses" },
	{ METHOD_POST, "/api/courses" },
	{ METHOD_GET, "/api/courses/:courseId" },
	{ METHOD_DELETE, "/api/courses/:courseId/lessons/:lessonId" },
	{ METHOD_GET, "/healthz" },
};

static struct match
find(enum method m, const char *path)
{
	const struct pattern *patterns[5];

	for (int i = 0; i < 5; i++)
		patterns[i] = &list[i];
	return router_find(patterns, 5, m, span_of(path));
}

static void
a_path_finds_its_pattern_and_ids(void **state)
{
	struct match m = find(METHOD_DELETE, "/api/courses/c1/lessons/l2");

	(void)state;
	assert_int_equal(m.index, 3);
	assert_int_equal(m.id_count, 2);
	assert_span(m.ids[0], "c1");
	assert_span(m.ids[1], "l2");
	assert_int_equal(find(METHOD_POST, "/api/courses").index, 1);
	assert_int_equal(find(METHOD_GET, "/healthz").index, 4);
}

static void
another_method_says_which_are_allowed(void **state)
{
	struct match m = find(METHOD_PUT, "/api/courses");
	struct buf allow;

	(void)state;
	assert_int_equal(m.index, -1);
	buf_init(&allow, 64);
	router_allow(m.allowed, &allow);
	assert_span(buf_span(&allow), "GET, HEAD, POST");
	buf_free(&allow);
}

static void
odd_paths_match_nothing(void **state)
{
	static const char *const odd[] = { "", "/", "api/courses", "/api//courses", "/api/courses/",
		"/api/courses//", "/api/./courses", "/api/courses/..", "/api/courses/c1/lessons",
		"/api/courses/c1/lessons/l2/x", "/API/courses", "/healthz/" };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct match m = find(METHOD_GET, odd[i]);

		assert_int_equal(m.index, -1);
		assert_int_equal(m.allowed, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_finds_its_pattern_and_ids),
		cmocka_unit_test(another_method_says_which_are_allowed),
		cmocka_unit_test(odd_paths_match_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
