/*
 * Articles from any bytes: as Markdown, HTML, text and a web page, settled with patterns. What is
 * stored is valid UTF-8, and settling it again changes nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "news/article.h"
#include "news/page.h"

static void must(int holds, const char *what, const char *first, const char *second)
{
	if (holds)
		return;
	fprintf(stderr, "%s:\n%s\n---\n%s\n", what, first, second);
	abort();
}

static void check(struct arena *arena, struct article *a)
{
	static const char *const patterns[] = {"*a?b*", "Sign up*", "*\\*"};
	static const struct drop drop = {patterns, ELEMENTS(patterns)};
	if (article_settle(arena, a, &drop, NULL) < 0)
		return;
	const char *const texts[] = {a->guid,      a->url,   a->title,     a->author, a->summary,
				     a->body_html, a->image, a->image_alt, a->lang,   a->body_text};
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		must(texts[i] && text_valid(str_of(texts[i])), "UTF-8", texts[i], "");
	must(a->guid[0] && a->title[0], "empty", a->guid, a->title);
	struct article again = *a;
	must(article_settle(arena, &again, NULL, NULL) == 0, "again", a->body_html, "");
	must(!strcmp(a->url, again.url), "url", a->url, again.url);
	must(!strcmp(a->dir, again.dir), "dir", a->dir, again.dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	for (int kind = ARTICLE_GUESS; kind <= ARTICLE_TEXT; kind++) {
		_cleanup_arena_ struct arena arena = {0};
		struct article a;
		if (article_read(&arena, in, NULL, (enum article_kind)kind, &a, NULL) == 0)
			check(&arena, &a);
	}
	_cleanup_arena_ struct arena arena = {0};
	struct article a;
	if (page_read(&arena, in, NULL, "https://example.org/a", &a, NULL) == 0)
		check(&arena, &a);
	return 0;
}
