/* Languages: tags, directions, guesses. */
#include "unit.h"

#include "base/cleanup.h"
#include "news/language.h"

static void tags_are_put_in_form(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"EN", "en"},
	    {"en_us", "en-US"},
	    {" pt-BR ", "pt-BR"},
	    {"zh-hans-CN", "zh-Hans-CN"},
	    {"", ""},
	    {"x", ""},
	    {"en us", ""},
	    {"en-", ""},
	    {"english", "english"},
	    {"e1", ""},
	    {"<b>", ""},
	    {"es-419", "es-419"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char tag[LANGUAGE_TAG];
		bool good = language_tag(str_of(cases[i][0]), tag);
		assert_string_equal(tag, cases[i][1]);
		assert_int_equal(good, cases[i][1][0] != '\0');
	}
}

static void tags_tell_directions(void **state)
{
	(void)state;
	static const char *const rtl[] = {"ar", "ar-EG", "fa", "he",  "ur-PK",   "ps",        "sd",
					  "ug", "yi",    "dv", "ckb", "pa-Arab", "az-Arab-IR"};
	static const char *const ltr[] = {"en", "de-AT", "ku", "az", "ur-Latn", "zh-Hant", "are"};
	for (size_t i = 0; i < ELEMENTS(rtl); i++)
		assert_int_equal(language_direction(rtl[i]), TEXT_RTL);
	for (size_t i = 0; i < ELEMENTS(ltr); i++)
		assert_int_equal(language_direction(ltr[i]), TEXT_LTR);
	assert_int_equal(language_direction(""), TEXT_NEUTRAL);
}

static void scripts_tell_languages(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"کلاؤڈ کمپیوٹنگ ایک ماڈل ہے", "ur"},
	    {"یک روز خوب برای پژوهش و گفتگو", "fa"},
	    {"مرحبا بالعالم، هذه مقالة في اللغة العربية", "ar"},
	    {"پښتو ژبه ډېره ښکلې ده", "ps"},
	    {"שלום עולם", "he"},
	    {"これは日本語の文章です", "ja"},
	    {"한국어 문장입니다", "ko"},
	    {"Καλημέρα κόσμε", "el"},
	    {"สวัสดีชาวโลก", "th"},
	    {"Hello world", ""},
	    {"Привет мир", ""},
	    {"这是中文", ""},
	    {"An English text with one word, کمپیوٹنگ, in Urdu", ""},
	    {"123", ""},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		assert_string_equal(language_guess(str_of(cases[i][0])), cases[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tags_are_put_in_form),
	    cmocka_unit_test(tags_tell_directions),
	    cmocka_unit_test(scripts_tell_languages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
