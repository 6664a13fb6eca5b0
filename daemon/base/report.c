#include "base/report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/log.h"

enum { LINE = 1024 };

static void add_shown(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_addc(b, *text);
	}
}

__attribute__((format(printf, 5, 0))) static void add_line(struct report *r, const char *file,
							   unsigned line, const char *kind,
							   const char *format, va_list args)
{
	if (r->errors + r->warnings > REPORT_MOST) {
		if (r->errors + r->warnings == REPORT_MOST + 1)
			buf_adds(&r->text, "... and more\n");
		return;
	}
	char words[LINE];
	vsnprintf(words, sizeof(words), format, args);
	add_shown(&r->text, file);
	if (line)
		buf_printf(&r->text, ":%u", line);
	buf_printf(&r->text, ": %s: ", kind);
	add_shown(&r->text, words);
	buf_addc(&r->text, '\n');
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
