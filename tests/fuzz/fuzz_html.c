/*
 * html_clean() on anything: what comes out is valid UTF-8, has only allowed elements, attributes
 * and schemes, is balanced, and cleaning it again changes nothing. Its text has no spaces at line
 * ends.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"
#include "news/html.h"
#include "news/markup.h"
#include "news/totext.h"

static void must(int holds, const char *what, struct str first, struct str second)
{
	if (holds)
		return;
	fprintf(stderr, "%s:\n%.*s\n---\n%.*s\n", what, (int)first.n, first.p, (int)second.n,
		second.p);
	abort();
}

static void check_attributes(struct str attributes, struct str all)
{
	static const char *const allowed[] = {"href",   "src",      "alt",     "width",
					      "height", "dir",      "lang",    "start",
					      "title",  "datetime", "colspan", "rowspan"};
	struct str before, rest;
	while (str_cut(attributes, '=', &before, &rest)) {
		struct str name = str_trim(before), value;
		int known = 0;
		for (size_t i = 0; i < ELEMENTS(allowed); i++)
			known |= str_is(name, allowed[i]);
		must(known, "attribute", name, all);
		must(rest.n > 1 && rest.p[0] == '"', "quote", rest, all);
		must(str_cut(str_from(rest, 1), '"', &value, &attributes), "quote", rest, all);
		if (str_is(name, "href") || str_is(name, "src"))
			must(str_starts(value, "https://") || str_starts(value, "http://") ||
				 (str_is(name, "href") && str_starts(value, "mailto:")),
			     "scheme", value, all);
	}
}

static void check_structure(struct str html)
{
	enum tag stack[256];
	size_t depth = 0;
	struct markup piece;
	for (struct str rest = html; markup_next(&rest, &piece);) {
		if (piece.kind == MARKUP_TEXT) {
			must(!memchr(piece.text.p, '>', piece.text.n), "bare >", piece.text, html);
			continue;
		}
		must(piece.tag != T_NONE, "element", piece.whole, html);
		check_attributes(piece.attributes, html);
		if (piece.tag == T_BR || piece.tag == T_HR || piece.tag == T_IMG) {
			must(piece.kind == MARKUP_OPEN, "void", piece.whole, html);
		} else if (piece.kind == MARKUP_OPEN) {
			must(depth < ELEMENTS(stack), "depth", piece.whole, html);
			stack[depth++] = piece.tag;
		} else {
			must(depth && stack[--depth] == piece.tag, "balance", piece.whole, html);
		}
	}
	must(depth == 0, "balance", html, html);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf once = {0}, twice = {0};
	struct str in = {(const char *)data, size};
	if (html_clean(in, "https://example.org/a/b?c", &once, NULL) < 0)
		return 0;
	struct str clean = buf_str(&once);
	must(text_valid(clean), "UTF-8", in, clean);
	check_structure(clean);
	must(html_clean(clean, NULL, &twice, NULL) == 0, "again", in, clean);
	must(str_eq(clean, buf_str(&twice)), "changes", clean, buf_str(&twice));

	_cleanup_buf_ struct buf text = {0}, raw = {0};
	must(html_to_text(clean, 40, &text) == 0, "text", clean, clean);
	must(!memmem(buf_text(&text), text.len, " \n", 2), "space at a line's end", clean,
	     buf_str(&text));
	html_to_text(in, 40, &raw); /* not its input, but it must bear it */
	return 0;
}
