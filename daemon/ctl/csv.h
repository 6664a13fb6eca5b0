/*
 * CSV as people's programs write it, by RFC 4180: fields in quotes, "" within them, line ends
 * within them, CRLF or LF, a byte order mark at the beginning; commas, semicolons or tabs between
 * the fields, whichever the header has. Empty lines are passed over.
 *
 * Records come one at a time in memory that is used again for the next.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/why.h"

enum { CSV_FIELDS = 200, CSV_LONGEST = 1 << 20 };

struct csv {
	FILE *in; /* the caller's */
	char mark;
	long line; /* on which the record begins, from 1 */
	long next_line;
	size_t bytes; /* taken so far, for progress */
	size_t count;
	struct str fields[CSV_FIELDS]; /* until the next csv_next() */
	struct buf text;
	size_t ends[CSV_FIELDS];
};

/* The header's fields. 1: there; 0: the file is empty; -errno as csv_next(). */
int csv_begin(struct csv *c, FILE *in, struct why *why);

/*
 * 1: a record. 0: the end. -EBADMSG: this record is broken and was passed over, go on. -EINVAL: a
 * quote is never closed, so nobody knows what the rest is. -EIO and such; -ENOMEM.
 */
int csv_next(struct csv *c, struct why *why);
void csv_free(struct csv *c);

#define _cleanup_csv_ _cleanup_(csv_free)

/* Appends a field to a line of CSV, quoted where it has to be; a comma precedes all but the first.
 */
void csv_put(struct buf *out, bool first, struct str field);
