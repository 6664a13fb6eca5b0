/*
 * One item or entry element, of RSS or Atom, becomes an article. Elements of either language are
 * understood in both: feeds mix them.
 */
#pragma once

#include "news/feed_node.h"

/* Fills what the element tells; identity and defaults follow in feed.c. */
void feed_article_read(struct feed_build *b, struct feed_article *article, const xmlNode *node);
