/*
 * What feeds and articles have in common: a table of elements, each with what is to be done for it,
 * and a rank for each field, so that the better of two sources wins in whatever order they come.
 */
#pragma once

#include "news/feed_node.h"

struct feed_ranks { /* the rank of what a field holds: 1 is best, 0 nothing yet */
	unsigned char title, url, text, body, author, image, published, updated, guid;
};

struct feed_element {
	unsigned vocabularies; /* bits of enum feed_ns */
	const char *name;      /* in any case */
	void (*take)(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank);
	unsigned char rank;
};

/* Runs what the table says for the node; false when it isn't in it. */
bool feed_element_take(struct feed_build *b, void *target, const xmlNode *node,
		       const struct feed_element *table, size_t n);

/* Whether `rank` is better than what is there; then it is noted. */
bool feed_rank_better(unsigned char *held, unsigned char rank);

void feed_topic_add(struct feed_build *b, struct feed_topics *topics, const char *topic);

/* Atom's category with its term, or the text of any other. */
void feed_topic_take(struct feed_build *b, struct feed_topics *topics, const xmlNode *node);

/* "one, two, three" */
void feed_topics_split(struct feed_build *b, struct feed_topics *topics, const char *text);

/* These set the field when the node tells something and its rank is better than the one held. */
void feed_title_take(struct feed_build *b, char **title, unsigned char *held, const xmlNode *node,
		     unsigned char rank);
void feed_text_take(struct feed_build *b, struct feed_text *text, unsigned char *held,
		    const xmlNode *node, unsigned char rank);
void feed_moment_take(struct feed_build *b, usec_t *moment, unsigned char *held,
		      const xmlNode *node, unsigned char rank);

/* Sets the language when the node has text: to NULL when that is no language tag. */
void feed_lang_take(struct feed_build *b, char **lang, const xmlNode *node);

/* A link: Atom's href, or the text. NULL when it is none of an article (rel, scheme). */
char *feed_link_read(struct feed_build *b, const xmlNode *node, unsigned char *rank);

/* NULL when it is no language tag; `text` may be NULL. */
char *feed_lang_clean(struct feed_build *b, const char *text);
