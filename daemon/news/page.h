/*
 * An article from a web page. What the page says of itself counts in this order: JSON-LD (of type
 * Article, NewsArticle, BlogPosting ..., also within @graph), OpenGraph and article:*, twitter:*,
 * then plain HTML: <title>, <meta name=...>, <link rel=canonical>, <html lang>.
 *
 * Its main text is, in this order: JSON-LD's articleBody when it has PAGE_BODY characters; what is
 * marked itemprop=articleBody; the <article> with most text in paragraphs; <main>; else the
 * element whose own paragraphs hold most text outside of links (the densest block); else, when it
 * has no paragraphs, the whole body. Of these navigation, asides, footers, forms, and what by its
 * class or id is for sharing, comments, related pieces or newsletters is left out.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"
#include "base/why.h"
#include "news/article.h"

enum { PAGE_BODY = 250 }; /* characters that make a text the main one */

/*
 * Fills in what is found; the article still has to be settled. content_type is the HTTP header's
 * value or NULL; address is where the page came from, or NULL: it is its own (a file), and then
 * nothing is left out of its text. -EINVAL: no text in it; -EFBIG, -ENOMEM.
 */
int page_read(struct arena *arena, struct str bytes, const char *content_type, const char *address,
	      struct article *ret, struct why *why);
