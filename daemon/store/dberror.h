/*
 * What PostgreSQL says when something fails: SQLSTATE, message, detail, hint, and the constraint
 * that was hurt. `detail` may hold a reader's data ("Key (email)=(...) already exists"): it is for
 * the operator's terminal, not for the log. When the connection failed, sqlstate is empty and the
 * message is libpq's.
 */
#pragma once

#include <stdbool.h>

#include "base/why.h"

struct pg_result;
struct pg_conn; /* libpq's PGconn */

struct db_error {
	char sqlstate[6];
	bool fatal; /* the server ended the session with it */
	char message[384];
	char detail[256];
	char hint[256];
	char constraint[64];
};

void db_error_of_result(struct db_error *e, const struct pg_result *res);
void db_error_of_connection(struct db_error *e, const struct pg_conn *conn);
void db_error_text(struct db_error *e, const char *message); /* neither: our own words */

bool db_error_is(const struct db_error *e, const char *sqlstate);
bool db_error_in_class(const struct db_error *e, const char *two_digits);
bool db_error_is_passing(const struct db_error *e); /* 40001, 40P01: the same may go well again */

/* "MESSAGE (SQLSTATE); DETAIL; hint: HINT" into *why; returns err. */
int db_error_why(const struct db_error *e, struct why *why, int err);
