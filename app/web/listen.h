/*
 * The listening socket: given by whoever started us, or made by us.
 */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include <stdbool.h>

/*
 * A listening, non-blocking socket:
 *   PATH set      a unix socket made there, mode 0660; a dead one is replaced
 *   systemd       descriptor 3, if LISTEN_PID is ours and LISTEN_FDS is 1
 *   otherwise     descriptor 0, as spawn-fcgi hands it over
 * -1, with a sentence in *WHY, if there is none.  Before any thread.
 */
int listen_open(const char *path, const char **why);
/* Removes the socket that listen_open() made; PATH may be NULL. */
void listen_close(int fd, const char *path);

#endif
