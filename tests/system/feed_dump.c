/*
 * Prints what feed_parse() makes of standard input, as JSON, for tests/system/test_feeds.py.
 * Usage: feed_dump [base-url [content-type]] <feed. A feed that can't be read: {"error": why}.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "news/feed.h"

static json_t *text_of(const struct feed_text *t)
{
	static const char *const kinds[] = {"text", "html", "xhtml"};
	if (!t->text)
		return json_null();
	return json_pack("{ss ss ss?}", "text", t->text, "kind", kinds[t->kind], "base", t->base);
}

static json_t *people_of(const struct feed_people *people)
{
	json_t *list = json_array();
	for (size_t i = 0; i < people->n; i++) {
		const struct feed_person *p = &people->list[i];
		json_array_append_new(list, json_pack("{ss? ss? ss?}", "name", p->name, "email",
						      p->email, "url", p->url));
	}
	return list;
}

static json_t *topics_of(const struct feed_topics *topics)
{
	json_t *list = json_array();
	for (size_t i = 0; i < topics->n; i++)
		json_array_append_new(list, json_string(topics->list[i]));
	return list;
}

static json_t *image_of(const struct feed_image *image)
{
	return json_pack("{ss? ss? si}", "url", image->url, "alt", image->alt, "width",
			 image->width);
}

static json_t *files_of(const struct feed_article *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->n_files; i++)
		json_array_append_new(list, json_pack("{ss? ss? sI}", "url", a->files[i].url,
						      "type", a->files[i].type, "length",
						      (json_int_t)a->files[i].length));
	return list;
}

static json_t *article_of(const struct feed_article *a)
{
	return json_pack("{ss sb ss? ss? ss? so so so so so so ss? sI sI}", "guid", a->guid,
			 "is_permalink", a->is_permalink, "url", a->url, "title", a->title,
			 "author", a->author, "authors", people_of(&a->authors), "summary",
			 text_of(&a->summary), "body", text_of(&a->body), "image",
			 image_of(&a->image), "files", files_of(a), "topics", topics_of(&a->topics),
			 "lang", a->lang, "published", (json_int_t)a->published, "updated",
			 (json_int_t)a->updated);
}

static json_t *feed_of(const struct feed *f)
{
	json_t *articles = json_array();
	for (size_t i = 0; i < f->n; i++)
		json_array_append_new(articles, article_of(&f->articles[i]));
	return json_pack("{ss ss? ss? ss? ss? so ss? so so so ss? sI sI sI sI sb so}", "format",
			 f->format, "charset", f->charset, "title", f->title, "url", f->url,
			 "self_url", f->self_url, "subtitle", text_of(&f->subtitle), "author",
			 f->author, "authors", people_of(&f->authors), "image", image_of(&f->image),
			 "topics", topics_of(&f->topics), "lang", f->lang, "published",
			 (json_int_t)f->published, "updated", (json_int_t)f->updated, "ttl",
			 (json_int_t)f->ttl, "left_out", (json_int_t)f->left_out, "repaired",
			 f->repaired, "articles", articles);
}

int main(int argc, char **argv)
{
	_cleanup_buf_ struct buf input = {0};
	_cleanup_arena_ struct arena arena = {0};
	char piece[65536];
	for (size_t n; (n = fread(piece, 1, sizeof(piece), stdin)) > 0;)
		buf_add(&input, piece, n);
	struct feed *feed = NULL;
	struct why why = {""};
	int r = feed_parse(&arena, buf_str(&input), argc > 2 ? argv[2] : NULL,
			   argc > 1 && argv[1][0] ? argv[1] : NULL, &feed, &why);
	json_auto_t *out =
	    r < 0 ? json_pack("{ss si}", "error", why.text, "errno", -r) : feed_of(feed);
	if (!out || json_dumpf(out, stdout, JSON_INDENT(1)) < 0)
		return 1;
	return putchar('\n') < 0;
}
