#include "news/texttable.h"

#include <errno.h>

#include "base/text.h"

static bool too_rich(enum tag tag)
{
	switch (tag) {
	case T_TABLE:
	case T_UL:
	case T_OL:
	case T_DL:
	case T_PRE:
	case T_BLOCKQUOTE:
	case T_FIGURE:
	case T_DIV:
	case T_HR: return true;
	default: return tag >= T_H1 && tag <= T_H6;
	}
}

static bool is_cell(enum tag tag)
{
	return tag == T_TD || tag == T_TH;
}

bool texttable_is_small(struct str html)
{
	unsigned rows = 0, columns = 0, most = 0;
	struct markup piece;
	while (markup_next(&html, &piece)) {
		if (piece.kind == MARKUP_CLOSE && piece.tag == T_TABLE)
			return most > 1 && most <= TEXTTABLE_COLUMNS && rows <= TEXTTABLE_ROWS;
		if (piece.kind != MARKUP_OPEN)
			continue;
		if (too_rich(piece.tag))
			return false;
		if (piece.tag == T_TR) {
			rows++;
			columns = 0;
		}
		columns += is_cell(piece.tag);
		most = columns > most ? columns : most;
	}
	return false;
}

static struct str take(struct texttable *table, struct buf *text, int *err)
{
	struct str trimmed = str_trim(buf_str(text));
	char *copy = text->err ? NULL : arena_copy(table->arena, trimmed);
	buf_reset(text);
	if (!copy)
		*err = -ENOMEM;
	return copy ? (struct str){copy, trimmed.n} : (struct str){"", 0};
}

int texttable_read(struct texttable *table, struct str *html,
		   void (*piece)(void *context, struct markup piece), void *context,
		   struct buf *text)
{
	struct markup next;
	unsigned column = 0, headings = 0;
	int err = 0;
	while (!err && markup_next(html, &next)) {
		bool open = next.kind == MARKUP_OPEN, close = next.kind == MARKUP_CLOSE;
		if (close && next.tag == T_TABLE)
			break;
		if (open && next.tag == T_TR) {
			table->rows += table->rows < TEXTTABLE_ROWS;
			column = 0;
		} else if (open && is_cell(next.tag)) {
			headings += next.tag == T_TH && table->rows == 1;
		} else if (close && is_cell(next.tag)) {
			struct str cell = take(table, text, &err);
			if (table->rows && column < TEXTTABLE_COLUMNS)
				table->cells[table->rows - 1][column++] = cell;
			table->columns = column > table->columns ? column : table->columns;
		} else if (close && next.tag == T_CAPTION) {
			table->caption = take(table, text, &err);
		} else if (next.tag != T_CAPTION && next.tag != T_TR &&
			   !(next.kind == MARKUP_TEXT && !str_trim(next.text).n && !text->len)) {
			piece(context, next);
		}
	}
	table->headed = headings > 1 && headings >= table->columns - 1;
	return err ? err : text->err;
}

static int write_columns(const struct texttable *table, const unsigned *widths, struct lines *lines)
{
	_cleanup_buf_ struct buf line = {0};
	for (unsigned row = 0; row < table->rows; row++) {
		buf_reset(&line);
		for (unsigned i = 0; i < table->columns; i++) {
			struct str cell = table->cells[row][i];
			buf_addstr(&line, cell);
			for (unsigned k = text_width(cell); k < widths[i] + 2; k++)
				buf_addc(&line, ' ');
		}
		if (line.err)
			return line.err;
		lines_add(lines, buf_str(&line));
		if (row || !table->headed)
			continue;
		buf_reset(&line);
		for (unsigned i = 0; i < table->columns; i++) {
			for (unsigned k = 0; k < widths[i]; k++)
				buf_addc(&line, '-');
			buf_adds(&line, "  ");
		}
		if (line.err)
			return line.err;
		lines_add(lines, buf_str(&line));
	}
	return 0;
}

static int write_cells(const struct texttable *table, struct lines *lines)
{
	_cleanup_buf_ struct buf line = {0};
	for (unsigned row = table->headed; row < table->rows; row++) {
		lines_gap(lines);
		for (unsigned i = 0; i < table->columns; i++) {
			struct str cell = table->cells[row][i];
			struct str heading = table->headed ? table->cells[0][i] : (struct str){0};
			if (!cell.n)
				continue;
			buf_reset(&line);
			buf_addstr(&line, heading);
			buf_adds(&line, heading.n ? ": " : "");
			buf_addstr(&line, cell);
			if (line.err)
				return line.err;
			lines_push(lines, "", "  ");
			lines_wrap(lines, buf_str(&line));
			lines_pop(lines);
		}
	}
	return 0;
}

int texttable_write(const struct texttable *table, struct lines *lines)
{
	unsigned widths[TEXTTABLE_COLUMNS] = {0}, total = 0;
	for (unsigned i = 0; i < table->columns; i++) {
		for (unsigned row = 0; row < table->rows; row++) {
			unsigned width = text_width(table->cells[row][i]);
			widths[i] = width > widths[i] ? width : widths[i];
		}
		total += widths[i] + (i ? 2 : 0);
	}
	if (table->caption.n) {
		lines_wrap(lines, table->caption);
		lines_gap(lines);
	}
	return total <= lines_room(lines) ? write_columns(table, widths, lines)
					  : write_cells(table, lines);
}
