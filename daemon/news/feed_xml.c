#include "news/feed_xml.h"

#include <errno.h>
#include <libxml/HTMLparser.h>
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <limits.h>
#include <stdio.h>

#include "base/buf.h"
#include "news/feed_mend.h"

enum {
	MAX_NODES = 400000,     /* elements, attributes and texts; some 120 bytes each */
	MAX_TEXT = 9000000,     /* bytes without an element; libxml2 stops at ten million */
	MAX_ENTITIES = 1000,    /* declarations that are kept */
	MAX_REFERENCES = 20000, /* to them; libxml2 takes quadratic time for these */
	MAX_NESTING = 200,      /* libxml2 stops at 256 by itself */
	MAX_ATTRIBUTES = 256,   /* of an element; quadratic too */
};

/* What the hooks below need to know; hangs on the parser context. */
struct reading {
	size_t nodes;
	size_t entities;
	size_t references;
	bool recover;    /* the second reading, of what was mended */
	size_t text_len; /* of the text that grows now */
	bool too_big;
	bool too_deep;
	bool too_long;
	bool bomb;
	bool html_entities; /* it uses names that only HTML knows */
	bool no_memory;
	char first[160]; /* the first error tells most */
};

static void stop(xmlParserCtxtPtr ctxt, bool *flag)
{
	*flag = true;
	xmlStopParser(ctxt);
}

static void count(xmlParserCtxtPtr ctxt, size_t nodes)
{
	struct reading *r = ctxt->_private;
	r->nodes += nodes;
	if (r->nodes > MAX_NODES)
		stop(ctxt, &r->too_big);
}

static void on_element(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		       int n_namespaces, const xmlChar **namespaces, int n_attributes,
		       int n_defaulted, const xmlChar **attributes)
{
	xmlParserCtxtPtr ctxt = data;
	struct reading *r = ctxt->_private;
	count(ctxt, 1 + (size_t)n_namespaces + 2 * (size_t)n_attributes);
	if (ctxt->nodeNr >= MAX_NESTING)
		stop(ctxt, &r->too_deep);
	if (!r->too_big && !r->too_deep)
		xmlSAX2StartElementNs(data, name, prefix, uri, n_namespaces, namespaces,
				      n_attributes, n_defaulted, attributes);
}

/* Text that follows text joins it and makes no node. */
static void on_text(void *data, const xmlChar *text, int n)
{
	xmlParserCtxtPtr ctxt = data;
	const xmlNode *last = ctxt->node ? ctxt->node->last : NULL;
	struct reading *r = ctxt->_private;
	bool joins = last && last->type == XML_TEXT_NODE;
	if (!joins)
		count(ctxt, 1);
	r->text_len = (joins ? r->text_len : 0) + (size_t)n;
	if (r->text_len > MAX_TEXT)
		stop(ctxt, &r->too_long);
	else
		xmlSAX2Characters(data, text, n);
}

/* Internal entities only, and only the first thousand: what a feed needs is far below. */
static void on_entity_declaration(void *data, const xmlChar *name, int type,
				  const xmlChar *public_id, const xmlChar *system_id,
				  xmlChar *content)
{
	struct reading *r = ((xmlParserCtxtPtr)data)->_private;
	if (type == XML_INTERNAL_GENERAL_ENTITY && r->entities++ < MAX_ENTITIES)
		xmlSAX2EntityDecl(data, name, type, public_id, system_id, content);
}

static xmlEntityPtr on_entity(void *data, const xmlChar *name)
{
	xmlParserCtxtPtr ctxt = data;
	struct reading *r = ctxt->_private;
	xmlEntityPtr entity = xmlSAX2GetEntity(data, name);
	if (entity && ++r->references > MAX_REFERENCES)
		stop(ctxt, &r->bomb);
	else if (!entity && !r->recover && htmlEntityLookup(name))
		stop(ctxt, &r->html_entities); /* feed_mend() knows them */
	return entity;
}

static xmlParserInputPtr on_external(void *data, const xmlChar *public_id, const xmlChar *system_id)
{
	(void)data, (void)public_id, (void)system_id;
	return NULL;
}

static void on_external_subset(void *data, const xmlChar *name, const xmlChar *public_id,
			       const xmlChar *system_id)
{
	(void)data, (void)name, (void)public_id, (void)system_id;
}

static void on_comment(void *data, const xmlChar *text)
{
	(void)data, (void)text;
}

static void on_error(void *data, xmlErrorPtr error)
{
	struct reading *r = ((xmlParserCtxtPtr)data)->_private;
	r->no_memory |= error->code == XML_ERR_NO_MEMORY;
	r->bomb |= error->code == XML_ERR_ENTITY_LOOP;
	if (!r->first[0] && error->message && error->level >= XML_ERR_ERROR)
		snprintf(r->first, sizeof(r->first), ", line %d: %.*s", error->line,
			 (int)strcspn(error->message, "\n"), error->message);
}

static void set_hooks(xmlSAXHandlerPtr sax)
{
	sax->startElementNs = on_element;
	sax->characters = on_text;
	sax->ignorableWhitespace = on_text;
	sax->entityDecl = on_entity_declaration;
	sax->getEntity = on_entity;
	sax->resolveEntity = on_external;
	sax->externalSubset = on_external_subset;
	sax->comment = on_comment;
	sax->serror = on_error;
}

static int failure(const struct reading *r, struct why *why)
{
	if (r->too_big)
		return why_set(why, -E2BIG,
			       "the feed has more than %d elements, attributes and texts",
			       MAX_NODES);
	if (r->too_deep)
		return why_set(why, -E2BIG, "the feed's elements are nested more than %d deep",
			       MAX_NESTING);
	if (r->too_long)
		return why_set(why, -E2BIG, "the feed has a text of more than %d bytes", MAX_TEXT);
	if (r->bomb)
		return why_set(why, -E2BIG,
			       "the feed's entities expand without end (an entity bomb)");
	if (r->no_memory)
		return why_set(why, -ENOMEM, "no memory left to read the feed");
	return why_set(why, -EBADMSG, "not well-formed XML%s", r->first);
}

static int read_once(struct str text, bool recover, xmlDocPtr *ret, struct why *why)
{
	xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
	if (!ctxt)
		return why_set(why, -ENOMEM, "no memory left to read the feed");
	struct reading r = {.recover = recover};
	ctxt->_private = &r;
	set_hooks(ctxt->sax);
	int options = XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
		      XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC | XML_PARSE_COMPACT |
		      (recover ? XML_PARSE_RECOVER : 0);
	xmlDocPtr doc = xmlCtxtReadMemory(ctxt, text.p, (int)text.n, NULL, "UTF-8", options);
	bool stopped = r.too_big || r.too_deep || r.too_long || r.bomb || r.html_entities;
	int err = 0;
	if (!doc || !xmlDocGetRootElement(doc) || stopped || r.no_memory)
		err = failure(&r, why);
	if (err)
		xmlFreeDoc(doc);
	else
		*ret = doc;
	xmlFreeParserCtxt(ctxt);
	return err;
}

/* A tag with thousands of attributes keeps libxml2 busy for minutes. Linear, and a bit generous. */
static bool has_crowded_tag(struct str s)
{
	size_t attributes = 0;
	bool in_tag = false;
	char quote = '\0';
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '<') {
			in_tag = i + 1 < s.n && !strchr("!?/ ", s.p[i + 1]);
			attributes = 0;
			quote = '\0';
		} else if (!in_tag) {
			continue;
		} else if (quote) {
			quote = c == quote ? '\0' : quote;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '>') {
			in_tag = false;
		} else if (c == '=' && ++attributes > MAX_ATTRIBUTES) {
			return true;
		}
	}
	return false;
}

/* "--" within a comment is an error for which libxml2 copies all of the comment so far, each time.
 */
static bool has_broken_comment(struct str s)
{
	const char *at;
	while ((at = memmem(s.p, s.n, "<!--", 4))) {
		s = str_from(s, (size_t)(at - s.p) + 4);
		at = memmem(s.p, s.n, "--", 2);
		if (!at || at + 2 == s.p + s.n || at[2] != '>')
			return true;
		s = str_from(s, (size_t)(at - s.p) + 3);
	}
	return false;
}

int feed_xml_read(struct str text, xmlDocPtr *ret, bool *ret_repaired, struct why *why)
{
	text = str_trim(text);
	if (text.n > INT_MAX / 8)
		return why_set(why, -E2BIG, "the feed is larger than 256 MiB");
	if (has_crowded_tag(text))
		return why_set(why, -E2BIG, "an element of the feed has more than %d attributes",
			       MAX_ATTRIBUTES);
	int r = has_broken_comment(text) ? -EBADMSG : read_once(text, false, ret, why);
	if (r == 0)
		*ret_repaired = false;
	if (r != -EBADMSG)
		return r;
	_cleanup_buf_ struct buf mended = {0};
	if (feed_mend(&mended, text) < 0)
		return why_set(why, -ENOMEM, "no memory left to read the feed");
	r = read_once(str_trim(buf_str(&mended)), true, ret, why);
	if (r == 0)
		*ret_repaired = true;
	return r;
}
