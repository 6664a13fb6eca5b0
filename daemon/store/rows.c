#include "store/rows.h"

#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/pgtext.h"

int db_rows(const struct pg_result *res)
{
	return PQntuples(res);
}

int db_columns(const struct pg_result *res)
{
	return PQnfields(res);
}

int db_column(const struct pg_result *res, const char *name)
{
	return PQfnumber(res, name);
}

int64_t db_affected(const struct pg_result *res)
{
	return strtoll(PQcmdTuples((PGresult *)res), NULL, 10);
}

bool db_is_null(const struct pg_result *res, int row, int column)
{
	return PQgetisnull(res, row, column);
}

const char *db_text(const struct pg_result *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

struct str db_str(const struct pg_result *res, int row, int column)
{
	if (PQgetisnull(res, row, column))
		return (struct str){"", 0};
	return (struct str){PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column)};
}

static void complain(const struct pg_result *res, int column, const char *wanted)
{
	const char *name = PQfname(res, column);
	log_error("statement result: column %d (%s) is not %s", column, name ? name : "absent",
		  wanted);
}

int64_t db_int64(const struct pg_result *res, int row, int column)
{
	const char *text = db_text(res, row, column);
	if (!text)
		return 0;
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end || errno) {
		complain(res, column, "an integer");
		return 0;
	}
	return value;
}

int db_int(const struct pg_result *res, int row, int column)
{
	int64_t value = db_int64(res, row, column);
	if (value < INT_MIN || value > INT_MAX) {
		complain(res, column, "a small integer");
		return 0;
	}
	return (int)value;
}

bool db_bool(const struct pg_result *res, int row, int column)
{
	const char *text = db_text(res, row, column);
	if (text && strcmp(text, "t") != 0 && strcmp(text, "f") != 0)
		complain(res, column, "a boolean");
	return text && *text == 't';
}

double db_double(const struct pg_result *res, int row, int column)
{
	const char *text = db_text(res, row, column);
	char *end;
	if (!text)
		return 0;
	double value = strtod(text, &end);
	if (end == text || *end) {
		complain(res, column, "a number");
		return 0;
	}
	return value;
}

usec_t db_usec(const struct pg_result *res, int row, int column)
{
	const char *text = db_text(res, row, column);
	usec_t moment = 0;
	if (text && pgtext_read_usec(text, &moment) < 0)
		complain(res, column, "a moment in DateStyle ISO");
	return moment;
}

int db_texts(const struct pg_result *res, int row, int column, struct arena *arena,
	     struct str **ret, size_t *ret_count)
{
	if (db_is_null(res, row, column)) {
		*ret = NULL;
		*ret_count = 0;
		return 0;
	}
	return pgtext_read_array(db_str(res, row, column), arena, ret, ret_count);
}

int db_int64s(const struct pg_result *res, int row, int column, struct arena *arena, int64_t **ret,
	      size_t *ret_count)
{
	struct str *texts;
	size_t count;
	int r = db_texts(res, row, column, arena, &texts, &count);
	if (r < 0)
		return r;
	int64_t *list = arena_array(arena, count ? count : 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		char *end;
		errno = 0;
		list[i] = texts[i].n ? strtoll(texts[i].p, &end, 10) : 0;
		if (texts[i].n == 0 || *end || errno)
			return -EINVAL;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

int db_bytes(const struct pg_result *res, int row, int column, struct arena *arena, struct str *ret)
{
	if (db_is_null(res, row, column)) {
		*ret = (struct str){"", 0};
		return 0;
	}
	return pgtext_read_hex(db_str(res, row, column), arena, ret);
}

void db_result_free(struct pg_result *res)
{
	PQclear(res);
}
