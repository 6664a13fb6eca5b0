/*
 * Takes a source's furniture out of its articles: paragraphs that match one of its patterns, such
 * as "Sign up for regular updates*". A pattern is matched against the whole of a line: the text of
 * a paragraph, heading, list item, cell or caption, or of a part of one between line breaks, on one
 * line and trimmed. `*` stands for any text, `?` for one character, a backslash takes the next
 * literally; case doesn't matter. (Square brackets stand for themselves: titles have them.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

struct drop {
	const char *const *patterns;
	size_t n;
};

bool drop_matches(const struct drop *drop, struct str line);

/*
 * Appends clean HTML without the lines that match. Elements that are left empty are still there:
 * html_clean() takes them away. *ret_count (may be NULL): how many lines went.
 */
int drop_lines(const struct drop *drop, struct str html, struct buf *out, size_t *ret_count);
