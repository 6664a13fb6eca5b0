/*
 * What an issue is frozen with besides its articles: its theme's templates and the words
 * of its own and of every other language, as the program that opens it has them.
 */
#pragma once

#include "base/why.h"

/*
 * {"templates": {...}, "text": {...}, "texts": {"de": {...}, ...}} as JSON text, which the caller
 * frees. `dir` as in template.h. Errors as template_collect() and locale_load() have them; -ENOMEM.
 */
int theme_freeze(const char *dir, const char *theme, const char *lang, char **ret, struct why *why);
