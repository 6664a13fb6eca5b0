/*
 * Writes HTML in the one form in which articles are stored. Whatever order the events come in, the
 * output is balanced and follows a small grammar:
 *
 *   - text stands in blocks; at the top, in a quotation and in a div it gets a paragraph;
 *   - inline elements hold no blocks: they are closed before one and opened again within;
 *   - lists hold only items, tables only rows of cells, and missing ones are put in;
 *   - white space is one space, or none at a block's ends (pre keeps its own);
 *   - elements without contents aren't written, but for table cells;
 *   - text is NFC, each text by itself: a combining stroke after '>' must not change the tag.
 *
 * So reading the output again gives the same output. The caller (html.c) turns a parser's events
 * into these calls; `level` is how deep its parser is, and elements opened at a level end with
 * htmlwrite_end(level). Attributes come as text, escaped by htmlwrite_attribute().
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "news/tags.h"

enum { HTMLWRITE_BLOCKS = 64, HTMLWRITE_INLINES = 12 }; /* deeper ones are transparent */

struct htmlwrite_inline {
	enum tag tag;
	const char *attributes;
};

struct htmlwrite_block {
	enum tag tag;
	bool implied; /* put in by the grammar */
	bool written; /* its start tag is in the output */
	unsigned level;
	const char *attributes;
};

struct htmlwrite {
	struct buf *out; /* the caller's */
	struct arena arena;
	size_t start; /* of the output in `out` */

	struct htmlwrite_block blocks[HTMLWRITE_BLOCKS + 8]; /* [0] is the article */
	unsigned depth;                                      /* of the innermost */

	const struct htmlwrite_inline *active[HTMLWRITE_INLINES]; /* in force for new text */
	unsigned active_level[HTMLWRITE_INLINES];
	unsigned active_count;
	const struct htmlwrite_inline *opened[HTMLWRITE_INLINES]; /* open in the output */
	unsigned opened_count;

	struct buf text; /* not yet written, with the elements that it stands in */
	const struct htmlwrite_inline *text_inlines[HTMLWRITE_INLINES];
	unsigned text_count;

	bool has_inline;      /* the last thing in the written block is no block */
	bool space;           /* a space is due before the next text */
	unsigned breaks;      /* so are line breaks */
	struct buf pre_space; /* in pre: white space that is due */
};

void htmlwrite_begin(struct htmlwrite *w, struct buf *out);
int htmlwrite_finish(struct htmlwrite *w); /* ends everything; the first error, or 0 */
void htmlwrite_free(struct htmlwrite *w);

void htmlwrite_block(struct htmlwrite *w, enum tag tag, const char *attributes, unsigned level);
void htmlwrite_inline(struct htmlwrite *w, enum tag tag, const char *attributes, unsigned level);
void htmlwrite_end(struct htmlwrite *w, unsigned level);
void htmlwrite_boundary(struct htmlwrite *w); /* what follows stands apart from what precedes */
void htmlwrite_text(struct htmlwrite *w, struct str text);
void htmlwrite_break(struct htmlwrite *w);
void htmlwrite_rule(struct htmlwrite *w);
void htmlwrite_image(struct htmlwrite *w, const char *attributes);
bool htmlwrite_within(const struct htmlwrite *w, enum tag tag); /* of the inline elements */

/* ` name="value"`, escaped; the value becomes one clean line. */
int htmlwrite_attribute(struct buf *out, const char *name, struct str value);
/* Text with & < > (and " in attributes) escaped. */
int htmlwrite_escape(struct buf *out, struct str text, bool attribute);
