/*
 * A table of a text mail: in columns where they fit, else one "heading: value" line a cell. Tables
 * that only lay out a page (one column, or blocks within their cells) aren't for it.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "news/lines.h"
#include "news/markup.h"

enum { TEXTTABLE_COLUMNS = 10, TEXTTABLE_ROWS = 500 };

struct texttable {
	struct arena *arena; /* the caller's; holds the cells */
	struct str cells[TEXTTABLE_ROWS][TEXTTABLE_COLUMNS];
	unsigned rows;
	unsigned columns;
	bool headed; /* the first row is headings */
	struct str caption;
};

/* Whether the table that begins behind the <table> tag is such a one. */
bool texttable_is_small(struct str html);

/*
 * Reads the table from behind <table> to behind </table>. `piece` is called for everything within
 * a cell and gathers its text in *text, which is taken and emptied here at the cell's end.
 */
int texttable_read(struct texttable *table, struct str *html,
		   void (*piece)(void *context, struct markup piece), void *context,
		   struct buf *text);

int texttable_write(const struct texttable *table, struct lines *lines);
