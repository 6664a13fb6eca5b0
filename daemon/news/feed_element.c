#include "news/feed_element.h"

#include <ctype.h>

#include "news/date.h"

bool feed_element_take(struct feed_build *b, void *target, const xmlNode *node,
		       const struct feed_element *table, size_t n)
{
	enum feed_ns ns;
	struct str name = feed_node_name(node, &ns);
	for (size_t i = 0; i < n; i++) {
		if (!(table[i].vocabularies & ns) || !str_case_is(name, table[i].name))
			continue;
		table[i].take(b, target, node, table[i].rank);
		return true;
	}
	return false;
}

bool feed_rank_better(unsigned char *held, unsigned char rank)
{
	if (*held && *held <= rank)
		return false;
	*held = rank;
	return true;
}

void feed_topic_add(struct feed_build *b, struct feed_topics *topics, const char *topic)
{
	enum { STEP = 8 };
	if (!topic || !topic[0] || topics->n >= FEED_MAX_TOPICS)
		return;
	for (size_t i = 0; i < topics->n; i++)
		if (strcmp(topics->list[i], topic) == 0)
			return;
	if (topics->n % STEP == 0) {
		char **list =
		    feed_build_kept(b, arena_array(b->arena, topics->n + STEP, sizeof(*list)));
		if (!list)
			return;
		if (topics->n)
			memcpy(list, topics->list, topics->n * sizeof(*list));
		topics->list = list;
	}
	char *copy = feed_build_kept(b, arena_strdup(b->arena, topic));
	if (copy)
		topics->list[topics->n++] = copy;
}

void feed_topic_take(struct feed_build *b, struct feed_topics *topics, const xmlNode *node)
{
	static const char kinds[] = "http://schemas.google.com/g/2005#kind"; /* no topic */
	char *scheme = feed_node_attr(b, node, "scheme");
	if (scheme && strcmp(scheme, kinds) == 0)
		return;
	char *term = feed_node_attr(b, node, "term");
	if (!term)
		term = feed_node_attr(b, node, "label");
	if (!term)
		term = feed_node_text(b, node);
	if (term)
		feed_topic_add(b, topics, feed_build_line(b, str_of(term)));
}

void feed_topics_split(struct feed_build *b, struct feed_topics *topics, const char *text)
{
	for (struct str rest = str_of(text); rest.n;)
		feed_topic_add(b, topics, feed_build_line(b, str_take(&rest, ',')));
}

void feed_title_take(struct feed_build *b, char **title, unsigned char *held, const xmlNode *node,
		     unsigned char rank)
{
	char *found = feed_node_title(b, node, feed_node_is_atom(node));
	if (found && feed_rank_better(held, rank))
		*title = found;
}

void feed_text_take(struct feed_build *b, struct feed_text *text, unsigned char *held,
		    const xmlNode *node, unsigned char rank)
{
	struct feed_text found;
	if (feed_node_construct(b, node, feed_node_is_atom(node), &found) &&
	    feed_rank_better(held, rank))
		*text = found;
}

void feed_moment_take(struct feed_build *b, usec_t *moment, unsigned char *held,
		      const xmlNode *node, unsigned char rank)
{
	char *text = feed_node_text(b, node);
	usec_t found = text ? date_parse(str_of(text)) : 0;
	if (found && feed_rank_better(held, rank))
		*moment = found;
}

void feed_lang_take(struct feed_build *b, char **lang, const xmlNode *node)
{
	char *text = feed_node_text(b, node);
	if (text)
		*lang = feed_lang_clean(b, text);
}

char *feed_link_read(struct feed_build *b, const xmlNode *node, unsigned char *rank)
{
	char *href = feed_node_attr(b, node, "href");
	if (href) {
		char *rel = feed_node_attr(b, node, "rel"), *type = feed_node_attr(b, node, "type");
		if (rel && strcasecmp(rel, "alternate") != 0)
			return NULL;
		if (type && !strcasestr(type, "html"))
			*rank += 1;
	} else {
		href = feed_node_text(b, node);
	}
	return href ? feed_address(b, feed_node_base(b, node), str_of(href)) : NULL;
}

char *feed_lang_clean(struct feed_build *b, const char *text)
{
	enum { LONGEST = 35 }; /* BCP 47 section 4.4.1 */
	struct str s = str_trim(str_of(text));
	if (!s.n || s.n > LONGEST || !isalpha((unsigned char)s.p[0]))
		return NULL;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return NULL;
	char *lang = feed_build_kept(b, arena_copy(b->arena, s));
	for (char *c = lang; c && *c; c++)
		if (*c == '_')
			*c = '-';
	return lang;
}
