/*
 * Values with a unit, as people write them: sizes ("16 MiB") and durations ("90 s", "1 h 30 min").
 * A unit is a must, so that nobody has to guess what a bare number means.
 *
 * Sizes:     B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024).
 * Durations: us, ms, s, min, h, d, w; several may follow one another and are added.
 *
 * Parsing returns 0, -EINVAL (not such a value; `why` tells what would be) or -ERANGE (beyond
 * UNITS_MAX), and touches *ret on success only. Nothing is allocated.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/why.h"

#define UNITS_MAX INT64_MAX /* the largest size in bytes, the longest duration in microseconds */

int units_size(struct str text, uint64_t *ret, struct why *why);
int units_duration(struct str text, usec_t *ret, struct why *why);

/* The shortest exact way to write it ("16 MiB", "1 h 30 min", "0 s"); returns text. */
enum { UNITS_TEXT = 64 };
const char *units_size_text(uint64_t size, char text[static UNITS_TEXT]);
const char *units_duration_text(usec_t duration, char text[static UNITS_TEXT]);
