#include "news/jsonfeed.h"

#include <errno.h>
#include <jansson.h>

#include "news/date.h"
#include "news/feed_channel.h"
#include "news/feed_element.h"
#include "news/feed_media.h"
#include "news/feed_people.h"

static struct str raw(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return str_trim(str_of(json_string_value(value)));
}

static char *text(struct feed_build *b, const json_t *object, const char *key)
{
	return feed_build_text(b, raw(object, key));
}

static char *line(struct feed_build *b, const json_t *object, const char *key)
{
	return feed_build_line(b, raw(object, key));
}

static char *address(struct feed_build *b, const json_t *object, const char *key)
{
	return feed_address(b, b->link_base, raw(object, key));
}

static usec_t moment(const json_t *object, const char *key)
{
	return date_parse(raw(object, key));
}

static void read_person(struct feed_build *b, struct feed_people *people, const json_t *author)
{
	struct feed_person person = {
	    .name = line(b, author, "name"),
	    .url = address(b, author, "url"),
	};
	feed_people_add(b, people, person);
}

/* "authors" of 1.1, else "author" of 1.0. */
static void read_people(struct feed_build *b, struct feed_people *people, const json_t *object)
{
	const json_t *list = json_object_get(object, "authors"), *author;
	size_t i;
	json_array_foreach(list, i, author) read_person(b, people, author);
	if (!people->n)
		read_person(b, people, json_object_get(object, "author"));
}

static void read_image(struct feed_build *b, struct feed_image *image, const json_t *object,
		       const char *first, const char *second)
{
	image->url = address(b, object, first);
	if (!image->url)
		image->url = address(b, object, second);
}

static void read_files(struct feed_build *b, struct feed_article *article, const json_t *item)
{
	const json_t *list = json_object_get(item, "attachments"), *one;
	size_t i;
	json_array_foreach(list, i, one)
	{
		double size = json_number_value(json_object_get(one, "size_in_bytes"));
		struct feed_file file = {
		    .url = address(b, one, "url"),
		    .type = text(b, one, "mime_type"),
		    .length = size > 0 && size < 1e18 ? (unsigned long long)size : 0,
		};
		feed_file_add(b, article, file);
		if (!article->image.url && feed_is_picture(file.url, file.type))
			article->image = (struct feed_image){file.url, line(b, one, "title"), 0};
	}
}

static void read_text(struct feed_build *b, struct feed_text *ret, char *found, enum feed_kind kind)
{
	if (found)
		*ret = (struct feed_text){found, kind, (char *)b->link_base};
}

/* The id is a string; numbers are taken too, as others do. */
static char *read_id(struct feed_build *b, const json_t *item)
{
	const json_t *id = json_object_get(item, "id");
	if (json_is_integer(id))
		return feed_build_kept(
		    b, arena_printf(b->arena, "%lld", (long long)json_integer_value(id)));
	if (json_is_real(id))
		return feed_build_kept(b, arena_printf(b->arena, "%.17g", json_real_value(id)));
	return text(b, item, "id");
}

static void read_item(struct feed_build *b, struct feed_article *article, const json_t *item)
{
	article->guid = read_id(b, item);
	article->url = address(b, item, "url");
	if (!article->url)
		article->url = address(b, item, "external_url");
	article->title = line(b, item, "title");
	read_people(b, &article->authors, item);
	read_text(b, &article->summary, text(b, item, "summary"), FEED_TEXT);
	read_text(b, &article->body, text(b, item, "content_html"), FEED_HTML);
	if (!article->body.text)
		read_text(b, &article->body, text(b, item, "content_text"), FEED_TEXT);
	read_image(b, &article->image, item, "image", "banner_image");
	read_files(b, article, item);
	article->published = moment(item, "date_published");
	article->updated = moment(item, "date_modified");
	article->lang = feed_lang_clean(b, json_string_value(json_object_get(item, "language")));

	const json_t *tag, *tags = json_object_get(item, "tags");
	size_t i;
	json_array_foreach(tags, i, tag)
	    feed_topic_add(b, &article->topics, feed_build_line(b, str_of(json_string_value(tag))));
}

static void read_top(struct feed_build *b, const json_t *top)
{
	struct feed *feed = b->feed;
	feed->title = line(b, top, "title");
	feed->url = address(b, top, "home_page_url");
	feed->self_url = address(b, top, "feed_url");
	if (!b->link_base)
		b->link_base = feed->self_url ? feed->self_url : feed->url;
	read_text(b, &feed->subtitle, text(b, top, "description"), FEED_TEXT);
	read_image(b, &feed->image, top, "icon", "favicon");
	read_people(b, &feed->authors, top);
	feed->lang = feed_lang_clean(b, json_string_value(json_object_get(top, "language")));
}

int jsonfeed_read(struct feed_build *b, struct str source, struct why *why)
{
	json_error_t error;
	_cleanup_(json_decrefp)
	json_t *top =
	    json_loadb(source.p, source.n, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error);
	if (!top && json_error_code(&error) == json_error_out_of_memory)
		return why_set(why, -ENOMEM, "no memory left to read the feed");
	if (!top)
		return why_set(why, -EBADMSG, "not valid JSON, line %d: %s", error.line,
			       error.text);

	struct str version = raw(top, "version");
	const json_t *items = json_object_get(top, "items"), *item;
	if (!json_is_array(items) || (version.n && !strcasestr(version.p, "jsonfeed")))
		return why_set(why, -EBADMSG, "this is JSON, but no JSON Feed (no \"items\")");
	b->feed->format =
	    str_starts(version, "https://jsonfeed.org/version/1.1") ? "json11" : "json1";
	read_top(b, top);
	size_t i;
	json_array_foreach(items, i, item)
	{
		struct feed_article *article = b->err ? NULL : feed_build_article(b);
		if (article)
			read_item(b, article, item);
	}
	return b->err ? why_set(why, b->err, "no memory left to read the feed") : 0;
}
