/*
 * The readers' pages over HTTP: libmicrohttpd in the program's event loop, without threads. Every
 * connection has a deadline for each thing that its peer has to do, so that slow ones can't hold
 * the others up; there are at most web.connections of them.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "store/settings.h"

struct server;

/* Takes the socket over, which listens already. `settings` must live until server_reload(). */
int server_open(sd_event *event, const struct settings *settings, int fd, struct server **ret,
		struct why *why);
void server_free(struct server *s);
DEFINE_CLEANUP(struct server *, server_free);

/* Other settings, pages included. When these can't be loaded, the old pages stay. */
void server_reload(struct server *s, const struct settings *settings);

/*
 * Takes no more connections, answers what has begun, and then calls `drained`, at the latest after
 * web.timeout.
 */
void server_drain(struct server *s, void (*drained)(void *user), void *user);
