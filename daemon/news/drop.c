#include "news/drop.h"

#include <utf8proc.h>

#include "base/text.h"
#include "news/markup.h"

static int32_t fold(int32_t c)
{
	return utf8proc_tolower(c);
}

/* Without recursion: only the last star needs to be gone back to. */
static bool glob(struct str pattern, struct str line)
{
	struct str star_pattern = {NULL, 0}, star_line = {NULL, 0};
	for (;;) {
		struct str next_pattern = pattern, next_line = line;
		int32_t want = pattern.n ? text_take(&next_pattern) : -1;
		if (want == '*') {
			pattern = star_pattern = next_pattern;
			star_line = line;
			continue;
		}
		bool literal = want == '\\' && next_pattern.n;
		if (literal)
			want = text_take(&next_pattern);
		if (!line.n && want == -1)
			return true;
		int32_t have = line.n ? text_take(&next_line) : -1;
		if (have != -1 && want != -1 &&
		    ((want == '?' && !literal) || fold(want) == fold(have))) {
			pattern = next_pattern;
			line = next_line;
			continue;
		}
		if (!star_pattern.p || !star_line.n)
			return false;
		text_take(&star_line);
		pattern = star_pattern;
		line = star_line;
	}
}

bool drop_matches(const struct drop *drop, struct str line)
{
	for (size_t i = 0; line.n && i < drop->n; i++)
		if (glob(str_of(drop->patterns[i]), line))
			return true;
	return false;
}

static bool ends_line(const struct markup *piece)
{
	return piece->kind != MARKUP_TEXT && markup_parts(piece->tag);
}

/*
 * One line: from *html to before the tag that ends it. When it goes, its inline tags stay, so that
 * what is open stays balanced, but its pictures go with it.
 */
static int one_line(const struct drop *drop, struct str *html, struct buf *out, bool *ret_dropped)
{
	_cleanup_buf_ struct buf text = {0}, line = {0};
	struct str rest = *html, ahead = *html;
	struct markup piece;
	while (markup_next(&ahead, &piece) && !ends_line(&piece)) {
		if (piece.kind == MARKUP_TEXT)
			markup_unescape(piece.text, &text);
		rest = ahead;
	}
	struct str whole = str_head(*html, html->n - rest.n);
	*html = rest;
	int r = text.err ? text.err : text_line(buf_str(&text), &line);
	if (r < 0)
		return r;
	*ret_dropped = drop_matches(drop, buf_str(&line));
	if (!*ret_dropped)
		return buf_addstr(out, whole);
	while (markup_next(&whole, &piece))
		if (piece.kind != MARKUP_TEXT && piece.tag != T_IMG)
			buf_addstr(out, piece.whole);
	return out->err;
}

int drop_lines(const struct drop *drop, struct str html, struct buf *out, size_t *ret_count)
{
	size_t count = 0;
	while (html.n && !out->err) {
		bool dropped = false;
		int r = one_line(drop, &html, out, &dropped);
		if (r < 0)
			return r;
		count += dropped;
		/* The tag that ended it; a break goes with its line. */
		struct markup piece;
		if (markup_next(&html, &piece) && !(dropped && piece.tag == T_BR))
			buf_addstr(out, piece.whole);
	}
	if (ret_count)
		*ret_count = count;
	return out->err;
}
