/*
 * The socket that requests come in by: a port, a unix socket, or what systemd passes on
 * (sd_listen_fds(3)). It is non-blocking and listens already.
 */
#pragma once

#include <stddef.h>

#include "base/why.h"

/*
 * `where` as in web.listen. -errno with the reason; -EADDRINUSE: somebody else listens there. A
 * unix socket that nobody listens on any more is replaced.
 */
int listen_open(const char *where, int *ret_fd, struct why *why);

/* What the socket is bound to, for the log: "127.0.0.1:8080", "unix:/run/web.sock". */
const char *listen_text(int fd, char *text, size_t room);
