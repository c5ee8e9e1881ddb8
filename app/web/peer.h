/*
 * Who may speak FastCGI to us on a unix socket.  The socket's file mode says
 * who may connect; this is the second lock, should the file be opened wider
 * than it was meant, or its descriptor handed around.  Any thread.
 */
#ifndef WEB_PEER_H
#define WEB_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct peer_rule {
	bool any; /* not a unix socket: the network decides */
	gid_t group; /* of the socket's file */
};

/* The rule for a listening socket. */
struct peer_rule peer_rule_of(int listen_fd);
/* Root, our own user, or a member of the socket's group? */
bool peer_allowed(const struct peer_rule *rule, int fd);

#endif
