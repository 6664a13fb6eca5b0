/*
 * HTML from feeds and pages, made safe to be stored and mailed. An allow-list decides (tags.c):
 * headings, paragraphs, lists, quotations, tables, figures, preformatted text, the usual inline
 * elements, links to http, https and mailto, pictures from http and https, dir and lang. All else
 * loses its tags, or goes with its contents (scripts, styles, form controls, svg, math ...); a
 * video, an embedded page or object becomes a link to its address. No other attribute survives.
 *
 * libxml2 parses (no network, no external entities); we write, so that the output is balanced,
 * escaped and valid whatever came in, and html_clean() of its own output changes nothing.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/why.h"

enum {
	HTML_LARGEST = 8 << 20, /* bytes that html_clean() takes */
	HTML_DEEPEST = 1000,    /* elements within one another; what comes after more is left out */
};

/*
 * Appends the clean form of `in` (UTF-8, repaired where it isn't) to out. base_url (or NULL) is
 * what relative addresses are relative to; without it links keep only their text.
 * -EFBIG: too large, or it would become so. -EINVAL: a tag of thousands of attributes. -ENOMEM.
 */
int html_clean(struct str in, const char *base_url, struct buf *out, struct why *why);

/* The text of inline HTML, say of a title, on one line. Errors as html_clean(). */
int html_to_plain(struct str html, struct buf *out, struct why *why);

/* Plain text as clean HTML would write it: escaped, NFC. For text that is no markup. */
int html_escape(struct str text, struct buf *out);
