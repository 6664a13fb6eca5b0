/*
 * Which names the templates of mails may use: what a digest and a letter show to them, late values
 * (reader, links) included.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "mail/mustache.h"

enum template_scope {
	TEMPLATE_DIGEST,
	TEMPLATE_LETTER,
	TEMPLATE_ANYWHERE, /* a file by itself: it may be a partial within an article */
};

/* Whether a tag's name has a value somewhere. `text` is the locale. */
bool template_name_known(enum template_scope scope, const json_t *text,
			 const struct mustache_use *use);
