#include "store/pgtext.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

int pgtext_int64s(struct buf *b, const int64_t *values, size_t count)
{
	buf_addc(b, '{');
	for (size_t i = 0; i < count; i++)
		buf_printf(b, "%s%" PRId64, i ? "," : "", values[i]);
	return buf_addc(b, '}');
}

static void add_quoted(struct buf *b, struct str s)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, s.p[i]);
	}
	buf_addc(b, '"');
}

int pgtext_texts(struct buf *b, const struct str *values, size_t count)
{
	buf_addc(b, '{');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_addc(b, ',');
		if (values[i].p)
			add_quoted(b, values[i]);
		else
			buf_adds(b, "NULL");
	}
	return buf_addc(b, '}');
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int pgtext_read_hex(struct str text, struct arena *arena, struct str *ret)
{
	if (!str_starts(text, "\\x") || text.n % 2 != 0)
		return -EINVAL;
	size_t n = text.n / 2 - 1;
	char *bytes = arena_alloc(arena, n + 1);
	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text.p[2 + 2 * i]), low = hex_digit(text.p[3 + 2 * i]);
		if (high < 0 || low < 0)
			return -EINVAL;
		bytes[i] = (char)(high << 4 | low);
	}
	*ret = (struct str){bytes, n};
	return 0;
}

/* Copies one element, unquoted, to *to; returns how many bytes of text it took, or -EINVAL. */
static ptrdiff_t read_element(struct str text, char *to, size_t *ret_n, bool *ret_quoted)
{
	size_t at = 0, n = 0;
	bool inside = false, quoted = false;
	for (; at < text.n; at++) {
		char c = text.p[at];
		if (!inside && (c == ',' || c == '}'))
			break;
		if (c == '"') {
			inside = !inside;
			quoted = true;
			continue;
		}
		if (!inside && c == '{')
			return -EINVAL;
		if (c == '\\' && ++at == text.n)
			return -EINVAL;
		to[n++] = text.p[at];
	}
	if (inside || at == text.n)
		return -EINVAL;
	to[n] = '\0';
	*ret_n = n;
	*ret_quoted = quoted;
	return (ptrdiff_t)at;
}

int pgtext_read_array(struct str text, struct arena *arena, struct str **ret, size_t *ret_count)
{
	if (text.n < 2 || text.p[0] != '{' || text.p[text.n - 1] != '}')
		return -EINVAL;
	size_t most = 1, count = 0;
	for (size_t i = 0; i < text.n; i++)
		most += text.p[i] == ',';
	struct str *list = arena_array(arena, most, sizeof(*list));
	/* Each element is shorter than its text, and its comma or brace makes room for the NUL. */
	char *to = arena_alloc(arena, text.n + 1);
	if (!list || !to)
		return -ENOMEM;
	struct str rest = str_from(text, 1);
	while (!(count == 0 && str_is(rest, "}"))) {
		size_t n;
		bool quoted;
		ptrdiff_t took = read_element(rest, to, &n, &quoted);
		if (took < 0)
			return -EINVAL;
		struct str element = {to, n};
		bool null = !quoted && str_case_is(element, "NULL");
		list[count++] = null ? (struct str){NULL, 0} : element;
		to += n + 1;
		char mark = rest.p[took];
		rest = str_from(rest, (size_t)took + 1);
		if (mark == '}')
			break;
	}
	if (rest.n > 0 && !str_is(rest, "}"))
		return -EINVAL;
	*ret = list;
	*ret_count = count;
	return 0;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_to(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = year / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* ".25" to 250000; moves *text behind it. */
static int64_t read_fraction(const char **text)
{
	int64_t micros = 0, scale = 100000;
	if (**text != '.')
		return 0;
	for (++*text; isdigit((unsigned char)**text); ++*text, scale /= 10)
		micros += (**text - '0') * scale;
	return micros;
}

/* "+05:30", "-02", "+00:53:28" to seconds. */
static int read_offset(const char *text, int *ret)
{
	int hours = 0, minutes = 0, seconds = 0;
	if ((*text != '+' && *text != '-') || strstr(text, "BC") ||
	    sscanf(text + 1, "%2d:%2d:%2d", &hours, &minutes, &seconds) < 1)
		return -EINVAL;
	int offset = hours * 3600 + minutes * 60 + seconds;
	*ret = *text == '-' ? -offset : offset;
	return 0;
}

int pgtext_read_usec(const char *text, usec_t *ret)
{
	if (strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0) {
		*ret = *text == '-' ? 0 : UINT64_MAX;
		return 0;
	}
	int year, month, day, hour, minute, second, offset, used = 0;
	if (sscanf(text, "%6d-%2d-%2d %2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second,
		   &used) < 6)
		return -EINVAL;
	const char *rest = text + used;
	int64_t micros = read_fraction(&rest);
	if (read_offset(rest, &offset) < 0)
		return -EINVAL;
	int64_t seconds =
	    days_to(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
	*ret = seconds < 0 ? 0 : (usec_t)seconds * USEC_PER_SEC + (usec_t)micros;
	return 0;
}
