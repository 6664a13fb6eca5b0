#include "send/rendering.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/address.h"
#include "mail/digest.h"
#include "mail/letter.h"
#include "mail/locale.h"
#include "mail/message.h"
#include "mail/verp.h"

enum {
	URL = 1024,
	LETTERS = 64, /* compiled ones that are kept */
};

/* One compiled message, in an arena of its own. */
struct compiled {
	struct compiled *next;
	char *name; /* all that it depends on: of a variant its topics and language */
	struct arena arena;
	struct message *message;
	char *base_url;
	char *return_path;
};

struct issue {
	struct issue *next;
	struct rendering_issue about;
	char *uid;
	json_t *content;
	const char **topics; /* of its articles, sorted; views into content */
	size_t topic_count;
	struct compiled *variants;
};

struct rendering {
	const char *templates_dir;
	struct token_key key;
	struct issue *issues;
	struct compiled *letters;
	size_t letter_count;
};

int rendering_new(struct rendering **ret)
{
	struct rendering *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}

static void compiled_free(struct compiled *c)
{
	while (c) {
		struct compiled *next = c->next;
		arena_free(&c->arena);
		free(c->name);
		free(c->base_url);
		free(c->return_path);
		free(c);
		c = next;
	}
}

static void issue_free(struct issue *i)
{
	compiled_free(i->variants);
	json_decref(i->content);
	free(i->topics);
	free(i->uid);
	free(i);
}

static void drop_letters(struct rendering *r)
{
	compiled_free(r->letters);
	r->letters = NULL;
	r->letter_count = 0;
}

void rendering_free(struct rendering *r)
{
	if (!r)
		return;
	while (r->issues) {
		struct issue *next = r->issues->next;
		issue_free(r->issues);
		r->issues = next;
	}
	drop_letters(r);
	explicit_bzero(&r->key, sizeof(r->key));
	free(r);
}

void rendering_set_templates(struct rendering *r, const char *dir)
{
	r->templates_dir = *dir ? dir : NULL;
	drop_letters(r);
}

void rendering_set_key(struct rendering *r, const struct token_key *key)
{
	r->key = *key;
}

bool rendering_has_key(const struct rendering *r)
{
	return r->key.id != 0;
}

static struct compiled *find_compiled(struct compiled *c, const char *name)
{
	while (c && strcmp(c->name, name) != 0)
		c = c->next;
	return c;
}

/*
 * JSON text into *ret; -EINVAL with the reason: it is none; -ENOMEM. Where jansson finds no memory
 * it often gives no reason at all.
 */
static int parse(struct str text, const char *what, json_t **ret, struct why *why)
{
	json_error_t error;
	json_t *json = json_loadb(text.p, text.n, 0, &error);
	if (!json && (!error.text[0] || json_error_code(&error) == json_error_out_of_memory))
		return -ENOMEM;
	if (!json)
		return why_set(why, -EINVAL, "%s is no JSON: %s", what, error.text);
	*ret = json;
	return 0;
}

/* ---- issues ---------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The topics of the issue's articles, each once, sorted. */
static int collect_topics(struct issue *i)
{
	size_t total = 0, index, k;
	json_t *article, *topic, *articles = json_object_get(i->content, "articles");
	json_array_foreach(articles, index, article) total +=
	    json_array_size(json_object_get(article, "topics"));
	i->topics = calloc(total + 1, sizeof(*i->topics));
	if (!i->topics)
		return -ENOMEM;
	size_t n = 0;
	json_array_foreach(articles, index, article) json_array_foreach(
	    json_object_get(article, "topics"), k, topic) if (json_is_string(topic))
	    i->topics[n++] = json_string_value(topic);
	qsort(i->topics, n, sizeof(*i->topics), by_text);
	for (size_t at = 0; at < n; at++)
		if (at == 0 || strcmp(i->topics[at], i->topics[i->topic_count - 1]) != 0)
			i->topics[i->topic_count++] = i->topics[at];
	return 0;
}

static struct issue *find_issue(const struct rendering *r, int64_t id)
{
	struct issue *i = r->issues;
	while (i && i->about.id != id)
		i = i->next;
	return i;
}

int rendering_add_issue(struct rendering *r, const struct rendering_issue *about,
			struct str content, struct why *why)
{
	if (find_issue(r, about->id))
		return 0;
	struct issue *i = calloc(1, sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->about = *about;
	i->uid = strdup(about->uid);
	i->about.uid = i->uid;
	int e = i->uid ? parse(content, "its content", &i->content, why) : -ENOMEM;
	if (e == 0)
		e = collect_topics(i);
	if (e < 0) {
		issue_free(i);
		return e;
	}
	i->next = r->issues;
	r->issues = i;
	return 0;
}

const struct rendering_issue *rendering_find_issue(const struct rendering *r, int64_t issue)
{
	struct issue *i = find_issue(r, issue);
	return i ? &i->about : NULL;
}

void rendering_drop_issue(struct rendering *r, int64_t issue)
{
	for (struct issue **at = &r->issues; *at; at = &(*at)->next)
		if ((*at)->about.id == issue) {
			struct issue *gone = *at;
			*at = gone->next;
			issue_free(gone);
			return;
		}
}

void rendering_drop_issues(struct rendering *r)
{
	while (r->issues)
		rendering_drop_issue(r, r->issues->about.id);
}

/* ---- compiling ------------------------------------------------------------------------------- */

static const char *list_text(json_t *list, const char *key)
{
	const char *text = json_string_value(json_object_get(list, key));
	return text ? text : "";
}

/* What every compiled message keeps of its list. */
static struct compiled *compiled_new(json_t *list)
{
	struct compiled *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->base_url = strdup(list_text(list, "url"));
	c->return_path = strdup(list_text(list, "return_path"));
	if (!c->base_url || !c->return_path) {
		compiled_free(c);
		return NULL;
	}
	return c;
}

/*
 * Which of the issue's topics a reader wants. None of them at all is not "no topics", which means
 * all: it is one that no article has.
 */
static const char **wanted_topics(const struct issue *i, const struct member *m, size_t *ret_count)
{
	const char **wanted = calloc(i->topic_count + 1, sizeof(*wanted));
	size_t n = 0;
	for (size_t t = 0; wanted && m->topic_count && t < i->topic_count; t++)
		for (size_t k = 0; k < m->topic_count; k++)
			if (str_is(m->topics[k], i->topics[t])) {
				wanted[n++] = i->topics[t];
				break;
			}
	if (wanted && m->topic_count && n == 0)
		wanted[n++] = "";
	*ret_count = n;
	return wanted;
}

/*
 * The variant's number only marks records: two sets of topics may have the same. So a variant is
 * found again by what it is, which stands in its name.
 */
static int name_variant(const struct digest_variant *variant, struct buf *name)
{
	buf_adds(name, variant->lang ? variant->lang : "");
	for (size_t i = 0; i < variant->count; i++)
		buf_printf(name, "/%zu:%s", strlen(variant->topics[i]), variant->topics[i]);
	return name->err;
}

static int find_variant(struct issue *i, struct member *m, struct compiled **ret, struct why *why)
{
	struct digest_variant variant = {.lang = m->lang};
	_cleanup_free_ const char **topics = wanted_topics(i, m, &variant.count);
	_cleanup_buf_ struct buf name = {0};
	if (!topics)
		return -ENOMEM;
	variant.topics = topics;
	int e = name_variant(&variant, &name);
	if (e < 0)
		return e;
	m->variant = digest_variant_id(&variant);
	*ret = find_compiled(i->variants, buf_text(&name));
	if (*ret)
		return 0;
	struct compiled *c = compiled_new(json_object_get(i->content, "list"));
	if (!c)
		return -ENOMEM;
	e = digest_compile(&c->arena, i->content, &variant, &c->message, why);
	if (e == 0) {
		c->name = buf_steal(&name, NULL);
		e = c->name ? 0 : -ENOMEM;
	}
	if (e < 0) {
		compiled_free(c);
		return e;
	}
	c->next = i->variants;
	i->variants = c;
	*ret = c;
	return 0;
}

static int compile_letter(struct rendering *r, const struct member *m, json_t *list, json_t *params,
			  struct compiled **ret, struct why *why)
{
	json_t *text = NULL;
	int e = locale_load(r->templates_dir,
			    m->lang && *m->lang ? m->lang : list_text(list, "lang"), &text, why);
	if (e < 0)
		return e;
	struct compiled *c = compiled_new(list);
	const struct letter_spec spec = {
	    .kind = m->letter_kind,
	    .template_dir = r->templates_dir,
	    .list = list,
	    .text = text,
	    .params = params,
	};
	e = c ? letter_compile(&c->arena, &spec, &c->message, why) : -ENOMEM;
	json_decref(text);
	if (e < 0) {
		compiled_free(c);
		return e;
	}
	*ret = c;
	return 0;
}

/* A test letter carries an issue's content as it would be. */
static int compile_test(const struct member *m, json_t *list, json_t *content,
			struct compiled **ret, struct why *why)
{
	struct digest_variant variant = {.lang = m->lang};
	struct compiled *c = compiled_new(list);
	int e = c ? digest_compile(&c->arena, content, &variant, &c->message, why) : -ENOMEM;
	if (e < 0) {
		compiled_free(c);
		return e;
	}
	*ret = c;
	return 0;
}

static int compile_any(struct rendering *r, const struct member *m, struct compiled **ret,
		       struct why *why)
{
	json_t *list = NULL, *params = NULL;
	int e = parse(str_of(m->content), "the letter's list", &list, why);
	if (e == 0)
		e = parse(str_of(m->params), "what the letter tells", &params, why);
	json_t *content = json_object_get(params, "content");
	if (e == 0)
		e = content ? compile_test(m, list, content, ret, why)
			    : compile_letter(r, m, list, params, ret, why);
	json_decref(list);
	json_decref(params);
	return e;
}

/*
 * A letter is found again by its kind, language and content. One whose list was changed meanwhile
 * is made anew: the list is in the content.
 */
static int find_letter(struct rendering *r, const struct member *m, struct compiled **ret,
		       struct why *why)
{
	_cleanup_buf_ struct buf name = {0};
	int e = buf_printf(&name, "%s/%s/%s/%s", m->letter_kind, m->lang, m->params, m->content);
	if (e < 0)
		return e;
	*ret = find_compiled(r->letters, buf_text(&name));
	if (*ret)
		return 0;
	struct compiled *c = NULL;
	e = compile_any(r, m, &c, why);
	if (e < 0)
		return e;
	c->name = buf_steal(&name, NULL);
	if (!c->name) {
		compiled_free(c);
		return -ENOMEM;
	}
	if (r->letter_count >= LETTERS)
		drop_letters(r);
	r->letter_count++;
	c->next = r->letters;
	r->letters = c;
	*ret = c;
	return 0;
}

/* ---- a reader's mail ------------------------------------------------------------------------- */

static int mint_url(const struct rendering *r, const struct compiled *c, const char *path,
		    const struct token_claim *claim, char url[static URL])
{
	char token[TOKEN_TEXT];
	int e = token_mint(&r->key, claim, token);
	if (e < 0)
		return e;
	int n = snprintf(url, URL, "%s%s%s", c->base_url, path, token);
	return n < 0 || n >= URL ? -EINVAL : 0;
}

/* {"reader": {attributes, email, name}, "links": {...}} */
static int late_values(const struct member *m, const char *unsubscribe, const char *confirm,
		       json_t **ret, struct why *why)
{
	json_auto_t *reader = NULL;
	int e =
	    parse(m->attrs ? str_of(m->attrs) : STR("{}"), "the reader's attributes", &reader, why);
	if (e < 0)
		return e;
	json_auto_t *links = json_object();
	if (json_object_set_new(reader, "email", json_string(m->email)) < 0 ||
	    json_object_set_new(reader, "name", json_string(m->name ? m->name : "")) < 0 ||
	    json_object_set_new(links, "unsubscribe", json_string(unsubscribe)) < 0 ||
	    (*confirm && json_object_set_new(links, "confirm", json_string(confirm)) < 0))
		return -ENOMEM;
	*ret = json_pack("{sO sO}", "reader", reader, "links", links);
	return *ret ? 0 : -ENOMEM;
}

static int splice(struct rendering *r, const struct compiled *c, const struct window *w,
		  const struct member *m, int32_t list, const struct address *address,
		  struct rendered *out, struct why *why)
{
	char unsubscribe[URL], confirm[URL] = "", mailto[512];
	struct token_claim claim = {TOKEN_UNSUBSCRIBE, list, m->subscriber, 0, 0};
	int e = mint_url(r, c, "/u/", &claim, unsubscribe);
	if (e == 0 && m->letter_kind && strcmp(m->letter_kind, "confirm") == 0) {
		claim.purpose = TOKEN_CONFIRM;
		claim.gen = m->token_gen;
		claim.expires = token_expiry(m->expires_at, 0);
		e = mint_url(r, c, "/c/", &claim, confirm);
	}
	if (e == 0)
		e = verp_make(&r->key, str_of(c->return_path), (struct verp){w->issue, m->id},
			      out->from);
	if (e < 0)
		return e;
	snprintf(mailto, sizeof(mailto), "mailto:%s?subject=unsubscribe", out->from);

	json_auto_t *late = NULL;
	e = late_values(m, unsubscribe, confirm, &late, why);
	if (e < 0)
		return e;
	const struct message_reader reader = {
	    .address = str_of(address->wire),
	    .name = str_of(m->name),
	    .id = m->id,
	    .date = w->date,
	    .unsubscribe = str_of(unsubscribe),
	    .unsubscribe_mail = str_of(mailto),
	    .late = late,
	};
	buf_reset(&out->bytes);
	return message_splice(c->message, &reader, &out->bytes);
}

int rendering_mail(struct rendering *r, const struct window *w, struct member *m,
		   struct rendered *out, struct why *why)
{
	struct address address;
	int e = address_parse(str_of(m->email), &address, why);
	if (e < 0)
		return e == -ENOMEM ? e : -EBADMSG;
	struct compiled *c = NULL;
	int32_t list = m->list;
	if (w->kind == WINDOW_LETTER) {
		e = find_letter(r, m, &c, why);
	} else {
		struct issue *i = find_issue(r, w->issue);
		if (!i)
			return why_set(why, -ENOENT, "the issue wasn't loaded");
		list = i->about.list;
		e = find_variant(i, m, &c, why);
	}
	if (e < 0)
		return e;
	struct why reason = {""};
	e = splice(r, c, w, m, list, &address, out, &reason);
	if (e < 0)
		return why_set(why, e, "%s", reason.text[0] ? reason.text : strerror(-e));
	snprintf(out->to, sizeof(out->to), "%s", address.wire);
	out->utf8 = message_smtputf8(c->message) || address.needs_smtputf8;
	return 0;
}
