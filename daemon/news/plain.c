#include "news/plain.h"

#include <ctype.h>

#include "base/text.h"
#include "news/html.h"

enum { WRAPPED_FROM = 50, WRAPPED_TO = 85 };

static struct str take_line(struct str *text)
{
	return str_trim(str_take(text, '\n'));
}

struct str plain_take_title(struct str *text)
{
	struct str line = {"", 0};
	while (text->n && !line.n)
		line = take_line(text);
	return line;
}

/* The length of the address at the front; 0: none. */
static size_t address_length(struct str s)
{
	if (!str_starts(s, "https://") && !str_starts(s, "http://"))
		return 0;
	size_t n = 0, parentheses = 0;
	while (n < s.n && (unsigned char)s.p[n] > ' ' && !strchr("<>\"", s.p[n])) {
		parentheses += s.p[n] == '(';
		n++;
	}
	/* Punctuation at its end is the sentence's, a parenthesis that it didn't open as well. */
	while (n && (strchr(".,;:!?'", s.p[n - 1]) || (s.p[n - 1] == ')' && !parentheses)))
		n--;
	size_t host = str_starts(s, "https://") ? 8 : 7;
	return n > host ? n : 0;
}

static void add_line(struct str line, struct buf *out)
{
	size_t from = 0;
	for (size_t i = 0; i < line.n;) {
		bool begins = !i || !isalnum((unsigned char)line.p[i - 1]);
		size_t n = begins ? address_length(str_from(line, i)) : 0;
		if (!n) {
			i++;
			continue;
		}
		struct str address = str_head(str_from(line, i), n);
		html_escape(str_head(str_from(line, from), i - from), out);
		buf_adds(out, "<a href=\"");
		html_escape(address, out); /* it has no quote in it */
		buf_adds(out, "\">");
		html_escape(address, out);
		buf_adds(out, "</a>");
		i += n;
		from = i;
	}
	html_escape(str_from(line, from), out);
}

static bool begins_item(struct str line)
{
	size_t n = 0;
	while (n < line.n && isdigit((unsigned char)line.p[n]))
		n++;
	if (n && n < 4)
		return n + 1 < line.n && strchr(".)", line.p[n]) && line.p[n + 1] == ' ';
	return str_starts(line, "- ") || str_starts(line, "* ") || str_starts(line, "• ");
}

int plain_to_html(struct str text, struct buf *out)
{
	bool open = false;
	unsigned last = 0; /* columns of the line before */
	while (text.n && !out->err) {
		struct str line = take_line(&text);
		if (!line.n || (open && last > WRAPPED_TO)) {
			buf_adds(out, open ? "</p>\n" : "");
			open = false;
		}
		if (!line.n)
			continue;
		if (!open)
			buf_adds(out, "<p>");
		else if (last < WRAPPED_FROM || begins_item(line))
			buf_adds(out, "<br>\n");
		else
			buf_addc(out, ' ');
		add_line(line, out);
		open = true;
		last = text_width(line);
	}
	return buf_adds(out, open ? "</p>\n" : "");
}
