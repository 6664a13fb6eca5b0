#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <utf8proc.h>

enum {
	PIECE = 4096,     /* normalised at once, so that memory stays small */
	MARKS_TAKEN = 64, /* combining marks in a row that utf8proc, quadratic in them, may see */
	MARKS_KEPT = 32,  /* and how many stay */
	REPLACEMENT = 0xFFFD,
};

/* What 0x80 to 0x9F are in windows-1252; 0 where it has nothing. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

/* Errors of what is only needed meanwhile stick to the result, too. */
static int stick(struct buf *out, int err)
{
	if (err < 0 && !out->err)
		out->err = err;
	return out->err;
}

/* Length of the character at the front, 0 when there is none that is valid. */
static size_t char_at(struct str s, int32_t *ret)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t n =
	    utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
	if (n <= 0)
		return 0;
	*ret = c;
	return (size_t)n;
}

bool text_valid(struct str s)
{
	int32_t c;
	while (s.n) {
		size_t n = char_at(s, &c);
		if (!n)
			return false;
		s = str_from(s, n);
	}
	return true;
}

int32_t text_take(struct str *s)
{
	int32_t c = REPLACEMENT;
	size_t n = char_at(*s, &c);
	*s = str_from(*s, n ? n : 1);
	return c;
}

int text_add(struct buf *out, int32_t c)
{
	utf8proc_uint8_t bytes[4];
	utf8proc_ssize_t n = utf8proc_codepoint_valid(c) ? utf8proc_encode_char(c, bytes) : 0;
	return buf_add(out, bytes, (size_t)n);
}

int32_t text_windows_1252(unsigned char byte)
{
	return byte >= 0x80 && byte < 0xA0 ? windows_1252[byte - 0x80] : byte;
}

/* The character that is to be kept in place of c; 0: none. */
static int32_t repaired(int32_t c)
{
	if (c >= 0x80 && c < 0xA0)
		return text_windows_1252((unsigned char)c);
	if (c < 0x20)
		return c == '\t' || c == '\n' ? c : 0;
	if (c == 0x7F || c == 0xFEFF || (c >= 0x202A && c <= 0x202E))
		return 0;
	if ((c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF))
		return 0;
	return c;
}

int text_repair(struct str s, struct buf *out)
{
	while (s.n && !out->err) {
		/* The plain stretch first: most text is it. */
		size_t n = 0;
		while (n < s.n && s.p[n] >= 0x20 && s.p[n] < 0x7F)
			n++;
		buf_add(out, s.p, n);
		s = str_from(s, n);
		if (!s.n)
			break;
		int32_t c = text_take(&s);
		if (c == '\r') {
			if (s.n && s.p[0] == '\n')
				s = str_from(s, 1);
			c = '\n';
		}
		c = repaired(c);
		if (c)
			text_add(out, c);
	}
	return out->err;
}

static bool is_mark(int32_t c)
{
	return c >= 0x300 && utf8proc_get_property(c)->combining_class;
}

/* Copies, but of a run of combining marks only the first `most`. */
static int limit_marks(struct str s, size_t most, struct buf *out)
{
	size_t run = 0;
	while (s.n && !out->err) {
		struct str rest = s;
		run = is_mark(text_take(&rest)) ? run + 1 : 0;
		if (run <= most)
			buf_add(out, s.p, s.n - rest.n);
		s = rest;
	}
	return out->err;
}

static int nfc_piece(struct str s, struct buf *out)
{
	_cleanup_buf_ struct buf tame = {0};
	int r = limit_marks(s, MARKS_TAKEN, &tame);
	if (r < 0 || !tame.len)
		return r;

	_cleanup_free_ utf8proc_uint8_t *composed = NULL;
	utf8proc_ssize_t n =
	    utf8proc_map((const utf8proc_uint8_t *)tame.data, (utf8proc_ssize_t)tame.len, &composed,
			 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (n < 0)
		return n == UTF8PROC_ERROR_NOMEM ? -ENOMEM : -EILSEQ;
	return limit_marks((struct str){(const char *)composed, (size_t)n}, MARKS_KEPT, out);
}

int text_nfc(struct str s, struct buf *out)
{
	while (s.n && !out->err) {
		/* A piece ends before a space or a newline, which never compose with what precedes.
		 */
		size_t n = 0;
		bool ascii = true;
		while (n < s.n && !(n >= PIECE && (s.p[n] == ' ' || s.p[n] == '\n')))
			ascii &= s.p[n++] >= 0;
		int r = ascii ? buf_add(out, s.p, n) : nfc_piece(str_head(s, n), out);
		if (r < 0)
			return stick(out, r);
		s = str_from(s, n);
	}
	return out->err;
}

int text_clean(struct str s, struct buf *out)
{
	_cleanup_buf_ struct buf valid = {0};
	int r = text_repair(s, &valid);
	return r < 0 ? stick(out, r) : text_nfc(buf_str(&valid), out);
}

bool text_is_space(int32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x2028 || c == 0x2029;
}

int text_line(struct str s, struct buf *out)
{
	_cleanup_buf_ struct buf clean = {0};
	int r = text_clean(s, &clean);
	bool gap = false, begun = false;
	for (struct str rest = buf_str(&clean); r >= 0 && rest.n;) {
		int32_t c = text_take(&rest);
		if (text_is_space(c)) {
			gap = begun;
			continue;
		}
		if (gap)
			buf_addc(out, ' ');
		gap = false;
		begun = true;
		r = text_add(out, c);
	}
	return stick(out, r);
}

unsigned text_char_width(int32_t c)
{
	int width = c == 0xAD ? 0 : utf8proc_charwidth(c); /* a soft hyphen is mostly not seen */
	return width > 0 ? (unsigned)width : 0;
}

unsigned text_width(struct str s)
{
	unsigned width = 0;
	while (s.n)
		width += text_char_width(text_take(&s));
	return width;
}

struct str text_head(struct str s, unsigned columns)
{
	struct str rest = s;
	unsigned width = 0;
	while (rest.n) {
		struct str after = rest;
		width += text_char_width(text_take(&after));
		if (width > columns)
			break;
		rest = after;
	}
	return str_head(s, s.n - rest.n);
}

int text_excerpt(struct str s, size_t most, struct buf *out)
{
	_cleanup_buf_ struct buf line = {0};
	int r = text_line(s, &line);
	if (r < 0 || !most)
		return stick(out, r);

	/* `cut` is where `most - 1` characters end, `word` the last gap before it. */
	struct str all = buf_str(&line), rest = all;
	size_t count = 0, cut = 0, word = 0;
	while (rest.n) {
		size_t at = all.n - rest.n;
		int32_t c = text_take(&rest);
		if (count < most && c == ' ')
			word = at;
		if (!is_mark(c) && count < most)
			cut = at;
		count++;
	}
	if (count <= most)
		return buf_addstr(out, all);
	if (word * 2 > cut) /* in scripts without spaces a word's end may be far away */
		cut = word;
	buf_addstr(out, str_trim(str_head(all, cut)));
	return text_add(out, 0x2026);
}

static bool is_rtl(int32_t c)
{
	utf8proc_bidi_class_t class = utf8proc_get_property(c)->bidi_class;
	return class == UTF8PROC_BIDI_CLASS_R || class == UTF8PROC_BIDI_CLASS_AL;
}

enum text_dir text_direction(struct str s)
{
	while (s.n) {
		int32_t c = text_take(&s);
		if (is_rtl(c))
			return TEXT_RTL;
		if (utf8proc_get_property(c)->bidi_class == UTF8PROC_BIDI_CLASS_L)
			return TEXT_LTR;
	}
	return TEXT_NEUTRAL;
}

int text_shown(struct str s, struct buf *out)
{
	while (s.n) {
		int32_t c = text_take(&s);
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			buf_printf(out, "\\x%02x", (unsigned)c);
		else
			text_add(out, c);
	}
	return out->err;
}
