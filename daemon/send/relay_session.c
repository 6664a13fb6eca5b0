#include "send/relay_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "send/reply.h"

/* ---- trouble and its end --------------------------------------------------------------------- */

void relay_fault(struct relay *r, const char *text)
{
	usec_t now = clock_mono();
	snprintf(r->trouble, sizeof(r->trouble), "%s", text);
	if (!breaker_fault(&r->breaker, &r->pool->backoff, now, NULL))
		return;
	usec_t wait = r->breaker.open_until - now;
	r->kept_until = 0;
	log_warning("relay %s: %s; next try in %.1f s", r->name, text,
		    (double)wait / (double)USEC_PER_SEC);
	relay_opened(r, wait ? wait : 1, text);
}

static void note_success(struct relay_session *s)
{
	struct relay *r = s->relay;
	s->good = true;
	if (r->breaker.state == BREAKER_HALF_OPEN && !s->probe)
		return;
	s->probe = false;
	if (r->breaker.state != BREAKER_OPEN)
		r->failed = r->alone = false;
	if (!breaker_ok(&r->breaker))
		return;
	log_notice("relay %s: works again", r->name);
	relay_closed(r);
}

/* Is this end of a session a sign that its relay is in trouble? */
static bool is_fault(const struct relay_session *s, enum smtp_end why,
		     const struct smtp_reply *reply)
{
	switch (why) {
	case SMTP_END_CONNECT:
	case SMTP_END_TLS:
	case SMTP_END_AUTH:
	case SMTP_END_TIMEOUT:
	case SMTP_END_PROTOCOL: return true;
	case SMTP_END_REFUSED: return reply_class(reply).breaker;
	case SMTP_END_CUT: return !s->good;
	default: return false;
	}
}

/* ---- what sessions tell ---------------------------------------------------------------------- */

static struct relay_session *session_of(const struct smtp *smtp)
{
	return smtp_user(smtp);
}

static void on_ready(struct smtp *smtp)
{
	session_of(smtp)->ready = true;
}

/* May this session begin a mail, the pace aside? */
static bool may_begin(const struct relay_session *s, usec_t now)
{
	const struct relay *r = s->relay;
	if (r->pool->draining || r->retired || s->leaving || !r->id || !r->pool->wanted ||
	    relay_is_spare(r, now))
		return false;
	switch (r->breaker.state) {
	case BREAKER_CLOSED: return true;
	case BREAKER_OPEN: return false;
	case BREAKER_HALF_OPEN: return s->probe && smtp_idle(s->smtp); /* one mail, no more */
	}
	return false;
}

/*
 * Are there connections without a mail, or coming, for all that wait? Then none need wait behind
 * the reply to another, which may take its ten minutes.
 */
static bool others_can_take_all(const struct relay_pool *pool, usec_t now)
{
	size_t left = pool->wanted;
	if (left > relay_pool_connections(pool))
		return false;
	for (size_t i = 0; i < pool->n; i++) {
		const struct relay *r = pool->relays[i];
		if (!r->id || r->breaker.state != BREAKER_CLOSED || relay_is_spare(r, now))
			continue;
		for (const struct relay_session *s = r->sessions; s && left; s = s->next)
			left -= !s->leaving && (smtp_idle(s->smtp) || smtp_connecting(s->smtp));
	}
	return left == 0;
}

/* It has nothing to probe with: so another may, of this relay's sessions or elsewhere. */
static void stop_probing(struct relay_session *s)
{
	if (!s->probe || !smtp_idle(s->smtp))
		return;
	s->probe = false;
	breaker_unused(&s->relay->breaker);
	relay_schedule(s->relay->pool);
}

static const struct smtp_mail *on_next(struct smtp *smtp)
{
	struct relay_session *s = session_of(smtp);
	struct relay *r = s->relay;
	struct relay_pool *pool = r->pool;
	usec_t now = clock_mono();
	if (!may_begin(s, now)) {
		stop_probing(s);
		return NULL;
	}
	if (smtp_ahead(smtp) && others_can_take_all(pool, now)) {
		relay_schedule(pool); /* which sets them to work */
		return NULL;
	}
	if (!pace_take(&r->pace, now)) {
		relay_schedule(pool); /* which sets the timer */
		return NULL;
	}
	const struct smtp_mail *mail = pool->events->next(pool->user, r->id);
	if (mail) {
		pool->wanted -= pool->wanted > 0;
	} else {
		pool->wanted = 0;
		pace_give_back(&r->pace);
		stop_probing(s);
	}
	return mail;
}

static int on_intent(struct smtp *smtp, const struct smtp_mail *mail)
{
	const struct relay_pool *pool = session_of(smtp)->relay->pool;
	return pool->events->intent(pool->user, mail);
}

static int on_still(struct smtp *smtp, const struct smtp_mail *mail)
{
	const struct relay_pool *pool = session_of(smtp)->relay->pool;
	return pool->events->still ? pool->events->still(pool->user, mail) : 0;
}

/* A mail that came back unstarted waits with the owner again. */
static void note_return(struct relay *r, enum smtp_end why)
{
	r->returned++;
	if (why == SMTP_END_WITHHELD)
		return;
	r->pool->wanted++;
	relay_schedule(r->pool);
}

static void on_returned(struct smtp *smtp, const struct smtp_mail *mail, enum smtp_end why)
{
	struct relay *r = session_of(smtp)->relay;
	note_return(r, why);
	r->pool->events->returned(r->pool->user, mail, why);
}

static void on_voided(struct smtp *smtp, const struct smtp_mail *mail, enum smtp_end why)
{
	struct relay *r = session_of(smtp)->relay;
	note_return(r, why);
	r->pool->events->voided(r->pool->user, mail, why);
}

static void on_doubt(struct smtp *smtp, const struct smtp_mail *mail, enum smtp_end why)
{
	struct relay *r = session_of(smtp)->relay;
	r->doubts++;
	r->pool->events->doubt(r->pool->user, mail, why);
}

static void on_outcome(struct smtp *smtp, const struct smtp_mail *mail,
		       const struct smtp_reply *reply)
{
	struct relay_session *s = session_of(smtp);
	struct relay *r = s->relay;
	struct verdict verdict = reply_class(reply);
	if (verdict.class == REPLY_ACCEPTED)
		r->accepted++;
	else if (verdict.final)
		r->refused++;
	else
		r->put_off++;
	if (verdict.breaker)
		relay_fault(r, reply->text);
	else
		note_success(s);
	r->pool->events->outcome(r->pool->user, mail, reply);
}

static void on_anomaly(struct smtp *smtp, const char *what, const struct smtp_reply *reply)
{
	struct relay *r = session_of(smtp)->relay;
	log_error("relay %s: %s", r->name, what);
	if (r->pool->events->anomaly)
		r->pool->events->anomaly(r->pool->user, r->id, what, reply);
}

/*
 * One session was turned away while others work, or may yet come to: a refusal is read sooner than
 * a login is done. Should all be turned away, the last one finds nobody and opens the breaker.
 */
static void keep_to(struct relay *r, unsigned sessions, const char *text)
{
	snprintf(r->trouble, sizeof(r->trouble), "%s", text);
	r->kept_to = sessions;
	r->kept_until = clock_mono() + retry_span(&r->pool->backoff, REPLY_RELAY, 1);
	log_info("relay %s: no further connection for now (%s); it goes on with %u", r->name, text,
		 sessions);
}

static void on_closed(struct smtp *smtp, enum smtp_end why, const struct smtp_reply *reply,
		      const char *text)
{
	struct relay_session *s = session_of(smtp);
	struct relay *r = s->relay;
	char told[sizeof(r->trouble)];
	if (reply && reply->code)
		snprintf(told, sizeof(told), "%s: %d %s%s%.200s", smtp_end_name(why), reply->code,
			 reply->enhanced, reply->enhanced[0] ? " " : "", reply->text);
	else
		snprintf(told, sizeof(told), "%s%s%s", smtp_end_name(why), text[0] ? ": " : "",
			 text);
	while (!text_valid(str_of(told))) /* cut within a character */
		told[strlen(told) - 1] = '\0';
	log_debug("relay %s: a session ended: %s, %u messages", r->name, told, smtp_messages(smtp));
	if (s->next)
		s->next->prev_next = s->prev_next;
	*s->prev_next = s->next;

	unsigned others = relay_count(r, NULL);
	if (!is_fault(s, why, reply)) {
		if (s->probe)
			breaker_unused(&r->breaker);
	} else if (!s->ready && others && r->breaker.state == BREAKER_CLOSED) {
		keep_to(r, others, told);
	} else {
		relay_fault(r, told);
	}
	relay_schedule(r->pool);
	smtp_free(smtp);
	free(s);
}

/* ---- beginning ------------------------------------------------------------------------------- */

int relay_session_open(struct relay *r)
{
	static const struct smtp_events events = {
	    .ready = on_ready,
	    .next = on_next,
	    .intent = on_intent,
	    .still = on_still,
	    .returned = on_returned,
	    .outcome = on_outcome,
	    .voided = on_voided,
	    .doubt = on_doubt,
	    .anomaly = on_anomaly,
	    .closed = on_closed,
	};
	struct relay_session *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->relay = r;
	int res = smtp_open(r->pool->loop, &r->target, &events, s, &s->smtp);
	if (res < 0) {
		free(s);
		return res;
	}
	s->probe = r->breaker.state == BREAKER_HALF_OPEN;
	s->next = r->sessions;
	if (s->next)
		s->next->prev_next = &s->next;
	s->prev_next = &r->sessions;
	r->sessions = s;
	return 0;
}

struct relay_session *relay_session_idle(const struct relay *r)
{
	for (struct relay_session *s = r->sessions; s; s = s->next)
		if (smtp_idle(s->smtp) && !s->leaving)
			return s;
	return NULL;
}
