/*
 * The parameters $1, $2 ... of a statement, in the order in which they are added:
 *
 *	_cleanup_params_ struct db_params p = {0};
 *	params_int64(&p, issue);
 *	params_text(&p, name);
 *	db_tx_query(tx, sql_issue_find, &p, on_issue, self);
 *
 * Values are copied. Whoever runs the statement takes the parameters over and leaves `p` empty, so
 * it can be filled again. The types are the statement's own affair: write `$1::bigint[]` where
 * PostgreSQL couldn't guess. Errors stick (-ENOMEM, -E2BIG past DB_PARAMS) and are told by
 * whoever takes the parameters over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

enum { DB_PARAMS = 48 };

struct db_params {
	struct arena arena;
	int count;
	int err;
	const char *values[DB_PARAMS];
	int lengths[DB_PARAMS];
	int formats[DB_PARAMS]; /* 1: binary */
};

void params_null(struct db_params *p);
void params_text(struct db_params *p, const char *text); /* NULL becomes NULL; json too */
void params_str(struct db_params *p, struct str s);      /* must hold no NUL byte */
void params_int64(struct db_params *p, int64_t value);   /* any integer type */
void params_bool(struct db_params *p, bool value);
void params_usec(struct db_params *p, usec_t moment);                /* timestamptz */
void params_bytes(struct db_params *p, const void *bytes, size_t n); /* bytea */
void params_int64s(struct db_params *p, const int64_t *values, size_t count);
void params_texts(struct db_params *p, const struct str *values, size_t count);

/* Hands the parameters over: *from is empty afterwards. from may be NULL. */
struct db_params params_take(struct db_params *from);
void params_free(struct db_params *p);

#define _cleanup_params_ _cleanup_(params_free)
