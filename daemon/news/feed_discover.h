/*
 * The feeds that a web page names in its head (<link rel="alternate" type="application/rss+xml">):
 * people give the address of a site where that of its feed is wanted.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

enum { FEED_DISCOVER_MAX = 10 };

/*
 * The addresses in the page's order, absolute, in the arena. `page` is UTF-8, base_url where it
 * came from or NULL. Returns how many, -ENOMEM.
 */
int feed_discover(struct arena *a, struct str page, const char *base_url,
		  char *ret[static FEED_DISCOVER_MAX]);
