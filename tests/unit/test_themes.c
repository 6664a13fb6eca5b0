/*
 * The templates for mails that are built in: each compiles strictly and uses known names only, and
 * the sample issues (tests/data/issues) come out whole.
 */
#include <stdio.h>

#include "mails.h"

#include "mail/digest.h"
#include "mail/locale.h"

static const char *const themes[] = {"plain", "magazine"};
static const char *const letters[] = {"confirm", "welcome", "goodbye", "test"};
static const enum template_part parts[] = {TEMPLATE_HTML, TEMPLATE_TEXT};

/* What templates may use (a name that ends with a dot: whatever follows). */
static const char *const shared_names[] = {"list.name",
					   "list.title",
					   "list.description",
					   "list.url",
					   "list.site_url",
					   "list.lang",
					   "list.dir",
					   "list.from_name",
					   "list.from_addr",
					   "list.reply_to",
					   "list.logo",
					   "list.colors.accent",
					   "list.colors.accent_text",
					   "list.colors.accent_dark",
					   "list.archive_url",
					   "list.postal_address",
					   "issue.subject",
					   "preheader",
					   "lead.summary",
					   "reader.",
					   "links.unsubscribe",
					   "links.preferences",
					   NULL};
static const char *const digest_names[] = {"list.full_text",
					   "edition.name",
					   "issue.date_text",
					   "issue.foreword_html",
					   "issue.foreword_text",
					   "articles",
					   "lead",
					   "lead.last",
					   "others",
					   "more",
					   "links.view",
					   NULL};
static const char *const article_names[] = {
    "title", "url", "author",    "summary", "body_html", "body_text", "image", "image_alt",
    "lang",  "dir", "date_text", "number",  "has_image", "first",     "last",  NULL,
};
static const char *const letter_names[] = {"links.confirm", "params.", NULL};

static bool known(const char *name, const char *const names[])
{
	for (; *names; names++) {
		size_t n = strlen(*names);
		if (strcmp(name, *names) == 0 ||
		    ((*names)[n - 1] == '.' && strncmp(name, *names, n) == 0))
			return true;
	}
	return false;
}

struct check {
	bool letter;
	json_t *text; /* the English locale */
};

static json_t *english(void)
{
	json_t *text;
	assert_int_equal(locale_load(NULL, "en", &text, NULL), 0);
	return text;
}

static bool is_string(json_t *text, const char *name)
{
	char copy[128], *rest = copy;
	snprintf(copy, sizeof(copy), "%s", name);
	for (const char *key; text && (key = strsep(&rest, "."));)
		text = json_object_get(text, key);
	return json_is_string(text);
}

static bool in_article(const struct mustache_use *use)
{
	for (use = use->inside; use; use = use->inside)
		if (strcmp(use->name, "articles") == 0 || strcmp(use->name, "lead") == 0 ||
		    strcmp(use->name, "others") == 0)
			return true;
	return false;
}

static int check_use(void *ctx, const struct mustache_use *use)
{
	const struct check *check = ctx;
	if (use->kind == MUSTACHE_PARTIAL)
		return 0;
	bool good = strncmp(use->name, "text.", 5) == 0
			? is_string(check->text, use->name + 5)
			: known(use->name, shared_names) ||
			      known(use->name, check->letter ? letter_names : digest_names) ||
			      (in_article(use) && known(use->name, article_names));
	if (!good)
		fail_msg("%s:%u:%u: nobody gives templates a \"%s\"", use->file, use->line,
			 use->column, use->name);
	return 0;
}

static void check_template(const char *theme, const char *name, enum template_part part,
			   bool letter)
{
	struct check check = {letter, english()};
	struct arena arena = {0};
	struct mustache *m;
	struct why why = {0};
	if (template_compile(NULL, theme, name, part, &arena, &m, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(mustache_walk(m, check_use, &check), 0);
	json_decref(check.text);
	arena_free(&arena);
}

static void digests_compile_and_use_known_names(void **state)
{
	(void)state;
	for (size_t t = 0; t < ELEMENTS(themes); t++)
		for (size_t p = 0; p < ELEMENTS(parts); p++)
			check_template(themes[t], "digest", parts[p], false);
}

/* A letter looks the same in whatever theme its list has. */
static void letters_compile_with_each_theme_and_use_known_names(void **state)
{
	(void)state;
	for (size_t l = 0; l < ELEMENTS(letters); l++) {
		char name[32];
		snprintf(name, sizeof(name), "letter-%s", letters[l]);
		for (size_t t = 0; t < ELEMENTS(themes); t++)
			for (size_t p = 0; p < ELEMENTS(parts); p++)
				check_template(themes[t], name, parts[p], true);
	}
}

/* ---- sample issues ------------------------------------------------------------------------ */

static const char *const samples[] = {"harbour", "arabic", "alone"};

static json_t *sample(const char *name, const char *theme)
{
	char path[64];
	json_error_t error;
	json_t *templates = NULL, *text = NULL;
	struct why why;
	snprintf(path, sizeof(path), "tests/data/issues/%s.json", name);
	json_t *content = json_load_file(path, 0, &error);
	if (!content)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	const json_t *lang = json_object_get(json_object_get(content, "list"), "lang");
	if (template_collect(NULL, theme, &templates, &why) < 0 ||
	    locale_load(NULL, json_string_value(lang), &text, &why) < 0)
		fail_msg("%s", why.text);
	json_object_set_new(content, "templates", templates);
	json_object_set_new(content, "text", text);
	return content;
}

static struct message *compile(struct arena *arena, json_t *content)
{
	struct message *m = NULL;
	struct why why;
	if (digest_compile(arena, content, &(struct digest_variant){0}, &m, &why) < 0)
		fail_msg("%s", why.text);
	return m;
}

/* The mail of one of mails_readers, without its soft line breaks. */
static char *mail_for(json_t *content, size_t reader)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0};
	json_t *late;
	struct message_reader who = mails_late(reader, &late);
	assert_int_equal(message_splice(compile(&arena, content), &who, &out), 0);
	json_decref(late);
	for (char *at = out.data; (at = strstr(at, "=\r\n")) != NULL;)
		memmove(at, at + 3, strlen(at + 3) + 1);
	return buf_steal(&out, NULL);
}

static int count(const char *mail, const char *what)
{
	int n = 0;
	for (; (mail = strstr(mail, what)) != NULL; mail++)
		n++;
	return n;
}

static void sample_issues_come_out_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(samples); i++)
		for (size_t t = 0; t < ELEMENTS(themes); t++) {
			json_auto_t *content = sample(samples[i], themes[t]);
			_cleanup_free_ char *mail = mail_for(content, 1);
			assert_null(strstr(mail, "{{"));
			assert_int_equal(count(mail, "<html"), 1);
			assert_int_equal(count(mail, "</html>"), 1);
			assert_int_equal(count(mail, "<table"), count(mail, "</table>"));
			assert_int_equal(count(mail, "https://news.example/p/TOKEN"), 2);
		}
}

static void a_reader_is_greeted_when_the_name_is_known(void **state)
{
	(void)state;
	for (size_t t = 0; t < ELEMENTS(themes); t++) {
		json_auto_t *content = sample("harbour", themes[t]);
		_cleanup_free_ char *nameless = mail_for(content, 0), *ada = mail_for(content, 1);
		assert_null(strstr(nameless, "Hello"));
		assert_int_equal(count(ada, "Hello"), 2);
		assert_non_null(strstr(ada, "\r\nHello=20Ada Lovelace,\r\n"));
	}
}

static void an_article_without_an_address_is_shown_whole(void **state)
{
	(void)state;
	for (size_t t = 0; t < ELEMENTS(themes); t++) {
		json_auto_t *content = sample("harbour", themes[t]);
		_cleanup_free_ char *mail = mail_for(content, 1);
		assert_int_equal(count(mail, "and a very patient dog."), 2);
		assert_int_equal(count(mail, "Twelve litres"), 0);
	}
}

static void a_lone_article_has_nothing_beside_it(void **state)
{
	(void)state;
	json_auto_t *alone = sample("alone", "magazine"), *six = sample("harbour", "magazine");
	_cleanup_free_ char *one = mail_for(alone, 1), *many = mail_for(six, 1);
	assert_int_equal(count(one, "Also in this issue"), 0);
	assert_int_equal(count(many, "Also in this issue"), 2);
}

static void a_list_may_ask_for_full_text(void **state)
{
	(void)state;
	for (size_t t = 0; t < ELEMENTS(themes); t++) {
		json_auto_t *content = sample("harbour", themes[t]);
		_cleanup_free_ char *brief = mail_for(content, 1);
		json_object_set_new(json_object_get(content, "list"), "full_text", json_true());
		_cleanup_free_ char *full = mail_for(content, 1);
		assert_int_equal(count(brief, "Twelve litres instead of ninety"), 0);
		assert_int_equal(count(full, "Twelve litres instead of ninety"), 2);
	}
}

/* Fifteen articles with pictures and summaries of some 400 characters. */
static void fifteen_articles_are_not_clipped(void **state)
{
	(void)state;
	for (size_t t = 0; t < ELEMENTS(themes); t++) {
		_cleanup_arena_ struct arena arena = {0};
		json_auto_t *content = sample("harbour", themes[t]);
		json_t *articles = json_object_get(content, "articles");
		json_t *article = json_array_get(articles, 3);
		char summary[800] = "";
		for (int i = 0; i < 5; i++)
			strcat(summary, "كل صباح يدفع سليم عربته الخضراء من السوق إلى الرصيف "
					"وعليها ثلاثمئة كتاب. ");
		json_object_set_new(article, "summary", json_string(summary));
		json_incref(article);
		json_array_clear(articles);
		for (int i = 0; i < 15; i++)
			json_array_append(articles, article);
		json_decref(article);
		assert_true(message_html_size(compile(&arena, content)) < MESSAGE_CLIPPED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digests_compile_and_use_known_names),
	    cmocka_unit_test(letters_compile_with_each_theme_and_use_known_names),
	    cmocka_unit_test(sample_issues_come_out_whole),
	    cmocka_unit_test(a_reader_is_greeted_when_the_name_is_known),
	    cmocka_unit_test(an_article_without_an_address_is_shown_whole),
	    cmocka_unit_test(a_lone_article_has_nothing_beside_it),
	    cmocka_unit_test(a_list_may_ask_for_full_text),
	    cmocka_unit_test(fifteen_articles_are_not_clipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
