#include "routes/handlers.h"

#include "base/random.h"
#include "sql.h"

enum status
course_create(struct call *c)
{
	const struct span draft = SPAN("DRAFT");
	struct span state = c->fields[COURSE_STATE].at ? c->fields[COURSE_STATE] : draft;
	char id[RANDOM_ID_BYTES];
	struct sql_call write;

	random_id(id);
	write = SQL_CALL(course_create, span_of(id), c->fields[COURSE_NAME],
	    c->fields[COURSE_IMAGE], c->fields[COURSE_PRESENTATION], state, call_user(c));
	return call_write(c, NULL, &write);
}

enum status
course_update(struct call *c)
{
	struct sql_call lock = SQL_CALL(course_lock, c->ids[0], call_user(c));
	struct sql_call write =
	    SQL_CALL(course_update, c->ids[0], call_user(c), c->fields[COURSE_NAME],
		c->fields[COURSE_IMAGE], c->fields[COURSE_PRESENTATION], c->fields[COURSE_STATE]);

	return call_write(c, &lock, &write);
}

enum status
course_delete(struct call *c)
{
	struct sql_call lock = SQL_CALL(course_lock, c->ids[0], call_user(c));
	struct sql_call write = SQL_CALL(course_delete, c->ids[0], call_user(c));

	return call_write(c, &lock, &write);
}
