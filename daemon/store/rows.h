/*
 * What a statement gave back: rows of columns, both counted from 0. Results belong to whoever got
 * them; a result that a callback is given, and each text of it, is valid until the callback
 * returns. A value that can't be read as asked for is a fault of the statement: it is logged, and
 * read as 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

struct pg_result; /* libpq's PGresult */

int db_rows(const struct pg_result *res);
int db_columns(const struct pg_result *res);
int db_column(const struct pg_result *res, const char *name); /* -1: there is none */
int64_t db_affected(const struct pg_result *res); /* rows inserted, updated, copied ... */

bool db_is_null(const struct pg_result *res, int row, int column);
const char *db_text(const struct pg_result *res, int row, int column); /* NULL for NULL */
struct str db_str(const struct pg_result *res, int row, int column);   /* empty for NULL */
int64_t db_int64(const struct pg_result *res, int row, int column);    /* NULL is 0 */
int db_int(const struct pg_result *res, int row, int column);          /* beyond int: 0, logged */
bool db_bool(const struct pg_result *res, int row, int column);
double db_double(const struct pg_result *res, int row, int column);
usec_t db_usec(const struct pg_result *res, int row, int column); /* timestamptz */

/* Arrays and bytea are read into an arena; NULL is empty. 0, -EINVAL or -ENOMEM. */
int db_int64s(const struct pg_result *res, int row, int column, struct arena *arena, int64_t **ret,
	      size_t *ret_count);
int db_texts(const struct pg_result *res, int row, int column, struct arena *arena,
	     struct str **ret, size_t *ret_count); /* an element that is NULL has .p == NULL */
int db_bytes(const struct pg_result *res, int row, int column, struct arena *arena,
	     struct str *ret);

void db_result_free(struct pg_result *res);

DEFINE_CLEANUP(struct pg_result *, db_result_free);
#define _cleanup_result_ _cleanup_(db_result_freep)
