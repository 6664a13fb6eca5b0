/*
 * The settings of digestd, digestweb and digestctl: one file for all three (digestd.conf(5)), one
 * struct, filled and checked whole before anybody looks at it. Each program may have a file of its
 * own with only what it needs: then the others' parts are the defaults.
 *
 * Everything here is read-only and lives until settings_free(), secrets included, which are wiped
 * then. Reload: settings_load() again, on success swap the pointers and free the old; on failure go
 * on with the old ones. What can't change while running: settings_log_fixed().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/report.h"
#include "base/secret.h"

#define SETTINGS_PATH "/etc/digestd/digestd.conf"

enum settings_program { SETTINGS_ENGINE = 1, SETTINGS_WEB = 2, SETTINGS_OPERATOR = 4 };

struct settings_login {         /* a role in the database */
	const char *conninfo;   /* libpq's, without a password in it */
	struct secret password; /* .text is NULL: none; only read by the program it belongs to */
};

struct settings_database {
	struct settings_login engine, web, operator, owner; /* owner: only for migrations */
	usec_t connect_timeout;
	usec_t tcp_timeout; /* TCP_USER_TIMEOUT */
	bool pooler; /* a transaction-mode pgbouncer stands between: LISTEN goes to `listen` */
	const char *listen; /* conninfo of the engine for LISTEN; "": engine's own */
};

enum settings_tls {
	SETTINGS_TLS_REQUIRED, /* STARTTLS or no mail */
	SETTINGS_TLS_ALLOWED,  /* STARTTLS when offered */
	SETTINGS_TLS_NONE,
	SETTINGS_TLS_IMPLICIT, /* from the first byte, "smtps" */
};

struct settings_relay {
	const char *name; /* unique; what the database, logs and commands call it */
	const char *host; /* a name or address */
	int port;         /* never 0 here: the default depends on `tls` */
	enum settings_tls tls;
	bool tls_verify;
	const char *ca_file; /* "": the system's */
	const char *user;    /* "": no AUTH */
	struct secret password;
	const char *ehlo;            /* "": the name of this host */
	int connections;             /* at most, over all engines */
	int messages_per_connection; /* 0: no limit */
	int rate;                    /* messages a second over all engines; 0: no limit */
	int weight;                  /* its share among relays; 0: only when no other is well */
	int in_flight; /* final dots (BDAT LAST) sent and not answered, a connection */
};

struct settings_relays {
	struct settings_relay *items;
	size_t n;
};

/* Back-off with full jitter: the n-th wait is drawn from 0 .. min(cap, first * factor^n). */
struct settings_backoff {
	usec_t first;
	int factor;
	usec_t cap;
};

struct settings_retry {
	struct settings_backoff backoff; /* of a reader that was put off */
	usec_t expires;                  /* of an issue: after opening, tries end */
	usec_t letter_expires;           /* of a letter */
	struct settings_backoff breaker; /* of a relay in trouble */
};

struct settings_window {
	int size;         /* readers at most */
	usec_t length;    /* sending that it should hold, at the present pace */
	int per_provider; /* fresh ones open for a provider group */
	int total;        /* open in all */
};

/*
 * The time limits of liveness and sending, in one table. Tests scale all of them down together by
 * `timing.scale` (already done here); their order is checked: look < look_max < beat < stop_after,
 * stop_after + relay_tcp < dead < orphan_after, dot < orphan_after <= journal_keep.
 */
struct settings_timing {
	int scale;           /* what all others were divided by; 1 in production */
	usec_t beat;         /* a session says that it lives */
	usec_t dead;         /* a beat that stood still so long means a dead session */
	usec_t stop_after;   /* after its last beat that succeeded the owner stops sending */
	usec_t orphan_after; /* windows of a dead engine are recorded as in doubt */
	usec_t look;         /* flush and look-up of who left */
	usec_t look_max;     /* no mail starts on an older look-up */
	usec_t unstarted;    /* a reader not begun so long goes back as a deferral */
	usec_t new_timeline; /* wait for the other engines' journals after a fail-over */
	usec_t journal_keep;
	usec_t plan;          /* between two turns of the planner */
	usec_t drain;         /* at SIGTERM: for what is on the wire */
	usec_t relay_connect; /* until logged in */
	usec_t relay_reply;   /* EHLO, MAIL, RCPT, RSET (RFC 5321, 4.5.3.2) */
	usec_t relay_data;    /* DATA until 354 */
	usec_t relay_block;   /* a write that doesn't move */
	usec_t relay_dot;     /* final dot until its reply */
	usec_t relay_idle;    /* an unused connection is kept */
	usec_t relay_tcp;     /* TCP_USER_TIMEOUT towards relays */
};

struct settings_feeds {
	usec_t poll_interval; /* of a feed that names none of its own */
	usec_t timeout;       /* of one fetch, whole */
	uint64_t max_size;    /* of one answer, unpacked */
	int connections;      /* fetches at a time */
	int redirects;
	int flood; /* new articles in one poll that hold the edition; 0: never */
	const char *user_agent;
};

struct settings_web {
	const char *listen; /* "unix:PATH", "ADDRESS:PORT" or "systemd" */
	const char
	    *base_url; /* where readers reach it, no slash at its end; lists may name others */
	struct config_strings
	    trusted_proxies; /* addresses or networks whose X-Forwarded-For holds */
	int connections;
	usec_t timeout;        /* of one request, whole */
	uint64_t max_request;  /* body */
	int joins_per_client;  /* sign-ups in `joins_span` from one address (IPv6: /64) */
	int joins_per_network; /* from one /24 or /48 */
	int joins_total;       /* in all */
	usec_t joins_span;
};

struct settings_letters {
	usec_t confirm_expires; /* the link of a confirm letter */
};

struct settings {
	const char *state_dir;     /* the engine's identity and journal */
	const char *templates_dir; /* files here go before the embedded ones; "": none do */
	enum log_level log_level;
	struct settings_database database;
	struct settings_relays relays;
	struct settings_retry retry;
	struct settings_window window;
	struct settings_timing timing;
	struct settings_feeds feeds;
	struct settings_web web;
	struct settings_letters letters;
	struct config memory;
	const char *path; /* what it was read from, and for whom */
	enum settings_program program;
};

/* The file to read: `given` (--config) or else $DIGESTD_CONFIG or else SETTINGS_PATH. */
const char *settings_path(const char *given);

/*
 * Loads the file for one program. 0: *ret is to be freed with settings_free(); the report may hold
 * warnings. -EINVAL: the report tells every mistake. -ENOMEM.
 */
int settings_load(const char *path, enum settings_program program, struct settings **ret,
		  struct report *report);
void settings_free(struct settings *s);
DEFINE_CLEANUP(struct settings *, settings_free);
#define _cleanup_settings_ _cleanup_(settings_freep)

/* The login of that program. */
const struct settings_login *settings_login(const struct settings *s,
					    enum settings_program program);

/* After a reload: a warning in the log for each setting that changed but needs a restart. */
void settings_log_fixed(const struct settings *old, const struct settings *new);

/*
 * --check-config of all three: tells every mistake on standard error, or "PATH: correct" on
 * standard output. Returns the exit status, 0 or 1.
 */
int settings_check_main(const char *path, enum settings_program program);

extern const struct config_group settings_schema;
