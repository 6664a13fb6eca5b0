/* The templates for mails that are built in: each compiles strictly and uses known names only. */
#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/embed.h"
#include "mail/mustache.h"

static const char *const themes[] = {"plain", "magazine"};
static const char *const letters[] = {"confirm", "welcome", "goodbye", "test"};
static const char *const kinds[] = {"html", "txt"};

/* What templates may use (a name that ends with a dot: whatever follows). */
static const char *const list_names[] = {
    "list.name",      "list.title",        "list.description",    "list.url",
    "list.lang",      "list.dir",          "list.from_name",      "list.from_addr",
    "list.reply_to",  "list.logo",         "list.colors.accent",  "list.colors.accent_text",
    "list.full_text", "list.archive_url",  "list.postal_address", "list.colors.accent_dark",
    "reader.",        "links.unsubscribe", "links.preferences",   NULL,
};
static const char *const digest_names[] = {
    "edition.name",
    "issue.subject",
    "issue.date_text",
    "issue.foreword_html",
    "issue.foreword_text",
    "preheader",
    "articles",
    "lead",
    "lead.summary",
    "lead.last",
    "others",
    "more",
    "links.view",
    NULL,
};
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

/* A partial of a theme stands beside its digest, or where all themes share it. */
struct place {
	const char *theme;
	const char *kind;
	char path[128];
};

static int load(void *ctx, const char *name, struct str *ret, const char **ret_path,
		struct why *why)
{
	(void)ret_path, (void)why;
	struct place *place = ctx;
	snprintf(place->path, sizeof(place->path), "templates/mail/%s/%s.%s.mustache", place->theme,
		 name, place->kind);
	const struct embedded_file *file = embed_find(place->path);
	if (!file) {
		snprintf(place->path, sizeof(place->path), "templates/mail/%s.%s.mustache", name,
			 place->kind);
		file = embed_find(place->path);
	}
	if (!file)
		return -ENOENT;
	*ret = embed_bytes(file);
	return 0;
}

struct check {
	bool letter;
	json_t *text; /* the English locale */
};

static json_t *english(void)
{
	const struct embedded_file *file = embed_find("templates/locale/en.json");
	assert_non_null(file);
	struct str bytes = embed_bytes(file);
	json_t *text = json_loadb(bytes.p, bytes.n, 0, NULL);
	assert_non_null(text);
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
			: known(use->name, list_names) ||
			      known(use->name, check->letter ? letter_names : digest_names) ||
			      (in_article(use) && known(use->name, article_names));
	if (!good)
		fail_msg("%s:%u:%u: nobody gives templates a \"%s\"", use->file, use->line,
			 use->column, use->name);
	return 0;
}

static void check_template(const char *theme, const char *name, const char *kind, bool letter)
{
	struct place place = {.theme = theme, .kind = kind};
	struct mustache_partials partials = {load, &place, true};
	struct check check = {letter, english()};
	struct arena arena = {0};
	struct mustache *m;
	struct str text;
	struct why why = {0};
	assert_int_equal(load(&place, name, &text, NULL, NULL), 0);
	int r = mustache_compile(&arena, text, place.path, &partials, &m, &why);
	if (r < 0)
		fail_msg("%s", why.text);
	assert_int_equal(mustache_walk(m, check_use, &check), 0);
	json_decref(check.text);
	arena_free(&arena);
}

static void digests_compile_and_use_known_names(void **state)
{
	(void)state;
	for (size_t t = 0; t < ELEMENTS(themes); t++)
		for (size_t k = 0; k < ELEMENTS(kinds); k++)
			check_template(themes[t], "digest", kinds[k], false);
}

/* A letter looks the same in whatever theme its list has. */
static void letters_compile_with_each_theme_and_use_known_names(void **state)
{
	(void)state;
	for (size_t l = 0; l < ELEMENTS(letters); l++) {
		char name[32];
		snprintf(name, sizeof(name), "letter-%s", letters[l]);
		for (size_t t = 0; t < ELEMENTS(themes); t++)
			for (size_t k = 0; k < ELEMENTS(kinds); k++)
				check_template(themes[t], name, kinds[k], true);
	}
}

/* An issue keeps the partials of both kinds in one table by their names. */
static void no_partial_is_html_and_text_at_once(void **state)
{
	(void)state;
	for (const struct embedded_file *f = embedded_files; f->name; f++) {
		const char *dot = strstr(f->name, ".html.mustache");
		if (!dot || strstr(f->name, "digest.") || strstr(f->name, "letter-confirm.") ||
		    strstr(f->name, "letter-welcome.") || strstr(f->name, "letter-goodbye.") ||
		    strstr(f->name, "letter-test."))
			continue;
		const char *name = strrchr(f->name, '/') + 1;
		struct place place = {.theme = "magazine", .kind = "txt"};
		char stem[64];
		snprintf(stem, sizeof(stem), "%.*s", (int)(dot - name), name);
		if (load(&place, stem, &(struct str){0}, NULL, NULL) == 0)
			fail_msg("%s and %s share a name", f->name, place.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digests_compile_and_use_known_names),
	    cmocka_unit_test(letters_compile_with_each_theme_and_use_known_names),
	    cmocka_unit_test(no_partial_is_html_and_text_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
