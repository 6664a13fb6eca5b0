/*
 * Dates in the words of a locale, whose "date" object has patterns and names:
 *   {"pattern": "{weekday}, {day} {month} {year}", "short": "{day} {month} {year}",
 *    "weekdays": {"1": "Monday", ...}, "months": {"1": "January", ...}}
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* Whether text starts with a day of the calendar, "2026-11-24". */
bool localdate_is(struct str text);

/*
 * Appends the day that `date` (ISO 8601) starts with by the pattern under `key`: nothing when it
 * is no date, "2026-11-24" when the locale has no such pattern. Returns the buffer's error.
 */
int localdate_format(json_t *words, const char *key, struct str date, struct buf *out);
