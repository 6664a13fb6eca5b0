#include "store/dberror.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

/* Copies a text as one line, cut with "..." when too long; NULL becomes "". */
static void set(char *to, size_t room, const char *text)
{
	int n = snprintf(to, room, "%s", text ? text : "");
	if (n >= (int)room)
		memcpy(to + room - 4, "...", 4);
	size_t len = strlen(to);
	while (len > 0 && (to[len - 1] == '\n' || to[len - 1] == ' '))
		to[--len] = '\0';
	for (char *c = to; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
}

void db_error_of_result(struct db_error *e, const struct pg_result *res)
{
	*e = (struct db_error){0};
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	snprintf(e->sqlstate, sizeof(e->sqlstate), "%s", state ? state : "");
	e->fatal = severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
	set(e->message, sizeof(e->message), message ? message : PQresultErrorMessage(res));
	set(e->detail, sizeof(e->detail), PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL));
	set(e->hint, sizeof(e->hint), PQresultErrorField(res, PG_DIAG_MESSAGE_HINT));
	set(e->constraint, sizeof(e->constraint), PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME));
}

void db_error_text(struct db_error *e, const char *message)
{
	*e = (struct db_error){0};
	set(e->message, sizeof(e->message), message);
}

void db_error_of_connection(struct db_error *e, const struct pg_conn *conn)
{
	db_error_text(e, conn ? PQerrorMessage(conn) : "no memory for a connection");
}

bool db_error_is(const struct db_error *e, const char *sqlstate)
{
	return strcmp(e->sqlstate, sqlstate) == 0;
}

bool db_error_in_class(const struct db_error *e, const char *two_digits)
{
	return strncmp(e->sqlstate, two_digits, 2) == 0;
}

bool db_error_is_passing(const struct db_error *e)
{
	return db_error_is(e, "40001") || db_error_is(e, "40P01");
}

int db_error_why(const struct db_error *e, struct why *why, int err)
{
	return why_set(why, err, "%s%s%s%s%s%s%s%s", e->message, e->sqlstate[0] ? " (" : "",
		       e->sqlstate, e->sqlstate[0] ? ")" : "", e->detail[0] ? "; " : "", e->detail,
		       e->hint[0] ? "; hint: " : "", e->hint);
}
