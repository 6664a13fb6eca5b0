/* Articles from files and pages, and what all of them go through before they are stored. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "news/article.h"
#include "news/feed.h"
#include "news/page.h"
#include "testfile.h"

static void read_corpus(const char *name, struct buf *out)
{
	char in_articles[256], path[1024];
	snprintf(in_articles, sizeof(in_articles), "articles/%s", name);
	testfile_corpus(in_articles, path);
	testfile_read(path, out);
}

static void read_and_settle(struct arena *arena, struct str bytes, const char *name,
			    const struct drop *drop, struct article *a)
{
	struct why why = {""};
	if (article_read(arena, bytes, name, ARTICLE_GUESS, a, &why) < 0 ||
	    article_settle(arena, a, drop, &why) < 0)
		fail_msg("%s", why.text);
}

static void markdown_with_front_matter(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	read_and_settle(&arena,
			STR("---\n"
			    "# a comment\n"
			    "title: \"The \\\"new\\\" bridge: open\"\n"
			    "author: Ann Example # the editor\n"
			    "url: https://courier.example/2026/bridge\n"
			    "date: 2026-03-29T07:00:00Z\n"
			    "draft: false\nparams:\n  deep: true\n"
			    "tags: [\"Traffic, heavy\", Elm, elm, \"\"]\n"
			    "image: pictures/a.jpg\n"
			    "summary: >\n  Nine years\n  late.\n"
			    "---\n\n"
			    "# The \"new\" bridge: open\n\n"
			    "It *opened* on [Monday](../monday) -- at last.\n\n"
			    "<script>alert(1)</script>\n\n"
			    "![A](pictures/a.jpg) ![B](b.jpg)\n\n- one\n- two\n"),
			"bridge.md", NULL, &a);
	assert_string_equal(a.title, "The \"new\" bridge: open");
	assert_string_equal(a.author, "Ann Example");
	assert_string_equal(a.url, "https://courier.example/2026/bridge");
	assert_string_equal(a.guid, a.url);
	assert_true(a.published == UINT64_C(1774767600000000));
	assert_int_equal(a.n_topics, 2);
	assert_string_equal(a.topics[0], "Traffic, heavy");
	assert_string_equal(a.topics[1], "Elm");
	assert_string_equal(a.summary, "Nine years late.");
	assert_string_equal(a.image, "https://courier.example/2026/pictures/a.jpg");
	assert_string_equal(a.body_html,
			    "<p>It <em>opened</em> on <a href=\"https://courier.example/monday\">"
			    "Monday</a> -- at last.</p>\n"
			    "<p><img src=\"https://courier.example/2026/b.jpg\" alt=\"B\"></p>\n"
			    "<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n");
	assert_string_equal(a.body_text, "It opened on Monday [1] -- at last.\n\n[B]\n\n"
					 "- one\n- two\n\n[1] https://courier.example/monday\n");
	assert_string_equal(a.lang, "");
	assert_string_equal(a.dir, "ltr");
}

static void markdown_without_front_matter(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	read_and_settle(&arena, STR("# Cafe\u0301 *news*\n\nFirst *words*.\n\n## More\n\ntext\n"),
			NULL, NULL, &a);
	assert_string_equal(a.title, "Café news");
	assert_string_equal(a.summary, "First words. text");
	assert_string_equal(a.body_html,
			    "<p>First <em>words</em>.</p>\n<h2>More</h2>\n<p>text</p>\n");
	assert_int_equal(strncmp(a.guid, "title:", 6), 0);
	assert_int_equal(strlen(a.guid), 6 + 64);
}

static void front_matter_takes_what_people_write(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	read_and_settle(&arena,
			STR("---\r\nTitle: 'It''s here'\r\nauthors:\r\n  - Ann\r\n  - 'Bo'\r\n"
			    "topics:\r\n- a\r\n- b\r\nlang: AR_eg\r\nid: x-1\r\n---\r\nText\r\n"),
			NULL, NULL, &a);
	assert_string_equal(a.title, "It's here");
	assert_string_equal(a.author, "Ann, Bo");
	assert_int_equal(a.n_topics, 2);
	assert_string_equal(a.lang, "ar-EG");
	assert_string_equal(a.dir, "rtl");
	assert_string_equal(a.guid, "x-1");

	struct why why;
	assert_int_equal(article_read(&arena, STR("---\ntitle: x\ndate: yesterday\n---\ny"), NULL,
				      ARTICLE_GUESS, &a, &why),
			 -EINVAL);
	assert_non_null(strstr(why.text, "yesterday"));
	/* a rule at the top is no front matter */
	read_and_settle(&arena, STR("---\ntext: only\n"), "a.md", NULL, &a);
	assert_string_equal(a.summary, "text: only");
}

static void plain_text_keeps_its_paragraphs(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	read_and_settle(
	    &arena,
	    STR("\n  The title \n\nThis line was wrapped by a program at some seventy columns\n"
		"and goes on here, see https://a.example/x?y=1&z (and http://b.example/).\n\n"
		"Roses are red,\nviolets <b>blue</b>.\n\n- one\n- two\n"),
	    "a.txt", NULL, &a);
	assert_string_equal(a.title, "The title");
	assert_string_equal(
	    a.body_html,
	    "<p>This line was wrapped by a program at some seventy columns and goes on here, see "
	    "<a href=\"https://a.example/x?y=1&amp;z\">https://a.example/x?y=1&amp;z</a> (and "
	    "<a href=\"http://b.example/\">http://b.example/</a>).</p>\n"
	    "<p>Roses are red,<br>\nviolets &lt;b&gt;blue&lt;/b&gt;.</p>\n"
	    "<p>- one<br>\n- two</p>\n");
}

static void patterns_take_lines_out(void **state)
{
	(void)state;
	static const char *const patterns[] = {"sign up*", "*read more", "Exactly?this", "\\*\\**",
					       "Photo: *"};
	struct drop drop = {patterns, ELEMENTS(patterns)};
	assert_true(drop_matches(&drop, STR("SIGN UP now")));
	assert_false(drop_matches(&drop, STR("Please sign up")));
	assert_true(drop_matches(&drop, STR("Click to read more")));
	assert_true(drop_matches(&drop, STR("exactly\u00A0this")));
	assert_false(drop_matches(&drop, STR("Exactly this too")));
	assert_true(drop_matches(&drop, STR("** note")));
	assert_false(drop_matches(&drop, STR("x* note")));
	assert_false(drop_matches(&drop, STR("")));

	_cleanup_arena_ struct arena arena = {0};
	struct article a = {
	    .title = "T",
	    .body_html = "<p>One<br>Sign <b>up</b> here<br>two</p><div>Sign up!</div><ul><li>a"
			 "<li>Sign up<ul><li>b</ul></ul><p>I said: sign up</p><figure>"
			 "<img src='https://h.example/a'><figcaption>Photo: B</figcaption></figure>"
			 "<p><a href='https://h.example/'><img src='https://h.example/b'>Sign up"
			 "</a></p>"};
	assert_int_equal(article_settle(&arena, &a, &drop, NULL), 0);
	assert_string_equal(a.body_html,
			    "<p>One<br>\ntwo</p>\n<ul>\n<li>a</li>\n<li><ul>\n"
			    "<li>b</li>\n</ul>\n</li>\n</ul>\n<p>I said: sign up</p>\n");
	assert_string_equal(a.image, "https://h.example/a");
}

static void stars_are_matched_in_good_time(void **state)
{
	(void)state;
	static const char *const patterns[] = {"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"};
	struct drop drop = {patterns, 1};
	_cleanup_buf_ struct buf line = {0};
	for (int i = 0; i < 20000; i++)
		buf_addc(&line, 'a');
	assert_false(drop_matches(&drop, buf_str(&line)));
}

static void a_real_article_loses_its_furniture_only(void **state)
{
	(void)state;
	static const char *const patterns[] = {
	    "Sign up for regular updates*", "Subscribe to our newsletter and stay updated*",
	    "Add your comments below", "Previous article*", "Next article*"};
	struct drop drop = {patterns, ELEMENTS(patterns)};
	_cleanup_buf_ struct buf in = {0};
	_cleanup_arena_ struct arena arena = {0};
	struct article a, whole;
	read_corpus("000_06063c8b184cfbd7.txt", &in);
	read_and_settle(&arena, buf_str(&in), "000_06063c8b184cfbd7.txt", &drop, &a);
	read_and_settle(&arena, buf_str(&in), "000_06063c8b184cfbd7.txt", NULL, &whole);
	assert_string_equal(a.title, "Russia-Iran inch closer to strategic partnership amid "
				     "tensions with U.S.");
	assert_string_equal(a.lang, "");
	assert_string_equal(a.dir, "ltr");
	assert_null(strcasestr(a.body_text, "sign up"));
	assert_null(strcasestr(a.body_text, "newsletter"));
	assert_null(strcasestr(a.body_text, "comments"));
	assert_null(strcasestr(a.body_text, "Dudley"));
	assert_non_null(strstr(a.body_html, "<p>Looming threat of war</p>"));
	assert_non_null(strstr(a.body_html, "sticking points remain.</p>\n"));

	/* what is left is the rest, byte by byte */
	_cleanup_buf_ struct buf rest = {0};
	struct str html = str_of(whole.body_html), line;
	size_t gone = 0;
	while (str_cut(html, '\n', &line, &html)) {
		bool furniture = str_starts(line, "<p>Sign up") ||
				 str_starts(line, "<p>Subscribe") ||
				 str_starts(line, "<p>Add your") ||
				 str_starts(line, "<p>Previous") || str_starts(line, "<p>Next art");
		gone += furniture;
		if (!furniture)
			buf_printf(&rest, "%.*s\n", (int)line.n, line.p);
	}
	assert_int_equal(gone, 5);
	assert_string_equal(a.body_html, buf_text(&rest));
}

static void urdu_is_read_from_right_to_left(void **state)
{
	(void)state;
	static const struct {
		const char *name, *title;
		size_t topics;
	} files[] = {
	    {"ur-cloud-computing.md", "کلاؤڈ کمپیوٹنگ (Cloud Computing)", 2},
	    {"ur-container.md", "کنٹینرز(Containers)", 2},
	    {"ur-distributed-systems.md", "تقسیم شدہ نظام(Distributed System)", 1},
	};
	for (size_t i = 0; i < ELEMENTS(files); i++) {
		_cleanup_buf_ struct buf in = {0};
		_cleanup_arena_ struct arena arena = {0};
		struct article a;
		read_corpus(files[i].name, &in);
		read_and_settle(&arena, buf_str(&in), files[i].name, NULL, &a);
		assert_string_equal(a.title, files[i].title);
		assert_int_equal(a.n_topics, files[i].topics);
		assert_string_equal(a.lang, "ur");
		assert_string_equal(a.dir, "rtl");
		assert_true(str_starts(str_of(a.body_html), "<h2>یہ کیا ہے</h2>\n<p>"));
		assert_null(strstr(a.summary, "یہ کیا ہے"));
		assert_true(strlen(a.summary) > 300 && text_valid(str_of(a.summary)));
	}
}

static void a_page_tells_its_article(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf in = {0};
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	testfile_read("tests/data/html/page.html", &in);
	assert_int_equal(page_read(&arena, buf_str(&in), "text/html",
				   "https://courier.example/2026/bridge?utm_source=x", &a, NULL),
			 0);
	assert_int_equal(article_settle(&arena, &a, NULL, NULL), 0);
	assert_string_equal(a.title, "The bridge opens & the ferry stops");
	assert_string_equal(a.url, "https://courier.example/2026/bridge");
	assert_string_equal(a.author, "Ann Example, Bo Sample");
	assert_string_equal(a.summary,
			    "Nine years late, the bridge over the Elm carries its first cars.");
	assert_string_equal(a.image, "https://courier.example/pictures/bridge-wide.jpg");
	assert_string_equal(a.image_alt, "The bridge at dusk");
	assert_string_equal(a.lang, "en-GB");
	assert_true(a.published == UINT64_C(1774762200000000));
	assert_int_equal(a.n_topics, 2);
	assert_string_equal(a.topics[0], "Traffic");
	assert_string_equal(
	    a.body_html,
	    "<figure><figcaption>Photo: Ann Example</figcaption>\n</figure>\n"
	    "<p>The bridge over the Elm opened on Monday morning, nine years after the first stone "
	    "was laid and four after it was meant to be done.</p>\n"
	    "<p>Those who crossed first had waited since five; the "
	    "<a href=\"https://courier.example/2026/ferry\">ferry</a>, which has run since 1911, "
	    "made its last journey on the evening before.</p>\n"
	    "<h2>What it cost</h2>\n<p>Shareholders of the ferry company were not amused.</p>\n");
}

static void pages_without_marks_are_read_by_density(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	struct str page =
	    STR("<html dir=rtl><title>Headline - Courier</title><meta property=og:site_name "
		"content=Courier><body><div><p>Short teaser.</p></div><div class=story><p>A first "
		"paragraph that is long enough to be something.</p><blockquote><p>Quoted.</p>"
		"</blockquote><p>And a second one after it.</p><div class='social-links'><p>Share"
		"</p></div></div><ul><li><p><a href=/x>A long link text in a list of other "
		"stories to be read, which isn't text of its own</a></p></ul>");
	assert_int_equal(page_read(&arena, page, NULL, "https://c.example/", &a, NULL), 0);
	assert_int_equal(article_settle(&arena, &a, NULL, NULL), 0);
	assert_string_equal(a.title, "Headline");
	assert_string_equal(a.dir, "rtl");
	assert_string_equal(a.body_html,
			    "<p>A first paragraph that is long enough to be something.</p>\n"
			    "<blockquote>\n<p>Quoted.</p>\n</blockquote>\n"
			    "<p>And a second one after it.</p>\n");

	struct str told =
	    STR("<script type='application/ld+json'>[{\"@type\":\"BlogPosting\","
		"\"name\":\"N\",\"author\":\"Ann\",\"inLanguage\":\"de\","
		"\"articleBody\":\"First paragraph which is really quite long, so that it is "
		"taken for the text of the article and not for a mere teaser of it, "
		"as some sites have it; it takes two hundred and fifty characters to "
		"be believed in, and these here, for good measure, are some more of "
		"them.\\n\\nSecond.\"}]"
		"</script><p>x");
	assert_int_equal(page_read(&arena, told, NULL, "https://c.example/", &a, NULL), 0);
	assert_int_equal(article_settle(&arena, &a, NULL, NULL), 0);
	assert_string_equal(a.title, "N");
	assert_string_equal(a.author, "Ann");
	assert_string_equal(a.lang, "de");
	assert_non_null(strstr(a.body_html, "more of them.</p>\n<p>Second.</p>\n"));

	struct why why = {""};
	assert_int_equal(page_read(&arena, STR("{{{"), NULL, "https://c.example/", &a, &why), 0);
	assert_int_equal(page_read(&arena, STR(""), NULL, "https://c.example/", &a, &why), -EINVAL);
}

static void html_files_are_read_whole(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	read_and_settle(&arena,
			STR("<h1>Title &amp; all</h1><p>One.<p>Two <a href='/x'>x</a>.<div "
			    "class=share><p>Three.</div>"),
			"a.html", NULL, &a);
	assert_string_equal(a.title, "Title & all");
	assert_string_equal(a.body_html, "<p>One.</p>\n<p>Two x.</p>\n<p>Three.</p>\n");
	assert_string_equal(a.summary, "One. Two x. Three.");
}

static void settling_fills_what_is_missing(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a = {.title = " A\n\xFF title ",
			    .url = "javascript:x",
			    .lang = "en-US",
			    .body_html = "<p>مرحبا بالعالم</p><p>"
					 "<img src='https://h.example/i.png' alt='Alt'> x</p>"};
	assert_int_equal(article_settle(&arena, &a, NULL, NULL), 0);
	assert_string_equal(a.title, "A \xEF\xBF\xBD title");
	assert_string_equal(a.url, "");
	assert_string_equal(a.image, "https://h.example/i.png");
	assert_string_equal(a.image_alt, "Alt");
	assert_string_equal(a.body_html, "<p>مرحبا بالعالم</p>\n<p>x</p>\n");
	assert_string_equal(a.summary, "مرحبا بالعالم x");
	assert_string_equal(a.dir, "ltr"); /* the title is, and so is the language */

	/* a feed that claims English for all of its articles */
	a = (struct article){
	    .title = "عنوان", .lang = "en-US", .body_html = "<p>مرحبا بالعالم</p>"};
	assert_int_equal(article_settle(&arena, &a, NULL, NULL), 0);
	assert_string_equal(a.dir, "rtl");

	a = (struct article){.body_html = "<p>No title but these words</p>"};
	assert_int_equal(article_settle(&arena, &a, NULL, NULL), 0);
	assert_string_equal(a.title, "No title but these words");

	struct why why = {""};
	a = (struct article){.body_html = "<script>x</script>"};
	assert_int_equal(article_settle(&arena, &a, NULL, &why), -EINVAL);
	assert_string_equal(why.text, "neither a title nor a text");
	assert_int_equal(article_read(&arena, STR(" \n"), "a.md", ARTICLE_GUESS, &a, &why),
			 -EINVAL);
}

static void settling_twice_changes_nothing(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a, b;
	read_and_settle(&arena, STR("# T\n\n![i](https://h.example/i)\n\nText & more.\n"), NULL,
			NULL, &a);
	b = a;
	assert_int_equal(article_settle(&arena, &b, NULL, NULL), 0);
	assert_string_equal(a.title, b.title);
	assert_string_equal(a.body_html, b.body_html);
	assert_string_equal(a.body_text, b.body_text);
	assert_string_equal(a.summary, b.summary);
	assert_string_equal(a.image, b.image);
	assert_string_equal(a.guid, b.guid);
}

static void check_stored(const struct article *a)
{
	const char *const texts[] = {a->guid,      a->url,       a->title,     a->author,
				     a->summary,   a->body_html, a->body_text, a->image,
				     a->image_alt, a->lang,      a->dir};
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		assert_non_null(texts[i]);
		assert_true(text_valid(str_of(texts[i])));
	}
	assert_true(a->guid[0] && a->title[0]);
	assert_true(!strcmp(a->dir, "rtl") || !strcmp(a->dir, "ltr"));
	assert_null(strcasestr(a->body_html, "<script"));
	assert_null(strcasestr(a->body_html, "javascript:"));
	assert_null(strcasestr(a->body_html, " style="));
	assert_null(strstr(a->body_text, " \n"));
}

/* Settles all articles of a feed; returns how many could be. */
static size_t settle_feed(struct arena *arena, struct str bytes, struct article *ret_first)
{
	struct feed *feed;
	struct why why = {""};
	size_t n = 0;
	if (feed_parse(arena, bytes, NULL, "https://feed.example/f", &feed, &why) < 0)
		return 0;
	for (size_t i = 0; i < feed->n; i++) {
		struct article a;
		assert_int_equal(article_from_feed(arena, &feed->articles[i], &a, &why), 0);
		int r = article_settle(arena, &a, NULL, &why);
		if (r == -EINVAL) { /* a case of the corpus without title and text */
			assert_string_equal(why.text, "neither a title nor a text");
			continue;
		}
		assert_int_equal(r, 0);
		check_stored(&a);
		if (!n++)
			*ret_first = a;
	}
	return n;
}

static void feeds_become_articles(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct article a = {0};
	struct str feed = STR(
	    "<rss version='2.0'><channel><title>F</title><language>ar</language>"
	    "<item><title>AT&amp;amp;T</title><link>https://h.example/a/1</link>"
	    "<description>&lt;p&gt;Short &lt;b&gt;one&lt;/b&gt;.&lt;/p&gt;</description>"
	    "<content:encoded xmlns:content='http://purl.org/rss/1.0/modules/content/'>"
	    "&lt;p onclick='x'&gt;Body &lt;a href='../b'&gt;link&lt;/a&gt; "
	    "&lt;img src='i.png' alt='I'&gt;&lt;/p&gt;</content:encoded></item></channel></rss>");
	assert_int_equal(settle_feed(&arena, feed, &a), 1);
	assert_string_equal(a.title, "AT&T");
	assert_string_equal(a.summary, "Short one.");
	assert_string_equal(a.body_html,
			    "<p>Body <a href=\"https://feed.example/b\">link</a></p>\n");
	assert_string_equal(a.image, "https://feed.example/i.png");
	assert_string_equal(a.dir, "rtl");
}

static void real_feeds_become_articles(void **state)
{
	(void)state;
	char folder[1024], path[2048];
	struct article first;
	static const char *const folders[] = {"feeds", "feedparser", "encodings"};
	for (size_t i = 0; i < ELEMENTS(folders); i++) {
		testfile_corpus(folders[i], folder);
		DIR *dir = opendir(folder);
		assert_non_null(dir);
		size_t n = 0;
		for (struct dirent *entry; (entry = readdir(dir));) {
			_cleanup_arena_ struct arena arena = {0};
			_cleanup_buf_ struct buf in = {0};
			snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
			if (entry->d_name[0] == '.' || file_read(path, SIZE_MAX, &in, NULL) < 0)
				continue;
			size_t settled = settle_feed(&arena, buf_str(&in), &first);
			if (!strcmp(entry->d_name, "global-voices.rss"))
				assert_int_equal(settled, 15);
			n += settled;
		}
		closedir(dir);
		print_message("%s: %zu articles\n", folders[i], n);
		assert_true(n > 0);
	}
}

static void kinds_are_guessed(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
		enum article_kind kind;
	} cases[] = {
	    {"<html>", "a.TXT", ARTICLE_TEXT},
	    {"x", "a.markdown", ARTICLE_MARKDOWN},
	    {"x", "a.htm", ARTICLE_HTML},
	    {"---\na: b\n---\n", NULL, ARTICLE_MARKDOWN},
	    {" <!DOCTYPE html><p>x", "-", ARTICLE_HTML},
	    {"<p>x</p>", NULL, ARTICLE_HTML},
	    {"Title\n\nsee [x](https://a.example)", NULL, ARTICLE_MARKDOWN},
	    {"Title\n\ntext", NULL, ARTICLE_TEXT},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		assert_int_equal(article_guess(str_of(cases[i].text), cases[i].name),
				 cases[i].kind);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(markdown_with_front_matter),
	    cmocka_unit_test(markdown_without_front_matter),
	    cmocka_unit_test(front_matter_takes_what_people_write),
	    cmocka_unit_test(plain_text_keeps_its_paragraphs),
	    cmocka_unit_test(patterns_take_lines_out),
	    cmocka_unit_test(stars_are_matched_in_good_time),
	    cmocka_unit_test(a_real_article_loses_its_furniture_only),
	    cmocka_unit_test(urdu_is_read_from_right_to_left),
	    cmocka_unit_test(a_page_tells_its_article),
	    cmocka_unit_test(pages_without_marks_are_read_by_density),
	    cmocka_unit_test(html_files_are_read_whole),
	    cmocka_unit_test(settling_fills_what_is_missing),
	    cmocka_unit_test(settling_twice_changes_nothing),
	    cmocka_unit_test(feeds_become_articles),
	    cmocka_unit_test(real_feeds_become_articles),
	    cmocka_unit_test(kinds_are_guessed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
