/* The building blocks: buffer, arena, views, reasons, clock. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/why.h"

static void buf_grows_and_keeps_a_nul(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b = {0};
	assert_string_equal(buf_text(&b), "");
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf_printf(&b, "%d,", i), 0);
	assert_int_equal(strlen(buf_text(&b)), b.len);
	buf_truncate(&b, 4);
	buf_drop(&b, 2);
	assert_string_equal(buf_text(&b), "1,");
}

static void buf_error_sticks_at_its_limit(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b = {.limit = 8};
	assert_int_equal(buf_adds(&b, "12345678"), 0);
	assert_int_equal(buf_addc(&b, '9'), -EOVERFLOW);
	buf_truncate(&b, 0);
	assert_int_equal(buf_addc(&b, 'x'), -EOVERFLOW);
	assert_null(buf_steal(&b, NULL));
	buf_reset(&b);
	assert_int_equal(buf_addc(&b, 'x'), 0);
}

static void buf_steal_hands_the_bytes_over(void **state)
{
	(void)state;
	struct buf b = {0};
	size_t len = 99;
	_cleanup_free_ char *empty = buf_steal(&b, &len);
	assert_string_equal(empty, "");
	assert_int_equal(len, 0);
	buf_adds(&b, "abc");
	_cleanup_free_ char *text = buf_steal(&b, &len);
	assert_string_equal(text, "abc");
	assert_int_equal(b.len, 0);
	assert_null(b.data);
}

static void arena_keeps_what_it_gave(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	char *first = arena_strdup(&a, "first");
	char *large = arena_alloc(&a, 100000);
	memset(large, 'x', 100000);
	for (int i = 0; i < 5000; i++)
		assert_non_null(arena_printf(&a, "%d", i));
	assert_string_equal(first, "first");
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
	assert_null(arena_strdup(&a, NULL));
	assert_int_equal((uintptr_t)arena_alloc(&a, 1) % _Alignof(max_align_t), 0);
}

static void views_cut_and_compare(void **state)
{
	(void)state;
	struct str before, rest;
	assert_true(str_cut(STR("key=a=b"), '=', &before, &rest));
	assert_true(str_is(before, "key") && str_is(rest, "a=b"));
	assert_false(str_cut(STR("key"), '=', &before, &rest));
	assert_false(str_cut(STR(""), '=', &before, &rest));
	rest = STR("a,,b");
	assert_true(str_is(str_take(&rest, ','), "a") && str_is(rest, ",b"));
	assert_true(str_is(str_take(&rest, ','), "") && str_is(rest, "b"));
	assert_true(str_is(str_take(&rest, ','), "b") && rest.n == 0);
	assert_true(str_is(str_take(&rest, ','), ""));
	assert_true(str_is(str_trim(STR(" \t a b\r\n")), "a b"));
	assert_true(str_is(str_trim(STR("  ")), ""));
	assert_true(str_case_is(STR("Starttls"), "STARTTLS"));
	assert_true(str_case_ends(STR("Note.MD"), ".md"));
	assert_false(str_case_ends(STR("md"), ".md"));
	assert_false(str_case_ends(STR("note.md5"), ".md"));
	assert_true(str_is(str_from(STR("abc"), 7), ""));
	assert_true(str_eq(str_of(NULL), STR("")));
}

static void a_name_is_small_and_short(void **state)
{
	(void)state;
	static const char *const names[] = {"a", "0", "a-", "the-news-2"};
	static const char *const others[] = {"", "-a", "A", "a b", "a_b", "a/b", "\xc3\xa9"};
	char text[STR_NAME + 1];
	for (size_t i = 0; i < ELEMENTS(names); i++)
		assert_true(str_is_name(str_of(names[i])));
	for (size_t i = 0; i < ELEMENTS(others); i++)
		assert_false(str_is_name(str_of(others[i])));
	memset(text, 'a', sizeof(text));
	assert_true(str_is_name((struct str){text, STR_NAME}));
	assert_false(str_is_name((struct str){text, STR_NAME + 1}));
	assert_false(str_is_name((struct str){"a\0", 2}));
}

static void reasons_are_cut_visibly(void **state)
{
	(void)state;
	struct why why;
	assert_int_equal(why_set(&why, -EINVAL, "line %d", 4), -EINVAL);
	why_prefix(&why, -EINVAL, "file: ");
	assert_string_equal(why.text, "file: line 4");
	char longer[700];
	memset(longer, 'x', sizeof(longer));
	longer[699] = '\0';
	why_set(&why, -1, "%s", longer);
	assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
	assert_string_equal(why.text + strlen(why.text) - 3, "...");
	assert_int_equal(why_set(NULL, -EIO, "x"), -EIO);
}

static void clock_text_is_utc(void **state)
{
	(void)state;
	char text[CLOCK_TEXT];
	assert_string_equal(clock_text(UINT64_C(1774746000000001), text),
			    "2026-03-29T01:00:00.000001Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(buf_grows_and_keeps_a_nul),
	    cmocka_unit_test(buf_error_sticks_at_its_limit),
	    cmocka_unit_test(buf_steal_hands_the_bytes_over),
	    cmocka_unit_test(arena_keeps_what_it_gave),
	    cmocka_unit_test(views_cut_and_compare),
	    cmocka_unit_test(a_name_is_small_and_short),
	    cmocka_unit_test(reasons_are_cut_visibly),
	    cmocka_unit_test(clock_text_is_utc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
