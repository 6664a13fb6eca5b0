/*
 * The words of mails and pages in the reader's language: templates/locale/LANG.json, or the
 * operator's own in the same place as templates (template.h). Nested objects of strings.
 */
#pragma once

#include <jansson.h>

#include "base/why.h"

/*
 * The strings for a language (BCP 47: "de-AT", "zh_hant_TW"). What its own file lacks comes from
 * that of the shorter tag (zh-Hant, zh), in the end from English, so nothing is ever missing; a
 * language without any file is English. `dir` may be NULL. The caller releases the object.
 * -EINVAL: not a language tag, or a file that isn't JSON of that form, told with line and column.
 */
int locale_load(const char *dir, const char *lang, json_t **ret, struct why *why);

/*
 * Every language that has a file, as {"de": {...}, "fr": {...}}, each as locale_load() gives it.
 * The caller releases the object. Errors as with locale_load().
 */
int locale_load_all(const char *dir, json_t **ret, struct why *why);
