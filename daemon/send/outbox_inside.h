/*
 * What the outbox's own files share and nobody else includes: outbox.c (its life), outbox_turn.c
 * (its turns with the database), outbox_take.c (what they take), outbox_wire.c (its way to the
 * relays), outbox_past.c (what an earlier life left).
 */
#pragma once

#include <systemd/sd-event.h>

#include "send/journal.h"
#include "send/outbox.h"
#include "send/relay.h"
#include "send/rendering.h"
#include "send/smtp.h"
#include "send/window.h"

enum { OUTBOX_AGAIN = 20 }; /* milliseconds between two turns at least */

enum outbox_state {
	OUTBOX_WAITING,   /* for the database, to begin a session */
	OUTBOX_BEGINNING, /* the session is being made, the past read */
	OUTBOX_RUNNING,
	OUTBOX_DRAINING, /* nothing new starts; what is out comes back, and is recorded */
	OUTBOX_LEAVING,  /* everything is recorded; the session ends */
	OUTBOX_ENDED,
};

/* A mail that is with a relay, or on its way to one. */
struct slot {
	struct slot *next; /* in the list of free ones */
	struct smtp_mail mail;
	struct rendered rendered;
	struct window *window;
	struct member *member;
	int32_t relay;
	bool intent;
};

struct outbox {
	struct outbox_parts parts;
	const struct settings *settings;
	sd_event *event;
	enum outbox_state state;

	struct journal *journal;
	usec_t journal_rests; /* clock_mono(): it can't be written, nothing starts before */
	struct rendering *rendering;
	struct relay_pool *relays;

	int32_t session, engine;
	usec_t beat_sent;   /* clock_boot() when the last beat that succeeded was sent */
	usec_t beat_trying; /* the same of the one under way; 0: none is */
	bool may_take;      /* false after an unreplicated commit */

	int32_t last_n;     /* the last window's number */
	int32_t answered_n; /* of the take that was answered last, within a turn */
	struct window *windows;
	struct window *taken; /* by the turn under way */
	size_t window_size;   /* readers that the next one may hold */

	bool ask[WINDOW_KINDS];   /* there may be windows of that kind to take */
	usec_t due[WINDOW_KINDS]; /* clock_now(): when there will be one, of who was put off */

	struct slot *free_slots;
	size_t out[WINDOW_KINDS]; /* mails with relays, by kind of window */
	uint64_t ended_count;     /* members that ended since the start, for the pace */
	double pace;              /* of them a second, smoothed */
	uint64_t pace_count;
	usec_t pace_at;

	int64_t turn;
	int64_t turn_found; /* what the database said after a lost commit */
	bool turning;       /* a turn, or the question about one, is under way */
	bool turn_again;    /* the next turn should not wait for the timer */
	bool careful;       /* the last turn met a row that didn't fit */
	usec_t turn_began;
	usec_t keys_read;

	sd_event_source *turn_timer, *soon_timer, *beat_timer, *flush, *drain_timer;
};

/* ---- outbox.c ---- */
void outbox_enter(struct outbox *o, enum outbox_state state);
void outbox_end(struct outbox *o, int result);
void outbox_read_keys(struct outbox *o, const struct pg_result *rows); /* of sql_link_keys */

/* ---- outbox_turn.c ---- */
void outbox_turn(struct outbox *o);                   /* begins one unless one is under way */
void outbox_turn_soon(struct outbox *o, usec_t wait); /* within that time at most */
void outbox_windows_add(struct outbox *o, struct window *windows);
int outbox_load_issue(struct outbox *o, struct db_tx *tx, int64_t issue);

/* ---- outbox_take.c ---- */
void outbox_ask(struct outbox *o); /* the next turn asks for windows of every kind */
void outbox_put_off(struct outbox *o, enum window_kind kind, usec_t due); /* a member of one */
void outbox_add_takes(struct outbox *o, struct db_tx *tx, usec_t now);
void outbox_turn_if_more(struct outbox *o);  /* soon, if there may be more to send */
void outbox_turn_when_due(struct outbox *o); /* in time for who is put off for less than a look */
void outbox_measure_pace(struct outbox *o);

/* ---- outbox_wire.c ---- */
int outbox_wire_open(struct outbox *o, struct why *why);
void outbox_wire_name(struct outbox *o); /* learns the relays' ids from the database */
int outbox_wire_reload(struct outbox *o, const struct settings *settings, struct why *why);
void outbox_wire_close(struct outbox *o); /* nothing new; sessions quit after what they have */
void outbox_wire_free(struct outbox *o);
void outbox_wire_wake(struct outbox *o); /* there is something to send */

/* What a complete reply means for a member, whether it came just now or stands in the journal. */
void outbox_answer(struct outbox *o, struct window *w, struct member *m, int32_t relay, usec_t at,
		   const struct smtp_reply *reply);

/* A mail whose answer was never seen. hold: an operator decides, whatever the list's policy is. */
void outbox_doubt(struct outbox *o, struct window *w, struct member *m, int32_t relay,
		  const char *cause, bool hold);

/* Puts members that wait back into the queue, at no cost to them. */
void outbox_return_waiting(struct outbox *o, struct window *w, const char *cause, usec_t wait);

/* ---- outbox_past.c ---- */
void outbox_past_begin(struct outbox *o); /* begins the session, settles the past, then RUNNING */
