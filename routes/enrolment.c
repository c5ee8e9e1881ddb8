#include "routes/handlers.h"

#include "base/random.h"
#include "sql.h"

/* The course is held against deletion first, so that joining a course that
 * goes away at the same moment is "not found" and not an error. */

enum status
enrolment_put(struct call *c)
{
	struct sql_call lock = SQL_CALL(enrolment_lock, c->ids[0]);
	char id[RANDOM_ID_BYTES];
	struct sql_call write;

	random_id(id);
	write = SQL_CALL(enrolment_join, span_of(id), call_user(c), c->ids[0]);
	return call_write(c, &lock, &write);
}

enum status
enrolment_delete(struct call *c)
{
	struct sql_call lock = SQL_CALL(enrolment_lock, c->ids[0]);
	struct sql_call write = SQL_CALL(enrolment_leave, call_user(c), c->ids[0]);

	return call_write(c, &lock, &write);
}
