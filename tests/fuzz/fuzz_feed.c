/*
 * feed_parse() on anything: an answer or a reason; all text is valid UTF-8, all addresses are of
 * the web, each article has an identity of its own. Seeds: tests/data/feeds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"
#include "news/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what, const char *value)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", what, value ? value : "(null)");
	abort();
}

static void check_text(const char *text)
{
	must(!text || text_valid(str_of(text)), "not UTF-8", text);
}

static void check_address(const char *url)
{
	check_text(url);
	must(!url || strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0,
	     "no web address", url);
}

static void check_article(const struct feed_article *a)
{
	must(a->guid && a->guid[0] && strlen(a->guid) <= FEED_MAX_GUID, "identity", a->guid);
	check_text(a->guid);
	check_address(a->url);
	check_address(a->image.url);
	check_address(a->summary.base);
	check_text(a->title);
	must(!a->title || !strchr(a->title, '\n'), "title of two lines", a->title);
	check_text(a->author);
	check_text(a->summary.text);
	check_text(a->body.text);
	for (size_t i = 0; i < a->topics.n; i++)
		check_text(a->topics.list[i]);
	for (size_t i = 0; i < a->n_files; i++)
		check_address(a->files[i].url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {NULL, "text/xml; charset=utf-8",
					    "application/xml; charset=iso-8859-1",
					    "text/xml; charset=gb18030"};
	if (!size)
		return 0;
	_cleanup_arena_ struct arena arena = {0};
	struct feed *feed;
	struct why why = {""};
	struct str bytes = {(const char *)data, size};
	int r = feed_parse(&arena, bytes, types[data[size - 1] % 4], "https://base.example/feed",
			   &feed, &why);
	must(r == 0 || why.text[0], "no reason given", NULL);
	if (r < 0)
		return 0;
	check_text(feed->title);
	check_address(feed->url);
	check_address(feed->self_url);
	for (size_t i = 0; i < feed->n; i++) {
		check_article(&feed->articles[i]);
		for (size_t j = 0; j < i && i < 100; j++)
			must(strcmp(feed->articles[i].guid, feed->articles[j].guid) != 0,
			     "the same guid twice", feed->articles[i].guid);
	}
	return 0;
}
