/*
 * Reads HTML in the form in which html_clean() writes it, one piece at a time, without allocating.
 * Anything else that it is given is read as well as may be, never beyond its end.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "news/tags.h"

enum markup_kind { MARKUP_OPEN, MARKUP_CLOSE, MARKUP_TEXT };

struct markup {
	enum markup_kind kind;
	enum tag tag;          /* of OPEN and CLOSE */
	struct str attributes; /* of OPEN, as written */
	struct str text;       /* of TEXT, still escaped */
	struct str whole;      /* all of it, as written */
};

/* Takes the next piece off *html; false at the end. */
bool markup_next(struct str *html, struct markup *ret);

/* The value of an attribute, still escaped; false when there is none. */
bool markup_attribute(struct str attributes, const char *name, struct str *ret);

/* Whether the tag parts what precedes from what follows: a block, a break, a rule. */
bool markup_parts(enum tag tag);

/* Escaped text as plain text. */
int markup_unescape(struct str text, struct buf *out);

/* The whole text of clean HTML on one line: blocks and breaks are a space apart. */
int markup_text(struct str html, struct buf *out);

/*
 * The first picture that can stand for an article (smaller than 100 pixels either way, and
 * smileys, can't): its address and alt text in the arena, NULL when there is none.
 */
int markup_first_image(struct arena *arena, struct str html, char **ret_src, char **ret_alt);

/* Appends the HTML without the first picture whose address is src. */
int markup_without_image(struct str html, const char *src, struct buf *out);
