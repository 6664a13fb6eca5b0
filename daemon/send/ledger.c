#include "send/ledger.h"

#include <errno.h>
#include <jansson.h>

#include "base/buf.h"
#include "queries.h"
#include "store/copyrow.h"
#include "store/db.h"

/* What one transaction writes. */
struct batch {
	struct buf deliveries; /* COPY rows, or a JSON array when careful */
	struct buf doubted;    /* JSON: of these a delivery may be there, in doubt */
	struct buf attempts;
	json_t *deferrals; /* arrays of rows by column name */
	json_t *letters;
	int64_t *gone;
	size_t gone_count;
	bool careful;
};

static const char COPY_DELIVERY[] = "COPY delivery (issue, subscriber, at, session, n, variant, "
				    "address_no, outcome, attempt, relay, code, enhanced, reason, "
				    "queue_id) FROM STDIN";
static const char COPY_ATTEMPT[] = "COPY attempt (issue, subscriber, at, session, n, attempt, "
				   "relay, code, enhanced, cause, reply, queue_id) FROM STDIN";

static void batch_free(struct batch *b)
{
	buf_free(&b->deliveries);
	buf_free(&b->doubted);
	buf_free(&b->attempts);
	json_decref(b->deferrals);
	json_decref(b->letters);
	free(b->gone);
}

/* The number of the try that a result came from: 1 for the first. */
static int attempt_of(const struct member *m)
{
	return m->tries + (m->result.spent || m->result.doubt ? 1 : 0);
}

static const char *moment(usec_t at, char text[static CLOCK_TEXT])
{
	return clock_text(at, text);
}

/* Adds {"key": text} unless there is no text. */
static int set_text(json_t *row, const char *key, const char *text)
{
	return text && *text ? json_object_set_new(row, key, json_string(text)) : 0;
}

static int set_number(json_t *row, const char *key, int64_t value)
{
	return value ? json_object_set_new(row, key, json_integer(value)) : 0;
}

/* What a relay's answer consists of, alike in all rows that are JSON. */
static int set_answer(json_t *row, const struct result *r)
{
	return set_number(row, "relay", r->relay) | set_number(row, "code", r->code) |
	       set_text(row, "enhanced", r->enhanced) | set_text(row, "queue_id", r->queue_id);
}

static void copy_optional(struct buf *rows, int64_t value)
{
	if (value)
		copyrow_int64(rows, value);
	else
		copyrow_null(rows);
}

static void copy_answer(struct buf *rows, const struct result *r)
{
	copy_optional(rows, r->relay);
	copy_optional(rows, r->code);
	copyrow_text(rows, r->enhanced && *r->enhanced ? r->enhanced : NULL);
}

/* The reason that a delivery keeps: the relay's words for a refusal, ours for everything else. */
static const char *reason_of(const struct result *r)
{
	if (r->ending == END_DELIVERED)
		return NULL;
	return r->ending == END_REFUSED && r->reply && *r->reply ? r->reply : r->reason;
}

static int add_row(struct buf *array, json_t *row)
{
	char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
	json_decref(row);
	if (!text)
		return -ENOMEM;
	buf_addc(array, array->len ? ',' : '[');
	int r = buf_adds(array, text);
	free(text);
	return r;
}

static int add_delivery(struct batch *b, const struct window *w, const struct member *m)
{
	const struct result *r = &m->result;
	if (b->careful || m->doubts) {
		char at[CLOCK_TEXT];
		json_t *row = json_pack(
		    "{sI sI ss si si sI si ss si}", "issue", (json_int_t)w->issue, "subscriber",
		    (json_int_t)m->id, "at", moment(r->at, at), "session", w->session, "n", w->n,
		    "variant", (json_int_t)(int32_t)m->variant, "address_no", m->address_no,
		    "outcome", ending_name(r->ending), "attempt", attempt_of(m));
		if (row && (set_answer(row, r) | set_text(row, "reason", reason_of(r))) != 0) {
			json_decref(row);
			row = NULL;
		}
		return add_row(b->careful ? &b->deliveries : &b->doubted, row);
	}
	copyrow_int64(&b->deliveries, w->issue);
	copyrow_int64(&b->deliveries, m->id);
	copyrow_usec(&b->deliveries, r->at);
	copyrow_int64(&b->deliveries, w->session);
	copyrow_int64(&b->deliveries, w->n);
	copyrow_int64(&b->deliveries, (int32_t)m->variant);
	copyrow_int64(&b->deliveries, m->address_no);
	copyrow_text(&b->deliveries, ending_name(r->ending));
	copyrow_int64(&b->deliveries, attempt_of(m));
	copy_answer(&b->deliveries, r);
	copyrow_text(&b->deliveries, reason_of(r));
	copyrow_text(&b->deliveries, r->queue_id && *r->queue_id ? r->queue_id : NULL);
	return copyrow_end(&b->deliveries);
}

/* A try that wasn't the last. */
static int add_attempt(struct batch *b, const struct window *w, const struct member *m)
{
	const struct result *r = &m->result;
	if (b->careful) {
		char at[CLOCK_TEXT];
		json_t *row = json_pack("{sI sI ss si si si ss}", "issue", (json_int_t)w->issue,
					"subscriber", (json_int_t)m->id, "at", moment(r->at, at),
					"session", w->session, "n", w->n, "attempt", attempt_of(m),
					"cause", r->reason ? r->reason : "deferred");
		if (row && (set_answer(row, r) | set_text(row, "reply", r->reply)) != 0) {
			json_decref(row);
			row = NULL;
		}
		return add_row(&b->attempts, row);
	}
	copyrow_int64(&b->attempts, w->issue);
	copyrow_int64(&b->attempts, m->id);
	copyrow_usec(&b->attempts, r->at);
	copyrow_int64(&b->attempts, w->session);
	copyrow_int64(&b->attempts, w->n);
	copyrow_int64(&b->attempts, attempt_of(m));
	copy_answer(&b->attempts, r);
	copyrow_text(&b->attempts, r->reason ? r->reason : "deferred");
	copyrow_text(&b->attempts, r->reply);
	copyrow_text(&b->attempts, r->queue_id && *r->queue_id ? r->queue_id : NULL);
	return copyrow_end(&b->attempts);
}

static int add_deferral(struct batch *b, const struct window *w, const struct member *m)
{
	const struct result *r = &m->result;
	char due[CLOCK_TEXT], at[CLOCK_TEXT];
	json_t *row =
	    json_pack("{sI sI ss ss si si ss sI ss}", "issue", (json_int_t)w->issue, "subscriber",
		      (json_int_t)m->id, "provider", w->provider, "due_at", moment(r->due_at, due),
		      "tries", m->tries + (r->spent ? 1 : 0), "doubts",
		      m->doubts + (r->doubt ? 1 : 0), "first_at", moment(r->at, at), "variant",
		      (json_int_t)(int32_t)m->variant, "cause", r->reason ? r->reason : "deferred");
	if (!row || (set_answer(row, r) | set_text(row, "reply", r->reply)) != 0 ||
	    json_object_del(row, "queue_id") > 0) {
		json_decref(row);
		return -ENOMEM;
	}
	return json_array_append_new(b->deferrals, row) < 0 ? -ENOMEM : 0;
}

static int add_letter(struct batch *b, const struct member *m)
{
	const struct result *r = &m->result;
	char due[CLOCK_TEXT];
	json_t *row =
	    json_pack("{sI si si}", "id", (json_int_t)m->id, "tries", m->tries + (r->spent ? 1 : 0),
		      "doubts", m->doubts + (r->doubt ? 1 : 0));
	const char *reason = r->reply && *r->reply ? r->reply : r->reason;
	if (!row || (set_answer(row, r) | set_text(row, "reason", reason)) != 0 ||
	    set_text(row, r->ending == END_DEFERRED ? "due_at" : "outcome",
		     r->ending == END_DEFERRED ? moment(r->due_at, due) : ending_name(r->ending)) !=
		0) {
		json_decref(row);
		return -ENOMEM;
	}
	return json_array_append_new(b->letters, row) < 0 ? -ENOMEM : 0;
}

static int add_gone(struct batch *b, int64_t subscriber)
{
	int64_t *gone = reallocarray(b->gone, b->gone_count + 1, sizeof(*gone));
	if (!gone)
		return -ENOMEM;
	b->gone = gone;
	b->gone[b->gone_count++] = subscriber;
	return 0;
}

static int add_member(struct batch *b, const struct window *w, const struct member *m)
{
	const struct result *r = &m->result;
	int e = 0;
	if (r->suppress && m->subscriber)
		e = add_gone(b, m->subscriber);
	if (e < 0)
		return e;
	if (w->kind == WINDOW_LETTER)
		return add_letter(b, m);
	if (r->ending != END_DEFERRED)
		return add_delivery(b, w, m);
	if (r->spent || r->doubt)
		e = add_attempt(b, w, m);
	return e < 0 ? e : add_deferral(b, w, m);
}

/* A row of numbers that are counts, and the moment, for window_settle. */
static void add_settle(struct db_tx *tx, const struct window *w, usec_t now)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, w->session);
	params_int64(&p, w->n);
	for (int e = 0; e < ENDINGS; e++)
		params_int64(&p, (int64_t)w->ended[e]);
	params_usec(&p, now);
	db_tx_query(tx, sql_window_settle, &p, NULL, NULL);
}

static void add_json(struct db_tx *tx, const char *sql, const char *json, bool with_now, usec_t now)
{
	_cleanup_params_ struct db_params p = {0};
	params_text(&p, json);
	if (with_now)
		params_usec(&p, now);
	db_tx_query(tx, sql, &p, NULL, NULL);
}

static int add_json_array(struct db_tx *tx, const char *sql, json_t *array, bool with_now,
			  usec_t now)
{
	if (json_array_size(array) == 0)
		return 0;
	_cleanup_free_ char *text = json_dumps(array, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	add_json(tx, sql, text, with_now, now);
	return 0;
}

/* Rows of which each goes in by itself: an array that add_row() began. */
static int add_each(struct db_tx *tx, struct buf *rows, const char *put, usec_t now)
{
	if (!rows->len)
		return rows->err;
	int r = buf_addc(rows, ']');
	if (r == 0)
		add_json(tx, put, buf_text(rows), true, now);
	return r;
}

/* COPY rows, or the array that stands in for them. */
static int add_rows(struct db_tx *tx, const struct batch *b, struct buf *rows, const char *copy,
		    const char *put, usec_t now)
{
	if (b->careful)
		return add_each(tx, rows, put, now);
	if (rows->len && !rows->err)
		db_tx_copy(tx, copy, rows, NULL, NULL);
	return rows->err;
}

static int add_steps(struct db_tx *tx, struct batch *b, usec_t now)
{
	int r = add_rows(tx, b, &b->deliveries, COPY_DELIVERY, sql_deliveries_put_each, now);
	if (r == 0)
		r = add_each(tx, &b->doubted, sql_deliveries_put_each, now);
	if (r == 0)
		r = add_rows(tx, b, &b->attempts, COPY_ATTEMPT, sql_attempts_put_each, now);
	if (r == 0)
		r = add_json_array(tx, b->careful ? sql_deferrals_put_each : sql_deferrals_put,
				   b->deferrals, b->careful, now);
	if (r == 0)
		r = add_json_array(tx, sql_letters_settle, b->letters, true, now);
	if (r == 0 && b->gone_count) {
		_cleanup_params_ struct db_params p = {0};
		params_int64s(&p, b->gone, b->gone_count);
		params_usec(&p, now);
		db_tx_query(tx, sql_subscribers_suppress, &p, NULL, NULL);
	}
	return r;
}

int ledger_write(struct db_tx *tx, struct window *windows, bool careful, usec_t now)
{
	_cleanup_(batch_free)
	struct batch b = {.deferrals = json_array(), .letters = json_array(), .careful = careful};
	if (!b.deferrals || !b.letters)
		return -ENOMEM;
	for (struct window *w = windows; w; w = w->next)
		for (size_t i = 0; w->in_state[MEMBER_ENDED] && i < w->count; i++) {
			struct member *m = &w->members[i];
			if (m->state != MEMBER_ENDED)
				continue;
			int r = add_member(&b, w, m);
			if (r < 0)
				return r;
			m->writing = true;
		}
	int r = add_steps(tx, &b, now);
	if (r < 0)
		return r;
	for (struct window *w = windows; w; w = w->next)
		if (window_has_ended(w))
			add_settle(tx, w, now);
	return 0;
}

void ledger_end(struct window *windows, bool committed)
{
	for (struct window *w = windows; w; w = w->next)
		for (size_t i = 0; w->in_state[MEMBER_ENDED] && i < w->count; i++) {
			struct member *m = &w->members[i];
			if (m->state != MEMBER_ENDED || !m->writing)
				continue;
			m->writing = false;
			if (committed)
				window_enter(w, m, MEMBER_WRITTEN);
		}
}

size_t ledger_backlog(const struct window *windows)
{
	size_t n = 0;
	for (const struct window *w = windows; w; w = w->next)
		n += w->in_state[MEMBER_ENDED];
	return n;
}
