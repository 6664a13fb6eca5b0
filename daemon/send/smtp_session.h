/*
 * The inside of a session, shared by smtp.c (its connection, its time, its end) and smtp_dialogue.c
 * (what is said on it).
 *
 * States are named by the reply that is awaited. With PIPELINING the commands of a mail went out in
 * one write, so entering MAIL, RCPT or DATA only waits; without it entering sends the command.
 *
 *   CONNECTING  IDLE  [RSET]  MAIL  RCPT  DATA  [BODY]  DOT  then MAIL of the next, or IDLE
 *
 * LONE_DOT: DATA was taken although RCPT was refused. QUIT and CLOSED end it. Every callback may
 * close the session, so after each the state is looked at again.
 */
#pragma once

#include "send/smtp.h"
#include "send/smtp_hello.h"
#include "send/smtp_wire.h"

enum smtp_state {
	AT_CONNECTING,
	AT_IDLE,
	AT_RSET,
	AT_MAIL,
	AT_RCPT,
	AT_DATA,
	AT_BODY, /* a large body goes out, its dot not yet */
	AT_DOT,  /* the dot goes out or its reply is awaited */
	AT_LONE_DOT,
	AT_QUIT,
	AT_CLOSED
};

struct smtp {
	const struct smtp_target *target;
	const struct smtp_events *events;
	void *user;
	struct curl_loop *loop;
	struct curl_job job;
	CURL *easy;
	struct smtp_hello hello;
	struct smtp_wire wire;
	sd_event_source *io, *timer;
	usec_t deadline, armed; /* the timer is only moved to come earlier */

	enum smtp_state state;
	int depth;               /* of our functions on the stack: `closed` is told at 0 */
	struct str input;        /* read and not parsed yet */
	bool readable, writable; /* until -EAGAIN */
	bool hung_up;            /* read until the end: no further edge will come */
	bool broken;             /* writing failed; what the server said last may still be read */
	bool closing;            /* smtp_close() was called */
	bool needs_rset;         /* a transaction is open that nobody wants */
	bool intended;           /* intent() was called for `mail` */
	bool told;               /* closed() was called */
	const struct smtp_mail *mail; /* whose replies come next; NULL: settled */
	const struct smtp_mail *next; /* whose commands went out with the dot of `mail` */
	unsigned messages;

	enum smtp_end end;
	struct smtp_reply end_reply;
	char end_text[CURL_ERROR_SIZE];
};

/* smtp.c: ends the session at once and says what that means for the mails that it had. */
void smtp_finish(struct smtp *s, enum smtp_end why, const struct smtp_reply *reply,
		 const char *text);

/* smtp.c: the one way into a state other than CLOSED; sets its time limit. */
void smtp_enter(struct smtp *s, enum smtp_state state);
void smtp_limit(struct smtp *s, usec_t within);

/* smtp_dialogue.c */
void smtp_start(struct smtp *s);                   /* begins the next mail, or rests, or quits */
void smtp_quit(struct smtp *s, enum smtp_end why); /* says QUIT */
void smtp_flush(struct smtp *s);                   /* goes on writing what is pending */
void smtp_take_reply(struct smtp *s, struct smtp_reply *reply);
