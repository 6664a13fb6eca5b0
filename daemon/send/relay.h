/*
 * Relays: the SMTP servers of the configuration, each with its pool of sessions, its pace and its
 * breaker. The pool opens sessions when its owner has work, asks the owner for mails as sessions
 * can take them, and closes what lies idle. Faults of a relay (connection, TLS, login, 421) open
 * its breaker and cost no reader a try; other relays carry on. Whoever has work chooses nothing:
 * the relays with a closed breaker share it by weight and by free sessions.
 *
 * The owner's callbacks are those of smtp.h with the relay named by its id in place of the session:
 *  - A mail that `next` gave, and its bytes, stay the owner's and unchanged until exactly one of
 *    returned, voided, outcome or doubt. Nothing here keeps a mail: one that came back goes out
 * again when `next` gives it again.
 *  - relay_pool_wake() only makes a note, work starts in the next turn of the event loop; so it may
 *    be called from anywhere. Callbacks may call all functions here but relay_pool_free().
 *  - Once `next` said NULL nobody asks again before relay_pool_wake().
 *
 * A breaker opens when a session can't connect or log in, by a reply that is the relay's trouble
 * (reply.h), by a time-out or garbage, and by a cut before the session did any good. While it is
 * open nothing is asked for; then one session probes, and the first mail that is settled closes it.
 * But a session that is turned away while others of the same relay work (so many connections and no
 * more) only keeps the relay to their number for a while.
 *
 * Breakers can be shared with other pools, when the owner gives `probe`: what opens or closes here
 * is told to it, what it hears of the others it tells by relay_pool_heard(), and of all the pools
 * exactly the one probes that was allowed to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/curlloop.h"
#include "base/why.h"
#include "send/smtp.h"
#include "store/settings.h"

struct relay_pool;

struct relay_change {
	int32_t relay;
	unsigned faults; /* openings without a success between them */
	usec_t rest;     /* how long it stays open; 0: it closed */
	bool shared;     /* the others are to know; relay_pool_said() follows */
	int64_t mark;    /* of what was heard last */
	const char *reason;
};

/* What is heard of a relay's breaker. */
struct relay_heard {
	int64_t mark; /* another one for each opening and closing */
	bool open;
	bool probed;    /* by another pool */
	usec_t resting; /* open: how long until it may be probed */
	unsigned faults;
	const char *reason;
};

struct relay_events {
	/* The mail to begin now on this relay, or NULL: then the session waits for
	 * relay_pool_wake(). */
	const struct smtp_mail *(*next)(void *user, int32_t relay);
	int (*intent)(void *user, const struct smtp_mail *mail);
	int (*still)(void *user, const struct smtp_mail *mail); /* may be NULL */
	void (*returned)(void *user, const struct smtp_mail *mail, enum smtp_end why);
	void (*outcome)(void *user, const struct smtp_mail *mail, const struct smtp_reply *reply);
	void (*voided)(void *user, const struct smtp_mail *mail, enum smtp_end why);
	void (*doubt)(void *user, const struct smtp_mail *mail, enum smtp_end why);
	void (*anomaly)(void *user, int32_t relay, const char *what,
			const struct smtp_reply *reply);

	/* A breaker of ours opened or closed. */
	void (*breaker)(void *user, const struct relay_change *change);

	/*
	 * Wanted: may we probe? relay_pool_may_probe() answers. Not wanted: there was nothing to
	 * probe with after all. NULL: breakers are shared with nobody.
	 */
	void (*probe)(void *user, int32_t relay, int64_t mark, bool wanted);
};

/*
 * A pool for settings->relays, retry.breaker and timing, which are copied. `events` must outlive
 * it. A relay's id is what the database calls it: until relay_pool_set_id() gave it one (not 0), it
 * takes no mail. Nothing is opened before relay_pool_wake(). -ENOMEM, or what sd-event says.
 */
int relay_pool_open(struct curl_loop *loop, const struct settings *settings,
		    const struct relay_events *events, void *user, struct relay_pool **ret,
		    struct why *why);

/* Relays by their place in settings->relays. */
size_t relay_pool_count(const struct relay_pool *pool);
const char *relay_pool_name(const struct relay_pool *pool, size_t index);
int32_t relay_pool_id(const struct relay_pool *pool, size_t index); /* 0: not known */
void relay_pool_set_id(struct relay_pool *pool, size_t index, int32_t id);

/*
 * The others' word on a relay's breaker. It counts once all is said that was to be told. True: the
 * relay can be used again. A new relay, or pool, asks to probe one that is open without waiting.
 */
bool relay_pool_heard(struct relay_pool *pool, int32_t relay, const struct relay_heard *heard);
void relay_pool_said(struct relay_pool *pool, int32_t relay, bool done); /* once for each change */
void relay_pool_may_probe(struct relay_pool *pool, int32_t relay, bool may);

/* There is work: idle sessions ask `next`, and as many more are opened as limits, pace and breakers
 * allow while `next` has something to give (at most `wanted` mails' worth). */
void relay_pool_wake(struct relay_pool *pool, size_t wanted);

/* Could any relay take mail now or soon (we have a part of it, and its breaker is closed or due for
 * a probe)? */
bool relay_pool_usable(const struct relay_pool *pool);

/* Connections that the pool may have in all: the slots that shares are reckoned from. */
size_t relay_pool_connections(const struct relay_pool *pool);

/*
 * So many engines live (1 at first), and this one is the place-th of them, from 0, by age: each
 * takes its part of a relay's rate and connections, the eldest what remains of these. One whose
 * place is beyond them has no part yet. Sessions that are too many now quit after the mails that
 * they have. A relay with fewer connections than there are engines has nothing for the youngest.
 */
void relay_pool_share(struct relay_pool *pool, unsigned engines, unsigned place);

/* Cuts all connections; mails that were with them are told of. Works on when it is woken. */
void relay_pool_cut(struct relay_pool *pool);

/* Nothing new: sessions QUIT after the mails that they have. */
void relay_pool_drain(struct relay_pool *pool);
bool relay_pool_idle(const struct relay_pool *pool); /* no session is left */

/* New settings: changed limits hold from now on; relays that went or changed their address finish
 * the mails that they have and close; new ones begin (without an id). */
int relay_pool_reload(struct relay_pool *pool, const struct settings *settings, struct why *why);

/* Cuts what is left (mails are told of) and frees. NULL is fine. */
void relay_pool_free(struct relay_pool *pool);

/* One line a relay for status and logs. */
void relay_pool_status(const struct relay_pool *pool, char *text, size_t room);
