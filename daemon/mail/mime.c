#include "mail/mime.h"

#include <string.h>
#include <utf8proc.h>

#include "base/text.h"

static const char hex[] = "0123456789ABCDEF";
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The first character of s as it is to be sent, and how much of s it was. */
static size_t character(struct str s, size_t *ret_taken, unsigned char ret[static 4])
{
	struct str rest = s;
	int32_t c = text_take(&rest);
	*ret_taken = s.n - rest.n;
	return (size_t)utf8proc_encode_char(c, ret);
}

/* ---- quoted-printable ---- */

/* Whether a line break follows: then the line needs no place for the "=" of a soft one. */
static bool ends_line(struct str s)
{
	return s.n > 1 && (s.p[1] == '\n' || s.p[1] == '\r');
}

/*
 * Whether the character stands for itself. White space does, unless a line or a piece ends after
 * it; the end of a piece may be followed by a soft break, but must not be trusted to.
 */
static bool is_plain(struct str s, size_t column)
{
	unsigned char c = (unsigned char)s.p[0];
	if (c == ' ' || c == '\t')
		return s.n > 1 && !ends_line(s);
	if (c < ' ' || c > '~' || c == '=')
		return false;
	if (column > 0)
		return true;
	return c != '.' && !(c == 'F' && str_starts(s, "From "));
}

/* Encodes the character at the start of s; returns the bytes taken of it. */
static size_t qp_char(struct buf *out, struct str s, size_t *column)
{
	if (is_plain(s, *column)) {
		if (*column + 1 > (ends_line(s) ? QP_LINE : QP_LINE - 1)) {
			qp_break(out, column);
			return 0;
		}
		buf_addc(out, s.p[0]);
		++*column;
		return 1;
	}
	unsigned char bytes[4];
	size_t taken, n = character(s, &taken, bytes);
	if (*column + 3 * n > QP_LINE - 1)
		qp_break(out, column);
	for (size_t i = 0; i < n; i++) {
		char code[3] = {'=', hex[bytes[i] >> 4], hex[bytes[i] & 15]};
		buf_add(out, code, sizeof(code));
	}
	*column += 3 * n;
	return taken;
}

/* The number of characters at the start of s that stand for themselves wherever they stand. */
static size_t plain_run(struct str s)
{
	size_t n = 0;
	while (n < s.n && (unsigned char)s.p[n] > 0x20 && (unsigned char)s.p[n] < 0x7f &&
	       s.p[n] != '=')
		n++;
	return n;
}

int qp_encode(struct buf *out, struct str text, size_t *column)
{
	if (text.n)
		buf_reserve(out, text.n + text.n / 16);
	while (text.n && !out->err) {
		if (text.p[0] == '\r' || text.p[0] == '\n') {
			buf_add(out, "\r\n", 2);
			*column = 0;
			text = str_from(
			    text, text.p[0] == '\r' && text.n > 1 && text.p[1] == '\n' ? 2 : 1);
			continue;
		}
		size_t room = *column && *column < QP_LINE - 1 ? QP_LINE - 1 - *column : 0;
		size_t run = plain_run(str_head(text, room));
		if (run) {
			buf_add(out, text.p, run);
			*column += run;
			text = str_from(text, run);
		} else {
			text = str_from(text, qp_char(out, text, column));
		}
	}
	return out->err;
}

int qp_break(struct buf *out, size_t *column)
{
	if (*column == 0)
		return out->err;
	*column = 0;
	return buf_add(out, "=\r\n", 3);
}

/* ---- base64 ---- */

/* Up to 3 bytes as 4 characters. */
static void base64_quad(struct buf *out, const unsigned char *bytes, size_t n)
{
	unsigned v = (unsigned)bytes[0] << 16 | (n > 1 ? (unsigned)bytes[1] << 8 : 0) |
		     (n > 2 ? bytes[2] : 0);
	char quad[4] = {base64[v >> 18], base64[v >> 12 & 63], n > 1 ? base64[v >> 6 & 63] : '=',
			n > 2 ? base64[v & 63] : '='};
	buf_add(out, quad, sizeof(quad));
}

int base64_lines(struct buf *out, struct str bytes)
{
	buf_reserve(out, bytes.n / 3 * 4 + bytes.n / 57 * 2 + 8);
	for (size_t i = 0; i < bytes.n; i += 3) {
		base64_quad(out, (const unsigned char *)bytes.p + i,
			    bytes.n - i < 3 ? bytes.n - i : 3);
		if (i % 57 == 54 || i + 3 >= bytes.n)
			buf_add(out, "\r\n", 2);
	}
	return out->err;
}

/* ---- encoded words ---- */

static bool is_blank(int32_t c)
{
	return c <= ' ' || (c >= 0x7f && c <= 0xa0) || c == 0x2028 || c == 0x2029;
}

size_t mime_next(struct mime_reader *reader, char ret[static 4])
{
	bool blank = false;
	while (reader->rest.n) {
		struct str rest = reader->rest;
		int32_t c = text_take(&rest);
		if (!is_blank(c)) {
			if (blank && reader->started) {
				ret[0] = ' ';
				return 1;
			}
			reader->started = true;
			reader->rest = rest;
			return (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)ret);
		}
		blank = true;
		reader->rest = rest;
	}
	return 0;
}

static bool q_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!*+-/ ", c));
}

/* What a character takes within a Q word. */
static size_t q_size(const char *bytes, size_t n)
{
	return n == 1 && q_plain(bytes[0]) ? 1 : 3 * n;
}

static bool q_is_shorter(struct str text)
{
	struct mime_reader reader = {text, false};
	char c[4];
	size_t q = 0, b = 0;
	for (size_t n; (n = mime_next(&reader, c)) > 0; b += n)
		q += q_size(c, n);
	return q <= (b + 2) / 3 * 4;
}

static void q_add(struct buf *out, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];
		char code[3] = {'=', hex[c >> 4], hex[c & 15]};
		if (c == ' ')
			buf_addc(out, '_');
		else if (q_plain(bytes[i]))
			buf_addc(out, bytes[i]);
		else
			buf_add(out, code, sizeof(code));
	}
}

enum {
	WORD = 75,       /* the longest encoded word, RFC 2047 2 */
	WORD_FRAME = 12, /* "=?UTF-8?Q?" and "?=" */
	FEWEST = 12,     /* room for one character of 4 bytes in Q */
};

/* Takes as many characters as fit into `room` places of one word; returns their bytes. */
static size_t word_take(struct mime_reader *reader, bool q, size_t room, char text[static WORD])
{
	size_t len = 0, used = 0;
	char c[4];
	struct mime_reader ahead = *reader;
	for (size_t n; (n = mime_next(&ahead, c)) > 0; *reader = ahead) {
		size_t size = q ? used + q_size(c, n) : (len + n + 2) / 3 * 4;
		if (size > room)
			break;
		used = size;
		memcpy(text + len, c, n);
		len += n;
	}
	return len;
}

int mime_words(struct buf *out, struct str text, size_t *column)
{
	bool q = q_is_shorter(text), first = true;
	struct mime_reader reader = {text, false};
	char bytes[WORD];
	for (;;) {
		size_t room = *column + WORD_FRAME < QP_LINE ? QP_LINE - WORD_FRAME - *column : 0;
		if (room > WORD - WORD_FRAME)
			room = WORD - WORD_FRAME;
		if (!first || room < FEWEST) {
			struct mime_reader ahead = reader;
			if (mime_next(&ahead, bytes) == 0)
				return out->err;
			buf_add(out, "\r\n ", 3);
			*column = 1;
			room = WORD - WORD_FRAME;
		}
		size_t n = word_take(&reader, q, room, bytes), start = out->len;
		if (n == 0 || out->err)
			return out->err;
		buf_adds(out, q ? "=?UTF-8?Q?" : "=?UTF-8?B?");
		if (q)
			q_add(out, bytes, n);
		else
			for (size_t i = 0; i < n; i += 3)
				base64_quad(out, (const unsigned char *)bytes + i,
					    n - i < 3 ? n - i : 3);
		buf_adds(out, "?=");
		*column += out->len - start;
		first = false;
	}
}
