/*
 * The pictures and files of an article: Media RSS, enclosures, Atom's enclosure links, itunes.
 */
#pragma once

#include "news/feed_element.h"

enum { FEED_MAX_FILES = 20 };

/* Is it a picture, by its media type, or by the end of its address when there is no type? */
bool feed_is_picture(const char *url, const char *type);

/* Takes a picture when its rank is better, or equal and it is wider. `url` is absolute or NULL. */
void feed_image_offer(struct feed_image *image, unsigned char *held, unsigned char rank,
		      struct feed_image offered);

void feed_file_add(struct feed_build *b, struct feed_article *article, struct feed_file file);

/* media:content and media:thumbnail, with what is in them; media:group is their parent. */
void feed_media_read(struct feed_build *b, struct feed_article *article, struct feed_ranks *ranks,
		     const xmlNode *node, unsigned char rank);

/* RSS's enclosure (url) or Atom's link (href). */
void feed_enclosure_read(struct feed_build *b, struct feed_article *article,
			 struct feed_ranks *ranks, const xmlNode *node, unsigned char rank);

/* RSS's image element (url within), or one with href, url or text (itunes:image, logo). */
struct feed_image feed_image_read(struct feed_build *b, const xmlNode *node);
