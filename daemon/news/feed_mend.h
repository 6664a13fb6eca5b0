/*
 * Mends XML where people commonly break it, so that a parser gets further: bare ampersands and
 * unknown entities are escaped, those that only HTML knows become the characters they mean,
 * comments and control characters go, elements that were left open are closed where their parent
 * ends, stray end tags go, and an article that the end of the bytes cuts in two is left out. Takes
 * linear time.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

int feed_mend(struct buf *out, struct str s); /* -ENOMEM */
