/*
 * The text part of an article: clean HTML (see html_clean()) as text that reads well by itself.
 * Links get numbers, "[1]", and a list of their addresses at the end; list items get bullets or
 * numbers, quotations "> ", headings a line below; pictures are their alt text in brackets; a small
 * table stands in columns, a wide one as "heading: value" lines; pre is kept as it is.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum { TOTEXT_WIDTH = 72 }; /* columns that text mails are wrapped at */

/*
 * Appends the text, wrapped at `width` columns (display width: CJK counts two), lines end in LF.
 * A word that is longer, such as an address, stands beyond. -ENOMEM or the buffer's limit.
 */
int html_to_text(struct str html, unsigned width, struct buf *out);
