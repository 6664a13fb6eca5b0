/* Texts in any encoding, declared well, badly, or not at all, become UTF-8. */
#include "unit.h"

#include <stdio.h>

#include "base/text.h"
#include "news/charset.h"

static void reads(struct str bytes, enum charset_form form, const char *content_type,
		  const char *text, const char *name)
{
	_cleanup_buf_ struct buf out = {0};
	char found[CHARSET_NAME];
	assert_int_equal(charset_to_utf8(&out, bytes, form, content_type, found), 0);
	assert_string_equal(buf_text(&out), text);
	assert_string_equal(found, name);
}

static void xml(struct str bytes, const char *content_type, const char *text, const char *name)
{
	reads(bytes, CHARSET_XML, content_type, text, name);
}

static void byte_order_marks_decide_first(void **state)
{
	(void)state;
	xml(STR("\xef\xbb\xbf<a>\xc3\xa9"), "text/xml; charset=iso-8859-1", "<a>é", "utf-8");
	xml(STR("\xff\xfe<\0\xe9\0"), NULL, "<é", "utf-16le");
	xml(STR("\xfe\xff\0<\0\xe9"), "text/xml;charset=utf-8", "<é", "utf-16be");
	xml(STR("\xff\xfe\0\0<\0\0\0\xe9\0\0\0"), NULL, "<é", "utf-32le");
	xml(STR("\0\0\xfe\xff\0\0\0<\0\0\0\xe9"), NULL, "<é", "utf-32be");
}

static void the_look_of_wide_text_is_known(void **state)
{
	(void)state;
	xml(STR("<\0a\0>\0"), NULL, "<a>", "utf-16le");
	xml(STR("\0<\0a\0>"), NULL, "<a>", "utf-16be");
	xml(STR("{\0}\0"), NULL, "{}", "utf-16le");
	/* <?xml version='1.0' encoding='cp037'?> in EBCDIC */
	static const char ebcdic[] = "\x4c\x6f\xa7\x94\x93\x40\x85\x95\x83\x96\x84\x89\x95\x87\x7e"
				     "\x7d\x83\x97\xf0\xf3\xf7\x7d\x6f\x6e\x4c\x81\x61\x6e";
	xml((struct str){ebcdic, sizeof(ebcdic) - 1}, NULL, "<?xml encoding='cp037'?><a/>",
	    "cp037");
}

static void headers_and_declarations_are_believed_when_they_fit(void **state)
{
	(void)state;
	xml(STR("<a>\xe9"), "text/xml; charset=\"ISO-8859-1\"", "<a>é", "iso-8859-1");
	xml(STR("<?xml version='1.0' encoding='koi8-r'?>\xc1"), NULL,
	    "<?xml version='1.0' encoding='koi8-r'?>а", "koi8-r");
	xml(STR("<?xml version=\"1.0\" encoding=\"Shift_JIS\"?>\x83\x41"), NULL,
	    "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?>ア", "shift_jis");
	xml(STR("<?xml version='1.0' encoding='iso-8859-1'?>\x80\x93"), NULL,
	    "<?xml version='1.0' encoding='iso-8859-1'?>€“", "iso-8859-1");
	reads(STR("<html><meta charset=windows-1251>\xcf"), CHARSET_HTML, NULL,
	      "<html><meta charset=windows-1251>П", "windows-1251");
	reads(STR("<meta http-equiv='Content-Type' content='text/html; charset=big5'>\xa4\xa4"),
	      CHARSET_HTML, NULL,
	      "<meta http-equiv='Content-Type' content='text/html; charset=big5'>中", "big5");
}

static void declarations_that_lie_are_not_believed(void **state)
{
	(void)state;
	xml(STR("<?xml version='1.0' encoding='utf-16'?>\xc3\xa9"), NULL,
	    "<?xml version='1.0' encoding='utf-16'?>é", "utf-8");
	xml(STR("<a>\xc3\xa9"), "text/xml; charset=iso-8859-1", "<a>é", "utf-8");
	xml(STR("<a>\xc3\xa9"), "text/xml; charset=us-ascii", "<a>é", "utf-8");
	xml(STR("<a>\xc3\xa9"), "text/xml; charset=no-such-thing", "<a>é", "utf-8");
	xml(STR("<?xml encoding='euc-kr'?>\xb3\xe2"), "text/xml; charset=utf-8",
	    "<?xml encoding='euc-kr'?>년", "euc-kr");
}

static void bytes_that_are_no_utf8_are_windows_1252(void **state)
{
	(void)state;
	xml(STR("<a>\x93\xe9\x94"), NULL, "<a>“é”", "windows-1252");
	xml(STR("<?xml encoding='utf-8'?>\xc3\xa9 \xe9 \x85"), NULL,
	    "<?xml encoding='utf-8'?>é é …", "utf-8");
	xml(STR("<a>\xc0\xaf\x81"), "text/xml; charset=utf-8", "<a>À¯\uFFFD", "utf-8");
}

static void whatever_comes_the_result_is_utf8(void **state)
{
	(void)state;
	static const char *const said[] = {"utf-8", "utf-16", "euc-jp", "iso-2022-jp", "gb18030",
					   "utf-7", "big5",   "",       "x",           "cp1255"};
	unsigned seed = 1;
	for (int round = 0; round < 3000; round++) {
		char bytes[64], type[64], name[CHARSET_NAME];
		size_t n = (size_t)(round % 64);
		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			bytes[i] = (char)(seed >> 16);
		}
		snprintf(type, sizeof(type), "text/xml; charset=%s", said[round % 10]);
		_cleanup_buf_ struct buf out = {0};
		assert_int_equal(
		    charset_to_utf8(&out, (struct str){bytes, n}, CHARSET_HTML, type, name), 0);
		assert_true(text_valid(buf_str(&out)));
	}
}

static void a_full_buffer_is_told(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {.limit = 8};
	char name[CHARSET_NAME];
	assert_true(
	    charset_to_utf8(&out, STR("<?xml encoding='koi8-r'?>"), CHARSET_XML, NULL, name) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(byte_order_marks_decide_first),
	    cmocka_unit_test(the_look_of_wide_text_is_known),
	    cmocka_unit_test(headers_and_declarations_are_believed_when_they_fit),
	    cmocka_unit_test(declarations_that_lie_are_not_believed),
	    cmocka_unit_test(bytes_that_are_no_utf8_are_windows_1252),
	    cmocka_unit_test(whatever_comes_the_result_is_utf8),
	    cmocka_unit_test(a_full_buffer_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
