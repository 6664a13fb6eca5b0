#include "news/article.h"

#include <errno.h>

#include "base/sha256.h"
#include "base/text.h"
#include "news/html.h"
#include "news/language.h"
#include "news/markup.h"
#include "news/totext.h"
#include "news/url.h"

int article_no_memory(struct why *why)
{
	return why_set(why, -ENOMEM, "no memory left");
}

int article_keep(struct arena *arena, const struct buf *from, char **ret, struct why *why)
{
	char *copy = from->err ? NULL : arena_copy(arena, buf_str(from));
	if (!copy)
		return from->err == -EOVERFLOW ? why_set(why, -EFBIG, "the article is too large")
					       : article_no_memory(why);
	*ret = copy;
	return 0;
}

static int settle_line(struct arena *arena, char **text, size_t most, struct why *why)
{
	_cleanup_buf_ struct buf line = {0};
	if (*text)
		text_excerpt(str_of(*text), most, &line);
	return article_keep(arena, &line, text, why);
}

static int settle_address(struct arena *arena, char **address, const char *base, struct why *why)
{
	_cleanup_buf_ struct buf clean = {0};
	int r = *address ? url_clean(str_of(*address), base, URL_CONTENT, &clean) : 0;
	if (r < 0 && r != -EINVAL)
		return article_no_memory(why);
	return article_keep(arena, &clean, address, why);
}

/* ---- the body ---- */

static int clean_into(struct arena *arena, struct article *a, struct str html, struct why *why)
{
	_cleanup_buf_ struct buf clean = {0};
	int r = html_clean(html, a->base, &clean, why);
	return r < 0 ? r : article_keep(arena, &clean, &a->body_html, why);
}

static int drop_furniture(struct arena *arena, struct article *a, const struct drop *drop,
			  struct why *why)
{
	_cleanup_buf_ struct buf rest = {0};
	size_t count = 0;
	if (!drop || !drop->n)
		return 0;
	if (drop_lines(drop, str_of(a->body_html), &rest, &count) < 0)
		return article_no_memory(why);
	return count ? clean_into(arena, a, buf_str(&rest), why) : 0;
}

/* Takes a heading off the front whose text is `title` (NULL: any h1, whose text goes to *ret). */
static int take_heading(struct arena *arena, struct article *a, const char *title, char **ret,
			struct why *why)
{
	struct str html = str_of(a->body_html), rest = html;
	struct markup first, piece;
	if (!markup_next(&rest, &first) || first.kind != MARKUP_OPEN || first.tag < T_H1 ||
	    first.tag > (title ? T_H6 : T_H1))
		return 0;
	struct str inner = rest;
	size_t n = 0;
	while (markup_next(&rest, &piece) &&
	       !(piece.kind == MARKUP_CLOSE && piece.tag == first.tag))
		n = inner.n - rest.n;
	_cleanup_buf_ struct buf text = {0};
	if (markup_text(str_head(inner, n), &text) < 0)
		return article_no_memory(why);
	if (title && !str_is(buf_str(&text), title))
		return 0;
	int r = ret ? article_keep(arena, &text, ret, why) : 0;
	return r < 0 ? r : clean_into(arena, a, rest, why);
}

static int settle_image(struct arena *arena, struct article *a, struct why *why)
{
	int r = settle_address(arena, &a->image, a->base, why);
	if (r < 0)
		return r;
	if (!a->image[0]) {
		char *src, *alt;
		if (markup_first_image(arena, str_of(a->body_html), &src, &alt) < 0)
			return article_no_memory(why);
		if (src) {
			a->image = src;
			a->image_alt = alt;
		}
	}
	if (a->image[0]) {
		_cleanup_buf_ struct buf rest = {0};
		if (markup_without_image(str_of(a->body_html), a->image, &rest) < 0)
			return article_no_memory(why);
		if (rest.len < strlen(a->body_html))
			r = clean_into(arena, a, buf_str(&rest), why);
	}
	return r < 0 ? r : settle_line(arena, &a->image_alt, 2 * ARTICLE_NAME, why);
}

static int settle_body(struct arena *arena, struct article *a, const struct drop *drop,
		       struct why *why)
{
	int r = clean_into(arena, a, str_of(a->body_html), why);
	if (r >= 0)
		r = drop_furniture(arena, a, drop, why);
	if (r >= 0 && a->title && a->title[0])
		r = take_heading(arena, a, a->title, NULL, why);
	else if (r >= 0)
		r = take_heading(arena, a, NULL, &a->title, why);
	if (r >= 0)
		r = settle_image(arena, a, why);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf text = {0};
	if (html_to_text(str_of(a->body_html), TOTEXT_WIDTH, &text) < 0)
		return article_no_memory(why);
	return article_keep(arena, &text, &a->body_text, why);
}

/* The text of the body's paragraphs, as far as a summary needs it; of all when it has none. */
static int opening_words(const struct article *a, struct buf *out)
{
	_cleanup_buf_ struct buf words = {0};
	struct str rest = str_of(a->body_html);
	struct markup piece;
	unsigned within = 0;
	while (words.len < 8 * ARTICLE_SUMMARY && markup_next(&rest, &piece)) {
		if (piece.kind == MARKUP_TEXT && within)
			markup_unescape(piece.text, &words);
		else if (piece.tag == T_BR)
			buf_addc(&words, ' ');
		else if (piece.kind != MARKUP_TEXT && piece.tag == T_P) {
			within = piece.kind == MARKUP_OPEN;
			buf_addc(&words, ' ');
		}
	}
	if (words.err)
		return words.err;
	if (str_trim(buf_str(&words)).n)
		return buf_addstr(out, buf_str(&words));
	return markup_text(str_of(a->body_html), out);
}

static int settle_words(struct arena *arena, struct article *a, struct why *why)
{
	_cleanup_buf_ struct buf opening = {0}, line = {0};
	if (opening_words(a, &opening) < 0)
		return article_no_memory(why);
	int r = settle_line(arena, &a->summary, ARTICLE_SUMMARY, why);
	if (r >= 0 && !a->summary[0]) {
		text_excerpt(buf_str(&opening), ARTICLE_SUMMARY, &line);
		r = article_keep(arena, &line, &a->summary, why);
	}
	if (r < 0 || (a->title && a->title[0]))
		return r;
	if (!a->summary[0] && !a->image[0])
		return why_set(why, -EINVAL, "neither a title nor a text");
	const char *words = a->summary[0] ? a->summary : a->image_alt;
	if (!words[0])
		words = a->url[0] ? a->url : a->image;
	buf_reset(&line);
	text_excerpt(str_of(words), 80, &line);
	return article_keep(arena, &line, &a->title, why);
}

/* ---- the rest ---- */

static int settle_language(struct arena *arena, struct article *a, struct why *why)
{
	char tag[LANGUAGE_TAG] = "";
	language_tag(str_of(a->lang), tag);
	a->lang = arena_strdup(arena, tag);
	if (!a->lang)
		return article_no_memory(why);

	struct str given = str_trim(str_of(a->dir));
	enum text_dir title = text_direction(str_of(a->title));
	enum text_dir text = text_direction(str_of(a->body_text));
	enum text_dir dir = language_direction(a->lang);
	if (str_case_is(given, "rtl") || str_case_is(given, "ltr"))
		dir = str_case_is(given, "rtl") ? TEXT_RTL : TEXT_LTR;
	else if (title == TEXT_RTL && text != TEXT_LTR)
		dir = TEXT_RTL;
	else if (dir == TEXT_NEUTRAL)
		dir = title != TEXT_NEUTRAL ? title : text;
	a->dir = dir == TEXT_RTL ? "rtl" : "ltr";
	return 0;
}

static int settle_topics(struct arena *arena, struct article *a, struct why *why)
{
	char **kept = arena_array(arena, ARTICLE_TOPICS + 1, sizeof(*kept));
	size_t n = 0;
	if (!kept)
		return article_no_memory(why);
	for (size_t i = 0; i < a->n_topics && n < ARTICLE_TOPICS; i++) {
		char *topic = a->topics[i];
		int r = settle_line(arena, &topic, ARTICLE_NAME, why);
		if (r < 0)
			return r;
		bool known = !topic[0];
		for (size_t k = 0; k < n && !known; k++)
			known = !strcasecmp(kept[k], topic);
		if (!known)
			kept[n++] = topic;
	}
	a->topics = kept;
	a->n_topics = n;
	return 0;
}

static int settle_guid(struct arena *arena, struct article *a, struct why *why)
{
	if (a->guid && a->guid[0]) {
		int r = settle_line(arena, &a->guid, 1000, why);
		if (r < 0 || a->guid[0])
			return r;
	}
	if (a->url[0]) {
		a->guid = a->url;
		return 0;
	}
	const struct str title = str_of(a->title);
	char hash[SHA256_HEX];
	if (sha256_hex(&title, 1, hash) < 0)
		return article_no_memory(why);
	a->guid = arena_printf(arena, "title:%s", hash);
	return a->guid ? 0 : article_no_memory(why);
}

int article_settle(struct arena *arena, struct article *a, const struct drop *drop, struct why *why)
{
	int r = settle_line(arena, &a->title, ARTICLE_TITLE, why);
	if (r >= 0)
		r = settle_line(arena, &a->author, ARTICLE_NAME, why);
	if (r >= 0)
		r = settle_address(arena, &a->url, a->base, why);
	if (r >= 0 && !a->base && a->url[0])
		a->base = a->url;
	if (r >= 0)
		r = settle_body(arena, a, drop, why);
	if (r >= 0)
		r = settle_words(arena, a, why);
	if (r >= 0)
		r = settle_language(arena, a, why);
	if (r >= 0)
		r = settle_topics(arena, a, why);
	return r < 0 ? r : settle_guid(arena, a, why);
}
