/*
 * Plain text as HTML: paragraphs are what stands between blank lines, addresses become links.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends paragraphs of HTML that html_clean() takes. Within a paragraph, a line of 50 to 85
 * columns was wrapped by a mail program and goes on with the next; a shorter one keeps its line
 * break, a longer one is a paragraph of its own. A line that begins like a list item starts anew.
 */
int plain_to_html(struct str text, struct buf *out);

/* Takes the first line that isn't blank off the text: the title of a plain article. */
struct str plain_take_title(struct str *text);
