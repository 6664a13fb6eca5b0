/*
 * The encodings of mail: quoted-printable and base64 for bodies (RFC 2045), encoded words for
 * headers (RFC 2047), all of UTF-8 text. They append to a buffer, allocate nothing else, and fail
 * only as the buffer does. Bytes that aren't UTF-8 become U+FFFD, so that the charset that a mail
 * declares is always true.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/* ---- bodies ---- */

enum { QP_LINE = 76 }; /* characters of a line without its CRLF, RFC 2045 6.7 (5) */

/*
 * Quoted-printable. `*column` is the number of characters on the line so far; start with 0. LF, CR
 * and CRLF all become CRLF. What a line can't start or end with is encoded: a dot (so that no
 * dot-stuffing is needed, RFC 5321 4.5.2), "From " (mbox), white space at an end. A character is
 * never split over two lines. Text may be cut into several calls only where qp_break() stands in
 * between: it ends the line softly, so that what follows doesn't depend on what stood before.
 */
int qp_encode(struct buf *out, struct str text, size_t *column);
int qp_break(struct buf *out, size_t *column); /* nothing when at the start of a line */

/* In lines of 76 characters, each ended by CRLF, the last one too. */
int base64_lines(struct buf *out, struct str bytes);

/* ---- headers ---- */

/*
 * Text as a header may hold it, character by character: controls, line and paragraph separators
 * become spaces, spaces in a row become one, those at both ends go.
 */
struct mime_reader {
	struct str rest;
	bool started;
};

/* The next character, 1 to 4 bytes, or 0 at the end. The reader can be copied to look ahead. */
size_t mime_next(struct mime_reader *reader, char ret[static 4]);

/*
 * Text as encoded words, B or Q as is shorter, at most 76 characters a line, never splitting a
 * character. Only letters, digits and !*+-/ stand for themselves, so they are right within a
 * phrase too (RFC 2047 5 (3)). `*column` as above: of the header's line.
 */
int mime_words(struct buf *out, struct str text, size_t *column);
