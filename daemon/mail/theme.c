#include "mail/theme.h"

#include <errno.h>
#include <jansson.h>

#include "mail/locale.h"
#include "mail/template.h"

int theme_freeze(const char *dir, const char *theme, const char *lang, char **ret, struct why *why)
{
	json_t *templates = NULL, *text = NULL, *texts = NULL;
	if (dir && !*dir)
		dir = NULL;
	int r = template_collect(dir, theme, &templates, why);
	if (r == 0)
		r = locale_load(dir, lang, &text, why);
	if (r == 0)
		r = locale_load_all(dir, &texts, why);
	json_t *all =
	    r == 0 ? json_pack("{sO sO sO}", "templates", templates, "text", text, "texts", texts)
		   : NULL;
	char *json = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	json_decref(texts);
	json_decref(templates);
	json_decref(text);
	if (r < 0)
		return r;
	if (!json)
		return why_set(why, -ENOMEM, "out of memory");
	*ret = json;
	return 0;
}
