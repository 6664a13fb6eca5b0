#include "news/feed.h"

#include <errno.h>

#include "base/sha256.h"
#include "news/charset.h"
#include "news/feed_channel.h"
#include "news/feed_discover.h"
#include "news/feed_people.h"
#include "news/feed_xml.h"
#include "news/jsonfeed.h"

/* "sha256:" and 64 hex digits of the parts, each ended by a NUL. */
static char *hash_of(struct feed_build *b, const char *first, const char *second)
{
	const struct str parts[] = {{first, strlen(first) + 1}, {second, strlen(second) + 1}};
	char hex[SHA256_HEX];
	if (sha256_hex(parts, ELEMENTS(parts), hex) < 0)
		return feed_build_kept(b, NULL);
	return feed_build_kept(b, arena_printf(b->arena, "sha256:%s", hex));
}

/* Guid or id, else link, else title and date: what makes an article the same one tomorrow. */
static void identify(struct feed_build *b, struct feed_article *article)
{
	char date[CLOCK_TEXT] = "";
	usec_t moment = article->published ? article->published : article->updated;
	if (!article->guid && article->url) {
		article->guid = article->url;
		article->is_permalink = true;
	}
	if (article->guid && strlen(article->guid) > FEED_MAX_GUID)
		article->guid = hash_of(b, article->guid, "");
	if (article->guid)
		return;
	if (moment)
		clock_text(moment, date);
	/* Without a title the words have to do. */
	const char *words = article->title          ? article->title
			    : article->summary.text ? article->summary.text
			    : article->body.text    ? article->body.text
						    : "";
	article->guid = hash_of(b, words, date);
}

static bool is_empty(const struct feed_article *article)
{
	return !article->guid && !article->url && !article->title && !article->summary.text &&
	       !article->body.text && !article->image.url && !article->n_files &&
	       !article->published && !article->updated && !article->topics.n &&
	       !article->authors.n;
}

struct place {
	const char *guid;
	size_t at;
};

static int by_guid_and_place(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = strcmp(a->guid, b->guid);
	return order ? order : a->at < b->at ? -1 : 1;
}

/* Keeps one article of each guid: the first, or the one that was updated last. */
static void drop_doubles(struct feed_build *b)
{
	struct feed *feed = b->feed;
	struct place *places =
	    feed_build_kept(b, arena_array(&b->scratch, feed->n + 1, sizeof(*places)));
	if (!places || feed->n < 2)
		return;
	for (size_t i = 0; i < feed->n; i++)
		places[i] = (struct place){feed->articles[i].guid, i};
	qsort(places, feed->n, sizeof(*places), by_guid_and_place);
	for (size_t i = 0, kept = 0; i < feed->n; i++) {
		struct feed_article *first = &feed->articles[places[kept].at];
		struct feed_article *here = &feed->articles[places[i].at];
		if (i == kept || strcmp(places[i].guid, places[kept].guid) != 0) {
			kept = i;
			continue;
		}
		if (here->updated > first->updated)
			*first = *here;
		here->guid = NULL;
	}
	size_t n = 0;
	for (size_t i = 0; i < feed->n; i++)
		if (feed->articles[i].guid)
			feed->articles[n++] = feed->articles[i];
	feed->n = n;
}

static void finish(struct feed_build *b)
{
	struct feed *feed = b->feed;
	bool inherits = feed->format[0] == 'a' || feed->format[0] == 'j'; /* RFC 4287 4.2.1 */
	feed->author = feed_people_names(b, &feed->authors);
	size_t n = 0;
	for (size_t i = 0; i < feed->n; i++)
		if (!is_empty(&feed->articles[i]))
			feed->articles[n++] = feed->articles[i];
	feed->n = n;
	for (size_t i = 0; i < feed->n && !b->err; i++) {
		struct feed_article *article = &feed->articles[i];
		if (!article->authors.n && inherits)
			article->authors = feed->authors;
		article->author = feed_people_names(b, &article->authors);
		if (!article->lang)
			article->lang = feed->lang;
		identify(b, article);
	}
	if (!b->err)
		drop_doubles(b);
}

static int read_xml(struct feed_build *b, struct str text, struct why *why)
{
	_cleanup_(xmlFreeDocp)
	xmlDocPtr doc = NULL;
	int r = feed_xml_read(text, &doc, &b->feed->repaired, why);
	return r < 0 ? r : feed_channel_read(b, doc, why);
}

static bool looks_like_page(struct str s)
{
	return str_case_is(str_head(s, 14), "<!doctype html") ||
	       str_case_is(str_head(s, 5), "<html");
}

/* Tells which feed the page names: that is what was meant. */
static int refuse_page(struct feed_build *b, struct str page, struct why *why)
{
	char *feeds[FEED_DISCOVER_MAX];
	int n = feed_discover(b->arena, page, b->base_url, feeds);
	if (n < 0)
		return why_set(why, n, "no memory left to read the feed");
	if (n == 0)
		return why_set(why, -EBADMSG, "this is a web page, not a feed");
	return why_set(why, -EBADMSG, "this is a web page, not a feed; the feed it names is %s",
		       feeds[0]);
}

static int read_any(struct feed_build *b, struct str bytes, const char *content_type,
		    struct why *why)
{
	_cleanup_buf_ struct buf text = {0};
	char charset[CHARSET_NAME];
	if (charset_to_utf8(&text, bytes, CHARSET_XML, content_type, charset) < 0)
		return why_set(why, -ENOMEM, "no memory left to read the feed");
	struct str s = str_trim(buf_str(&text));
	b->feed->charset = feed_build_kept(b, arena_strdup(b->arena, charset));
	if (!s.n)
		return why_set(why, -EBADMSG, "the feed is empty");
	if (s.p[0] == '{' || s.p[0] == '[')
		return jsonfeed_read(b, s, why);
	if (looks_like_page(s))
		return refuse_page(b, s, why);
	if (s.p[0] == '<')
		return read_xml(b, s, why);
	return why_set(why, -EBADMSG, "neither XML nor JSON: it begins with \"%.20s\"", s.p);
}

int feed_parse(struct arena *a, struct str bytes, const char *content_type, const char *base_url,
	       struct feed **ret, struct why *why)
{
	struct feed *feed = arena_alloc(a, sizeof(*feed));
	if (!feed)
		return why_set(why, -ENOMEM, "no memory left to read the feed");
	struct feed_build b = {.arena = a, .feed = feed};
	b.base_url = b.link_base = feed_address(&b, NULL, str_of(base_url));
	int r = read_any(&b, bytes, content_type, why);
	if (r == 0)
		finish(&b);
	arena_free(&b.scratch);
	if (r == 0 && b.err)
		r = why_set(why, b.err, "no memory left to read the feed");
	if (r == 0)
		*ret = feed;
	return r;
}
