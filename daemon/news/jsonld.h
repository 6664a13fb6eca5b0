/*
 * What a web page tells of its article in JSON-LD (schema.org).
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

enum { JSONLD_TOPICS = 50 };

struct jsonld { /* NULL and 0: not told; all in the arena */
	char *headline, *description, *body, *author, *image, *url, *lang;
	usec_t published;
	char *topics[JSONLD_TOPICS];
	size_t n_topics;
};

/*
 * Adds what the script's text tells of an article to what is known already; what is no JSON, or
 * of something else, adds nothing. Texts are as found: some sites put HTML into them. -ENOMEM.
 */
int jsonld_read(struct arena *arena, struct str script, struct jsonld *known);
