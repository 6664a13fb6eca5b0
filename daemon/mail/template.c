#include "mail/template.h"

#include <errno.h>

#include "base/embed.h"
#include "base/file.h"
#include "base/text.h"

/* No part of a name is empty or starts with a dot, so that no name leads out of a directory. */
static bool name_is_safe(const char *name)
{
	bool start = true;
	for (; *name; name++) {
		if ((start && (*name == '.' || *name == '/')) || (unsigned char)*name < ' ')
			return false;
		start = *name == '/';
	}
	return !start;
}

static int refuse_name(const char *name, struct why *why)
{
	return why_set(why, -EINVAL, "\"%.100s\" can't be the name of a template", name);
}

/* Without a byte order mark, which would end up in front of a mail's first letter. */
static int check_text(const char *path, struct str text, struct str *ret, struct why *why)
{
	if (!text_valid(text) || memchr(text.p, '\0', text.n))
		return why_set(why, -EINVAL, "%s: isn't UTF-8 text", path);
	*ret = str_starts(text, "\xEF\xBB\xBF") ? str_from(text, 3) : text;
	return 0;
}

static int read_text(const char *path, bool any, struct arena *arena, struct str *ret,
		     struct why *why)
{
	_cleanup_buf_ struct buf b = {0};
	int r = any ? file_read_any(path, MUSTACHE_TEXT, &b, why)
		    : file_read(path, MUSTACHE_TEXT, &b, why);
	if (r < 0)
		return r;
	const char *copy = arena_copy(arena, buf_str(&b));
	if (!copy)
		return why_set(why, -ENOMEM, "%s: no memory left", path);
	return check_text(path, (struct str){copy, b.len}, ret, why);
}

int template_load(const char *dir, const char *name, struct arena *arena, struct str *ret,
		  struct why *why)
{
	if (!name_is_safe(name))
		return refuse_name(name, why);
	const char *path = arena_printf(arena, "%s/%s", dir ? dir : "", name);
	const char *embedded = arena_printf(arena, "templates/%s", name);
	if (!path || !embedded)
		return why_set(why, -ENOMEM, "%s: no memory left", name);

	int r = dir ? read_text(path, false, arena, ret, why) : -ENOENT;
	if (r != -ENOENT && r != -ENOTDIR)
		return r;
	const struct embedded_file *file = embed_find(embedded);
	if (!file)
		return why_set(why, -ENOENT, "there is no template %s", name);
	return check_text(embedded, embed_bytes(file), ret, why);
}

/* ---- the templates of a mail -------------------------------------------------------------- */

static const char *suffix(enum template_part part)
{
	return part == TEMPLATE_HTML ? "html" : "txt";
}

/* Finds one part's template and partials; notes the partials in an object when there is one. */
struct finder {
	const char *dir;
	const char *theme;
	enum template_part part;
	struct arena *arena;
	json_t *noted;
};

static int find(const struct finder *f, const char *name, struct str *ret, const char **ret_path,
		struct why *why)
{
	if (!name_is_safe(name))
		return refuse_name(name, why);
	const char *shared = arena_printf(f->arena, "mail/%s.%s.mustache", name, suffix(f->part));
	const char *path = shared;
	if (f->theme)
		path = arena_printf(f->arena, "mail/%s/%s.%s.mustache", f->theme, name,
				    suffix(f->part));
	if (!path || !shared)
		return why_set(why, -ENOMEM, "%s: no memory left", name);
	int r = template_load(f->dir, path, f->arena, ret, why);
	if (r == -ENOENT && path != shared) {
		path = shared;
		r = template_load(f->dir, path, f->arena, ret, why);
	}
	if (r == 0)
		*ret_path = path;
	return r;
}

static int find_partial(void *ctx, const char *name, struct str *ret, const char **ret_path,
			struct why *why)
{
	struct finder *f = ctx;
	int r = find(f, name, ret, ret_path, why);
	if (r < 0 || !f->noted)
		return r;
	const char *key = arena_printf(f->arena, "%s.%s", name, suffix(f->part));
	if (!key || json_object_set_new(f->noted, key, json_stringn(ret->p, ret->n)) < 0)
		return why_set(why, -ENOMEM, "%s: no memory left", name);
	return 0;
}

/* *ret_text is what the template itself holds. */
static int find_and_compile(struct finder *f, const char *name, struct str *ret_text,
			    struct mustache **ret, struct why *why)
{
	const struct mustache_partials partials = {find_partial, f, true};
	const char *path;
	if (f->theme && (!name_is_safe(f->theme) || strchr(f->theme, '/')))
		return why_set(why, -EINVAL, "\"%.100s\" can't be the name of a theme", f->theme);
	int r = find(f, name, ret_text, &path, why);
	if (r == -ENOENT && f->theme)
		return why_set(why, r, "theme %.100s has no template %s.%s.mustache", f->theme,
			       name, suffix(f->part));
	return r < 0 ? r : mustache_compile(f->arena, *ret_text, path, &partials, ret, why);
}

int template_compile(const char *dir, const char *theme, const char *name, enum template_part part,
		     struct arena *arena, struct mustache **ret, struct why *why)
{
	struct finder f = {.dir = dir, .theme = theme, .part = part, .arena = arena};
	struct str text;
	return find_and_compile(&f, name, &text, ret, why);
}

/* ---- frozen -------------------------------------------------------------------------------- */

static const char *part_key(enum template_part part)
{
	return part == TEMPLATE_HTML ? "html" : "text";
}

static int collect_part(const char *dir, const char *theme, enum template_part part, json_t *into,
			struct why *why)
{
	_cleanup_arena_ struct arena arena = {0};
	struct finder f = {dir, theme, part, &arena, json_object_get(into, "partials")};
	struct mustache *m;
	struct str text;
	int r = find_and_compile(&f, "digest", &text, &m, why);
	if (r < 0)
		return r;
	if (json_object_set_new(into, part_key(part), json_stringn(text.p, text.n)) < 0)
		return why_set(why, -ENOMEM, "theme %s: no memory left", theme);
	return 0;
}

int template_collect(const char *dir, const char *theme, json_t **ret, struct why *why)
{
	json_auto_t *templates = json_object();
	if (!templates || json_object_set_new(templates, "partials", json_object()) < 0)
		return why_set(why, -ENOMEM, "theme %s: no memory left", theme);
	int r = collect_part(dir, theme, TEMPLATE_HTML, templates, why);
	if (r == 0)
		r = collect_part(dir, theme, TEMPLATE_TEXT, templates, why);
	if (r < 0)
		return r;
	*ret = steal(templates);
	return 0;
}

struct frozen {
	const json_t *partials;
	enum template_part part;
};

static struct str string_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return (struct str){json_string_value(value), json_string_length(value)};
}

static int thaw_partial(void *ctx, const char *name, struct str *ret, const char **ret_path,
			struct why *why)
{
	(void)ret_path;
	(void)why;
	const struct frozen *frozen = ctx;
	_cleanup_buf_ struct buf key = {0};
	if (buf_printf(&key, "%s.%s", name, suffix(frozen->part)) < 0)
		return why_set(why, -ENOMEM, "%s: no memory left", name);
	struct str text = string_at(frozen->partials, buf_text(&key));
	if (!text.p)
		return -ENOENT;
	*ret = text;
	return 0;
}

int template_thaw(const json_t *templates, enum template_part part, struct arena *arena,
		  struct mustache **ret, struct why *why)
{
	struct frozen frozen = {json_object_get(templates, "partials"), part};
	const struct mustache_partials partials = {thaw_partial, &frozen, true};
	struct str text = string_at(templates, part_key(part));
	if (!text.p)
		return why_set(why, -EINVAL, "the issue has no %s template", part_key(part));
	const char *name = part == TEMPLATE_HTML ? "digest.html" : "digest.txt";
	return mustache_compile(arena, text, name, &partials, ret, why);
}

/* jansson says nothing at all when memory ran out before it began. */
int template_json_error(const char *name, const json_error_t *error, struct why *why)
{
	if (!error->text[0])
		return why_set(why, -ENOMEM, "%s: no memory left", name);
	return why_set(why, -EINVAL, "%s:%d:%d: %s", name, error->line, error->column, error->text);
}

/* ---- a file of any kind --------------------------------------------------------------------- */

struct folder {
	const char *path;
	struct arena *arena;
};

static int load_from_folder(void *ctx, const char *name, struct str *ret, const char **ret_path,
			    struct why *why)
{
	const struct folder *folder = ctx;
	if (!folder->path)
		return -ENOENT;
	if (!name_is_safe(name))
		return refuse_name(name, why);
	const char *path = arena_printf(folder->arena, "%s/%s.mustache", folder->path, name);
	if (!path)
		return why_set(why, -ENOMEM, "%s: no memory left", name);
	*ret_path = path;
	return read_text(path, false, folder->arena, ret, why);
}

static int parse_data(struct str text, json_t **ret, struct why *why)
{
	json_error_t error;
	if (!str_trim(text).n)
		text = STR("{}");
	json_t *data = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!data)
		return template_json_error("data", &error, why);
	*ret = data;
	return 0;
}

int template_render_file(const struct template_job *job, struct buf *out, struct why *why)
{
	_cleanup_arena_ struct arena arena = {0};
	json_auto_t *data = NULL;
	struct folder folder = {job->partials, &arena};
	const struct mustache_partials partials = {load_from_folder, &folder, job->strict};
	struct mustache *m;
	struct str text;
	int r = parse_data(job->data, &data, why);
	if (r == 0)
		r = read_text(job->file, true, &arena, &text, why);
	if (r == 0)
		r = mustache_compile(&arena, text, job->file, &partials, &m, why);
	if (r == 0)
		r = mustache_render(m, data, job->escape, out, why);
	return r;
}
