#include "news/jsonld.h"

#include <errno.h>
#include <jansson.h>

#include "base/buf.h"
#include "news/date.h"

enum { DEEPEST = 8 };

struct reading {
	struct arena *arena;
	struct jsonld *known;
	int err;
};

static bool is_article_type(const char *type)
{
	size_t n = strlen(type);
	return (n >= 7 && !strcmp(type + n - 7, "Article")) || !strcmp(type, "BlogPosting") ||
	       !strcmp(type, "LiveBlogPosting") || !strcmp(type, "Report") ||
	       !strcmp(type, "SocialMediaPosting") || !strcmp(type, "Review");
}

static bool is_article(const json_t *object)
{
	const json_t *type = json_object_get(object, "@type"), *one;
	if (json_is_string(type))
		return is_article_type(json_string_value(type));
	size_t i;
	json_array_foreach(type, i, one)
	{
		if (json_is_string(one) && is_article_type(json_string_value(one)))
			return true;
	}
	return false;
}

static void set(struct reading *r, char **to, const char *text)
{
	if (*to || !text || !text[0])
		return;
	*to = arena_strdup(r->arena, text);
	if (!*to)
		r->err = -ENOMEM;
}

/* A text, or the `key` of an object, or that of the first of a list. */
static const char *text_of(const json_t *value, const char *key)
{
	for (int depth = 0; depth < DEEPEST && value; depth++) {
		if (json_is_string(value))
			return json_string_value(value);
		value =
		    json_is_array(value) ? json_array_get(value, 0) : json_object_get(value, key);
	}
	return NULL;
}

static void read_authors(struct reading *r, const json_t *authors)
{
	_cleanup_buf_ struct buf names = {0};
	size_t n = json_is_array(authors) ? json_array_size(authors) : authors != NULL;
	for (size_t i = 0; i < n && i < 10; i++) {
		const json_t *one = json_is_array(authors) ? json_array_get(authors, i) : authors;
		const char *name = text_of(one, "name");
		if (!name)
			continue;
		buf_adds(&names, names.len ? ", " : "");
		buf_adds(&names, name);
	}
	if (names.err)
		r->err = names.err;
	set(r, &r->known->author, buf_text(&names));
}

static void add_topic(struct reading *r, struct str topic)
{
	topic = str_trim(topic);
	if (!topic.n || r->known->n_topics == JSONLD_TOPICS)
		return;
	char *copy = arena_copy(r->arena, topic);
	if (copy)
		r->known->topics[r->known->n_topics++] = copy;
	else
		r->err = -ENOMEM;
}

/* "a, b" or ["a", "b"]. */
static void read_topics(struct reading *r, const json_t *topics)
{
	if (json_is_array(topics)) {
		size_t i;
		const json_t *one;
		json_array_foreach(topics, i, one)
		{
			if (json_is_string(one))
				add_topic(r, str_of(json_string_value(one)));
		}
		return;
	}
	for (struct str rest = str_of(json_string_value(topics)); rest.n;)
		add_topic(r, str_take(&rest, ','));
}

static void read_article(struct reading *r, const json_t *object)
{
	struct jsonld *k = r->known;
	set(r, &k->headline, text_of(json_object_get(object, "headline"), "@value"));
	set(r, &k->headline, text_of(json_object_get(object, "name"), "@value"));
	set(r, &k->description, text_of(json_object_get(object, "description"), "@value"));
	set(r, &k->body, text_of(json_object_get(object, "articleBody"), "@value"));
	set(r, &k->image, text_of(json_object_get(object, "image"), "url"));
	set(r, &k->url, text_of(json_object_get(object, "url"), "@id"));
	set(r, &k->lang, text_of(json_object_get(object, "inLanguage"), "name"));
	read_authors(r, json_object_get(object, "author"));
	if (!k->n_topics) {
		read_topics(r, json_object_get(object, "keywords"));
		read_topics(r, json_object_get(object, "articleSection"));
	}
	const char *date = text_of(json_object_get(object, "datePublished"), "@value");
	if (date && !k->published)
		k->published = date_parse(str_of(date));
}

static void visit(struct reading *r, const json_t *value, int depth)
{
	if (depth == DEEPEST || r->err)
		return;
	size_t i;
	const json_t *one;
	if (json_is_array(value)) {
		json_array_foreach(value, i, one)
		{
			visit(r, one, depth + 1);
		}
	} else if (json_is_object(value)) {
		if (is_article(value))
			read_article(r, value);
		visit(r, json_object_get(value, "@graph"), depth + 1);
		visit(r, json_object_get(value, "mainEntity"), depth + 1);
	}
}

int jsonld_read(struct arena *arena, struct str script, struct jsonld *known)
{
	struct reading r = {.arena = arena, .known = known};
	json_error_t error;
	script = str_trim(script);
	json_auto_t *root = json_loadb(script.p, script.n, JSON_DISABLE_EOF_CHECK, &error);
	if (!root && json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	visit(&r, root, 0);
	return r.err;
}
