/*
 * An article: what a digest is made of, wherever it came from. It is made in two steps.
 * What reads a feed, a page or a file fills in what it found; article_settle() then does to it what
 * all articles need before they are stored. Everything lives in the caller's arena.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/why.h"
#include "news/drop.h"

enum {
	ARTICLE_TITLE = 500,   /* characters that are kept of a title */
	ARTICLE_SUMMARY = 300, /* of a summary */
	ARTICLE_NAME = 200,    /* of an author, a topic, an alt text (twice as many) */
	ARTICLE_TOPICS = 50,
};

/* Before article_settle(): what was found, NULL where nothing was. After: as told here. */
struct article {
	char *guid;      /* never "": given, else the address, else "title:" and its SHA-256 */
	char *url;       /* absolute http(s), or "" */
	char *title;     /* one line; without one the first words of the text, or of a picture */
	char *author;    /* one line, or "" */
	char *summary;   /* one line of at most ARTICLE_SUMMARY characters */
	char *body_html; /* before: any HTML; after: clean, without the picture of `image` */
	char *body_text; /* made from it, see html_to_text() */
	char *image;     /* absolute http(s), or "" */
	char *image_alt;
	char *lang;    /* a language tag, or "" */
	char *dir;     /* "ltr" or "rtl" */
	char **topics; /* one line each, no two the same but for case */
	size_t n_topics;
	usec_t published; /* 0: not told */
	const char *base; /* what relative addresses in body_html are relative to, or NULL */
};

/*
 * Text becomes valid UTF-8 in NFC without control characters, HTML passes the allow-list, lines
 * that match `drop` (or NULL) go. A heading at the top of the body that repeats the title goes;
 * the picture is the body's first large one when none was given, and stands only once; the
 * summary is taken from the body's paragraphs when there is none. Direction is that of `dir`,
 * else of the language, else of the first letters of title and text; but where both title and
 * text begin from right to left, that counts more than a language that a feed may claim for all.
 * -EINVAL: nothing to read in it; -EFBIG, -ENOMEM.
 */
int article_settle(struct arena *arena, struct article *a, const struct drop *drop,
		   struct why *why);

/* For the first step: moves what was gathered into the arena. -EFBIG, -ENOMEM. */
int article_keep(struct arena *arena, const struct buf *from, char **ret, struct why *why);

int article_no_memory(struct why *why); /* -ENOMEM */

struct feed_article;

/*
 * A feed's article, not yet settled (fromfeed.c). A summary without a body is the body too.
 * -EINVAL, -EFBIG: its summary is HTML that html_clean() refuses; -ENOMEM.
 */
int article_from_feed(struct arena *arena, const struct feed_article *found, struct article *ret,
		      struct why *why);

enum article_kind { ARTICLE_GUESS, ARTICLE_MARKDOWN, ARTICLE_HTML, ARTICLE_TEXT };

/*
 * A hand-made article, not yet settled. The kind, when it is to be guessed, is that of the file
 * name's end (name may be NULL), else of the contents.
 *
 * Markdown (CommonMark) may have front matter: title, author(s), url, date, image, image_alt,
 * summary or description, topics or tags, lang, dir, id; other keys are passed over. Its title is
 * else its first heading. HTML is read as a page is, see page_read(). Of plain text the first line
 * is the title. Without `lang` the language is guessed where the script tells it.
 */
int article_read(struct arena *arena, struct str bytes, const char *name, enum article_kind kind,
		 struct article *ret, struct why *why);

enum article_kind article_guess(struct str text, const char *name);
