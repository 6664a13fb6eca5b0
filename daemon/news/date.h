/*
 * Dates as feeds write them: RFC 822 and 2822 in all their broken forms (two-digit years, no
 * seconds, zone names, a wrong weekday, full month names), RFC 3339 and W3CDTF in every precision,
 * asctime. Pure: no locale, no time zone of this machine.
 */
#pragma once

#include "base/clock.h"
#include "base/str.h"

/*
 * The moment in microseconds since 1970 UTC. 0 when the text is no date, or one before 1970.
 * A date without a zone counts as UTC, one without a time as midnight.
 */
usec_t date_parse(struct str text);
