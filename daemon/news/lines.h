/*
 * Lays text out in lines of a text mail: wrapped at a width of columns, behind the marks of the
 * quotations and list items that it stands in, with blank lines where they are due, and no space
 * at a line's end. Right-to-left text stays in logical order, as mail readers want it.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

enum { LINES_LEVELS = 16, LINES_NARROWEST = 20 };

struct lines_level {
	char first[24]; /* before its first line: "- " */
	char rest[24];  /* before the others: "  " */
	bool begun;
};

struct lines {
	struct buf *out; /* the caller's */
	size_t start;
	unsigned width;
	struct lines_level levels[LINES_LEVELS];
	unsigned depth; /* may exceed LINES_LEVELS; those beyond have no marks */
	bool gap;       /* a blank line is due */
	unsigned gap_depth;
};

void lines_begin(struct lines *l, struct buf *out, unsigned width);
void lines_push(struct lines *l, const char *first, const char *rest);
void lines_pop(struct lines *l);

void lines_gap(struct lines *l);            /* a blank line before what comes next */
void lines_close_gap(struct lines *l);      /* none after all */
bool lines_item_begins(struct lines *l);    /* the innermost item has no line yet */
unsigned lines_room(const struct lines *l); /* columns that a line has */

void lines_add(struct lines *l, struct str line); /* one line as it is */
/* Text that may hold newlines, wrapped; returns the width of its longest line. */
unsigned lines_wrap(struct lines *l, struct str text);
