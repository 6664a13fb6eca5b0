/* Feeds become articles: each format, identity, titles, pictures, what is broken and what attacks.
 */
#include "failing_alloc.h"

#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/text.h"
#include "news/feed.h"
#include "news/feed_discover.h"
#include "testfile.h"

static const char base[] = "https://base.example/dir/feed";

static struct feed *parse(struct arena *a, struct str bytes)
{
	struct feed *feed = NULL;
	struct why why;
	int r = feed_parse(a, bytes, NULL, base, &feed, &why);
	if (r != 0)
		fail_msg("not read: %s", why.text);
	return feed;
}

static struct feed *parse_file(struct arena *a, const char *name)
{
	char path[256];
	_cleanup_buf_ struct buf bytes = {0};
	snprintf(path, sizeof(path), "tests/data/feeds/%s", name);
	testfile_read(path, &bytes);
	return parse(a, buf_str(&bytes));
}

static usec_t at(time_t seconds)
{
	return (usec_t)seconds * USEC_PER_SEC;
}

static void rss_with_its_modules_is_read(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse_file(&a, "harbour.rss");
	assert_string_equal(f->format, "rss20");
	assert_string_equal(f->title, "Harbour & Tide");
	assert_string_equal(f->self_url, "https://harbour.example/feed");
	assert_string_equal(f->lang, "en-GB");
	assert_int_equal(f->ttl, at(6 * 3600));
	assert_int_equal(f->n, 3);

	const struct feed_article *ferry = &f->articles[0];
	assert_string_equal(ferry->guid, "harbour-17");
	assert_false(ferry->is_permalink);
	assert_string_equal(ferry->url, "https://harbour.example/2026/ferry?a=1&b=2");
	assert_string_equal(ferry->title, "The ferry is back – at last");
	assert_string_equal(ferry->author, "Ana Petrović");
	assert_int_equal(ferry->topics.n, 2);
	assert_string_equal(ferry->topics.list[1], "Travel");
	assert_int_equal(ferry->summary.kind, FEED_HTML);
	assert_non_null(strstr(ferry->body.text, "<img"));
	assert_string_equal(ferry->body.base, "https://harbour.example/");
	assert_string_equal(ferry->image.url, "https://img.harbour.example/l.jpg");
	assert_string_equal(ferry->image.alt, "The ferry at the pier");
	assert_int_equal(ferry->published, at(1772517900));
	assert_string_equal(ferry->lang, "en-GB");

	const struct feed_article *gauge = &f->articles[1];
	assert_string_equal(gauge->guid, gauge->url);
	assert_string_equal(gauge->title, "1 < 2, says the gauge");
	assert_int_equal(gauge->n_files, 1);
	assert_int_equal(gauge->files[0].length, 1234);
	assert_null(gauge->image.url);

	assert_int_equal(strncmp(f->articles[2].guid, "sha256:", 7), 0);
	assert_int_equal(strlen(f->articles[2].guid), 7 + 64);
}

static void atom_with_its_bases_is_read(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse_file(&a, "garden.atom");
	assert_string_equal(f->format, "atom10");
	assert_string_equal(f->title, "Der Garten");
	assert_string_equal(f->subtitle.text, "Was wächst");
	assert_string_equal(f->url, "https://garten.example/blog/");
	assert_string_equal(f->image.url, "https://garten.example/icon.png");
	assert_int_equal(f->n, 2);

	const struct feed_article *one = &f->articles[0];
	assert_string_equal(one->url, "https://garten.example/blog/2026/tomaten");
	assert_string_equal(one->title, "Tomaten & <blink>");
	assert_string_equal(one->author, "Grete Beet"); /* the feed's */
	assert_int_equal(one->summary.kind, FEED_TEXT);
	assert_string_equal(one->body.text, "<p>Siehe <a href=\"https://garten.example/blog/saat\">"
					    "Saat</a>.<br /></p><div></div>");
	assert_int_equal(one->body.kind, FEED_XHTML);
	assert_string_equal(one->image.url, "https://garten.example/blog/2026/tomaten.jpg");
	assert_int_equal(one->published, at(1772317800) + 250000);
	assert_int_equal(one->updated, at(1772352000));
	assert_string_equal(one->lang, "de");

	const struct feed_article *two = &f->articles[1];
	assert_string_equal(two->author, "Gast");
	assert_string_equal(two->authors.list[0].email, "gast@garten.example");
	assert_string_equal(two->body.text, "<p>Hallo</p>");
	assert_int_equal(two->published, 0);
}

static void bases_within_xhtml_hold(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f =
	    parse(&a, STR("<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>1</id>"
			  "<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>"
			  "<p xml:base='http://x.example/y/'><a href='z'>1</a></p><a href='z'>2</a>"
			  "<a href='#here'>3</a></div></content></entry></feed>"));
	assert_string_equal(f->articles[0].body.text,
			    "<p><a href=\"http://x.example/y/z\">1</a></p>"
			    "<a href=\"https://base.example/dir/z\">2</a><a href=\"#here\">3</a>");
}

static void old_formats_are_read(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse_file(&a, "old.atom");
	assert_string_equal(f->format, "atom03");
	assert_string_equal(f->title, "Old & good");
	assert_string_equal(f->articles[0].body.text, "<p>Body</p>");
	assert_int_equal(f->articles[0].published, at(1083827280));

	f = parse_file(&a, "library.rdf");
	assert_string_equal(f->format, "rss10");
	assert_string_equal(f->charset, "iso-8859-1");
	assert_string_equal(f->title, "Reading room");
	assert_string_equal(f->articles[0].title, "Café à la carte");
	assert_string_equal(f->articles[0].guid, "http://library.example/1");
	assert_int_equal(f->articles[0].published, at(1072828800));
}

static void json_feed_is_read(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse_file(&a, "clouds.json");
	assert_string_equal(f->format, "json11");
	assert_int_equal(f->n, 2);
	assert_string_equal(f->articles[0].title, "Cirrus & co");
	assert_string_equal(f->articles[0].url, "https://base.example/c1");
	assert_string_equal(f->articles[0].image.url, "https://base.example/dir/c1.webp");
	assert_int_equal(f->articles[0].body.kind, FEED_HTML);
	assert_int_equal(f->articles[0].published, at(1767341045));
	assert_string_equal(f->articles[0].author, "Nimbus");
	assert_string_equal(f->articles[1].guid, "2");
	assert_int_equal(f->articles[1].body.kind, FEED_TEXT);
	assert_string_equal(f->articles[1].url, "https://elsewhere.example/2");
}

static void slightly_broken_feeds_are_mended(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse_file(&a, "broken.rss");
	assert_true(f->repaired);
	assert_string_equal(f->title, "Salt & Pepper &unknown; \u00a0mill");
	assert_int_equal(f->n, 2);
	assert_string_equal(f->articles[0].url, "http://mill.example/?a=1&b=2");
	assert_string_equal(f->articles[0].author, "Undeclared Prefix");
	assert_string_equal(f->articles[1].title, "Tag left open");
	assert_string_equal(f->articles[1].guid, "x2");
}

#define RSS(items)  "<rss version='2.0'><channel>" items "</channel></rss>"
#define ITEM(inner) RSS("<item>" inner "</item>")

static void an_article_cut_in_two_is_left_out(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse(&a, STR("<rss><channel><item><guid>1</guid></item>"
				       "<item><guid>2</guid><description>half of i"));
	assert_int_equal(f->n, 1);
	assert_string_equal(f->articles[0].guid, "1");
	f = parse(&a, STR("<rss><channel><item><guid>1</guid></item><item><guid>2</gu"));
	assert_int_equal(f->n, 1);
}

static void title_is(const char *xml, const char *expected)
{
	_cleanup_arena_ struct arena a = {0};
	assert_string_equal(parse(&a, str_of(xml))->articles[0].title, expected);
}

static void titles_become_plain_text(void **state)
{
	(void)state;
	title_is(ITEM("<title>AT&amp;amp;T</title>"), "AT&T");
	title_is(ITEM("<title>a &amp;lt; b</title>"), "a < b");
	title_is(ITEM("<title>The &lt;blink&gt; tag</title>"), "The <blink> tag");
	title_is(ITEM("<title>&amp;lt;b&amp;gt;Twice&amp;lt;/b&amp;gt;</title>"), "Twice");
	title_is(ITEM("<title><![CDATA[<p>One</p><p>two &#8217;</p>]]></title>"), "One two ’");
	title_is(ITEM("<title>\n  Wide\t\n space </title>"), "Wide space");
	title_is(ITEM("<title>don&#146;t</title>"), "don’t");
	title_is(ITEM("<title>&#226;&#128;&#166;</title>"), "…");
	title_is("<feed xmlns='http://www.w3.org/2005/Atom'><entry><title type='html'>"
		 "&lt;custom&gt;x&lt;/custom&gt; &amp;amp; y</title></entry></feed>",
		 "x & y");
	title_is("<feed xmlns='http://www.w3.org/2005/Atom'><entry><title>a &lt;b&gt; c"
		 "</title></entry></feed>",
		 "a <b> c");
}

static void the_better_source_wins_in_any_order(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse(
	    &a, STR("<rss xmlns:dc='http://purl.org/dc/elements/1.1/' "
		    "xmlns:itunes='http://www.itunes.com/dtds/podcast-1.0.dtd'><channel><item>"
		    "<itunes:author>Studio</itunes:author><author>x@y.example (Editor)</author>"
		    "<dc:creator>Ann</dc:creator><dc:creator>Bob</dc:creator>"
		    "<dc:date>2020-01-01</dc:date><pubDate>Thu, 02 Jan 2020 00:00:00 GMT</pubDate>"
		    "<itunes:summary>short</itunes:summary><description>long</description>"
		    "<guid>http://a.example/guid</guid><link>http://a.example/link</link>"
		    "</item></channel></rss>"));
	const struct feed_article *one = &f->articles[0];
	assert_string_equal(one->author, "Ann, Bob");
	assert_int_equal(one->published, at(1577923200));
	assert_string_equal(one->summary.text, "long");
	assert_string_equal(one->url, "http://a.example/link");
	assert_string_equal(one->guid, "http://a.example/guid");
}

static void identity_falls_back_from_guid_to_link_to_hash(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f =
	    parse(&a, STR(RSS("<item><guid> g </guid><link>http://a.example/</link></item>"
			      "<item><link>http://b.example/</link></item>"
			      "<item><title>t</title><pubDate>2020-01-01</pubDate></item>"
			      "<item><title>t</title><pubDate>2020-01-02</pubDate></item>"
			      "<item><description>only words</description></item>"
			      "<item> </item>")));
	assert_int_equal(f->n, 5);
	assert_string_equal(f->articles[0].guid, "g");
	assert_string_equal(f->articles[1].guid, "http://b.example/");
	assert_string_not_equal(f->articles[2].guid, f->articles[3].guid);
	struct feed *again = parse(&a, STR(ITEM("<pubDate>2020-01-01</pubDate><title>t</title>")));
	assert_string_equal(again->articles[0].guid, f->articles[2].guid);
}

static void a_guid_comes_once_and_is_never_long(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f =
	    parse(&a, STR("<feed xmlns='http://www.w3.org/2005/Atom'>"
			  "<entry><id>1</id><title>old</title><updated>2020-01-01</updated></entry>"
			  "<entry><id>2</id></entry>"
			  "<entry><id>1</id><title>new</title><updated>2020-01-02</updated></entry>"
			  "</feed>"));
	assert_int_equal(f->n, 2);
	assert_string_equal(f->articles[0].title, "new");
	assert_string_equal(f->articles[1].guid, "2");

	_cleanup_buf_ struct buf xml = {0};
	buf_adds(&xml, "<rss><channel><item><guid>");
	for (int i = 0; i < FEED_MAX_GUID + 1; i++)
		buf_addc(&xml, 'x');
	buf_adds(&xml, "</guid></item></channel></rss>");
	f = parse(&a, buf_str(&xml));
	assert_int_equal(strncmp(f->articles[0].guid, "sha256:", 7), 0);
}

static void odd_addresses_are_dropped(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f =
	    parse(&a, STR(ITEM("<guid isPermaLink='false'>1</guid>"
			       "<link>javascript:alert(1)</link>"
			       "<enclosure url='file:///etc/passwd' type='image/png'/>")));
	assert_null(f->articles[0].url);
	assert_null(f->articles[0].image.url);
	assert_int_equal(f->articles[0].n_files, 0);
}

static void refuses(struct str bytes, int err, const char *word)
{
	_cleanup_arena_ struct arena a = {0};
	struct feed *feed;
	struct why why = {""};
	clock_t start = clock();
	int r = feed_parse(&a, bytes, NULL, base, &feed, &why);
	if (r != err || !strstr(why.text, word))
		fail_msg("%d (not %d): %s", r, err, why.text);
	assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
}

static void what_is_no_feed_is_told(void **state)
{
	(void)state;
	refuses(STR(""), -EBADMSG, "empty");
	refuses(STR("  \n"), -EBADMSG, "empty");
	refuses(STR("Not found"), -EBADMSG, "Not found");
	refuses(STR("<!DOCTYPE html><html><title>x"), -EBADMSG, "web page");
	refuses(STR("<html xmlns='http://www.w3.org/1999/xhtml'><body/></html>"), -EBADMSG,
		"web page");
	refuses(STR("<opml/>"), -EBADMSG, "<opml>");
	refuses(STR("<"), -EBADMSG, "");
	refuses(STR("{\"version\":"), -EBADMSG, "JSON");
	refuses(STR("{}"), -EBADMSG, "JSON");
	refuses(STR("[1]"), -EBADMSG, "JSON");
}

static void repeated(struct buf *b, const char *text, int n)
{
	for (int i = 0; i < n; i++)
		buf_adds(b, text);
}

static void a_page_is_asked_for_its_feeds(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	static const char page[] =
	    "<html><head><link rel=stylesheet href=/x.css><link rel='alternate' hreflang='de' "
	    "href='/de'>"
	    "<LINK REL='Alternate home' TYPE='application/rss+xml' HREF='/rss?a=1&amp;b=2'>"
	    "<link rel=\"alternate\" type=\"application/atom+xml\" href=\"atom\" />"
	    "<link rel='alternate' type='application/rss+xml' href='javascript:x'><link ";
	char *feeds[FEED_DISCOVER_MAX];
	assert_int_equal(feed_discover(&a, str_of(page), base, feeds), 2);
	assert_string_equal(feeds[0], "https://base.example/rss?a=1&b=2");
	assert_string_equal(feeds[1], "https://base.example/dir/atom");
	refuses(str_of(page), -EBADMSG, "names is https://base.example/rss?a=1&b=2");
}

static void entity_bombs_are_refused(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf laughs = {0}, quadratic = {0}, declared = {0};
	buf_adds(&laughs, "<!DOCTYPE rss [<!ENTITY a0 'ha'>");
	for (int i = 1; i < 30; i++)
		buf_printf(&laughs, "<!ENTITY a%d '&a%d;&a%d;&a%d;&a%d;'>", i, i - 1, i - 1, i - 1,
			   i - 1);
	buf_adds(&laughs, "]><rss><channel><title>&a29;</title></channel></rss>");
	refuses(buf_str(&laughs), -E2BIG, "entit");

	buf_adds(&quadratic, "<!DOCTYPE rss [<!ENTITY a '");
	repeated(&quadratic, "0123456789", 20000);
	buf_adds(&quadratic, "'>]><rss><channel><title>");
	repeated(&quadratic, "&a;", 19000);
	buf_adds(&quadratic, "</title></channel></rss>");
	refuses(buf_str(&quadratic), -E2BIG, "entit");

	buf_adds(&declared, "<!DOCTYPE rss [<!ENTITY a 'b'>]><rss><channel><title>");
	repeated(&declared, "&a;", 1000000);
	buf_adds(&declared, "</title></channel></rss>");
	refuses(buf_str(&declared), -E2BIG, "entit");
}

static void a_million_harmless_entities_are_read(void **state)
{
	(void)state;
	static const char *const entities[] = {"&amp;", "&eacute;", "&#233;", "& "};
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		_cleanup_arena_ struct arena a = {0};
		_cleanup_buf_ struct buf xml = {0};
		buf_adds(&xml, "<rss><channel><item><guid>1</guid><description>");
		repeated(&xml, entities[i], 1000000);
		buf_adds(&xml, "</description></item></channel></rss>");
		clock_t start = clock();
		assert_true(strlen(parse(&a, buf_str(&xml))->articles[0].summary.text) >= 1000000);
		assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
	}

	_cleanup_buf_ struct buf many = {0};
	buf_adds(&many, "<!DOCTYPE rss [");
	for (int i = 0; i < 200000; i++)
		buf_printf(&many, "<!ENTITY e%d 'x'>", i);
	buf_adds(&many, "]><rss><channel><title>&e1;</title></channel></rss>");
	_cleanup_arena_ struct arena a = {0};
	assert_string_equal(parse(&a, buf_str(&many))->title, "x");
}

static void external_entities_are_not_read(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct feed *f = parse(&a, STR("<!DOCTYPE rss [<!ENTITY x SYSTEM 'file:///etc/passwd'>"
				       "<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]>"
				       "<rss><channel><title>[&x;]</title></channel></rss>"));
	assert_null(strstr(f->title, "root"));
}

static void sizes_and_depths_are_bounded(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf deep = {0}, wide = {0}, crowded = {0}, json = {0};
	buf_adds(&deep, "<rss><channel><item><description>");
	repeated(&deep, "<i>", 100000);
	refuses(buf_str(&deep), -E2BIG, "deep");

	buf_adds(&wide, "<rss><channel>");
	repeated(&wide, "<a/>", 1000000);
	buf_adds(&wide, "</channel></rss>");
	refuses(buf_str(&wide), -E2BIG, "more than");

	buf_adds(&crowded, "<rss ");
	for (int i = 0; i < 300000; i++)
		buf_printf(&crowded, "a%d='>' ", i);
	buf_adds(&crowded, "/>");
	refuses(buf_str(&crowded), -E2BIG, "attributes");

	repeated(&json, "[", 1000000);
	refuses(buf_str(&json), -EBADMSG, "JSON");
}

static void broken_feeds_take_linear_time(void **state)
{
	(void)state;
	static const char *const pieces[] = {"<",    "<a",          "<a\"",  "<?",
					     "<!--", "<![CDATA[",   "&",     "</a",
					     "<1>",  "<!DOCTYPE [", "<a b='"};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		_cleanup_arena_ struct arena a = {0};
		_cleanup_buf_ struct buf xml = {0};
		buf_adds(&xml, "<rss><channel><title>t</title>");
		repeated(&xml, pieces[i], 1000000);
		struct feed *feed;
		clock_t start = clock();
		feed_parse(&a, buf_str(&xml), NULL, base, &feed, NULL);
		if (clock() - start > 20 * CLOCKS_PER_SEC)
			fail_msg("%s a million times takes too long", pieces[i]);
	}
}

static void too_many_articles_are_counted(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	_cleanup_buf_ struct buf xml = {0};
	buf_adds(&xml, "<rss><channel>");
	for (int i = 0; i < FEED_MAX_ARTICLES + 7; i++)
		buf_printf(&xml, "<item><guid>%d</guid></item>", i);
	buf_adds(&xml, "</channel></rss>");
	struct feed *f = parse(&a, buf_str(&xml));
	assert_int_equal(f->n, FEED_MAX_ARTICLES);
	assert_int_equal(f->left_out, 7);
}

static int parse_once(void *ctx)
{
	const char *text = ctx;
	_cleanup_arena_ struct arena a = {0};
	struct feed *feed;
	struct why why;
	int r = feed_parse(&a, str_of(text), NULL, base, &feed, &why);
	return r;
}

static void memory_may_run_out_anywhere(void **state)
{
	(void)state;
	char rich[] = "<feed xmlns='http://www.w3.org/2005/Atom' xml:base='http://x.example/'>"
		      "<title>t &nbsp;</title><author><name>n</name></author><link href='a'/>"
		      "<entry><title>t</title><link href='b'/><category term='c'/>"
		      "<link rel='enclosure' href='c.png'/><updated>2020-01-01</updated>"
		      "<content type='xhtml'><div><a href='q'>x</a></div></content></entry>"
		      "<entry><title>u</title></entry></feed>";
	assert_true(failing_alloc_sweep(parse_once, rich) > 20);
	char bytes[] = "<rss><channel><item><title>\xe9</title><description>&lt;b></description>"
		       "</item></channel></rss>";
	assert_true(failing_alloc_sweep(parse_once, bytes) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rss_with_its_modules_is_read),
	    cmocka_unit_test(atom_with_its_bases_is_read),
	    cmocka_unit_test(bases_within_xhtml_hold),
	    cmocka_unit_test(old_formats_are_read),
	    cmocka_unit_test(json_feed_is_read),
	    cmocka_unit_test(slightly_broken_feeds_are_mended),
	    cmocka_unit_test(an_article_cut_in_two_is_left_out),
	    cmocka_unit_test(titles_become_plain_text),
	    cmocka_unit_test(the_better_source_wins_in_any_order),
	    cmocka_unit_test(identity_falls_back_from_guid_to_link_to_hash),
	    cmocka_unit_test(a_guid_comes_once_and_is_never_long),
	    cmocka_unit_test(odd_addresses_are_dropped),
	    cmocka_unit_test(what_is_no_feed_is_told),
	    cmocka_unit_test(a_page_is_asked_for_its_feeds),
	    cmocka_unit_test(entity_bombs_are_refused),
	    cmocka_unit_test(a_million_harmless_entities_are_read),
	    cmocka_unit_test(external_entities_are_not_read),
	    cmocka_unit_test(sizes_and_depths_are_bounded),
	    cmocka_unit_test(broken_feeds_take_linear_time),
	    cmocka_unit_test(too_many_articles_are_counted),
	    cmocka_unit_test(memory_may_run_out_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
