/*
 * The outbox and the histories of its database (sql/migrations/0012_servers.sql).
 *
 * Each turn looks first whether this is still the server and the history that the engine knows. A
 * server that it must not work with is left (-EXDEV: the connection is given up, and the right one
 * looked for). In another history, or one that has lost a turn that was acknowledged (-EREMCHG),
 * the outbox starts over: what is on the wire comes back, whose answers the journal gets; then a
 * new session tells the history what the journal knows, and waits until the other engines have done
 * so too. Nothing new is handed over meanwhile.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "queries.h"
#include "send/ledger.h"
#include "send/outbox_inside.h"
#include "send/recall.h"
#include "send/reply.h"

enum { LOOK_WIRE = 50 }; /* milliseconds between two looks whether all mails are back */

/* ---- which server this is -------------------------------------------------------------------- */

int outbox_admit(void *user, const struct pg_result *res, struct why *why)
{
	struct history *history = user;
	if (db_rows(res) != 1)
		return why_set(why, -EXDEV, "the server doesn't tell what it is");
	return history_admit(history, db_int64(res, 0, 0), db_int(res, 0, 1), why);
}

static int on_seen(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	struct why why = {""};
	int r = history_admit(o->parts.history, db_int64(rows, 0, 0), db_int(rows, 0, 1), &why);
	if (r < 0)
		return r;
	o->seen_system = db_int64(rows, 0, 0);
	o->seen_timeline = db_int(rows, 0, 1);
	snprintf(o->seen_mark, sizeof(o->seen_mark), "%s", db_text(rows, 0, 2));
	o->must_tell = db_bool(rows, 0, 3);
	return 0;
}

void outbox_add_seen(struct outbox *o, struct db_tx *tx)
{
	const struct history *s = o->parts.history;
	_cleanup_params_ struct db_params p = {0};
	params_text(&p, o->parts.identity->engine);
	params_text(&p, s->mark[0] ? s->mark : NULL);
	params_text(&p, s->session[0] ? s->session : NULL);
	params_int64(&p, s->turn);
	params_usec(&p, clock_now());
	db_tx_query(tx, sql_server_seen, &p, on_seen, o);
}

enum { T_SESSION, T_TURN, T_SYSTEM, T_TIMELINE, T_MARK, T_READY };

int outbox_on_turn(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	if (db_rows(rows) != 1)
		return -EREMCHG;
	struct why why = {""};
	int r = history_admit(o->parts.history, db_int64(rows, 0, T_SYSTEM),
			      db_int(rows, 0, T_TIMELINE), &why);
	if (r < 0)
		return r;
	const char *mark = db_text(rows, 0, T_MARK);
	bool same = strcmp(db_text(rows, 0, T_SESSION), o->session_uuid) == 0 &&
		    db_int64(rows, 0, T_TURN) >= o->turn_known && mark &&
		    strcmp(mark, o->parts.history->mark) == 0 && db_bool(rows, 0, T_READY);
	return same ? 0 : -EREMCHG;
}

void outbox_acknowledged(struct outbox *o)
{
	o->turn_known = o->turn;
	int r = history_acknowledged(o->parts.history, o->session_uuid, o->turn);
	if (r < 0 && !o->said_unremembered)
		log_warning("the state directory can't be written: %s", strerror(-r));
	o->said_unremembered = r < 0;
}

/* ---- starting over --------------------------------------------------------------------------- */

static size_t on_wire(const struct outbox *o)
{
	size_t n = 0;
	for (int kind = 0; kind < WINDOW_KINDS; kind++)
		n += o->out[kind];
	return n;
}

void outbox_start_over(struct outbox *o)
{
	if (o->state == OUTBOX_DRAINING) {
		/* The next start settles everything from the journal. */
		if (on_wire(o) == 0)
			outbox_end(o, -EREMCHG);
		return;
	}
	log_warning("the database was failed over or restored: it is told first what this engine "
		    "knows of its last day");
	outbox_enter(o, OUTBOX_REJOINING);
}

static void wait_for_wire(struct outbox *o)
{
	if (on_wire(o) > 0) {
		outbox_turn_soon(o, LOOK_WIRE * USEC_PER_MSEC);
		return;
	}
	windows_free(&o->windows);
	outbox_ask(o);
	journal_close(steal(o->journal));
	outbox_enter(o, db_is_up(o->parts.db) ? OUTBOX_BEGINNING : OUTBOX_WAITING);
}

/* ---- waiting for the other engines ----------------------------------------------------------- */

static int on_wait(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	o->history_ready = db_rows(rows) == 1 && db_bool(rows, 0, 0);
	if (o->state == OUTBOX_TELLING && !o->history_ready && !db_is_null(rows, 0, 1) &&
	    !o->said_absent) {
		log_notice("nothing is taken before %s told the database what is in their journals "
			   "(digestctl engine retire: one that won't come back)",
			   db_text(rows, 0, 1));
		o->said_absent = true;
	}
	return 0;
}

static void wait_params(const struct outbox *o, struct db_params *p)
{
	const struct settings_timing *t = &o->settings->timing;
	char keep[32];
	snprintf(keep, sizeof(keep), "%.6f", (double)t->journal_keep * t->scale / 1e6);
	params_bool(p, o->telling_since && clock_boot() - o->telling_since > t->new_timeline);
	params_text(p, keep);
	params_usec(p, clock_now());
}

void outbox_add_wait(struct outbox *o, struct db_tx *tx)
{
	_cleanup_params_ struct db_params p = {0};
	wait_params(o, &p);
	db_tx_query(tx, sql_server_wait, &p, on_wait, o);
}

static void wait_end(void *user, const struct db_end *end)
{
	struct outbox *o = user;
	if (end->closing)
		return;
	o->turning = false;
	bool go_on = end->outcome == DB_DONE && (o->history_ready || o->must_tell);
	if (go_on && o->state == OUTBOX_TELLING)
		outbox_enter(o, OUTBOX_BEGINNING); /* a look at what the others have told, too */
	else
		outbox_turn_soon(o, o->settings->timing.look);
}

static void ask_whether_ready(struct outbox *o)
{
	if (o->turning)
		return;
	if (!db_is_up(o->parts.db)) {
		outbox_turn_soon(o, o->settings->timing.look);
		return;
	}
	struct db_tx *tx = db_tx_new(o->parts.db, "is the history complete");
	outbox_add_seen(o, tx); /* it may have been failed over again */
	outbox_add_wait(o, tx);
	if (db_tx_submit(tx, wait_end, o) == 0)
		o->turning = true;
	else
		outbox_turn_soon(o, o->settings->timing.look);
}

void outbox_server_step(struct outbox *o)
{
	if (o->state == OUTBOX_REJOINING)
		wait_for_wire(o);
	else if (o->state == OUTBOX_TELLING)
		ask_whether_ready(o);
}

/* ---- telling --------------------------------------------------------------------------------- */

/* Telling goes window by window, each in a transaction of its own. */
struct tale {
	struct outbox *o;
	struct recall recall;
	const struct recall_fact *facts; /* of the present window */
	size_t count;
	struct window *window; /* as the database gave it; NULL: nothing is missing */
	size_t told, parked;
};

static void tale_free(struct tale *t)
{
	window_free(t->window);
	recall_free(&t->recall);
	free(t);
}

static void tell_next(struct tale *t);

static void tale_failed(struct tale *t, const struct db_end *end)
{
	struct outbox *o = t->o;
	tale_free(t);
	if (end->closing)
		return;
	if (end->outcome == DB_FAILED && end->err != -EXDEV)
		log_error("the database can't be told what is in the journal: %s",
			  end->error.message[0] ? end->error.message : strerror(-end->err));
	windows_free(&o->windows);
	journal_close(steal(o->journal));
	outbox_enter(o, OUTBOX_WAITING);
}

static void reply_of(const struct recall_fact *f, struct smtp_reply *ret)
{
	*ret = (struct smtp_reply){.stage = (enum smtp_stage)f->stage, .code = f->code};
	snprintf(ret->enhanced, sizeof(ret->enhanced), "%.*s", (int)f->enhanced.n, f->enhanced.p);
	snprintf(ret->queue_id, sizeof(ret->queue_id), "%.*s", (int)f->queue_id.n, f->queue_id.p);
	snprintf(ret->text, sizeof(ret->text), "%.*s", (int)f->text.n, f->text.p);
}

/* Who waits in an open window and was sent to in a later one, which was lost, isn't sent to again.
 */
static void end_elsewhere(struct outbox *o, const struct window *told, const struct member *m)
{
	for (struct window *w = o->windows; w; w = w->next) {
		struct member *same = w->issue == told->issue ? window_find(w, m->id) : NULL;
		if (!same || same->state != MEMBER_WAITING)
			continue;
		window_end(w, same, &(struct result){.ending = END_DEFERRED});
		window_enter(w, same, MEMBER_WRITTEN);
	}
}

/* The issue is loaded by now. */
static int on_apply(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)rows;
	struct tale *t = user;
	struct window *w = t->window;
	for (size_t i = 0; i < t->count; i++) {
		const struct recall_fact *f = &t->facts[i];
		struct member *m = window_find(w, f->key.subscriber);
		if (!m || m->state != MEMBER_WAITING)
			continue;
		m->tries = f->key.attempt > 0 ? f->key.attempt - 1 : 0;
		m->variant = f->variant;
		m->address_no = f->address_no;
		struct smtp_reply reply;
		reply_of(f, &reply);
		if (f->answered)
			outbox_answer(t->o, w, m, f->relay, f->at, &reply);
		else
			outbox_doubt(t->o, w, m, f->relay, "the database was failed over", false);
		end_elsewhere(t->o, w, m);
		t->told++;
	}
	return ledger_write(tx, w, true, clock_now());
}

/* A final fact about an issue that isn't there, as delivery's columns; NULL: none, or no memory. */
static json_t *row_of(const struct tale *t, const struct recall_fact *f)
{
	struct smtp_reply reply;
	reply_of(f, &reply);
	struct verdict v = reply_class(&reply);
	const char *outcome = !f->answered                ? "in_doubt"
			      : v.class == REPLY_ACCEPTED ? "delivered"
			      : v.final                   ? "refused"
							  : NULL;
	if (!outcome)
		return NULL;
	char at[CLOCK_TEXT];
	return json_pack(
	    "{sI ss si si sI si ss si si si ss ss}", "subscriber", (json_int_t)f->key.subscriber,
	    "at", clock_text(f->at, at), "session", t->o->session, "n", t->o->last_n, "variant",
	    (json_int_t)(int32_t)f->variant, "address_no", f->address_no, "outcome", outcome,
	    "attempt", f->key.attempt, "relay", f->relay, "code", f->code, "reason",
	    f->answered ? reply.text : "in doubt: the issue was lost", "queue_id", reply.queue_id);
}

/* The issue was lost with the history: what is known of it is kept until it opens again. */
static int park(struct tale *t, struct db_tx *tx, const char *uid)
{
	json_t *rows = json_array();
	for (size_t i = 0; rows && i < t->count; i++) {
		json_t *row = row_of(t, &t->facts[i]);
		if (row && json_array_append_new(rows, row) == 0)
			t->parked++;
	}
	_cleanup_free_ char *text = rows ? json_dumps(rows, JSON_COMPACT) : NULL;
	json_decref(rows);
	if (!text)
		return -ENOMEM;
	_cleanup_params_ struct db_params p = {0};
	params_text(&p, uid);
	params_text(&p, text);
	db_tx_query(tx, sql_recalled_put, &p, NULL, NULL);
	return 0;
}

static int on_recalled(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	struct tale *t = user;
	struct outbox *o = t->o;
	bool letters = !t->facts->key.issue;
	const char *uid = letters ? NULL : recall_uid(&t->recall, t->facts->key.issue);
	if (db_rows(rows) == 0 && uid)
		return park(t, tx, uid);
	int r = letters ? window_read_letters(rows, o->session, o->last_n, clock_mono(), &t->window)
			: window_read(rows, o->session, o->last_n, clock_mono(), &t->window);
	if (r == -ENODATA)
		return 0;
	if (r == 0 && t->window->issue)
		r = outbox_load_issue(o, tx, t->window->issue);
	if (r == 0)
		db_tx_call(tx, on_apply, t);
	return r;
}

static void told_end(void *user, const struct db_end *end)
{
	struct tale *t = user;
	if (end->outcome != DB_DONE || end->left) {
		tale_failed(t, end);
		return;
	}
	window_free(steal(t->window));
	tell_next(t);
}

static int add_facts(struct tale *t, struct db_params *p)
{
	size_t n = t->count;
	_cleanup_free_ int64_t *ids = calloc(n, sizeof(*ids)), *attempts = calloc(n, sizeof(*ids));
	_cleanup_free_ struct str *ats = calloc(n, sizeof(*ats)),
				  *answered = calloc(n, sizeof(*ats));
	_cleanup_free_ char *text = calloc(n, CLOCK_TEXT);
	if (!ids || !attempts || !ats || !answered || !text)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct recall_fact *f = &t->facts[i];
		ids[i] = f->key.subscriber;
		attempts[i] = f->key.attempt;
		ats[i] = str_of(clock_text(f->at, text + i * CLOCK_TEXT));
		answered[i] = str_of(f->answered ? "t" : "f");
	}
	params_int64s(p, ids, n);
	params_texts(p, ats, n);
	params_int64s(p, attempts, n);
	if (t->facts->key.issue)
		params_texts(p, answered, n);
	return 0;
}

static struct db_tx *build_telling(struct tale *t)
{
	struct outbox *o = t->o;
	int64_t issue = t->facts->key.issue;
	struct db_tx *tx = db_tx_new(o->parts.db, "tell what the journal knows");
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, o->session);
	params_int64(&p, ++o->last_n);
	if (issue) {
		params_text(&p, recall_uid(&t->recall, issue));
		params_int64(&p, issue);
	}
	if (add_facts(t, &p) < 0) {
		db_tx_drop(tx);
		return NULL;
	}
	params_usec(&p, clock_now());
	db_tx_query(tx, issue ? sql_window_recall : sql_window_recall_letters, &p, on_recalled, t);
	return tx;
}

static void tale_end(void *user, const struct db_end *end)
{
	struct tale *t = user;
	struct outbox *o = t->o;
	if (end->outcome != DB_DONE || end->left) {
		tale_failed(t, end);
		return;
	}
	if (t->told + t->parked)
		log_notice("the database was told what the journal knows: %zu facts that it had "
			   "lost%s",
			   t->told + t->parked,
			   t->parked ? ", some of issues that aren't there yet" : "");
	tale_free(t);
	int r = history_remember(o->parts.history, o->seen_system, o->seen_timeline, o->seen_mark);
	if (r < 0)
		log_warning("the state directory can't be written: %s", strerror(-r));
	windows_free(&o->windows);
	journal_close(steal(o->journal));
	outbox_enter(o, OUTBOX_TELLING);
}

static void tell_next(struct tale *t)
{
	struct outbox *o = t->o;
	t->count = recall_next(&t->recall, &t->facts);
	struct db_tx *tx;
	if (t->count) {
		tx = build_telling(t);
	} else {
		_cleanup_params_ struct db_params p = {0};
		params_text(&p, o->parts.identity->engine);
		params_text(&p, o->seen_mark);
		tx = db_tx_new(o->parts.db, "all is told");
		db_tx_query(tx, sql_server_replayed, &p, NULL, NULL);
	}
	if (!tx || db_tx_submit(tx, t->count ? told_end : tale_end, t) < 0)
		tale_failed(t, &(struct db_end){.outcome = DB_FAILED, .err = -ENOMEM});
}

static void settled_end(void *user, const struct db_end *end)
{
	struct tale *t = user;
	ledger_end(t->o->windows, end->outcome == DB_DONE);
	if (end->outcome == DB_DONE && !end->left)
		tell_next(t);
	else
		tale_failed(t, end);
}

static int by_number(const void *a, const void *b)
{
	const struct recall_window *x = a, *y = b;
	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return x->n < y->n ? -1 : x->n > y->n;
}

/* What the open windows have got from the journal is recorded first, then what is missing. */
int outbox_tell(struct outbox *o, struct recall_window *known, size_t count)
{
	struct tale *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->o = o;
	if (count)
		qsort(known, count, sizeof(*known), by_number);
	struct why why = {""};
	int r = recall_read(&t->recall, o->parts.identity, known, count, &why);
	t->recall.known = NULL;
	struct db_tx *tx = r < 0 ? NULL : db_tx_new(o->parts.db, "settle what was open");
	if (tx)
		r = ledger_write(tx, o->windows, true, clock_now());
	if (r == 0 && tx)
		return db_tx_submit(tx, settled_end, t);
	log_error("%s", why.text[0] ? why.text : strerror(r < 0 ? -r : ENOMEM));
	db_tx_drop(tx);
	ledger_end(o->windows, false);
	tale_free(t);
	return r < 0 ? r : -ENOMEM;
}
