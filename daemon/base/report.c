#include "base/report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

enum { LINE = 1024 };

/* The number of the file whose name was added at `at`. */
static unsigned file_number(const struct report *r, size_t at, size_t len)
{
	unsigned most = 0;
	for (unsigned i = 0; i < r->n; i++) {
		const struct report_line *l = &r->lines[i];
		if (l->file_len == len && memcmp(r->text.data + l->at, r->text.data + at, len) == 0)
			return l->file;
		most = l->file > most ? l->file : most;
	}
	return most + 1;
}

__attribute__((format(printf, 5, 0))) static void add_line(struct report *r, const char *file,
							   unsigned line, const char *kind,
							   const char *format, va_list args)
{
	if (r->n == REPORT_MOST) {
		if (r->errors + r->warnings == REPORT_MOST + 1)
			buf_adds(&r->text, "... and more\n");
		return;
	}
	char words[LINE];
	vsnprintf(words, sizeof(words), format, args);
	size_t at = r->text.len;
	text_shown(str_of(file), &r->text);
	size_t file_len = r->text.len - at;
	if (line)
		buf_printf(&r->text, ":%u", line);
	buf_printf(&r->text, ": %s: ", kind);
	text_shown(str_of(words), &r->text);
	if (buf_addc(&r->text, '\n') < 0)
		return;
	struct report_line added = {at, r->text.len - at, file_number(r, at, file_len), file_len,
				    line};
	r->lines[r->n++] = added;
}

static bool goes_before(const struct report_line *a, const struct report_line *b)
{
	return a->file != b->file ? a->file < b->file : a->line < b->line;
}

void report_sort(struct report *r)
{
	if (r->n < 2)
		return;
	/* Few lines, mostly in order, and equals keep theirs: insertion. */
	for (unsigned i = 1; i < r->n; i++) {
		struct report_line moved = r->lines[i];
		unsigned to = i;
		for (; to && goes_before(&moved, &r->lines[to - 1]); to--)
			r->lines[to] = r->lines[to - 1];
		r->lines[to] = moved;
	}
	struct buf sorted = {0};
	size_t end = 0; /* what follows the lines is no line: "... and more" */
	for (unsigned i = 0; i < r->n; i++) {
		const struct report_line *l = &r->lines[i];
		buf_add(&sorted, r->text.data + l->at, l->len);
		end = l->at + l->len > end ? l->at + l->len : end;
	}
	buf_addstr(&sorted, str_from(buf_str(&r->text), end));
	if (sorted.err || r->text.err) { /* then they stay as they were */
		buf_free(&sorted);
		return;
	}
	buf_free(&r->text);
	r->text = sorted;
	for (size_t i = 0, at = 0; i < r->n; at += r->lines[i++].len)
		r->lines[i].at = at;
}

void report_error(struct report *r, const char *file, unsigned line, const char *format, ...)
{
	r->errors++;
	va_list args;
	va_start(args, format);
	add_line(r, file, line, "error", format, args);
	va_end(args);
}

void report_warning(struct report *r, const char *file, unsigned line, const char *format, ...)
{
	r->warnings++;
	va_list args;
	va_start(args, format);
	add_line(r, file, line, "warning", format, args);
	va_end(args);
}

void report_log(const struct report *r)
{
	struct str rest = buf_str(&r->text), line;
	enum log_level level = r->errors ? LOG_ERROR : LOG_WARNING;
	while (rest.n && str_cut(rest, '\n', &line, &rest))
		log_line(level, "%.*s", (int)line.n, line.p);
	if (r->text.err)
		log_line(level, "out of memory while telling of %u errors and %u warnings",
			 r->errors, r->warnings);
}

void report_free(struct report *r)
{
	buf_free(&r->text);
	*r = (struct report){0};
}
