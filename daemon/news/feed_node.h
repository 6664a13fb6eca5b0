/*
 * Reading single XML nodes of a feed: which vocabulary they belong to, their text, their markup as
 * HTML, the base and language that hold for them. Strings that are handed out live in the arena of
 * the build; NULL means "not there", and a lack of memory is kept in build.err for the end.
 */
#pragma once

#include <libxml/tree.h>

#include "base/buf.h"
#include "news/feed.h"

/* A feed under construction. */
struct feed_build {
	struct arena *arena;
	struct arena scratch; /* emptied after each article */
	struct feed *feed;
	const char *base_url;  /* where the feed came from, if that is http or https */
	const char *link_base; /* what links are relative to where no xml:base says otherwise */
	size_t room;           /* articles that feed->articles can hold */
	int err;
};

/* The vocabularies; bits, since some elements may come from more than one. */
enum feed_ns {
	NS_FEED = 1 << 0, /* RSS or no namespace: the language of the document's root */
	NS_ATOM = 1 << 1,
	NS_CONTENT = 1 << 2,
	NS_DC = 1 << 3,
	NS_DCTERMS = 1 << 4,
	NS_MEDIA = 1 << 5,
	NS_ITUNES = 1 << 6,
	NS_SY = 1 << 7,
	NS_XHTML = 1 << 8,
	NS_FEEDBURNER = 1 << 9,
	NS_RDF = 1 << 10,
	NS_OTHER = 1 << 11,
};

/* The local name, and the vocabulary: by namespace, or by prefix where that is unknown. */
struct str feed_node_name(const xmlNode *node, enum feed_ns *ret_ns);

bool feed_node_is_atom(const xmlNode *node); /* of Atom's vocabulary */
bool feed_node_is_element(const xmlNode *node);
xmlNode *feed_node_first_element(const xmlNode *parent); /* NULL when there is none */

/* An attribute without a namespace, its name in any case; the raw value; NULL when absent. */
char *feed_node_attr(struct feed_build *b, const xmlNode *node, const char *name);

/* The text of its own, not of elements in it; repaired and trimmed. NULL when empty. */
char *feed_node_text(struct feed_build *b, const xmlNode *node);

/* The text as one plain line: a name, a topic. NULL when empty. */
char *feed_node_line(struct feed_build *b, const xmlNode *node);

/* xml:base as inherited, else the build's link_base; may be NULL. Lives in the scratch arena. */
const char *feed_node_base(struct feed_build *b, const xmlNode *node);

char *feed_node_lang(struct feed_build *b, const xmlNode *node); /* xml:lang as inherited */

/* What is in the node as HTML, links made absolute. */
int feed_node_html(struct feed_build *b, struct buf *out, const xmlNode *node);

/*
 * A text construct: of Atom (type, mode, base64) when `declared`, else an RSS element, which is
 * HTML when it looks like it. False when there is nothing in it.
 */
bool feed_node_construct(struct feed_build *b, const xmlNode *node, bool declared,
			 struct feed_text *ret);

/* The same as a title: plain text. NULL when empty. */
char *feed_node_title(struct feed_build *b, const xmlNode *node, bool declared);

/* An address made absolute, http or https; NULL when it is none. `base` may be NULL. */
char *feed_address(struct feed_build *b, const char *base, struct str address);

/* Takes an allocation's result and hands it on; NULL is noted as a lack of memory. */
void *feed_build_kept(struct feed_build *b, void *memory);

/* Text from elsewhere, repaired and trimmed; the same as one plain line. NULL when empty. */
char *feed_build_text(struct feed_build *b, struct str text);
char *feed_build_line(struct feed_build *b, struct str text);
