#include "ctl/csv.h"

#include <errno.h>
#include <string.h>

static int take(struct csv *c)
{
	int ch = getc_unlocked(c->in);
	if (ch != EOF)
		c->bytes++;
	if (ch == '\n')
		c->next_line++;
	return ch;
}

static void put_back(struct csv *c, int ch)
{
	if (ch == EOF)
		return;
	ungetc(ch, c->in);
	c->bytes--;
	if (ch == '\n')
		c->next_line--;
}

/* "\n", "\r\n" or "\r" as one line's end. */
static bool ends_line(struct csv *c, int ch)
{
	if (ch == '\r') {
		int next = take(c);
		if (next != '\n')
			put_back(c, next);
		return true;
	}
	return ch == '\n' || ch == EOF;
}

static int skip_line(struct csv *c, int ch)
{
	while (!ends_line(c, ch))
		ch = take(c);
	return -EBADMSG;
}

static int too_long(struct csv *c, struct why *why)
{
	return why_set(why, -EINVAL,
		       "line %ld: a record of more than %d bytes; is a quote never closed?",
		       c->line, CSV_LONGEST);
}

/* What stands within quotes; *ret_next is what follows them. */
static int quoted(struct csv *c, int *ret_next, struct why *why)
{
	for (;;) {
		int ch = take(c);
		if (ch == EOF)
			return why_set(why, -EINVAL, "line %ld: a quote is never closed", c->line);
		if (ch == '"' && (ch = take(c)) != '"') {
			*ret_next = ch;
			return 0;
		}
		if (buf_addc(&c->text, (char)ch) < 0)
			return c->text.err == -ENOMEM ? -ENOMEM : too_long(c, why);
	}
}

/* 1: another field follows; 0: it was the last. */
static int read_field(struct csv *c, struct why *why)
{
	int ch = take(c);
	if (ch == '"') {
		int r = quoted(c, &ch, why);
		if (r < 0)
			return r;
		if (ch != c->mark && ch != '\r' && ch != '\n' && ch != EOF) {
			skip_line(c, ch);
			return why_set(why, -EBADMSG, "text stands behind a closing quote");
		}
	} else {
		for (; ch != c->mark && ch != '\r' && ch != '\n' && ch != EOF; ch = take(c))
			if (buf_addc(&c->text, (char)ch) < 0)
				return c->text.err == -ENOMEM ? -ENOMEM : too_long(c, why);
	}
	return ch == c->mark ? 1 : ends_line(c, ch) ? 0 : -EIO;
}

static void skip_empty_lines(struct csv *c)
{
	int ch;
	do
		ch = take(c);
	while (ch == '\n' || ch == '\r');
	put_back(c, ch);
	c->line = c->next_line;
}

int csv_next(struct csv *c, struct why *why)
{
	buf_reset(&c->text);
	c->text.limit = CSV_LONGEST;
	c->count = 0;
	skip_empty_lines(c);
	if (feof(c->in) || ferror(c->in))
		return ferror(c->in) ? why_set(why, -EIO, "can't be read: %s", strerror(errno)) : 0;
	int r;
	do {
		if (c->count == CSV_FIELDS) {
			skip_line(c, take(c));
			return why_set(why, -EBADMSG, "more than %d fields", CSV_FIELDS);
		}
		r = read_field(c, why);
		c->ends[c->count++] = c->text.len;
	} while (r == 1);
	size_t start = 0;
	for (size_t i = 0; i < c->count; start = c->ends[i++])
		c->fields[i] = (struct str){buf_text(&c->text) + start, c->ends[i] - start};
	return r < 0 ? r : 1;
}

/* The sign that the header has most of, outside of quotes. */
static char find_mark(struct str line)
{
	static const char marks[] = ",;\t";
	size_t counts[3] = {0};
	bool within = false;
	for (size_t i = 0; i < line.n; i++) {
		const char *mark = line.p[i] ? strchr(marks, line.p[i]) : NULL;
		if (line.p[i] == '"')
			within = !within;
		else if (mark && !within)
			counts[mark - marks]++;
	}
	return counts[1] > counts[0] && counts[1] >= counts[2] ? ';'
	       : counts[2] > counts[0]                         ? '\t'
							       : ',';
}

/* The header as one line: no file is read twice, standard input can't be. */
static int read_header_line(struct csv *c, struct buf *line)
{
	static const char bom[] = "\xef\xbb\xbf";
	line->limit = CSV_LONGEST;
	int ch = take(c);
	for (size_t i = 0; i < 3 && ch == (unsigned char)bom[i]; i++)
		ch = take(c);
	while (ch == '\n' || ch == '\r')
		ch = take(c);
	for (; !ends_line(c, ch); ch = take(c))
		buf_addc(line, (char)ch);
	return line->err;
}

int csv_begin(struct csv *c, FILE *in, struct why *why)
{
	_cleanup_buf_ struct buf line = {0};
	*c = (struct csv){.in = in, .next_line = 1};
	int r = read_header_line(c, &line);
	if (r < 0)
		return r == -ENOMEM ? r : why_set(why, -EINVAL, "the header is too long");
	if (ferror(in))
		return why_set(why, -EIO, "can't be read: %s", strerror(errno));
	if (line.len == 0)
		return 0;
	c->mark = find_mark(buf_str(&line));
	_cleanup_fclose_ FILE *text = fmemopen(line.data, line.len, "r");
	if (!text)
		return -ENOMEM;
	struct csv header = {.in = text, .mark = c->mark, .next_line = 1};
	r = csv_next(&header, why);
	c->text = header.text;
	c->count = header.count;
	memcpy(c->fields, header.fields, sizeof(c->fields));
	c->line = 1;
	return r == -EBADMSG ? -EINVAL : r;
}

void csv_free(struct csv *c)
{
	buf_free(&c->text);
}

static bool needs_quotes(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (strchr(",;\t\"\r\n", s.p[i]))
			return true;
	return s.n && (s.p[0] == ' ' || s.p[s.n - 1] == ' ');
}

void csv_put(struct buf *out, bool first, struct str field)
{
	if (!first)
		buf_addc(out, ',');
	if (!needs_quotes(field)) {
		buf_addstr(out, field);
		return;
	}
	buf_addc(out, '"');
	for (size_t i = 0; i < field.n; i++) {
		if (field.p[i] == '"')
			buf_addc(out, '"');
		buf_addc(out, field.p[i]);
	}
	buf_addc(out, '"');
}
