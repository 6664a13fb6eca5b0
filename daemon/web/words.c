#include "web/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "mail/locale.h"

struct languages {
	json_t *all;
	size_t n;
	struct words items[];
};

int languages_load(const char *dir, struct languages **ret, struct why *why)
{
	json_auto_t *all = NULL;
	int r = locale_load_all(dir, &all, why);
	if (r < 0)
		return r;
	struct languages *l = calloc(1, sizeof(*l) + json_object_size(all) * sizeof(struct words));
	if (!l)
		return why_set(why, -ENOMEM, "no memory left");
	const char *lang;
	json_t *text;
	json_object_foreach(all, lang, text)
	{
		l->items[l->n++] = (struct words){lang, text};
	}
	l->all = steal(all);
	*ret = l;
	return 0;
}

void languages_free(struct languages *l)
{
	json_decref(l->all);
	free(l);
}

static const struct words *find(const struct languages *l, struct str tag)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_case_is(tag, l->items[i].lang))
			return &l->items[i];
	return NULL;
}

/* The locale of a tag, or of a shorter one: zh-Hant-TW, zh-Hant, zh. */
static const struct words *match(const struct languages *l, struct str tag)
{
	while (tag.n) {
		const struct words *w = find(l, tag);
		if (w)
			return w;
		const char *dash = memrchr(tag.p, '-', tag.n);
		tag.n = dash ? (size_t)(dash - tag.p) : 0;
	}
	return NULL;
}

/* "q=0.8" as thousandths; what can't be read is 0. */
static unsigned quality(struct str parameters)
{
	struct str name, value;
	if (!str_cut(parameters, '=', &name, &value) || !str_case_is(str_trim(name), "q"))
		return parameters.n ? 0 : 1000;
	value = str_trim(value);
	unsigned q = 0, unit = 1000;
	for (size_t i = 0; i < value.n && unit; i++) {
		if (value.p[i] == '.' && i == 1)
			continue;
		if (value.p[i] < '0' || value.p[i] > '9')
			return 0;
		q += (unsigned)(value.p[i] - '0') * unit;
		unit /= 10;
	}
	return q <= 1000 ? q : 0;
}

const struct words *languages_choose(const struct languages *l, const char *accept,
				     const char *fallback)
{
	const struct words *best = NULL;
	unsigned best_quality = 0;
	struct str rest = str_of(accept);
	while (rest.n) {
		struct str parameters = str_take(&rest, ',');
		struct str tag = str_take(&parameters, ';');
		unsigned q = quality(str_trim(parameters));
		const struct words *w = q > best_quality ? match(l, str_trim(tag)) : NULL;
		if (w) {
			best = w;
			best_quality = q;
		}
	}
	if (!best)
		best = match(l, str_of(fallback));
	return best ? best : find(l, STR("en"));
}
