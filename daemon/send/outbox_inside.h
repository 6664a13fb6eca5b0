/*
 * What the outbox's own files share and nobody else includes: outbox.c (its life), outbox_turn.c
 * (its turns with the database), outbox_take.c (what they take), outbox_wire.c (its way to the
 * relays), outbox_relays.c (what engines tell each other of those), outbox_past.c (what an earlier
 * life left), outbox_late.c (what others recorded of it meanwhile), outbox_others.c (its beats, and
 * those of the others), outbox_fenced.c (what it does when it was taken for dead), outbox_schema.c
 * (a schema that isn't ours).
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
	OUTBOX_TELLING,   /* the database what the journal knows; or waits for others to do so */
	OUTBOX_REJOINING, /* the database is another: what is out comes back, then it begins anew */
	OUTBOX_RUNNING,
	OUTBOX_FENCED,   /* taken for dead: what is out comes back, and is recorded; then anew */
	OUTBOX_DRAINING, /* nothing new starts; what is out comes back, and is recorded */
	OUTBOX_LEAVING,  /* everything is recorded; the session ends */
	OUTBOX_ENDED,
};

/* Something that rises in the database as long as its owner lives, and since when it stands. */
struct watch {
	int32_t id;
	int64_t value;
	usec_t since; /* clock_boot() when it was first seen so, or again after a gap */
	usec_t seen;  /* clock_boot() of the last answer that told of it */
	bool moved;   /* it rose before our eyes */
};

struct watches {
	struct watch *items;
	size_t n;
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
	usec_t beat_sent;    /* clock_boot() when the last beat that succeeded was sent */
	usec_t beat_trying;  /* the same of the one under way; 0: none is */
	bool may_take;       /* false while the standby hasn't confirmed the last commit */
	bool dead;           /* this session was taken for dead: nothing is handed over */
	char idle_limit[24]; /* so long a transaction may stand still, in milliseconds, as text */

	struct watch rival;      /* another session of this engine, while we wait for its end */
	struct watches sessions; /* the other living sessions, by their beats */
	struct watches gone;     /* engines without a living session, by their last one */
	usec_t asked;            /* clock_boot() when the database was asked for those */
	usec_t began;            /* clock_boot() when this session did */
	unsigned alive;          /* sessions, this one among them */
	bool joining;            /* the others may not know of it yet: it sends nothing */

	char session_uuid[UUID_TEXT];
	int64_t seen_system; /* the server and the history that the session began in */
	int32_t seen_timeline;
	char seen_mark[UUID_TEXT];
	bool must_tell, history_ready, said_absent, said_unremembered;
	usec_t telling_since; /* clock_boot() */
	char begin_failed[6]; /* the SQLSTATE for which no session began, as told to the operator */
	struct recall_window *known; /* windows that the journal need not tell about */
	size_t known_count;

	int32_t last_n;     /* the last window's number */
	int32_t answered_n; /* of the take that was answered last, within a turn */
	struct window *windows;
	struct window *taken; /* by the turn under way */
	size_t window_size;   /* readers that the next one may hold */

	bool ask[WINDOW_KINDS];   /* there may be windows of that kind to take */
	usec_t due[WINDOW_KINDS]; /* clock_now(): when there will be one, of who was put off */

	struct slot *free_slots;
	size_t out[WINDOW_KINDS];   /* mails with relays, by kind of window */
	size_t since[WINDOW_KINDS]; /* mails begun since the last one of that kind */
	uint64_t ended_count;       /* members that ended since the start, for the pace */
	double pace;                /* of them a second, smoothed */
	uint64_t pace_count;
	usec_t pace_at;

	int schema;          /* the last migration, as the database said */
	int schema_told;     /* of which the log was told */
	usec_t schema_since; /* clock_mono() of that */
	bool outdated;       /* it ends because of the schema */

	int64_t turn;
	int64_t turn_known; /* the last that was acknowledged */
	int64_t turn_found; /* what the database said after a lost commit */
	bool turning;       /* a turn, or the question about one, is under way */
	bool turn_again;    /* the next turn should not wait for the timer */
	bool careful;       /* the last turn met a row that didn't fit */
	usec_t turn_began;
	usec_t turn_pause,
	    turn_rests;       /* after one that failed: the pause, and its end (clock_mono()) */
	char turn_trouble[6]; /* its SQLSTATE, as told to the operator */
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
void outbox_confirmed(struct outbox *o, bool unreplicated);
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

/* ---- outbox_relays.c ---- */
void outbox_relays_name(struct outbox *o); /* learns the relays' ids, then looks at them */
void outbox_relays_look(struct outbox *o); /* at their breakers, as the others know them */
void outbox_relay_changed(void *user, const struct relay_change *change);
void outbox_relay_probe(void *user, int32_t relay, int64_t mark, bool wanted);

/* ---- outbox_schema.c ---- */
void outbox_schema_ask(struct outbox *o, struct db_tx *tx); /* -ESTALE ends tx when it isn't ours */
void outbox_schema_moved(struct outbox *o);                 /* after that in a turn */
void outbox_schema_wait(struct outbox *o); /* after that at a session's beginning */

/* ---- outbox_server.c ---- */
struct recall_window;
void outbox_add_seen(struct outbox *o, struct db_tx *tx); /* sets seen_*, must_tell */
void outbox_add_wait(struct outbox *o, struct db_tx *tx); /* sets history_ready */
int outbox_on_turn(struct db_tx *tx, const struct pg_result *rows, void *user);
void outbox_acknowledged(struct outbox *o); /* the turn was committed */
void outbox_start_over(struct outbox *o);   /* after -EREMCHG */
void outbox_server_step(struct outbox *o);  /* in TELLING and REJOINING, from the timer */

/* Tells the journal but for the windows that are known (their order is changed); then TELLING. */
int outbox_tell(struct outbox *o, struct recall_window *known, size_t count);

/* ---- outbox_past.c ---- */
void outbox_past_begin(struct outbox *o); /* begins the session, settles the past, then RUNNING */
struct smtp_reply outbox_reply_of(const struct journal_reply *record);

/* ---- outbox_late.c ---- */
/* Tells what the journal knows of windows that others closed; then calls done, whatever came. */
void outbox_late_tell(struct outbox *o, void (*done)(struct outbox *o));

/* ---- outbox_others.c ---- */
/* Notes that it has that value now; a gap longer than `gap` begins its time anew. */
void outbox_watch(struct watch *w, int32_t id, int64_t value, usec_t now, usec_t gap);

void outbox_beat(struct outbox *o);              /* beats, and looks at the others */
usec_t outbox_beat_wait(const struct outbox *o); /* until the next */
/* The others' beats (sql_sessions_alive) before they can know of the session that begins. */
int outbox_meet(struct outbox *o, const struct pg_result *rows);
void outbox_join(struct outbox *o); /* a session has begun: no part of a relay yet */
void outbox_others_free(struct outbox *o);

/* ---- outbox_fenced.c ---- */
void outbox_fence(struct outbox *o);       /* enters FENCED */
void outbox_fence_cut(struct outbox *o);   /* it has waited long enough for replies */
void outbox_fence_check(struct outbox *o); /* begins anew when all is recorded */
