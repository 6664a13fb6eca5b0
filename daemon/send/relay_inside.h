/*
 * What relay.c (the pool and its settings) and relay_session.c (what its sessions do) share.
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
unsigned relay_count(const struct relay *r, bool (*what)(const struct smtp *)); /* NULL: all */

/* ---- relay_session.c ---- */
int relay_session_open(struct relay *r);
void relay_fault(struct relay *r, const char *text); /* opens the breaker */
struct relay_session *relay_session_idle(const struct relay *r);
