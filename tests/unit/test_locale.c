/* The words of a language, with English under them. */
#include "embedded.h"
#include "tempdir.h"

#include "base/cleanup.h"
#include "mail/locale.h"

const struct embedded_file embedded_files[] = {
    EMBED("templates/locale/de-AT.json", "{\"mail\":{\"hello\":\"Servus\"}}"),
    EMBED("templates/locale/de.json", "{\"mail\":{\"hello\":\"Hallo\",\"bye\":\"Tschüss\"}}"),
    EMBED("templates/locale/en.json", "{\"mail\":{\"hello\":\"Hello\",\"bye\":\"Bye\",\"more\":"
				      "\"More\"},\"web\":{\"ok\":\"OK\"}}"),
    EMBED("templates/locale/zh-Hant.json", "{\"mail\":{\"hello\":\"你好\"}}"),
    EMBED_END,
};

static void gives(const char *dir, const char *lang, const char *expected)
{
	struct why why = {""};
	json_t *strings = NULL, *wanted = json_loads(expected, 0, NULL);
	if (locale_load(dir, lang, &strings, &why) < 0)
		fail_msg("%s: %s", lang, why.text);
	if (!json_equal(strings, wanted))
		fail_msg("%s gives %s", lang, json_dumps(strings, 0));
	json_decref(strings);
	json_decref(wanted);
}

static void fails(const char *dir, const char *lang, int err, const char *words)
{
	struct why why = {""};
	json_t *strings = NULL;
	assert_int_equal(locale_load(dir, lang, &strings, &why), err);
	assert_null(strings);
	if (!strstr(why.text, words))
		fail_msg("\"%s\" doesn't say \"%s\"", why.text, words);
}

#define ENGLISH                                                                                    \
	"{\"mail\":{\"hello\":\"Hello\",\"bye\":\"Bye\",\"more\":\"More\"},\"web\":{\"ok\":"       \
	"\"OK\"}}"

static void a_language_lies_over_the_shorter_and_english(void **state)
{
	(void)state;
	gives(NULL, "en", ENGLISH);
	gives(NULL, "de",
	      "{\"mail\":{\"hello\":\"Hallo\",\"bye\":\"Tschüss\",\"more\":\"More\"},"
	      "\"web\":{\"ok\":\"OK\"}}");
	gives(NULL, "de-AT",
	      "{\"mail\":{\"hello\":\"Servus\",\"bye\":\"Tschüss\",\"more\":\"More\"},"
	      "\"web\":{\"ok\":\"OK\"}}");
}

static void tags_are_brought_into_form(void **state)
{
	(void)state;
	const char *servus =
	    "{\"mail\":{\"hello\":\"Servus\",\"bye\":\"Tschüss\",\"more\":\"More\"},"
	    "\"web\":{\"ok\":\"OK\"}}";
	gives(NULL, "DE_at", servus);
	gives(NULL, "de-AT-1996", servus);
	gives(NULL, "zh_hant_tw",
	      "{\"mail\":{\"hello\":\"你好\",\"bye\":\"Bye\",\"more\":\"More\"},"
	      "\"web\":{\"ok\":\"OK\"}}");
	gives(NULL, "EN", ENGLISH);
}

static void an_unknown_language_is_english(void **state)
{
	(void)state;
	gives(NULL, "xx", ENGLISH);
	gives(NULL, "en-GB", ENGLISH);
}

static void the_operators_own_goes_first(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	tempdir_text(&dir, "locale/de.json", "{\"mail\":{\"hello\":\"Moin\"},\"own\":\"x\"}");
	gives(dir.path, "de",
	      "{\"mail\":{\"hello\":\"Moin\",\"bye\":\"Bye\",\"more\":\"More\"},"
	      "\"web\":{\"ok\":\"OK\"},\"own\":\"x\"}");
}

static void mistakes_are_told(void **state)
{
	(void)state;
	static const char *const tags[] = {
	    "",       "-",  "de-", "../en",
	    "de--at", "dé", "a/b", "abcdefghijklmnopqrstuvwxyz-0123456789"};
	for (size_t i = 0; i < ELEMENTS(tags); i++)
		fails(NULL, tags[i], -EINVAL, "isn't a language");
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	tempdir_text(&dir, "locale/de.json", "{\n\"mail\": {\"a\": \"x\" \"b\"}}");
	fails(dir.path, "de-AT", -EINVAL, "locale/de.json:2:");
	tempdir_text(&dir, "locale/de.json", "{\"mail\":{\"a\":\"x\",\"a\":\"y\"}}");
	fails(dir.path, "de", -EINVAL, "duplicate");
	tempdir_text(&dir, "locale/de.json", "[]");
	fails(dir.path, "de", -EINVAL, "locale/de.json: isn't an object");
	tempdir_text(&dir, "locale/de.json", "{\"mail\":\"x\"}");
	fails(dir.path, "de", -EINVAL, "locale/de.json: \"mail\" has to be an object");
	tempdir_text(&dir, "locale/de.json", "{\"mail\":{\"hello\":{}}}");
	fails(dir.path, "de", -EINVAL, "locale/de.json: \"hello\" has to be a string");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_language_lies_over_the_shorter_and_english),
	    cmocka_unit_test(tags_are_brought_into_form),
	    cmocka_unit_test(an_unknown_language_is_english),
	    cmocka_unit_test(the_operators_own_goes_first),
	    cmocka_unit_test(mistakes_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
