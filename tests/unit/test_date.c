/* Dates of feeds, right and wrong. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>

#include "news/date.h"

static void holds(const char *text, const char *expected)
{
	char found[CLOCK_TEXT];
	usec_t moment = date_parse(str_of(text));
	const char *got = moment ? clock_text(moment, found) : "none";
	if (strncmp(got, expected, strlen(expected)) != 0)
		fail_msg("\"%s\" is %s, not %s", text, got, expected);
}

static void rfc822_in_its_broken_forms(void **state)
{
	(void)state;
	holds("Thu, 01 Jan 2004 19:48:21 GMT", "2004-01-01T19:48:21.");
	holds("Thu, 01 Jan 04 19:48 GMT", "2004-01-01T19:48:00.");
	holds("01 Jan 99 19:48:21 UT", "1999-01-01T19:48:21.");
	holds("01 Jan 49 00:00 GMT", "2049-01-01T00:00:00.");
	holds("01 Jan 72 00:00 GMT", "1972-01-01T00:00:00.");
	holds("1 Jan 104 00:00:00 GMT", "2004-01-01T00:00:00.");
	holds("Sat, 5 Apr 2012 10:00:00 +0200", "2012-04-05T08:00:00."); /* a Thursday */
	holds("Thursday, 5 April 2012 10:00:00 -05:30", "2012-04-05T15:30:00.");
	holds("Thu, 05 Apr 2012 10:00:00 EST", "2012-04-05T15:00:00.");
	holds("Thu, 05 Apr 2012 10:00:00 cest", "2012-04-05T08:00:00.");
	holds("Thu, 05 Apr 2012 10:00:00 Atlantis", "2012-04-05T10:00:00.");
	holds("Thu, 05 Apr 2012 10:00:00 GMT+0200", "2012-04-05T08:00:00.");
	holds("05-Apr-2012 10:00", "2012-04-05T10:00:00.");
	holds("Thu,05 Apr 2012", "2012-04-05T00:00:00.");
	holds("April 5th, 2012 3:04 PM EDT", "2012-04-05T19:04:00.");
	holds("Sun Jan  4 16:29:06 PST 2004", "2004-01-05T00:29:06.");
	holds("Sun, 31 Dec 2003 24:00:00 GMT", "2004-01-01T00:00:00.");
	holds("Sat, 31 Dec 2016 23:59:60 GMT", "2017-01-01T00:00:00.");
	holds("29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.");
	holds("  Tue, 03 Sept 2013 01:02:03 Z\n", "2013-09-03T01:02:03.");
}

static void w3cdtf_in_every_precision(void **state)
{
	(void)state;
	holds("2003-12-31T10:14:55Z", "2003-12-31T10:14:55.000000");
	holds("2003-12-31t10:14:55.1234567z", "2003-12-31T10:14:55.123456");
	holds("2003-12-31T10:14:55,5+02:00", "2003-12-31T08:14:55.500000");
	holds("2003-12-31T10:14-0800", "2003-12-31T18:14:00.");
	holds("2003-12-31 10:14:55 +01", "2003-12-31T09:14:55.");
	holds("2003-12-31 10:14:55 EST", "2003-12-31T15:14:55.");
	holds("2003-12-31", "2003-12-31T00:00:00.");
	holds("2003-12", "2003-12-01T00:00:00.");
	holds("2003", "2003-01-01T00:00:00.");
	holds("20031231", "2003-12-31T00:00:00.");
	holds("20031231T101455Z", "2003-12-31T10:14:55.");
	holds("2003-365", "2003-12-31T00:00:00.");
	holds("03-12-31", "2003-12-31T00:00:00.");
	holds("31-12-2003", "2003-12-31T00:00:00.");
	holds("2003/12/31 10:14", "2003-12-31T10:14:00.");
}

static void nonsense_is_no_date(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    "yesterday",
	    "2003-13-01",
	    "2003-02-29",
	    "2003-12-32",
	    "1969-12-31",
	    "31 Feb 2004 00:00 GMT",
	    "2003-12-31T25:00:00Z",
	    "Thu, 01 Jan 2004 19:61:00 GMT",
	    "99999999999",
	    "12:00:00",
	    "0000-00-00T00:00:00Z",
	    "Jan",
	    "1 2 3 4 5 6",
	    "-",
	    "2003-000",
	    "\xff\xfe",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		holds(bad[i], "none");
	char lengthy[4096];
	memset(lengthy, '1', sizeof(lengthy));
	assert_int_equal(date_parse((struct str){lengthy, sizeof(lengthy)}), 0);
}

static void every_day_of_four_centuries_is_the_day_after(void **state)
{
	(void)state;
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	usec_t expected = 0;
	for (int year = 1970; year < 2370; year++)
		for (int month = 1; month <= 12; month++) {
			bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
			int last = days[month - 1] + (leap && month == 2);
			for (int day = 1; day <= last; day++) {
				char text[40];
				snprintf(text, sizeof(text), "%04d-%02d-%02dT00:00:01Z", year,
					 month, day);
				assert_int_equal(date_parse(str_of(text)), expected + 1000000);
				expected += UINT64_C(86400000000);
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rfc822_in_its_broken_forms),
	    cmocka_unit_test(w3cdtf_in_every_precision),
	    cmocka_unit_test(nonsense_is_no_date),
	    cmocka_unit_test(every_day_of_four_centuries_is_the_day_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
