/*
 * The outbox conducts: it takes windows from the database, renders their members' mails, hands them
 * to relays, and records what came of each, all at the same time in one loop.
 *
 * Its life: it begins a session in the database, settles what an earlier life left open (with the
 * journal), then works in turns. A turn is one transaction that records what ended since the last,
 * looks up again who may still be sent to, and takes new windows; nothing of a window is sent
 * before its take was committed. When the answer to a COMMIT is lost, the session's `turn` tells
 * whether it happened. It hands over nothing that it can't record: without a beat or a look that
 * is recent enough no mail starts, and none gets its final dot.
 *
 * It watches the other engines' sessions, and is watched. One that learns that it was taken for
 * dead hands nothing more over, waits for the answers of what is on the wire, records them, and
 * begins a new session in the same process. What an engine promises after it stood still (SIGSTOP,
 * a machine suspended) is that no final dot leaves whose session's last beat was sent longer than
 * `stop_after` ago, on CLOCK_BOOTTIME: that is asked before each dot, and again before each further
 * write of one.
 *
 * It ends in order with outbox_drain(): mails on the wire are finished, the rest goes back to the
 * queue at once, nothing is left in doubt.
 */
#pragma once

#include <stdbool.h>

#include "base/curlloop.h"
#include "base/why.h"
#include "send/history.h"
#include "send/identity.h"
#include "store/db.h"
#include "store/settings.h"

struct outbox;

struct outbox_parts { /* all of them outlive it */
	struct curl_loop *curl;
	struct db *db;
	const struct settings *settings;
	const struct identity *identity;
	struct history *history; /* what is known of the database */

	/* It has a session and has settled the past; may be NULL. */
	void (*ready)(void *user);

	/* It ends in order, by outbox_drain() or by itself; may be NULL. */
	void (*draining)(void *user);

	/* It has ended: 0 after a drain, -ESTALE when the schema isn't this program's, negative
	 * when it can't go on (this state directory may not be used, the engine was retired ...;
	 * the log tells). */
	void (*ended)(void *user, int result);
	void *user;
};

/* For db_admit(): whether the engine may work with the server (sql_server_which); user: its server.
 */
int outbox_admit(void *user, const struct pg_result *res, struct why *why);

int outbox_open(const struct outbox_parts *parts, struct outbox **ret, struct why *why);
void outbox_free(struct outbox *o);

void outbox_wake(struct outbox *o);             /* there may be something to take */
void outbox_sessions_changed(struct outbox *o); /* one began or ended, here or elsewhere */
void outbox_relays_changed(struct outbox *o);   /* an engine said so of a relay's breaker */
void outbox_issue_ended(struct outbox *o, int64_t issue); /* its content may be forgotten */
void outbox_drain(struct outbox *o); /* end in order; `ended` follows within timing.drain */

/* New settings after a reload; the old ones may be freed afterwards. */
int outbox_reload(struct outbox *o, const struct settings *settings, struct why *why);

/* One line for sd_notify's STATUS=: "2,000 waiting, 1,240 a second, relay main: 10 connections". */
void outbox_status(const struct outbox *o, char *text, size_t room);

DEFINE_CLEANUP(struct outbox *, outbox_free);
