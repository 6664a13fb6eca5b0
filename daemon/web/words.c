#include "web/words.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/str.h"
#include "mail/locale.h"

enum { MOST = 64 };

struct languages {
	size_t n;
	struct words items[MOST];
};

static const struct words *find(const struct languages *l, struct str tag)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_case_is(tag, l->items[i].lang))
			return &l->items[i];
	return NULL;
}

/* "LANG.json" among the locales; what has another form of name is none. */
static int add(struct languages *l, const char *dir, struct str file, struct why *why)
{
	size_t n = file.n > 5 ? file.n - 5 : 0;
	struct words *w = &l->items[l->n];
	if (n == 0 || n >= sizeof(w->lang) || !str_is(str_from(file, n), ".json") ||
	    file.p[0] == '.' || find(l, str_head(file, n)))
		return 0;
	if (l->n == MOST)
		return why_set(why, -E2BIG, "more than %d locales", MOST);
	memcpy(w->lang, file.p, n);
	w->lang[n] = '\0';
	int r = locale_load(dir, w->lang, &w->text, why);
	if (r == 0)
		l->n++;
	return r;
}

static int add_embedded(struct languages *l, const char *dir, struct why *why)
{
	static const char prefix[] = "templates/locale/";
	for (const struct embedded_file *f = embedded_files; f->name; f++) {
		struct str name = str_of(f->name);
		if (!str_starts(name, prefix))
			continue;
		int r = add(l, dir, str_from(name, sizeof(prefix) - 1), why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_from_disk(struct languages *l, const char *dir, struct why *why)
{
	_cleanup_free_ char *path = NULL;
	if (!dir)
		return 0;
	if (asprintf(&path, "%s/locale", dir) < 0) {
		path = NULL;
		return why_set(why, -ENOMEM, "no memory left");
	}
	DIR *folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? 0 : why_set(why, -errno, "%s: %s", path, strerror(errno));
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(folder));)
		r = add(l, dir, str_of(e->d_name), why);
	closedir(folder);
	return r;
}

int languages_load(const char *dir, struct languages **ret, struct why *why)
{
	struct languages *l = calloc(1, sizeof(*l));
	if (!l)
		return why_set(why, -ENOMEM, "no memory left");
	int r = add_embedded(l, dir, why);
	if (r == 0)
		r = add_from_disk(l, dir, why);
	if (r == 0 && !find(l, STR("en")))
		r = why_set(why, -ENOENT, "there is no English locale");
	if (r < 0)
		languages_free(l);
	else
		*ret = l;
	return r;
}

void languages_free(struct languages *l)
{
	for (size_t i = 0; i < l->n; i++)
		json_decref(l->items[i].text);
	free(l);
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
		struct str range = rest, next = {"", 0}, tag, parameters = {"", 0};
		str_cut(rest, ',', &range, &next);
		rest = next;
		tag = range;
		str_cut(range, ';', &tag, &parameters);
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
