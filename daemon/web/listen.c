#include "web/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/str.h"

enum { BACKLOG = 511 };

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	struct sockaddr_un local;
};

static int from_systemd(int *ret_fd, struct why *why)
{
	int n = sd_listen_fds(1);
	if (n < 0)
		return why_set(why, n, "systemd's sockets: %s", strerror(-n));
	if (n != 1)
		return why_set(why, -EINVAL,
			       "web.listen is \"systemd\", which passed %d sockets instead of one "
			       "(is it started by digestweb.socket?)",
			       n);
	int fd = SD_LISTEN_FDS_START;
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
		return why_set(why, -EINVAL,
			       "what systemd passed isn't a stream socket that listens");
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return why_set(why, -errno, "systemd's socket: %s", strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* "ADDRESS:PORT", "[ADDRESS]:PORT" or "unix:PATH", which settings have checked. */
static socklen_t parse(const char *where, union address *ret)
{
	char host[INET6_ADDRSTRLEN + 2] = "";
	memset(ret, 0, sizeof(*ret));
	if (strncmp(where, "unix:", 5) == 0) {
		ret->local.sun_family = AF_UNIX;
		if (strlen(where + 5) >= sizeof(ret->local.sun_path))
			return 0;
		strcpy(ret->local.sun_path, where + 5);
		return sizeof(ret->local);
	}
	const char *colon = strrchr(where, ':');
	size_t n = colon ? (size_t)(colon - where) : 0;
	if (n == 0 || n >= sizeof(host))
		return 0;
	bool bracketed = where[0] == '[';
	memcpy(host, where + bracketed, n - 2 * bracketed);
	in_port_t port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, host, &ret->four.sin_addr) == 1) {
		ret->four.sin_family = AF_INET;
		ret->four.sin_port = port;
		return sizeof(ret->four);
	}
	if (inet_pton(AF_INET6, host, &ret->six.sin6_addr) == 1) {
		ret->six.sin6_family = AF_INET6;
		ret->six.sin6_port = port;
		return sizeof(ret->six);
	}
	return 0;
}

/* Removes a unix socket that a process which is gone has left behind. */
static void remove_stale(const union address *address, socklen_t size)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, &address->any, size) < 0 && errno == ECONNREFUSED)
		unlink(address->local.sun_path);
}

int listen_open(const char *where, int *ret_fd, struct why *why)
{
	if (strcmp(where, "systemd") == 0)
		return from_systemd(ret_fd, why);
	union address address;
	socklen_t size = parse(where, &address);
	if (!size)
		return why_set(why, -EINVAL, "web.listen: \"%s\" is no address", where);
	_cleanup_close_ int fd =
	    socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return why_set(why, -errno, "web.listen: %s: %s", where, strerror(errno));
	if (address.any.sa_family == AF_UNIX)
		remove_stale(&address, size);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, &address.any, size) < 0 || listen(fd, BACKLOG) < 0)
		return why_set(why, -errno, "web.listen: %s: %s", where, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

const char *listen_text(int fd, char *text, size_t room)
{
	union address a;
	char host[INET6_ADDRSTRLEN] = "";
	socklen_t size = sizeof(a);
	memset(&a, 0, sizeof(a));
	if (getsockname(fd, &a.any, &size) < 0)
		snprintf(text, room, "?");
	else if (a.any.sa_family == AF_UNIX)
		snprintf(text, room, "unix:%s", a.local.sun_path);
	else if (a.any.sa_family == AF_INET)
		snprintf(text, room, "%s:%d",
			 inet_ntop(AF_INET, &a.four.sin_addr, host, sizeof(host)),
			 ntohs(a.four.sin_port));
	else
		snprintf(text, room, "[%s]:%d",
			 inet_ntop(AF_INET6, &a.six.sin6_addr, host, sizeof(host)),
			 ntohs(a.six.sin6_port));
	return text;
}
