/*
 * PostgreSQL for programs that may wait: digestctl. One connection, no loop, no reconnection.
 * Every function returns 0, or a negative errno with the reason for the operator in *why:
 * -ENOTCONN when the connection is gone, -EBADMSG when the server refused (sync_error() tells its
 * SQLSTATE), -ENOMEM, or what a callback returned.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/why.h"
#include "store/conninfo.h"
#include "store/dberror.h"
#include "store/params.h"
#include "store/rows.h"

struct pg;

int sync_open(const struct db_config *config, struct pg **ret, struct why *why);
void sync_close(struct pg *pg);

const struct db_error *sync_error(const struct pg *pg); /* of the last call that failed */
const char *sync_shown(const struct pg *pg);            /* "user@host:port/database" */

/* One statement. params (may be NULL) are taken over, *ret (ret may be NULL) is the caller's. */
int sync_query(struct pg *pg, const char *sql, struct db_params *params, struct pg_result **ret,
	       struct why *why);

/* Any number of statements without parameters; what they return is dropped. */
int sync_script(struct pg *pg, const char *sql, struct why *why);

int sync_begin(struct pg *pg, struct why *why);
int sync_commit(struct pg *pg, struct why *why); /* -ENOTCONN: it may have happened */
void sync_rollback(struct pg *pg); /* nothing to do is fine; a lost connection rolls back too */
bool sync_in_transaction(const struct pg *pg);

/*
 * COPY ... FROM STDIN. `produce` is called again and again to append some rows (64 kB or so, see
 * copyrow.h) to an empty buffer, while the ones before are on their way: a good place to show
 * progress. It returns 1: more to come, 0: these were the last, negative: stop, nothing is stored.
 */
typedef int sync_produce_fn(void *user, struct buf *rows);
int sync_copy_in(struct pg *pg, const char *sql, sync_produce_fn *produce, void *user,
		 int64_t *ret_rows, struct why *why);

DEFINE_CLEANUP(struct pg *, sync_close);
#define _cleanup_sync_ _cleanup_(sync_closep)
