/*
 * What the outbox takes: which kinds of windows a turn asks the database for, and how many readers
 * the next window may hold.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/faultpoint.h"
#include "queries.h"
#include "send/outbox_inside.h"

enum {
	SMALLEST_WINDOW = 50,
	LEAST_WINDOWS = 2,
	WINDOWS = 1024, /* that are counted; settings allow a quarter of that */
	PROVIDERS = 64, /* that can be named as busy; issues go on with fewer */
};

/* ---- taking ---------------------------------------------------------------------------------- */

typedef int read_window(const struct pg_result *rows, int32_t session, int32_t n, usec_t now,
			struct window **ret);

/* Takes run in the order in which they were added, so their numbers are counted again here. */
static int admit(struct outbox *o, const struct pg_result *rows, read_window *read,
		 struct window **ret)
{
	struct window *w;
	int r = read(rows, o->session, ++o->answered_n, o->turn_began, &w);
	if (r < 0)
		return r;
	window_end_unfit(w);
	FAULT_POINT("turn-window-taken");
	w->next = o->taken;
	o->taken = w;
	*ret = w;
	return 0;
}

static int on_taken(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	struct outbox *o = user;
	struct window *w;
	int r = admit(o, rows, window_read, &w);
	if (r == -ENODATA) {
		/* Rows without a reader: the cursor moved on, to more of the lane or to its end. */
		if (db_rows(rows) > 0)
			o->ask[WINDOW_FRESH] = o->ask[WINDOW_SWEEP] = o->turn_again = true;
		return 0;
	}
	if (r < 0)
		return r;
	o->ask[w->kind] = o->turn_again = true;
	return outbox_load_issue(o, tx, w->issue);
}

static int on_letters(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct window *w;
	int r = admit(user, rows, window_read_letters, &w);
	return r == -ENODATA ? 0 : r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/*
 * The providers with at least `most` open windows of retries, or of the others but letters. One
 * that this turn settles is open no more.
 */
static size_t busy_providers(const struct outbox *o, bool retry, int most,
			     struct str busy[static PROVIDERS])
{
	const char *open[WINDOWS];
	size_t opened = 0, n = 0;
	for (const struct window *w = o->windows; w && opened < WINDOWS; w = w->next)
		if (w->kind != WINDOW_LETTER && (w->kind == WINDOW_RETRY) == retry &&
		    !window_has_ended(w))
			open[opened++] = w->provider;
	if (opened)
		qsort(open, opened, sizeof(*open), by_name);
	int same = 0;
	for (size_t i = 0; i < opened && n < PROVIDERS; i++) {
		same = i > 0 && strcmp(open[i], open[i - 1]) == 0 ? same + 1 : 1;
		if (same == most)
			busy[n++] = str_of(open[i]);
	}
	return n;
}

static size_t count_open(const struct outbox *o, bool letters)
{
	size_t n = 0;
	for (const struct window *w = o->windows; w; w = w->next)
		n += (w->kind == WINDOW_LETTER) == letters && !window_has_ended(w);
	return n;
}

static void add_take(struct outbox *o, struct db_tx *tx, enum window_kind kind, usec_t now)
{
	static const char *const sql[] = {sql_window_take_fresh, sql_window_take_retry,
					  sql_window_take_sweep, sql_window_take_letters};
	struct str busy[PROVIDERS];
	size_t n = 0;
	if (kind != WINDOW_LETTER)
		n = busy_providers(o, kind == WINDOW_RETRY,
				   kind == WINDOW_RETRY ? 1 : o->settings->window.per_provider,
				   busy);
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, o->session);
	params_int64(&p, ++o->last_n);
	params_int64(&p, (int64_t)o->window_size);
	if (kind != WINDOW_LETTER)
		params_texts(&p, busy, n);
	params_usec(&p, now);
	db_tx_query(tx, sql[kind], &p, kind == WINDOW_LETTER ? on_letters : on_taken, o);
	o->ask[kind] = false; /* unless the answer or what happens meanwhile says otherwise */
}

/* ---- what to ask for ------------------------------------------------------------------------- */

/*
 * A question costs a statement though nothing is there, so a turn asks only for kinds of windows
 * that there may be: for all of them after a wake and at least once in each `look`; for one whose
 * last answer had some, or which an ended window had kept out; for retries and letters when one
 * that was put off here is due; for a sweep, which also ends an issue, when no window of an issue
 * is left.
 */
void outbox_ask(struct outbox *o)
{
	for (int kind = 0; kind < WINDOW_KINDS; kind++) {
		o->ask[kind] = true;
		o->due[kind] = UINT64_MAX;
	}
}

void outbox_put_off(struct outbox *o, enum window_kind kind, usec_t due)
{
	usec_t *first = &o->due[kind == WINDOW_LETTER ? WINDOW_LETTER : WINDOW_RETRY];
	if (due < *first)
		*first = due;
}

static bool is_issue_out(const struct outbox *o, int64_t issue)
{
	for (const struct window *w = o->windows; w; w = w->next)
		if (w->issue == issue && !window_has_ended(w))
			return true;
	return false;
}

static void ask_after_ends(struct outbox *o)
{
	for (const struct window *w = o->windows; w; w = w->next) {
		if (!window_has_ended(w))
			continue;
		o->ask[w->kind == WINDOW_SWEEP ? WINDOW_FRESH : w->kind] = true;
		if (w->issue && !is_issue_out(o, w->issue))
			o->ask[WINDOW_SWEEP] = true;
	}
}

static void ask_for_due(struct outbox *o, usec_t now)
{
	for (int kind = 0; kind < WINDOW_KINDS; kind++)
		if (o->due[kind] <= now) {
			o->ask[kind] = true;
			o->due[kind] = UINT64_MAX;
		}
}

/* Nothing is taken that couldn't be sent, or whose record isn't safe. */
static bool wants(const struct outbox *o, enum window_kind kind)
{
	if (!o->ask[kind] || o->state != OUTBOX_RUNNING || !o->may_take ||
	    !relay_pool_usable(o->relays) || !rendering_has_key(o->rendering))
		return false;
	if (kind == WINDOW_LETTER)
		return count_open(o, true) == 0;
	/* Engines share what there is to take; one that joins finds some. */
	size_t most = (size_t)o->settings->window.total / o->alive;
	return count_open(o, false) < (most > LEAST_WINDOWS ? most : LEAST_WINDOWS);
}

void outbox_add_takes(struct outbox *o, struct db_tx *tx, usec_t now)
{
	static const enum window_kind order[] = {WINDOW_LETTER, WINDOW_RETRY, WINDOW_FRESH,
						 WINDOW_SWEEP};
	ask_after_ends(o);
	ask_for_due(o, now);
	for (size_t i = 0; i < ELEMENTS(order); i++)
		if (wants(o, order[i]))
			add_take(o, tx, order[i], now);
}

void outbox_turn_if_more(struct outbox *o)
{
	ask_for_due(o, clock_now());
	for (int kind = 0; kind < WINDOW_KINDS; kind++)
		if (wants(o, (enum window_kind)kind)) {
			outbox_turn_soon(o, OUTBOX_AGAIN * USEC_PER_MSEC);
			return;
		}
}

/* Who was put off for less than a look is asked for in time, though nothing else happens. */
void outbox_turn_when_due(struct outbox *o)
{
	usec_t due = o->due[WINDOW_RETRY], now = clock_now();
	if (o->due[WINDOW_LETTER] < due)
		due = o->due[WINDOW_LETTER];
	usec_t wait = due > now ? due - now : 0;
	if (wait < o->settings->timing.look)
		outbox_turn_soon(
		    o, wait > OUTBOX_AGAIN * USEC_PER_MSEC ? wait : OUTBOX_AGAIN * USEC_PER_MSEC);
}

/* ---- pace ------------------------------------------------------------------------------------ */

/*
 * A window should hold about so much sending as `window.length` says at the present pace: enough to
 * keep the wire busy, and not more than can be looked at again in time.
 */
void outbox_measure_pace(struct outbox *o)
{
	usec_t now = clock_mono();
	if (now - o->pace_at < USEC_PER_SEC)
		return;
	double seconds = (double)(now - o->pace_at) / (double)USEC_PER_SEC;
	double pace = (double)(o->ended_count - o->pace_count) / seconds;
	o->pace = pace > o->pace ? pace : 0.7 * o->pace + 0.3 * pace;
	o->pace_at = now;
	o->pace_count = o->ended_count;
	double size = o->pace * (double)o->settings->window.length / (double)USEC_PER_SEC;
	double most = (double)o->settings->window.size;
	if (size < SMALLEST_WINDOW)
		size = SMALLEST_WINDOW;
	/* A window that was eaten within the last second may double: the pace isn't known yet. */
	if (size < (double)o->window_size / 2)
		size = (double)o->window_size / 2;
	o->window_size = (size_t)(size < most ? size : most);
}
