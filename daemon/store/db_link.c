#include "store/db_private.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "base/log.h"

enum {                    /* seconds */
       SAY_AGAIN = 3600,  /* what goes on for hours */
       CANCEL_LIMIT = 10, /* until a server that was asked to end something has done so */
};

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user);
static void connect_poll(struct db *db);

/*
 * Watches libpq's socket for `events`. While connecting, libpq closes one socket and opens the
 * next under the same number, which epoll forgets: then the source is made anew.
 */
static int watch(struct db *db, uint32_t events, bool anew)
{
	if (anew)
		db->io = sd_event_source_disable_unref(db->io);
	if (db->io)
		return sd_event_source_set_io_events(db->io, events);
	return sd_event_add_io(db->event, &db->io, PQsocket(db->conn), events, on_io, db);
}

void db_link_limit(struct db *db, usec_t limit)
{
	int r = 0;
	if (limit)
		r = sd_event_source_set_time_relative(db->timer, limit);
	if (r >= 0)
		r = sd_event_source_set_enabled(db->timer, limit ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	if (r < 0)
		log_error("database: the timer can't be set: %s", strerror(-r));
}

void db_link_kick(struct db *db)
{
	int r = sd_event_source_set_enabled(db->kick, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error("database: the loop can't be woken: %s", strerror(-r));
}

/* Half to all of the pause, so that many engines don't come back at one moment. */
static usec_t jittered(usec_t pause)
{
	uint32_t random = 0;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)clock_mono();
	return pause / 2 + pause / 2 * (random % 1024) / 1024;
}

static void say_away(struct db *db)
{
	if (!db->said_away && !db->seeking)
		log_warning("database: %s: %s; trying again until it's back", db->info.shown,
			    db->reason.message);
	else
		log_debug("database: %s: %s", db->info.shown, db->reason.message);
	db->said_away = db->said_away || !db->seeking;
	db->seeking = false; /* what comes next is a trouble of its own */
}

/* That a standby confirms nothing. */
static bool told_lately(const struct db *db)
{
	return db->unconfirmed && clock_mono() - db->unconfirmed < SAY_AGAIN * USEC_PER_SEC;
}

static void say_up(struct db *db)
{
	if (db->said_away)
		log_notice("database: connected to %s after %.1f s", db->info.shown,
			   (double)(clock_mono() - db->away_since) / 1e6);
	else
		log_line(told_lately(db) ? LOG_DEBUG : LOG_INFO, "database: connected to %s",
			 db->info.shown);
	db->said_away = false;
}

static void disconnect(struct db *db)
{
	db->io = sd_event_source_disable_unref(db->io);
	PQfinish(steal(db->conn));
	db->lost = false;
}

void db_link_next(struct db *db, const char *message)
{
	conninfo_rotate_past(&db->info, PQhost(db->conn), PQport(db->conn));
	db_link_lose(db, message);
}

void db_link_unconfirmed(struct db *db)
{
	if (!told_lately(db))
		log_warning("database: %s: no standby confirms its commits, so it may be an old "
			    "primary; going on to the next host that takes writes",
			    PQhost(db->conn));
	db->unconfirmed = clock_mono();
	db->seeking = true;
	db_link_next(db, "no standby confirms commits");
}

void db_link_lose(struct db *db, const char *message)
{
	bool was_up = db->state >= DB_LISTENING;
	if (message)
		db_error_text(&db->reason, message);
	else
		db_error_of_connection(&db->reason, db->conn);
	/* A server that goes down says so before the socket is closed. */
	if (db->answer_failed && db->answer_error.fatal)
		db->reason = db->answer_error;
	if (was_up || db->was_up)
		db->away_since = clock_mono();
	disconnect(db);
	if (!db->closing)
		say_away(db);
	db_run_lost(db);
	db->state = DB_AWAY;
	db->answer_failed = false;
	db->admit_wanted = false;
	db->listen_wanted = db->channels != NULL;
	if (!was_up)
		conninfo_rotate(&db->info);
	if (db->closing)
		return;
	db_link_limit(db, jittered(db->pause));
	db->pause = db->pause * 2 < db->retry_most ? db->pause * 2 : db->retry_most;
	if (db->was_up && db->on_state)
		db->on_state(db->state_user, false);
	db->was_up = false;
}

static void on_notice(void *user, const PGresult *res)
{
	struct db *db = user;
	struct db_error notice;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	bool warning = severity && strcmp(severity, "WARNING") == 0;
	db_error_of_result(&notice, res);
	if (notice.fatal && db->state == DB_IDLE) {
		/* The reason of the end of file that follows. */
		db->answer_failed = true;
		db->answer_error = notice;
	}
	bool known = db->state == DB_COMMITTING && told_lately(db);
	log_line(warning && !known ? LOG_WARNING : LOG_DEBUG, "database: %s", notice.message);
	if (warning)
		db_run_warned(db);
}

void db_link_admitted(struct db *db)
{
	db->state = DB_IDLE;
	db_link_limit(db, 0);
	if (db->was_up)
		return;
	say_up(db);
	db->was_up = true;
	if (db->on_state)
		db->on_state(db->state_user, true);
}

static void connected(struct db *db)
{
	if (PQsetnonblocking(db->conn, 1) < 0 || watch(db, EPOLLIN, true) < 0) {
		db_link_lose(db, NULL);
		return;
	}
	if (!db->admit_sql)
		db_link_admitted(db);
	else if (!db_run_admit(db))
		return;
	db_pump(db);
}

static void connect_poll(struct db *db)
{
	db->io = sd_event_source_disable_unref(db->io);
	PostgresPollingStatusType status = PQconnectPoll(db->conn);
	if (status == PGRES_POLLING_OK)
		connected(db);
	else if (status == PGRES_POLLING_FAILED ||
		 watch(db, status == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT, true) < 0)
		db_link_lose(db, NULL);
}

static void connect_start(struct db *db)
{
	db->state = DB_CONNECTING;
	usec_t limit = 10 * USEC_PER_SEC;
	db_link_limit(db, db->answer_limit < limit ? db->answer_limit : limit);
	db->conn = PQconnectStartParams(db->info.keywords, db->info.values, 0);
	if (!db->conn || PQstatus(db->conn) == CONNECTION_BAD) {
		db_link_lose(db, NULL);
		return;
	}
	PQsetNoticeReceiver(db->conn, on_notice, db);
	/* As if the last poll had asked to write: libpq's documentation of PQconnectPoll(). */
	if (watch(db, EPOLLOUT, true) < 0)
		db_link_lose(db, NULL);
}

static void take_notifies(struct db *db)
{
	PGnotify *notify;
	while (db->state >= DB_ADMITTING && (notify = PQnotifies(db->conn))) {
		for (struct db_channel *c = db->channels; c; c = c->next)
			if (strcmp(c->name, notify->relname) == 0)
				c->fn(c->user, c->name, notify->extra);
		PQfreemem(notify);
	}
}

/* Reads one result; false: there's nothing to read yet, or nothing is awaited. */
static bool take_result(struct db *db)
{
	if (db->state < DB_ADMITTING || db->state == DB_IDLE || db->state == DB_COPYING ||
	    PQisBusy(db->conn))
		return false;
	_cleanup_result_ PGresult *res = PQgetResult(db->conn);
	if (res)
		db_run_result(db, res);
	else
		db_run_answered(db);
	return true;
}

/*
 * Writes what is to be written; what remains waits for the socket. So does the rest of a COPY, even
 * when libpq has nothing left: the socket may have made room since db_run_feed() found none.
 */
static void flush(struct db *db)
{
	int more = PQflush(db->conn);
	bool write = more > 0 || db->state == DB_COPYING;
	if (more >= 0 && watch(db, write ? EPOLLIN | EPOLLOUT : EPOLLIN, false) < 0)
		more = -1;
	if (more < 0)
		db_link_lose(db, NULL);
}

/* Goes on as far as it can without waiting. */
void db_pump(struct db *db)
{
	for (bool more = true; more && db->state >= DB_ADMITTING;) {
		more = take_result(db);
		if (!more && db->state == DB_IDLE && !db->lost) {
			db_run_next(db);
			more = db->state != DB_IDLE;
		} else if (!more && db->state == DB_COPYING && !db->lost) {
			db_run_feed(db);
			more = db->state != DB_COPYING;
		}
	}
	take_notifies(db);
	if (db->state >= DB_ADMITTING && (db->lost || PQstatus(db->conn) == CONNECTION_BAD))
		db_link_lose(db, NULL);
	if (db->state >= DB_ADMITTING)
		flush(db);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	(void)source, (void)fd;
	struct db *db = user;
	if (db->state == DB_CONNECTING) {
		connect_poll(db);
		return 0;
	}
	if (revents & ~(uint32_t)EPOLLOUT)
		db->lost = !PQconsumeInput(db->conn);
	db_pump(db);
	return 0;
}

/* libpq's request waits for the server to hang up, so it may not be made in the loop. */
static void *send_cancel(void *user)
{
	PGcancel *cancel = user;
	char ignored[256];
	PQcancel(cancel, ignored, sizeof(ignored));
	PQfreeCancel(cancel);
	return NULL;
}

/*
 * Asks the server to end what is under way. A COMMIT's wait for a standby has no time limit in the
 * server (statement_timeout ends before it), outlives its connection, and keeps its locks.
 */
static bool cancel(struct db *db)
{
	if (db->cancelled || !db_run_is_unlimited(db))
		return false;
	PGcancel *request = PQgetCancel(db->conn);
	pthread_t thread;
	if (!request || pthread_create(&thread, NULL, send_cancel, request) != 0) {
		PQfreeCancel(request);
		return false;
	}
	pthread_detach(thread);
	db_link_limit(db, CANCEL_LIMIT * USEC_PER_SEC);
	db->cancelled = true;
	return true;
}

static int on_timer(sd_event_source *source, uint64_t at, void *user)
{
	(void)source, (void)at;
	struct db *db = user;
	if (db->state == DB_AWAY)
		connect_start(db);
	else if (db->state == DB_CONNECTING || db->state == DB_ADMITTING)
		db_link_lose(db, "the server took the connection and stayed silent");
	else if (db->state != DB_IDLE && !cancel(db))
		db_link_next(db, "the server didn't answer in time");
	return 0;
}

static int on_kick(sd_event_source *source, void *user)
{
	(void)source;
	struct db *db = user;
	if (db->state >= DB_ADMITTING)
		db_pump(db);
	return 0;
}

int db_link_start(struct db *db)
{
	db->pause = db->retry_first;
	db->away_since = clock_mono();
	int r = sd_event_add_time_relative(db->event, &db->timer, CLOCK_MONOTONIC, 0, 1000,
					   on_timer, db);
	if (r >= 0)
		r = sd_event_add_defer(db->event, &db->kick, on_kick, db);
	return r < 0 ? r : 0;
}

void db_link_close(struct db *db)
{
	if (db->conn)
		db_link_lose(db, "closed");
	db->timer = sd_event_source_disable_unref(db->timer);
	db->kick = sd_event_source_disable_unref(db->kick);
}
