#include "news/htmlwrite.h"

#include <errno.h>

#include "base/text.h"

static struct htmlwrite_block *top(struct htmlwrite *w)
{
	return &w->blocks[w->depth];
}

static bool in_pre(struct htmlwrite *w)
{
	return top(w)->tag == T_PRE;
}

/* Something inline precedes in this very block. */
static bool continues(struct htmlwrite *w)
{
	return w->has_inline && top(w)->written;
}

static void fail(struct htmlwrite *w, int err)
{
	if (!w->out->err)
		w->out->err = err;
}

/* ---- inline elements in the output ---- */

static void close_inlines(struct htmlwrite *w, unsigned keep)
{
	while (w->opened_count > keep) {
		const struct htmlwrite_inline *inner = w->opened[--w->opened_count];
		buf_printf(w->out, "</%s>", tag_name(inner->tag));
	}
}

static unsigned common_inlines(struct htmlwrite *w)
{
	unsigned n = 0;
	while (n < w->opened_count && n < w->text_count && w->opened[n] == w->text_inlines[n])
		n++;
	return n;
}

static void open_inlines(struct htmlwrite *w)
{
	while (w->opened_count < w->text_count) {
		const struct htmlwrite_inline *next = w->text_inlines[w->opened_count];
		buf_printf(w->out, "<%s", tag_name(next->tag));
		buf_adds(w->out, next->attributes);
		buf_addc(w->out, '>');
		w->opened[w->opened_count++] = next;
	}
}

/* ---- blocks ---- */

static void block_tag_written(struct htmlwrite *w)
{
	w->has_inline = false;
	w->space = false;
	w->breaks = 0;
	buf_reset(&w->pre_space);
}

static void write_blocks(struct htmlwrite *w)
{
	for (unsigned i = 1; i <= w->depth; i++) {
		struct htmlwrite_block *block = &w->blocks[i];
		if (block->written)
			continue;
		close_inlines(w, 0);
		buf_printf(w->out, "<%s", tag_name(block->tag));
		buf_adds(w->out, block->attributes);
		buf_addc(w->out, '>');
		enum tag_content content = tag_content(block->tag);
		if (content == CONTENT_STRUCTURE || content == CONTENT_BLOCKS)
			buf_addc(w->out, '\n');
		block->written = true;
		block_tag_written(w);
	}
}

static void write_text(struct htmlwrite *w);

/* Ends the innermost block, and what its last text had to imply within it. */
static void pop(struct htmlwrite *w)
{
	unsigned goal = w->depth;
	write_text(w);
	while (w->depth >= goal) {
		struct htmlwrite_block *block = &w->blocks[w->depth--];
		if (!block->written)
			continue;
		close_inlines(w, 0);
		buf_printf(w->out, "</%s>\n", tag_name(block->tag));
		block_tag_written(w);
	}
}

static void push(struct htmlwrite *w, enum tag tag, const char *attributes, unsigned level,
		 bool implied)
{
	if (w->depth + 1 >= sizeof(w->blocks) / sizeof(*w->blocks))
		return;
	w->blocks[++w->depth] = (struct htmlwrite_block){
	    .tag = tag, .attributes = attributes, .level = level, .implied = implied};
}

static void push_implied(struct htmlwrite *w, enum tag tag)
{
	/* It lives as long as what holds it. */
	push(w, tag, "", top(w)->level, true);
}

static bool is_section(enum tag tag) /* of a table */
{
	return tag == T_THEAD || tag == T_TBODY || tag == T_TFOOT || tag == T_CAPTION;
}

/* Of these a heading, a caption or a pre is closed; others within them are transparent. */
static bool is_weighty(enum tag tag, enum tag outer)
{
	switch (tag) {
	case T_DT:
	case T_DD: return outer == T_DT;
	case T_UL:
	case T_OL:
	case T_DL:
	case T_TABLE:
	case T_BLOCKQUOTE:
	case T_FIGURE:
	case T_HR:
	case T_PRE: return true;
	default: return false;
	}
}

enum place { PLACE_AGAIN, PLACE_HERE, PLACE_NOWHERE };

static enum place pop_and_again(struct htmlwrite *w)
{
	pop(w);
	return PLACE_AGAIN;
}

static enum place imply_and_again(struct htmlwrite *w, enum tag tag)
{
	push_implied(w, tag);
	return PLACE_AGAIN;
}

static enum place place_in_structure(struct htmlwrite *w, enum tag tag)
{
	enum tag outer = top(w)->tag;
	switch (outer) {
	case T_UL:
	case T_OL:
		if (tag == T_LI)
			return PLACE_HERE;
		return top(w)->implied ? pop_and_again(w) : imply_and_again(w, T_LI);
	case T_DL:
		if (tag == T_DT || tag == T_DD)
			return PLACE_HERE;
		return top(w)->implied ? pop_and_again(w) : imply_and_again(w, T_DD);
	case T_TR:
		if (tag == T_TD || tag == T_TH)
			return PLACE_HERE;
		return tag == T_TR || is_section(tag) ? pop_and_again(w) : imply_and_again(w, T_TD);
	default: /* table, thead, tbody, tfoot */
		if (tag == T_TR || (outer == T_TABLE && is_section(tag)))
			return PLACE_HERE;
		return is_section(tag) ? pop_and_again(w) : imply_and_again(w, T_TR);
	}
}

static enum place place_in_flow(struct htmlwrite *w, enum tag *tag)
{
	enum tag outer = top(w)->tag;
	bool cell = outer == T_TD || outer == T_TH;
	switch (*tag) {
	case T_LI: return outer == T_LI ? pop_and_again(w) : imply_and_again(w, T_UL);
	case T_DT:
	case T_DD: return outer == T_DD ? pop_and_again(w) : imply_and_again(w, T_DL);
	case T_TD:
	case T_TH:
	case T_TR:
	case T_THEAD:
	case T_TBODY:
	case T_TFOOT:
	case T_CAPTION: return cell ? pop_and_again(w) : PLACE_NOWHERE;
	case T_FIGCAPTION:
		if (outer != T_FIGURE)
			*tag = T_P;
		return PLACE_HERE;
	default: return PLACE_HERE;
	}
}

/* Brings the stack into a state in which *tag may be opened. */
static bool place(struct htmlwrite *w, enum tag *tag)
{
	enum place result = PLACE_AGAIN;
	while (result == PLACE_AGAIN) {
		if (w->depth >= HTMLWRITE_BLOCKS)
			return false;
		enum tag outer = top(w)->tag;
		switch (tag_content(outer)) {
		case CONTENT_TEXT:
			result = outer == T_P || is_weighty(*tag, outer) ? pop_and_again(w)
									 : PLACE_NOWHERE;
			break;
		case CONTENT_STRUCTURE: result = place_in_structure(w, *tag); break;
		default: result = place_in_flow(w, tag); break;
		}
	}
	return result == PLACE_HERE;
}

/* Brings it into a state in which text may be written. */
static void place_inline(struct htmlwrite *w)
{
	for (;;) {
		struct htmlwrite_block *outer = top(w);
		switch (tag_content(outer->tag)) {
		case CONTENT_TEXT:
		case CONTENT_BOTH: return;
		case CONTENT_STRUCTURE:
			if (outer->tag == T_UL || outer->tag == T_OL || outer->tag == T_DL) {
				if (outer->implied)
					pop(w);
				else
					push_implied(w, outer->tag == T_DL ? T_DD : T_LI);
			} else {
				push_implied(w, outer->tag == T_TR ? T_TD : T_TR);
			}
			break;
		default: push_implied(w, T_P); break;
		}
	}
}

/* ---- text ---- */

/* Two line breaks within a paragraph are what people type to begin another. */
static void split_paragraph(struct htmlwrite *w)
{
	struct htmlwrite_block again = *top(w);
	w->depth--;
	close_inlines(w, 0);
	buf_adds(w->out, "</p>\n");
	again.written = false;
	w->blocks[++w->depth] = again;
	write_blocks(w);
}

/* Writes what is due before inline contents, and opens the elements they stand in. */
static void before_inline(struct htmlwrite *w)
{
	write_blocks(w);
	if (w->breaks > 1 && w->has_inline && top(w)->tag == T_P)
		split_paragraph(w);
	close_inlines(w, common_inlines(w));
	if (w->has_inline && w->breaks) {
		for (unsigned i = 0; i < w->breaks; i++)
			buf_adds(w->out, "<br>");
		buf_addc(w->out, '\n');
	} else if (w->has_inline && w->space) {
		buf_addc(w->out, ' ');
	}
	w->breaks = 0;
	w->space = false;
	w->has_inline = true;
}

static void write_escaped(struct htmlwrite *w, struct str text)
{
	_cleanup_buf_ struct buf composed = {0};
	int r = text_nfc(text, &composed);
	if (r < 0)
		fail(w, r);
	else
		htmlwrite_escape(w->out, buf_str(&composed), false);
}

static void hold_space(struct htmlwrite *w, struct str space)
{
	if (buf_addstr(&w->pre_space, space) < 0)
		fail(w, w->pre_space.err);
}

static void write_preformatted(struct htmlwrite *w, struct str text)
{
	size_t body = text.n;
	while (body && strchr(" \t\n", text.p[body - 1]))
		body--;
	if (!body) {
		hold_space(w, text);
		return;
	}
	_cleanup_buf_ struct buf lead = w->pre_space;
	w->pre_space = (struct buf){0};
	struct str gap = buf_str(&lead), rest = str_head(text, body);
	if (!continues(w)) {
		while (gap.n && memchr(gap.p, '\n', gap.n))
			gap = str_from(gap, 1);
		while (!gap.n && rest.n && rest.p[0] == '\n')
			rest = str_from(rest, 1);
	}
	before_inline(w);
	buf_addstr(w->out, gap);
	open_inlines(w);
	write_escaped(w, rest);
	hold_space(w, str_from(text, body));
}

/* No-break spaces alone: what editors put into a paragraph to keep it open. */
static bool is_padding(struct str line)
{
	while (line.n) {
		int32_t c = text_take(&line);
		if (c != 0xA0 && c != ' ')
			return false;
	}
	return true;
}

static void write_collapsed(struct htmlwrite *w, struct str text)
{
	_cleanup_buf_ struct buf line = {0};
	bool gap = false, lead = false;
	for (struct str rest = text; rest.n;) {
		struct str from = rest;
		int32_t c = text_take(&rest);
		if (text_is_space(c)) {
			gap = true;
			continue;
		}
		if (gap && line.len)
			buf_addc(&line, ' ');
		else if (gap)
			lead = true;
		gap = false;
		buf_add(&line, from.p, from.n - rest.n);
	}
	if (line.err)
		fail(w, line.err);
	if (!line.len || (!continues(w) && is_padding(buf_str(&line)))) {
		w->space |= gap && continues(w);
		return;
	}
	place_inline(w);
	w->space |= lead;
	before_inline(w);
	open_inlines(w);
	write_escaped(w, buf_str(&line));
	w->space = gap;
}

static void write_text(struct htmlwrite *w)
{
	if (!w->text.len || w->out->err)
		return;
	struct buf text = w->text;
	w->text = (struct buf){0};
	if (in_pre(w))
		write_preformatted(w, buf_str(&text));
	else
		write_collapsed(w, buf_str(&text));
	buf_free(&text);
}

static void remember_inlines(struct htmlwrite *w)
{
	w->text_count = w->active_count;
	memcpy(w->text_inlines, w->active, sizeof(w->active));
}

void htmlwrite_text(struct htmlwrite *w, struct str text)
{
	bool same = w->text_count == w->active_count &&
		    !memcmp(w->text_inlines, w->active, w->active_count * sizeof(*w->active));
	if (!same) {
		write_text(w);
		remember_inlines(w);
	}
	int r = text_repair(text, &w->text);
	if (r < 0)
		fail(w, r);
}

/* ---- the events ---- */

void htmlwrite_begin(struct htmlwrite *w, struct buf *out)
{
	*w = (struct htmlwrite){.out = out, .start = out->len};
	w->blocks[0] = (struct htmlwrite_block){.written = true, .attributes = ""};
}

int htmlwrite_finish(struct htmlwrite *w)
{
	write_text(w);
	w->active_count = 0;
	while (w->depth)
		pop(w);
	close_inlines(w, 0);
	return w->out->err;
}

void htmlwrite_free(struct htmlwrite *w)
{
	arena_free(&w->arena);
	buf_free(&w->text);
	buf_free(&w->pre_space);
}

void htmlwrite_boundary(struct htmlwrite *w)
{
	write_text(w);
	if (top(w)->tag == T_P) {
		pop(w);
	} else if (continues(w) && in_pre(w)) {
		if (!memchr(buf_text(&w->pre_space), '\n', w->pre_space.len))
			hold_space(w, STR("\n"));
	} else if (continues(w) && !w->breaks) {
		w->breaks = 1;
	}
}

void htmlwrite_block(struct htmlwrite *w, enum tag tag, const char *attributes, unsigned level)
{
	htmlwrite_boundary(w);
	if (!place(w, &tag))
		return;
	push(w, tag, attributes, level, false);
	/* An empty cell still keeps its column. */
	if (tag == T_TD || tag == T_TH)
		write_blocks(w);
}

void htmlwrite_inline(struct htmlwrite *w, enum tag tag, const char *attributes, unsigned level)
{
	if (w->active_count == HTMLWRITE_INLINES)
		return;
	struct htmlwrite_inline *inner = arena_alloc(&w->arena, sizeof(*inner));
	if (!inner) {
		fail(w, -ENOMEM);
		return;
	}
	*inner = (struct htmlwrite_inline){tag, attributes};
	w->active_level[w->active_count] = level;
	w->active[w->active_count++] = inner;
}

void htmlwrite_end(struct htmlwrite *w, unsigned level)
{
	while (w->active_count && w->active_level[w->active_count - 1] >= level)
		w->active_count--;
	while (w->depth && top(w)->level >= level)
		pop(w);
}

void htmlwrite_break(struct htmlwrite *w)
{
	if (in_pre(w)) {
		htmlwrite_text(w, STR("\n"));
		return;
	}
	write_text(w);
	if (continues(w) && w->breaks < 2)
		w->breaks++;
}

void htmlwrite_rule(struct htmlwrite *w)
{
	enum tag tag = T_HR;
	htmlwrite_boundary(w);
	if (!place(w, &tag))
		return;
	write_blocks(w);
	close_inlines(w, 0);
	buf_adds(w->out, "<hr>\n");
	block_tag_written(w);
}

void htmlwrite_image(struct htmlwrite *w, const char *attributes)
{
	write_text(w);
	remember_inlines(w);
	if (in_pre(w))
		htmlwrite_boundary(w);
	place_inline(w);
	before_inline(w);
	if (w->pre_space.len && in_pre(w))
		buf_addstr(w->out, buf_str(&w->pre_space));
	buf_reset(&w->pre_space);
	open_inlines(w);
	buf_printf(w->out, "<img%s>", attributes);
}

bool htmlwrite_within(const struct htmlwrite *w, enum tag tag)
{
	for (unsigned i = 0; i < w->active_count; i++)
		if (w->active[i]->tag == tag)
			return true;
	return false;
}

int htmlwrite_escape(struct buf *out, struct str text, bool attribute)
{
	while (text.n) {
		size_t n = 0;
		while (n < text.n && !strchr("&<>\"", text.p[n]) && text.p[n] != '\xCC')
			n++;
		buf_addstr(out, str_head(text, n));
		text = str_from(text, n);
		if (!text.n)
			break;
		/* U+0338 right after a tag would compose with its '>' in a later normalisation. */
		bool tagged = !out->len || out->data[out->len - 1] == '>';
		n = 1;
		if (str_starts(text, "\u0338") && tagged) {
			buf_adds(out, "&#824;");
			n = 2;
		} else if (text.p[0] == '&') {
			buf_adds(out, "&amp;");
		} else if (text.p[0] == '<') {
			buf_adds(out, "&lt;");
		} else if (text.p[0] == '>') {
			buf_adds(out, "&gt;");
		} else if (text.p[0] == '"' && attribute) {
			buf_adds(out, "&quot;");
		} else {
			buf_addc(out, text.p[0]);
		}
		text = str_from(text, n);
	}
	return out->err;
}

int htmlwrite_attribute(struct buf *out, const char *name, struct str value)
{
	_cleanup_buf_ struct buf line = {0};
	int r = text_line(value, &line);
	if (r < 0)
		return out->err = out->err ? out->err : r;
	buf_printf(out, " %s=\"", name);
	htmlwrite_escape(out, buf_str(&line), true);
	return buf_addc(out, '"');
}
