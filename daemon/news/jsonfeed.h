/*
 * JSON Feed 1.0 and 1.1 (jsonfeed.org).
 */
#pragma once

#include "news/feed_node.h"

/* Reads valid UTF-8 into b->feed. -EBADMSG: no JSON, or no JSON Feed. */
int jsonfeed_read(struct feed_build *b, struct str source, struct why *why);
