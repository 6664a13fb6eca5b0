#include "web/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "web/request.h"

enum {
	HEAD_MOST = 32 << 10, /* bytes of a request's head, and of what libmicrohttpd needs */
	SLOW_READER = 4,      /* times web.timeout: for taking an answer */
	SWEEP_USEC = 500 * 1000,
	ACCURACY_USEC = 1, /* 0 would let sd-event be late by 250 ms */
};

/* A connection. */
struct guest {
	struct server *server;
	int fd;
	bool busy;       /* a request has begun and isn't answered */
	usec_t deadline; /* for what its peer has to do; 0: it is our turn */
	struct request *request;
	struct guest *next, **prev_next;
};

struct server {
	sd_event *event;
	struct MHD_Daemon *http;
	struct site site;
	struct pool *pool;
	struct request_parts parts;
	sd_event_source *io, *timer, *sweep;
	struct guest *guests;
	bool again; /* a connection has ended: one that waited may be taken now */
	bool draining;
	usec_t drain_until;
	void (*drained)(void *user);
	void *drained_user;
};

/* ---- the loop ----------------------------------------------------------------------------- */

static void turn_soon(void *user)
{
	struct server *s = user;
	sd_event_source_set_time_relative(s->timer, 0);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void turn(struct server *s)
{
	MHD_UNSIGNED_LONG_LONG msec;
	s->again = false;
	MHD_run(s->http);
	if (s->again) {
		turn_soon(s);
	} else if (MHD_get_timeout(s->http, &msec) == MHD_YES) {
		sd_event_source_set_time_relative(s->timer, msec * USEC_PER_MSEC);
		sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source, (void)fd, (void)events;
	turn(user);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source, (void)usec;
	turn(user);
	return 0;
}

/* ---- connections -------------------------------------------------------------------------- */

/* libmicrohttpd sees the end of the connection and takes it down. */
static void guest_close(struct guest *g)
{
	shutdown(g->fd, SHUT_RDWR);
}

static void wait_for_peer(struct guest *g, unsigned times)
{
	g->deadline = clock_mono() + times * g->server->site.settings->web.timeout;
}

static void finish_drain(struct server *s)
{
	void (*drained)(void *) = steal(s->drained);
	if (drained)
		drained(s->drained_user);
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *user)
{
	(void)usec;
	struct server *s = user;
	usec_t now = clock_mono();
	for (struct guest *g = s->guests; g; g = g->next)
		if ((g->deadline && g->deadline <= now) || (s->draining && !g->busy))
			guest_close(g);
	if (s->draining && (!s->guests || s->drain_until <= now)) {
		finish_drain(s);
		return 0;
	}
	sd_event_source_set_time_relative(source, s->draining ? SWEEP_USEC / 10 : SWEEP_USEC);
	return sd_event_source_set_enabled(source, s->guests || s->draining ? SD_EVENT_ONESHOT
									    : SD_EVENT_OFF);
}

static void sweep_soon(struct server *s)
{
	sd_event_source_set_time_relative(s->sweep, s->draining ? 0 : SWEEP_USEC);
	sd_event_source_set_enabled(s->sweep, SD_EVENT_ONESHOT);
}

static struct guest *guest_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *s = user;
	struct guest *g = *context;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		/* At its limit libmicrohttpd looks at the socket again only in its next turn. */
		s->again = true;
		if (!g)
			return;
		if (g->next)
			g->next->prev_next = g->prev_next;
		*g->prev_next = g->next;
		free(g);
		*context = NULL;
		return;
	}
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	g = calloc(1, sizeof(*g));
	if (!g || !info) { /* its requests will find no guest, and be dropped */
		free(g);
		return;
	}
	*g = (struct guest){.server = s, .fd = info->connect_fd};
	wait_for_peer(g, 1);
	g->next = s->guests;
	g->prev_next = &s->guests;
	if (g->next)
		g->next->prev_next = &g->next;
	else
		sweep_soon(s);
	s->guests = g;
	*context = g;
}

/* ---- requests ----------------------------------------------------------------------------- */

/* The request line is there. */
static void *on_request(void *user, const char *uri, struct MHD_Connection *connection)
{
	(void)user, (void)uri;
	struct guest *g = guest_of(connection);
	if (!g)
		return NULL;
	g->busy = true;
	g->request = request_new(&g->server->parts, connection);
	return g->request;
}

static enum MHD_Result on_access(void *user, struct MHD_Connection *connection, const char *url,
				 const char *method, const char *version, const char *data,
				 size_t *data_size, void **context)
{
	(void)user, (void)version;
	struct request *r = *context;
	struct guest *g = guest_of(connection);
	bool answered = false;
	if (!r || !g)
		return MHD_NO;
	enum MHD_Result result = request_handle(r, url, method, data, data_size, &answered);
	if (request_waits(r))
		g->deadline = 0;
	else if (answered)
		wait_for_peer(g, SLOW_READER);
	return result;
}

static void on_completed(void *user, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode why)
{
	(void)user, (void)why;
	struct guest *g = guest_of(connection);
	request_free(steal(*context));
	if (!g)
		return;
	g->request = NULL;
	g->busy = false;
	wait_for_peer(g, 1);
	if (g->server->draining)
		sweep_soon(g->server);
}

/* Paths are taken as they were sent: no page of ours needs an escape in its name. */
static size_t no_unescape(void *user, struct MHD_Connection *connection, char *text)
{
	(void)user, (void)connection;
	return strlen(text);
}

static void __attribute__((format(printf, 2, 0)))
on_log(void *user, const char *format, va_list args)
{
	(void)user;
	_cleanup_buf_ struct buf text = {.limit = 512};
	buf_vprintf(&text, format, args);
	while (text.len && text.data[text.len - 1] == '\n')
		buf_truncate(&text, text.len - 1);
	log_debug("libmicrohttpd: %s", buf_text(&text));
}

/* ---- beginning and end -------------------------------------------------------------------- */

static int start_http(struct server *s, int fd, struct why *why)
{
	const struct settings_web *web = &s->site.settings->web;
	s->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
				   NULL, NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log,
				   NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				   (unsigned)web->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				   (size_t)HEAD_MOST, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
				   s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
				   MHD_OPTION_URI_LOG_CALLBACK, on_request, s,
				   MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL, MHD_OPTION_END);
	if (!s->http) {
		close(fd);
		return why_set(why, errno ? -errno : -EIO, "libmicrohttpd can't start: %s",
			       strerror(errno ? errno : EIO));
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD);
	int r = info ? sd_event_add_io(s->event, &s->io, info->epoll_fd, EPOLLIN, on_io, s) : -EIO;
	return r < 0 ? why_set(why, r, "the event loop: %s", strerror(-r)) : 0;
}

static int open_parts(struct server *s, struct why *why)
{
	int r = pages_load(s->site.settings->templates_dir, &s->site.pages, why);
	if (r < 0)
		return r;
	r = limits_new(&s->site.limits);
	if (r == 0)
		r = sd_event_add_time_relative(s->event, &s->timer, CLOCK_MONOTONIC, 0,
					       ACCURACY_USEC, on_timer, s);
	if (r >= 0)
		r = sd_event_add_time_relative(s->event, &s->sweep, CLOCK_MONOTONIC, 0,
					       ACCURACY_USEC, on_sweep, s);
	if (r < 0)
		return why_set(why, r, "the pages' parts: %s", strerror(-r));
	return pool_open(s->event, s->site.settings, &s->pool, why);
}

int server_open(sd_event *event, const struct settings *settings, int fd, struct server **ret,
		struct why *why)
{
	struct server *s = calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		return why_set(why, -ENOMEM, "no memory left");
	}
	s->event = event;
	s->site.settings = settings;
	int r = open_parts(s, why);
	if (r < 0)
		close(fd);
	s->parts = (struct request_parts){event, s->pool, &s->site, turn_soon, s};
	if (r == 0)
		r = start_http(s, fd, why);
	if (r < 0)
		server_free(s);
	else
		*ret = s;
	return r;
}

/* libmicrohttpd must not be stopped while a connection is suspended. */
static void give_up_all(struct server *s)
{
	for (struct guest *g = s->guests; g; g = g->next)
		if (g->request && request_waits(g->request))
			request_give_up(g->request);
	MHD_run(s->http);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	if (s->http) {
		give_up_all(s);
		MHD_stop_daemon(s->http);
	}
	sd_event_source_disable_unref(s->io);
	sd_event_source_disable_unref(s->timer);
	sd_event_source_disable_unref(s->sweep);
	if (s->pool)
		pool_free(s->pool);
	if (s->site.pages)
		pages_free(s->site.pages);
	limits_free(s->site.limits);
	free(s);
}

void server_reload(struct server *s, const struct settings *settings)
{
	struct why why;
	struct pages *pages;
	s->site.settings = settings;
	if (pages_load(settings->templates_dir, &pages, &why) < 0) {
		log_error("the pages stay as they were: %s", why.text);
		return;
	}
	pages_free(s->site.pages);
	s->site.pages = pages;
}

void server_drain(struct server *s, void (*drained)(void *user), void *user)
{
	if (s->draining)
		return;
	s->draining = true;
	s->drained = drained;
	s->drained_user = user;
	s->drain_until = clock_mono() + s->site.settings->web.timeout;
	int fd = MHD_quiesce_daemon(s->http);
	if (fd >= 0)
		close(fd);
	sweep_soon(s);
}
