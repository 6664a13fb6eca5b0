/* Unicode: validity, repair, NFC, width, excerpts, direction. */
#include "unit.h"

#include <errno.h>
#include <time.h>

#include "base/text.h"

static void check(int (*fn)(struct str, struct buf *), struct str in, const char *expected)
{
	_cleanup_buf_ struct buf out = {0};
	assert_int_equal(fn(in, &out), 0);
	assert_string_equal(buf_text(&out), expected);
}

static void utf8_is_strict(void **state)
{
	(void)state;
	assert_true(text_valid(STR("")));
	assert_true(text_valid(STR("aé€😀\xF4\x8F\xBF\xBF")));
	assert_false(text_valid(STR("\xC0\xAF")));
	assert_false(text_valid(STR("\xE0\x80\xAF")));
	assert_false(text_valid(STR("\xED\xA0\x80")));
	assert_false(text_valid(STR("\xF4\x90\x80\x80")));
	assert_false(text_valid(STR("\x80")));
	assert_false(text_valid(STR("\xE2\x82")));
}

static void broken_bytes_and_controls_are_repaired(void **state)
{
	(void)state;
	check(text_repair, STR("a\xFFz"), "a\xEF\xBF\xBDz");
	check(text_repair, STR("\xEF\xBB\xBFx\0y\x1B[0m\x7F"), "xy[0m");
	check(text_repair, STR("a\r\nb\rc\td"), "a\nb\nc\td");
	check(text_repair, STR("it\xC2\x92s \xC2\x93so\xC2\x94\xC2\x81"), "it’s “so”");
	check(text_repair, STR("a\u202Egpj.exe\uFFFE"), "agpj.exe");
	check(text_repair, STR("می\u200Cخواهم \u200F"), "می\u200Cخواهم \u200F");
}

static void text_becomes_nfc(void **state)
{
	(void)state;
	check(text_clean, STR("Cafe\u0301 \u1100\u1161"), "Café 가");
	check(text_clean, STR("a\u0323\u0307 a\u0307\u0323"), "ạ\u0307 ạ\u0307");
	check(text_line, STR("  a\n\t b\u00A0 c  "), "a b\u00A0 c");
	/* also across the pieces that are normalised at once */
	_cleanup_buf_ struct buf in = {0}, out = {0};
	for (int i = 0; i < 5000; i++)
		buf_adds(&in, "e\u0301e ");
	assert_int_equal(text_nfc(buf_str(&in), &out), 0);
	assert_int_equal(out.len, 5000 * strlen("ée "));
	assert_null(strstr(buf_text(&out), "\u0301"));
}

static void piles_of_marks_are_cut_in_good_time(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf in = {0}, out = {0}, again = {0};
	buf_adds(&in, "q");
	for (int i = 0; i < 200000; i++)
		buf_adds(&in, i % 2 ? "\u0316" : "\u0344");
	buf_adds(&in, "y");
	clock_t start = clock();
	assert_int_equal(text_nfc(buf_str(&in), &out), 0);
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
	assert_int_equal(out.len, 1 + 32 * 2 + 1);
	assert_int_equal(text_nfc(buf_str(&out), &again), 0);
	assert_string_equal(buf_text(&again), buf_text(&out));
}

static void width_counts_columns(void **state)
{
	(void)state;
	assert_int_equal(text_width(STR("abc")), 3);
	assert_int_equal(text_width(STR("漢字")), 4);
	assert_int_equal(text_width(STR("e\u0301\u200B")), 1);
	assert_int_equal(text_width(STR("کلاؤڈ")), 5);
	assert_int_equal(text_width(STR("😀")), 2);
	assert_true(str_is(text_head(STR("漢字ab"), 3), "漢"));
	assert_true(str_is(text_head(STR("e\u0301x"), 1), "e\u0301"));
}

static void excerpts_end_with_a_word(void **state)
{
	(void)state;
	const struct {
		const char *in;
		size_t most;
		const char *expected;
	} cases[] = {
	    {"short", 20, "short"},
	    {"exactly ten", 11, "exactly ten"},
	    {"one two three four", 10, "one two…"},
	    {"one two\n three four", 14, "one two three…"},
	    {"Supercalifragilistic", 6, "Super…"},
	    {"漢字漢字漢字", 4, "漢字漢…"},
	    {"aaaae\u0301\u0323bbbb", 6, "aaaa…"},
	    {"", 5, ""},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_buf_ struct buf out = {0};
		assert_int_equal(text_excerpt(str_of(cases[i].in), cases[i].most, &out), 0);
		assert_string_equal(buf_text(&out), cases[i].expected);
	}
}

static void direction_is_that_of_the_first_letter(void **state)
{
	(void)state;
	assert_int_equal(text_direction(STR("123 - ")), TEXT_NEUTRAL);
	assert_int_equal(text_direction(STR("1. کنٹینرز(Containers)")), TEXT_RTL);
	assert_int_equal(text_direction(STR("\"Shalom\" שלום")), TEXT_LTR);
	assert_int_equal(text_direction(STR("\u200Fabc")), TEXT_RTL);
}

static void shown_text_does_nothing_to_a_terminal(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_int_equal(text_shown(STR("a\n\x1b[1m\x7f\0\xc2\x9b\xff\xc3\xa9"), &out), 0);
	assert_string_equal(buf_text(&out), "a\\x0a\\x1b[1m\\x7f\\x00\\x9b\xef\xbf\xbd\xc3\xa9");
}

static void a_full_buffer_is_told(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {.limit = 4};
	assert_int_equal(text_clean(STR("Cafe\u0301s"), &out), -EOVERFLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(utf8_is_strict),
	    cmocka_unit_test(broken_bytes_and_controls_are_repaired),
	    cmocka_unit_test(text_becomes_nfc),
	    cmocka_unit_test(piles_of_marks_are_cut_in_good_time),
	    cmocka_unit_test(width_counts_columns),
	    cmocka_unit_test(excerpts_end_with_a_word),
	    cmocka_unit_test(direction_is_that_of_the_first_letter),
	    cmocka_unit_test(shown_text_does_nothing_to_a_terminal),
	    cmocka_unit_test(a_full_buffer_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
