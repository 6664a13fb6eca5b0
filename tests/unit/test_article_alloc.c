/* Each allocation fails once while articles are read: an error each time, and nothing is lost. */
#include "failing_alloc.h"

#include <stdio.h>

#include "news/article.h"
#include "news/feed.h"
#include "news/page.h"

static const char *const patterns[] = {"Sign up*"};
static const struct drop drop = {patterns, 1};

static int settled(struct arena *arena, int r, struct article *a, struct why *why)
{
	r = r < 0 ? r : article_settle(arena, a, &drop, why);
	if (r < 0)
		assert_string_equal(why->text, "no memory left");
	return r;
}

static int markdown(void *ctx)
{
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct article a;
	int r = article_read(
	    &arena,
	    STR("---\ntitle: \"A\"\nurl: https://h.example/\ntags: [a, \"b\"]\nauthors:\n- C\n- D\n"
		"summary: >\n  e\n  f\n---\n# A\n\nb *c* [d](/e) Cafe\u0301\n\n"
		"<img src=\"data:x\" style=\"x\" srcset=\"/g 1x\"><pre>x\n\n<b>y</b> </pre>\n\n"
		"<table><tr><th>h<th>i<tr><td>1<td>2</table><iframe src=/j></iframe>\n\n"
		"> 1. q\n\nSign up now\n\n***\n\n<p dir=rtl>r<br>s<br><br>t</p>\n"),
	    "a.md", ARTICLE_GUESS, &a, &why);
	(void)ctx;
	return settled(&arena, r, &a, &why);
}

static int text(void *ctx)
{
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct article a;
	int r = article_read(&arena, STR("Title\n\nسلام دنیا https://h.example/x\nb\n"), NULL,
			     ARTICLE_TEXT, &a, &why);
	(void)ctx;
	return settled(&arena, r, &a, &why);
}

static int page(void *ctx)
{
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct article a;
	int r = page_read(
	    &arena,
	    STR("<html lang=en><title>A - B</title><base href=/x/><meta property=og:site_name "
		"content=B><meta property=article:tag content=T><meta property=og:image "
		"content=i.png><link rel=canonical href=c><script type=application/ld+json>"
		"{\"@type\":\"Article\",\"author\":[\"D\",{\"name\":\"E\"}],\"keywords\":\"f,g\"}"
		"</script><div><p>Text of <a href=h>it</a>.<form>no</form></div>"),
	    "text/html; charset=utf-8", "https://h.example/", &a, &why);
	(void)ctx;
	return settled(&arena, r, &a, &why);
}

static int feed(void *ctx)
{
	_cleanup_arena_ struct arena arena = {0};
	struct why why = {""};
	struct article a;
	struct feed_article found = {
	    .guid = "1",
	    .title = "T",
	    .summary = {.text = "<p>s &amp; t</p>", .kind = FEED_HTML},
	    .body = {.text = "a\n\nb", .kind = FEED_TEXT},
	};
	(void)ctx;
	return settled(&arena, article_from_feed(&arena, &found, &a, &why), &a, &why);
}

static void each_allocation_may_fail(void **state)
{
	(void)state;
	assert_true(failing_alloc_sweep(markdown, NULL) > 100);
	assert_true(failing_alloc_sweep(text, NULL) > 20);
	assert_true(failing_alloc_sweep(page, NULL) > 50);
	assert_true(failing_alloc_sweep(feed, NULL) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
