/* The templates and locales that the program brings along. */
#include "unit.h"

#include <stdio.h>

#include "base/embed.h"
#include "mail/locale.h"
#include "mail/template.h"

/* The part of the name between two others, when it has them. */
static bool between(const char *name, const char *before, const char *after, char *ret, size_t room)
{
	size_t n = strlen(name), b = strlen(before), a = strlen(after);
	if (n <= a + b || strncmp(name, before, b) != 0 || strcmp(name + n - a, after) != 0)
		return false;
	snprintf(ret, room, "%.*s", (int)(n - a - b), name + b);
	return true;
}

static void each_theme_can_be_frozen(void **state)
{
	(void)state;
	char theme[64];
	int count = 0;
	for (const struct embedded_file *f = embedded_files; f->name; f++) {
		struct why why;
		json_t *frozen;
		if (!between(f->name, "templates/mail/", "/digest.html.mustache", theme,
			     sizeof(theme)))
			continue;
		if (template_collect(NULL, theme, &frozen, &why) < 0)
			fail_msg("%s", why.text);
		json_decref(frozen);
		count++;
	}
	assert_true(count >= 2);
}

static void each_letter_compiles_in_both_parts(void **state)
{
	(void)state;
	static const char *const letters[] = {"letter-confirm", "letter-welcome", "letter-goodbye",
					      "letter-test"};
	for (size_t i = 0; i < ELEMENTS(letters); i++)
		for (int part = TEMPLATE_HTML; part <= TEMPLATE_TEXT; part++) {
			_cleanup_arena_ struct arena arena = {0};
			struct why why;
			struct mustache *m;
			if (template_compile(NULL, NULL, letters[i], (enum template_part)part,
					     &arena, &m, &why) < 0)
				fail_msg("%s", why.text);
		}
}

static void each_locale_fits_the_english_one(void **state)
{
	(void)state;
	char lang[64];
	int count = 0;
	for (const struct embedded_file *f = embedded_files; f->name; f++) {
		struct why why;
		json_t *strings;
		if (!between(f->name, "templates/locale/", ".json", lang, sizeof(lang)))
			continue;
		if (locale_load(NULL, lang, &strings, &why) < 0)
			fail_msg("%s", why.text);
		json_decref(strings);
		count++;
	}
	assert_true(count >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_theme_can_be_frozen),
	    cmocka_unit_test(each_letter_compiles_in_both_parts),
	    cmocka_unit_test(each_locale_fits_the_english_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
