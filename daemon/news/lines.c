#include "news/lines.h"

#include <stdio.h>

#include "base/text.h"

void lines_begin(struct lines *l, struct buf *out, unsigned width)
{
	*l = (struct lines){.out = out, .start = out->len, .width = width};
}

void lines_push(struct lines *l, const char *first, const char *rest)
{
	if (l->depth++ >= LINES_LEVELS)
		return;
	struct lines_level *level = &l->levels[l->depth - 1];
	*level = (struct lines_level){0};
	snprintf(level->first, sizeof(level->first), "%s", first);
	snprintf(level->rest, sizeof(level->rest), "%s", rest);
}

void lines_pop(struct lines *l)
{
	if (l->depth)
		l->depth--;
	if (l->gap_depth > l->depth)
		l->gap_depth = l->depth;
}

void lines_gap(struct lines *l)
{
	if (l->gap)
		return;
	l->gap = true;
	l->gap_depth = l->depth;
}

void lines_close_gap(struct lines *l)
{
	l->gap = false;
}

static unsigned marked(const struct lines *l)
{
	return l->depth < LINES_LEVELS ? l->depth : LINES_LEVELS;
}

bool lines_item_begins(struct lines *l)
{
	return l->depth && l->depth <= LINES_LEVELS && !l->levels[l->depth - 1].begun;
}

unsigned lines_room(const struct lines *l)
{
	unsigned taken = 0;
	for (unsigned i = 0; i < marked(l); i++)
		taken += text_width(str_of(l->levels[i].rest));
	return l->width > taken + LINES_NARROWEST ? l->width - taken : LINES_NARROWEST;
}

static void end_line(struct lines *l)
{
	while (l->out->len > l->start && l->out->data[l->out->len - 1] == ' ')
		buf_truncate(l->out, l->out->len - 1);
	buf_addc(l->out, '\n');
}

void lines_add(struct lines *l, struct str line)
{
	if (l->gap && l->out->len > l->start) {
		for (unsigned i = 0; i < marked(l) && i < l->gap_depth; i++)
			buf_adds(l->out, l->levels[i].rest);
		end_line(l);
	}
	l->gap = false;
	for (unsigned i = 0; i < marked(l); i++) {
		struct lines_level *level = &l->levels[i];
		buf_adds(l->out, level->begun ? level->rest : level->first);
		level->begun = true;
	}
	buf_addstr(l->out, line);
	end_line(l);
}

/* Signs that don't begin a line in Chinese and Japanese, and those that don't end one. */
static bool stays_behind(int32_t c)
{
	switch (c) {
	case 0x3001: /* 、 */
	case 0x3002: /* 。 */
	case 0x3005: /* 々 */
	case 0x300D: /* 」 */
	case 0x300F: /* 』 */
	case 0x3009: /* 〉 */
	case 0x300B: /* 》 */
	case 0x3011: /* 】 */
	case 0x30FC: /* ー */
	case 0xFF01: /* ！ */
	case 0xFF09: /* ） */
	case 0xFF0C: /* ， */
	case 0xFF0E: /* ． */
	case 0xFF1A: /* ： */
	case 0xFF1B: /* ； */
	case 0xFF1F: /* ？ */ return true;
	default: return false;
	}
}

static bool holds_on(int32_t c)
{
	return c == 0x300C || c == 0x300E || c == 0x3008 || c == 0x300A || c == 0x3010 ||
	       c == 0xFF08;
}

/* The length of what fits into one line; at least one word. *ret_next is where the next begins. */
static size_t fit(struct str s, unsigned room, size_t *ret_next)
{
	size_t good = 0, next = 0; /* the last place to break at */
	unsigned width = 0, last_width = 0;
	int32_t last = 0;
	for (struct str rest = s; rest.n;) {
		size_t at = s.n - rest.n;
		int32_t c = text_take(&rest);
		unsigned own = text_char_width(c);
		bool between = at && own && (own == 2 || last_width == 2) && !stays_behind(c) &&
			       !holds_on(last);
		if (c == ' ') {
			good = at;
			next = s.n - rest.n;
		} else if (between && last != ' ') {
			good = next = at;
		}
		width += own;
		if (width > room && next && c != ' ') {
			*ret_next = next;
			return good;
		}
		if (own) {
			last = c;
			last_width = own;
		}
	}
	*ret_next = s.n;
	return s.n;
}

unsigned lines_wrap(struct lines *l, struct str text)
{
	unsigned longest = 0, room = lines_room(l);
	while (text.n) {
		const char *newline = memchr(text.p, '\n', text.n);
		struct str line = str_head(text, newline ? (size_t)(newline - text.p) : text.n);
		text = str_from(text, newline ? line.n + 1 : line.n);
		line = str_trim(line);
		do {
			size_t next;
			struct str part = str_head(line, fit(line, room, &next));
			unsigned width = text_width(part);
			longest = width > longest ? width : longest;
			lines_add(l, part);
			line = str_from(line, next);
		} while (line.n);
	}
	return longest;
}
