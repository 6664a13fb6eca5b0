#include "ctl/template_check.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/file.h"
#include "base/text.h"
#include "ctl/template_names.h"
#include "mail/locale.h"
#include "mail/mustache.h"
#include "mail/template.h"

enum { THEMES = 100 };

struct check {
	struct ctl *ctl;
	const char *dir; /* changed templates, or NULL */
	json_t *text;    /* English, which has every key */
	json_t *mistakes;
	size_t files;
	/* of the template that is looked through */
	const char *theme; /* NULL: a file by itself */
	const char *folder;
	const char *suffix; /* ".html.mustache" */
	enum template_scope scope;
	struct arena *arena;
};

static int add(struct check *c, const char *file, json_t *line, json_t *column, const char *text)
{
	json_t *mistake =
	    json_pack("{ss so so ss}", "file", file, "line", line, "column", column, "text", text);
	return json_array_append_new(c->mistakes, mistake) < 0 ? -ENOMEM : 0;
}

/* Takes "FILE:LINE:COLUMN: WORDS", as the compiler writes it, apart. */
static int add_why(struct check *c, const char *path, const struct why *why)
{
	size_t n = strlen(path);
	unsigned line, column;
	int at = 0;
	if (strncmp(why->text, path, n) == 0 &&
	    sscanf(why->text + n, ":%u:%u: %n", &line, &column, &at) == 2 && at)
		return add(c, path, json_integer(line), json_integer(column), why->text + n + at);
	/* In a partial: its own name stands in front. */
	const char *colon = strstr(why->text, ".mustache:");
	if (colon) {
		colon += strlen(".mustache");
		const char *file = arena_strndup(c->arena, why->text, (size_t)(colon - why->text));
		if (file && sscanf(colon, ":%u:%u: %n", &line, &column, &at) == 2 && at)
			return add(c, file, json_integer(line), json_integer(column), colon + at);
	}
	if (strncmp(why->text, path, n) == 0 && strncmp(why->text + n, ": ", 2) == 0)
		return add(c, path, json_null(), json_null(), why->text + n + 2);
	return add(c, path, json_null(), json_null(), why->text);
}

/* ---- where partials are ----------------------------------------------------------------------
 */

static int load_shipped(struct check *c, const char *theme, const char *name, struct str *ret,
			const char **ret_path, struct why *why)
{
	const char *path = theme ? arena_printf(c->arena, "mail/%s/%s%s", theme, name, c->suffix)
				 : arena_printf(c->arena, "mail/%s%s", name, c->suffix);
	if (!path)
		return why_set(why, -ENOMEM, "out of memory");
	int r = template_load(c->dir, path, c->arena, ret, why);
	if (r == 0)
		*ret_path = path;
	return r;
}

static int load_beside(struct check *c, const char *name, const char *suffix, struct str *ret,
		       const char **ret_path, struct why *why)
{
	_cleanup_buf_ struct buf b = {0};
	const char *path = arena_printf(c->arena, "%s/%s%s", c->folder, name, suffix);
	int r = path ? file_read(path, MUSTACHE_TEXT, &b, why) : -ENOMEM;
	if (r < 0)
		return r;
	const char *copy = arena_copy(c->arena, buf_str(&b));
	if (!copy)
		return -ENOMEM;
	*ret = (struct str){copy, b.len};
	*ret_path = path;
	return 0;
}

static int load_partial(void *ctx, const char *name, struct str *ret, const char **ret_path,
			struct why *why)
{
	struct check *c = ctx;
	int r = -ENOENT;
	if (!c->theme) {
		if (*name == '/' || strstr(name, ".."))
			return -ENOENT;
		r = load_beside(c, name, c->suffix, ret, ret_path, why);
		if (r == -ENOENT)
			r = load_beside(c, name, ".mustache", ret, ret_path, why);
	} else {
		r = load_shipped(c, c->theme, name, ret, ret_path, why);
	}
	return r == -ENOENT ? load_shipped(c, NULL, name, ret, ret_path, why) : r;
}

/* ---- one template ----------------------------------------------------------------------------
 */

static int on_use(void *ctx, const struct mustache_use *use)
{
	struct check *c = ctx;
	const char *words = NULL;
	if (use->kind == MUSTACHE_PARTIAL && use->missing)
		words = arena_printf(c->arena, "there is no partial \"%s\"", use->name);
	else if (use->kind != MUSTACHE_PARTIAL && !template_name_known(c->scope, c->text, use))
		words = arena_printf(c->arena, "nothing is called \"%s\" here", use->name);
	else
		return 0;
	return words ? add(c, use->file, json_integer(use->line), json_integer(use->column), words)
		     : -ENOMEM;
}

static int check_text(struct check *c, struct str text, const char *path)
{
	struct why why = {""};
	struct mustache *m;
	const struct mustache_partials partials = {load_partial, c, false};
	c->files++;
	int r = mustache_compile(c->arena, text, path, &partials, &m, &why);
	if (r < 0)
		return r == -ENOMEM ? r : add_why(c, path, &why);
	r = mustache_walk(m, on_use, c);
	return r == -ELOOP ? add(c, path, json_null(), json_null(), "nested too deep") : r;
}

/* One of a theme's own; only a digest has to be there. */
static int check_shipped(struct check *c, const char *name)
{
	struct why why = {""};
	struct str text;
	const char *path;
	int r = load_shipped(c, c->theme, name, &text, &path, &why);
	if (r == -ENOENT)
		r = load_shipped(c, NULL, name, &text, &path, &why);
	if (r == 0)
		return check_text(c, text, path);
	path = arena_printf(c->arena, "mail/%s/%s%s", c->theme, name, c->suffix);
	if (!path)
		return -ENOMEM;
	if (r == -ENOENT)
		return add(c, path, json_null(), json_null(), "is missing");
	return r == -ENOMEM ? r : add_why(c, path, &why);
}

static int check_theme(struct check *c, const char *theme)
{
	static const char *const names[] = {"digest", "letter-confirm", "letter-welcome",
					    "letter-goodbye", "letter-test"};
	static const char *const suffixes[] = {".html.mustache", ".txt.mustache"};
	c->theme = theme;
	int r = 0;
	for (size_t i = 0; r == 0 && i < ELEMENTS(names) * ELEMENTS(suffixes); i++) {
		_cleanup_arena_ struct arena arena = {0};
		c->arena = &arena;
		c->suffix = suffixes[i % 2];
		c->scope = i < 2 ? TEMPLATE_DIGEST : TEMPLATE_LETTER;
		r = check_shipped(c, names[i / 2]);
	}
	return r;
}

/* "DIR/digest.html.mustache": ".html.mustache", so that its partials are HTML too. */
static const char *suffix_of(const char *path)
{
	size_t n = strlen(path);
	static const char *const suffixes[] = {".html.mustache", ".txt.mustache"};
	for (size_t i = 0; i < ELEMENTS(suffixes); i++)
		if (n > strlen(suffixes[i]) &&
		    strcmp(path + n - strlen(suffixes[i]), suffixes[i]) == 0)
			return suffixes[i];
	return ".mustache";
}

static int check_file(struct check *c, const char *path)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf b = {0};
	struct why why = {""};
	const char *slash = strrchr(path, '/');
	c->theme = NULL;
	c->arena = &arena;
	c->suffix = suffix_of(path);
	c->scope = TEMPLATE_ANYWHERE;
	c->folder = slash ? arena_strndup(&arena, path, (size_t)(slash - path)) : ".";
	int r = c->folder ? file_read_any(path, MUSTACHE_TEXT, &b, &why) : -ENOMEM;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return add_why(c, path, &why);
	if (!text_valid(buf_str(&b)))
		return add(c, path, json_null(), json_null(), "isn't UTF-8 text");
	return check_text(c, buf_str(&b), path);
}

/* ---- which ------------------------------------------------------------------------------------
 */

struct themes {
	const char *names[THEMES];
	size_t count;
};

static int add_theme(struct ctl *ctl, struct themes *themes, const char *name, size_t n)
{
	for (size_t i = 0; i < themes->count; i++)
		if (strlen(themes->names[i]) == n && strncmp(themes->names[i], name, n) == 0)
			return CTL_OK;
	if (themes->count == THEMES)
		return ctl_fail(CTL_FAILED, "there are more than %d themes: name some", THEMES);
	const char *copy = arena_strndup(&ctl->arena, name, n);
	if (!copy)
		return ctl_no_memory();
	themes->names[themes->count++] = copy;
	return CTL_OK;
}

/* The folders of mail/ in the program. */
static int find_shipped(struct ctl *ctl, struct themes *themes)
{
	static const char mail[] = "templates/mail/";
	int r = CTL_OK;
	for (const struct embedded_file *f = embedded_files; f->name && r == CTL_OK; f++) {
		if (strncmp(f->name, mail, strlen(mail)) != 0)
			continue;
		const char *name = f->name + strlen(mail), *slash = strchr(name, '/');
		if (slash)
			r = add_theme(ctl, themes, name, (size_t)(slash - name));
	}
	return r;
}

/* And on disk, where there may be none. */
static int find_own(struct ctl *ctl, const char *dir, struct themes *themes)
{
	const char *path = arena_printf(&ctl->arena, "%s/mail", dir);
	DIR *stream = path ? opendir(path) : NULL;
	int r = path ? CTL_OK : ctl_no_memory();
	for (struct dirent *entry; stream && r == CTL_OK && (entry = readdir(stream));) {
		struct stat st;
		if (entry->d_name[0] != '.' && fstatat(dirfd(stream), entry->d_name, &st, 0) == 0 &&
		    S_ISDIR(st.st_mode))
			r = add_theme(ctl, themes, entry->d_name, strlen(entry->d_name));
	}
	if (stream)
		closedir(stream);
	return r;
}

/* The configuration is asked only where there is one: checking needs none. */
static int find_dir(struct ctl *ctl, const char **ret)
{
	*ret = ctl_value(ctl, "templates");
	if (*ret && access(*ret, X_OK) < 0)
		return ctl_fail(errno == ENOENT ? CTL_NOT_FOUND : CTL_FAILED, "--templates %s: %s",
				*ret, strerror(errno));
	if (*ret || (!ctl->config && access(settings_path(NULL), F_OK) < 0))
		return CTL_OK;
	int r = ctl_settings(ctl);
	if (r == CTL_OK && *ctl->settings->templates_dir)
		*ret = ctl->settings->templates_dir;
	return r;
}

static int check_named(struct check *c)
{
	int r = 0;
	for (int i = 0; r == 0 && i < c->ctl->arg_count; i++)
		r = strpbrk(c->ctl->args[i], "./") ? check_file(c, c->ctl->args[i])
						   : check_theme(c, c->ctl->args[i]);
	return r < 0 ? ctl_no_memory() : CTL_OK;
}

static int check_all(struct check *c)
{
	struct themes themes = {0};
	int e = 0, r = find_shipped(c->ctl, &themes);
	if (r == CTL_OK && c->dir)
		r = find_own(c->ctl, c->dir, &themes);
	for (size_t i = 0; r == CTL_OK && e == 0 && i < themes.count; i++)
		e = check_theme(c, themes.names[i]);
	return e < 0 ? ctl_no_memory() : r;
}

/* Partials that several templates reach are looked through in each: told once. */
static void drop_repeated(json_t *mistakes)
{
	for (size_t i = 0; i < json_array_size(mistakes); i++)
		for (size_t k = json_array_size(mistakes) - 1; k > i; k--)
			if (json_equal(json_array_get(mistakes, i), json_array_get(mistakes, k)))
				json_array_remove(mistakes, k);
}

int template_check(struct ctl *ctl, json_t *mistakes, size_t *ret_files)
{
	struct why why = {""};
	json_auto_t *text = NULL;
	struct check c = {.ctl = ctl, .mistakes = mistakes};
	int r = find_dir(ctl, &c.dir);
	if (r != CTL_OK)
		return r;
	int e = locale_load(c.dir, "en", &text, &why);
	if (e < 0)
		return ctl_fail(CTL_FAILED, "%s", why.text);
	c.text = text;
	r = ctl->arg_count ? check_named(&c) : check_all(&c);
	if (r != CTL_OK)
		return r;
	drop_repeated(mistakes);
	*ret_files = c.files;
	return CTL_OK;
}
