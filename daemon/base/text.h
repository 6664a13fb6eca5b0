/*
 * Unicode text: is it UTF-8, make it so, bring it into NFC, how wide is it on a screen, which way
 * does it run. All functions take views and append to the caller's buffer; what can fail is memory
 * only (-ENOMEM, or -EOVERFLOW at the buffer's limit), and it sticks to the buffer. No locale is
 * used.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* UTF-8 by RFC 3629: shortest forms only, no surrogates, nothing beyond U+10FFFF. */
bool text_valid(struct str s);

/*
 * Takes the first character off a view that isn't empty. A byte that starts no character is taken
 * alone as U+FFFD.
 */
int32_t text_take(struct str *s);

/* One character as UTF-8. */
int text_add(struct buf *out, int32_t c);

/* What a byte means in windows-1252, the commonest wrong guess; 0 where it means nothing. */
int32_t text_windows_1252(unsigned char byte);

/*
 * Text fit to be stored: valid UTF-8 (broken bytes become U+FFFD), "\r\n" and "\r" become "\n",
 * the C1 codes are taken for the windows-1252 signs that they mostly are, other control
 * characters but tab and newline go, so do noncharacters, byte order marks and the embedding and
 * override controls (U+202A..U+202E) that can turn foreign text around. Not yet NFC.
 */
int text_repair(struct str s, struct buf *out);

/*
 * NFC of valid UTF-8. Of more than 32 combining marks in a row the rest is left out: no script
 * needs them, and they cost quadratic time.
 */
int text_nfc(struct str s, struct buf *out);

/* text_repair() and text_nfc(). */
int text_clean(struct str s, struct buf *out);

/* text_clean() on one line: every run of white space becomes one space, none at the ends. */
int text_line(struct str s, struct buf *out);

/*
 * Text for a terminal or a log, on one line: control characters as \xNN, so that nothing in it is
 * obeyed; broken bytes become U+FFFD.
 */
int text_shown(struct str s, struct buf *out);

bool text_is_space(int32_t c);       /* white space that may be collapsed; not the no-break space */
unsigned text_char_width(int32_t c); /* columns: 0 (combining), 1, or 2 (CJK, emoji) */
unsigned text_width(struct str s);   /* columns of a line */

/* At most `columns` columns of it, cut between characters that stand alone. */
struct str text_head(struct str s, unsigned columns);

/*
 * At most `most` characters of one line, at a word's end where one is near, and then with U+2026.
 */
int text_excerpt(struct str s, size_t most, struct buf *out);

enum text_dir { TEXT_NEUTRAL, TEXT_LTR, TEXT_RTL };

/* The direction of the first strong character (UAX 9, P2 and P3). */
enum text_dir text_direction(struct str s);
