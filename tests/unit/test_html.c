/* Cleaning HTML: what survives, what doesn't, and that the result is stable. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/text.h"
#include "news/html.h"
#include "news/markup.h"
#include "news/url.h"
#include "testfile.h"

static void clean_is(const char *in, const char *expected)
{
	_cleanup_buf_ struct buf once = {0}, twice = {0};
	struct why why = {""};
	assert_int_equal(html_clean(str_of(in), "https://example.org/a/b.html", &once, &why), 0);
	assert_string_equal(buf_text(&once), expected);
	assert_int_equal(html_clean(buf_str(&once), NULL, &twice, &why), 0);
	assert_string_equal(buf_text(&twice), expected);
}

static void a_post_is_cleaned(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf in = {0}, expected = {0}, out = {0};
	testfile_read("tests/data/html/feed.html", &in);
	testfile_read("tests/data/html/feed.clean.html", &expected);
	assert_int_equal(html_clean(buf_str(&in), "https://news.example/2026/", &out, NULL), 0);
	assert_string_equal(buf_text(&out), buf_text(&expected));
}

/* The shapes of the well-known cheat sheets; nothing of them may be left but text. */
static void scripts_find_no_way_in(void **state)
{
	(void)state;
	static const char *const attacks[] = {
	    "<script>alert(1)</script>",
	    "<SCRIPT SRC=http://evil.example/xss.js></SCRIPT>",
	    "<scr<script>ipt>alert(1)</scr</script>ipt>",
	    "<script/xss src=\"http://evil.example/x.js\"></script>",
	    "<<script>alert(1);//<</script>",
	    "<script\x0d\x0a>alert(1)</script\x0a>",
	    "<img src=\"javascript:alert(1)\">",
	    "<img src=JaVaScRiPt:alert(1)>",
	    "<img src=`javascript:alert(1)`>",
	    "<img src=x:x onerror=alert(1)>",
	    "<img src='x:x'onerror='alert(1)'>",
	    "<img \"\"\"><script>alert(1)</script>\">",
	    "<img src=&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)>",
	    "<img src=&#0000106&#0000097&#0000118&#0000097&#0000115:alert(1)>",
	    "<img src=\"jav\tascript:alert(1)\">",
	    "<img src=\"jav&#x09;ascript:alert(1)\">",
	    "<img src=\"jav&#x0A;ascript:alert(1)\">",
	    "<img src=\" &#14; javascript:alert(1)\">",
	    "<a href=\"javascript&colon;alert(1)\">x</a>",
	    "<a href=\"java\0script:alert(1)\">x</a>",
	    "<a href=\"vbscript:msgbox(1)\">x</a>",
	    "<a href=\"data:text/html;base64,PHNjcmlwdD4=\">x</a>",
	    "<a href=\"\x01javascript:alert(1)\">x</a>",
	    "<a href=\"feed:javascript:alert(1)\">x</a>",
	    "<a href=\"view-source:javascript:alert(1)\">x</a>",
	    "<a href=javascript:alert(1) href=javascript:alert(2)>x</a>",
	    "<a xlink:href=\"javascript:alert(1)\">x</a>",
	    "<a onmouseover=alert(1) style=\"x:expression(alert(1))\">x</a>",
	    "<svg/onload=alert(1)>",
	    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
	    "<svg><style><img src=x onerror=alert(1)></style></svg>",
	    "<math><mtext><table><mglyph><style><img src=x: onerror=alert(1)></style></math>",
	    "<noscript><p title=\"</noscript><img src=x: onerror=alert(1)>\"></noscript>",
	    "<title><img title=\"</title><img src=x: onerror=alert(1)>\"></title>",
	    "<textarea><img title=\"</textarea><img src=x: onerror=alert(1)>\"></textarea>",
	    "<xmp><p title=\"</xmp><svg/onload=alert(1)>\"></xmp>",
	    "<style><!--</style><script>alert(1)//--></script>",
	    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
	    "<!--><script>alert(1)</script>-->",
	    "<! foo=\"><script>alert(1)</script>\">",
	    "<? foo=\"><script>alert(1)</script>\">",
	    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
	    "<iframe src=\"javascript:alert(1)\"></iframe>",
	    "<object data=\"javascript:alert(1)\"><param name=movie "
	    "value=javascript:alert(1)></object>",
	    "<embed src=\"data:image/svg+xml;base64,PHN2Zz4=\">",
	    "<video poster=javascript:alert(1)><source onerror=alert(1)></video>",
	    "<form action=javascript:alert(1)><input type=submit></form>",
	    "<button formaction=javascript:alert(1)>x</button>",
	    "<isindex action=javascript:alert(1) type=image>",
	    "<body onload=alert(1) background=javascript:alert(1)>",
	    "<link rel=stylesheet href=javascript:alert(1)>",
	    "<meta http-equiv=refresh content=\"0;url=javascript:alert(1)\">",
	    "<base href=\"javascript:alert(1);//\">",
	    "<details open ontoggle=alert(1)>x</details>",
	    "<template><script>alert(1)</script></template>",
	    "<marquee onstart=alert(1)>x</marquee>",
	    "<q cite=javascript:alert(1)>x</q>",
	    "<x contenteditable onblur=alert(1)>x</x>",
	    "<table background=javascript:alert(1)><td background=javascript:alert(1)>x",
	    "<a href='https://x.example/\"onmouseover=alert(1) x=\"'>x</a>",
	    "<img alt='\"><script>alert(1)</script>' src=a>",
	    "<a ping=https://evil.example href=https:/javascript:alert(1)>x</a>",
	};
	for (size_t i = 0; i < ELEMENTS(attacks); i++) {
		_cleanup_buf_ struct buf out = {0};
		assert_int_equal(html_clean(str_of(attacks[i]), "https://example.org/", &out, NULL),
				 0);
		struct markup piece;
		for (struct str rest = buf_str(&out); markup_next(&rest, &piece);) {
			if (piece.kind == MARKUP_TEXT)
				continue;
			struct str value;
			assert_int_not_equal(piece.tag, T_NONE);
			if (markup_attribute(piece.attributes, "href", &value) ||
			    markup_attribute(piece.attributes, "src", &value))
				assert_true(str_starts(value, "https://"));
			static const char *const bad[] = {"onerror", "onmouse", "style", "srcdoc",
							  "ping"};
			for (size_t k = 0; k < ELEMENTS(bad); k++)
				assert_false(markup_attribute(piece.attributes, bad[k], &value));
		}
	}
}

static void broken_nesting_becomes_sound(void **state)
{
	(void)state;
	clean_is("<b>bold <p>para</b> rest", "<p><b>bold</b></p>\n<p>para rest</p>\n");
	clean_is("<a href=x><h2>Title</h2>text</a>",
		 "<h2><a href=\"https://example.org/a/x\">Title</a></h2>\n"
		 "<p><a href=\"https://example.org/a/x\">text</a></p>\n");
	clean_is("x<i>y<td>z</i>", "<p>x<i>y</i></p>\n<p>z</p>\n");
	clean_is("<li>a<li>b</li>c", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n<p>c</p>\n");
	clean_is("<ul>a<p>b</ul>", "<ul>\n<li>a<p>b</p>\n</li>\n</ul>\n");
	clean_is("<table>a<tr>b</table>", "<table>\n<tr>\n<td>a</td>\n</tr>\n<tr>\n<td>b</td>\n"
					  "</tr>\n</table>\n");
	clean_is("</p></div></b>a", "<p>a</p>\n");
	clean_is("<p>a<p>b</p></p>c", "<p>a</p>\n<p>b</p>\n<p>c</p>\n");
	clean_is("<li><div>a</div><div>b</div></li>", "<ul>\n<li>a<br>\nb</li>\n</ul>\n");
	clean_is("<a href=1>x<b><a href=2>y", "<p><a href=\"https://example.org/a/1\">x<b>y</b></a>"
					      "</p>\n");
	clean_is("", "");
	clean_is(" <b> </b><p> <br> </p>&nbsp;", "");
}

static void white_space_is_collapsed(void **state)
{
	(void)state;
	clean_is("  a \n b <b> c </b> d  ", "<p>a b <b>c</b> d</p>\n");
	clean_is("a<br> <br>\n<br>b<br>", "<p>a</p>\n<p>b</p>\n");
	clean_is("<p><br>a<br/>\nb</p>", "<p>a<br>\nb</p>\n");
	clean_is("<pre>\n\n  a\n\tb <i>c</i>\n\n</pre>", "<pre>  a\n\tb <i>c</i></pre>\n");
	clean_is("<pre>a<br>b<div>c</div></pre>", "<pre>a\nb\nc</pre>\n");
}

static void text_is_utf8_and_nfc_and_escaped(void **state)
{
	(void)state;
	clean_is("1 < 2 &amp;&amp; \"3\" > 2 &lt;b&gt;", "<p>1 &lt; 2 &amp;&amp; \"3\" &gt; 2 "
							 "&lt;b&gt;</p>\n");
	clean_is("caf\xC3\xA9 Cafe<span>&#769;</span> \xFF &#146; &eacute;&hellip;",
		 "<p>café Café \xEF\xBF\xBD ’ é…</p>\n");
	/* a combining stroke must not swallow the tag before it */
	clean_is("<b>&#824;x</b>", "<p><b>&#824;x</b></p>\n");
	clean_is("e<b></b>&#769;", "<p>é</p>\n");
	clean_is("<![CDATA[a <b> & c]]>", "<p>a &lt;b&gt; &amp; c</p>\n");
	clean_is("<abbr title='a \"b\" <c>'>x</abbr>",
		 "<p><abbr title=\"a &quot;b&quot; &lt;c&gt;\">x</abbr></p>\n");
}

static void pictures_are_real_ones(void **state)
{
	(void)state;
	clean_is("<img src=//c.example/a.png width=100% height=20>",
		 "<p><img src=\"https://c.example/a.png\" alt=\"\" height=\"20\"></p>\n");
	clean_is("<img src=a.png width=1 height=1><img src=a.png height=0>"
		 "<img src=a.png style='display : none'><img src='data:image/gif;base64,R0='>",
		 "");
	clean_is("<img src=grey.gif data-src=a.png alt=A><noscript><img src=a.png alt=A>"
		 "<p>no</p></noscript>",
		 "<p><img src=\"https://example.org/a/a.png\" alt=\"A\"></p>\n");
	clean_is("<noscript><img src=b.png></noscript>",
		 "<p><img src=\"https://example.org/a/b.png\" alt=\"\"></p>\n");
	clean_is("<picture><source srcset=x.webp><img srcset='/s.jpg 1x, /l.jpg 2x'></picture>",
		 "<p><img src=\"https://example.org/s.jpg\" alt=\"\"></p>\n");
}

static void embedded_media_become_links(void **state)
{
	(void)state;
	clean_is("a<iframe src=//v.example/1>no</iframe>b",
		 "<p>a</p>\n<p><a href=\"https://v.example/1\">https://v.example/1</a></p>\n"
		 "<p>b</p>\n");
	clean_is("<object><param name=movie value=/m.swf><embed src=/n.swf></object>",
		 "<p><a href=\"https://example.org/m.swf\">https://example.org/m.swf</a></p>\n");
	clean_is("<embed src=/n.swf>after", "<p><a href=\"https://example.org/n.swf\">"
					    "https://example.org/n.swf</a></p>\n<p>after</p>\n");
	clean_is("<iframe src=/t width=1 height=1></iframe><iframe src=/x />y",
		 "<p><a href="
		 "\"https://example.org/x\">https://example.org/x</a></p>\n<p>y</p>\n");
}

static void addresses_are_absolute_and_plain(void **state)
{
	(void)state;
	static const struct {
		const char *in, *base, *expected;
	} cases[] = {
	    {"x/y?z#f", "http://h.example/a/b", "http://h.example/a/x/y?z#f"},
	    {"../../x", "http://h.example/a/b", "http://h.example/x"},
	    {"//c.example/x", "http://h.example/", "http://c.example/x"},
	    {"//c.example/x", NULL, "https://c.example/x"},
	    {"?q=1", "https://h.example/a", "https://h.example/a?q=1"},
	    {"x", NULL, NULL},
	    {"#top", "https://h.example/a", NULL},
	    {" HTTPS://h.example/a b\n", NULL, "https://h.example/a%20b"},
	    {"https://h.example/\xC3\xA9%20%zz", NULL, "https://h.example/%C3%A9%20%25zz"},
	    {"https://b\xC3\xBC"
	     "cher.example/x",
	     NULL, "https://xn--bcher-kva.example/x"},
	    {"https://[2001:db8::1]:8080/x", NULL, "https://[2001:db8::1]:8080/x"},
	    {"https:\\\\evil.example", NULL, NULL},
	    {"https:///x", NULL, NULL},
	    {"https://:80/x", NULL, NULL},
	    {"ht\ntps://h.example/\"<>", NULL, "https://h.example/%22%3C%3E"},
	    {"mailto:a@b.example?subject=x y", NULL, "mailto:a@b.example?subject=x%20y"},
	    {"mailto:", NULL, NULL},
	    {"ftp://h.example/x", NULL, NULL},
	    {"12:30", "https://h.example/a", NULL},
	    {"javascript:x", "https://h.example/a", NULL},
	    {"x", "file:///etc/passwd", NULL},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_buf_ struct buf out = {0}, again = {0};
		int r = url_clean(str_of(cases[i].in), cases[i].base, URL_LINK, &out);
		assert_int_equal(r, cases[i].expected ? 0 : -EINVAL);
		assert_string_equal(buf_text(&out), cases[i].expected ? cases[i].expected : "");
		if (r == 0)
			assert_int_equal(url_clean(buf_str(&out), NULL, URL_LINK, &again), 0);
		assert_string_equal(buf_text(&again), buf_text(&out));
	}
	char *none;
	assert_int_equal(url_content("mailto:a@b.example", NULL, &none), 0);
	assert_null(none);
}

static void depth_and_size_are_bounded(void **state)
{
	(void)state;
	static const struct {
		const char *open, *close;
		int times, result;
	} cases[] = {
	    {"<div>", "</div>", 10000, 0},      {"<div dir=rtl>", "x", 10000, 0},
	    {"<b>", "</i>", 300000, 0},         {"<ul><li>", "", 100000, 0},
	    {"<table><tr><td>", "", 100000, 0}, {"<blockquote>x", "", 100000, 0},
	    {"<a href=x>y<p>", "", 200000, 0},  {"<!--", "", 300000, 0},
	    {"<script>", "</", 300000, 0},      {"</p>", "<", 300000, 0},
	    {"<pre>\n", "<br>", 200000, 0},     {"&lt;&amp;", "&#x41;", 300000, 0},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_buf_ struct buf in = {0}, out = {0}, again = {0};
		for (int k = 0; k < cases[i].times; k++)
			buf_adds(&in, cases[i].open);
		buf_adds(&in, "text");
		for (int k = 0; k < cases[i].times; k++)
			buf_adds(&in, cases[i].close);
		clock_t start = clock();
		int r = html_clean(buf_str(&in), "https://h.example/", &out, NULL);
		assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
		assert_int_equal(r, cases[i].result);
		assert_int_equal(html_clean(buf_str(&out), NULL, &again, NULL), 0);
		assert_true(str_eq(buf_str(&out), buf_str(&again)));
	}
}

static void what_is_too_much_is_refused(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf in = {0}, out = {0};
	struct why why = {""};
	buf_adds(&in, "<p ");
	for (int i = 0; i < 200000; i++)
		buf_printf(&in, "a%d ", i);
	buf_adds(&in, ">x");
	assert_int_equal(html_clean(buf_str(&in), NULL, &out, &why), -EINVAL);
	assert_string_equal(why.text, "a <p> with more than 500 attributes");

	buf_reset(&in);
	while (in.len <= HTML_LARGEST)
		buf_adds(&in, "0123456789abcdef");
	assert_int_equal(html_clean(buf_str(&in), NULL, &out, &why), -EFBIG);

	/* escaping makes it larger than is kept */
	buf_reset(&in);
	while (in.len < HTML_LARGEST - 8)
		buf_adds(&in, "& ");
	assert_int_equal(html_clean(buf_str(&in), NULL, &out, &why), -EFBIG);
	assert_string_equal(buf_text(&out), "");
}

static void plain_text_comes_out(void **state)
{
	(void)state;
	static const struct {
		const char *in, *expected;
	} cases[] = {
	    {"AT&amp;T <b>wins</b>", "AT&T wins"},
	    {"a<br>b<p>c</p>d", "a b c d"},
	    {"x<sub>2</sub> &lt;i&gt;", "x2 <i>"},
	    {"<script>x</script>", ""},
	    {"  a < b ", "a < b"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_buf_ struct buf out = {0};
		assert_int_equal(html_to_plain(str_of(cases[i].in), &out, NULL), 0);
		assert_string_equal(buf_text(&out), cases[i].expected);
	}
}

static void the_first_picture_is_found_and_taken_out(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct str html =
	    STR("<p>a<img src=\"https://s.w.example/images/core/emoji/1.png\" alt=\"\">"
		"<img src=\"https://h.example/icon\" alt=\"\" height=\"99\"></p>\n"
		"<p><img src=\"https://h.example/a?x&amp;y\" alt=\"A "
		"&quot;b&quot;\">c<img src=\"https://h.example/2\" alt=\"\"></p>\n");
	char *src, *alt;
	assert_int_equal(markup_first_image(&arena, html, &src, &alt), 0);
	assert_string_equal(src, "https://h.example/a?x&y");
	assert_string_equal(alt, "A \"b\"");
	_cleanup_buf_ struct buf rest = {0};
	assert_int_equal(markup_without_image(html, src, &rest), 0);
	assert_string_equal(strstr(buf_text(&rest), "<p>c"), "<p>c<img src=\"https://h.example/2\" "
							     "alt=\"\"></p>\n");
	assert_int_equal(markup_first_image(&arena, STR("<p>a"), &src, &alt), 0);
	assert_null(src);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_post_is_cleaned),
	    cmocka_unit_test(scripts_find_no_way_in),
	    cmocka_unit_test(broken_nesting_becomes_sound),
	    cmocka_unit_test(white_space_is_collapsed),
	    cmocka_unit_test(text_is_utf8_and_nfc_and_escaped),
	    cmocka_unit_test(pictures_are_real_ones),
	    cmocka_unit_test(embedded_media_become_links),
	    cmocka_unit_test(addresses_are_absolute_and_plain),
	    cmocka_unit_test(depth_and_size_are_bounded),
	    cmocka_unit_test(what_is_too_much_is_refused),
	    cmocka_unit_test(plain_text_comes_out),
	    cmocka_unit_test(the_first_picture_is_found_and_taken_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
