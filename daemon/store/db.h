/*
 * PostgreSQL in the event loop. A `struct db` is one connection that nobody waits for: work is
 * handed to it as transactions, which it runs one at a time in the order of their submission, and
 * it connects, and connects again after a loss, by itself with growing pauses. Transactions that
 * were not begun stay in the queue meanwhile.
 *
 *	struct db_tx *tx = db_tx_new(db, "take a window");
 *	db_tx_query(tx, sql_window_take, &params, on_taken, self);
 *	db_tx_copy(tx, "COPY delivery (...) FROM STDIN", &rows, NULL, NULL);
 *	r = db_tx_submit(tx, on_end, self);
 *
 * Memory: params and rows are taken over by the transaction; SQL texts and names must live as long
 * as it (named statements do). A tx is the db's from db_tx_submit() on and is gone once its on_end
 * returned. Errors of building stick in the tx: only db_tx_submit() need be looked at.
 *
 * Two things may hold the loop up: libpq looks host names up with getaddrinfo(3) (give addresses,
 * or a resolver on the machine), and reads its files (service, passfile, certificates) as it
 * connects.
 *
 * A primary whose standby doesn't confirm a commit within its time limit may be an old one, whose
 * standby was promoted. So when there are other hosts, they are tried next; the same one is come
 * back to when none of them takes writes.
 *
 * What the server says goes to the log: its warnings for everybody, its notices for who debugs.
 *
 * It works through pgbouncer in transaction mode (but for db_listen()): unnamed statements, SET
 * LOCAL only, no session state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/why.h"
#include "store/conninfo.h"
#include "store/dberror.h"
#include "store/params.h"
#include "store/rows.h"

struct sd_event;
struct db;
struct db_tx;

enum db_outcome {
	DB_DONE,    /* committed */
	DB_FAILED,  /* refused or rolled back: certainly not committed; `error` or `err` says why */
	DB_UNKNOWN, /* the connection was lost after COMMIT was sent and before its answer came */
	DB_LOST,    /* the connection was lost before COMMIT was sent: certainly not committed */
};

/*
 * After DB_UNKNOWN the transaction may still be going on in the server (it waits for a standby,
 * say), and what it wrote can't be seen until it ended. So first lock in a statement something
 * that it had locked, then look in the next.
 */
struct db_end {
	enum db_outcome outcome;
	struct db_error error;
	int err;           /* what an on_rows returned, -ENOMEM, -ENOTCONN ...; 0 when DB_DONE */
	const char *name;  /* the transaction's */
	const char *step;  /* the SQL that failed, "BEGIN" or "COMMIT"; NULL when none did */
	bool unreplicated; /* DB_DONE, but the wait for the synchronous standby was cancelled */
	bool left;         /* ... and what follows is done by the next host that takes writes */
	bool closing;      /* db_free() is under way: db_tx_new() gives NULL */
};

/*
 * A step's answer. More steps may be added to tx; they run after those that it has. A negative
 * value rolls the transaction back (DB_FAILED with that `err`). Rows are not yet committed.
 */
typedef int db_rows_fn(struct db_tx *tx, const struct pg_result *res, void *user);
typedef void db_end_fn(void *user, const struct db_end *end);

/* Begins to connect, and returns at once. -EINVAL: the connection string; -ENOMEM ... */
int db_open(struct sd_event *event, const struct db_config *config, struct db **ret,
	    struct why *why);

/*
 * Ends what is under way (DB_LOST or DB_UNKNOWN) and what is queued (DB_LOST), each with its
 * on_end, then closes. Not to be called from a callback of the same db. NULL is fine.
 */
void db_free(struct db *db);

bool db_is_up(const struct db *db);
size_t db_queued(const struct db *db); /* transactions not ended */

/* Called at each change between up and away. */
void db_on_state(struct db *db, void (*fn)(void *user, bool up), void *user);

struct db_tx *db_tx_new(struct db *db, const char *name); /* NULL: no memory; goes on as an error */
void db_tx_query(struct db_tx *tx, const char *sql, struct db_params *params, db_rows_fn *on_rows,
		 void *user); /* params and on_rows may be NULL */
void db_tx_copy(struct db_tx *tx, const char *sql, struct buf *rows, db_rows_fn *on_done,
		void *user); /* COPY ... FROM STDIN; see copyrow.h */
void db_tx_call(struct db_tx *tx, db_rows_fn *fn,
		void *user); /* no statement: fn, without a result, after what went before */

/* SET LOCAL for this transaction; both must live as long as it. At most four. */
void db_tx_set(struct db_tx *tx, const char *setting, const char *value);

/*
 * Time limit of each statement, which is cancelled then (57014), and of the wait for a standby at
 * COMMIT: DB_DONE, but unreplicated. 0: the db's answer_limit.
 */
void db_tx_limit(struct db_tx *tx, usec_t limit);

/*
 * Serialization failures and deadlocks (40001, 40P01) are run again, five times in all, when no
 * callback had been called before, or when this was said: on_restart (may be NULL) then undoes
 * what the callbacks did. Steps that callbacks had added are dropped; their callbacks add them
 * again.
 */
void db_tx_replayable(struct db_tx *tx, void (*on_restart)(void *user), void *user);

/* 0: on_end will be called once, from the loop. Else nothing happens and tx is gone. */
int db_tx_submit(struct db_tx *tx, db_end_fn *on_end, void *user);

void db_tx_drop(struct db_tx *tx); /* a transaction that was not submitted; NULL is fine */

/* No callback will be called any more. What was begun goes on; what wasn't is not begun. */
void db_tx_forget(struct db_tx *tx);

/*
 * One statement without a transaction block. What on_rows returns ends up in end->err only. The
 * outcome is DB_UNKNOWN when the connection was lost after it was sent; it never tells that it is
 * unreplicated. answer_limit is its time limit.
 */
int db_query(struct db *db, const char *sql, struct db_params *params, db_rows_fn *on_rows,
	     db_end_fn *on_end, void *user);

/*
 * Asks that of each new connection, before anything else is done with it. `fn` looks at the answer;
 * a negative value with the reason refuses the server, and the next host is tried, with pauses. The
 * SQL must live as long as the db. A transaction whose callback returns -EXDEV gives the connection
 * up: behind a pooler the server may change.
 */
typedef int db_admit_fn(void *user, const struct pg_result *res, struct why *why);
void db_admit(struct db *db, const char *sql, db_admit_fn *fn, void *user);

/* Asks it of the present connection, too, as soon as nothing is under way. */
void db_admit_again(struct db *db);

/*
 * LISTENs to a channel, again after each reconnection; then `payload` is NULL once, since
 * something may have been missed. Use a connection of its own, not one through pgbouncer. Both
 * texts are copied. 0 or -ENOMEM.
 */
typedef void db_notify_fn(void *user, const char *channel, const char *payload);
int db_listen(struct db *db, const char *channel, db_notify_fn *fn, void *user);

DEFINE_CLEANUP(struct db *, db_free);
#define _cleanup_db_ _cleanup_(db_freep)
