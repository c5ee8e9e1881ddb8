#include "web/peer.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define GROUPS_MAX 256

struct peer_rule
peer_rule_of(int listen_fd)
{
	struct sockaddr_un address = { 0 };
	socklen_t len = sizeof(address) - 1;
	struct peer_rule rule = { .group = getegid() };
	struct stat file;

	if (getsockname(listen_fd, (struct sockaddr *)&address, &len) < 0 ||
	    address.sun_family != AF_UNIX)
		rule.any = true;
	else if (address.sun_path[0] && stat(address.sun_path, &file) == 0)
		rule.group = file.st_gid;
	return rule;
}

static bool
is_member(int fd, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

bool
peer_allowed(const struct peer_rule *rule, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (rule->any)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid() || peer.gid == rule->group ||
	    is_member(fd, rule->group);
}
