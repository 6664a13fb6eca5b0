/*
 * How the outbox begins: a session, and the settling of what earlier lives of this engine left.
 *
 * Windows that are open in the database stay this engine's. What the journal has of each member
 * decides: a reply is recorded; an intent without one is in doubt; without either the member was
 * certainly not sent, and goes on. When the journal can't be trusted (it is missing, torn, a copy,
 * or from before this boot, so that its last pages may be lost), everything without a reply is in
 * doubt, and an operator decides.
 *
 * The engine may seem to live already: its last life was killed and a machine went down with it, or
 * this state directory is a copy. The beat of that session tells, as long as it is watched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/faultpoint.h"
#include "base/log.h"
#include "base/version.h"
#include "queries.h"
#include "send/outbox_inside.h"
#include "send/recall.h"

struct past {
	struct outbox *o;
	struct window *windows;
	size_t replies, doubts;
	bool moved; /* a window was taken from another place: our journal may be an old copy */
	bool retired;
	char rival[256]; /* the host that this engine seems to live on */
};

static void past_free(struct past *p)
{
	windows_free(&p->windows);
	free(p);
}

/* ---- the database's side --------------------------------------------------------------------- */

/* A window whose members are being read. */
struct asked {
	struct past *past;
	int32_t session, n;
	bool letters;
};

static int keep_window(struct past *p, struct db_tx *tx, struct window *w)
{
	w->next = p->windows;
	p->windows = w;
	return w->issue ? outbox_load_issue(p->o, tx, w->issue) : 0;
}

static int on_members(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	struct asked *asked = user;
	struct past *p = asked->past;
	struct window *w;
	int (*read)(const struct pg_result *, int32_t, int32_t, usec_t, struct window **) =
	    asked->letters ? window_read_letters : window_read;
	int r = read(rows, asked->session, asked->n, clock_mono(), &w);
	free(asked);
	if (r == -ENODATA)
		return 0;
	return r < 0 ? r : keep_window(p, tx, w);
}

/* Windows that are open are told as such: the journal need not be told about them either. */
static int on_known(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct past *p = user;
	size_t open = 0, n = (size_t)db_rows(rows);
	for (const struct window *w = p->windows; w; w = w->next)
		open++;
	struct outbox *o = p->o;
	free(o->known);
	o->known_count = 0;
	o->known = calloc(n + open + 1, sizeof(*o->known));
	if (!o->known)
		return -ENOMEM;
	for (int row = 0; row < db_rows(rows); row++)
		o->known[o->known_count++] =
		    (struct recall_window){db_int(rows, row, 0), db_int(rows, row, 1)};
	for (const struct window *w = p->windows; w; w = w->next)
		o->known[o->known_count++] = (struct recall_window){w->session, w->n};
	return 0;
}

/* After the open windows were read: their steps were added before this one's. */
static void add_known(struct past *p, struct db_tx *tx)
{
	const struct settings_timing *t = &p->o->settings->timing;
	char keep[32];
	snprintf(keep, sizeof(keep), "%.6f", (double)t->journal_keep * t->scale / 1e6);
	_cleanup_params_ struct db_params params = {0};
	params_int64(&params, p->o->engine);
	params_text(&params, keep);
	params_usec(&params, clock_now());
	db_tx_query(tx, sql_windows_known, &params, on_known, p);
}

static int on_open_windows(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	struct past *p = user;
	for (int row = 0; row < db_rows(rows); row++) {
		p->moved = p->moved || !db_bool(rows, row, 3);
		struct asked *asked = calloc(1, sizeof(*asked));
		if (!asked)
			return -ENOMEM;
		*asked = (struct asked){p, db_int(rows, row, 0), db_int(rows, row, 1),
					strcmp(db_text(rows, row, 2), "letter") == 0};
		_cleanup_params_ struct db_params params = {0};
		params_int64(&params, asked->session);
		params_int64(&params, asked->n);
		params_usec(&params, clock_now());
		db_tx_query(tx, asked->letters ? sql_window_letters : sql_window_readers, &params,
			    on_members, asked);
	}
	if (p->o->must_tell)
		add_known(p, tx);
	return 0;
}

static int on_session(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	struct past *p = user;
	struct outbox *o = p->o;
	if (db_rows(rows) != 1)
		return -EBADMSG;
	o->engine = db_int(rows, 0, 0);
	p->retired = !db_is_null(rows, 0, 2);
	if (!db_is_null(rows, 0, 3)) {
		outbox_watch(&o->rival, db_int(rows, 0, 3), db_int64(rows, 0, 4), clock_boot(),
			     o->settings->timing.dead / 4);
		snprintf(p->rival, sizeof(p->rival), "%s", db_text(rows, 0, 5));
	}
	if (p->retired || p->rival[0])
		return 0;
	o->session = db_int(rows, 0, 1);
	FAULT_POINT("past-session-begun");
	_cleanup_params_ struct db_params params = {0};
	params_int64(&params, o->engine);
	params_text(&params, o->parts.identity->place);
	db_tx_query(tx, sql_windows_open, &params, on_open_windows, p);
	return 0;
}

/* Their beats as they are before they can know of this session. */
static int on_others(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	return outbox_meet(((struct past *)user)->o, rows);
}

static int on_keys(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	outbox_read_keys(((struct past *)user)->o, rows);
	return 0;
}

/* ---- the journal's side ---------------------------------------------------------------------- */

static struct member *find(struct past *p, const struct journal_key *key, struct window **ret)
{
	for (struct window *w = p->windows; w; w = w->next)
		if (w->session == key->session && w->n == key->window) {
			*ret = w;
			return window_find(w, key->subscriber);
		}
	return NULL;
}

static int on_intent(void *user, const struct journal_intent *intent)
{
	struct window *w;
	struct member *m = find(user, &intent->key, &w);
	if (!m || m->state > MEMBER_INTENT)
		return 0;
	m->variant = intent->variant;
	m->address_no = intent->address_no;
	m->result.relay = intent->relay;
	window_enter(w, m, MEMBER_INTENT);
	return 0;
}

static int on_void(void *user, const struct journal_key *key)
{
	struct window *w;
	struct member *m = find(user, key, &w);
	if (m && m->state == MEMBER_INTENT)
		window_enter(w, m, MEMBER_WAITING);
	return 0;
}

static void copy_text(char *to, size_t room, struct str s)
{
	size_t n = s.n < room ? s.n : room - 1;
	memcpy(to, s.p, n);
	to[n] = '\0';
}

struct smtp_reply outbox_reply_of(const struct journal_reply *record)
{
	struct smtp_reply reply = {.stage = (enum smtp_stage)record->stage, .code = record->code};
	copy_text(reply.enhanced, sizeof(reply.enhanced), record->enhanced);
	copy_text(reply.queue_id, sizeof(reply.queue_id), record->queue_id);
	copy_text(reply.text, sizeof(reply.text), record->text);
	return reply;
}

static int on_reply(void *user, const struct journal_reply *record)
{
	struct past *p = user;
	struct window *w;
	struct member *m = find(p, &record->key, &w);
	if (!m || m->state >= MEMBER_ENDED)
		return 0;
	struct smtp_reply reply = outbox_reply_of(record);
	FAULT_POINT("past-reply-found");
	outbox_answer(p->o, w, m, record->relay, record->at, &reply);
	p->replies++;
	return 0;
}

static void doubt_members(struct past *p, struct window *w, bool all, const char *cause)
{
	for (size_t i = 0; i < w->count; i++) {
		struct member *m = &w->members[i];
		if (m->state != MEMBER_INTENT && !(all && m->state == MEMBER_WAITING))
			continue;
		FAULT_POINT("past-doubt-found");
		outbox_doubt(p->o, w, m, m->result.relay, cause, all);
		p->doubts++;
	}
}

/* Settles what can be settled. The journal that is to be written is not open yet. */
static int settle(struct past *p, struct why *why)
{
	struct outbox *o = p->o;
	const struct journal_reader reader = {
	    .user = p, .intent = on_intent, .reply = on_reply, .voided = on_void};
	struct journal_state state;
	const struct identity *id = o->parts.identity;
	int32_t oldest = p->windows ? p->windows->session : 0;
	for (const struct window *w = p->windows; w; w = w->next)
		oldest = w->session < oldest ? w->session : oldest;
	int r = journal_replay(id->dir, id->engine, id->boot, oldest, &reader, &state, why);
	if (r < 0)
		return r;
	if (!p->windows)
		return 0;
	const char *lost = !state.found       ? "the journal is missing"
			   : !state.same_boot ? "the machine was started anew"
			   : p->moved         ? "the journal may be a copy"
			   : state.torn       ? "the journal is torn"
					      : NULL;
	size_t windows = 0;
	for (struct window *w = p->windows; w; w = w->next, windows++) {
		doubt_members(p, w, lost != NULL, lost ? lost : "the process ended");
		window_end_unfit(w);
	}
	log_notice("%zu windows were open: %zu readers settled from the journal, %zu in doubt%s%s",
		   windows, p->replies, p->doubts, lost ? ": " : "", lost ? lost : "");
	return 0;
}

/* Once for each reason: it is tried again and again. */
static void say_failure(struct outbox *o, const struct db_end *end)
{
	if (end->err == -EXDEV || (end->outcome != DB_FAILED && o->begin_failed[0]))
		return;
	const char *state = end->error.sqlstate[0] ? end->error.sqlstate : "-----";
	if (strcmp(o->begin_failed, state) == 0)
		return;
	snprintf(o->begin_failed, sizeof(o->begin_failed), "%s", state);
	log_error("a session can't begin: %s%s%s; trying again until it can", end->error.message,
		  end->error.hint[0] ? " " : "", end->error.hint);
}

/* In the new journal, too, the issues of these windows can be found by their uid. */
static void name_issues(const struct past *p)
{
	for (const struct window *w = p->windows; w; w = w->next) {
		const struct rendering_issue *issue =
		    rendering_find_issue(p->o->rendering, w->issue);
		if (issue)
			journal_issue(p->o->journal, issue->id, issue->uid);
	}
}

/* Where it goes from here: it tells what it knows, waits for others to do so, or works. */
static void go_on(struct outbox *o)
{
	if (o->state != OUTBOX_BEGINNING)
		return;
	if (o->must_tell) {
		if (!o->telling_since)
			o->telling_since = clock_boot();
		int r = outbox_tell(o, o->known, o->known_count);
		if (r < 0)
			outbox_end(o, r);
	} else if (o->history_ready) {
		outbox_enter(o, OUTBOX_RUNNING);
	} else {
		windows_free(&o->windows);
		journal_close(steal(o->journal));
		outbox_enter(o, OUTBOX_TELLING);
	}
}

static void end_retired(struct outbox *o)
{
	log_error("engine %d was retired by an operator: what it knew of its windows is told; "
		  "start with an empty state directory",
		  o->engine);
	outbox_end(o, -EPERM);
}

/* Its beat tells whether it lives: then this is a copy, and there is nothing to wait for. */
static void wait_for_rival(struct outbox *o, const char *host)
{
	if (o->rival.moved) {
		log_error("engine %d is alive on %s: this state directory is a copy of its; start "
			  "with an empty one",
			  o->engine, host);
		outbox_end(o, -EPERM);
		return;
	}
	if (o->rival.since == o->rival.seen)
		log_notice("engine %d may be alive on %s: waiting %.0f s for a beat of it",
			   o->engine, host,
			   (double)o->settings->timing.dead / (double)USEC_PER_SEC);
	outbox_enter(o, OUTBOX_WAITING);
}

static void begin_end(void *user, const struct db_end *end)
{
	struct past *p = user;
	struct outbox *o = p->o;
	if (end->outcome != DB_DONE) {
		past_free(p);
		if (end->closing)
			return;
		if (end->err == -ESTALE) {
			outbox_schema_wait(o);
			return;
		}
		say_failure(o, end);
		outbox_enter(o, OUTBOX_WAITING);
		return;
	}
	if (p->retired || p->rival[0]) {
		if (p->retired)
			outbox_late_tell(o, end_retired);
		else
			wait_for_rival(o, p->rival);
		past_free(p);
		return;
	}
	o->rival = (struct watch){0};
	FAULT_POINT("past-session-committed");
	history_met(o->parts.history, o->seen_system, o->seen_timeline);
	if (end->left) { /* the next host may not know of it */
		past_free(p);
		outbox_enter(o, OUTBOX_WAITING);
		return;
	}
	struct why why = {""};
	const struct identity *id = o->parts.identity;
	int r = settle(p, &why);
	FAULT_POINT("past-settled");
	if (r == 0)
		r = journal_open(id->dir, id->engine, id->boot, o->session, &o->journal, &why);
	FAULT_POINT("past-journal-open");
	if (r == 0)
		name_issues(p);
	if (r < 0) {
		log_error("%s", why.text[0] ? why.text : strerror(-r));
		past_free(p);
		outbox_end(o, r);
		return;
	}
	o->begin_failed[0] = '\0';
	outbox_confirmed(o, end->unreplicated);
	outbox_windows_add(o, steal(p->windows));
	past_free(p);
	outbox_late_tell(o, go_on);
}

void outbox_past_begin(struct outbox *o)
{
	struct past *p = calloc(1, sizeof(*p));
	if (!p) {
		outbox_end(o, -ENOMEM);
		return;
	}
	p->o = o;
	/* Of an earlier session in this process; it is read now, and the next is begun later. */
	journal_close(steal(o->journal));
	const struct identity *id = o->parts.identity;
	/* A new one each time: an earlier try may have been committed. */
	int r = uuid_make(o->session_uuid);
	if (r < 0) {
		past_free(p);
		outbox_end(o, r);
		return;
	}
	struct db_tx *tx = db_tx_new(o->parts.db, "begin a session");
	_cleanup_params_ struct db_params params = {0};
	params_text(&params, id->engine);
	params_text(&params, id->host);
	params_text(&params, id->machine);
	params_text(&params, o->session_uuid);
	params_text(&params, id->boot);
	params_text(&params, DIGESTD_VERSION);
	params_usec(&params, clock_now());
	o->beat_sent = clock_boot();
	bool still = o->rival.id && !o->rival.moved &&
		     o->beat_sent - o->rival.since >= o->settings->timing.dead;
	params_text(&params, id->place);
	params_int64(&params, still ? o->rival.id : 0);
	params_int64(&params, still ? o->rival.value : 0);
	outbox_schema_ask(o, tx);
	o->turn = o->turn_known = 0;
	o->last_n = 0;
	o->careful = false;
	outbox_add_seen(o, tx);
	db_tx_query(tx, sql_session_start, &params, on_session, p);
	db_tx_query(tx, sql_sessions_alive, NULL, on_others, p);
	db_tx_query(tx, sql_link_keys, NULL, on_keys, p);
	outbox_add_wait(o, tx);
	if (db_tx_submit(tx, begin_end, p) < 0) {
		past_free(p);
		outbox_end(o, -ENOMEM);
	}
	FAULT_POINT("past-session-asked");
}
