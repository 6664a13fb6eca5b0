/*
 * What the templates of a digest see: the articles that are for a variant, numbered and dated, and
 * the words of its language.
 */
#include <errno.h>
#include <stdbool.h>

#include "base/text.h"
#include "mail/digest.h"
#include "mail/jsontext.h"
#include "mail/localdate.h"

/* Takes over the reference to `value`, NULL being a failed allocation. */
static int set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int set_str(json_t *object, const char *key, struct str text)
{
	return set(object, key, json_stringn(text.p, text.n));
}

/* ---- languages ---- */

/* The locale of a language, or of its first part ("pt" for "pt-BR"), or NULL. */
static json_t *find_locale(json_t *content, struct str lang)
{
	json_t *texts = json_object_get(content, "texts");
	struct str base, rest;
	json_t *text = json_object_getn(texts, lang.p, lang.n);
	if (!text && str_cut(lang, '-', &base, &rest))
		text = json_object_getn(texts, base.p, base.n);
	return json_is_object(text) ? text : NULL;
}

/* Whether a locale is of a language that is written from right to left, by how it reads. */
static bool is_rtl(const json_t *text)
{
	const json_t *mail = json_object_get(text, "mail");
	return text_direction(jsontext_of(mail, "unsubscribe")) == TEXT_RTL;
}

/* Sets list and text: the list's own language, or the variant's where there is a locale of it. */
static int set_language(json_t *data, json_t *content, struct str lang)
{
	json_t *list = json_object_get(content, "list"), *text = json_object_get(content, "text");
	json_t *other =
	    lang.n && !str_eq(lang, jsontext_of(list, "lang")) ? find_locale(content, lang) : NULL;
	json_t *own = jsontext_copy(list);
	int r = set(data, "list", own);
	if (r >= 0 && other) {
		text = other;
		r = set_str(own, "lang", lang);
		if (r >= 0)
			r = set_str(own, "dir", is_rtl(other) ? STR("rtl") : STR("ltr"));
	}
	return r < 0 || !text ? r : set(data, "text", json_incref(text));
}

/* ---- articles ---- */

static bool has_topic(const struct digest_variant *variant, const char *topic)
{
	for (size_t i = 0; i < variant->count; i++)
		if (topic && strcmp(variant->topics[i], topic) == 0)
			return true;
	return false;
}

static bool is_for(const struct digest_variant *variant, const json_t *article)
{
	const json_t *topics = json_object_get(article, "topics");
	if (variant->count == 0 || json_array_size(topics) == 0)
		return true;
	for (size_t i = 0; i < json_array_size(topics); i++)
		if (has_topic(variant, json_string_value(json_array_get(topics, i))))
			return true;
	return false;
}

static int set_default(json_t *object, const char *key, struct str text)
{
	return jsontext_of(object, key).n || text.n == 0 ? 0 : set_str(object, key, text);
}

/* What is the same for an article in every variant. */
static int fill_article(json_t *article, const json_t *list, json_t *text)
{
	_cleanup_buf_ struct buf date = {0};
	json_t *words = json_object_get(text, "date");
	int r = localdate_format(words, "short", jsontext_of(article, "published"), &date);
	if (r >= 0)
		r = set_str(article, "date_text", buf_str(&date));
	if (r >= 0)
		r = set(article, "has_image", json_boolean(jsontext_of(article, "image").n > 0));
	if (r >= 0)
		r = set_default(article, "lang", jsontext_of(list, "lang"));
	return r < 0 ? r : set_default(article, "dir", jsontext_of(list, "dir"));
}

/* Sets articles, lead, others and more. -ENODATA: nothing is for this variant. */
static int set_articles(json_t *data, json_t *content, const struct digest_variant *variant)
{
	json_t *all = json_object_get(content, "articles"),
	       *list = json_object_get(content, "list");
	json_t *text = json_object_get(data, "text");
	json_t *chosen = json_array(), *others = json_array();
	int r = set(data, "articles", chosen);
	if (r >= 0)
		r = set(data, "others", others);
	else
		json_decref(others);
	for (size_t i = 0; i < json_array_size(all) && r >= 0; i++) {
		if (!is_for(variant, json_array_get(all, i)))
			continue;
		json_t *article = jsontext_copy(json_array_get(all, i));
		if (json_array_append_new(chosen, article) < 0)
			return -ENOMEM;
		r = fill_article(article, list, text);
		if (r >= 0 && json_array_size(chosen) > 1 && json_array_append(others, article) < 0)
			r = -ENOMEM;
	}
	size_t count = json_array_size(chosen);
	for (size_t i = 0; i < count && r >= 0; i++) {
		json_t *article = json_array_get(chosen, i);
		r = set(article, "number", json_integer((json_int_t)i + 1));
		if (r >= 0)
			r = set(article, "first", json_boolean(i == 0));
		if (r >= 0)
			r = set(article, "last", json_boolean(i + 1 == count));
	}
	if (r >= 0 && count == 0)
		return -ENODATA;
	if (r >= 0)
		r = set(data, "lead", json_incref(json_array_get(chosen, 0)));
	return r < 0 ? r : set(data, "more", json_integer((json_int_t)count - 1));
}

/* ---- the whole ---- */

/* An issue's day is its occurrence, where that is one (a local date), else the day it was opened.
 */
static int set_issue(json_t *data, json_t *content)
{
	_cleanup_buf_ struct buf date = {0};
	json_t *issue = jsontext_copy(json_object_get(content, "issue"));
	json_t *words = json_object_get(json_object_get(data, "text"), "date");
	struct str day = jsontext_of(issue, "occurrence");
	int r = set(data, "issue", issue);
	if (r < 0)
		return r;
	if (day.n != strlen("2026-11-24") || !localdate_is(day))
		day = jsontext_of(issue, "date");
	r = localdate_format(words, "pattern", day, &date);
	return r < 0 ? r : set_str(json_object_get(data, "issue"), "date_text", buf_str(&date));
}

json_t *digest_data(json_t *content, const struct digest_variant *variant, int *ret_err)
{
	json_t *data = json_object(), *edition = json_object_get(content, "edition");
	int r = data ? set_language(data, content, str_of(variant->lang)) : -ENOMEM;
	if (r >= 0 && edition)
		r = set(data, "edition", json_incref(edition));
	if (r >= 0)
		r = set_issue(data, content);
	if (r >= 0)
		r = set_articles(data, content, variant);
	if (r < 0) {
		json_decref(data);
		*ret_err = r;
		return NULL;
	}
	return data;
}
