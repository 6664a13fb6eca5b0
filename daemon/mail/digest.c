#include "mail/digest.h"

#include <errno.h>
#include <stdio.h>

#include "mail/compose.h"
#include "mail/jsontext.h"
#include "mail/template.h"

/* FNV-1a with a stirring at its end, so that sums of it spread. */
static uint64_t hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 33;
}

uint32_t digest_variant_id(const struct digest_variant *variant)
{
	uint64_t sum = variant->lang ? 3 * hash(variant->lang) : 3 * hash("");
	for (size_t i = 0; i < variant->count; i++)
		sum += hash(variant->topics[i]); /* a sum, because order doesn't matter */
	sum ^= sum >> 32;
	uint32_t id = (uint32_t)sum & INT32_MAX;
	return id ? id : 1;
}

static int digest_compose(struct arena *arena, json_t *content, json_t *data, const char *seed,
			  struct message **ret, struct why *why)
{
	const json_t *templates = json_object_get(content, "templates");
	const json_t *issue = json_object_get(content, "issue");
	json_t *list = json_object_get(data, "list");
	struct mustache *text, *html;
	int r = template_thaw(templates, TEMPLATE_TEXT, arena, &text, why);
	if (r >= 0)
		r = template_thaw(templates, TEMPLATE_HTML, arena, &html, why);
	if (r < 0)
		return r;
	const struct compose_spec spec = {
	    .text = text,
	    .html = html,
	    .data = data,
	    .subject = jsontext_of(issue, "subject"),
	    .preheader = jsontext_of(issue, "preheader"),
	    .list = {.list = list,
		     .lang = jsontext_of(list, "lang").p,
		     .campaign = jsontext_of(issue, "uid").p,
		     .kind = "digest"},
	    .seed = seed,
	    .unsubscribe = true,
	};
	return compose(arena, &spec, ret, why);
}

int digest_compile(struct arena *arena, json_t *content, const struct digest_variant *variant,
		   struct message **ret, struct why *why)
{
	int r = 0;
	struct str uid = jsontext_of(json_object_get(content, "issue"), "uid");
	json_auto_t *data = digest_data(content, variant, &r);
	if (r == -ENODATA)
		return why_set(why, r, "no article is for these topics");
	if (r < 0)
		return why_set(why, r, "%s", strerror(-r));
	if (uid.n == 0)
		return why_set(why, -EINVAL, "the issue has no uid");
	const char *seed = arena_printf(arena, "%s %u", uid.p, digest_variant_id(variant));
	if (!seed)
		return why_set(why, -ENOMEM, "%s", strerror(ENOMEM));
	return digest_compose(arena, content, data, seed, ret, why);
}
