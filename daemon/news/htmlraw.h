/*
 * The first pass over foreign HTML, before libxml2's parser sees it: what HTML calls raw text
 * (script, style, title, textarea ...) goes with its contents, comments, declarations and
 * processing instructions go, CDATA sections become text. libxml2 knows these rules only in part,
 * and its time grows with the square of a tag's attributes, so these are counted here.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/why.h"

enum { HTML_ATTRIBUTES = 500 }; /* that one tag may have */

/* -EINVAL with why: a tag with too many attributes. Else memory. */
int htmlraw_strip(struct str in, struct buf *out, struct why *why);
