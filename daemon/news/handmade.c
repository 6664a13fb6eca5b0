#include <cmark.h>
#include <ctype.h>
#include <errno.h>

#include "base/text.h"
#include "news/article.h"
#include "news/charset.h"
#include "news/date.h"
#include "news/frontmatter.h"
#include "news/html.h"
#include "news/language.h"
#include "news/page.h"
#include "news/plain.h"

/* ---- kinds ---- */

static bool contains(struct str text, const char *what)
{
	size_t n = strlen(what);
	for (size_t i = 0; i + n <= text.n; i++)
		if (!strncasecmp(text.p + i, what, n))
			return true;
	return false;
}

enum article_kind article_guess(struct str text, const char *name)
{
	struct str file = str_of(name);
	if (str_case_ends(file, ".md") || str_case_ends(file, ".markdown"))
		return ARTICLE_MARKDOWN;
	if (str_case_ends(file, ".html") || str_case_ends(file, ".htm") ||
	    str_case_ends(file, ".xhtml"))
		return ARTICLE_HTML;
	if (str_case_ends(file, ".txt"))
		return ARTICLE_TEXT;
	struct str head = str_trim(str_head(text, 4096));
	if (str_starts(head, "---\n") || str_starts(head, "---\r\n") || str_starts(head, "# "))
		return ARTICLE_MARKDOWN;
	if (str_starts(head, "<") && (contains(head, "<html") || contains(head, "<!doctype") ||
				      contains(head, "</p>") || contains(head, "</h1>")))
		return ARTICLE_HTML;
	if (contains(head, "\n## ") || contains(head, "\n# ") || contains(head, "](http"))
		return ARTICLE_MARKDOWN;
	return contains(head, "</p>") ? ARTICLE_HTML : ARTICLE_TEXT;
}

/* ---- Markdown ---- */

static char *first_of(const struct frontmatter *f, const char *const *keys)
{
	for (; *keys; keys++) {
		const char *value = frontmatter_value(f, *keys);
		if (value)
			return (char *)value; /* it is the arena's */
	}
	return NULL;
}

#define FIRST_OF(f, ...) first_of(f, (const char *const[]){__VA_ARGS__, NULL})

static int join(struct arena *arena, const struct frontmatter_entry *entry, char **ret,
		struct why *why)
{
	_cleanup_buf_ struct buf all = {0};
	for (size_t i = 0; entry && i < entry->n; i++) {
		buf_adds(&all, i ? ", " : "");
		buf_adds(&all, entry->values[i]);
	}
	return entry ? article_keep(arena, &all, ret, why) : 0;
}

static int from_frontmatter(struct arena *arena, const struct frontmatter *f, struct article *a,
			    struct why *why)
{
	a->guid = FIRST_OF(f, "id", "guid");
	a->url = FIRST_OF(f, "url", "link", "canonical");
	a->title = FIRST_OF(f, "title");
	a->summary = FIRST_OF(f, "summary", "description", "excerpt");
	a->image = FIRST_OF(f, "image", "cover", "featured_image");
	a->image_alt = FIRST_OF(f, "image_alt", "image-alt", "alt");
	a->lang = FIRST_OF(f, "lang", "language");
	a->dir = FIRST_OF(f, "dir");
	a->base = a->url;

	const struct frontmatter_entry *topics = frontmatter_find(f, "topics");
	if (!topics)
		topics = frontmatter_find(f, "tags");
	if (topics) {
		a->topics = topics->values;
		a->n_topics = topics->n;
	}
	const struct frontmatter_entry *author = frontmatter_find(f, "author");
	int r = join(arena, author ? author : frontmatter_find(f, "authors"), &a->author, why);
	const char *date = FIRST_OF(f, "date", "published");
	if (r >= 0 && date) {
		a->published = date_parse(str_of(date));
		if (!a->published)
			return why_set(why, -EINVAL,
				       "front matter: \"%s\" is no date; it would "
				       "look like 2026-03-29 or 2026-03-29T07:00:00Z",
				       date);
	}
	return r;
}

static int read_markdown(struct arena *arena, struct str text, struct article *a, struct why *why)
{
	struct frontmatter front;
	struct str body;
	if (text.n > HTML_LARGEST)
		return why_set(why, -EFBIG,
			       "%zu bytes of Markdown, more than the %d that are taken", text.n,
			       HTML_LARGEST);
	if (frontmatter_read(arena, text, &front, &body) < 0)
		return article_no_memory(why);
	int r = from_frontmatter(arena, &front, a, why);
	if (r < 0)
		return r;
	_cleanup_free_ char *html =
	    cmark_markdown_to_html(body.p, body.n, CMARK_OPT_UNSAFE | CMARK_OPT_VALIDATE_UTF8);
	a->body_html = arena_strdup(arena, html);
	return a->body_html ? 0 : article_no_memory(why);
}

/* ---- plain text ---- */

static int read_text(struct arena *arena, struct str text, struct article *a, struct why *why)
{
	_cleanup_buf_ struct buf html = {0};
	struct str title = plain_take_title(&text);
	a->title = arena_copy(arena, title);
	if (!a->title)
		return article_no_memory(why);
	plain_to_html(text, &html);
	return article_keep(arena, &html, &a->body_html, why);
}

/* ---- all ---- */

static int guess_language(struct arena *arena, struct str text, struct article *a, struct why *why)
{
	if (a->lang && a->lang[0])
		return 0;
	a->lang = arena_strdup(arena, language_guess(text));
	return a->lang ? 0 : article_no_memory(why);
}

int article_read(struct arena *arena, struct str bytes, const char *name, enum article_kind kind,
		 struct article *ret, struct why *why)
{
	_cleanup_buf_ struct buf utf8 = {0}, text = {0};
	char charset[CHARSET_NAME];
	struct article a = {0};
	if (kind == ARTICLE_GUESS)
		kind = article_guess(bytes, name);
	if (kind == ARTICLE_HTML) {
		int r = page_read(arena, bytes, NULL, NULL, &a, why);
		if (r >= 0)
			r = guess_language(arena, str_of(a.body_html), &a, why);
		if (r >= 0)
			*ret = a;
		return r;
	}
	if (charset_to_utf8(&utf8, bytes, CHARSET_TEXT, NULL, charset) < 0 ||
	    text_repair(buf_str(&utf8), &text) < 0)
		return article_no_memory(why);
	if (!str_trim(buf_str(&text)).n)
		return why_set(why, -EINVAL, "it is empty");
	int r = kind == ARTICLE_MARKDOWN ? read_markdown(arena, buf_str(&text), &a, why)
					 : read_text(arena, buf_str(&text), &a, why);
	if (r >= 0)
		r = guess_language(arena, buf_str(&text), &a, why);
	if (r >= 0)
		*ret = a;
	return r;
}
