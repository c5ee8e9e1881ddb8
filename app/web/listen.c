#include "web/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024
#define SYSTEMD_FD 3

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static int
nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? fd : -1;
}

static bool
from_systemd(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");

	return pid && count && strtol(pid, NULL, 10) == getpid() && strcmp(count, "1") == 0;
}

static bool
someone_answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes;

	if (fd < 0)
		return false;
	yes =
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
	close(fd);
	return yes;
}

static int
make(const char *path, const char **why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t before;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		*why = "PUPITRE_LISTEN: the path is too long for a unix socket";
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (someone_answers(&address)) {
		*why = "PUPITRE_LISTEN: another process answers on that socket";
		return -1;
	}
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	before = umask(0117);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(fd, BACKLOG) == 0) {
		umask(before);
		return fd;
	}
	umask(before);
	*why = "PUPITRE_LISTEN: the socket cannot be made there";
	if (fd >= 0)
		close(fd);
	return -1;
}

int
listen_open(const char *path, const char **why)
{
	if (path)
		return make(path, why);
	if (from_systemd() && is_listening(SYSTEMD_FD))
		return nonblocking(SYSTEMD_FD);
	if (is_listening(STDIN_FILENO))
		return nonblocking(STDIN_FILENO);
	*why = "no socket to listen on: start me with spawn-fcgi or systemd, "
	       "or set PUPITRE_LISTEN to a path";
	return -1;
}

void
listen_close(int fd, const char *path)
{
	close(fd);
	if (path)
		unlink(path);
}
