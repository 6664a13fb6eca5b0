/*
 * Addresses in articles: made absolute, escaped, and only of the schemes that a mail may link to.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

enum url_use {
	URL_LINK,    /* http, https, mailto */
	URL_CONTENT, /* http, https: pictures and what is fetched */
};

enum { URL_LONGEST = 8000 };

/*
 * Appends the address as it may be stored. As browsers do, white space around it and tabs and
 * newlines within are dropped; what RFC 3986 doesn't allow is percent-encoded, a host beyond
 * ASCII becomes punycode, and an address without a scheme is resolved against base (NULL: only
 * "//host/..." can be, as https). An address that came out goes in again unchanged.
 * -EINVAL: another scheme, no host, a mere "#fragment", or too long. -ENOMEM.
 */
int url_clean(struct str address, const char *base, enum url_use use, struct buf *out);

/*
 * The address of something to be fetched or shown, as it may be stored; the caller frees. *ret is
 * NULL, and that is no error, when there is none or not an acceptable one. -ENOMEM.
 */
int url_content(const char *address, const char *base, char **ret);
