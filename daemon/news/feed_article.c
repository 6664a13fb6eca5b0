#include "news/feed_article.h"

#include "news/feed_element.h"
#include "news/feed_media.h"
#include "news/feed_people.h"

struct target {
	struct feed_article *article;
	struct feed_ranks ranks;
};

static void take_title(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	feed_title_take(b, &t->article->title, &t->ranks.title, node, rank);
}

static void take_link(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	char *rel = feed_node_attr(b, node, "rel");
	if (rel && strcasecmp(rel, "enclosure") == 0) {
		feed_enclosure_read(b, t->article, &t->ranks, node, 3);
		return;
	}
	char *url = feed_link_read(b, node, &rank);
	if (url && feed_rank_better(&t->ranks.url, rank))
		t->article->url = url;
}

static void take_guid(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	char *guid = feed_node_text(b, node);
	if (!guid || !feed_rank_better(&t->ranks.guid, rank))
		return;
	t->article->guid = guid;
	t->article->is_permalink = false;
	char *permalink = feed_node_attr(b, node, "isPermaLink");
	if (feed_node_is_atom(node) || (permalink && strcasecmp(permalink, "true") != 0))
		return;
	/* Many a guid is no address, though it says nothing: only an absolute one is believed then.
	 */
	char *url = feed_address(b, permalink ? feed_node_base(b, node) : NULL, str_of(guid));
	t->article->is_permalink = url != NULL;
	if (url && feed_rank_better(&t->ranks.url, 5))
		t->article->url = url;
}

static void take_author(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	feed_people_take(b, &t->article->authors, &t->ranks.author, node, rank);
}

static void take_summary(struct feed_build *b, void *target, const xmlNode *node,
			 unsigned char rank)
{
	struct target *t = target;
	feed_text_take(b, &t->article->summary, &t->ranks.text, node, rank);
}

static void take_body(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	enum feed_ns ns;
	struct feed_text text;
	feed_node_name(node, &ns);
	if (!feed_node_construct(b, node, ns == NS_ATOM, &text))
		return;
	if (ns == NS_XHTML)
		text.kind = FEED_XHTML;
	if (feed_rank_better(&t->ranks.body, rank))
		t->article->body = text;
}

static void take_published(struct feed_build *b, void *target, const xmlNode *node,
			   unsigned char rank)
{
	struct target *t = target;
	feed_moment_take(b, &t->article->published, &t->ranks.published, node, rank);
}

static void take_updated(struct feed_build *b, void *target, const xmlNode *node,
			 unsigned char rank)
{
	struct target *t = target;
	feed_moment_take(b, &t->article->updated, &t->ranks.updated, node, rank);
}

static void take_topic(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	(void)rank;
	feed_topic_take(b, &((struct target *)target)->article->topics, node);
}

static void take_topics(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	(void)rank;
	char *text = feed_node_text(b, node);
	if (text)
		feed_topics_split(b, &((struct target *)target)->article->topics, text);
}

static void take_media(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	feed_media_read(b, t->article, &t->ranks, node, rank);
}

static void take_enclosure(struct feed_build *b, void *target, const xmlNode *node,
			   unsigned char rank)
{
	struct target *t = target;
	feed_enclosure_read(b, t->article, &t->ranks, node, rank);
}

static void take_image(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	struct target *t = target;
	feed_image_offer(&t->article->image, &t->ranks.image, rank, feed_image_read(b, node));
}

static void take_lang(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	(void)rank;
	feed_lang_take(b, &((struct target *)target)->article->lang, node);
}

static void take_group(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank);

enum { BOTH = NS_FEED | NS_ATOM };

static const struct feed_element elements[] = {
    {BOTH, "title", take_title, 1},
    {NS_DC | NS_DCTERMS, "title", take_title, 2},
    {NS_MEDIA, "title", take_title, 3},
    {NS_ITUNES, "title", take_title, 4},
    {NS_FEEDBURNER, "origLink", take_link, 1},
    {NS_ATOM, "link", take_link, 2},
    {NS_FEED, "link", take_link, 2},
    {NS_FEED, "guid", take_guid, 1},
    {BOTH, "id", take_guid, 2},
    {NS_DC | NS_DCTERMS, "identifier", take_guid, 4},
    {NS_ATOM, "author", take_author, 1},
    {NS_DC | NS_DCTERMS, "creator", take_author, 2},
    {NS_DC | NS_DCTERMS, "author", take_author, 3},
    {NS_FEED, "author", take_author, 4},
    {NS_ITUNES, "author", take_author, 5},
    {BOTH, "summary", take_summary, 1},
    {BOTH, "description", take_summary, 1},
    {NS_DC | NS_DCTERMS, "description", take_summary, 2},
    {NS_DC | NS_DCTERMS, "abstract", take_summary, 2},
    {NS_ITUNES, "summary", take_summary, 3},
    {NS_ITUNES, "subtitle", take_summary, 4},
    {NS_MEDIA, "description", take_summary, 5},
    {NS_CONTENT, "encoded", take_body, 1},
    {BOTH, "content", take_body, 2},
    {NS_FEED, "fullitem", take_body, 3},
    {NS_XHTML, "body", take_body, 4},
    {NS_XHTML, "div", take_body, 5},
    {BOTH, "published", take_published, 1},
    {BOTH, "pubDate", take_published, 1},
    {BOTH, "issued", take_published, 1},
    {NS_DCTERMS, "issued", take_published, 2},
    {NS_DC | NS_DCTERMS, "date", take_published, 3},
    {NS_FEED, "date", take_published, 4},
    {NS_DCTERMS | BOTH, "created", take_published, 5},
    {BOTH, "updated", take_updated, 1},
    {BOTH, "modified", take_updated, 1},
    {NS_DCTERMS, "modified", take_updated, 2},
    {BOTH, "category", take_topic, 0},
    {NS_DC | NS_DCTERMS, "subject", take_topic, 0},
    {NS_MEDIA, "category", take_topic, 0},
    {NS_FEED, "tags", take_topics, 0},
    {NS_MEDIA, "content", take_media, 1},
    {NS_MEDIA, "thumbnail", take_media, 4},
    {NS_MEDIA, "group", take_group, 0},
    {NS_FEED, "enclosure", take_enclosure, 3},
    {NS_ITUNES, "image", take_image, 5},
    {BOTH, "image", take_image, 6},
    {NS_DC | NS_DCTERMS, "language", take_lang, 0},
};

static void take_group(struct feed_build *b, void *target, const xmlNode *node, unsigned char rank)
{
	(void)rank;
	for (const xmlNode *n = node->children; n; n = n->next) {
		enum feed_ns ns;
		if (feed_node_is_element(n) && !str_case_is(feed_node_name(n, &ns), "group"))
			feed_element_take(b, target, n, elements, ELEMENTS(elements));
	}
}

void feed_article_read(struct feed_build *b, struct feed_article *article, const xmlNode *node)
{
	struct target t = {.article = article};
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		/* RSS 1.0's rdf:about is the identity of the item. */
		if (strcmp((const char *)attr->name, "about") != 0 || !attr->children)
			continue;
		article->guid = feed_node_text(b, (const xmlNode *)attr);
		t.ranks.guid = article->guid ? 3 : 0;
	}
	for (const xmlNode *n = node->children; n && !b->err; n = n->next)
		if (feed_node_is_element(n))
			feed_element_take(b, &t, n, elements, ELEMENTS(elements));
	if (!article->lang)
		article->lang = feed_lang_clean(b, feed_node_lang(b, node));
}
