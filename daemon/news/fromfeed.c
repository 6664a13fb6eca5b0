#include "news/article.h"
#include "news/feed.h"
#include "news/html.h"
#include "news/plain.h"

static bool is_plain(const struct feed_text *text)
{
	return text->kind == FEED_TEXT;
}

static int plain_summary(struct arena *arena, const struct feed_text *from, char **ret,
			 struct why *why)
{
	_cleanup_buf_ struct buf plain = {0};
	int r = 0;
	if (is_plain(from))
		buf_adds(&plain, from->text);
	else
		r = html_to_plain(str_of(from->text), &plain, why);
	return r < 0 ? r : article_keep(arena, &plain, ret, why);
}

int article_from_feed(struct arena *arena, const struct feed_article *found, struct article *ret,
		      struct why *why)
{
	const struct feed_text *body = found->body.text ? &found->body : &found->summary;
	struct article a = {
	    .guid = found->guid,
	    .url = found->url,
	    .title = found->title,
	    .author = found->author,
	    .image = found->image.url,
	    .image_alt = found->image.alt,
	    .lang = found->lang,
	    .topics = found->topics.list,
	    .n_topics = found->topics.n,
	    .published = found->published ? found->published : found->updated,
	    .base = body->base ? body->base : found->url,
	    .body_html = body->text,
	};
	int r = 0;
	if (found->summary.text)
		r = plain_summary(arena, &found->summary, &a.summary, why);
	if (r >= 0 && body->text && is_plain(body)) {
		_cleanup_buf_ struct buf html = {0};
		plain_to_html(str_of(body->text), &html);
		r = article_keep(arena, &html, &a.body_html, why);
	}
	if (r >= 0)
		*ret = a;
	return r;
}
