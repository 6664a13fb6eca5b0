/*
 * The outbox's way to the relays: which member goes next, what happens to a mail on its way, and
 * what an answer means for its reader.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/faultpoint.h"
#include "base/log.h"
#include "queries.h"
#include "send/outbox_inside.h"
#include "send/reply.h"
#include "send/retry.h"

enum { JOURNAL_REST = 5 }; /* seconds before it is tried again after a full disk */

/* ---- slots ----------------------------------------------------------------------------------- */

static struct slot *slot_take(struct outbox *o)
{
	struct slot *s = o->free_slots;
	if (s)
		o->free_slots = s->next;
	else
		s = calloc(1, sizeof(*s));
	if (s) {
		s->next = NULL;
		s->intent = false;
	}
	return s;
}

static void slot_release(struct outbox *o, struct slot *s)
{
	s->window = NULL;
	s->member = NULL;
	s->next = o->free_slots;
	o->free_slots = s;
}

/* ---- what goes next -------------------------------------------------------------------------- */

static bool is_fresh_enough(const struct outbox *o, const struct window *w, usec_t now)
{
	return now - w->looked <= o->settings->timing.look_max;
}

/* The first window of that kind with a member who waits. Sweeps count as fresh. */
static struct window *waiting_window(struct outbox *o, enum window_kind kind, usec_t now)
{
	for (struct window *w = o->windows; w; w = w->next) {
		enum window_kind k = w->kind == WINDOW_SWEEP ? WINDOW_FRESH : w->kind;
		if (k == kind && w->in_state[MEMBER_WAITING] && is_fresh_enough(o, w, now))
			return w;
	}
	return NULL;
}

/* Mails out of that kind, as a share of all connections; of too few connections to share, every so
 * many'th mail is of that kind. */
static bool has_share(const struct outbox *o, enum window_kind kind, unsigned of)
{
	size_t part = relay_pool_connections(o->relays) / of;
	return part ? o->out[kind] < part : o->since[kind] + 1 >= of;
}

/*
 * Letters go first, up to half of the slots; retries and fresh mails each have a quarter at least;
 * beyond their shares fresh goes before retry, and who has nobody waiting gives way.
 */
static struct window *choose_window(struct outbox *o, usec_t now)
{
	struct window *letter = waiting_window(o, WINDOW_LETTER, now);
	struct window *retry = waiting_window(o, WINDOW_RETRY, now);
	struct window *fresh = waiting_window(o, WINDOW_FRESH, now);
	if (letter && (has_share(o, WINDOW_LETTER, 2) || (!retry && !fresh)))
		return letter;
	if (retry && (has_share(o, WINDOW_RETRY, 4) || !fresh))
		return retry;
	return fresh;
}

static bool is_trusted(const struct outbox *o)
{
	return !o->dead && clock_boot() - o->beat_sent < o->settings->timing.stop_after;
}

/* A mail that can't be made: for this reader, or for anyone of this issue. */
static void end_unrendered(struct outbox *o, struct window *w, struct member *m, int err,
			   const struct why *why)
{
	struct result result = {.ending = END_SKIPPED, .at = clock_now(), .reason = "no topic"};
	switch (err) {
	case -ENODATA: break;
	case -EBADMSG:
		result.ending = END_REFUSED;
		result.reason = "not an address";
		result.reply = why->text;
		break;
	default:
		if (w->kind != WINDOW_LETTER) {
			log_error("issue %lld can't be rendered and is paused: %s",
				  (long long)w->issue, why->text);
			_cleanup_params_ struct db_params p = {0};
			params_int64(&p, w->issue);
			db_query(o->parts.db, sql_issue_pause, &p, NULL, NULL, NULL);
			outbox_return_waiting(o, w, "can't be rendered", USEC_PER_SEC);
			return;
		}
		log_error("letter %lld can't be rendered: %s", (long long)m->id, why->text);
		result.reason = "can't be rendered";
		result.reply = why->text;
	}
	window_end(w, m, &result);
}

static const struct smtp_mail *give(struct outbox *o, struct slot *s, int32_t relay)
{
	s->relay = relay;
	s->mail = (struct smtp_mail){
	    .from = str_of(s->rendered.from),
	    .to = str_of(s->rendered.to),
	    .bytes = buf_str(&s->rendered.bytes),
	    .utf8 = s->rendered.utf8,
	    .user = s,
	};
	window_enter(s->window, s->member, MEMBER_OUT);
	o->out[s->window->kind]++;
	FAULT_POINT("wire-mail-given");
	for (int kind = 0; kind < WINDOW_KINDS; kind++)
		o->since[kind]++;
	o->since[s->window->kind] = 0;
	return &s->mail;
}

static const struct smtp_mail *on_next(void *user, int32_t relay)
{
	struct outbox *o = user;
	if (o->state != OUTBOX_RUNNING || !is_trusted(o) || !o->may_take)
		return NULL;
	usec_t now = clock_mono();
	if (now < o->journal_rests)
		return NULL;
	struct window *w;
	while ((w = choose_window(o, now))) {
		struct slot *s = slot_take(o);
		if (!s)
			return NULL;
		s->window = w;
		s->member = window_next(w);
		struct why why = {""};
		int r = rendering_mail(o->rendering, w, s->member, &s->rendered, &why);
		if (r == 0) {
			if (w->in_state[MEMBER_WAITING] == 1)
				outbox_turn_soon(o, 0);
			return give(o, s, relay);
		}
		struct member *m = s->member;
		slot_release(o, s);
		if (r == -ENOMEM)
			return NULL;
		end_unrendered(o, w, m, r, &why);
	}
	outbox_turn_if_more(o);
	return NULL;
}

/* ---- what happens to it ---------------------------------------------------------------------- */

static struct journal_key key_of(const struct slot *s)
{
	return (struct journal_key){
	    .issue = s->window->issue,
	    .subscriber = s->member->id,
	    .session = s->window->session,
	    .window = s->window->n,
	    .attempt = s->member->tries + 1,
	};
}

static int on_intent(void *user, const struct smtp_mail *mail)
{
	struct outbox *o = user;
	struct slot *s = mail->user;
	if (s->member->withdrawn || !is_trusted(o) || o->state < OUTBOX_RUNNING ||
	    o->state > OUTBOX_DRAINING)
		return -ECANCELED;
	const struct journal_intent intent = {
	    .key = key_of(s),
	    .variant = s->member->variant,
	    .address_no = s->member->address_no,
	    .relay = s->relay,
	    .at = clock_now(),
	};
	FAULT_POINT("journal-intent-before");
	int r = journal_intent(o->journal, &intent);
	if (r < 0) {
		if (o->journal_rests <= clock_mono())
			log_error("the journal can't be written, nothing more is handed over: %s",
				  strerror(-r));
		o->journal_rests = clock_mono() + JOURNAL_REST * USEC_PER_SEC;
		return r;
	}
	s->intent = true;
	window_enter(s->window, s->member, MEMBER_INTENT);
	return 0;
}

/* The process may have stood still between the intent and this write. */
static int on_still(void *user, const struct smtp_mail *mail)
{
	(void)mail;
	return is_trusted(user) ? 0 : -ECANCELED;
}

/* The mail is back from its relay, whatever came of it. */
static void back(struct outbox *o, struct slot *s)
{
	struct window *w = s->window;
	o->out[w->kind]--;
	slot_release(o, s);
	if (window_has_ended(w) || o->state == OUTBOX_FENCED)
		outbox_turn_soon(o, 0);
}

/* Unstarted: it waits again, unless its reader left meanwhile. */
static void on_returned(void *user, const struct smtp_mail *mail, enum smtp_end end)
{
	(void)end;
	struct outbox *o = user;
	struct slot *s = mail->user;
	struct member *m = s->member;
	FAULT_POINT("wire-mail-returned");
	if (s->member->withdrawn)
		window_end(s->window, m,
			   &(struct result){.ending = END_SKIPPED,
					    .at = clock_now(),
					    .reason = s->member->withdrawn});
	else
		window_enter(s->window, m, MEMBER_WAITING);
	if (o->state == OUTBOX_DRAINING)
		outbox_return_waiting(o, s->window, "shut down", 0);
	back(o, s);
}

static void on_voided(void *user, const struct smtp_mail *mail, enum smtp_end end)
{
	struct outbox *o = user;
	struct slot *s = mail->user;
	struct journal_key key = key_of(s);
	FAULT_POINT("wire-void-before");
	if (journal_void(o->journal, &key) < 0)
		log_warning("the journal can't be told that a mail didn't go");
	FAULT_POINT("wire-voided");
	on_returned(user, mail, end);
}

static void on_outcome(void *user, const struct smtp_mail *mail, const struct smtp_reply *reply)
{
	struct outbox *o = user;
	struct slot *s = mail->user;
	usec_t now = clock_now();
	FAULT_POINT("wire-reply-read");
	if (s->intent) {
		const struct journal_reply record = {
		    .key = key_of(s),
		    .relay = s->relay,
		    .code = reply->code,
		    .stage = (int32_t)reply->stage,
		    .at = now,
		    .enhanced = str_of(reply->enhanced),
		    .queue_id = str_of(reply->queue_id),
		    .text = str_of(reply->text),
		};
		if (journal_reply(o->journal, &record) < 0)
			log_error("a reply can't be put into the journal");
		FAULT_POINT("wire-reply-kept");
	}
	outbox_answer(o, s->window, s->member, s->relay, now, reply);
	FAULT_POINT("wire-reply-acted-on");
	back(o, s);
}

static void on_doubt(void *user, const struct smtp_mail *mail, enum smtp_end end)
{
	struct outbox *o = user;
	struct slot *s = mail->user;
	log_warning("%s %lld to %lld is in doubt: handed over, no answer (%s)",
		    s->window->issue ? "issue" : "letter", (long long)s->window->issue,
		    (long long)s->member->id, smtp_end_name(end));
	FAULT_POINT("wire-doubt-before");
	outbox_doubt(o, s->window, s->member, s->relay, smtp_end_name(end), false);
	FAULT_POINT("wire-doubt-noted");
	back(o, s);
}

/* ---- what it means for the reader ------------------------------------------------------------ */

static usec_t expiry_of(const struct outbox *o, const struct window *w, const struct member *m)
{
	if (w->kind == WINDOW_LETTER)
		return m->expires_at;
	const struct rendering_issue *issue = rendering_find_issue(o->rendering, w->issue);
	return issue ? issue->expires_at : UINT64_MAX;
}

static void end_member(struct outbox *o, struct window *w, struct member *m,
		       const struct result *result)
{
	window_end(w, m, result);
	if (result->ending == END_DEFERRED)
		outbox_put_off(o, w->kind, result->due_at);
}

void outbox_answer(struct outbox *o, struct window *w, struct member *m, int32_t relay, usec_t at,
		   const struct smtp_reply *reply)
{
	struct verdict v = reply_class(reply);
	struct result result = {
	    .at = at,
	    .relay = relay,
	    .code = reply->code,
	    .enhanced = reply->enhanced,
	    .reason = reply_class_name(v.class),
	    .reply = reply->text,
	    .queue_id = reply->queue_id,
	    .spent = v.spends_try || v.final || v.class == REPLY_ACCEPTED,
	    .suppress = v.suppress,
	};
	o->ended_count++;
	if (v.class == REPLY_ACCEPTED) {
		result.ending = END_DELIVERED;
	} else if (v.final) {
		result.ending = END_REFUSED;
	} else {
		unsigned tries = (unsigned)m->tries + (result.spent ? 1 : 0);
		result.ending = retry_next(&o->settings->retry.backoff, v.class, tries ? tries : 1,
					   at, expiry_of(o, w, m), NULL, &result.due_at)
				    ? END_DEFERRED
				    : END_EXPIRED;
	}
	end_member(o, w, m, &result);
}

void outbox_doubt(struct outbox *o, struct window *w, struct member *m, int32_t relay,
		  const char *cause, bool hold)
{
	const struct rendering_issue *issue = rendering_find_issue(o->rendering, w->issue);
	/* Nobody decides on a letter, so an operator can't be waited for. */
	hold = hold && w->kind != WINDOW_LETTER;
	bool resend = !hold && m->doubts == 0 && (!issue || issue->resend_doubt);
	usec_t now = clock_now();
	char reason[64];
	snprintf(reason, sizeof(reason), "in doubt%s: %s", hold ? ", held" : "", cause);
	struct result result = {
	    .ending = END_IN_DOUBT,
	    .at = now,
	    .relay = relay,
	    .reason = reason,
	    .spent = true,
	    .doubt = true,
	};
	o->ended_count++;
	if (resend &&
	    retry_next(&o->settings->retry.backoff, REPLY_TEMPORARY, (unsigned)m->tries + 1, now,
		       expiry_of(o, w, m), NULL, &result.due_at))
		result.ending = END_DEFERRED;
	end_member(o, w, m, &result);
}

void outbox_return_waiting(struct outbox *o, struct window *w, const char *cause, usec_t wait)
{
	usec_t now = clock_now();
	const struct result result = {
	    .ending = END_DEFERRED, .at = now, .reason = cause, .due_at = now + wait};
	struct member *m;
	while ((m = window_next(w)))
		end_member(o, w, m, &result);
}

/* ---- relays ---------------------------------------------------------------------------------- */

static void on_anomaly(void *user, int32_t relay, const char *what, const struct smtp_reply *reply)
{
	struct outbox *o = user;
	log_warning("relay %d: %s%s%s", relay, what, reply ? ": " : "", reply ? reply->text : "");
	_cleanup_params_ struct db_params p = {0};
	params_usec(&p, clock_now());
	params_text(&p, "relay");
	params_null(&p);
	params_null(&p);
	params_int64(&p, o->session);
	params_null(&p);
	params_text(&p, "{}");
	db_query(o->parts.db, sql_anomaly_put, &p, NULL, NULL, NULL);
}

int outbox_wire_open(struct outbox *o, struct why *why)
{
	static const struct relay_events events = {
	    .next = on_next,
	    .intent = on_intent,
	    .still = on_still,
	    .returned = on_returned,
	    .outcome = on_outcome,
	    .voided = on_voided,
	    .doubt = on_doubt,
	    .anomaly = on_anomaly,
	    .breaker = outbox_relay_changed,
	    .probe = outbox_relay_probe,
	};
	return relay_pool_open(o->parts.curl, o->settings, &events, o, &o->relays, why);
}

void outbox_wire_wake(struct outbox *o)
{
	if (o->state != OUTBOX_RUNNING)
		return;
	size_t waiting = 0;
	usec_t now = clock_mono();
	for (const struct window *w = o->windows; w; w = w->next)
		if (is_fresh_enough(o, w, now))
			waiting += w->in_state[MEMBER_WAITING];
	if (waiting)
		relay_pool_wake(o->relays, waiting);
}

int outbox_wire_reload(struct outbox *o, const struct settings *settings, struct why *why)
{
	int r = relay_pool_reload(o->relays, settings, why);
	if (r == 0 && o->state == OUTBOX_RUNNING)
		outbox_relays_name(o);
	return r;
}

void outbox_wire_close(struct outbox *o)
{
	relay_pool_drain(o->relays);
}

void outbox_wire_free(struct outbox *o)
{
	relay_pool_free(o->relays);
	o->relays = NULL;
	while (o->free_slots) {
		struct slot *next = o->free_slots->next;
		buf_free(&o->free_slots->rendered.bytes);
		free(o->free_slots);
		o->free_slots = next;
	}
}
