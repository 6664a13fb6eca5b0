#include "store/db_private.h"

#include <errno.h>
#include <inttypes.h>

#include "base/faultpoint.h"
#include "base/log.h"

static void enter(struct db *db, enum db_state state);

static bool running(const struct db *db)
{
	return db->state >= DB_BEGINNING;
}

bool db_run_is_unlimited(const struct db *db)
{
	return db->state == DB_COMMITTING || (running(db) && db->queue->single);
}

/* The transaction failed; the first reason stays. */
static void tx_failed(struct db_tx *tx, int err, const struct db_error *error)
{
	if (tx->end.outcome == DB_FAILED)
		return;
	tx->end.outcome = DB_FAILED;
	tx->end.err = err;
	if (error)
		tx->end.error = *error;
	tx->end.step = tx->db->state == DB_BEGINNING    ? "BEGIN"
		       : tx->db->state == DB_COMMITTING ? "COMMIT"
		       : tx->at                         ? tx->at->sql
							: NULL;
}

/*
 * libpq didn't take what was to be sent: no memory, or the connection is gone. What it had already
 * put into its buffer would confuse what follows, so the connection is given up either way.
 */
static void not_sent(struct db *db)
{
	struct db_error error;
	db_error_of_connection(&error, db->conn);
	bool alive = PQstatus(db->conn) == CONNECTION_OK;
	if (running(db) && alive && db->state != DB_COMMITTING)
		tx_failed(db->queue, -ENOMEM, &error);
	db_link_lose(db, error.message[0] ? NULL : "no memory for a statement");
}

/* BEGIN with its settings in one round trip. */
static int begin_text(const struct db_tx *tx, struct buf *sql)
{
	buf_printf(sql, "BEGIN; SET LOCAL statement_timeout = %" PRIu64, tx->limit / USEC_PER_MSEC);
	for (int i = 0; i < tx->setting_count; i++) {
		buf_printf(sql, "; SET LOCAL %s = '", tx->settings[i][0]);
		for (const char *c = tx->settings[i][1]; *c; c++) {
			if (*c == '\'')
				buf_addc(sql, '\'');
			buf_addc(sql, *c);
		}
		buf_addc(sql, '\'');
	}
	return sql->err;
}

static bool send_begin(struct db *db)
{
	_cleanup_buf_ struct buf sql = {0};
	return begin_text(db->queue, &sql) == 0 && PQsendQuery(db->conn, sql.data);
}

static bool send_step(struct db *db)
{
	const struct db_step *step = db->queue->at;
	const struct db_params *p = &step->params;
	db->copied = 0;
	return PQsendQueryParams(db->conn, step->sql, p->count, NULL, p->values, p->lengths,
				 p->formats, 0);
}

bool db_run_admit(struct db *db)
{
	enter(db, DB_ADMITTING);
	return db->state == DB_ADMITTING;
}

static bool send_listen(struct db *db)
{
	_cleanup_buf_ struct buf sql = {0};
	for (struct db_channel *c = db->channels; c; c = c->next) {
		char *quoted = PQescapeIdentifier(db->conn, c->name, strlen(c->name));
		if (!quoted)
			return false;
		buf_printf(&sql, "LISTEN %s;", quoted);
		PQfreemem(quoted);
	}
	db->listen_wanted = false;
	return sql.err == 0 && PQsendQuery(db->conn, buf_text(&sql));
}

/* The one place where a connected state begins: sends what belongs to it, starts its limit. */
static void enter(struct db *db, enum db_state state)
{
	db->state = state;
	db->answer_failed = db->answer_committed = db->cancelled = false;
	bool sent = true;
	switch (state) {
	case DB_ADMITTING:
		sent = PQsendQueryParams(db->conn, db->admit_sql, 0, NULL, NULL, NULL, NULL, 0);
		break;
	case DB_LISTENING: sent = send_listen(db); break;
	case DB_BEGINNING: sent = send_begin(db); break;
	case DB_STEPPING: sent = send_step(db); break;
	case DB_COMMITTING:
		FAULT_POINT("db-commit-before");
		sent = PQsendQuery(db->conn, "COMMIT");
		FAULT_POINT("db-commit-sent");
		break;
	case DB_ROLLING_BACK: sent = PQsendQuery(db->conn, "ROLLBACK"); break;
	default: break;
	}
	if (state == DB_IDLE)
		db_link_limit(db, 0);
	else if (db_run_is_unlimited(db))
		db_link_limit(db, db->queue->limit);
	else if (running(db))
		/* The server's own limit comes first, so that it can say why. */
		db_link_limit(db, db->queue->limit + 2 * USEC_PER_SEC);
	else
		db_link_limit(db, db->answer_limit);
	if (!sent)
		not_sent(db);
}

void db_run_next(struct db *db)
{
	if (db->admit_wanted) {
		db->admit_wanted = false;
		enter(db, DB_ADMITTING);
		return;
	}
	if (db->listen_wanted) {
		enter(db, DB_LISTENING);
		return;
	}
	while (db->queue && db->queue->forgotten) {
		struct db_tx *tx = db_pop(db);
		tx->end = (struct db_end){.outcome = DB_LOST, .err = -ECANCELED};
		db_tx_end(tx);
	}
	struct db_tx *tx = db->queue;
	if (!tx)
		return;
	tx->end = (struct db_end){.outcome = DB_DONE};
	tx->began = clock_mono();
	tx->tries++;
	tx->at = tx->single ? tx->steps : NULL;
	enter(db, tx->single ? DB_STEPPING : DB_BEGINNING);
}

static bool may_replay(const struct db_tx *tx)
{
	return tx->end.outcome == DB_FAILED && db_error_is_passing(&tx->end.error) &&
	       tx->tries < DB_TRIES && (tx->replayable || !tx->told);
}

/* The transaction at the head has ended in the server, one way or the other. */
static void ended(struct db *db)
{
	if (PQtransactionStatus(db->conn) == PQTRANS_INTRANS ||
	    PQtransactionStatus(db->conn) == PQTRANS_INERROR) {
		if (db->state == DB_ROLLING_BACK)
			db_link_lose(db, "ROLLBACK left a transaction open");
		else
			enter(db, DB_ROLLING_BACK);
		return;
	}
	enter(db, DB_IDLE);
	if (may_replay(db->queue)) {
		log_debug("%s: %s, once more", db->queue->name, db->queue->end.error.message);
		db_tx_restart(db->queue);
		return;
	}
	struct db_tx *tx = db_pop(db);
	/* A standby took the place of the primary: look for the new one. */
	bool read_only = db_error_is(&tx->end.error, "25006"), other = tx->end.err == -EXDEV;
	bool left = tx->end.left = tx->end.unreplicated && conninfo_is_list(&db->info);
	db_tx_end(tx);
	if (left)
		db_link_unconfirmed(db);
	else if (read_only || other)
		db_link_lose(db, read_only ? "the server is read-only"
					   : "this is not the server it was");
}

/* Calls the callback of the step that the transaction is at, unless it is over. */
static void tell_step(struct db_tx *tx, const PGresult *res)
{
	if (!tx->at->fn || tx->forgotten || tx->end.outcome == DB_FAILED)
		return;
	tx->told = true;
	int r = tx->at->fn(tx, res, tx->at->user);
	if (r >= 0)
		return;
	if (tx->single)
		tx->end.err = r;
	else
		tx_failed(tx, r, NULL);
}

static void step_answered(struct db *db)
{
	struct db_tx *tx = db->queue;
	if (tx->err)
		tx_failed(tx, tx->err, NULL);
	if (tx->single) {
		ended(db);
		return;
	}
	while (tx->end.outcome != DB_FAILED) {
		tx->at = tx->at ? tx->at->next : tx->steps;
		if (!tx->at || tx->at->sql)
			break;
		tell_step(tx, NULL);
		if (tx->err)
			tx_failed(tx, tx->err, NULL);
	}
	enter(db, tx->end.outcome == DB_FAILED ? DB_ROLLING_BACK
		  : tx->at                     ? DB_STEPPING
					       : DB_COMMITTING);
}

/* COMMIT was answered. What is neither its word nor a plain refusal leaves us in the dark. */
static void commit_answered(struct db *db)
{
	struct db_tx *tx = db->queue;
	FAULT_POINT("db-commit-answered");
	if (db->answer_committed) {
		ended(db);
	} else if (!db->answer_failed) {
		struct db_error error;
		db_error_text(&error, "COMMIT was answered by a rollback");
		tx_failed(tx, -EBADMSG, &error);
		ended(db);
	} else if (db->answer_error.sqlstate[0] && !db->answer_error.fatal) {
		tx_failed(tx, -EBADMSG, &db->answer_error);
		ended(db);
	} else {
		db_link_lose(db, db->answer_error.message);
	}
}

static void admit_answered(struct db *db)
{
	if (db->answer_failed)
		db_link_lose(db, db->answer_error.message);
	else
		db_link_admitted(db);
}

static void listen_answered(struct db *db)
{
	if (db->answer_failed) {
		db_link_lose(db, db->answer_error.message);
		return;
	}
	enter(db, DB_IDLE);
	for (struct db_channel *c = db->channels; c; c = c->next)
		c->fn(c->user, c->name, NULL);
}

void db_run_answered(struct db *db)
{
	bool gone = db->answer_error.fatal ||
		    (!db->answer_error.sqlstate[0] && PQstatus(db->conn) == CONNECTION_BAD);
	if (db->answer_failed && gone) {
		db_link_lose(db, db->answer_error.message);
		return;
	}
	if (db->state != DB_ADMITTING || !db->answer_failed)
		db->pause = db->retry_first;
	switch (db->state) {
	case DB_ADMITTING: admit_answered(db); break;
	case DB_LISTENING: listen_answered(db); break;
	case DB_BEGINNING:
	case DB_STEPPING:
	case DB_COPIED:
		if (db->answer_failed)
			tx_failed(db->queue, -EBADMSG, &db->answer_error);
		step_answered(db);
		break;
	case DB_COMMITTING: commit_answered(db); break;
	case DB_ROLLING_BACK: ended(db); break;
	default: break;
	}
}

/* A statement of a step went well: tells who wants to know. */
static void step_done(struct db *db, const PGresult *res)
{
	struct db_tx *tx = db->queue;
	if (tx->at->copy && db->state != DB_COPIED) {
		tx_failed(tx, -EINVAL, NULL);
		return;
	}
	FAULT_POINT_IF(db->state == DB_COPIED, "db-copy-done");
	tell_step(tx, res);
}

/* The owner's verdict about the server. */
static void admit(struct db *db, const PGresult *res)
{
	struct why why = {""};
	if (db->admit(db->admit_user, res, &why) >= 0)
		return;
	db_error_text(&db->answer_error, why.text);
	db->answer_failed = true;
}

void db_run_result(struct db *db, PGresult *res)
{
	struct db_tx *tx = db->queue;
	switch (PQresultStatus(res)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		if (db->state == DB_STEPPING || db->state == DB_COPIED)
			step_done(db, res);
		else if (db->state == DB_ADMITTING)
			admit(db, res);
		else if (db->state == DB_COMMITTING)
			db->answer_committed = strcmp(PQcmdStatus(res), "COMMIT") == 0;
		break;
	case PGRES_EMPTY_QUERY: break;
	case PGRES_COPY_IN:
		if (db->state == DB_STEPPING && tx->at->copy) {
			FAULT_POINT("db-copy-begun");
			enter(db, DB_COPYING);
		} else if (PQputCopyEnd(db->conn, "no rows were expected") < 0)
			db_link_lose(db, NULL);
		break;
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		tx_failed(tx, -EOPNOTSUPP, NULL);
		db_link_lose(db, "COPY TO STDOUT is not for this connection");
		break;
	default:
		if (!db->answer_failed)
			db_error_of_result(&db->answer_error, res);
		db->answer_failed = true;
	}
}

void db_run_feed(struct db *db)
{
	struct buf *rows = &db->queue->at->rows;
	while (db->copied < rows->len) {
		size_t left = rows->len - db->copied;
		int n = (int)(left < DB_COPY_CHUNK ? left : DB_COPY_CHUNK);
		int taken = PQputCopyData(db->conn, rows->data + db->copied, n);
		if (taken < 0)
			db_link_lose(db, NULL);
		if (taken <= 0)
			return;
		db->copied += (size_t)n;
		db_link_limit(db, db->queue->limit);
		/* What didn't go out at once waits for the socket, not in libpq's memory. */
		if (PQflush(db->conn) != 0)
			return;
	}
	int ended_copy = PQputCopyEnd(db->conn, NULL);
	FAULT_POINT("db-copy-fed");
	if (ended_copy < 0)
		db_link_lose(db, NULL);
	else if (ended_copy > 0)
		enter(db, DB_COPIED);
}

/* What is known of a transaction whose connection went away. */
static void outcome_when_lost(struct db *db, struct db_tx *tx)
{
	if (tx->end.outcome == DB_FAILED)
		return;
	if (db->answer_failed && !db->answer_error.fatal && db->answer_error.sqlstate[0]) {
		tx_failed(tx, -EBADMSG, &db->answer_error);
		return;
	}
	if (db->state == DB_COMMITTING && db->answer_committed)
		return;
	bool sent_all = db->state == DB_COMMITTING || tx->single;
	tx->end.outcome = sent_all ? DB_UNKNOWN : DB_LOST;
	tx->end.err = -ENOTCONN;
	tx->end.error = db->reason;
	tx->end.step = db->state == DB_COMMITTING ? "COMMIT" : tx->at ? tx->at->sql : "BEGIN";
}

void db_run_lost(struct db *db)
{
	if (!running(db))
		return;
	struct db_tx *tx = db_pop(db);
	outcome_when_lost(db, tx);
	db->state = DB_AWAY;
	db_tx_end(tx);
}

void db_run_warned(struct db *db)
{
	if (db->state == DB_COMMITTING)
		db->queue->end.unreplicated = true;
}
