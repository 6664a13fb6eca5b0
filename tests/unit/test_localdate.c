/* Dates in the words of a locale. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "mail/localdate.h"

static json_t *words;

static int setup(void **state)
{
	(void)state;
	words = json_pack("{s:s,s:s,s:s,s:{s:s,s:s,s:s},s:{s:s,s:s,s:s}}", "pattern",
			  "{weekday}, {day} {month} {year}", "odd", "{day}{x}{{day", "none", "",
			  "weekdays", "1", "Montag", "4", "Donnerstag", "7", "Sonntag", "months",
			  "1", "Januar", "2", "Februar", "12", "Dezember");
	return words ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(words);
	return 0;
}

static const char *format(struct buf *out, const char *key, const char *date)
{
	buf_reset(out);
	assert_int_equal(localdate_format(words, key, str_of(date), out), 0);
	return buf_text(out);
}

static void days_have_their_names(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(format(&out, "pattern", "2024-02-29"), "Donnerstag, 29 Februar 2024");
	assert_string_equal(format(&out, "pattern", "2026-12-06T23:59:59Z"),
			    "Sonntag, 6 Dezember 2026");
	assert_string_equal(format(&out, "pattern", "2024-01-01 00:00"), "Montag, 1 Januar 2024");
	assert_string_equal(format(&out, "odd", "2024-01-01"), "1{x}{{day");
}

static void what_a_locale_lacks_is_left_as_a_number(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out = {0};
	assert_string_equal(format(&out, "none", "2026-11-24T10:00:00Z"), "2026-11-24");
	assert_string_equal(format(&out, "absent", "2026-11-24T10:00:00Z"), "2026-11-24");
	assert_int_equal(localdate_format(NULL, "pattern", STR("2026-11-24"), &out), 0);
	assert_string_equal(buf_text(&out), "2026-11-242026-11-24");
}

static void what_is_no_day_gives_nothing(void **state)
{
	(void)state;
	static const char *const bad[] = {"",           "2026-11",    "2026-02-29", "2026-13-01",
					  "2026-00-10", "2026-04-31", "26-11-2024", "2026/11/24",
					  "20x6-11-24", "2026-11-2 "};
	_cleanup_buf_ struct buf out = {0};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		assert_false(localdate_is(str_of(bad[i])));
		assert_string_equal(format(&out, "pattern", bad[i]), "");
	}
	assert_true(localdate_is(STR("2024-02-29")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(days_have_their_names),
	    cmocka_unit_test(what_a_locale_lacks_is_left_as_a_number),
	    cmocka_unit_test(what_is_no_day_gives_nothing),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
