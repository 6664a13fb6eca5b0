#include "store/sync.h"

#include <errno.h>
#include <libpq-fe.h>

#include "base/log.h"

struct pg {
	PGconn *conn;
	struct conninfo info;
	struct db_error error;
};

/* Notices ("relation exists, skipping") are for who debugs, warnings for everybody. */
static void on_notice(void *user, const PGresult *res)
{
	(void)user;
	struct db_error notice;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	bool warning = severity && strcmp(severity, "WARNING") == 0;
	db_error_of_result(&notice, res);
	log_line(warning ? LOG_WARNING : LOG_DEBUG, "database: %s", notice.message);
}

void sync_close(struct pg *pg)
{
	if (!pg)
		return;
	PQfinish(pg->conn);
	conninfo_free(&pg->info);
	free(pg);
}

int sync_open(const struct db_config *config, struct pg **ret, struct why *why)
{
	_cleanup_sync_ struct pg *pg = calloc(1, sizeof(*pg));
	if (!pg)
		return why_set(why, -ENOMEM, "no memory for a connection");
	int r = conninfo_read(config, &pg->info, why);
	if (r < 0)
		return r;
	pg->conn = PQconnectdbParams(pg->info.keywords, pg->info.values, 0);
	if (!pg->conn || PQstatus(pg->conn) != CONNECTION_OK) {
		db_error_of_connection(&pg->error, pg->conn);
		return db_error_why(&pg->error, why, pg->conn ? -ENOTCONN : -ENOMEM);
	}
	PQsetNoticeReceiver(pg->conn, on_notice, NULL);
	*ret = steal(pg);
	return 0;
}

const struct db_error *sync_error(const struct pg *pg)
{
	return &pg->error;
}

const char *sync_shown(const struct pg *pg)
{
	return pg->info.shown;
}

static int tell(struct pg *pg, struct why *why)
{
	return db_error_why(&pg->error, why,
			    PQstatus(pg->conn) == CONNECTION_BAD ? -ENOTCONN : -EBADMSG);
}

/* Puts our own words into the error. */
static int fail(struct pg *pg, struct why *why, const char *message)
{
	db_error_text(&pg->error, message);
	return tell(pg, why);
}

static int fail_result(struct pg *pg, const PGresult *res, struct why *why)
{
	if (res)
		db_error_of_result(&pg->error, res);
	else
		db_error_of_connection(&pg->error, pg->conn);
	return tell(pg, why);
}

/* Has the server end a COPY TO STDOUT whose rows nobody wants, and reads what was under way. */
static void abandon_copy_out(struct pg *pg)
{
	char ignored[256];
	PGcancel *cancel = PQgetCancel(pg->conn);
	if (cancel)
		PQcancel(cancel, ignored, sizeof(ignored));
	PQfreeCancel(cancel);
	char *row;
	while (PQgetCopyData(pg->conn, &row, 0) > 0)
		PQfreemem(row);
	PGresult *res;
	while ((res = PQgetResult(pg->conn)))
		PQclear(res);
}

/* Ends a COPY that nobody asked for. */
static void refuse_copy(struct pg *pg, ExecStatusType status)
{
	if (status == PGRES_COPY_OUT) {
		abandon_copy_out(pg);
		return;
	}
	PQputCopyEnd(pg->conn, "no rows were expected");
	PGresult *res;
	while ((res = PQgetResult(pg->conn)))
		PQclear(res);
}

int sync_query(struct pg *pg, const char *sql, struct db_params *params, struct pg_result **ret,
	       struct why *why)
{
	_cleanup_params_ struct db_params p = params_take(params);
	if (p.err)
		return why_set(why, p.err, "the statement's parameters don't fit into memory");
	_cleanup_result_ PGresult *res =
	    PQexecParams(pg->conn, sql, p.count, NULL, p.values, p.lengths, p.formats, 0);
	switch (PQresultStatus(res)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		if (ret)
			*ret = steal(res);
		return 0;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT: refuse_copy(pg, PQresultStatus(res)); break;
	default: return fail_result(pg, res, why);
	}
	return fail(pg, why, "COPY has a function of its own");
}

int sync_script(struct pg *pg, const char *sql, struct why *why)
{
	_cleanup_result_ PGresult *res = PQexec(pg->conn, sql);
	ExecStatusType status = PQresultStatus(res);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
		return fail_result(pg, res, why);
	return 0;
}

int sync_begin(struct pg *pg, struct why *why)
{
	return sync_script(pg, "BEGIN", why);
}

int sync_commit(struct pg *pg, struct why *why)
{
	_cleanup_result_ PGresult *res = PQexec(pg->conn, "COMMIT");
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		return fail_result(pg, res, why);
	if (strcmp(PQcmdStatus(res), "COMMIT") != 0)
		return fail(pg, why, "the transaction had failed and was rolled back");
	return 0;
}

bool sync_in_transaction(const struct pg *pg)
{
	PGTransactionStatusType status = PQtransactionStatus(pg->conn);
	return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

void sync_rollback(struct pg *pg)
{
	if (sync_in_transaction(pg))
		PQclear(PQexec(pg->conn, "ROLLBACK"));
}

/* Reads the answer to the end of a COPY. */
static int copy_end(struct pg *pg, int64_t *ret_rows, struct why *why)
{
	int r = 0;
	PGresult *res;
	while ((res = PQgetResult(pg->conn))) {
		if (PQresultStatus(res) == PGRES_COMMAND_OK) {
			if (ret_rows)
				*ret_rows = db_affected(res);
		} else if (r == 0) {
			r = fail_result(pg, res, why);
		}
		PQclear(res);
	}
	return r;
}

static int copy_begin(struct pg *pg, const char *sql, struct why *why)
{
	_cleanup_result_ PGresult *res = PQexec(pg->conn, sql);
	ExecStatusType status = PQresultStatus(res);
	if (status == PGRES_COPY_IN)
		return 0;
	if (status == PGRES_FATAL_ERROR || !res)
		return fail_result(pg, res, why);
	if (status == PGRES_COPY_OUT)
		refuse_copy(pg, status);
	return fail(pg, why, "the statement is not a COPY ... FROM STDIN");
}

/* Sends what produce() makes until it ends. */
static int copy_rows(struct pg *pg, sync_produce_fn *produce, void *user)
{
	_cleanup_buf_ struct buf rows = {.limit = INT32_MAX};
	for (;;) {
		buf_truncate(&rows, 0);
		int more = produce(user, &rows);
		if (more >= 0 && rows.err)
			more = rows.err;
		if (more < 0)
			return more;
		if (rows.len && PQputCopyData(pg->conn, rows.data, (int)rows.len) < 0)
			return 0; /* the answer tells why */
		if (more == 0)
			return 0;
	}
}

int sync_copy_in(struct pg *pg, const char *sql, sync_produce_fn *produce, void *user,
		 int64_t *ret_rows, struct why *why)
{
	int r = copy_begin(pg, sql, why);
	if (r < 0)
		return r;
	int stopped = copy_rows(pg, produce, user);
	struct why ignored;
	if (PQputCopyEnd(pg->conn, stopped < 0 ? "stopped" : NULL) < 0)
		return fail_result(pg, NULL, why);
	r = copy_end(pg, stopped < 0 ? NULL : ret_rows, stopped < 0 ? &ignored : why);
	return stopped < 0 ? stopped : r;
}
