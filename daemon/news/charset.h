/*
 * Bytes of a feed or a web page, in whatever encoding they came, become valid UTF-8. The byte order
 * mark decides first, then the HTTP header's charset, then what the text declares of itself, then
 * its look. A declaration that the bytes contradict is not believed; bytes that are no UTF-8 in a
 * text that should be are read as windows-1252. What can't be read becomes U+FFFD: the only
 * failure is a lack of memory.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum charset_form { CHARSET_XML, CHARSET_HTML, CHARSET_TEXT }; /* where a declaration is sought */

enum { CHARSET_NAME = 48 };

/*
 * Appends the text as UTF-8, without a byte order mark, to `out`. content_type is the HTTP header's
 * value or NULL. ret_name gets the lower-case name of the encoding that was used.
 */
int charset_to_utf8(struct buf *out, struct str bytes, enum charset_form form,
		    const char *content_type, char ret_name[static CHARSET_NAME]);
