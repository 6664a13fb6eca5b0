/*
 * The outbox and the database's schema, which a newer digestctl may change while engines run.
 *
 * Each turn, and the beginning of a session, asks first which migration was the last one. Asking
 * holds schema_migration to the end of the transaction, and a migration locks it before anything
 * else (store/migrate.c): so none happens within a turn, and no turn works on a schema that it
 * wasn't made for. An engine that meets a newer one ends in order, and with a status by which
 * systemd starts what is installed by then. One that starts on an older schema waits for it.
 */
#include <errno.h>

#include "base/embed.h"
#include "base/log.h"
#include "queries.h"
#include "send/outbox_inside.h"
#include "store/migrate.h"

enum { NEWER_PATIENCE = 60 }; /* seconds until a start on a newer schema is given up */

/* -ESTALE when it isn't ours; while we end because of that, what is known still goes in. */
static int on_schema(struct db_tx *tx, const struct pg_result *rows, void *user)
{
	(void)tx;
	struct outbox *o = user;
	o->schema = db_rows(rows) == 1 ? db_int(rows, 0, 0) : 0;
	bool ours = o->schema == migrate_newest(embedded_files);
	return ours || o->state == OUTBOX_DRAINING ? 0 : -ESTALE;
}

void outbox_schema_ask(struct outbox *o, struct db_tx *tx)
{
	db_tx_query(tx, sql_schema_newest, NULL, on_schema, o);
}

void outbox_schema_moved(struct outbox *o)
{
	log_notice("the database's schema (%04d) isn't this program's (%04d) any more: nothing "
		   "more is taken, and digestd ends, to be started again as what is installed then",
		   o->schema, migrate_newest(embedded_files));
	o->outdated = true;
	outbox_drain(o);
}

void outbox_schema_wait(struct outbox *o)
{
	int ours = migrate_newest(embedded_files);
	bool told = o->schema_told == o->schema;
	if (!told)
		o->schema_since = clock_mono();
	o->schema_told = o->schema;
	if (o->schema > ours && !told) {
		log_error("the database's schema (%04d) is newer than this program's (%04d), which "
			  "can't work with it: install the newer digestd",
			  o->schema, ours);
	} else if (!told) {
		log_error("the database's schema (%04d) is older than this program's (%04d): "
			  "waiting for `digestctl db migrate`",
			  o->schema, ours);
	}
	if (o->schema > ours && clock_mono() - o->schema_since > NEWER_PATIENCE * USEC_PER_SEC)
		outbox_end(o, -ESTALE);
	else
		outbox_enter(o, OUTBOX_WAITING);
}
