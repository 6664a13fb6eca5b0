#include "news/markup.h"

#include <errno.h>

#include "base/text.h"

static size_t find(struct str s, char mark)
{
	const char *at = s.n ? memchr(s.p, mark, s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

bool markup_next(struct str *html, struct markup *ret)
{
	if (!html->n)
		return false;
	struct str s = *html;
	if (s.p[0] != '<') {
		struct str text = str_head(s, find(s, '<'));
		*ret = (struct markup){.kind = MARKUP_TEXT, .text = text, .whole = text};
		*html = str_from(s, text.n);
		return true;
	}
	size_t end = find(s, '>');
	struct str inner = str_from(str_head(s, end), 1);
	bool close = str_starts(inner, "/");
	if (close)
		inner = str_from(inner, 1);
	size_t space = find(inner, ' ');
	*ret = (struct markup){
	    .kind = close ? MARKUP_CLOSE : MARKUP_OPEN,
	    .tag = tag_find(str_head(inner, space)).tag,
	    .attributes = str_from(inner, space),
	    .whole = str_head(s, end + 1),
	};
	*html = str_from(s, end + 1);
	return true;
}

bool markup_attribute(struct str attributes, const char *name, struct str *ret)
{
	struct str before, rest;
	while (str_cut(attributes, '=', &before, &rest)) {
		rest = str_from(rest, 1); /* the quote */
		struct str value = str_head(rest, find(rest, '"'));
		if (str_case_is(str_trim(before), name)) {
			*ret = value;
			return true;
		}
		attributes = str_from(rest, value.n + 1);
	}
	return false;
}

int markup_unescape(struct str text, struct buf *out)
{
	static const struct {
		const char *entity, *character;
	} entities[] = {
	    {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#824;", "\u0338"}};
	while (text.n) {
		size_t n = find(text, '&');
		buf_addstr(out, str_head(text, n));
		text = str_from(text, n);
		for (size_t i = 0; text.n && i <= ELEMENTS(entities); i++) {
			if (i == ELEMENTS(entities)) {
				buf_addc(out, '&');
				text = str_from(text, 1);
			} else if (str_starts(text, entities[i].entity)) {
				buf_adds(out, entities[i].character);
				text = str_from(text, strlen(entities[i].entity));
				break;
			}
		}
	}
	return out->err;
}

bool markup_parts(enum tag tag)
{
	return tag == T_BR || tag == T_HR || tag_content(tag) != CONTENT_NONE;
}

int markup_text(struct str html, struct buf *out)
{
	_cleanup_buf_ struct buf text = {0};
	struct markup piece;
	while (markup_next(&html, &piece) && !text.err) {
		if (piece.kind == MARKUP_TEXT)
			markup_unescape(piece.text, &text);
		else if (markup_parts(piece.tag))
			buf_addc(&text, ' ');
	}
	return text.err ? text.err : text_line(buf_str(&text), out);
}

static char *unescaped(struct arena *arena, struct str value)
{
	_cleanup_buf_ struct buf plain = {0};
	return markup_unescape(value, &plain) < 0 ? NULL : arena_copy(arena, buf_str(&plain));
}

/* Icons, smileys and buttons are told by their size, or by where they lie. */
static bool is_small(struct str attributes, struct str src)
{
	static const char *const sizes[] = {"width", "height"};
	for (size_t i = 0; i < ELEMENTS(sizes); i++) {
		struct str value;
		if (markup_attribute(attributes, sizes[i], &value) && value.n < 3)
			return true; /* below 100 pixels */
	}
	return memmem(src.p, src.n, "/emoji/", 7) || memmem(src.p, src.n, "/smilies/", 9);
}

int markup_first_image(struct arena *arena, struct str html, char **ret_src, char **ret_alt)
{
	struct markup piece;
	struct str src, alt = {"", 0};
	while (markup_next(&html, &piece)) {
		if (piece.kind != MARKUP_OPEN || piece.tag != T_IMG ||
		    !markup_attribute(piece.attributes, "src", &src) ||
		    is_small(piece.attributes, src))
			continue;
		markup_attribute(piece.attributes, "alt", &alt);
		char *address = unescaped(arena, src), *words = unescaped(arena, alt);
		if (!address || !words)
			return -ENOMEM;
		*ret_src = address;
		*ret_alt = words;
		return 0;
	}
	*ret_src = *ret_alt = NULL;
	return 0;
}

int markup_without_image(struct str html, const char *src, struct buf *out)
{
	struct markup piece;
	bool found = false;
	while (markup_next(&html, &piece) && !out->err) {
		struct str value;
		if (!found && piece.kind == MARKUP_OPEN && piece.tag == T_IMG &&
		    markup_attribute(piece.attributes, "src", &value)) {
			_cleanup_buf_ struct buf plain = {0};
			if (markup_unescape(value, &plain) < 0)
				return plain.err;
			found = str_is(buf_str(&plain), src);
			if (found)
				continue;
		}
		buf_addstr(out, piece.whole);
	}
	return out->err;
}
