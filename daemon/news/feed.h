/*
 * A feed's bytes become articles: RSS 0.9x, 1.0 (RDF) and 2.0, Atom 0.3 and 1.0, JSON Feed 1.0 and
 * 1.1, in any encoding that iconv knows, well-formed or slightly broken. Nothing is fetched, no
 * external entity is read, and what a feed can make of a byte is bounded.
 *
 * Everything lives in the caller's arena. All text is valid UTF-8 without control characters (not
 * yet NFC); all addresses are absolute http or https, or NULL. HTML is as found: whoever stores it
 * passes it through the allow-list first. A string that the feed doesn't give is NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/why.h"
#include "news/feed_text.h"

enum {
	FEED_MAX_ARTICLES = 10000, /* of one reading; feed.left_out counts the rest */
	FEED_MAX_TOPICS = 50,      /* of one article or feed */
	FEED_MAX_TITLE = 1000,     /* bytes of a title, a name, a topic */
	FEED_MAX_GUID = 1000,      /* bytes; a longer one is replaced by its hash */
};

struct feed_text {
	char *text;
	enum feed_kind kind; /* FEED_XHTML is read as FEED_HTML is */
	char *base;          /* what relative links in it are relative to, or NULL */
};

struct feed_person {
	char *name, *email, *url;
};

struct feed_people {
	struct feed_person *list;
	size_t n;
};

struct feed_topics {
	char **list;
	size_t n;
};

struct feed_image {
	char *url, *alt;
	int width; /* pixels, 0 when not told */
};

struct feed_file { /* an enclosure or attachment */
	char *url, *type;
	unsigned long long length; /* bytes as told; 0 when not */
};

struct feed_article {
	char *guid;        /* never NULL: guid or id, else link, else SHA-256 of title and date */
	bool is_permalink; /* the guid is an address of the article */
	char *url;
	char *title;  /* plain text, one line */
	char *author; /* names, comma between; plain text */
	struct feed_people authors;
	struct feed_text summary;
	struct feed_text body;
	struct feed_image image;
	struct feed_file *files;
	size_t n_files;
	usec_t published, updated; /* UTC; 0: not told, or no date */
	struct feed_topics topics;
	char *lang; /* a language tag as found: the article's own, else the feed's */
};

struct feed {
	const char *format; /* "rss090", "rss20", "rss10", "atom03", "atom10", "json1", ... */
	char *charset;      /* the encoding it was read in */
	char *title;
	char *url;      /* of the site */
	char *self_url; /* of the feed, as it says itself */
	struct feed_text subtitle;
	char *author;
	struct feed_people authors;
	struct feed_image image;
	struct feed_topics topics;
	char *lang;
	usec_t published, updated;
	usec_t ttl;                    /* how long it asks not to be polled again; 0: not told */
	struct feed_article *articles; /* in the feed's order, no guid twice */
	size_t n;
	size_t left_out; /* articles beyond FEED_MAX_ARTICLES */
	bool repaired;   /* it was not well-formed */
};

/*
 * content_type is the HTTP header's value or NULL; base_url is where the feed was fetched from, or
 * NULL. -EBADMSG: it is no feed, or broken beyond reading; -E2BIG: it goes beyond a bound;
 * -ENOMEM.
 */
int feed_parse(struct arena *a, struct str bytes, const char *content_type, const char *base_url,
	       struct feed **ret, struct why *why);
