#include "news/page.h"

#include <errno.h>
#include <libxml/HTMLparser.h>
#include <libxml/HTMLtree.h>

#include "base/text.h"
#include "news/charset.h"
#include "news/date.h"
#include "news/html.h"
#include "news/htmlraw.h"
#include "news/jsonld.h"
#include "news/maintext.h"
#include "news/plain.h"
#include "news/url.h"

/* What the page's head tells; the values are the tree's. */
struct head {
	const char *og_title, *og_url, *og_description, *og_image, *og_image_alt, *og_site,
	    *og_locale;
	const char *tw_title, *tw_description, *tw_image, *tw_image_alt;
	const char *author, *article_author, *description, *published, *date;
	const char *canonical, *base, *lang, *dir;
	char *title; /* in the arena, as is all that isn't the tree's */
	char *topics[ARTICLE_TOPICS];
	size_t n_topics;
	struct jsonld ld;
};

struct reading {
	struct arena *arena;
	struct head head;
	struct why *why;
};

/* ---- the head ---- */

static int read_meta(struct reading *r, const xmlNode *node)
{
	struct head *h = &r->head;
	const struct {
		const char *name;
		const char **to;
	} names[] = {
	    {"og:title", &h->og_title},
	    {"og:url", &h->og_url},
	    {"og:description", &h->og_description},
	    {"og:image", &h->og_image},
	    {"og:image:url", &h->og_image},
	    {"og:image:secure_url", &h->og_image},
	    {"og:image:alt", &h->og_image_alt},
	    {"og:site_name", &h->og_site},
	    {"og:locale", &h->og_locale},
	    {"twitter:title", &h->tw_title},
	    {"twitter:description", &h->tw_description},
	    {"twitter:image", &h->tw_image},
	    {"twitter:image:src", &h->tw_image},
	    {"twitter:image:alt", &h->tw_image_alt},
	    {"author", &h->author},
	    {"article:author", &h->article_author},
	    {"description", &h->description},
	    {"article:published_time", &h->published},
	    {"date", &h->date},
	    {"dc.date", &h->date},
	    {"dcterms.date", &h->date},
	};
	const char *name = maintext_attribute(node, "property");
	const char *content = maintext_attribute(node, "content");
	if (!name)
		name = maintext_attribute(node, "name");
	if (!name || !content || !content[0])
		return 0;
	for (size_t i = 0; i < ELEMENTS(names); i++)
		if (!strcasecmp(name, names[i].name) && !*names[i].to)
			*names[i].to = content;
	if (!strcasecmp(name, "article:tag") && h->n_topics < ARTICLE_TOPICS) {
		char *topic = arena_strdup(r->arena, content);
		if (!topic)
			return article_no_memory(r->why);
		h->topics[h->n_topics++] = topic;
	}
	return 0;
}

static int read_content(struct reading *r, xmlNode *node, char **ret)
{
	xmlChar *text = xmlNodeGetContent(node);
	if (!text)
		return article_no_memory(r->why);
	*ret = arena_strdup(r->arena, (const char *)text);
	xmlFree(text);
	return *ret ? 0 : article_no_memory(r->why);
}

static int read_node(struct reading *r, xmlNode *node)
{
	struct head *h = &r->head;
	const char *name = (const char *)node->name;
	if (!strcasecmp(name, "meta")) {
		return read_meta(r, node);
	} else if (!strcasecmp(name, "html")) {
		h->lang = maintext_attribute(node, "lang");
		h->dir = maintext_attribute(node, "dir");
	} else if (!strcasecmp(name, "body") && !h->dir) {
		h->dir = maintext_attribute(node, "dir");
	} else if (!strcasecmp(name, "base") && !h->base) {
		h->base = maintext_attribute(node, "href");
	} else if (!strcasecmp(name, "link")) {
		const char *rel = maintext_attribute(node, "rel");
		if (rel && !strcasecmp(rel, "canonical") && !h->canonical)
			h->canonical = maintext_attribute(node, "href");
	} else if (!strcasecmp(name, "title") && !h->title) {
		return read_content(r, node, &h->title);
	} else if (!strcasecmp(name, "script")) {
		const char *type = maintext_attribute(node, "type");
		char *script;
		if (!type || strcasecmp(type, "application/ld+json") != 0)
			return 0;
		int err = read_content(r, node, &script);
		if (err >= 0 && jsonld_read(r->arena, str_of(script), &h->ld) < 0)
			return article_no_memory(r->why);
		return err;
	}
	return 0;
}

/* All elements, in their order; the parser bounds how deep they are. */
static int read_head(struct reading *r, xmlNode *root)
{
	xmlNode *node = root;
	while (node) {
		int err = node->type == XML_ELEMENT_NODE ? read_node(r, node) : 0;
		if (err < 0)
			return err;
		if (node->type == XML_ELEMENT_NODE && node->children) {
			node = node->children;
			continue;
		}
		while (node != root && !node->next)
			node = node->parent;
		node = node == root ? NULL : node->next;
	}
	return 0;
}

/* ---- putting it together ---- */

static const char *either(const char *a, const char *b)
{
	return a && a[0] ? a : b;
}

/* JSON-LD's texts may hold entities or tags. */
static int plain(struct reading *r, const char *text, char **ret)
{
	_cleanup_buf_ struct buf out = {0};
	int err = text ? html_to_plain(str_of(text), &out, r->why) : 0;
	return err < 0 || !text ? err : article_keep(r->arena, &out, ret, r->why);
}

/* "Title - Site" without its site. */
static int without_site(struct reading *r, char *title, const char *site, char **ret)
{
	static const char *const separators[] = {"-", "|", "–", "—", "·", "«", "»", ":", "::"};
	struct str whole = str_trim(str_of(title)), name = str_trim(str_of(site));
	*ret = title;
	if (!name.n || whole.n <= name.n + 3 || !str_eq(str_from(whole, whole.n - name.n), name))
		return 0;
	struct str rest = str_trim(str_head(whole, whole.n - name.n));
	for (size_t i = 0; i < ELEMENTS(separators); i++) {
		size_t n = strlen(separators[i]);
		if (rest.n <= n + 1 || rest.p[rest.n - n - 1] != ' ' ||
		    !str_is(str_from(rest, rest.n - n), separators[i]))
			continue;
		*ret = arena_copy(r->arena, str_trim(str_head(rest, rest.n - n)));
		return *ret ? 0 : article_no_memory(r->why);
	}
	return 0;
}

/* url_content() into the arena. */
static int fill_address(struct reading *r, const char *from, const char *base, char **ret)
{
	_cleanup_free_ char *address = NULL;
	if (url_content(from, base, &address) < 0)
		return article_no_memory(r->why);
	*ret = arena_strdup(r->arena, address);
	return address && !*ret ? article_no_memory(r->why) : 0;
}

static int fill_addresses(struct reading *r, char *address, struct article *a)
{
	struct head *h = &r->head;
	char *base = NULL;
	int err = fill_address(r, h->base, address, &base);
	a->base = base ? base : address;
	if (err >= 0)
		err = fill_address(r, h->canonical, a->base, &a->url);
	if (err >= 0 && !a->url)
		err = fill_address(r, either(h->og_url, h->ld.url), a->base, &a->url);
	if (!a->url)
		a->url = address;
	if (!a->base)
		a->base = a->url;
	const char *image = either(h->og_image, either(h->tw_image, h->ld.image));
	return err < 0 ? err : fill_address(r, image, a->base, &a->image);
}

/* A value of the tree, which doesn't outlive this, into the arena; no error when there is none. */
static int copy(struct reading *r, const char *from, char **ret)
{
	*ret = arena_strdup(r->arena, from);
	return from && !*ret ? article_no_memory(r->why) : 0;
}

static int fill(struct reading *r, char *address, struct article *a)
{
	struct head *h = &r->head;
	int err = fill_addresses(r, address, a);
	const char *title = either(h->ld.headline, either(h->og_title, h->tw_title));
	if (err >= 0 && title)
		err = plain(r, title, &a->title);
	else if (err >= 0 && h->title)
		err = without_site(r, h->title, h->og_site, &a->title);
	if (err >= 0)
		err = plain(r, either(h->ld.author, h->author), &a->author);
	if (err >= 0 && !a->author && h->article_author && !strstr(h->article_author, "://"))
		err = plain(r, h->article_author, &a->author);
	const char *summary = either(h->og_description, either(h->description, h->tw_description));
	if (err >= 0)
		err = plain(r, either(h->ld.description, summary), &a->summary);
	if (err >= 0)
		err = copy(r, either(h->lang, either(h->ld.lang, h->og_locale)), &a->lang);
	if (err >= 0)
		err = copy(r, h->dir, &a->dir);
	if (err >= 0)
		err = copy(r, either(h->og_image_alt, h->tw_image_alt), &a->image_alt);

	const char *date = either(h->published, h->date);
	a->published = h->ld.published ? h->ld.published : date ? date_parse(str_of(date)) : 0;
	bool tags = h->n_topics > 0;
	size_t n = tags ? h->n_topics : h->ld.n_topics;
	a->topics = arena_array(r->arena, n + 1, sizeof(*a->topics));
	if (err < 0 || !a->topics)
		return err < 0 ? err : article_no_memory(r->why);
	memcpy(a->topics, tags ? h->topics : h->ld.topics, n * sizeof(*a->topics));
	a->n_topics = n;
	return 0;
}

static void free_buffer(xmlBuffer **buffer)
{
	xmlBufferFree(*buffer);
}

static int fill_body(struct reading *r, xmlDoc *doc, bool foreign, struct article *a)
{
	const char *told = r->head.ld.body;
	_cleanup_buf_ struct buf html = {0};
	if (told && text_width(str_of(told)) >= PAGE_BODY) {
		bool tagged = strstr(told, "</p>") || strstr(told, "<br");
		if (tagged)
			buf_adds(&html, told);
		else
			plain_to_html(str_of(told), &html);
		return article_keep(r->arena, &html, &a->body_html, r->why);
	}
	xmlNode *main = maintext_find(xmlDocGetRootElement(doc), foreign);
	if (!main)
		return why_set(r->why, -EINVAL, "the page has no text");
	if (foreign)
		maintext_prune(main);
	_cleanup_(free_buffer)
	xmlBuffer *dump = xmlBufferCreate();
	if (!dump || htmlNodeDump(dump, doc, main) < 0)
		return article_no_memory(r->why);
	buf_add(&html, xmlBufferContent(dump), (size_t)xmlBufferLength(dump));
	return article_keep(r->arena, &html, &a->body_html, r->why);
}

static void free_doc(xmlDoc **doc)
{
	if (*doc)
		xmlFreeDoc(*doc);
}

static int parse(struct str text, xmlDoc **ret, struct why *why)
{
	/* Only for what it refuses: the tree needs the scripts that it takes out. */
	_cleanup_buf_ struct buf stripped = {0};
	int r = text.n > HTML_LARGEST ? why_set(why, -EFBIG, "the page is too large") : 0;
	if (r >= 0)
		r = htmlraw_strip(text, &stripped, why);
	if (r < 0)
		return r == -ENOMEM ? article_no_memory(why) : r;
	xmlDoc *doc =
	    htmlReadMemory(text.p, (int)text.n, NULL, "UTF-8",
			   HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
			       HTML_PARSE_NONET | HTML_PARSE_NODEFDTD | HTML_PARSE_IGNORE_ENC);
	if (!doc || !xmlDocGetRootElement(doc)) {
		free_doc(&doc);
		return why_set(why, -EINVAL, "the page has no text");
	}
	*ret = doc;
	return 0;
}

int page_read(struct arena *arena, struct str bytes, const char *content_type, const char *address,
	      struct article *ret, struct why *why)
{
	_cleanup_buf_ struct buf utf8 = {0}, text = {0};
	char charset[CHARSET_NAME];
	if (charset_to_utf8(&utf8, bytes, CHARSET_HTML, content_type, charset) < 0 ||
	    text_repair(buf_str(&utf8), &text) < 0)
		return article_no_memory(why);
	_cleanup_(free_doc)
	xmlDoc *doc = NULL;
	int r = parse(buf_str(&text), &doc, why);
	if (r < 0)
		return r;
	struct reading reading = {.arena = arena, .why = why};
	struct article a = {0};
	r = read_head(&reading, xmlDocGetRootElement(doc));
	char *own = NULL;
	if (r >= 0)
		r = copy(&reading, address, &own);
	if (r >= 0)
		r = fill(&reading, own, &a);
	if (r >= 0)
		r = fill_body(&reading, doc, address != NULL, &a);
	if (r >= 0)
		*ret = a;
	return r;
}
