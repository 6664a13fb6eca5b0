/* What an issue is frozen with: templates, and the words of every language. */
#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "mail/locale.h"
#include "mail/theme.h"
#include "tempdir.h"

static void a_theme_is_frozen_with_all_languages(void **state)
{
	(void)state;
	_cleanup_free_ char *text = NULL;
	struct why why = {""};
	assert_int_equal(theme_freeze("", "magazine", "ur", &text, &why), 0);
	json_t *frozen = json_loads(text, 0, NULL);
	assert_non_null(frozen);
	assert_true(json_is_object(json_object_get(frozen, "templates")));
	json_t *texts = json_object_get(frozen, "texts");
	static const char *const languages[] = {"en", "de", "fr", "ar", "ur"};
	for (size_t i = 0; i < ELEMENTS(languages); i++)
		assert_true(json_is_object(json_object_get(texts, languages[i])));
	assert_true(json_equal(json_object_get(frozen, "text"), json_object_get(texts, "ur")));
	json_decref(frozen);
}

static void an_operators_own_language_is_among_them(void **state)
{
	(void)state;
	struct tempdir dir;
	tempdir_make(&dir);
	tempdir_text(&dir, "locale/nl.json", "{\"mail\": {\"unsubscribe\": \"Afmelden\"}}");
	json_t *all;
	struct why why = {""};
	assert_int_equal(locale_load_all(dir.path, &all, &why), 0);
	json_t *mail = json_object_get(json_object_get(all, "nl"), "mail");
	assert_string_equal(json_string_value(json_object_get(mail, "unsubscribe")), "Afmelden");
	assert_non_null(json_object_get(mail, "preferences"));
	assert_non_null(json_object_get(all, "de"));
	json_decref(all);
	tempdir_text(&dir, "locale/nl.json", "{");
	assert_int_equal(locale_load_all(dir.path, &all, &why), -EINVAL);
	tempdir_remove(&dir);
}

static void a_theme_that_is_not_there_is_told(void **state)
{
	(void)state;
	char *text = NULL;
	struct why why = {""};
	assert_int_equal(theme_freeze(NULL, "nowhere", "en", &text, &why), -ENOENT);
	assert_null(text);
	assert_non_null(strstr(why.text, "nowhere"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_theme_is_frozen_with_all_languages),
	    cmocka_unit_test(an_operators_own_language_is_among_them),
	    cmocka_unit_test(a_theme_that_is_not_there_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
