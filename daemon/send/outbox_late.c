/*
 * An engine that comes back after others closed its windows tells what its journal knows of them:
 * replies become facts; of a member without an intent it is known that nothing was sent, if the
 * journal is whole. window_known() in sql/ says what becomes of each.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/faultpoint.h"
#include "base/log.h"
#include "queries.h"
#include "send/outbox_inside.h"
#include "send/reply.h"

struct late_window {
	int32_t session, n;
	bool letters, ours; /* ours: taken from where the state directory is now */
	json_t *replies;
	int64_t *intents;
	size_t intent_count;
};

struct late {
	struct outbox *o;
	void (*done)(struct outbox *o);
	struct late_window *windows;
	size_t n;
	int known;
};

static void late_free(struct late *l)
{
	for (size_t i = 0; i < l->n; i++) {
		json_decref(l->windows[i].replies);
		free(l->windows[i].intents);
	}
	free(l->windows);
	free(l);
}

static void finish(struct late *l)
{
	struct outbox *o = l->o;
	void (*done)(struct outbox *) = l->done;
	late_free(l);
	done(o);
}

/* ---- the journal ----------------------------------------------------------------------------- */

static struct late_window *find(struct late *l, const struct journal_key *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->windows[i].session == key->session && l->windows[i].n == key->window)
			return &l->windows[i];
	return NULL;
}

static int on_intent(void *user, const struct journal_intent *intent)
{
	struct late_window *w = find(user, &intent->key);
	if (!w)
		return 0;
	int64_t *all = reallocarray(w->intents, w->intent_count + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	w->intents = all;
	w->intents[w->intent_count++] = intent->key.subscriber;
	return 0;
}

static int on_void(void *user, const struct journal_key *key)
{
	struct late_window *w = find(user, key);
	for (size_t i = 0; w && i < w->intent_count; i++)
		if (w->intents[i] == key->subscriber) {
			w->intents[i] = w->intents[--w->intent_count];
			break;
		}
	return 0;
}

/* Text of a relay, which may hold bytes that JSON or PostgreSQL don't take. */
static json_t *text_of(struct str s)
{
	json_t *text = s.n ? json_stringn(s.p, s.n) : NULL;
	return text ? text : json_null();
}

static json_t *row_of(const struct journal_reply *record)
{
	struct smtp_reply reply = outbox_reply_of(record);
	struct verdict v = reply_class(&reply);
	const char *outcome = v.class == REPLY_ACCEPTED ? "delivered" : v.final ? "refused" : NULL;
	char at[CLOCK_TEXT];
	json_t *row = json_pack(
	    "{sI sI si si si si si ss ss* si so so sb}", "issue", (json_int_t)record->key.issue,
	    "subscriber", (json_int_t)record->key.subscriber, "session", record->key.session, "n",
	    record->key.window, "attempt", record->key.attempt, "variant", 0, "address_no", 0, "at",
	    clock_text(record->at, at), "outcome", outcome, "code", record->code, "enhanced",
	    text_of(record->enhanced), "queue_id", text_of(record->queue_id), "suppress",
	    (int)v.suppress);
	if (row && record->relay)
		json_object_set_new(row, "relay", json_integer(record->relay));
	if (row && v.class != REPLY_ACCEPTED)
		json_object_set_new(row, "reason",
				    v.final ? text_of(record->text)
					    : json_string(reply_class_name(v.class)));
	return row;
}

static int on_reply(void *user, const struct journal_reply *record)
{
	struct late_window *w = find(user, &record->key);
	return w && json_array_append_new(w->replies, row_of(record)) < 0 ? -ENOMEM : 0;
}

static int replay(struct late *l, struct journal_state *ret_state, struct why *why)
{
	static const struct journal_reader calls = {
	    .intent = on_intent, .reply = on_reply, .voided = on_void};
	const struct identity *id = l->o->parts.identity;
	struct journal_reader reader = calls;
	reader.user = l;
	int32_t oldest = l->windows[0].session; /* they are in order */
	return journal_replay(id->dir, id->engine, id->boot, oldest, &reader, ret_state, why);
}

/* ---- the database ---------------------------------------------------------------------------- */

static int on_known(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct late *l = user;
	l->known += db_rows(rows) == 1 ? db_int(rows, 0, 0) : 0;
	return 0;
}

static void on_told(void *user, const struct db_end *end)
{
	struct late *l = user;
	if (end->closing) {
		late_free(l);
		return;
	}
	FAULT_POINT("late-told");
	if (end->outcome == DB_DONE)
		log_notice("%zu windows had been closed by others: of %d readers it is known now",
			   l->n, l->known);
	else
		log_warning("what the journal knows of windows that others closed can't be told "
			    "now: %s",
			    end->error.message);
	finish(l);
}

static int add_window(struct db_tx *tx, struct late *l, const struct late_window *w, bool whole)
{
	_cleanup_free_ char *replies = json_dumps(w->replies, JSON_COMPACT);
	if (!replies)
		return -ENOMEM;
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, w->session);
	params_int64(&p, w->n);
	params_text(&p, replies);
	params_int64s(&p, w->intents, w->intent_count);
	params_bool(&p, whole && w->ours);
	params_usec(&p, clock_now());
	db_tx_query(tx, sql_window_known, &p, on_known, l);
	return 0;
}

static int tell(struct late *l)
{
	struct why why = {""};
	struct journal_state state;
	int r = replay(l, &state, &why);
	if (r < 0) {
		log_error("%s", why.text[0] ? why.text : strerror(-r));
		return r;
	}
	FAULT_POINT("late-journal-read");
	bool whole = state.found && state.same_boot && !state.torn;
	struct db_tx *tx = db_tx_new(l->o->parts.db, "tell of closed windows");
	for (size_t i = 0; i < l->n; i++) {
		r = add_window(tx, l, &l->windows[i], whole);
		if (r < 0) {
			db_tx_drop(tx);
			return r;
		}
	}
	return db_tx_submit(tx, on_told, l);
}

static int on_doubted(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct late *l = user;
	int n = db_rows(rows);
	l->windows = calloc((size_t)n + 1, sizeof(*l->windows));
	if (!l->windows)
		return -ENOMEM;
	for (int row = 0; row < n; row++) {
		json_t *replies = json_array();
		if (!replies)
			return -ENOMEM;
		l->windows[l->n++] = (struct late_window){.session = db_int(rows, row, 0),
							  .n = db_int(rows, row, 1),
							  .letters = db_bool(rows, row, 2),
							  .ours = db_bool(rows, row, 3),
							  .replies = replies};
	}
	return 0;
}

static void on_asked(void *user, const struct db_end *end)
{
	struct late *l = user;
	if (end->closing)
		late_free(l);
	else if (end->outcome != DB_DONE || end->err || !l->n || tell(l) < 0)
		finish(l);
}

void outbox_late_tell(struct outbox *o, void (*done)(struct outbox *o))
{
	struct late *l = calloc(1, sizeof(*l));
	if (l) {
		*l = (struct late){.o = o, .done = done};
		_cleanup_params_ struct db_params p = {0};
		params_int64(&p, o->engine);
		params_text(&p, o->parts.identity->place);
		if (db_query(o->parts.db, sql_windows_doubted, &p, on_doubted, on_asked, l) == 0)
			return;
		late_free(l);
	}
	done(o);
}
