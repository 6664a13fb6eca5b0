/*
 * The invariants of the store: one statement of sql/queries/check.sql each, in words, with what an
 * operator can do when it is broken. As everywhere in ctl/, functions return an exit status and
 * have told the reason when it isn't CTL_OK.
 */
#pragma once

#include <jansson.h>

#include "ctl/ctl.h"

enum { CHECK_SHOWN = 20 }; /* rows that people are shown of what is broken, without --all */

enum check_params { CHECK_ISSUE = 1, CHECK_NOW = 2 }; /* of its statement, in this order */

struct check {
	const char *name;
	const char *words; /* what holds */
	const char *sql;
	const char *rows; /* what it looks at: a column of check_sizes */
	unsigned params;
	bool told_only; /* what it finds is told, and breaks nothing */
	const char *remedy;
};

extern const struct check checks[]; /* ends with a NULL name */

/* How many rows of each kind there are, of an issue (0: of all): a row of check_sizes. */
int check_sizes(struct ctl *ctl, int64_t issue, json_t **ret);

/*
 * Asks for one invariant: {"name", "invariant", "holds", "looked_at", "rows", "broken", "told",
 * "remedy"}, where "told" are `most` of the rows that break it at most (0: all of them).
 */
int check_run(struct ctl *ctl, const struct check *check, int64_t issue, const json_t *sizes,
	      int64_t most, json_t **ret);

/* A line for people: "held", what it is about, and what holds; wrapped where somebody looks. */
void check_line(const char *state, const char *name, const struct buf *words);

/* One invariant for people: a line, and what breaks it. */
int check_show(const json_t *result);
