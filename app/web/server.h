/*
 * The FastCGI server: reactors, their connections, and the way of a request
 * from the socket to the handler and back.
 *
 * The handler runs on a reactor and must never block.  It returns ANSWERED
 * with rq->response filled, or PARKED after it arranged for request_resume()
 * to be called once, from any thread (even before it returns); the handler
 * then runs again for the same request, on the same reactor.
 */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include "web/request.h"

struct server;

enum handled { ANSWERED, PARKED };

struct server_config {
	int listen_fd; /* listening, non-blocking; stays the caller's */
	int reactors;
	int connections; /* of one reactor; beyond, the longest idle one is closed */
	int request_ms; /* a begun request must be whole by then */
	int send_ms; /* an answer must be taken by then */
	unsigned cells; /* TRAFFIC_CELLS of traffic.h, for what belongs to no route */
	void *app;
	enum handled (*handle)(void *app, struct request *rq);
};

/* NULL, with a line in the log, if a thread or a descriptor cannot be had. */
struct server *server_start(const struct server_config *config);
/*
 * Accept nothing more, close idle connections, let requests under way end
 * within DRAIN_MS, and end the threads.  True: all of them did; stop the
 * workers, then call server_free().  False: requests are still parked or
 * being sent; the process must exit without freeing anything.
 */
bool server_stop(struct server *s, int drain_ms);
void server_free(struct server *s);

/* Any thread, once for each PARKED. */
void request_resume(struct request *rq);

struct server_stats {
	uint64_t requests;
	uint64_t connections; /* open now */
	uint64_t most_connections; /* of one reactor */
	uint64_t accepted;
	uint64_t broken; /* closed: not FastCGI as nginx speaks it */
	uint64_t too_slow; /* closed: not whole, or not taken, in time */
};

void server_read_stats(struct server *s, struct server_stats *out);

#endif
