#include "web/pages.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sha256.h"
#include "mail/mustache.h"
#include "mail/template.h"

enum { PAGE_MOST = 256 << 10, NAME_MOST = 64 };

static const char *const names[PAGE_KINDS] = {
    [PAGE_LISTS] = "lists", [PAGE_LIST] = "list", [PAGE_CONFIRM] = "confirm",
    [PAGE_LEAVE] = "leave", [PAGE_LEFT] = "left", [PAGE_MESSAGE] = "message",
};

struct pages {
	struct arena arena;
	struct languages *languages;
	struct mustache *style;
	struct mustache *pages[PAGE_KINDS];
};

/* ---- loading ------------------------------------------------------------------------------ */

struct finder {
	const char *dir;
	struct arena *arena;
};

static int load(void *ctx, const char *name, struct str *ret_text, const char **ret_path,
		struct why *why)
{
	const struct finder *f = ctx;
	const char *path = arena_printf(f->arena, "web/%s.html.mustache", name);
	if (!path)
		return why_set(why, -ENOMEM, "no memory left");
	int r = template_load(f->dir, path, f->arena, ret_text, why);
	if (r == 0)
		*ret_path = path;
	return r;
}

static int compile(const struct finder *f, const char *name, struct mustache **ret, struct why *why)
{
	struct finder finder = *f;
	struct mustache_partials partials = {load, &finder, true};
	struct str text;
	const char *path;
	int r = load(&finder, name, &text, &path, why);
	return r < 0 ? r : mustache_compile(f->arena, text, path, &partials, ret, why);
}

int pages_load(const char *dir, struct pages **ret, struct why *why)
{
	struct pages *p = calloc(1, sizeof(*p));
	if (!p)
		return why_set(why, -ENOMEM, "no memory left");
	struct finder finder = {dir && *dir ? dir : NULL, &p->arena};
	int r = languages_load(finder.dir, &p->languages, why);
	if (r == 0)
		r = compile(&finder, "style", &p->style, why);
	for (size_t i = 0; r == 0 && i < PAGE_KINDS; i++)
		r = compile(&finder, names[i], &p->pages[i], why);
	if (r < 0)
		pages_free(p);
	else
		*ret = p;
	return r;
}

void pages_free(struct pages *p)
{
	if (p->languages)
		languages_free(p->languages);
	arena_free(&p->arena);
	free(p);
}

const struct words *pages_words(const struct pages *p, const char *accept, const char *fallback)
{
	return languages_choose(p->languages, accept, fallback);
}

/* ---- rendering ---------------------------------------------------------------------------- */

const char *pages_text(const struct words *words, const char *name)
{
	const json_t *at = json_object_get(words->text, "web");
	struct str rest = str_of(name);
	while (rest.n) {
		char key[NAME_MOST];
		struct str part = str_take(&rest, '.');
		if (part.n >= sizeof(key))
			return "";
		memcpy(key, part.p, part.n);
		key[part.n] = '\0';
		at = json_object_get(at, key);
	}
	return json_is_string(at) ? json_string_value(at) : "";
}

/* The way from a path to the front page: one "../" for each folder in it. */
static const char *root_of(const char *path, char root[static NAME_MOST])
{
	static const char up[] = "../";
	size_t n = 0;
	for (const char *p = *path ? path + 1 : path; *p; p++)
		if (*p == '/' && n + sizeof(up) <= NAME_MOST - 2) {
			memcpy(root + n, up, sizeof(up) - 1);
			n += sizeof(up) - 1;
		}
	strcpy(root + n, n ? "" : "./");
	return root;
}

/* Red, green and blue of "#0b57a4", or false. */
static bool is_color(const char *text, unsigned rgb[static 3])
{
	return text && strlen(text) == 7 && text[0] == '#' &&
	       strspn(text + 1, "0123456789abcdefABCDEF") == 6 &&
	       sscanf(text + 1, "%2x%2x%2x", &rgb[0], &rgb[1], &rgb[2]) == 3;
}

/* sRGB's transfer function (IEC 61966-2-1). */
static double linear(double c)
{
	return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

/*
 * The list's own colour stands behind the words of buttons, so these are black or white, whichever
 * can be read better: the luminance at which both are alike is 0.179 (WCAG 2.2, "contrast ratio").
 */
static int set_accent(json_t *data, const json_t *list)
{
	const char *accent =
	    json_string_value(json_object_get(json_object_get(list, "colors"), "accent"));
	static const double weights[] = {0.2126, 0.7152, 0.0722};
	unsigned rgb[3];
	double luminance = 0;
	if (!is_color(accent, rgb))
		return 0;
	for (size_t i = 0; i < 3; i++)
		luminance += weights[i] * linear(rgb[i] / 255.0);
	return json_object_set_new(data, "accent", json_string(accent)) |
	       json_object_set_new(data, "on_accent",
				   json_string(luminance > 0.179 ? "#000000" : "#ffffff"));
}

static int set_common(struct page *page)
{
	char root[NAME_MOST];
	const char *dir = pages_text(page->words, "dir");
	json_t *text = json_object_get(page->words->text, "web");
	json_t *d = page->data;
	if (!d || json_object_set_new(d, "lang", json_string(page->words->lang)) < 0 ||
	    json_object_set_new(d, "dir", json_string(*dir ? dir : "ltr")) < 0 ||
	    json_object_set_new(d, "root", json_string(root_of(page->path, root))) < 0 ||
	    json_object_set(d, "text", text) < 0 || set_accent(d, page->list) < 0)
		return -ENOMEM;
	if (page->list && json_object_set_new(d, "list", json_incref((json_t *)page->list)) < 0)
		return -ENOMEM;
	return 0;
}

/* The policy names the style by its hash, so that nothing that got into a page could add another.
 */
static int set_policy(struct answer *answer, struct str style)
{
	unsigned char hash[SHA256_BYTES], text[4 * SHA256_BYTES / 3 + 5];
	int r = sha256_bytes(&style, 1, hash);
	if (r < 0)
		return r;
	EVP_EncodeBlock(text, hash, sizeof(hash));
	snprintf(answer->csp, sizeof(answer->csp),
		 "default-src 'none'; style-src 'sha256-%s'; img-src 'self'; form-action 'self'; "
		 "base-uri 'none'; frame-ancestors 'none'",
		 (const char *)text);
	return 0;
}

static int render(const struct pages *p, struct page *page, struct answer *answer, struct why *why)
{
	_cleanup_buf_ struct buf style = {.limit = PAGE_MOST};
	int r = set_common(page);
	if (r == 0)
		r = mustache_render(p->style, page->data, MUSTACHE_HTML, &style, why);
	if (r == 0 &&
	    json_object_set_new(page->data, "style", json_stringn(buf_text(&style), style.len)) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = set_policy(answer, buf_str(&style));
	if (r < 0)
		return r;
	answer->body.limit = PAGE_MOST;
	return mustache_render(p->pages[page->kind], page->data, MUSTACHE_HTML, &answer->body, why);
}

void pages_render(const struct pages *p, struct page *page, struct answer *answer)
{
	struct why why = {"no memory left"};
	buf_reset(&answer->body);
	int r = render(p, page, answer, &why);
	json_decref(steal(page->data));
	if (r < 0) {
		log_error("the page \"%s\" can't be made: %s", names[page->kind], why.text);
		answer_plain(answer, 500, "Something went wrong here. Please try again.");
		return;
	}
	answer->status = page->status;
	answer->type = "text/html; charset=utf-8";
}

void pages_message(const struct pages *p, struct page *page, const char *name,
		   struct answer *answer)
{
	char key[NAME_MOST];
	page->kind = PAGE_MESSAGE;
	if (!page->data)
		page->data = json_object();
	for (size_t i = 0; i < 2 && page->data; i++) {
		snprintf(key, sizeof(key), "%s.%s", name, i == 0 ? "title" : "text");
		if (json_object_set_new(page->data, i == 0 ? "title" : "told",
					json_string(pages_text(page->words, key))) < 0)
			json_decref(steal(page->data));
	}
	pages_render(p, page, answer);
}
