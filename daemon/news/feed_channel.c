#include "news/feed_channel.h"

#include <errno.h>

#include "news/feed_article.h"
#include "news/feed_element.h"
#include "news/feed_media.h"
#include "news/feed_people.h"

struct target {
	struct feed *feed;
	struct feed_ranks ranks;
	bool rss; /* a link of the channel is the base of the links in it */
	char *period;
	unsigned long frequency;
};

struct feed_article *feed_build_article(struct feed_build *b)
{
	struct feed *feed = b->feed;
	if (feed->n >= FEED_MAX_ARTICLES) {
		feed->left_out++;
		return NULL;
	}
	if (feed->n == b->room) {
		size_t room = b->room ? 2 * b->room : 16;
		struct feed_article *list =
		    feed_build_kept(b, arena_array(b->arena, room, sizeof(*list)));
		if (!list)
			return NULL;
		if (feed->n)
			memcpy(list, feed->articles, feed->n * sizeof(*list));
		feed->articles = list;
		b->room = room;
	}
	return &feed->articles[feed->n++];
}

static void take_title(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	feed_title_take(b, &t->feed->title, &t->ranks.title, node, rank);
}

static void take_link(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	char *rel = feed_node_attr(b, node, "rel");
	if (rel && strcasecmp(rel, "self") == 0) {
		char *href = feed_node_attr(b, node, "href");
		if (href)
			t->feed->self_url = feed_address(b, feed_node_base(b, node), str_of(href));
		return;
	}
	char *url = feed_link_read(b, node, &rank);
	if (!url || !feed_rank_better(&t->ranks.url, rank))
		return;
	t->feed->url = url;
	if (t->rss)
		b->link_base = url;
}

static void take_subtitle(struct feed_build *b, void *target, const xmlNode *node,
			  unsigned char rank)
{
	struct target *t = target;
	feed_text_take(b, &t->feed->subtitle, &t->ranks.text, node, rank);
}

static void take_author(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	feed_people_take(b, &t->feed->authors, &t->ranks.author, node, rank);
}

static void take_image(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	feed_image_offer(&t->feed->image, &t->ranks.image, rank, feed_image_read(b, node));
}

static void take_topic(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	(void)rank;
	feed_topic_take(b, &((struct target *)target)->feed->topics, node);
}

static void take_lang(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	(void)rank;
	feed_lang_take(b, &((struct target *)target)->feed->lang, node);
}

static void take_published(struct feed_build *b, void *target, const xmlNode *node,
			   unsigned char rank)
{
	struct target *t = target;
	feed_moment_take(b, &t->feed->published, &t->ranks.published, node, rank);
}

static void take_updated(struct feed_build *b, void *target, const xmlNode *node,
			 unsigned char rank)
{
	struct target *t = target;
	feed_moment_take(b, &t->feed->updated, &t->ranks.updated, node, rank);
}

static unsigned long number_in(struct feed_build *b, const xmlNode *node)
{
	char *text = feed_node_text(b, node);
	return text && text[0] != '-' ? strtoul(text, NULL, 10) : 0;
}

static void take_ttl(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	enum { MONTH = 31 * 24 * 60 }; /* minutes */
	(void)rank;
	unsigned long minutes = number_in(b, node);
	((struct target *)target)->feed->ttl =
	    (minutes < MONTH ? minutes : MONTH) * 60 * USEC_PER_SEC;
}

static void take_period(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	(void)rank;
	((struct target *)target)->period = feed_node_text(b, node);
}

static void take_frequency(struct feed_build *b, void *target, const xmlNode *node,
			   unsigned char rank)
{
	(void)rank;
	((struct target *)target)->frequency = number_in(b, node);
}

enum { BOTH = NS_FEED | NS_ATOM };

static const struct feed_element elements[] = {
    {BOTH, "title", take_title, 1},
    {NS_DC | NS_DCTERMS, "title", take_title, 2},
    {NS_ATOM, "link", take_link, 2},
    {NS_FEED, "link", take_link, 1},
    {BOTH, "description", take_subtitle, 1},
    {BOTH, "subtitle", take_subtitle, 1},
    {BOTH, "tagline", take_subtitle, 1},
    {NS_DC | NS_DCTERMS, "description", take_subtitle, 2},
    {NS_ITUNES, "summary", take_subtitle, 3},
    {NS_ITUNES, "subtitle", take_subtitle, 4},
    {NS_ATOM, "author", take_author, 1},
    {NS_DC | NS_DCTERMS, "creator", take_author, 2},
    {NS_DC | NS_DCTERMS, "author", take_author, 3},
    {NS_FEED, "author", take_author, 4},
    {NS_FEED, "managingEditor", take_author, 5},
    {NS_ITUNES, "author", take_author, 6},
    {BOTH, "image", take_image, 1},
    {BOTH, "logo", take_image, 1},
    {NS_ITUNES, "image", take_image, 2},
    {BOTH, "icon", take_image, 3},
    {BOTH, "category", take_topic, 0},
    {NS_DC | NS_DCTERMS, "subject", take_topic, 0},
    {NS_FEED, "language", take_lang, 0},
    {NS_DC | NS_DCTERMS, "language", take_lang, 0},
    {BOTH, "pubDate", take_published, 1},
    {BOTH, "published", take_published, 1},
    {NS_DCTERMS | BOTH, "issued", take_published, 2},
    {NS_DC | NS_DCTERMS, "date", take_published, 3},
    {NS_DCTERMS | BOTH, "created", take_published, 4},
    {BOTH, "updated", take_updated, 1},
    {BOTH, "modified", take_updated, 1},
    {NS_DCTERMS, "modified", take_updated, 2},
    {BOTH, "lastBuildDate", take_updated, 3},
    {NS_FEED, "ttl", take_ttl, 0},
    {NS_SY, "updatePeriod", take_period, 0},
    {NS_SY, "updateFrequency", take_frequency, 0},
};

static bool is_article(struct str name)
{
	return str_case_is(name, "item") || str_case_is(name, "entry");
}

/* The feed's own elements first, wherever they stand: its link is the base of its articles. */
static void read_feed(struct feed_build *b, struct target *t, const xmlNode *node)
{
	for (const xmlNode *n = node->children; n && !b->err; n = n->next) {
		enum feed_ns ns;
		if (!feed_node_is_element(n))
			continue;
		struct str name = feed_node_name(n, &ns);
		if (str_case_is(name, "channel"))
			read_feed(b, t, n);
		else if (!is_article(name))
			feed_element_take(b, t, n, elements, ELEMENTS(elements));
	}
}

static void read_articles(struct feed_build *b, const xmlNode *node)
{
	for (const xmlNode *n = node->children; n && !b->err; n = n->next) {
		enum feed_ns ns;
		if (!feed_node_is_element(n))
			continue;
		struct str name = feed_node_name(n, &ns);
		if (str_case_is(name, "channel"))
			read_articles(b, n);
		if (!is_article(name) || !(ns & (NS_FEED | NS_ATOM)))
			continue;
		struct feed_article *article = feed_build_article(b);
		if (article)
			feed_article_read(b, article, n);
		arena_free(&b->scratch);
	}
}

static usec_t time_between(const struct target *t)
{
	static const struct {
		const char *period;
		usec_t seconds;
	} periods[] = {{"hourly", 3600},
		       {"daily", 86400},
		       {"weekly", 7 * 86400},
		       {"monthly", 31 * 86400},
		       {"yearly", 31 * 86400}};
	for (size_t i = 0; t->period && i < ELEMENTS(periods); i++)
		if (strcasecmp(t->period, periods[i].period) == 0)
			return periods[i].seconds * USEC_PER_SEC /
			       (t->frequency ? t->frequency : 1);
	return 0;
}

/* "0.91" becomes "rss091", "2.0" "rss20". */
static const char *rss_format(struct feed_build *b, const xmlNode *root)
{
	char *version = feed_node_attr(b, root, "version"), digits[4] = "";
	size_t n = 0;
	for (const char *c = version; c && *c && n < sizeof(digits) - 1; c++)
		if (*c >= '0' && *c <= '9')
			digits[n++] = *c;
	digits[n] = '\0';
	return feed_build_kept(b, arena_printf(b->arena, "rss%s", digits));
}

static const char *format_of(struct feed_build *b, const xmlNode *root)
{
	enum feed_ns ns;
	struct str name = feed_node_name(root, &ns);
	const char *uri = root->ns && root->ns->href ? (const char *)root->ns->href : "";
	if (str_case_is(name, "rss") || str_case_is(name, "channel"))
		return rss_format(b, root);
	if (str_case_is(name, "feed")) {
		char *version = feed_node_attr(b, root, "version");
		bool old = strcasestr(uri, "purl.org/atom") || (version && version[0] == '0');
		return old ? "atom03" : "atom10";
	}
	if (!str_case_is(name, "RDF"))
		return NULL;
	const xmlNode *channel = feed_node_first_element(root);
	bool netscape = channel && channel->ns && channel->ns->href &&
			strcasestr((const char *)channel->ns->href, "netscape");
	return netscape ? "rss090" : "rss10";
}

int feed_channel_read(struct feed_build *b, xmlDoc *doc, struct why *why)
{
	xmlNode *root = xmlDocGetRootElement(doc);
	b->feed->format = format_of(b, root);
	if (b->err)
		return why_set(why, b->err, "no memory left to read the feed");
	if (!b->feed->format && strcasecmp((const char *)root->name, "html") == 0)
		return why_set(why, -EBADMSG, "this is a web page, not a feed");
	if (!b->feed->format)
		return why_set(why, -EBADMSG,
			       "no RSS and no Atom: the outermost element is <%.60s>", root->name);

	struct target t = {.feed = b->feed, .rss = b->feed->format[0] == 'r'};
	b->feed->lang = feed_lang_clean(b, feed_node_lang(b, root));
	read_feed(b, &t, root);
	if (!b->feed->ttl)
		b->feed->ttl = time_between(&t);
	read_articles(b, root);
	return b->err ? why_set(why, b->err, "no memory left to read the feed") : 0;
}
