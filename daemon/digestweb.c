/*
 * digestweb, the readers' pages: the wiring. digestweb(8) tells of its options, signals and exit
 * statuses.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "store/start.h"
#include "web/listen.h"
#include "web/server.h"

static const struct start pages = {
    "digestweb", "The readers' pages of a newsletter: where they join, confirm and leave.",
    SETTINGS_WEB};

struct program {
	sd_event *event;
	struct settings *settings;
	struct server *server;
};

static void on_drained(void *user)
{
	struct program *p = user;
	sd_event_exit(p->event, EXIT_SUCCESS);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	(void)source;
	struct program *p = user;
	log_notice("ending on signal %u", info->ssi_signo);
	sd_notify(0, "STOPPING=1");
	server_drain(p->server, on_drained, p);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	(void)source, (void)info;
	struct program *p = user;
	struct settings *new;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono());
	if (start_reload(p->settings, &new) == 0) {
		server_reload(p->server, new);
		settings_free(p->settings);
		p->settings = new;
	}
	sd_notify(0, "READY=1");
	return 0;
}

static int take_signals(struct program *p)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	int r = sd_event_add_signal(p->event, NULL, SIGTERM, on_stop, p);
	if (r >= 0)
		r = sd_event_add_signal(p->event, NULL, SIGINT, on_stop, p);
	if (r >= 0)
		r = sd_event_add_signal(p->event, NULL, SIGHUP, on_hangup, p);
	if (r >= 0)
		r = sd_event_set_watchdog(p->event, true);
	return r < 0 ? r : 0;
}

static int run(struct program *p, struct why *why)
{
	int fd, r = take_signals(p);
	char where[160];
	if (r < 0)
		return why_set(why, r, "the event loop: %s", strerror(-r));
	r = listen_open(p->settings->web.listen, &fd, why);
	if (r < 0)
		return r;
	listen_text(fd, where, sizeof(where));
	r = server_open(p->event, p->settings, fd, &p->server, why);
	if (r < 0)
		return r;
	log_notice("serving on %s", where);
	sd_notifyf(0, "READY=1\nSTATUS=Serving on %s", where);
	r = sd_event_loop(p->event);
	server_free(p->server);
	return r < 0 ? why_set(why, r, "the event loop: %s", strerror(-r)) : r;
}

int main(int argc, char **argv)
{
	struct program program = {0};
	struct why why = {""};
	int status = start_program(&pages, argc, argv, &program.settings);
	if (status >= 0)
		return status;
	int r = sd_event_new(&program.event);
	r = r < 0 ? why_set(&why, r, "the event loop: %s", strerror(-r)) : run(&program, &why);
	if (r < 0)
		log_error("%s", why.text);
	sd_event_unref(program.event);
	settings_free(program.settings);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
