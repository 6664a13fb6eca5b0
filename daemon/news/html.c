#include "news/html.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>

#include "base/arena.h"
#include "base/text.h"
#include "news/htmlraw.h"
#include "news/htmlwrite.h"
#include "news/markup.h"
#include "news/url.h"

/* An element that the parser has open. */
struct element {
	const xmlChar *name; /* the parser's dictionary holds it */
	struct tag_use use;
};

struct cleaner {
	htmlParserCtxtPtr parser;
	struct htmlwrite writer;
	const char *base;

	struct element open[HTML_DEEPEST + 1]; /* [1] is the outermost */
	unsigned level;
	unsigned gone;     /* level of the element that goes with its contents; 0: none */
	unsigned noscript; /* level of the noscript that we are in */
	bool media_named;  /* the medium that we are in has its link */

	char *last_image; /* what a picture in noscript mostly repeats */
	int err;
};

static void fail(struct cleaner *c, int err)
{
	if (!c->err)
		c->err = err;
	xmlStopParser(c->parser);
}

/* ---- attributes ---- */

static const char *attribute(const xmlChar **attributes, const char *name)
{
	for (; attributes && attributes[0]; attributes += 2)
		if (!strcasecmp((const char *)attributes[0], name))
			return attributes[1] ? (const char *)attributes[1] : "";
	return NULL;
}

/* A whole number up to `most`, as "300" or "300px"; -1: it is none. */
static long number(const char *text, long most)
{
	if (!text || !isdigit((unsigned char)text[0]))
		return -1;
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (!strcasecmp(end, "px"))
		end += 2;
	return errno || *end || n > most ? -1 : n;
}

static void add_number(struct buf *out, const xmlChar **from, const char *name, long least,
		       long most)
{
	long n = number(attribute(from, name), most);
	if (n >= least)
		buf_printf(out, " %s=\"%ld\"", name, n);
}

static void add_direction(struct buf *out, const xmlChar **from)
{
	static const char *const directions[] = {"ltr", "rtl", "auto"};
	const char *dir = attribute(from, "dir");
	for (size_t i = 0; dir && i < ELEMENTS(directions); i++)
		if (str_case_is(str_trim(str_of(dir)), directions[i]))
			buf_printf(out, " dir=\"%s\"", directions[i]);

	const char *lang = attribute(from, "lang");
	if (!lang)
		lang = attribute(from, "xml:lang");
	size_t n = lang ? strspn(lang, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-")
			: 0;
	if (n && n <= 35 && !lang[n] && isalpha((unsigned char)lang[0]))
		buf_printf(out, " lang=\"%s\"", lang);
}

/* Takes attributes over into the writer's memory. */
static const char *keep(struct cleaner *c, struct buf *attributes)
{
	char *kept = attributes->err ? NULL : arena_copy(&c->writer.arena, buf_str(attributes));
	if (!kept)
		fail(c, attributes->err ? attributes->err : -ENOMEM);
	return kept;
}

/* ---- pictures ---- */

static bool hidden(struct cleaner *c, const xmlChar **attributes)
{
	long width = number(attribute(attributes, "width"), 1L << 20);
	long height = number(attribute(attributes, "height"), 1L << 20);
	if ((width >= 0 && width <= 1) || (height >= 0 && height <= 1))
		return true;
	const char *style = attribute(attributes, "style");
	if (!style)
		return attribute(attributes, "hidden") != NULL;
	_cleanup_buf_ struct buf packed = {0};
	buf_addc(&packed, ';');
	for (; *style; style++)
		if (!isspace((unsigned char)*style))
			buf_addc(&packed, (char)tolower((unsigned char)*style));
	static const char *const signs[] = {";display:none", ";visibility:hidden", ";width:0;",
					    ";width:0px",    ";width:1px",         ";height:0;",
					    ";height:0px",   ";height:1px"};
	if (buf_addc(&packed, ';') < 0)
		fail(c, packed.err);
	for (size_t i = 0; i < ELEMENTS(signs); i++)
		if (strstr(buf_text(&packed), signs[i]))
			return true;
	return false;
}

/* The first address of "a.jpg 1x, b.jpg 2x". */
static int first_of_set(const char *set, const char *base, char **ret)
{
	_cleanup_buf_ struct buf first = {0};
	if (!set)
		return 0;
	set += strspn(set, " \t\n\r,");
	size_t n = strcspn(set, " \t\n\r");
	while (n && set[n - 1] == ',')
		n--;
	int r = buf_add(&first, set, n);
	return r < 0 ? r : url_content(buf_text(&first), base, ret);
}

/* Pages that load pictures late name the real one elsewhere and put a stand-in into src. */
static int image_address(const xmlChar **attributes, const char *base, char **ret)
{
	static const char *const names[] = {"data-src", "data-lazy-src", "data-original",
					    "data-orig-file", "src"};
	int r = 0;
	*ret = NULL;
	for (size_t i = 0; !*ret && r >= 0 && i < ELEMENTS(names); i++)
		r = url_content(attribute(attributes, names[i]), base, ret);
	if (!*ret && r >= 0)
		r = first_of_set(attribute(attributes, "srcset"), base, ret);
	if (!*ret && r >= 0)
		r = first_of_set(attribute(attributes, "data-srcset"), base, ret);
	return r;
}

static void image(struct cleaner *c, const xmlChar **attributes)
{
	_cleanup_free_ char *address = NULL;
	if (hidden(c, attributes))
		return;
	int r = image_address(attributes, c->base, &address);
	if (r < 0)
		fail(c, r);
	if (!address || (c->noscript && c->last_image && !strcmp(address, c->last_image)))
		return;
	_cleanup_buf_ struct buf kept = {0};
	const char *alt = attribute(attributes, "alt");
	htmlwrite_attribute(&kept, "src", str_of(address));
	htmlwrite_attribute(&kept, "alt", str_of(alt)); /* an empty one says: decoration */
	add_number(&kept, attributes, "width", 2, 20000);
	add_number(&kept, attributes, "height", 2, 20000);
	add_direction(&kept, attributes);
	if (kept.err) {
		fail(c, kept.err);
		return;
	}
	htmlwrite_image(&c->writer, buf_text(&kept));
	free(c->last_image);
	c->last_image = steal(address);
}

/* ---- media ---- */

static const char *media_address(const xmlChar **attributes)
{
	static const char *const names[] = {"src", "data", "data-src", "href"};
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		const char *address = attribute(attributes, names[i]);
		if (address && *address)
			return address;
	}
	return NULL;
}

/* A paragraph with a link to the address, once a medium. */
static void media_link(struct cleaner *c, const char *from, const char *title)
{
	_cleanup_free_ char *address = NULL;
	if (!from || c->media_named)
		return;
	int r = url_content(from, c->base, &address);
	if (r < 0)
		fail(c, r);
	if (!address)
		return;
	c->media_named = true;
	if (htmlwrite_within(&c->writer, T_A))
		return;
	_cleanup_buf_ struct buf kept = {0};
	htmlwrite_attribute(&kept, "href", str_of(address));
	const char *attributes = keep(c, &kept);
	if (!attributes)
		return;
	htmlwrite_boundary(&c->writer);
	htmlwrite_inline(&c->writer, T_A, attributes, c->level);
	htmlwrite_text(&c->writer, str_of(title && *title ? title : address));
	htmlwrite_end(&c->writer, c->level);
	htmlwrite_boundary(&c->writer);
}

static void media_source(struct cleaner *c, const xmlChar **attributes)
{
	const char *name = attribute(attributes, "name");
	if (name && (!strcasecmp(name, "movie") || !strcasecmp(name, "src")))
		media_link(c, attribute(attributes, "value"), NULL);
	else
		media_link(c, media_address(attributes), NULL);
}

/* ---- elements ---- */

static void start_block(struct cleaner *c, struct tag_use use, const xmlChar **attributes)
{
	_cleanup_buf_ struct buf kept = {0};
	add_direction(&kept, attributes);
	if (use.kind == TAG_BOUNDARY && (use.tag == T_NONE || !kept.len)) {
		htmlwrite_boundary(&c->writer);
		return;
	}
	if (use.tag == T_OL)
		add_number(&kept, attributes, "start", 0, 1000000);
	if (use.tag == T_TD || use.tag == T_TH) {
		add_number(&kept, attributes, "colspan", 2, 100);
		add_number(&kept, attributes, "rowspan", 2, 1000);
	}
	const char *text = keep(c, &kept);
	if (text)
		htmlwrite_block(&c->writer, use.tag, text, c->level);
}

static void start_inline(struct cleaner *c, struct tag_use use, const xmlChar **attributes)
{
	_cleanup_buf_ struct buf kept = {0};
	if (use.tag == T_A) {
		_cleanup_buf_ struct buf address = {0};
		const char *href = attribute(attributes, "href");
		int r = href ? url_clean(str_of(href), c->base, URL_LINK, &address) : -EINVAL;
		if (r == -ENOMEM)
			fail(c, r);
		if (r < 0)
			return;
		htmlwrite_attribute(&kept, "href", buf_str(&address));
	}
	if (use.tag == T_ABBR && attribute(attributes, "title"))
		htmlwrite_attribute(&kept, "title", str_of(attribute(attributes, "title")));
	if (use.tag == T_TIME && attribute(attributes, "datetime"))
		htmlwrite_attribute(&kept, "datetime", str_of(attribute(attributes, "datetime")));
	add_direction(&kept, attributes);
	bool bare = !kept.len && (use.tag == T_SPAN || use.tag == T_BDO);
	if (bare || (htmlwrite_within(&c->writer, use.tag) && use.tag != T_SPAN))
		return;
	const char *text = keep(c, &kept);
	if (text)
		htmlwrite_inline(&c->writer, use.tag, text, c->level);
}

static void start(struct cleaner *c, struct tag_use use, const xmlChar **attributes)
{
	switch (use.kind) {
	case TAG_UNKNOWN:
	case TAG_SOURCE: break;
	case TAG_GONE: c->gone = c->level; break;
	case TAG_BOUNDARY:
	case TAG_BLOCK: start_block(c, use, attributes); break;
	case TAG_INLINE: start_inline(c, use, attributes); break;
	case TAG_BREAK: htmlwrite_break(&c->writer); break;
	case TAG_RULE: htmlwrite_rule(&c->writer); break;
	case TAG_IMAGE: image(c, attributes); break;
	case TAG_NOSCRIPT: c->noscript = c->level; break;
	case TAG_MEDIA:
		c->gone = c->level;
		c->media_named = hidden(c, attributes);
		media_link(c, media_address(attributes), attribute(attributes, "title"));
		break;
	}
}

static void on_start(void *context, const xmlChar *name, const xmlChar **attributes)
{
	struct cleaner *c = context;
	if (c->level == HTML_DEEPEST) {
		xmlStopParser(c->parser);
		return;
	}
	struct tag_use use = tag_find(str_of((const char *)name));
	c->open[++c->level] = (struct element){name, use};
	if (c->gone) {
		bool source = use.kind == TAG_SOURCE || use.kind == TAG_MEDIA;
		if (source && c->open[c->gone].use.kind == TAG_MEDIA)
			media_source(c, attributes);
	} else if (c->noscript) {
		if (use.kind == TAG_IMAGE)
			image(c, attributes);
		else if (use.kind == TAG_GONE)
			c->gone = c->level;
	} else {
		/* A lone <embed> is a medium whose contents are ours: it has none. */
		bool embed = use.kind == TAG_SOURCE && !xmlStrcasecmp(name, BAD_CAST "embed");
		c->media_named = !embed || hidden(c, attributes);
		if (embed)
			media_link(c, media_address(attributes), NULL);
		start(c, use, attributes);
	}
}

static void end_one(struct cleaner *c)
{
	struct tag_use use = c->open[c->level].use;
	if (!c->gone || c->gone == c->level) {
		htmlwrite_end(&c->writer, c->level);
		if (use.kind == TAG_BLOCK || use.kind == TAG_BOUNDARY)
			htmlwrite_boundary(&c->writer);
	}
	if (c->gone == c->level)
		c->gone = 0;
	if (c->noscript == c->level)
		c->noscript = 0;
	c->level--;
}

static void on_end(void *context, const xmlChar *name)
{
	struct cleaner *c = context;
	unsigned level = c->level;
	while (level && !xmlStrEqual(c->open[level].name, name))
		level--;
	while (level && c->level >= level)
		end_one(c);
}

static void on_text(void *context, const xmlChar *text, int n)
{
	struct cleaner *c = context;
	if (!c->gone && !c->noscript && n > 0)
		htmlwrite_text(&c->writer, (struct str){(const char *)text, (size_t)n});
	if (c->writer.out->err)
		xmlStopParser(c->parser);
}

/* ---- the whole ---- */

static void free_parser(htmlParserCtxtPtr *parser)
{
	if (*parser && (*parser)->myDoc)
		xmlFreeDoc((*parser)->myDoc);
	if (*parser)
		htmlFreeParserCtxt(*parser);
}

static void free_cleaner(struct cleaner **c)
{
	if (!*c)
		return;
	htmlwrite_free(&(*c)->writer);
	free((*c)->last_image);
	free(*c);
}

static int parse(struct str in, const char *base, struct buf *out)
{
	htmlSAXHandler handler = {
	    .startElement = on_start,
	    .endElement = on_end,
	    .characters = on_text,
	    .ignorableWhitespace = on_text,
	};
	_cleanup_(free_cleaner)
	struct cleaner *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	htmlwrite_begin(&c->writer, out);
	c->base = base;
	_cleanup_(free_parser)
	htmlParserCtxtPtr parser = htmlCreateMemoryParserCtxt(in.p, (int)in.n);
	if (!parser)
		return -ENOMEM;
	c->parser = parser;
	*parser->sax = handler;
	parser->userData = c;
	htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
				       HTML_PARSE_NONET | HTML_PARSE_NODEFDTD |
				       HTML_PARSE_NOIMPLIED | HTML_PARSE_IGNORE_ENC);
	xmlSwitchEncoding(parser, XML_CHAR_ENCODING_UTF8);
	htmlParseDocument(parser);

	int r = htmlwrite_finish(&c->writer);
	return c->err ? c->err : r;
}

int html_clean(struct str in, const char *base_url, struct buf *out, struct why *why)
{
	if (in.n > HTML_LARGEST)
		return why_set(why, -EFBIG, "%zu bytes of HTML, more than the %d that are taken",
			       in.n, HTML_LARGEST);
	_cleanup_buf_ struct buf valid = {0}, stripped = {0};
	_cleanup_buf_ struct buf result = {.limit = 2 * (size_t)HTML_LARGEST};
	int r = text_repair(in, &valid);
	/* Where no element is open, libxml2 would begin a paragraph at each text. */
	buf_adds(&stripped, "<x-article>");
	if (r >= 0)
		r = htmlraw_strip(buf_str(&valid), &stripped, why);
	if (r >= 0)
		r = parse(buf_str(&stripped), base_url, &result);
	if (r == -EOVERFLOW)
		return why_set(why, -EFBIG, "the HTML grows too large when it is put in order");
	if (r >= 0)
		r = buf_addstr(out, buf_str(&result));
	return r == -ENOMEM ? why_set(why, r, "no memory left") : r;
}

int html_to_plain(struct str html, struct buf *out, struct why *why)
{
	_cleanup_buf_ struct buf clean = {0};
	int r = html_clean(html, NULL, &clean, why);
	if (r >= 0 && markup_text(buf_str(&clean), out) < 0)
		return why_set(why, -ENOMEM, "no memory left");
	return r;
}

int html_escape(struct str text, struct buf *out)
{
	_cleanup_buf_ struct buf clean = {0};
	int r = text_clean(text, &clean);
	if (r < 0 && !out->err)
		out->err = r;
	return r < 0 ? r : htmlwrite_escape(out, buf_str(&clean), false);
}
