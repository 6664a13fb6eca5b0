/*
 * Where PostgreSQL is: a connection string (URI or key=value) read once and completed with what
 * every connection of digestd wants. What the operator wrote wins over what is added:
 * target_session_attrs=read-write (never a standby), tcp_user_timeout 10 s, keepalives,
 * client_encoding UTF8. No text made here holds the password.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/why.h"

/* How to reach a database. The texts are copied. */
struct db_config {
	const char *conninfo; /* "postgresql://engine@db1,db2/digestd" or "host=/run/x dbname=y" */
	const char *password; /* from a secret file or credential; NULL: as conninfo says */
	const char *database; /* in place of conninfo's; NULL: as conninfo says */
	const char *application; /* as pg_stat_activity shows it */
	usec_t answer_limit;     /* for each answer, then the connection is given up; 0: 60 s */
	usec_t retry_first;      /* first pause before connecting again; 0: 0.1 s */
	usec_t retry_most;       /* longest pause; 0: 5 s */
};

enum { CONNINFO_MAX = 56 };

struct conninfo {
	struct arena arena;
	int count;
	const char *keywords[CONNINFO_MAX + 1]; /* as PQconnectStartParams() takes them */
	const char *values[CONNINFO_MAX + 1];
	const char *shown; /* "user@host:port/database", for people */
};

/* -EINVAL: not a connection string; -ENOMEM. On failure nothing needs to be freed. */
int conninfo_read(const struct db_config *config, struct conninfo *ret, struct why *why);

/*
 * Moves the first of several hosts to the end. libpq goes on to the next host when one refuses,
 * but not when one takes the connection and then stays silent.
 */
void conninfo_rotate(struct conninfo *c);

bool conninfo_is_list(const struct conninfo *c); /* it names several hosts */

/* The same until that host (as PQhost() and PQport() tell it) is the last one. */
void conninfo_rotate_past(struct conninfo *c, const char *host, const char *port);

void conninfo_free(struct conninfo *c);
