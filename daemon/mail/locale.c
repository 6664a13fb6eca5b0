#include "mail/locale.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>

#include "base/embed.h"
#include "mail/template.h"

enum { TAG = 36 }; /* BCP 47 asks for room for 35 characters (RFC 5646 4.4.1) */

/* Brings a tag into the usual form: de-AT, zh-Hant-TW (RFC 5646 2.1.1). */
static int canonical(const char *lang, char tag[static TAG], struct why *why)
{
	size_t n = strlen(lang), start = 0;
	if (n >= TAG)
		return why_set(why, -EINVAL, "\"%.40s\" isn't a language", lang);
	for (size_t i = 0; i <= n; i++) {
		unsigned char c = (unsigned char)lang[i];
		if (c && c != '-' && c != '_') {
			if (c >= 0x80 || !isalnum(c))
				return why_set(why, -EINVAL, "\"%s\" isn't a language", lang);
			tag[i] = (char)tolower(c);
			continue;
		}
		tag[i] = c ? '-' : '\0';
		size_t part = i - start;
		if (part == 0)
			return why_set(why, -EINVAL, "\"%s\" isn't a language", lang);
		for (size_t k = start; start > 0 && k < i; k++)
			if (part == 2 || (part == 4 && k == start))
				tag[k] = (char)toupper((unsigned char)tag[k]);
		start = i + 1;
	}
	return 0;
}

static int load_file(const char *dir, const char *tag, json_t **ret, struct why *why)
{
	_cleanup_arena_ struct arena arena = {0};
	struct str text;
	json_error_t error;
	const char *name = arena_printf(&arena, "locale/%s.json", tag);
	if (!name)
		return why_set(why, -ENOMEM, "locale %s: no memory left", tag);
	int r = template_load(dir, name, &arena, &text, why);
	if (r < 0)
		return r;
	json_auto_t *strings = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	if (!strings)
		return template_json_error(name, &error, why);
	if (!json_is_object(strings))
		return why_set(why, -EINVAL, "%s: isn't an object", name);
	*ret = steal(strings);
	return 0;
}

/* Lays `over` on `under`, object by object. The parser has limited how deep they are. */
static int merge(json_t *under, json_t *over, const char *tag, struct why *why)
{
	const char *key;
	json_t *value;
	json_object_foreach(over, key, value)
	{
		json_t *there = json_object_get(under, key);
		if (there && json_is_object(there) != json_is_object(value))
			return why_set(why, -EINVAL, "locale/%s.json: \"%s\" has to be %s", tag,
				       key, json_is_object(there) ? "an object" : "a string");
		int r = 0;
		if (there && json_is_object(there))
			r = merge(there, value, tag, why);
		else if (json_object_set(under, key, value) < 0)
			r = why_set(why, -ENOMEM, "locale %s: no memory left", tag);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The file of one tag over what is there; none is fine. */
static int lay_over(const char *dir, const char *tag, json_t *strings, struct why *why)
{
	json_auto_t *over = NULL;
	int r = load_file(dir, tag, &over, why);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : merge(strings, over, tag, why);
}

int locale_load(const char *dir, const char *lang, json_t **ret, struct why *why)
{
	char tag[TAG], shorter[TAG];
	json_auto_t *strings = NULL;
	int r = canonical(lang, tag, why);
	if (r == 0)
		r = load_file(dir, "en", &strings, why);
	if (r < 0)
		return r;
	for (size_t i = 0; i <= strlen(tag); i++) {
		if (tag[i] && tag[i] != '-')
			continue;
		memcpy(shorter, tag, i);
		shorter[i] = '\0';
		if (strcmp(shorter, "en") == 0)
			continue;
		r = lay_over(dir, shorter, strings, why);
		if (r < 0)
			return r;
	}
	*ret = steal(strings);
	return 0;
}

/* The tag in a file's name, "de-AT.json"; false: it is none. */
static bool tag_of(const char *file, char tag[static TAG])
{
	struct str name = str_of(file);
	size_t n = name.n > 5 && str_is(str_from(name, name.n - 5), ".json") ? name.n - 5 : 0;
	if (n == 0 || n >= TAG)
		return false;
	memcpy(tag, file, n);
	tag[n] = '\0';
	return true;
}

static int add_language(const char *dir, const char *file, json_t *all, struct why *why)
{
	char tag[TAG];
	json_t *strings = NULL;
	if (!tag_of(file, tag) || json_object_get(all, tag))
		return 0;
	int r = locale_load(dir, tag, &strings, why);
	if (r < 0)
		return r;
	return json_object_set_new(all, tag, strings) < 0
		   ? why_set(why, -ENOMEM, "locale %s: no memory left", tag)
		   : 0;
}

/* The operator's own languages; that there is no such folder is fine. */
static int add_folder(const char *dir, json_t *all, struct why *why)
{
	_cleanup_arena_ struct arena arena = {0};
	const char *path = dir ? arena_printf(&arena, "%s/locale", dir) : NULL;
	DIR *folder = path ? opendir(path) : NULL;
	int r = 0;
	for (struct dirent *entry; folder && r == 0 && (entry = readdir(folder));)
		r = add_language(dir, entry->d_name, all, why);
	if (folder)
		closedir(folder);
	return r;
}

int locale_load_all(const char *dir, json_t **ret, struct why *why)
{
	static const char folder[] = "templates/locale/";
	json_auto_t *all = json_object();
	int r = all ? 0 : why_set(why, -ENOMEM, "no memory left for locales");
	for (const struct embedded_file *file = embedded_files; r == 0 && file->name; file++)
		if (str_starts(str_of(file->name), folder))
			r = add_language(dir, file->name + sizeof(folder) - 1, all, why);
	if (r == 0)
		r = add_folder(dir, all, why);
	if (r < 0)
		return r;
	*ret = steal(all);
	return 0;
}
