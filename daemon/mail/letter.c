#include "mail/letter.h"

#include <errno.h>

#include "mail/compose.h"
#include "mail/jsontext.h"
#include "mail/template.h"

static json_t *letter_data(const struct letter_spec *spec)
{
	return json_pack("{sO*sO*sO*}", "list", spec->list, "text", spec->text, "params",
			 spec->params);
}

static int letter_templates(struct arena *arena, const struct letter_spec *spec,
			    struct compose_spec *compose, struct why *why)
{
	const char *theme = jsontext_of(spec->list, "theme").p;
	const char *name = arena_printf(arena, "letter-%s", spec->kind);
	struct mustache *text, *html;
	if (!name)
		return why_set(why, -ENOMEM, "%s", strerror(ENOMEM));
	if (!*theme)
		theme = NULL;
	int r = template_compile(spec->template_dir, theme, name, TEMPLATE_TEXT, arena, &text, why);
	if (r >= 0)
		r = template_compile(spec->template_dir, theme, name, TEMPLATE_HTML, arena, &html,
				     why);
	if (r < 0)
		return r;
	compose->text = text;
	compose->html = html;
	return 0;
}

int letter_compile(struct arena *arena, const struct letter_spec *spec, struct message **ret,
		   struct why *why)
{
	const json_t *mail = json_object_get(spec->text, "mail");
	const json_t *words = json_object_get(mail, spec->kind);
	json_auto_t *data = letter_data(spec);
	const char *campaign = arena_printf(arena, "letter.%s", spec->kind);
	if (!data || !campaign)
		return why_set(why, -ENOMEM, "%s", strerror(ENOMEM));
	if (jsontext_of(words, "subject").n == 0)
		return why_set(why, -EINVAL, "the locale has no text mail.%s.subject", spec->kind);
	struct compose_spec compose_spec = {
	    .data = data,
	    .subject = jsontext_of(words, "subject"),
	    .preheader = jsontext_of(words, "preheader"),
	    .list = {.list = spec->list,
		     .lang = jsontext_of(spec->list, "lang").p,
		     .campaign = campaign,
		     .kind = "letter",
		     .automatic = true},
	    .seed = campaign,
	    .unsubscribe = strcmp(spec->kind, "welcome") == 0,
	};
	int r = letter_templates(arena, spec, &compose_spec, why);
	return r < 0 ? r : compose(arena, &compose_spec, ret, why);
}
