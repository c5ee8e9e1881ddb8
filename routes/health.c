#include "routes/handlers.h"

/* The process answers: that is all it says. */
enum status
health_alive(struct call *c)
{
	respond_json(c->rq, OK, span_of("{\"status\":\"ok\"}"));
	return OK;
}

/* PostgreSQL is needed; without Redis the service is slower, not down. */
enum status
health_ready(struct call *c)
{
	bool redis = !c->app->remote || remote_ping(c->app->remote);
	enum status st = db_ping(c->app->db);

	if (st != OK)
		return st;
	if (!c->app->remote)
		respond_json(c->rq, OK,
		    span_of("{\"status\":\"ok\",\"postgresql\":\"up\",\"redis\":\"none\"}"));
	else if (redis)
		respond_json(c->rq, OK,
		    span_of("{\"status\":\"ok\",\"postgresql\":\"up\",\"redis\":\"up\"}"));
	else
		respond_json(c->rq, OK,
		    span_of("{\"status\":\"degraded\",\"postgresql\":\"up\",\"redis\":\"down\"}"));
	return OK;
}
