/* What an edition's schedule says in a reader's language: "daily 07:00" is "Every day at 07:00". */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends it by the patterns under "web.rhythm" of the locale, with {time}, {weekday} and {day}; a
 * schedule of another form as it is. Returns the buffer's error.
 */
int rhythm_text(json_t *locale, struct str schedule, struct buf *out);
