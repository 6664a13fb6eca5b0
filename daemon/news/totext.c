#include "news/totext.h"

#include <errno.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/text.h"
#include "news/lines.h"
#include "news/markup.h"
#include "news/texttable.h"

enum {
	LISTS = 64,          /* levels of lists that keep their numbers */
	LINKS_COMPARED = 500 /* of the first so many, each address is listed once */
};

struct totext {
	struct lines lines;
	struct arena arena;
	struct buf text; /* of the block at hand */
	int err;

	char **links;
	size_t link_count;
	char *href; /* of the link that we are in */
	size_t link_from;

	long numbers[LISTS]; /* of the next item; 0: bullets */
	unsigned lists;
	bool pre;
};

static void fail(struct totext *t, int err)
{
	if (!t->err)
		t->err = err;
}

/* ---- links ---- */

static size_t link_number(struct totext *t, char *href)
{
	for (size_t i = 0; i < t->link_count && i < LINKS_COMPARED; i++)
		if (!strcmp(t->links[i], href))
			return i + 1;
	if (!(t->link_count & (t->link_count + 1))) { /* full at 0, 1, 3, 7 ... */
		char **more = arena_array(&t->arena, 2 * t->link_count + 2, sizeof(*more));
		if (!more) {
			fail(t, -ENOMEM);
			return 0;
		}
		if (t->link_count)
			memcpy(more, t->links, t->link_count * sizeof(*more));
		t->links = more;
	}
	t->links[t->link_count++] = href;
	return t->link_count;
}

/* The text is the address itself, perhaps shortened. */
static bool tells_address(struct str text, const char *href)
{
	struct str address = str_of(href);
	if (str_starts(address, "mailto:"))
		return str_eq(text, str_from(address, 7));
	if (str_eq(text, address))
		return true;
	const char *slashes = strstr(href, "//");
	address = slashes ? str_of(slashes + 2) : address;
	if (address.n && address.p[address.n - 1] == '/')
		address.n--;
	return str_eq(text, address);
}

static void link_opens(struct totext *t, struct str attributes)
{
	struct str value;
	_cleanup_buf_ struct buf href = {0};
	if (!markup_attribute(attributes, "href", &value))
		return;
	markup_unescape(value, &href);
	t->href = arena_copy(&t->arena, buf_str(&href));
	t->link_from = t->text.len;
	if (!t->href || href.err)
		fail(t, -ENOMEM);
}

static void link_closes(struct totext *t)
{
	if (!t->href)
		return;
	struct str text = str_trim(str_from(buf_str(&t->text), t->link_from));
	if (text.n && !tells_address(text, t->href))
		buf_printf(&t->text, " [%zu]", link_number(t, t->href));
	t->href = NULL;
}

static void list_links(struct totext *t)
{
	lines_gap(&t->lines);
	for (size_t i = 0; i < t->link_count; i++) {
		_cleanup_buf_ struct buf line = {0};
		buf_printf(&line, "[%zu] %s", i + 1, t->links[i]);
		if (line.err)
			fail(t, line.err);
		lines_add(&t->lines, buf_str(&line));
	}
}

/* ---- inline ---- */

static void image(struct totext *t, struct str attributes)
{
	struct str alt;
	if (!markup_attribute(attributes, "alt", &alt) || !alt.n)
		return;
	if (t->text.len && !strchr(" \n", t->text.data[t->text.len - 1]))
		buf_addc(&t->text, ' ');
	buf_addc(&t->text, '[');
	markup_unescape(alt, &t->text);
	buf_addc(&t->text, ']');
}

/* Line ends in clean HTML are spaces, or nothing beside a block or a break. */
static void text(struct totext *t, struct str escaped)
{
	_cleanup_buf_ struct buf plain = {0};
	if (markup_unescape(escaped, &plain) < 0)
		fail(t, plain.err);
	for (size_t i = 0; i < plain.len; i++) {
		char c = plain.data[i];
		bool space = c == ' ' || c == '\n' || c == '\t';
		if (t->pre)
			buf_addc(&t->text, c);
		else if (!space)
			buf_addc(&t->text, c);
		else if (t->text.len && !strchr(" \n", t->text.data[t->text.len - 1]))
			buf_addc(&t->text, ' ');
	}
}

static void piece_inline(struct totext *t, struct markup piece)
{
	bool open = piece.kind == MARKUP_OPEN;
	if (piece.kind == MARKUP_TEXT)
		text(t, piece.text);
	else if (piece.tag == T_BR)
		buf_addc(&t->text, '\n');
	else if (piece.tag == T_IMG)
		image(t, piece.attributes);
	else if (piece.tag == T_Q)
		buf_adds(&t->text, open ? "“" : "”");
	else if (piece.tag == T_A && open)
		link_opens(t, piece.attributes);
	else if (piece.tag == T_A)
		link_closes(t);
	if (t->text.err)
		fail(t, t->text.err);
}

/* ---- blocks ---- */

static void flush(struct totext *t)
{
	t->href = NULL; /* clean HTML has ended the link itself */
	struct str plain = str_trim(buf_str(&t->text));
	if (plain.n)
		lines_wrap(&t->lines, plain);
	buf_reset(&t->text);
}

static void flush_pre(struct totext *t)
{
	struct str rest = buf_str(&t->text);
	while (rest.n)
		lines_add(&t->lines, str_take(&rest, '\n'));
	buf_reset(&t->text);
	t->pre = false;
}

/* Before a block that stands apart, unless it is the first thing of a list item. */
static void apart(struct totext *t)
{
	flush(t);
	if (!lines_item_begins(&t->lines))
		lines_gap(&t->lines);
}

static void heading(struct totext *t, enum tag tag)
{
	struct str plain = str_trim(buf_str(&t->text));
	unsigned width = plain.n ? lines_wrap(&t->lines, plain) : 0;
	buf_reset(&t->text);
	for (unsigned i = 0; i < width; i++)
		buf_addc(&t->text, tag == T_H1 ? '=' : '-');
	if (t->text.err)
		fail(t, t->text.err);
	if (width)
		lines_add(&t->lines, buf_str(&t->text));
	buf_reset(&t->text);
	lines_gap(&t->lines);
}

static void rule(struct totext *t)
{
	apart(t);
	for (unsigned i = lines_room(&t->lines); i > 0; i--)
		buf_addc(&t->text, '-');
	if (t->text.err)
		fail(t, t->text.err);
	lines_add(&t->lines, buf_str(&t->text));
	buf_reset(&t->text);
	lines_gap(&t->lines);
}

static void list_opens(struct totext *t, enum tag tag, struct str attributes)
{
	flush(t);
	if (!t->lists)
		apart(t);
	else
		lines_close_gap(&t->lines);
	struct str start = {"1", 1};
	markup_attribute(attributes, "start", &start);
	long number = 0;
	for (size_t i = 0; i < start.n && i < 7; i++)
		number = number * 10 + (start.p[i] - '0');
	if (t->lists < LISTS)
		t->numbers[t->lists] = tag == T_OL ? number + 1 : 0;
	t->lists++;
}

static void list_closes(struct totext *t)
{
	flush(t);
	if (t->lists)
		t->lists--;
	if (!t->lists)
		lines_gap(&t->lines);
}

static void item_opens(struct totext *t)
{
	flush(t);
	char first[24] = "- ", rest[24] = "  ";
	long *number = t->lists && t->lists <= LISTS ? &t->numbers[t->lists - 1] : NULL;
	if (number && *number) {
		int n = snprintf(first, sizeof(first), "%ld. ", (*number)++ - 1);
		snprintf(rest, sizeof(rest), "%*s", n, "");
	}
	lines_push(&t->lines, first, rest);
}

static void item_closes(struct totext *t)
{
	flush(t);
	lines_pop(&t->lines);
	lines_close_gap(&t->lines);
}

static void opens(struct totext *t, struct markup piece)
{
	switch (piece.tag) {
	case T_UL:
	case T_OL: list_opens(t, piece.tag, piece.attributes); break;
	case T_LI: item_opens(t); break;
	case T_BLOCKQUOTE:
		apart(t);
		lines_push(&t->lines, "> ", "> ");
		break;
	case T_DD:
		flush(t);
		lines_close_gap(&t->lines);
		lines_push(&t->lines, "    ", "    ");
		break;
	case T_PRE:
		apart(t);
		t->pre = true;
		break;
	case T_HR: rule(t); break;
	case T_TR:
	case T_THEAD:
	case T_TBODY:
	case T_TFOOT: flush(t); break;
	default: apart(t); break;
	}
}

static void closes(struct totext *t, enum tag tag)
{
	switch (tag) {
	case T_UL:
	case T_OL: list_closes(t); break;
	case T_LI: item_closes(t); break;
	case T_H1:
	case T_H2:
	case T_H3:
	case T_H4:
	case T_H5:
	case T_H6: heading(t, tag); break;
	case T_BLOCKQUOTE:
	case T_DD:
		flush(t);
		lines_pop(&t->lines);
		lines_gap(&t->lines);
		break;
	case T_PRE:
		flush_pre(t);
		lines_gap(&t->lines);
		break;
	default:
		flush(t);
		lines_gap(&t->lines);
		break;
	}
}

static void block(struct totext *t, struct markup piece)
{
	if (piece.kind == MARKUP_OPEN)
		opens(t, piece);
	else
		closes(t, piece.tag);
}

/* ---- tables ---- */

/* Renders what stands in a cell; its text is t->text afterwards. */
static void cell_text(void *context, struct markup piece)
{
	struct totext *t = context;
	bool inner = piece.kind == MARKUP_TEXT || tag_content(piece.tag) == CONTENT_NONE;
	if (!inner || piece.tag == T_BR)
		text(t, STR(" "));
	else
		piece_inline(t, piece);
}

static bool small_table(struct totext *t, struct str *html)
{
	struct texttable table = {.arena = &t->arena};
	struct str rest = *html;
	if (!texttable_is_small(rest))
		return false;
	apart(t);
	int r = texttable_read(&table, &rest, cell_text, t, &t->text);
	if (r >= 0)
		r = texttable_write(&table, &t->lines);
	if (r < 0)
		fail(t, r);
	lines_gap(&t->lines);
	*html = rest;
	return true;
}

static void convert(struct totext *t, struct str html)
{
	struct markup piece;
	while (!t->err && !t->lines.out->err && markup_next(&html, &piece)) {
		bool inner = piece.kind == MARKUP_TEXT ||
			     (tag_content(piece.tag) == CONTENT_NONE && piece.tag != T_HR);
		if (inner || piece.tag == T_NONE)
			piece_inline(t, piece);
		else if (piece.kind != MARKUP_OPEN || piece.tag != T_TABLE ||
			 !small_table(t, &html))
			block(t, piece);
	}
	flush(t);
	if (t->link_count)
		list_links(t);
}

int html_to_text(struct str html, unsigned width, struct buf *out)
{
	struct totext t = {0};
	lines_begin(&t.lines, out, width);
	convert(&t, html);
	buf_free(&t.text);
	arena_free(&t.arena);
	return t.err ? t.err : out->err;
}
