/*
 * A growing byte buffer. The caller owns the struct and frees it with buf_free() (or
 * _cleanup_buf_); the bytes belong to the buffer until buf_steal().
 *
 * Errors stick: once an append fails, `err` holds -ENOMEM (or -EOVERFLOW past `limit`), every
 * later append fails with the same value and changes nothing, and one look at the end suffices.
 * `data` is followed by a NUL whenever anything was ever appended, so it can be read as a string.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/str.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t limit; /* bytes that it may hold; 0: no limit */
	int err;      /* 0 or the first error, negative errno */
};

int buf_reserve(struct buf *b, size_t more); /* room for `more` bytes past len, and a NUL */
int buf_add(struct buf *b, const void *bytes, size_t n);
int buf_adds(struct buf *b, const char *text);
int buf_addstr(struct buf *b, struct str s);
int buf_addc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

void buf_drop(struct buf *b, size_t n);     /* removes the first n bytes */
void buf_truncate(struct buf *b, size_t n); /* keeps the first n bytes */
void buf_reset(struct buf *b);              /* empties it, keeps its memory, clears err */
void buf_free(struct buf *b);

const char *buf_text(const struct buf *b);       /* never NULL */
struct str buf_str(const struct buf *b);         /* a view, valid until the next change */
char *buf_steal(struct buf *b, size_t *ret_len); /* NULL on a sticky error; the caller frees */

#define _cleanup_buf_ _cleanup_(buf_free)
