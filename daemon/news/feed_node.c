#include "news/feed_node.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>

#include "base/text.h"
#include "news/url.h"

enum { LONGEST_BASE = 2048 }; /* it is multiplied by every link that is relative to it */

static const struct {
	enum feed_ns ns;
	const char *prefix; /* as usual, for feeds that forget to declare it or declare it oddly */
	const char *uri;    /* its start */
} vocabularies[] = {
    {NS_ATOM, "atom", "http://www.w3.org/2005/atom"},
    {NS_ATOM, "a10", "http://purl.org/atom/ns#"},
    {NS_CONTENT, "content", "http://purl.org/rss/1.0/modules/content"},
    {NS_SY, "sy", "http://purl.org/rss/1.0/modules/syndication"},
    {NS_DC, "dc", "http://purl.org/dc/elements/"},
    {NS_DCTERMS, "dcterms", "http://purl.org/dc/terms"},
    {NS_MEDIA, "media", "http://search.yahoo.com/mrss"},
    {NS_ITUNES, "itunes", "http://www.itunes.com/dtds/podcast"},
    {NS_XHTML, "xhtml", "http://www.w3.org/1999/xhtml"},
    {NS_FEEDBURNER, "feedburner", "http://rssnamespace.org/feedburner"},
    {NS_RDF, "rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns"},
    {NS_FEED, "rss", "http://purl.org/rss/1.0/modules/rss"},
};

void *feed_build_kept(struct feed_build *b, void *memory)
{
	if (!memory)
		b->err = -ENOMEM;
	return memory;
}

static char *address_in(struct feed_build *b, struct arena *arena, const char *base,
			struct str address)
{
	_cleanup_buf_ struct buf out = {0};
	int r = str_trim(address).n ? url_clean(address, base, URL_CONTENT, &out) : -EINVAL;
	if (r == -ENOMEM)
		b->err = r;
	return r < 0 ? NULL : feed_build_kept(b, arena_copy(arena, buf_str(&out)));
}

char *feed_address(struct feed_build *b, const char *base, struct str address)
{
	return address_in(b, b->arena, base, address);
}

static enum feed_ns by_prefix(struct str prefix)
{
	for (size_t i = 0; i < ELEMENTS(vocabularies); i++)
		if (str_case_is(prefix, vocabularies[i].prefix))
			return vocabularies[i].ns;
	return NS_OTHER;
}

struct str feed_node_name(const xmlNode *node, enum feed_ns *ret_ns)
{
	struct str name = str_of((const char *)node->name), prefix, local;
	const xmlNs *ns = node->ns;
	if (!ns) {
		bool undeclared = str_cut(name, ':', &prefix, &local);
		*ret_ns = undeclared ? by_prefix(prefix) : NS_FEED;
		return undeclared ? local : name;
	}
	const char *uri = ns->href ? (const char *)ns->href : "";
	for (size_t i = 0; i < ELEMENTS(vocabularies); i++)
		if (strncasecmp(uri, vocabularies[i].uri, strlen(vocabularies[i].uri)) == 0) {
			*ret_ns = vocabularies[i].ns;
			return name;
		}
	/* A default namespace that nobody knows is one of RSS's many. */
	*ret_ns = ns->prefix ? by_prefix(str_of((const char *)ns->prefix)) : NS_FEED;
	return name;
}

bool feed_node_is_atom(const xmlNode *node)
{
	enum feed_ns ns;
	feed_node_name(node, &ns);
	return ns == NS_ATOM;
}

bool feed_node_is_element(const xmlNode *node)
{
	return node->type == XML_ELEMENT_NODE;
}

xmlNode *feed_node_first_element(const xmlNode *parent)
{
	for (xmlNode *child = parent->children; child; child = child->next)
		if (feed_node_is_element(child))
			return child;
	return NULL;
}

static bool has_elements(const xmlNode *node)
{
	return feed_node_first_element(node) != NULL;
}

static int add_text_of(struct buf *out, const xmlNode *first)
{
	for (const xmlNode *n = first; n; n = n->next)
		if ((n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) && n->content)
			buf_adds(out, (const char *)n->content);
	return out->err;
}

char *feed_node_attr(struct feed_build *b, const xmlNode *node, const char *name)
{
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		if (attr->ns || strcasecmp((const char *)attr->name, name) != 0)
			continue;
		_cleanup_buf_ struct buf value = {0};
		if (add_text_of(&value, attr->children) < 0)
			return b->err = -ENOMEM, NULL;
		return feed_build_kept(b, feed_text_mend(b->arena, str_trim(buf_str(&value))));
	}
	return NULL;
}

char *feed_build_text(struct feed_build *b, struct str text)
{
	struct str s = str_trim(text);
	return s.n ? feed_build_kept(b, feed_text_mend(b->arena, s)) : NULL;
}

char *feed_node_text(struct feed_build *b, const xmlNode *node)
{
	_cleanup_buf_ struct buf text = {0};
	if (add_text_of(&text, node->children) < 0)
		return b->err = -ENOMEM, NULL;
	return feed_build_text(b, buf_str(&text));
}

static char *line_of(struct feed_build *b, struct str text, enum feed_kind kind, bool loose)
{
	char *line =
	    feed_build_kept(b, feed_text_plain(b->arena, text, kind, loose, FEED_MAX_TITLE));
	return line && line[0] ? line : NULL;
}

char *feed_build_line(struct feed_build *b, struct str text)
{
	return line_of(b, text, FEED_TEXT, true);
}

char *feed_node_line(struct feed_build *b, const xmlNode *node)
{
	_cleanup_buf_ struct buf text = {0};
	if (add_text_of(&text, node->children) < 0)
		return b->err = -ENOMEM, NULL;
	return feed_build_line(b, buf_str(&text));
}

/* Only elements and documents are asked: both begin like an xmlNode. */
const char *feed_node_base(struct feed_build *b, const xmlNode *node)
{
	if (!node || !feed_node_is_element(node))
		return b->link_base;
	xmlAttr *attr = xmlHasNsProp(node, BAD_CAST "base", XML_XML_NAMESPACE);
	const char *outer = feed_node_base(b, node->parent);
	if (!attr || !attr->children || !attr->children->content)
		return outer;
	/* The channel's link is a base of last resort: xml:base is relative to the document. */
	if (outer == b->link_base && b->base_url)
		outer = b->base_url;
	struct str told = str_of((const char *)attr->children->content);
	char *base = address_in(b, &b->scratch, outer, told);
	return base && strlen(base) <= LONGEST_BASE ? base : outer;
}

char *feed_node_lang(struct feed_build *b, const xmlNode *node)
{
	for (; node && feed_node_is_element(node); node = node->parent) {
		xmlAttr *attr = xmlHasNsProp(node, BAD_CAST "lang", XML_XML_NAMESPACE);
		if (attr && attr->children && attr->children->content)
			return feed_build_text(b, str_of((const char *)attr->children->content));
	}
	return NULL;
}

static void add_escaped(struct buf *out, const char *text, bool in_attribute)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': buf_adds(out, "&amp;"); break;
		case '<': buf_adds(out, "&lt;"); break;
		case '>': buf_adds(out, "&gt;"); break;
		case '"': buf_adds(out, in_attribute ? "&quot;" : "\""); break;
		default: buf_addc(out, *text);
		}
	}
}

static bool is_void(const char *name)
{
	static const char *const names[] = {"area",  "base", "br",   "col",    "embed", "hr", "img",
					    "input", "link", "meta", "source", "track", "wbr"};
	for (size_t i = 0; i < ELEMENTS(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static void add_attributes(struct feed_build *b, struct buf *out, const xmlNode *node,
			   const char *base)
{
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		const char *name = (const char *)attr->name;
		if (attr->ns && strcmp(name, "lang") != 0)
			continue;
		_cleanup_buf_ struct buf value = {0};
		_cleanup_buf_ struct buf link = {0};
		if (add_text_of(&value, attr->children) < 0)
			b->err = -ENOMEM;
		const char *text = buf_text(&value);
		bool is_link = strcasecmp(name, "href") == 0 || strcasecmp(name, "src") == 0;
		int r = is_link ? url_clean(buf_str(&value), base, URL_LINK, &link) : -EINVAL;
		if (r == 0)
			text = buf_text(&link);
		else if (r == -ENOMEM)
			b->err = r;
		buf_printf(out, " %s=\"", name);
		add_escaped(out, text, true);
		buf_addc(out, '"');
	}
}

static void add_html(struct feed_build *b, struct buf *out, const xmlNode *first, const char *base)
{
	for (const xmlNode *n = first; n && !out->err; n = n->next) {
		if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE)
			add_escaped(out, n->content ? (const char *)n->content : "", false);
		if (!feed_node_is_element(n))
			continue;
		const char *name = (const char *)n->name;
		bool rebased = xmlHasNsProp(n, BAD_CAST "base", XML_XML_NAMESPACE);
		const char *inner = rebased ? feed_node_base(b, n) : base;
		buf_printf(out, "<%s", name);
		add_attributes(b, out, n, inner);
		if (is_void(name)) {
			buf_adds(out, " />");
			continue;
		}
		buf_addc(out, '>');
		add_html(b, out, n->children, inner);
		buf_printf(out, "</%s>", name);
	}
}

int feed_node_html(struct feed_build *b, struct buf *out, const xmlNode *node)
{
	add_html(b, out, node->children, feed_node_base(b, node));
	if (out->err)
		b->err = -ENOMEM;
	return out->err;
}

/* The one div that Atom puts around XHTML doesn't belong to it (RFC 4287 section 3.1.1.3). */
static const xmlNode *xhtml_of(const xmlNode *node)
{
	const xmlNode *div = feed_node_first_element(node);
	enum feed_ns ns;
	if (!div || !str_case_is(feed_node_name(div, &ns), "div"))
		return node;
	for (const xmlNode *n = node->children; n; n = n->next)
		if (n != div &&
		    (feed_node_is_element(n) || (n->type == XML_TEXT_NODE && !xmlIsBlankNode(n))))
			return node;
	return div;
}

static bool add_base64(struct buf *out, struct str s)
{
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	int n = 0, rest = 0;
	bool good = ctx && s.n < INT32_MAX && buf_reserve(out, s.n + 4) == 0;
	if (good) {
		EVP_DecodeInit(ctx);
		unsigned char *to = (unsigned char *)out->data + out->len;
		good = EVP_DecodeUpdate(ctx, to, &n, (const unsigned char *)s.p, (int)s.n) >= 0 &&
		       EVP_DecodeFinal(ctx, to + n, &rest) >= 0;
	}
	EVP_ENCODE_CTX_free(ctx);
	if (!good)
		return false;
	out->len += (size_t)(n + rest);
	out->data[out->len] = '\0';
	return n + rest > 0 && text_valid(buf_str(out));
}

/* What Atom's type says; *ret_base64: it is a media type that can't stand in XML as it is. */
static enum feed_kind declared_kind(const char *type, bool *ret_base64)
{
	*ret_base64 = false;
	if (!type || !type[0] || strcasecmp(type, "text") == 0 ||
	    strncasecmp(type, "text/plain", 10) == 0)
		return FEED_TEXT;
	if (strcasecmp(type, "xhtml") == 0 || str_case_ends(str_of(type), "+xml") ||
	    str_case_ends(str_of(type), "/xml"))
		return FEED_XHTML;
	if (strcasecmp(type, "html") != 0 && strncasecmp(type, "text/", 5) != 0 &&
	    strchr(type, '/'))
		*ret_base64 = true;
	return FEED_HTML;
}

bool feed_node_construct(struct feed_build *b, const xmlNode *node, bool declared,
			 struct feed_text *ret)
{
	char *type = declared ? feed_node_attr(b, node, "type") : NULL;
	char *mode = declared ? feed_node_attr(b, node, "mode") : NULL;
	bool base64, markup = has_elements(node);
	enum feed_kind kind = declared_kind(type, &base64);
	base64 = mode ? strcasecmp(mode, "base64") == 0 : base64;

	_cleanup_buf_ struct buf raw = {0}, decoded = {0};
	if (markup) { /* declared or not, it's there */
		kind = declared ? FEED_XHTML : FEED_HTML;
		feed_node_html(b, &raw, declared ? xhtml_of(node) : node);
	} else if (add_text_of(&raw, node->children) < 0) {
		b->err = -ENOMEM;
	}
	struct str text = str_trim(buf_str(&raw));
	if (base64 && !markup) {
		if (add_base64(&decoded, text))
			text = str_trim(buf_str(&decoded));
		else if (!mode && !feed_text_looks_html(text))
			return false;
	}
	if (!declared && !markup)
		kind = feed_text_looks_html(text) ? FEED_HTML : FEED_TEXT;
	else if (kind == FEED_XHTML && !markup)
		kind = FEED_HTML; /* escaped all the same */

	char *copy = feed_build_text(b, text);
	if (!copy)
		return false;
	const char *base = feed_node_base(b, node);
	*ret = (struct feed_text){.text = copy, .kind = kind};
	if (base)
		ret->base = feed_build_kept(b, arena_strdup(b->arena, base));
	return true;
}

char *feed_node_title(struct feed_build *b, const xmlNode *node, bool declared)
{
	struct feed_text title;
	if (!feed_node_construct(b, node, declared, &title))
		return NULL;
	bool loose = !declared;
	if (loose && title.kind == FEED_HTML && !has_elements(node))
		title.kind =
		    FEED_TEXT; /* only tags that titles have; "<blink>" may be its subject */
	return line_of(b, str_of(title.text), title.kind, loose);
}
