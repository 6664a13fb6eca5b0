/*
 * What relay.c (the pool and its settings), relay_session.c (what its sessions do) and
 * relay_shared.c (breakers that other pools share) have in common.
 */
#pragma once

#include "base/arena.h"
#include "send/breaker.h"
#include "send/pace.h"
#include "send/relay.h"

struct relay_session {
	struct relay *relay;
	struct smtp *smtp;
	struct relay_session *next, **prev_next;
	bool ready;   /* was logged in once */
	bool probe;   /* tries a relay whose breaker is half open */
	bool good;    /* settled a mail since it began or probed */
	bool leaving; /* was told to quit: it is one too many */
};

struct relay {
	struct relay_pool *pool;
	struct relay *next; /* among the retired */
	int32_t id;         /* the database's; 0: not known, no mail */
	bool retired;       /* no longer in the settings */
	struct arena arena; /* of the strings */
	const char *name;
	struct smtp_target target;
	unsigned connections, rate, weight; /* over all engines */
	struct relay_session *sessions;
	struct pace pace;
	struct breaker breaker;
	bool fresh;        /* nothing was heard of it yet */
	bool shared;       /* its breaker is open for the others, too: a probe must be allowed */
	bool asked;        /* for that, and no answer so far */
	bool failed;       /* we opened it, and since then no mail of ours went well */
	bool alone;        /* failed, but another pool found it well */
	unsigned unsaid;   /* changes that the others haven't heard yet */
	int64_t mark;      /* of what was heard last */
	unsigned kept_to;  /* sessions, when the relay wanted no more of them ... */
	usec_t kept_until; /* ... and how long that is heeded */
	uint64_t accepted, put_off, refused, returned, doubts;
	char trouble[256]; /* the last */
};

struct relay_pool {
	struct curl_loop *loop;
	const struct relay_events *events;
	void *user;
	struct settings_backoff backoff;
	usec_t beat;
	struct relay **relays; /* in the order of the settings */
	size_t n;
	struct relay *retired; /* until their sessions end */
	size_t wanted;         /* mails that wait with the owner */
	unsigned engines, place;
	bool draining;
	sd_event_source *work, *timer;
};

/* ---- relay.c ---- */
void relay_schedule(struct relay_pool *pool);           /* work in the next turn of the loop */
bool relay_is_spare(const struct relay *r, usec_t now); /* weight 0, and others are well */
unsigned relay_share(const struct relay *r);            /* connections that are ours */
unsigned relay_count(const struct relay *r, bool (*what)(const struct smtp *)); /* NULL: all */

/* ---- relay_shared.c ---- */
bool relay_would(const struct relay *r, usec_t now); /* may a mail, or a probe, begin? */
void relay_ask_probes(struct relay_pool *pool, usec_t now);
void relay_leave_probes(struct relay_pool *pool, usec_t now); /* for which there is no use */
void relay_give_up_probe(struct relay *r);
void relay_opened(struct relay *r, usec_t wait, const char *reason);
void relay_closed(struct relay *r);

/* ---- relay_session.c ---- */
int relay_session_open(struct relay *r);
void relay_fault(struct relay *r, const char *text); /* opens the breaker */
struct relay_session *relay_session_idle(const struct relay *r);
