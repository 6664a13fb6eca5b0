#include "news/feed_people.h"

#include <ctype.h>
#include <errno.h>

enum { MAX_PEOPLE = 20, STEP = 4 };

static bool is_nobody(const struct feed_person *person)
{
	return !person->name && !person->email && !person->url;
}

void feed_people_add(struct feed_build *b, struct feed_people *people, struct feed_person person)
{
	if (people->n >= MAX_PEOPLE || is_nobody(&person))
		return;
	if (people->n % STEP == 0) {
		struct feed_person *list =
		    feed_build_kept(b, arena_array(b->arena, people->n + STEP, sizeof(*list)));
		if (!list)
			return;
		if (people->n)
			memcpy(list, people->list, people->n * sizeof(*list));
		people->list = list;
	}
	people->list[people->n++] = person;
}

static bool is_address(struct str s)
{
	struct str local, domain;
	if (!str_cut(s, '@', &local, &domain) || !local.n || !domain.n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (isspace((unsigned char)s.p[i]) || strchr("<>()\",;:", s.p[i]))
			return false;
	return true;
}

static struct str unquoted(struct str s)
{
	s = str_trim(s);
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		s = str_trim((struct str){s.p + 1, s.n - 2});
	return s;
}

static struct feed_person person_of(struct feed_build *b, struct str name, struct str address)
{
	struct feed_person p = {0};
	name = unquoted(name);
	if (str_starts(str_trim(address), "mailto:"))
		address = str_from(str_trim(address), 7);
	if (name.n)
		p.name = feed_build_kept(
		    b, feed_text_plain(b->arena, name, FEED_TEXT, true, FEED_MAX_TITLE));
	if (address.n)
		p.email = feed_build_kept(b, feed_text_mend(b->arena, str_trim(address)));
	return p;
}

struct feed_person feed_person_parse(struct feed_build *b, struct str text)
{
	static const char *const brackets[] = {"()", "<>"};
	text = str_trim(text);
	const struct str none = {"", 0};
	for (size_t i = 0; i < ELEMENTS(brackets); i++) {
		struct str before, inside, after;
		if (!str_cut(text, brackets[i][0], &before, &inside) ||
		    !str_cut(inside, brackets[i][1], &inside, &after))
			continue;
		before = unquoted(before);
		inside = unquoted(inside);
		if (is_address(inside))
			return person_of(b, before, inside);
		if (is_address(before))
			return person_of(b, inside, before);
	}
	if (is_address(text))
		return person_of(b, none, text);
	return person_of(b, text, none);
}

/* Empty when the element names nobody. */
static struct feed_person read_person(struct feed_build *b, const xmlNode *node)
{
	if (!feed_node_first_element(node)) {
		char *text = feed_node_text(b, node);
		return text ? feed_person_parse(b, str_of(text)) : (struct feed_person){0};
	}
	struct feed_person p = {0};
	for (const xmlNode *n = node->children; n; n = n->next) {
		if (!feed_node_is_element(n))
			continue;
		enum feed_ns ns;
		struct str name = feed_node_name(n, &ns);
		if (str_case_is(name, "name"))
			p.name = feed_node_line(b, n);
		else if (str_case_is(name, "email"))
			p.email = feed_node_text(b, n);
		else if (str_case_is(name, "uri") || str_case_is(name, "url") ||
			 str_case_is(name, "homepage"))
			p.url = feed_node_text(b, n);
	}
	if (p.url)
		p.url = feed_address(b, feed_node_base(b, node), str_of(p.url));
	return p;
}

void feed_people_take(struct feed_build *b, struct feed_people *people, unsigned char *held,
		      const xmlNode *node, unsigned char rank)
{
	struct feed_person person = read_person(b, node);
	if (is_nobody(&person) || (*held && *held < rank))
		return;
	if (feed_rank_better(held, rank))
		*people = (struct feed_people){0};
	feed_people_add(b, people, person);
}

char *feed_people_names(struct feed_build *b, const struct feed_people *people)
{
	_cleanup_buf_ struct buf names = {0};
	for (size_t i = 0; i < people->n; i++) {
		const char *name = people->list[i].name;
		if (name && name[0])
			buf_printf(&names, "%s%s", names.len ? ", " : "", name);
	}
	if (names.err)
		b->err = -ENOMEM;
	return names.len ? feed_build_kept(b, arena_copy(b->arena, buf_str(&names))) : NULL;
}
