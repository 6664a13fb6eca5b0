/*
 * Who lives: this session says so by its beat, and looks at the beats of the others.
 *
 * One whose beat stood still before our eyes for `dead`, on our own CLOCK_BOOTTIME, is marked dead
 * by compare-and-set on the value that was seen. Before our eyes: when the database couldn't be
 * asked meanwhile, nobody could beat, and the time begins anew. The windows of an engine that has
 * no living session stay its own, until it comes back, or until we saw it so for `orphan_after`, or
 * an operator retired it: then they are closed, and who has no answer is in doubt.
 *
 * The number of living sessions tells each its part of the relays' limits. A session that joins
 * takes none before each of the others has beaten since, and so has seen it; for two beats at most.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/faultpoint.h"
#include "base/log.h"
#include "queries.h"
#include "send/outbox_inside.h"

enum {
	GAP = 3,          /* beats without a look: nothing was seen */
	JOINING = 2,      /* beats that a newcomer waits for the others at most */
	ASK_JOINING = 20, /* looks a beat while it does */
};

/* ---- watching -------------------------------------------------------------------------------- */

void outbox_watch(struct watch *w, int32_t id, int64_t value, usec_t now, usec_t gap)
{
	bool same = w->id == id && w->value == value;
	w->moved = w->id == id && (w->moved || w->value != value);
	if (!same || now - w->seen > gap)
		w->since = now;
	w->id = id;
	w->value = value;
	w->seen = now;
}

static usec_t gap_of(const struct outbox *o)
{
	return GAP * o->settings->timing.beat;
}

static struct watch *find(const struct watches *all, int32_t id)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].id == id)
			return &all->items[i];
	return NULL;
}

/* Those that an answer tells of, in place of those that the last one told of. */
static int renew(struct outbox *o, struct watches *all, const struct pg_result *rows, usec_t now)
{
	struct watches next = {0};
	int n = db_rows(rows);
	next.items = calloc((size_t)n + 1, sizeof(*next.items));
	if (!next.items)
		return -ENOMEM;
	for (int row = 0; row < n; row++) {
		int32_t id = db_int(rows, row, 0);
		const struct watch *old = find(all, id);
		struct watch *w = &next.items[next.n++];
		if (old)
			*w = *old;
		outbox_watch(w, id, db_int64(rows, row, 1), now, gap_of(o));
	}
	free(all->items);
	*all = next;
	return 0;
}

/* How long it stood still before our eyes. The answer is from after we asked. */
static usec_t stood(const struct outbox *o, const struct watch *w)
{
	return o->asked > w->since ? o->asked - w->since : 0;
}

/* ---- the dead -------------------------------------------------------------------------------- */

static int on_buried(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx, (void)user;
	FAULT_POINT("others-buried");
	if (db_rows(rows) == 1 && db_bool(rows, 0, 1))
		log_warning(
		    "session %d stood still for too long and is taken for dead; its lanes go "
		    "on, its windows wait for their engine",
		    db_int(rows, 0, 0));
	return 0;
}

static void bury(struct outbox *o, const struct watch *w)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, w->id);
	params_int64(&p, w->value);
	params_usec(&p, clock_now());
	db_query(o->parts.db, sql_session_bury, &p, on_buried, NULL, NULL);
	FAULT_POINT("others-bury-sent");
}

static int on_orphaned(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx, (void)user;
	FAULT_POINT("others-orphaned");
	if (db_rows(rows) == 1 && !db_is_null(rows, 0, 1))
		log_warning(
		    "the windows of engine %d, which is gone, were closed: %d readers are in "
		    "doubt; see digestctl issue settle",
		    db_int(rows, 0, 0), db_int(rows, 0, 1));
	return 0;
}

static void close_orphans(struct outbox *o, const struct watch *w, bool retired)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, w->id);
	params_int64(&p, w->value);
	params_text(&p, retired ? "the engine was retired" : "the engine is gone");
	params_usec(&p, clock_now());
	db_query(o->parts.db, sql_engine_orphan, &p, on_orphaned, NULL, o);
	FAULT_POINT("others-orphan-sent");
}

static int on_gone(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	int r = renew(o, &o->gone, rows, clock_boot());
	for (int row = 0; r == 0 && row < db_rows(rows); row++) {
		const struct watch *w = find(&o->gone, db_int(rows, row, 0));
		bool retired = db_bool(rows, row, 2);
		if (w && (retired || stood(o, w) >= o->settings->timing.orphan_after))
			close_orphans(o, w, retired);
	}
	return r;
}

/* ---- the living ------------------------------------------------------------------------------ */

static bool is_known_to_all(const struct outbox *o)
{
	for (size_t i = 0; i < o->sessions.n; i++) {
		const struct watch *w = &o->sessions.items[i];
		if (w->id != o->session && !w->moved)
			return false;
	}
	return true;
}

static void share(struct outbox *o, unsigned alive, unsigned place)
{
	if (o->joining && o->state == OUTBOX_RUNNING &&
	    (is_known_to_all(o) || clock_boot() - o->began >= JOINING * o->settings->timing.beat)) {
		o->joining = false;
		outbox_ask(o);
		outbox_turn_soon(o, 0);
	}
	o->alive = alive ? alive : 1;
	relay_pool_share(o->relays, o->alive, o->joining ? o->alive : place);
	outbox_wire_wake(o);
}

static int on_alive(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	int r = renew(o, &o->sessions, rows, clock_boot());
	unsigned place = 0;
	bool found = false;
	for (size_t i = 0; r == 0 && i < o->sessions.n; i++) {
		const struct watch *w = &o->sessions.items[i];
		if (w->id == o->session) {
			place = (unsigned)i;
			found = true;
		} else if (stood(o, w) >= o->settings->timing.dead) {
			bury(o, w);
		}
	}
	if (found)
		share(o, (unsigned)o->sessions.n, place);
	return r;
}

int outbox_meet(struct outbox *o, const struct pg_result *rows)
{
	free(o->sessions.items);
	o->sessions = (struct watches){0};
	return renew(o, &o->sessions, rows, clock_boot());
}

/* ---- beating --------------------------------------------------------------------------------- */

static int on_beat(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	(void)user;
	if (db_rows(rows) == 0)
		return -EOWNERDEAD;
	FAULT_POINT("beat-answered");
	return 0;
}

static void beat_end(void *user, const struct db_end *end)
{
	struct outbox *o = user;
	if (end->outcome == DB_DONE)
		o->beat_sent = o->beat_trying;
	o->beat_trying = 0;
	if (end->closing)
		return;
	if (end->err == -EOWNERDEAD) {
		outbox_fence(o);
		return;
	}
	if (end->outcome != DB_DONE)
		return;
	o->asked = clock_boot();
	db_query(o->parts.db, sql_sessions_alive, NULL, on_alive, NULL, o);
	outbox_relays_look(o);
	db_query(o->parts.db, sql_engines_gone, NULL, on_gone, NULL, o);
}

void outbox_beat(struct outbox *o)
{
	bool lives = o->state >= OUTBOX_TELLING && o->state <= OUTBOX_DRAINING && !o->dead;
	if (!lives || o->beat_trying || !db_is_up(o->parts.db))
		return;
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, o->session);
	o->beat_trying = clock_boot();
	/* With a time limit in the server: a wait for the standby outlives its connection. */
	struct db_tx *tx = db_tx_new(o->parts.db, "beat");
	db_tx_query(tx, sql_session_beat, &p, on_beat, o);
	if (db_tx_submit(tx, beat_end, o) < 0)
		o->beat_trying = 0;
	FAULT_POINT("beat-sent");
}

usec_t outbox_beat_wait(const struct outbox *o)
{
	usec_t beat = o->settings->timing.beat;
	return o->joining && o->state == OUTBOX_RUNNING ? beat / ASK_JOINING : beat;
}

void outbox_join(struct outbox *o)
{
	o->began = clock_boot();
	o->joining = true;
	o->dead = false;
	o->alive = 1;
	relay_pool_share(o->relays, 1, 1);
	outbox_beat(o);
}

void outbox_others_free(struct outbox *o)
{
	free(o->sessions.items);
	free(o->gone.items);
	o->sessions = o->gone = (struct watches){0};
}
