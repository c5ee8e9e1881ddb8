/*
 * A connection that nginx keeps alive, and the one request on it.  Its state
 * is the list that it is on.  Only its reactor's thread touches it.
 */
#ifndef WEB_CONN_H
#define WEB_CONN_H

#include <stdatomic.h>

#include "web/frame.h"
#include "web/gate.h"
#include "web/server.h"

enum conn_state {
	CONN_IDLE, /* no byte of a request yet */
	CONN_READING, /* some bytes, not all: bounded by request_ms */
	CONN_PARKED, /* its request waits for somebody's request_resume() */
	CONN_SENDING, /* the socket is full: bounded by send_ms */
	CONN_STATES
};

struct reactor;

struct conn {
	struct reactor *home;
	struct conn *older;
	struct conn *newer;
	enum conn_state state;
	int64_t since_ms; /* in this state */
	int fd;
	bool news; /* an event came while it was busy */
	bool close_after;
	unsigned char *kept; /* what has come of a request, NULL: nothing */
	size_t kept_len;
	struct gate_request gate;
	struct frame frame;
	struct request request;
};

/* Connections in one state, the longest there first. */
struct conn_list {
	struct conn *oldest;
	struct conn *newest;
	size_t count;
};

/* A connection that another reactor accepted for this one. */
struct newcomer {
	struct newcomer *next;
	int fd;
};

/* What a connection needs of its reactor. */
struct reactor {
	struct server *server;
	const struct server_config *config;
	int epoll_fd;
	int wake_fd;
	struct conn_list lists[CONN_STATES];
	unsigned char *wire; /* GATE_WIRE_BYTES, of the connection being read */
	int64_t now_ms; /* of this round */
	int64_t wall_ms;
	struct buf log; /* lines of this round */
	bool draining;
	bool listening; /* the socket is in the epoll set */
	int64_t listen_again_ms;
	_Atomic(struct request *) resumed; /* stack, pushed by any thread */
	_Atomic(struct newcomer *) newcomers; /* likewise, by other reactors */
	_Atomic uint64_t requests, connections, accepted, broken, too_slow;
};

/* Takes FD over, which is counted in .connections already; closes it when it
 * cannot. */
void conn_open(struct reactor *r, int fd);
void conn_close(struct conn *c);
/* An epoll event for it. */
void conn_event(struct conn *c, uint32_t events);
/* Its parked request goes on. */
void conn_resume(struct conn *c);
/* Close what has been in its state for too long; returns the milliseconds to
 * the next such moment, or -1. */
int conn_expire(struct reactor *r, int64_t now_ms);
/* The server is ending: look once more at each idle connection and close it. */
void conn_drain(struct reactor *r);
size_t conn_count(const struct reactor *r);

#endif
