/*
 * The planner opens issues: every so often it asks which editions are due, freezes their list's
 * templates and words, and opens them. Any number of engines does so at once; the database lets
 * one of them. It also makes the partitions of the coming month.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/why.h"
#include "store/db.h"
#include "store/settings.h"

struct planner;

struct planner_parts { /* all outlive it */
	sd_event *event;
	struct db *db;
	const struct settings *settings;
	void (*opened)(void *user); /* an issue was opened here */
	void *user;
};

int planner_open(const struct planner_parts *parts, struct planner **ret, struct why *why);
void planner_free(struct planner *p); /* after the db was freed, whose callbacks know it */
void planner_wake(struct planner *p);
void planner_reload(struct planner *p, const struct settings *settings);
void planner_stop(struct planner *p); /* opens nothing any more */

DEFINE_CLEANUP(struct planner *, planner_free);
