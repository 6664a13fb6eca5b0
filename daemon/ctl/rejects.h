/*
 * Who an import leaves out, and why: counted by reason; the first ones kept to be shown; all of
 * them written to a file (CSV: line, email, reason, detail) when one was asked for.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/str.h"

enum reject_reason {
	REJECT_INVALID, /* the row is wrong; the detail says how */
	REJECT_DUPLICATE,
	REJECT_UNSUBSCRIBED,
	REJECT_SUPPRESSED,
	REJECT_REASONS,
};

enum { REJECTS_SHOWN = 20 };

struct reject {
	int64_t line;
	const char *email;
	enum reject_reason reason;
	const char *detail;
};

struct rejects {
	struct arena arena;
	int64_t counts[REJECT_REASONS];
	int64_t total;
	struct reject first[REJECTS_SHOWN];
	FILE *file; /* or NULL; the caller's */
};

/* 0, -EIO: the file can't be written; -ENOMEM. */
int rejects_add(struct rejects *r, int64_t line, struct str email, enum reject_reason reason,
		const char *detail);
/* NULL: no memory. */
json_t *rejects_counts(const struct rejects *r); /* {"invalid": 3, ...} */
json_t *rejects_json(const struct rejects *r);   /* the first ones */
void rejects_print(const struct rejects *r);     /* for people */
void rejects_free(struct rejects *r);
