/*
 * What digestctl prints: JSON values (jansson), shown to people as an aligned table or as lines of
 * "title: value" by a description of their columns, or as JSON when that was asked for. So both
 * always hold the same.
 *
 * Keys are stable. Moments are "2026-03-29T01:00:00Z" in JSON and local time for people. A column
 * with `shown` has another key's text shown to people in its place.
 *
 * The output_ functions that print return an exit status, and take the value over; NULL is taken
 * for a lack of memory, so that a value may be built without looking at each step.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/str.h"
#include "ctl/ctl.h"

enum output_kind {
	OUTPUT_TEXT,
	OUTPUT_INT,
	OUTPUT_REAL,
	OUTPUT_BOOL,
	OUTPUT_TIME,  /* a timestamptz; infinity is null */
	OUTPUT_TEXTS, /* a text[] */
	OUTPUT_JSON,  /* a json or jsonb as it is */
};

struct output_column {
	const char *key;   /* in JSON; of a result: the column's name */
	const char *title; /* for people; NULL: not for them */
	enum output_kind kind;
	const char *shown; /* key of what people see instead */
};

/* A statement's rows as an array of objects, one row as an object. NULL: no memory. */
json_t *output_rows(const struct pg_result *res, const struct output_column *columns);
json_t *output_row(const struct pg_result *res, int row, const struct output_column *columns);

/* A moment, and the infinities (0, UINT64_MAX) as null. */
json_t *output_time(usec_t moment);

/* An array of objects as a table; `none` is what people read when it is empty. */
int output_table(const struct ctl *ctl, const struct output_column *columns, json_t *rows,
		 const char *none);

/* One object, a line for each column. */
int output_record(const struct ctl *ctl, const struct output_column *columns, json_t *object);

/* What was done: a sentence for people, the object for programs. */
int output_done(const struct ctl *ctl, json_t *object, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One value as people read it, appended. */
void output_value(const json_t *value, enum output_kind kind, struct buf *out);

/*
 * Prints text from column `indent` on, where the cursor is: on a terminal broken at blanks, its
 * next lines indented too; else as one line.
 */
void output_wrapped(unsigned indent, struct str text);
