/* The text part of an article. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "news/html.h"
#include "news/totext.h"
#include "testfile.h"

static void convert(struct str html, unsigned width, struct buf *out)
{
	_cleanup_buf_ struct buf clean = {0};
	assert_int_equal(html_clean(html, "https://news.example/2026/", &clean, NULL), 0);
	assert_int_equal(html_to_text(buf_str(&clean), width, out), 0);
	assert_null(strstr(buf_text(out), " \n"));
	assert_null(strstr(buf_text(out), "\n\n\n"));
}

static void text_is(unsigned width, const char *html, const char *expected)
{
	_cleanup_buf_ struct buf out = {0};
	convert(str_of(html), width, &out);
	assert_string_equal(buf_text(&out), expected);
}

static void a_post_reads_well(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf in = {0}, expected = {0}, out = {0};
	testfile_read("tests/data/html/feed.html", &in);
	testfile_read("tests/data/html/feed.txt", &expected);
	convert(buf_str(&in), 72, &out);
	assert_string_equal(buf_text(&out), buf_text(&expected));
}

static void lines_are_wrapped_by_columns(void **state)
{
	(void)state;
	text_is(20, "<p>one two three four five six</p>", "one two three four\nfive six\n");
	text_is(20, "12345678901234567890 12345678901234567890 1",
		"12345678901234567890\n12345678901234567890\n1\n");
	text_is(20, "see https://a.example/a-long-address/without-end now",
		"see\nhttps://a.example/a-long-address/without-end\nnow\n");
	text_is(20, "漢字かな交じり文を書く、一行は十字。",
		"漢字かな交じり文を書\nく、一行は十字。\n");
	text_is(20, "一二三四五六七八九十、次", "一二三四五六七八九\n十、次\n");
	text_is(20,
		"<p>e&#768;&#769;e&#768;&#769;e&#768;&#769;e&#768;&#769; bbbbb ccccc ddddd e</p>",
		"è\u0301è\u0301è\u0301è\u0301 bbbbb ccccc\nddddd e\n");
	text_is(20, "کلاؤڈ کمپیوٹنگ ایک ماڈل ہے جو", "کلاؤڈ کمپیوٹنگ ایک\nماڈل ہے جو\n");
}

static void links_are_numbered(void **state)
{
	(void)state;
	text_is(72,
		"<p><a href='https://a.example/'>One</a>, <a href='/two'>two</a>, "
		"<a href='https://a.example/'>one again</a>, <a href='https://a.example/x'>"
		"a.example/x</a>, <a href='mailto:a@b.example'>a@b.example</a>, "
		"<a href='/i'><img src=i.png alt='A map'></a><a href='/j'><img src=j.png></a></p>",
		"One [1], two [2], one again [1], a.example/x, a@b.example, [A map] [3]\n\n"
		"[1] https://a.example/\n[2] https://news.example/two\n"
		"[3] https://news.example/i\n");
}

static void lists_and_quotations_nest(void **state)
{
	(void)state;
	text_is(30,
		"<p>List:<ol start=9><li>nine<li><p>ten</p><p>and more of ten, wrapped below</p>"
		"<ul><li>deep</ul><li>eleven</ol><p>End",
		"List:\n\n9. nine\n10. ten\n\n    and more of ten, wrapped\n    below\n    - deep\n"
		"11. eleven\n\nEnd\n");
	text_is(30, "a<blockquote><p>b</p><blockquote>c</blockquote><ul><li>d</ul></blockquote>e",
		"a\n\n> b\n>\n> > c\n>\n> - d\n\ne\n");
	text_is(30, "<dl><dt>Term<dd>What it means, at some length<dt>Next<dd>x</dl>",
		"Term\n    What it means, at some\n    length\n\nNext\n    x\n");
}

static void headings_rules_and_pre_are_marked(void **state)
{
	(void)state;
	text_is(20, "<h1>Top</h1>a<h3>漢字</h3><hr><pre>  x\n\n\ty\n</pre>",
		"Top\n===\n\na\n\n漢字\n----\n\n--------------------\n\n  x\n\n\ty\n");
	text_is(20, "a<br>b<q>c</q><h2></h2>", "a\nb“c”\n");
}

static void tables_are_readable(void **state)
{
	(void)state;
	text_is(40,
		"<table><caption>Costs</caption><tr><th>Year<th>Town<tr><td>2017<td>漢字"
		"<tr><td>1<td><p>B <a href=/x>c</a></p></table>",
		"Costs\n\nYear  Town\n----  -------\n2017  漢字\n1     B c [1]\n\n"
		"[1] https://news.example/x\n");
	text_is(24,
		"<table><tr><th>Year<th>Remark<tr><td>2017<td>far too long for two columns"
		"<tr><td>2018<td></table>",
		"Year: 2017\nRemark: far too long\n  for two columns\n\nYear: 2018\n");
	text_is(24, "<table><tr><td><table><tr><td>a<td>b</table><tr><td><p>c</table>",
		"a  b\n\nc\n");
}

static void anything_else_does_no_harm(void **state)
{
	(void)state;
	static const char *const odd[] = {
	    "",
	    "<",
	    "</p></li></ul></blockquote>",
	    "<li><table><td>",
	    "<a href=\"x\">y<p>",
	    "<img>",
	    "<ol start=\"\"><li>x",
	    "<table><tr></table>",
	    "&",
	    "<pre>",
	};
	for (size_t i = 0; i < ELEMENTS(odd); i++) {
		_cleanup_buf_ struct buf out = {0};
		assert_int_equal(html_to_text(str_of(odd[i]), 72, &out), 0);
	}
	_cleanup_buf_ struct buf full = {.limit = 5};
	assert_int_equal(html_to_text(STR("<p>longer than that</p>"), 72, &full), -EOVERFLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_post_reads_well),
	    cmocka_unit_test(lines_are_wrapped_by_columns),
	    cmocka_unit_test(links_are_numbered),
	    cmocka_unit_test(lists_and_quotations_nest),
	    cmocka_unit_test(headings_rules_and_pre_are_marked),
	    cmocka_unit_test(tables_are_readable),
	    cmocka_unit_test(anything_else_does_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
