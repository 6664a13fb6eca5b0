/*
 * Text as feeds carry it, mended: titles that hold HTML or entities escaped twice become plain
 * text, and characters that went through the wrong encoding are put right. All results are valid
 * UTF-8 in the arena; NULL only for a lack of memory.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum feed_kind { FEED_TEXT, FEED_HTML, FEED_XHTML };

/*
 * text_repair() (see base/text.h), but first: UTF-8 that was read as Latin-1 and written as UTF-8
 * again, which shows by its C1 codes, is read right.
 */
char *feed_text_mend(struct arena *a, struct str s);

/*
 * One line of plain text of at most `most` characters (cut with "…"), in NFC, white space folded.
 * Of FEED_HTML all tags go, of FEED_TEXT those that are common in titles and only when `loose`,
 * so that "1 < 2" and "the <blink> tag" survive; entities are decoded in either.
 */
char *feed_text_plain(struct arena *a, struct str s, enum feed_kind kind, bool loose, size_t most);

/* Whether a text of undeclared kind (an RSS description) is HTML: it holds a tag or an entity. */
bool feed_text_looks_html(struct str s);
