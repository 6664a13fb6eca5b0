/* Quoted-printable, base64 and encoded words: the bytes, and that they read back as what went in.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "mail/mime.h"

static const char *qp(struct buf *out, const char *text)
{
	size_t column = 0;
	buf_reset(out);
	assert_int_equal(qp_encode(out, str_of(text), &column), 0);
	return buf_text(out);
}

static void qp_encodes_what_a_line_cannot_hold(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(qp(&out, "a=b"), "a=3Db");
	assert_string_equal(qp(&out, "é✓😀"), "=C3=A9=E2=9C=93=F0=9F=98=80");
	assert_string_equal(qp(&out, "one\ntwo\r\nthree\rfour"), "one\r\ntwo\r\nthree\r\nfour");
	assert_string_equal(qp(&out, ".\n..\na."), "=2E\r\n=2E.\r\na.");
	assert_string_equal(qp(&out, "From me\n From\nFrom\nFromage"),
			    "=46rom me\r\n From\r\nFrom\r\nFromage");
	assert_string_equal(qp(&out, "a \nb\t\nc\t d "), "a=20\r\nb=09\r\nc\t d=20");
	assert_string_equal(qp(&out, "\x01\x7f"), "=01=7F");
	assert_string_equal(qp(&out, "a\xff\xc3(b"), "a=EF=BF=BD=EF=BF=BD(b");
	assert_string_equal(qp(&out, ""), "");
}

static void qp_breaks_lines_softly_at_76(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	char text[400];
	memset(text, 'x', sizeof(text));
	text[76] = '\n'; /* 76 characters and a hard break need no soft one */
	text[77] = '\0';
	qp(&out, text);
	assert_int_equal(out.len, 78);
	text[76] = 'x';
	qp(&out, text);
	assert_memory_equal(out.data + 75, "=\r\nxx", 5);
	/* A dot that comes to stand at the start of a line by a soft break. */
	text[75] = '.';
	text[76] = 'x';
	qp(&out, text);
	assert_memory_equal(out.data + 75, "=\r\n=2Ex", 7);
	/* A character isn't split: 70 and 6 don't fit before the "=". */
	strcpy(text + 70, "é");
	qp(&out, text);
	assert_memory_equal(out.data + 70, "=\r\n=C3=A9", 9);
}

static void qp_break_resets_the_column(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	size_t column = 0;
	qp_break(&out, &column);
	assert_string_equal(buf_text(&out), "");
	qp_encode(&out, STR("Dear "), &column);
	qp_break(&out, &column);
	qp_encode(&out, STR(".Ada"), &column);
	qp_break(&out, &column);
	qp_encode(&out, STR(",\n"), &column);
	qp_break(&out, &column);
	assert_string_equal(buf_text(&out), "Dear=20=\r\n=2EAda=\r\n,\r\n");
	assert_int_equal(column, 0);
}

static unsigned unhex(const char *p)
{
	unsigned v;
	assert_int_equal(sscanf(p, "%2X", &v), 1);
	return v;
}

/* A decoder that knows nothing of the encoder; checks the rules of a line on its way. */
static void qp_decode(struct str in, struct buf *out)
{
	size_t column = 0;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '\r') {
			assert_true(i + 1 < in.n && in.p[i + 1] == '\n');
			assert_true(column == 0 || (in.p[i - 1] != ' ' && in.p[i - 1] != '\t'));
			buf_add(out, "\r\n", 2);
			column = 0;
			i++;
			continue;
		}
		assert_false(column == 0 && c == '.');
		assert_true(++column <= 76);
		assert_true((c >= ' ' && c <= '~') || c == '\t');
		if (c == '=' && in.p[i + 1] == '\r') {
			assert_int_equal(in.p[i + 2], '\n');
			column = 0;
			i += 2;
		} else if (c == '=') {
			buf_addc(out, (char)unhex(in.p + i + 1));
			column += 2;
			assert_true(column <= 76);
			i += 2;
		} else {
			buf_addc(out, c);
		}
	}
}

static unsigned dice;

static unsigned roll(unsigned sides)
{
	dice = dice * 1103515245 + 12345;
	return (dice >> 16) % sides;
}

/* Text with much of what is special, in whole characters; no bare CR. */
static void random_text(struct buf *out, unsigned pieces)
{
	static const char *const some[] = {"a", ".",  "F", "From ", " ",     "\t", "\r\n", "=",
					   "é", "文", "😀", "اردو",  "\r\n.", "-",  "\x01", "x y"};
	while (pieces--) {
		unsigned n = roll(ELEMENTS(some) + 1);
		if (n < ELEMENTS(some)) {
			buf_adds(out, some[n]);
			continue;
		}
		for (unsigned k = roll(90); k > 0; k--)
			buf_addc(out, (char)('a' + roll(26)));
	}
}

static void qp_reads_back_with_holes_anywhere(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 3000; seed++) {
		_cleanup_buf_ struct buf text = {0}, encoded = {0}, decoded = {0};
		size_t column = 0;
		dice = seed;
		for (unsigned part = roll(5); part < 6; part++) {
			_cleanup_buf_ struct buf piece = {0};
			random_text(&piece, roll(60));
			buf_addstr(&text, buf_str(&piece));
			qp_encode(&encoded, buf_str(&piece), &column);
			assert_int_equal(qp_break(&encoded, &column), 0);
		}
		qp_decode(buf_str(&encoded), &decoded);
		assert_int_equal(decoded.len, text.len);
		assert_memory_equal(buf_text(&decoded), buf_text(&text), text.len);
	}
}

static void base64_is_cut_into_lines(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_int_equal(base64_lines(&out, STR("")), 0);
	assert_string_equal(buf_text(&out), "");
	base64_lines(&out, STR("f"));
	base64_lines(&out, STR("fo"));
	base64_lines(&out, STR("foo"));
	base64_lines(&out, STR("foob\xff\xfe"));
	assert_string_equal(buf_text(&out), "Zg==\r\nZm8=\r\nZm9v\r\nZm9vYv/+\r\n");
	buf_reset(&out);
	char zeros[58] = {0};
	base64_lines(&out, (struct str){zeros, 57});
	assert_int_equal(out.len, 78);
	base64_lines(&out, (struct str){zeros, 58});
	assert_string_equal(out.data + 78 + 78, "AA==\r\n");
}

static const char *words(struct buf *out, struct str text, size_t column)
{
	buf_reset(out);
	assert_int_equal(mime_words(out, text, &column), 0);
	return buf_text(out);
}

static void words_take_the_shorter_encoding(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(words(&out, STR("Café au lait"), 9), "=?UTF-8?Q?Caf=C3=A9_au_lait?=");
	assert_string_equal(words(&out, STR("新闻"), 9), "=?UTF-8?B?5paw6Ze7?=");
	assert_string_equal(words(&out, STR(""), 9), "");
	assert_string_equal(words(&out, STR(" \r\n\t"), 9), "");
	assert_string_equal(words(&out, STR("é?=_"), 9), "=?UTF-8?B?w6k/PV8=?=");
}

static void words_cannot_break_out_of_a_line(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(words(&out, STR("née\r\nBcc:  xyz\xe2\x80\xa8y\xc2\x85z\0w "), 0),
			    "=?UTF-8?Q?n=C3=A9e_Bcc=3A_xyz_y_z_w?=");
}

static void words_fold_and_never_split_a_character(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0}, text = {0};
	for (size_t column = 0; column < 100; column++) {
		for (int kind = 0; kind < 2; kind++) {
			buf_reset(&text);
			for (int i = 0; i < 40; i++)
				buf_adds(&text, kind ? "aé bcde" : "文😀");
			struct str rest = str_of(words(&out, buf_str(&text), column)), word;
			size_t at = column;
			while (rest.n) {
				if (str_starts(rest, "\r\n ")) {
					rest = str_from(rest, 3);
					at = 1;
				}
				assert_true(str_starts(rest, "=?UTF-8?"));
				const char *end = strstr(rest.p + 10, "?=");
				assert_non_null(end);
				word = str_head(rest, (size_t)(end + 2 - rest.p));
				assert_true(word.n <= 75 && at + word.n <= 76);
				if (!kind) /* whole characters: of 7 bytes in two, or 4 or 3 */
					assert_true(word.p[8] == 'B');
				else /* no word starts with a byte that continues a character */
					assert_false(str_starts(str_from(word, 10), "=A9"));
				rest = str_from(rest, word.n);
			}
		}
	}
}

static void a_full_buffer_is_told(void **state)
{
	(void)state;
	for (size_t limit = 1; limit < 200; limit++) {
		_cleanup_buf_ struct buf out = {.limit = limit};
		size_t column = 0;
		char text[300];
		memset(text, 'x', sizeof(text));
		memcpy(text, "é. é", 6);
		assert_int_equal(qp_encode(&out, (struct str){text, 300}, &column), -EOVERFLOW);
		assert_true(out.len <= limit);
		buf_reset(&out);
		assert_int_equal(mime_words(&out, (struct str){text, 300}, &column), -EOVERFLOW);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(qp_encodes_what_a_line_cannot_hold),
	    cmocka_unit_test(qp_breaks_lines_softly_at_76),
	    cmocka_unit_test(qp_break_resets_the_column),
	    cmocka_unit_test(qp_reads_back_with_holes_anywhere),
	    cmocka_unit_test(base64_is_cut_into_lines),
	    cmocka_unit_test(words_take_the_shorter_encoding),
	    cmocka_unit_test(words_cannot_break_out_of_a_line),
	    cmocka_unit_test(words_fold_and_never_split_a_character),
	    cmocka_unit_test(a_full_buffer_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
