/*
 * digestd, the engine: the wiring. digestd(8) tells of its options, signals and exit statuses.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/curlloop.h"
#include "base/faultpoint.h"
#include "base/log.h"
#include "news/poller.h"
#include "plan/planner.h"
#include "queries.h"
#include "send/identity.h"
#include "send/outbox.h"
#include "store/db.h"
#include "store/start.h"

static const struct start about = {
    "digestd", "The engine of a newsletter: takes articles in, opens issues and delivers them.",
    SETTINGS_ENGINE};

enum { OUTDATED = 75 }; /* exit status: EX_TEMPFAIL of sysexits.h */

struct engine {
	struct settings *settings;
	struct settings *old; /* kept until the next reload: what was begun with them may go on */
	sd_event *event;
	struct identity identity;
	struct history history;
	struct curl_loop *curl;
	struct db *db;     /* all work of the outbox */
	struct db *side;   /* planner and poller: they never make the wire wait */
	struct db *listen; /* LISTEN only */
	struct outbox *outbox;
	struct planner *planner;
	struct poller *poller;
	sd_event_source *status;
};

static void on_opened(void *user)
{
	struct engine *e = user;
	if (e->outbox)
		outbox_wake(e->outbox);
}

/* Nothing is planned or polled before the database is known to be one that we can work with. */
static int open_side(struct engine *e, struct why *why)
{
	const struct planner_parts planner = {e->event, e->side, e->settings, on_opened, e};
	int r = e->planner ? 0 : planner_open(&planner, &e->planner, why);
	const struct poller_parts poller = {e->event, e->side, e->settings};
	if (r == 0 && !e->poller)
		r = poller_open(&poller, &e->poller, why);
	return r;
}

static void on_ready(void *user)
{
	struct engine *e = user;
	struct why why = {""};
	int r = open_side(e, &why);
	if (r < 0) {
		log_error("digestd can't go on: %s", why.text[0] ? why.text : strerror(-r));
		sd_event_exit(e->event, EXIT_FAILURE);
		return;
	}
	/* What is known of servers by now may speak against the one that they are connected to. */
	db_admit_again(e->side);
	db_admit_again(e->listen);
	sd_notify(0, "READY=1");
}

static void on_draining(void *user)
{
	struct engine *e = user;
	sd_notify(0, "STOPPING=1");
	if (e->planner)
		planner_stop(e->planner);
	if (e->poller)
		poller_stop(e->poller);
}

static void on_ended(void *user, int result)
{
	struct engine *e = user;
	sd_event_exit(e->event, result == -ESTALE ? OUTDATED
				: result < 0      ? EXIT_FAILURE
						  : EXIT_SUCCESS);
}

/* Another program says that something changed: "issue N", "letter", "ended N", "feed N" ... */
static void on_notify(void *user, const char *channel, const char *payload)
{
	(void)channel;
	struct engine *e = user;
	long long id;
	if (payload && sscanf(payload, "ended %lld", &id) == 1) {
		outbox_issue_ended(e->outbox, id);
		return;
	}
	if (payload && strcmp(payload, "relay") == 0) {
		outbox_relays_changed(e->outbox);
		return;
	}
	if (!payload || strcmp(payload, "session") == 0)
		outbox_sessions_changed(e->outbox);
	if (e->poller && (!payload || strncmp(payload, "feed", 4) == 0))
		poller_wake(e->poller);
	if (e->planner && (!payload || strncmp(payload, "edition", 7) == 0 ||
			   strncmp(payload, "article", 7) == 0))
		planner_wake(e->planner);
	outbox_wake(e->outbox);
}

static void on_db_state(void *user, bool up)
{
	struct engine *e = user;
	if (up && e->outbox)
		outbox_wake(e->outbox);
}

static void reload(struct engine *e)
{
	char text[64];
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)clock_mono());
	sd_notify(0, text);
	struct settings *settings = NULL;
	struct why why = {""};
	int r = start_reload(e->settings, &settings);
	if (r == 0)
		r = outbox_reload(e->outbox, settings, &why);
	if (r == 0) {
		if (e->planner)
			planner_reload(e->planner, settings);
		if (e->poller)
			poller_reload(e->poller, settings);
		settings_free(e->old);
		e->old = e->settings;
		e->settings = settings;
	} else if (settings) {
		log_error("the relays stay as they were: %s", why.text);
		settings_free(settings);
	}
	sd_notify(0, "READY=1");
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *user)
{
	(void)source;
	struct engine *e = user;
	if (si->ssi_signo == SIGHUP)
		reload(e);
	else
		outbox_drain(e->outbox);
	return 0;
}

static int on_status(sd_event_source *timer, uint64_t at, void *user)
{
	(void)at;
	struct engine *e = user;
	char status[256] = "STATUS=";
	outbox_status(e->outbox, status + 7, sizeof(status) - 7);
	sd_notify(0, status);
	sd_event_source_set_time_relative(timer, 5 * USEC_PER_SEC);
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int watch_signals(struct engine *e)
{
	sigset_t set;
	sigemptyset(&set);
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	for (size_t i = 0; i < ELEMENTS(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ELEMENTS(signals); i++) {
		int r = sd_event_add_signal(e->event, NULL, signals[i], on_signal, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_db(struct engine *e, const char *conninfo, const char *name, struct db **ret,
		   struct why *why)
{
	const struct settings_database *d = &e->settings->database;
	const struct db_config config = {
	    .conninfo = conninfo,
	    .password = d->engine.password.text,
	    .application = name,
	};
	int r = db_open(e->event, &config, ret, why);
	if (r == 0)
		db_admit(*ret, sql_server_which, outbox_admit, &e->history);
	return r;
}

static int open_databases(struct engine *e, struct why *why)
{
	const struct settings_database *d = &e->settings->database;
	int r = open_db(e, d->engine.conninfo, "digestd", &e->db, why);
	if (r == 0)
		r = open_db(e, d->engine.conninfo, "digestd planner", &e->side, why);
	if (r == 0)
		r = open_db(e, d->listen[0] ? d->listen : d->engine.conninfo, "digestd listen",
			    &e->listen, why);
	return r;
}

static int open_rooms(struct engine *e, struct why *why)
{
	const struct outbox_parts outbox = {
	    .curl = e->curl,
	    .db = e->db,
	    .settings = e->settings,
	    .identity = &e->identity,
	    .history = &e->history,
	    .ready = on_ready,
	    .draining = on_draining,
	    .ended = on_ended,
	    .user = e,
	};
	int r = outbox_open(&outbox, &e->outbox, why);
	if (r == 0)
		r = db_listen(e->listen, "digestd", on_notify, e);
	if (r == 0)
		db_on_state(e->db, on_db_state, e);
	return r;
}

static int open_engine(struct engine *e, struct why *why)
{
	int r = identity_take(e->settings->state_dir, &e->identity, why);
	if (r == 0) {
		history_open(&e->history, e->identity.dir);
		r = sd_event_default(&e->event);
	}
	if (r >= 0)
		r = watch_signals(e);
	if (r >= 0)
		r = sd_event_set_watchdog(e->event, true);
	if (r >= 0)
		r = curl_loop_open(e->event, &e->curl);
	if (r >= 0)
		r = open_databases(e, why);
	if (r >= 0)
		r = open_rooms(e, why);
	if (r >= 0)
		r = sd_event_add_time_relative(e->event, &e->status, CLOCK_MONOTONIC, USEC_PER_SEC,
					       USEC_PER_SEC / 4, on_status, e);
	return r < 0 ? r : 0;
}

/* Databases first: their callbacks know the rooms. */
static void close_engine(struct engine *e)
{
	sd_event_source_disable_unref(e->status);
	db_free(e->listen);
	db_free(e->side);
	db_free(e->db);
	poller_free(e->poller);
	planner_free(e->planner);
	outbox_free(e->outbox);
	curl_loop_close(e->curl);
	sd_event_unref(e->event);
	identity_release(&e->identity);
	settings_free(e->old);
	settings_free(e->settings);
}

int main(int argc, char **argv)
{
	struct engine e = {.identity = {.dir = -1, .lock = -1}};
	if (FAULT_POINTS_LISTED(argc, argv))
		return EXIT_SUCCESS;
	int status = start_program(&about, argc, argv, &e.settings);
	if (status >= 0)
		return status;
	struct why why = {""};
	int r = open_engine(&e, &why);
	if (r < 0)
		log_error("digestd can't start: %s", why.text[0] ? why.text : strerror(-r));
	else
		r = sd_event_loop(e.event);
	close_engine(&e);
	return r < 0 ? EXIT_FAILURE : r;
}
