/*
 * The outbox's turns: one transaction that records, looks and takes (outbox_take.c). Only one is
 * under way; what it took counts from its commit on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/faultpoint.h"
#include "base/log.h"
#include "queries.h"
#include "send/ledger.h"
#include "send/outbox_inside.h"

enum { TURN_PAUSE = 30 }; /* seconds between turns that fail, at most */

static void turn_end(void *user, const struct db_end *end);
static void turn_ask(struct outbox *o);

/* ---- windows --------------------------------------------------------------------------------- */

void outbox_windows_add(struct outbox *o, struct window *windows)
{
	struct window **at = &o->windows;
	while (*at)
		at = &(*at)->next;
	*at = windows;
}

/* Windows whose end was committed go; the journal may forget them. */
static void drop_settled(struct outbox *o)
{
	for (struct window **at = &o->windows; *at;) {
		struct window *w = *at;
		if (!window_is_settled(w)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		journal_settled(o->journal, w->session, w->n);
		FAULT_POINT("turn-window-settled");
		log_debug("%s window %d.%d of issue %lld is settled: %zu delivered, %zu refused, "
			  "%zu deferred",
			  window_kind_name(w->kind), w->session, w->n, (long long)w->issue,
			  w->ended[END_DELIVERED], w->ended[END_REFUSED], w->ended[END_DEFERRED]);
		window_free(w);
	}
}

/* ---- looking --------------------------------------------------------------------------------- */

/* A reader who may no longer be sent to: ends now, or is withdrawn from the wire. Of an issue that
 * was paused those go back who wait; the few that are on the wire go on. */
static void withdraw(struct window *w, struct member *m, const char *why_not)
{
	if (strcmp(why_not, "held") == 0) {
		usec_t now = clock_now();
		if (m->state == MEMBER_WAITING)
			window_end(w, m,
				   &(struct result){.ending = END_DEFERRED,
						    .at = now,
						    .reason = "issue paused",
						    .due_at = now});
		return;
	}
	const struct result result = {
	    .ending = strcmp(why_not, "expired") == 0 ? END_EXPIRED : END_SKIPPED,
	    .at = clock_now(),
	    .reason = why_not,
	};
	if (m->state == MEMBER_WAITING)
		window_end(w, m, &result);
	else if (m->state == MEMBER_OUT)
		m->withdrawn = arena_strdup(&w->arena, why_not);
}

static int on_looked(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct window *w = user;
	for (int row = 0; row < db_rows(rows); row++) {
		struct member *m = window_find(w, db_int64(rows, row, 0));
		if (m)
			withdraw(w, m, db_text(rows, row, 1));
	}
	w->looking = false;
	return 0;
}

static int add_look(struct db_tx *tx, struct window *w, usec_t now)
{
	if (!w->issue || w->in_state[MEMBER_WAITING] + w->in_state[MEMBER_OUT] == 0)
		return 0;
	_cleanup_free_ int64_t *ids = calloc(w->count, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < w->count; i++)
		if (w->members[i].state == MEMBER_WAITING || w->members[i].state == MEMBER_OUT)
			ids[n++] = w->members[i].id;
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, w->issue);
	params_int64s(&p, ids, n);
	params_usec(&p, now);
	w->looking = true;
	db_tx_query(tx, sql_issue_look, &p, on_looked, w);
	return 0;
}

/* Letters are looked at when they are taken; a letter that waits long goes back (return_late). */
static void looked(struct outbox *o)
{
	for (struct window *w = o->windows; w; w = w->next)
		if (!w->issue || !w->looking)
			w->looked = o->turn_began;
}

/* ---- issues ---------------------------------------------------------------------------------- */

static int on_issue(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	if (db_rows(rows) != 1)
		return 0;
	const struct rendering_issue issue = {
	    .id = db_int64(rows, 0, 0),
	    .uid = db_text(rows, 0, 1),
	    .resend_doubt = strcmp(db_text(rows, 0, 3), "resend") == 0,
	    .list = db_int(rows, 0, 4),
	    .expires_at = db_usec(rows, 0, 5),
	};
	struct why why = {""};
	int r = rendering_add_issue(o->rendering, &issue, db_str(rows, 0, 2), &why);
	if (r < 0)
		log_error("issue %lld: %s", (long long)issue.id, why.text);
	else if (o->journal)
		journal_issue(o->journal, issue.id, issue.uid);
	return r == -ENOMEM ? r : 0;
}

int outbox_load_issue(struct outbox *o, struct db_tx *tx, int64_t issue)
{
	const struct rendering_issue *known = rendering_find_issue(o->rendering, issue);
	if (known)
		return o->journal ? journal_issue(o->journal, issue, known->uid) : 0;
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, issue);
	db_tx_query(tx, sql_issue_load, &p, on_issue, o);
	return 0;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

/* Readers whom nobody began within `unstarted` go back to the queue, at no cost to them. */
static void return_late(struct outbox *o)
{
	usec_t now = clock_mono();
	for (struct window *w = o->windows; w && !o->dead; w = w->next)
		if (w->in_state[MEMBER_WAITING] && now - w->taken > o->settings->timing.unstarted)
			outbox_return_waiting(o, w, "unstarted", o->settings->retry.backoff.first);
}

static struct db_tx *build_turn(struct outbox *o, usec_t now)
{
	struct db_tx *tx = db_tx_new(o->parts.db, "turn");
	/* Should this process stand still now, its locks don't hold the others up for long. */
	db_tx_set(tx, "idle_in_transaction_session_timeout", o->idle_limit);
	outbox_schema_ask(o, tx);
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, o->session);
	params_int64(&p, o->turn);
	db_tx_query(tx, sql_session_turn, &p, outbox_on_turn, o);
	int r = ledger_write(tx, o->windows, o->careful, now);
	for (struct window *w = o->windows; r == 0 && w; w = w->next)
		r = add_look(tx, w, now);
	if (r < 0) {
		db_tx_drop(tx);
		return NULL;
	}
	o->answered_n = o->last_n;
	outbox_add_takes(o, tx, now);
	return tx;
}

void outbox_turn(struct outbox *o)
{
	if (o->turning || o->state < OUTBOX_RUNNING || o->state > OUTBOX_DRAINING ||
	    !db_is_up(o->parts.db) || (o->state == OUTBOX_RUNNING && clock_mono() < o->turn_rests))
		return;
	outbox_measure_pace(o);
	return_late(o);
	o->turn++;
	o->turning = true;
	o->turn_again = false;
	o->turn_began = clock_mono();
	struct db_tx *tx = build_turn(o, clock_now());
	if (tx && db_tx_submit(tx, turn_end, o) == 0) {
		FAULT_POINT_IF(ledger_backlog(o->windows), "turn-outcomes-begun");
		return;
	}
	log_error("out of memory: a turn of the outbox is put off");
	turn_end(o, &(struct db_end){.outcome = DB_FAILED, .err = -ENOMEM});
}

/* What it recorded is to be recorded again, what it took wasn't taken. */
static void undo_turn(struct outbox *o)
{
	ledger_end(o->windows, false);
	windows_free(&o->taken);
	outbox_ask(o);
	o->turning = false;
}

/* Once for each kind of trouble: what goes on for hours would fill the log. */
static void say_trouble(struct outbox *o, const struct db_end *end, bool again)
{
	const char *state = end->error.sqlstate[0] ? end->error.sqlstate : "-----";
	if (strcmp(o->turn_trouble, state) == 0)
		return;
	snprintf(o->turn_trouble, sizeof(o->turn_trouble), "%s", state);
	log_error("a turn of the outbox failed%s: %s (%s)",
		  again ? " and is done again row by row" : "; trying again until it goes well",
		  end->error.message[0] ? end->error.message : strerror(-end->err),
		  end->step ? end->step : end->name);
}

static void turn_failed(struct outbox *o, const struct db_end *end)
{
	FAULT_POINT_IF(!end->closing, "turn-failed");
	undo_turn(o);
	if (end->closing || end->outcome != DB_FAILED || end->err == -EXDEV)
		return;
	if (end->err == -ESTALE) {
		outbox_schema_moved(o);
		return;
	}
	if (end->err == -EREMCHG) {
		outbox_start_over(o);
		return;
	}
	bool misfit = db_error_in_class(&end->error, "22") || db_error_in_class(&end->error, "23");
	bool again = misfit && !o->careful; /* at once, row by row */
	say_trouble(o, end, again);
	if (!again) {
		usec_t longest = TURN_PAUSE * USEC_PER_SEC;
		o->turn_pause = !o->turn_pause                ? USEC_PER_SEC
				: 2 * o->turn_pause < longest ? 2 * o->turn_pause
							      : longest;
		o->turn_rests = clock_mono() + o->turn_pause;
	}
	outbox_turn_soon(o, again ? 0 : o->turn_pause);
	o->careful = misfit;
}

/*
 * A commit that the standby hasn't confirmed would be lost with this server, and another engine
 * would then take the same readers. So nothing is taken or handed over until a later commit is
 * confirmed: with it everything before it is.
 */
void outbox_confirmed(struct outbox *o, bool unreplicated)
{
	if (unreplicated && o->may_take)
		log_error("a commit wasn't confirmed by the standby: nothing more is taken or "
			  "handed over until one is (see digestd(8), THE DATABASE)");
	else if (!unreplicated && !o->may_take)
		log_notice("the standby confirms commits again");
	o->may_take = !unreplicated;
}

static void turn_done(struct outbox *o, bool unreplicated)
{
	outbox_confirmed(o, unreplicated);
	outbox_acknowledged(o);
	FAULT_POINT_IF(ledger_backlog(o->windows), "turn-outcomes-committed");
	ledger_end(o->windows, true);
	looked(o);
	drop_settled(o);
	if (o->taken) {
		FAULT_POINT("turn-take-committed");
		for (struct window *w = o->taken; w && o->state == OUTBOX_DRAINING; w = w->next)
			outbox_return_waiting(o, w, "shut down", 0);
		outbox_windows_add(o, o->taken);
		o->taken = NULL;
	}
	if (o->turn_trouble[0] && !o->careful)
		log_notice("the outbox's turns go well again");
	o->turn_trouble[0] = '\0';
	o->turn_pause = o->turn_rests = 0;
	o->careful = false;
	o->turning = false;
	outbox_wire_wake(o);
	if (o->state == OUTBOX_DRAINING && !o->windows)
		outbox_enter(o, OUTBOX_LEAVING);
	else if (o->turn_again || ledger_backlog(o->windows) >= (size_t)o->settings->window.size)
		outbox_turn_soon(o, OUTBOX_AGAIN * USEC_PER_MSEC);
	outbox_turn_when_due(o);
	outbox_fence_check(o);
}

static void turn_end(void *user, const struct db_end *end)
{
	struct outbox *o = user;
	switch (end->outcome) {
	case DB_DONE: turn_done(o, end->unreplicated); break;
	case DB_UNKNOWN:
		if (!end->closing) {
			FAULT_POINT("turn-unknown");
			turn_ask(o);
			break;
		}
		__attribute__((fallthrough));
	case DB_LOST:
	case DB_FAILED: turn_failed(o, end); break;
	}
}

/* ---- after a COMMIT whose answer was lost ---------------------------------------------------- */

static int on_last_turn(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	o->turn_found = db_rows(rows) == 1 ? db_int64(rows, 0, 0) : -1;
	return 0;
}

static void ask_end(void *user, const struct db_end *end)
{
	struct outbox *o = user;
	if (end->closing) {
		turn_failed(o, end);
	} else if (end->outcome != DB_DONE) {
		turn_ask(o);
	} else if (o->turn_found == o->turn) {
		FAULT_POINT("turn-known-done");
		log_notice("the answer to a commit was lost; it had been done");
		turn_done(o, end->unreplicated);
	} else {
		FAULT_POINT("turn-known-undone");
		log_notice("the answer to a commit was lost; it hadn't been done");
		undo_turn(o);
		outbox_turn_soon(o, 0);
	}
}

static void turn_ask(struct outbox *o)
{
	struct db_tx *tx = db_tx_new(o->parts.db, "was it committed");
	for (int i = 0; i < 2; i++) {
		_cleanup_params_ struct db_params p = {0};
		params_int64(&p, o->session);
		db_tx_query(tx, i == 0 ? sql_session_lock : sql_session_last_turn, &p,
			    i == 0 ? NULL : on_last_turn, o);
	}
	if (db_tx_submit(tx, ask_end, o) < 0) {
		log_error("out of memory after a lost commit: what it did is not known");
		outbox_end(o, -ENOMEM);
	}
}
