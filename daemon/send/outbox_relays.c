/*
 * What engines tell each other of relays: their ids, and their breakers (sql/ 0014_relays.sql; what
 * comes of it: relay.h). The database runs what is asked here in the order in which it was asked,
 * so an answer to a look knows of all that was told before. What was lost on its way is told again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "queries.h"
#include "send/outbox_inside.h"

/* ---- names ----------------------------------------------------------------------------------- */

/* The ids by which deliveries name their relay. */
struct naming {
	struct outbox *o;
	size_t index;
};

static int on_relay_id(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct naming *n = user;
	if (db_rows(rows) == 1 && n->index < relay_pool_count(n->o->relays))
		relay_pool_set_id(n->o->relays, n->index, db_int(rows, 0, 0));
	return 0;
}

static void naming_end(void *user, const struct db_end *end);

static void name_relay(struct naming *n)
{
	_cleanup_params_ struct db_params p = {0};
	params_text(&p, relay_pool_name(n->o->relays, n->index));
	if (db_query(n->o->parts.db, sql_relay_id, &p, on_relay_id, naming_end, n) < 0)
		free(n);
}

static bool was_lost(const struct db_end *end)
{
	return end->outcome != DB_DONE && end->outcome != DB_FAILED && !end->closing;
}

static void naming_end(void *user, const struct db_end *end)
{
	struct naming *n = user;
	if (was_lost(end) && n->index < relay_pool_count(n->o->relays)) {
		name_relay(n);
		return;
	}
	if (!end->closing) {
		outbox_relays_look(n->o);
		outbox_turn_soon(n->o, 0);
	}
	free(n);
}

void outbox_relays_name(struct outbox *o)
{
	for (size_t i = 0; i < relay_pool_count(o->relays); i++) {
		struct naming *n = calloc(1, sizeof(*n));
		if (!n)
			return;
		*n = (struct naming){o, i};
		name_relay(n);
	}
}

/* ---- looking --------------------------------------------------------------------------------- */

static int row_of(const struct pg_result *rows, int32_t relay)
{
	for (int row = 0; row < db_rows(rows); row++)
		if (db_int(rows, row, 0) == relay)
			return row;
	return -1;
}

static int on_looked(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	bool freed = false;
	for (size_t i = 0; i < relay_pool_count(o->relays); i++) {
		int32_t relay = relay_pool_id(o->relays, i);
		int row = row_of(rows, relay); /* none: nothing ever happened to it */
		struct relay_heard heard = {.reason = ""};
		if (row >= 0)
			heard = (struct relay_heard){
			    .mark = db_int64(rows, row, 1),
			    .open = !db_is_null(rows, row, 2),
			    .resting =
				db_is_null(rows, row, 2) ? 0 : (usec_t)db_int64(rows, row, 2),
			    .faults = (unsigned)db_int(rows, row, 3),
			    .reason = db_text(rows, row, 4),
			    .probed = db_bool(rows, row, 5),
			};
		freed |= relay_pool_heard(o->relays, relay, &heard);
	}
	if (freed)
		outbox_turn_soon(o, 0);
	return 0;
}

void outbox_relays_look(struct outbox *o)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, o->session);
	db_query(o->parts.db, sql_relay_lanes, &p, on_looked, NULL, o);
}

/* ---- telling --------------------------------------------------------------------------------- */

struct telling {
	struct outbox *o;
	struct relay_change change;
	char reason[]; /* the change's */
};

static void told(void *user, const struct db_end *end);

static int tell(struct telling *t)
{
	const struct relay_change *c = &t->change;
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, c->relay);
	if (!c->rest) {
		params_int64(&p, c->mark);
		return db_query(t->o->parts.db, sql_relay_lane_close, &p, NULL, told, t);
	}
	params_int64(&p, t->o->session);
	params_int64(&p, (int64_t)c->rest);
	params_text(&p, t->reason);
	return db_query(t->o->parts.db, sql_relay_lane_open, &p, NULL, told, t);
}

static void told(void *user, const struct db_end *end)
{
	struct telling *t = user;
	if (was_lost(end) && tell(t) == 0)
		return;
	if (!end->closing) {
		relay_pool_said(t->o->relays, t->change.relay, end->outcome == DB_DONE);
		outbox_relays_look(t->o);
	}
	free(t);
}

void outbox_relay_changed(void *user, const struct relay_change *change)
{
	struct outbox *o = user;
	if (!change->rest)
		outbox_turn_soon(o, 0);
	if (!change->shared)
		return;
	size_t n = strlen(change->reason) + 1;
	struct telling *t = malloc(sizeof(*t) + n);
	if (t) {
		*t = (struct telling){.o = o, .change = *change};
		memcpy(t->reason, change->reason, n);
		if (tell(t) == 0)
			return;
		free(t);
	}
	relay_pool_said(o->relays, change->relay, false);
}

/* ---- probing --------------------------------------------------------------------------------- */

struct asking {
	struct outbox *o;
	int32_t relay;
	int64_t mark;
	bool wanted, may;
};

static void asked(void *user, const struct db_end *end);

static int on_may_probe(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct asking *a = user;
	a->may = a->wanted && db_rows(rows) == 1 && db_bool(rows, 0, 0);
	return 0;
}

static int ask(struct asking *a)
{
	_cleanup_params_ struct db_params p = {0};
	params_int64(&p, a->relay);
	params_int64(&p, a->o->session);
	if (a->wanted)
		params_int64(&p, a->mark);
	return db_query(a->o->parts.db, a->wanted ? sql_relay_lane_probe : sql_relay_lane_leave, &p,
			on_may_probe, asked, a);
}

static void asked(void *user, const struct db_end *end)
{
	struct asking *a = user;
	if (was_lost(end) && ask(a) == 0)
		return;
	if (!end->closing && a->wanted)
		relay_pool_may_probe(a->o->relays, a->relay, a->may);
	if (!end->closing && !a->may)
		outbox_relays_look(a->o);
	free(a);
}

void outbox_relay_probe(void *user, int32_t relay, int64_t mark, bool wanted)
{
	struct outbox *o = user;
	struct asking *a = malloc(sizeof(*a));
	if (a) {
		*a = (struct asking){.o = o, .relay = relay, .mark = mark, .wanted = wanted};
		if (ask(a) == 0)
			return;
		free(a);
	}
	if (wanted)
		relay_pool_may_probe(o->relays, relay, false);
}
