#include "mail/theme.h"

#include <errno.h>
#include <jansson.h>

#include "mail/locale.h"
#include "mail/template.h"

int theme_freeze(const char *dir, const char *theme, const char *lang, char **ret, struct why *why)
{
	json_t *templates = NULL, *text = NULL;
	if (dir && !*dir)
		dir = NULL;
	int r = template_collect(dir, theme, &templates, why);
	if (r == 0)
		r = locale_load(dir, lang, &text, why);
	json_t *both = r == 0 ? json_pack("{sO sO}", "templates", templates, "text", text) : NULL;
	char *json = both ? json_dumps(both, JSON_COMPACT) : NULL;
	json_decref(both);
	json_decref(templates);
	json_decref(text);
	if (r < 0)
		return r;
	if (!json)
		return why_set(why, -ENOMEM, "out of memory");
	*ret = json;
	return 0;
}
