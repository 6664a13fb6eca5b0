#include "send/smtp_session.h"

#include <errno.h>
#include <string.h>

#include "send/reply.h"
#include "send/smtp_mail.h"

enum {
	GATHER = 32 * 1024, /* larger bodies aren't copied, and their dot goes out apart */
	KEEP = 2 * GATHER   /* a larger write buffer is given back */
};

static const enum smtp_stage stages[] = {
    [AT_RSET] = SMTP_RSET, [AT_MAIL] = SMTP_MAIL, [AT_RCPT] = SMTP_RCPT,    [AT_DATA] = SMTP_DATA,
    [AT_BODY] = SMTP_DATA, [AT_DOT] = SMTP_DOT,   [AT_LONE_DOT] = SMTP_DOT, [AT_QUIT] = SMTP_QUIT,
};

/* ---- writing --------------------------------------------------------------------------------- */

/*
 * May a write begin? One is begun only when every reply was read: a server that has said more than
 * it was asked would be misunderstood from here on.
 */
static bool quiet(struct smtp *s)
{
	if (!s->wire.pending.n && !s->input.n && !smtp_parse_pending(&s->hello.parser))
		return true;
	smtp_finish(s, SMTP_END_PROTOCOL, NULL, "the server said more than it was asked");
	return false;
}

static struct buf *fresh(struct smtp *s)
{
	if (s->wire.out.cap > KEEP)
		buf_free(&s->wire.out);
	buf_reset(&s->wire.out);
	return &s->wire.out;
}

/* Begins to write what was gathered; its dot is at an offset, or -1. */
static void put(struct smtp *s, ssize_t dot)
{
	struct buf *out = &s->wire.out;
	if (out->err)
		smtp_finish(s, SMTP_END_MEMORY, NULL, "out of memory");
	else
		smtp_wire_put(&s->wire, buf_str(out), dot < 0 ? NULL : out->data + dot);
}

/* Without PIPELINING: sends the command of a state as it is entered. */
static void step(struct smtp *s, enum smtp_state state)
{
	if (!s->hello.features.pipelining) {
		if (!quiet(s))
			return;
		smtp_mail_command(s->mail, &s->hello.features, stages[state], fresh(s));
		put(s, -1);
	}
	smtp_enter(s, state);
}

void smtp_quit(struct smtp *s, enum smtp_end why)
{
	if (!quiet(s))
		return;
	s->end = why;
	buf_adds(fresh(s), "QUIT\r\n");
	put(s, -1);
	smtp_enter(s, AT_QUIT);
}

static bool may_take_more(const struct smtp *s)
{
	return !s->closing && s->state != AT_CLOSED &&
	       (!s->target->messages || s->messages < s->target->messages);
}

/* The owner's next mail that this server can take; others are refused on the spot. */
static const struct smtp_mail *ask(struct smtp *s)
{
	while (may_take_more(s)) {
		const struct smtp_mail *mail = s->events->next(s);
		if (!mail)
			return NULL;
		if (s->state == AT_CLOSED) {
			s->events->returned(s, mail, s->end);
			return NULL;
		}
		struct smtp_reply refusal;
		if (smtp_mail_fits(mail, &s->hello.features, &refusal))
			return mail;
		s->events->outcome(s, mail, &refusal);
	}
	return NULL;
}

/* MAIL, RCPT and DATA in one group, which DATA must end (RFC 2920, 3.1). */
static void add_group(struct smtp *s, const struct smtp_mail *mail)
{
	for (int stage = SMTP_MAIL; stage <= SMTP_DATA; stage++)
		smtp_mail_command(mail, &s->hello.features, (enum smtp_stage)stage, &s->wire.out);
}

/* Begins the next mail, or rests. */
void smtp_start(struct smtp *s)
{
	if (s->state == AT_CLOSED || !quiet(s))
		return;
	s->mail = ask(s);
	if (s->state == AT_CLOSED)
		return;
	if (!s->mail) {
		if (may_take_more(s))
			smtp_enter(s, AT_IDLE);
		else
			smtp_quit(s, s->closing ? SMTP_END_ORDERLY : SMTP_END_MESSAGES);
		return;
	}
	bool reset = s->needs_rset;
	s->needs_rset = false;
	if (s->hello.features.pipelining) {
		fresh(s);
		if (reset)
			smtp_mail_command(s->mail, &s->hello.features, SMTP_RSET, &s->wire.out);
		add_group(s, s->mail);
		put(s, -1);
	}
	step(s, reset ? AT_RSET : AT_MAIL);
}

/* Adds the commands of the next mail to what is about to be written, if there is one. */
static void add_next(struct smtp *s)
{
	if (!s->hello.features.pipelining)
		return;
	s->next = ask(s);
	if (s->next)
		add_group(s, s->next);
}

/* Ends the body that went out, or stands in the buffer, and with it begins the next mail. */
static void write_dot(struct smtp *s)
{
	struct buf *out = &s->wire.out;
	size_t dot = out->len;
	buf_adds(out, "\r\n.\r\n");
	int r = s->events->intent(s, s->mail);
	if (s->state == AT_CLOSED)
		return;
	if (r < 0) {
		smtp_finish(s, SMTP_END_WITHHELD, NULL, "the mail may no longer be sent");
		return;
	}
	s->intended = true;
	s->wire.dot = NULL; /* that of the last mail */
	add_next(s);
	if (s->state == AT_CLOSED)
		return;
	put(s, (ssize_t)dot);
	smtp_enter(s, AT_DOT);
}

static void write_body(struct smtp *s)
{
	if (!quiet(s))
		return;
	struct str body = s->mail->bytes;
	if (body.n >= 2 && memcmp(body.p + body.n - 2, "\r\n", 2) == 0)
		body.n -= 2; /* it is of the dot's CRLF.CRLF */
	s->messages++;
	s->wire.dot = NULL;
	fresh(s);
	if (smtp_mail_has_dots(body)) {
		smtp_mail_stuff(body, &s->wire.out);
	} else if (body.n <= GATHER) {
		buf_addstr(&s->wire.out, body);
	} else {
		smtp_wire_put(&s->wire, body, NULL);
		smtp_enter(s, AT_BODY);
		return;
	}
	write_dot(s);
}

static void write_lone_dot(struct smtp *s)
{
	if (!quiet(s))
		return;
	buf_adds(fresh(s), ".\r\n");
	add_next(s);
	if (s->state == AT_CLOSED)
		return;
	put(s, -1);
	smtp_enter(s, AT_LONE_DOT);
}

/* Is there a dot to be written, all or in part, and which may no longer be? */
static bool is_overdue(struct smtp *s)
{
	return s->state == AT_DOT && s->mail && s->intended && s->events->still &&
	       smtp_wire_dot(&s->wire) != SMTP_DOT_SENT && s->events->still(s, s->mail) < 0;
}

/* Goes on with what is pending. */
void smtp_flush(struct smtp *s)
{
	bool moved = false;
	if (is_overdue(s)) {
		smtp_finish(s, SMTP_END_WITHHELD, NULL, "the mail may no longer be sent");
		return;
	}
	int r = smtp_wire_send(&s->wire, &moved);
	if (r == -EPIPE) {
		s->broken = true;
		s->readable = true;
		return;
	}
	s->writable = r == 0;
	if (r == 0 && s->state == AT_BODY)
		write_dot(s);
	else if (r == 0 && s->state == AT_DOT)
		smtp_limit(s, s->target->limits.dot);
	else if (moved && (s->state == AT_BODY || s->state == AT_DOT))
		smtp_limit(s, s->target->limits.block);
}

/* ---- replies --------------------------------------------------------------------------------- */

static void settle(struct smtp *s, const struct smtp_reply *reply)
{
	const struct smtp_mail *mail = steal(s->mail);
	s->intended = false;
	s->events->outcome(s, mail, reply);
}

/* The mail whose commands went out with the last dot is the next whose replies come. */
static void go_on(struct smtp *s)
{
	if (s->state == AT_CLOSED)
		return;
	s->mail = steal(s->next);
	if (s->mail)
		smtp_enter(s, AT_MAIL);
	else
		smtp_start(s);
}

/* MAIL, RCPT or DATA was refused. */
static void take_refusal(struct smtp *s, const struct smtp_reply *reply)
{
	enum smtp_state state = s->state;
	s->needs_rset = true;
	if (s->mail) {
		if (reply_class(reply).class == REPLY_RELAY) {
			smtp_finish(s, SMTP_END_REFUSED, reply, reply->text);
			return;
		}
		settle(s, reply);
	}
	if (reply->code == 421)
		smtp_finish(s, SMTP_END_REFUSED, reply, reply->text);
	else if (s->hello.features.pipelining && state == AT_MAIL)
		smtp_enter(s, AT_RCPT);
	else if (s->hello.features.pipelining && state == AT_RCPT)
		smtp_enter(s, AT_DATA);
	else
		smtp_start(s);
}

static void take_envelope(struct smtp *s, const struct smtp_reply *reply)
{
	if (!smtp_reply_good(reply->stage, reply->code))
		take_refusal(s, reply);
	else if (s->state == AT_MAIL)
		step(s, AT_RCPT);
	else if (s->state == AT_RCPT)
		step(s, AT_DATA);
	else if (s->mail)
		write_body(s);
	else
		write_lone_dot(s);
}

/* A reply while no byte of the dot is out: the server won't have the rest. */
static void take_early(struct smtp *s, struct smtp_reply *reply)
{
	reply->stage = SMTP_DATA;
	if (reply->code < 400) {
		smtp_finish(s, SMTP_END_PROTOCOL, reply, "a reply before the message was sent");
		return;
	}
	if (reply_class(reply).class == REPLY_RELAY) {
		smtp_finish(s, SMTP_END_REFUSED, reply, reply->text);
		return;
	}
	settle(s, reply);
	smtp_finish(s, reply->code == 421 ? SMTP_END_REFUSED : SMTP_END_ORDERLY, reply,
		    reply->text);
}

static void take_dot(struct smtp *s, struct smtp_reply *reply)
{
	if (smtp_wire_dot(&s->wire) == SMTP_DOT_KEPT) {
		take_early(s, reply);
		return;
	}
	if (reply->code / 100 == 3) {
		smtp_finish(s, SMTP_END_PROTOCOL, reply, "no answer to the final dot");
		return;
	}
	settle(s, reply);
	if (reply->code == 421)
		smtp_finish(s, SMTP_END_REFUSED, reply, reply->text);
	else
		go_on(s);
}

static void take_lone_dot(struct smtp *s, const struct smtp_reply *reply)
{
	if (reply->code / 100 == 2 && s->events->anomaly)
		s->events->anomaly(s, "an empty message was accepted after RCPT was refused",
				   reply);
	s->needs_rset = false; /* the dot ended the transaction */
	if (reply->code == 421)
		smtp_finish(s, SMTP_END_REFUSED, reply, reply->text);
	else
		go_on(s);
}

/* Takes a complete reply: the only place where replies act. */
void smtp_take_reply(struct smtp *s, struct smtp_reply *reply)
{
	if (s->state >= AT_RSET)
		reply->stage = stages[s->state];
	switch (s->state) {
	case AT_IDLE:
		reply->stage = SMTP_QUIT;
		smtp_finish(s, reply->code == 421 ? SMTP_END_ORDERLY : SMTP_END_PROTOCOL, reply,
			    reply->text);
		break;
	case AT_RSET:
		if (smtp_reply_good(SMTP_RSET, reply->code))
			step(s, AT_MAIL);
		else
			smtp_finish(s, SMTP_END_REFUSED, reply, reply->text);
		break;
	case AT_MAIL:
	case AT_RCPT:
	case AT_DATA: take_envelope(s, reply); break;
	case AT_BODY: take_early(s, reply); break;
	case AT_DOT: take_dot(s, reply); break;
	case AT_LONE_DOT: take_lone_dot(s, reply); break;
	case AT_QUIT: smtp_finish(s, s->end, NULL, ""); break;
	case AT_CONNECTING:
	case AT_CLOSED: break;
	}
}
