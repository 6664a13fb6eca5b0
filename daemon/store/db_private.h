/*
 * What the three files of the asynchronous connection share, and nobody else includes:
 * db.c builds and queues transactions, db_link.c holds the connection (connecting, waiting,
 * reading, losing it), db_run.c takes the transaction at the head of the queue through its states.
 *
 * One transaction runs at a time. Results come through db_run_result(), one for each statement,
 * then db_run_answered() when the server is ready for the next command. Everything happens in
 * db_pump(), which only the event loop calls: callbacks may submit, and never find the connection
 * in the middle of something.
 */
#pragma once

#include <libpq-fe.h>
#include <systemd/sd-event.h>

#include "store/db.h"

enum db_state {
	DB_AWAY,       /* no connection; the timer ends the pause */
	DB_CONNECTING, /* PQconnectPoll() goes on */
	DB_ADMITTING,  /* the question which server this is was sent */
	DB_LISTENING,  /* LISTEN was sent, its answer is awaited */
	DB_IDLE,
	DB_BEGINNING, /* from here on a transaction runs: what was sent last is ... */
	DB_STEPPING,  /* a step's statement */
	DB_COPYING,   /* rows of a COPY, not all of them yet */
	DB_COPIED,    /* all of them */
	DB_COMMITTING,
	DB_ROLLING_BACK,
};

enum { DB_TRIES = 5, DB_SETTINGS = 4, DB_COPY_CHUNK = 64 * 1024 };

struct db_step {
	struct db_step *next;
	const char *sql; /* NULL: none, only a callback */
	struct db_params params;
	struct buf rows; /* of a COPY */
	bool copy;
	db_rows_fn *fn;
	void *user;
};

struct db_tx {
	struct db_tx *next;
	struct db *db;
	const char *name;
	struct db_step *steps, *last;
	struct db_step *last_own; /* the last one at submission: a replay drops what follows */
	const char *settings[DB_SETTINGS][2];
	int setting_count;
	usec_t limit;
	bool single; /* one statement, no BEGIN */
	bool replayable;
	void (*on_restart)(void *user);
	void *restart_user;
	db_end_fn *on_end;
	void *user;
	int err; /* sticky */
	bool forgotten;

	/* of the present try */
	struct db_step *at;
	int tries;
	bool told; /* a callback was called */
	usec_t began;
	struct db_end end;
};

struct db_channel {
	struct db_channel *next;
	char *name;
	db_notify_fn *fn;
	void *user;
};

struct db {
	sd_event *event;
	sd_event_source *io, *timer, *kick;
	struct conninfo info;
	usec_t answer_limit, retry_first, retry_most;

	PGconn *conn;
	enum db_state state;
	usec_t pause;      /* before the next attempt */
	usec_t away_since; /* clock_mono() */
	bool was_up;
	bool said_away;
	bool seeking;       /* another host is looked for: said in a way of its own */
	usec_t unconfirmed; /* clock_mono() when that was told last; 0: never */
	bool closing;
	bool lost;              /* libpq said so; what it had read is still looked at */
	struct db_error reason; /* of the loss, as told in the log */

	struct db_tx *queue, *queue_last;
	size_t queued;

	/* the answer to the command under way */
	bool answer_failed;
	bool answer_committed; /* COMMIT's own word was read */
	bool cancelled;        /* the server was asked to end it */
	struct db_error answer_error;
	size_t copied; /* bytes of the step's rows handed to libpq */

	const char *admit_sql;
	db_admit_fn *admit;
	void *admit_user;
	bool admit_wanted; /* once more, of a connection that is up */

	struct db_channel *channels;
	bool listen_wanted;

	void (*on_state)(void *user, bool up);
	void *state_user;
};

/* db_link.c */
int db_link_start(struct db *db);
void db_link_kick(struct db *db);                      /* have the loop call db_pump() soon */
void db_link_lose(struct db *db, const char *message); /* NULL: as libpq says */
void db_link_next(struct db *db, const char *message); /* ... and goes on to the next host */
void db_link_unconfirmed(struct db *db);               /* the next host may be the primary */
void db_link_close(struct db *db);
void db_link_limit(struct db *db, usec_t limit); /* starts the timer over; 0 stops it */
void db_pump(struct db *db);

void db_link_admitted(struct db *db); /* the connection may be used */

/* db_run.c */
bool db_run_is_unlimited(const struct db *db); /* what is under way has no limit in the server */
bool db_run_admit(struct db *db);              /* sends admit_sql; false: that failed */
void db_run_next(struct db *db);               /* begins what waits first, when idle */
void db_run_result(struct db *db, PGresult *res);
void db_run_answered(struct db *db);
void db_run_feed(struct db *db); /* more rows of a COPY */
void db_run_lost(struct db *db); /* the connection is gone: ends what ran */
void db_run_warned(struct db *db);

/* db.c */
struct db_tx *db_pop(struct db *db);
void db_tx_end(struct db_tx *tx); /* tells on_end, frees */
void db_tx_restart(struct db_tx *tx);
