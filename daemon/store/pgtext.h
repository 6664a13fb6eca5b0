/*
 * Values in PostgreSQL's text form, as parameters and COPY rows need them, and arrays read back
 * from it. Writers append to a buffer and return its (sticky) error. Numbers, moments and arrays
 * look the same whatever the server's settings; moments are read in DateStyle ISO only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

int pgtext_int64s(struct buf *b, const int64_t *values, size_t count);   /* {1,2,3} */
int pgtext_texts(struct buf *b, const struct str *values, size_t count); /* {"a","b\"c"}; NULL: p */

/*
 * Reads a one-dimensional array. The elements, NUL-terminated too, are in the arena; an element
 * that is NULL has .p == NULL. -EINVAL: not such an array; -ENOMEM.
 */
int pgtext_read_array(struct str text, struct arena *arena, struct str **ret, size_t *ret_count);

int pgtext_read_hex(struct str text, struct arena *arena, struct str *ret); /* -EINVAL, -ENOMEM */

/*
 * "2026-03-29 01:00:00.000001+05:30" to microseconds since 1970; what lies before is 0, "infinity"
 * is UINT64_MAX. -EINVAL: not a moment in DateStyle ISO.
 */
int pgtext_read_usec(const char *text, usec_t *ret);
