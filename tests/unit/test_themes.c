/* The templates for mails that are built in: each compiles strictly and uses known names only. */
#include "unit.h"

#include <jansson.h>
#include <stdio.h>

#include "mail/locale.h"
#include "mail/template.h"

static const char *const themes[] = {"plain", "magazine"};
static const char *const letters[] = {"confirm", "welcome", "goodbye", "test"};
static const enum template_part parts[] = {TEMPLATE_HTML, TEMPLATE_TEXT};

/* What templates may use (a name that ends with a dot: whatever follows). */
static const char *const shared_names[] = {"list.name",
					   "list.title",
					   "list.description",
					   "list.url",
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digests_compile_and_use_known_names),
	    cmocka_unit_test(letters_compile_with_each_theme_and_use_known_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
