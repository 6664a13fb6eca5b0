/*
 * The poller brings articles in: it asks the database which feeds are due, wins each by
 * compare-and-set of its next_at (so that of many engines one polls), fetches and parses it, and
 * stores what is new or changed.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/why.h"
#include "store/db.h"
#include "store/settings.h"

struct poller;

struct poller_parts { /* all outlive it */
	sd_event *event;
	struct db *db;
	const struct settings *settings;
};

int poller_open(const struct poller_parts *parts, struct poller **ret, struct why *why);
void poller_free(struct poller *p); /* after the db was freed, whose callbacks know it */
void poller_wake(struct poller *p);
void poller_reload(struct poller *p, const struct settings *settings);
void poller_stop(struct poller *p); /* fetches nothing any more */

DEFINE_CLEANUP(struct poller *, poller_free);
