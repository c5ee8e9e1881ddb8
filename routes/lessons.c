#include "routes/handlers.h"

#include "base/random.h"
#include "sql.h"

enum status
lesson_create(struct call *c)
{
	const struct span hidden = SPAN("HIDDEN");
	struct span state = c->fields[LESSON_STATE].at ? c->fields[LESSON_STATE] : hidden;
	struct sql_call lock = SQL_CALL(course_lock, c->ids[0], call_user(c));
	char id[RANDOM_ID_BYTES];
	struct sql_call write;

	random_id(id);
	write = SQL_CALL(lesson_create, span_of(id), c->ids[0], c->fields[LESSON_NAME],
	    c->fields[LESSON_CONTENT], state);
	return call_write(c, &lock, &write);
}

enum status
lesson_update(struct call *c)
{
	struct sql_call lock = SQL_CALL(course_lock, c->ids[0], call_user(c));
	struct sql_call write =
	    SQL_CALL(lesson_update, c->ids[0], c->ids[1], call_user(c), c->fields[LESSON_NAME],
		c->fields[LESSON_CONTENT], c->fields[LESSON_STATE], c->fields[LESSON_RANK]);

	return call_write(c, &lock, &write);
}

enum status
lesson_delete(struct call *c)
{
	struct sql_call lock = SQL_CALL(course_lock, c->ids[0], call_user(c));
	struct sql_call write = SQL_CALL(lesson_delete, c->ids[0], c->ids[1], call_user(c));

	return call_write(c, &lock, &write);
}

enum status
progress_put(struct call *c)
{
	char id[RANDOM_ID_BYTES];
	struct sql_call write;

	random_id(id);
	write = SQL_CALL(progress_put, span_of(id), call_user(c), c->ids[0], c->fields[0]);
	return call_write(c, NULL, &write);
}
