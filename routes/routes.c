/*
 * The whole API.  Reads are data: a line each for who, parameters, key and
 * SQL file.  Everything else names its handler.
 */
#include "routes/route.h"

#include "routes/handlers.h"
#include "sql.h"

#define GET METHOD_GET
#define POST METHOD_POST
#define PUT METHOD_PUT
#define PATCH METHOD_PATCH
#define DELETE METHOD_DELETE

/* ---- parameters of the query ---- */

static const struct param page[] = {
	{ "page", PARAM_INT, .fallback = 1, .min = 1, .max = 1000000 },
	{ "limit", PARAM_INT, .fallback = 5, .min = 1, .max = 100 },
	{ "search", PARAM_TEXT, .max = 100 },
	{ 0 },
};

/* In the order of control.h. */
static const struct param action[] = {
	{ "action", PARAM_TEXT, .max = 20 },
	{ "pattern", PARAM_TEXT, .max = 300 },
	{ "limit", PARAM_INT, .fallback = 100, .min = 1, .max = 1000 },
	{ "key", PARAM_TEXT, .max = 2048 },
	{ "tag", PARAM_TEXT, .max = 255 },
	{ "course", PARAM_TEXT, .max = 64 },
	{ "dryRun", PARAM_TEXT, .max = 5 },
	{ 0 },
};

/* ---- fields of bodies ---- */

static const struct field course_new[] = {
	[COURSE_NAME] = { "name", FIELD_NAME, true, .min = 3, .max = 40 },
	[COURSE_IMAGE] = { "image", FIELD_URL, true, .min = 8, .max = 2048 },
	[COURSE_PRESENTATION] = { "presentation", FIELD_TEXT, true, .min = 1, .max = 300 },
	[COURSE_STATE] = { "state", FIELD_WORD, .choices = "DRAFT PUBLISHED" },
	{ 0 },
};

static const struct field course_change[] = {
	[COURSE_NAME] = { "name", FIELD_NAME, .min = 3, .max = 40 },
	[COURSE_IMAGE] = { "image", FIELD_URL, .min = 8, .max = 2048 },
	[COURSE_PRESENTATION] = { "presentation", FIELD_TEXT, .min = 1, .max = 300 },
	[COURSE_STATE] = { "state", FIELD_WORD, .choices = "DRAFT PUBLISHED" },
	{ 0 },
};

static const struct field lesson_new[] = {
	[LESSON_NAME] = { "name", FIELD_NAME, true, .min = 3, .max = 40 },
	[LESSON_CONTENT] = { "content", FIELD_TEXT, true, .min = 0, .max = 65536 },
	[LESSON_STATE] = { "state", FIELD_WORD, .choices = "HIDDEN PUBLISHED PUBLIC" },
	{ 0 },
};

static const struct field lesson_change[] = {
	[LESSON_NAME] = { "name", FIELD_NAME, .min = 3, .max = 40 },
	[LESSON_CONTENT] = { "content", FIELD_TEXT, .min = 0, .max = 65536 },
	[LESSON_STATE] = { "state", FIELD_WORD, .choices = "HIDDEN PUBLISHED PUBLIC" },
	[LESSON_RANK] = { "rank", FIELD_RANK, .min = 0, .max = 1000000 },
	{ 0 },
};

static const struct field progress[] = {
	{ "progress", FIELD_WORD, true, .choices = "NOT_STARTED IN_PROGRESS COMPLETED" },
	{ 0 },
};

static const struct field login[] = {
	[LOGIN_EMAIL] = { "email", FIELD_SECRET, true, .min = 3, .max = 254 },
	[LOGIN_PASSWORD] = { "password", FIELD_SECRET, true, .min = 1, .max = PASSWORD_MAX_BYTES },
	{ 0 },
};

/* ---- who may see a shared entry ---- */

static const struct guard course_creator = {
	{ "guard:course:creator", COURSE_DETAIL, KEYED_BY("courseId", "userId") },
	SQL(guard_course_creator),
};

static const struct guard course_member = {
	{ "guard:course:member", COURSE_DETAIL, KEYED_BY("courseId", "userId") },
	SQL(guard_course_member),
};

static const struct guard lesson_reader = {
	{ "guard:lesson:reader", LESSON_DETAIL, KEYED_BY("lessonId", "userId") },
	SQL(guard_lesson_reader),
};

const struct guard *const guards[] = { &course_creator, &course_member, &lesson_reader };
const int guard_count = sizeof(guards) / sizeof(guards[0]);

const struct cached session_cache = { "session", SESSION_LOOKUP, KEYED_BY("token") };

/* ---- the routes ---- */

const struct route routes[] = {
	{ { GET, "/api/public/lessons" }, ANYONE, page,
	    { "public:lessons", SEARCH_RESULTS, KEYED_BY("limit", "page", "search") },
	    .query = SQL(public_lessons) },

	{ { GET, "/api/user/courses" }, SIGNED_IN, page,
	    { "user:courses", SEARCH_RESULTS, KEYED_BY("userId", "limit", "page", "search") },
	    .query = SQL(user_courses) },
	{ { GET, "/api/user/courses/:courseId" }, SIGNED_IN, NULL,
	    { "user:course:details", COURSE_DETAIL, KEYED_BY("courseId") },
	    .query = SQL(user_course) },
	{ { GET, "/api/user/courses/:courseId/lessons" }, SIGNED_IN, page,
	    { "lessons:course", LESSON_LIST,
		KEYED_BY("courseId", "userId", "limit", "page", "search") },
	    .query = SQL(user_course_lessons) },
	{ { GET, "/api/user/courses/:courseId/participants" }, SIGNED_IN, page,
	    { "user:course:participants", SEARCH_RESULTS,
		KEYED_BY("courseId", "limit", "page", "search") },
	    .query = SQL(user_course_participants), .guard = &course_member },
	{ { GET, "/api/user/lessons/:lessonId" }, SIGNED_IN, NULL,
	    { "lesson", LESSON_DETAIL, KEYED_BY("lessonId") }, .query = SQL(user_lesson),
	    .guard = &lesson_reader },
	{ { GET, "/api/user/lessons/:lessonId/progress" }, SIGNED_IN, NULL,
	    { "user-progress:lesson", USER_PROGRESS, KEYED_BY("lessonId", "userId") },
	    .query = SQL(user_lesson_progress) },

	{ { GET, "/api/admin/courses" }, ADMIN, page,
	    { "admin:courses", SEARCH_RESULTS, KEYED_BY("adminId", "limit", "page", "search") },
	    .query = SQL(admin_courses) },
	{ { GET, "/api/admin/courses/:courseId" }, ADMIN, NULL,
	    { "admin:course:details", COURSE_DETAIL, KEYED_BY("courseId") },
	    .query = SQL(admin_course), .guard = &course_creator },
	{ { GET, "/api/admin/courses/:courseId/lessons" }, ADMIN, page,
	    { "admin:lessons:course", LESSON_LIST,
		KEYED_BY("courseId", "limit", "page", "search") },
	    .query = SQL(admin_course_lessons), .guard = &course_creator },
	{ { GET, "/api/admin/courses/:courseId/lessons/:lessonId" }, ADMIN, NULL,
	    { "admin:lesson:details", LESSON_DETAIL, KEYED_BY("courseId", "lessonId") },
	    .query = SQL(admin_course_lesson), .guard = &course_creator },
	{ { GET, "/api/admin/courses/:courseId/participants" }, ADMIN, page,
	    { "admin:course:participants", SEARCH_RESULTS,
		KEYED_BY("courseId", "limit", "page", "search") },
	    .query = SQL(admin_course_participants), .guard = &course_creator },

	{ { POST, "/api/admin/courses" }, ADMIN, .fields = course_new, .run = course_create },
	{ { PATCH, "/api/admin/courses/:courseId" }, ADMIN, .fields = course_change,
	    .run = course_update },
	{ { DELETE, "/api/admin/courses/:courseId" }, ADMIN, .run = course_delete },
	{ { POST, "/api/admin/courses/:courseId/lessons" }, ADMIN, .fields = lesson_new,
	    .run = lesson_create },
	{ { PATCH, "/api/admin/courses/:courseId/lessons/:lessonId" }, ADMIN,
	    .fields = lesson_change, .run = lesson_update },
	{ { DELETE, "/api/admin/courses/:courseId/lessons/:lessonId" }, ADMIN,
	    .run = lesson_delete },

	{ { PUT, "/api/user/courses/:courseId/enrolment" }, SIGNED_IN, .run = enrolment_put },
	{ { DELETE, "/api/user/courses/:courseId/enrolment" }, SIGNED_IN, .run = enrolment_delete },
	{ { PUT, "/api/user/lessons/:lessonId/progress" }, SIGNED_IN, .fields = progress,
	    .run = progress_put },

	{ { POST, "/api/auth/login" }, ANYONE, .fields = login, .run = auth_login },
	{ { POST, "/api/auth/logout" }, SIGNED_IN, .run = auth_logout },
	{ { GET, "/api/auth/me" }, SIGNED_IN, NULL,
	    { "auth:me", SESSION_LOOKUP, KEYED_BY("userId") }, .query = SQL(auth_me),
	    .internal = true },

	{ { GET, "/api/test/cache" }, OPERATOR, action, .run = test_cache },
	{ { POST, "/api/test/cache" }, OPERATOR, action, .run = test_cache },

	{ { GET, "/api/openapi.json" }, ANYONE, .run = openapi, .quick = true },
	{ { GET, "/metrics" }, NETWORK, .run = metrics },
	/* For nginx's auth_request. */
	{ { GET, "/_pupitre/admin" }, ADMIN, .run = health_alive, .quick = true },

	{ { GET, "/healthz" }, ANYONE, .run = health_alive, .quick = true },
	{ { GET, "/readyz" }, ANYONE, .run = health_ready },
};

const int route_count = sizeof(routes) / sizeof(routes[0]);
