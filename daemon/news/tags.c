#include "news/tags.h"

#include <stdlib.h>

static const char *const names[TAGS] = {
    [T_P] = "p",           [T_H1] = "h1",
    [T_H2] = "h2",         [T_H3] = "h3",
    [T_H4] = "h4",         [T_H5] = "h5",
    [T_H6] = "h6",         [T_UL] = "ul",
    [T_OL] = "ol",         [T_LI] = "li",
    [T_DL] = "dl",         [T_DT] = "dt",
    [T_DD] = "dd",         [T_BLOCKQUOTE] = "blockquote",
    [T_DIV] = "div",       [T_PRE] = "pre",
    [T_FIGURE] = "figure", [T_FIGCAPTION] = "figcaption",
    [T_TABLE] = "table",   [T_CAPTION] = "caption",
    [T_THEAD] = "thead",   [T_TBODY] = "tbody",
    [T_TFOOT] = "tfoot",   [T_TR] = "tr",
    [T_TD] = "td",         [T_TH] = "th",
    [T_HR] = "hr",         [T_BR] = "br",
    [T_IMG] = "img",       [T_A] = "a",
    [T_ABBR] = "abbr",     [T_B] = "b",
    [T_BDI] = "bdi",       [T_BDO] = "bdo",
    [T_CITE] = "cite",     [T_CODE] = "code",
    [T_DEL] = "del",       [T_EM] = "em",
    [T_I] = "i",           [T_INS] = "ins",
    [T_KBD] = "kbd",       [T_MARK] = "mark",
    [T_Q] = "q",           [T_S] = "s",
    [T_SAMP] = "samp",     [T_SMALL] = "small",
    [T_SPAN] = "span",     [T_STRONG] = "strong",
    [T_SUB] = "sub",       [T_SUP] = "sup",
    [T_TIME] = "time",     [T_U] = "u",
    [T_VAR] = "var",
};

struct entry {
	const char *name;
	struct tag_use use;
};

/* In the order of the names, for bsearch(). */
static const struct entry table[] = {
    {"a", {TAG_INLINE, T_A}},
    {"abbr", {TAG_INLINE, T_ABBR}},
    {"acronym", {TAG_INLINE, T_ABBR}},
    {"address", {TAG_BOUNDARY, T_DIV}},
    {"applet", {TAG_GONE, T_NONE}},
    {"area", {TAG_GONE, T_NONE}},
    {"article", {TAG_BOUNDARY, T_DIV}},
    {"aside", {TAG_BOUNDARY, T_DIV}},
    {"audio", {TAG_MEDIA, T_NONE}},
    {"b", {TAG_INLINE, T_B}},
    {"bdi", {TAG_INLINE, T_BDI}},
    {"bdo", {TAG_INLINE, T_BDO}},
    {"blockquote", {TAG_BLOCK, T_BLOCKQUOTE}},
    {"body", {TAG_BOUNDARY, T_NONE}},
    {"br", {TAG_BREAK, T_BR}},
    {"button", {TAG_GONE, T_NONE}},
    {"canvas", {TAG_GONE, T_NONE}},
    {"caption", {TAG_BLOCK, T_CAPTION}},
    {"center", {TAG_BOUNDARY, T_DIV}},
    {"cite", {TAG_INLINE, T_CITE}},
    {"code", {TAG_INLINE, T_CODE}},
    {"datalist", {TAG_GONE, T_NONE}},
    {"dd", {TAG_BLOCK, T_DD}},
    {"del", {TAG_INLINE, T_DEL}},
    {"details", {TAG_BOUNDARY, T_DIV}},
    {"dialog", {TAG_GONE, T_NONE}},
    {"dir", {TAG_BLOCK, T_UL}},
    {"div", {TAG_BOUNDARY, T_DIV}},
    {"dl", {TAG_BLOCK, T_DL}},
    {"dt", {TAG_BLOCK, T_DT}},
    {"em", {TAG_INLINE, T_EM}},
    {"embed", {TAG_SOURCE, T_NONE}},
    {"fieldset", {TAG_BOUNDARY, T_NONE}},
    {"figcaption", {TAG_BLOCK, T_FIGCAPTION}},
    {"figure", {TAG_BLOCK, T_FIGURE}},
    {"footer", {TAG_BOUNDARY, T_DIV}},
    {"form", {TAG_BOUNDARY, T_NONE}},
    {"frame", {TAG_GONE, T_NONE}},
    {"frameset", {TAG_GONE, T_NONE}},
    {"h1", {TAG_BLOCK, T_H1}},
    {"h2", {TAG_BLOCK, T_H2}},
    {"h3", {TAG_BLOCK, T_H3}},
    {"h4", {TAG_BLOCK, T_H4}},
    {"h5", {TAG_BLOCK, T_H5}},
    {"h6", {TAG_BLOCK, T_H6}},
    {"header", {TAG_BOUNDARY, T_DIV}},
    {"hgroup", {TAG_BOUNDARY, T_DIV}},
    {"hr", {TAG_RULE, T_HR}},
    {"html", {TAG_BOUNDARY, T_NONE}},
    {"i", {TAG_INLINE, T_I}},
    {"iframe", {TAG_MEDIA, T_NONE}},
    {"img", {TAG_IMAGE, T_IMG}},
    {"input", {TAG_GONE, T_NONE}},
    {"ins", {TAG_INLINE, T_INS}},
    {"kbd", {TAG_INLINE, T_KBD}},
    {"label", {TAG_GONE, T_NONE}},
    {"legend", {TAG_BOUNDARY, T_NONE}},
    {"li", {TAG_BLOCK, T_LI}},
    {"link", {TAG_GONE, T_NONE}},
    {"listing", {TAG_BLOCK, T_PRE}},
    {"main", {TAG_BOUNDARY, T_DIV}},
    {"map", {TAG_GONE, T_NONE}},
    {"mark", {TAG_INLINE, T_MARK}},
    {"math", {TAG_GONE, T_NONE}},
    {"menu", {TAG_BLOCK, T_UL}},
    {"meta", {TAG_GONE, T_NONE}},
    {"meter", {TAG_GONE, T_NONE}},
    {"nav", {TAG_BOUNDARY, T_DIV}},
    {"noembed", {TAG_GONE, T_NONE}},
    {"noframes", {TAG_GONE, T_NONE}},
    {"noscript", {TAG_NOSCRIPT, T_NONE}},
    {"object", {TAG_MEDIA, T_NONE}},
    {"ol", {TAG_BLOCK, T_OL}},
    {"optgroup", {TAG_GONE, T_NONE}},
    {"option", {TAG_GONE, T_NONE}},
    {"output", {TAG_GONE, T_NONE}},
    {"p", {TAG_BLOCK, T_P}},
    {"param", {TAG_SOURCE, T_NONE}},
    {"pre", {TAG_BLOCK, T_PRE}},
    {"progress", {TAG_GONE, T_NONE}},
    {"q", {TAG_INLINE, T_Q}},
    {"s", {TAG_INLINE, T_S}},
    {"samp", {TAG_INLINE, T_SAMP}},
    {"script", {TAG_GONE, T_NONE}},
    {"section", {TAG_BOUNDARY, T_DIV}},
    {"select", {TAG_GONE, T_NONE}},
    {"small", {TAG_INLINE, T_SMALL}},
    {"source", {TAG_SOURCE, T_NONE}},
    {"span", {TAG_INLINE, T_SPAN}},
    {"strike", {TAG_INLINE, T_S}},
    {"strong", {TAG_INLINE, T_STRONG}},
    {"style", {TAG_GONE, T_NONE}},
    {"sub", {TAG_INLINE, T_SUB}},
    {"summary", {TAG_BLOCK, T_P}},
    {"sup", {TAG_INLINE, T_SUP}},
    {"svg", {TAG_GONE, T_NONE}},
    {"table", {TAG_BLOCK, T_TABLE}},
    {"tbody", {TAG_BLOCK, T_TBODY}},
    {"td", {TAG_BLOCK, T_TD}},
    {"template", {TAG_GONE, T_NONE}},
    {"textarea", {TAG_GONE, T_NONE}},
    {"tfoot", {TAG_BLOCK, T_TFOOT}},
    {"th", {TAG_BLOCK, T_TH}},
    {"thead", {TAG_BLOCK, T_THEAD}},
    {"time", {TAG_INLINE, T_TIME}},
    {"title", {TAG_GONE, T_NONE}},
    {"tr", {TAG_BLOCK, T_TR}},
    {"tt", {TAG_INLINE, T_CODE}},
    {"u", {TAG_INLINE, T_U}},
    {"ul", {TAG_BLOCK, T_UL}},
    {"var", {TAG_INLINE, T_VAR}},
    {"video", {TAG_MEDIA, T_NONE}},
    {"xmp", {TAG_GONE, T_NONE}},
};

static int compare(const void *key, const void *element)
{
	const struct str *name = key;
	const struct entry *entry = element;
	int order = strncasecmp(name->p, entry->name, name->n);
	size_t n = strlen(entry->name);
	return order ? order : (name->n > n) - (name->n < n);
}

struct tag_use tag_find(struct str name)
{
	const struct entry *entry =
	    bsearch(&name, table, sizeof(table) / sizeof(*table), sizeof(*table), compare);
	return entry ? entry->use : (struct tag_use){TAG_UNKNOWN, T_NONE};
}

const char *tag_name(enum tag tag)
{
	return names[tag];
}

enum tag_content tag_content(enum tag tag)
{
	switch (tag) {
	case T_NONE:
	case T_BLOCKQUOTE:
	case T_DIV: return CONTENT_BLOCKS;
	case T_LI:
	case T_DD:
	case T_TD:
	case T_TH:
	case T_FIGURE:
	case T_FIGCAPTION: return CONTENT_BOTH;
	case T_P:
	case T_H1:
	case T_H2:
	case T_H3:
	case T_H4:
	case T_H5:
	case T_H6:
	case T_DT: /* libxml2 ends it before a list */
	case T_PRE:
	case T_CAPTION: return CONTENT_TEXT;
	case T_UL:
	case T_OL:
	case T_DL:
	case T_TABLE:
	case T_THEAD:
	case T_TBODY:
	case T_TFOOT:
	case T_TR: return CONTENT_STRUCTURE;
	default: return CONTENT_NONE;
	}
}
