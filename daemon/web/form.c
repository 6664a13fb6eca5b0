#include "web/form.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

static int add(struct form *form, struct str name, struct str value)
{
	if (form->n == FORM_FIELDS)
		return -E2BIG;
	form->fields[form->n++] = (struct form_field){name, value};
	return 0;
}

struct str form_get(const struct form *form, const char *name)
{
	for (size_t i = 0; i < form->n; i++)
		if (str_is(form->fields[i].name, name))
			return form->fields[i].value;
	return (struct str){"", 0};
}

/* ---- urlencoded --------------------------------------------------------------------------- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A "%" that is followed by no two hex digits stands for itself, as in browsers. */
static int unescape(struct str s, struct arena *arena, struct str *ret)
{
	if (!s.n || (!memchr(s.p, '%', s.n) && !memchr(s.p, '+', s.n))) {
		*ret = s;
		return 0;
	}
	char *out = arena_alloc(arena, s.n);
	if (!out)
		return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex(s.p[i + 2]) : -1;
		if (low >= 0) {
			out[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			out[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	*ret = (struct str){out, n};
	return 0;
}

static int parse_urlencoded(struct str body, struct arena *arena, struct form *ret)
{
	while (body.n) {
		struct str value = str_take(&body, '&');
		if (!value.n)
			continue;
		struct str name = str_take(&value, '=');
		int r = unescape(name, arena, &name);
		if (r == 0)
			r = unescape(value, arena, &value);
		if (r == 0)
			r = add(ret, name, value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- multipart ---------------------------------------------------------------------------- */

static bool cut_at(struct str s, struct str mark, struct str *ret_before, struct str *ret_rest)
{
	const char *at = s.n ? memmem(s.p, s.n, mark.p, mark.n) : NULL;
	if (!at)
		return false;
	size_t n = (size_t)(at - s.p);
	*ret_before = str_head(s, n);
	*ret_rest = str_from(s, n + mark.n);
	return true;
}

/*
 * Takes the next parameter off a header's value, '; name="value"' (a quoted value as browsers write
 * them: a quote within is "%22", or is escaped by a backslash, which is left in).
 */
static bool next_parameter(struct str *rest, struct str *ret_name, struct str *ret_value)
{
	struct str before, after, name;
	if (!str_cut(*rest, ';', &before, &after) || !str_cut(after, '=', &name, &after))
		return false;
	*ret_name = str_trim(name);
	after = str_trim(after);
	if (after.n && *after.p == '"') {
		size_t end = 1;
		while (end < after.n && after.p[end] != '"')
			end += after.p[end] == '\\' ? 2 : 1;
		if (end >= after.n)
			return false;
		*ret_value = (struct str){after.p + 1, end - 1};
		*rest = str_from(after, end + 1);
		return true;
	}
	*ret_value = after;
	*rest = (struct str){after.p + after.n, 0};
	if (str_cut(after, ';', &before, &after)) {
		*ret_value = before;
		*rest = (struct str){before.p + before.n, after.n + 1};
	}
	*ret_value = str_trim(*ret_value);
	return true;
}

static struct str parameter(struct str value, const char *wanted)
{
	struct str name, found;
	while (next_parameter(&value, &name, &found))
		if (str_case_is(name, wanted))
			return found;
	return (struct str){"", 0};
}

/* The media type or the like, without its parameters. */
static struct str first_word(struct str value)
{
	return str_trim(str_take(&value, ';'));
}

/* The name that a part's header gives; empty: it is none of a form, or a file. */
static struct str part_name(struct str header)
{
	while (header.n) {
		struct str line = header, rest = {"", 0}, field, value;
		cut_at(header, STR("\r\n"), &line, &rest);
		header = rest;
		if (!str_cut(line, ':', &field, &value) ||
		    !str_case_is(str_trim(field), "content-disposition"))
			continue;
		if (!str_case_is(first_word(value), "form-data") || parameter(value, "filename").n)
			break;
		return parameter(value, "name");
	}
	return (struct str){"", 0};
}

static int parse_part(struct str part, struct form *ret)
{
	struct str header, value;
	if (str_starts(part, "\r\n")) { /* no header at all */
		return 0;
	}
	if (!cut_at(part, STR("\r\n\r\n"), &header, &value))
		return -EINVAL;
	struct str name = part_name(header);
	return name.n ? add(ret, name, value) : 0;
}

static int parse_multipart(struct str boundary, struct str body, struct arena *arena,
			   struct form *ret)
{
	if (boundary.n == 0 || boundary.n > 70)
		return -EINVAL;
	const char *mark = arena_printf(arena, "\r\n--%.*s", (int)boundary.n, boundary.p);
	if (!mark)
		return -ENOMEM;
	struct str delimiter = str_of(mark), skipped, part;
	if (delimiter.n != boundary.n + 4) /* it held a NUL */
		return -EINVAL;

	/* The first may stand at the very start, without a line's end before it. */
	struct str first = str_from(delimiter, 2);
	if (body.n >= first.n && memcmp(body.p, first.p, first.n) == 0)
		body = str_from(body, first.n);
	else if (!cut_at(body, delimiter, &skipped, &body))
		return -EINVAL;
	while (!str_starts(body, "--")) {
		struct str padding;
		if (!cut_at(body, STR("\r\n"), &padding, &body) || str_trim(padding).n ||
		    !cut_at(body, delimiter, &part, &body))
			return -EINVAL;
		int r = parse_part(part, ret);
		if (r < 0)
			return r;
	}
	return 0;
}

int form_parse(struct str type, struct str body, struct arena *arena, struct form *ret)
{
	struct form form = {.n = 0};
	struct str kind = first_word(type);
	int r;
	if (kind.n == 0 || str_case_is(kind, "application/x-www-form-urlencoded"))
		r = parse_urlencoded(body, arena, &form);
	else if (str_case_is(kind, "multipart/form-data"))
		r = parse_multipart(parameter(type, "boundary"), body, arena, &form);
	else
		return -ENOTSUP;
	if (r == 0)
		*ret = form;
	return r;
}
