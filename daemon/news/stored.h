/*
 * Articles on their way into the store: as the rows that article_put (sql/) takes.
 */
#pragma once

#include <jansson.h>

#include "news/article.h"
#include "news/feed.h"

/* A settled article as a row: article's columns by name. A new reference; NULL: no memory. */
json_t *stored_row(const struct article *a);

/*
 * All articles of a feed, settled (drop may be NULL), as an array of rows. Those that have nothing
 * to read in them are left out. -ENOMEM.
 */
int stored_rows(const struct feed *feed, const struct drop *drop, json_t **ret);
