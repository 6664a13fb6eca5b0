/*
 * An XML feed as a whole: which language it is in, what it tells of itself, its articles.
 */
#pragma once

#include "news/feed_node.h"

/* Room for one more article, zeroed; NULL when there are enough (counted) or no memory is left. */
struct feed_article *feed_build_article(struct feed_build *b);

/* Reads the tree into b->feed. -EBADMSG when it is no feed. */
int feed_channel_read(struct feed_build *b, xmlDoc *doc, struct why *why);
