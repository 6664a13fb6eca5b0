#include "news/maintext.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "news/page.h"

static bool is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && !strcasecmp((const char *)node->name, name);
}

const char *maintext_attribute(const xmlNode *node, const char *name)
{
	for (const xmlAttr *a = node->properties; a; a = a->next)
		if (!strcasecmp((const char *)a->name, name))
			return a->children && a->children->content
				   ? (const char *)a->children->content
				   : "";
	return NULL;
}

/* The next node in the order of the document, within `root`; not into it when `skip`. */
static xmlNode *next_node(xmlNode *node, const xmlNode *root, bool skip)
{
	if (node->children && !skip && node->type == XML_ELEMENT_NODE)
		return node->children;
	while (node != root && !node->next)
		node = node->parent;
	return node == root ? NULL : node->next;
}

static size_t characters(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += !isspace((unsigned char)*text) && (*text & 0xC0) != 0x80;
	return n;
}

/* Characters of text outside of links. */
static size_t own_text(xmlNode *root)
{
	size_t n = 0;
	bool skip = false;
	for (xmlNode *node = root; node; node = next_node(node, root, skip)) {
		skip = is_named(node, "a") || is_named(node, "script") || is_named(node, "style");
		if (node->type == XML_TEXT_NODE && node->content)
			n += characters((const char *)node->content);
	}
	return n;
}

/* What its paragraphs hold, those of lists and quotations too. */
static size_t paragraphs(xmlNode *root)
{
	size_t n = 0;
	bool skip = false;
	for (xmlNode *node = root; node; node = next_node(node, root, skip)) {
		skip = is_named(node, "p");
		n += skip ? own_text(node) : 0;
	}
	return n;
}

static bool has(const xmlNode *node, const char *attribute, const char *value)
{
	const char *found = maintext_attribute(node, attribute);
	return found && !strcasecmp(found, value);
}

enum rank { PLAIN, MAIN, ARTICLE, MARKED };

static enum rank rank_of(const xmlNode *node)
{
	if (node->type != XML_ELEMENT_NODE)
		return PLAIN;
	if (has(node, "itemprop", "articleBody"))
		return MARKED;
	if (is_named(node, "article"))
		return ARTICLE;
	return is_named(node, "main") || has(node, "role", "main") ? MAIN : PLAIN;
}

/* The best of those that the page marks as its article. */
static xmlNode *find_marked(xmlNode *root)
{
	xmlNode *best = NULL;
	enum rank best_rank = PLAIN;
	size_t most = 0;
	for (xmlNode *node = root; node; node = next_node(node, root, false)) {
		enum rank rank = rank_of(node);
		if (rank == PLAIN || rank < best_rank)
			continue;
		size_t n = paragraphs(node);
		if (n >= PAGE_BODY && (rank > best_rank || n > most)) {
			best = node;
			best_rank = rank;
			most = n;
		}
	}
	return best;
}

static bool is_furniture(const xmlNode *node);

/* The element whose own paragraphs hold most; a blockquote or a list counts with what is around. */
static xmlNode *find_densest(xmlNode *root)
{
	xmlNode *best = NULL;
	size_t most = 0;
	bool skip = false;
	for (xmlNode *node = root; node; node = next_node(node, root, skip)) {
		skip = node != root && is_furniture(node);
		if (skip || node->type != XML_ELEMENT_NODE)
			continue;
		size_t n = 0;
		for (xmlNode *child = node->children; child; child = child->next)
			if (is_named(child, "p"))
				n += own_text(child);
		if (n > most) {
			best = node;
			most = n;
		}
	}
	while (best && best != root && best->parent &&
	       (is_named(best, "blockquote") || is_named(best, "li") || is_named(best, "td")))
		best = best->parent;
	return best;
}

static xmlNode *find_body(xmlNode *root)
{
	for (xmlNode *node = root; node; node = next_node(node, root, false))
		if (is_named(node, "body"))
			return node;
	return root;
}

xmlNode *maintext_find(xmlNode *root, bool foreign)
{
	if (!root)
		return NULL;
	xmlNode *found = find_marked(root), *body = find_body(root);
	if (!found && foreign)
		found = find_densest(body);
	return found ? found : body;
}

/* ---- furniture ---- */

/* Whether `word` stands in the text, not within a longer word ("share" but not "shareholder"). */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = strcasestr(text, word); at; at = strcasestr(at + 1, word)) {
		bool begins = at == text || !isalpha((unsigned char)at[-1]);
		bool ends = !isalpha((unsigned char)at[n]) ||
			    (at[n] == 's' && !isalpha((unsigned char)at[n + 1]));
		if (begins && ends)
			return true;
	}
	return false;
}

static bool is_furniture(const xmlNode *node)
{
	static const char *const elements[] = {"nav",  "aside",  "footer",
					       "form", "button", "dialog"};
	static const char *const words[] = {
	    "share",     "sharing",       "sharedaddy", "social",      "related",    "newsletter",
	    "subscribe", "comment",       "promo",      "sidebar",     "breadcrumb", "cookie",
	    "advert",    "advertisement", "ad",         "recommended", "author-bio", "pagination",
	    "toolbar",   "signup",        "sign-up",    "most-read",
	};
	if (node->type != XML_ELEMENT_NODE)
		return false;
	for (size_t i = 0; i < ELEMENTS(elements); i++)
		if (is_named(node, elements[i]))
			return true;
	if (is_named(node, "body") || is_named(node, "html") || is_named(node, "article") ||
	    is_named(node, "main"))
		return false;
	if (has(node, "aria-hidden", "true") || has(node, "role", "navigation") ||
	    has(node, "role", "complementary"))
		return true;
	const char *class = maintext_attribute(node, "class");
	const char *id = maintext_attribute(node, "id");
	for (size_t i = 0; i < ELEMENTS(words); i++)
		if ((class && has_word(class, words[i])) || (id && has_word(id, words[i])))
			return true;
	return false;
}

void maintext_prune(xmlNode *main)
{
	for (xmlNode *node = main, *next; node; node = next) {
		bool gone = node != main && is_furniture(node);
		next = next_node(node, main, gone);
		if (!gone)
			continue;
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
}
