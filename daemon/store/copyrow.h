/*
 * Rows for COPY ... FROM STDIN in its text format, built in a buffer field by field:
 *
 *	copyrow_int64(&rows, issue);
 *	copyrow_text(&rows, name);
 *	copyrow_end(&rows);
 *
 * Errors stick in the buffer. A row that was begun can be taken back with buf_truncate(). Each
 * field adds the tab that ends it, and copyrow_end() makes the last tab a newline.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

void copyrow_null(struct buf *rows);
void copyrow_text(struct buf *rows, const char *text); /* NULL becomes NULL */
void copyrow_str(struct buf *rows, struct str s);
void copyrow_int64(struct buf *rows, int64_t value);
void copyrow_usec(struct buf *rows, usec_t moment);
void copyrow_texts(struct buf *rows, const struct str *values, size_t count);
int copyrow_end(struct buf *rows); /* the buffer's error, or -EINVAL for a row of no field */
