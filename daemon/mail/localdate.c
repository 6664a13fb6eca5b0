#include "mail/localdate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mail/jsontext.h"

struct day {
	int year;
	int month;   /* 1 to 12 */
	int day;     /* 1 to 31 */
	int weekday; /* ISO 8601: 1 is Monday, 7 is Sunday */
};

static bool read_day(struct str text, struct day *ret)
{
	static const char shape[] = "dddd-dd-dd";
	char copy[sizeof(shape)];
	struct day day;
	if (text.n < strlen(shape))
		return false;
	for (size_t i = 0; i < strlen(shape); i++) {
		bool digit = text.p[i] >= '0' && text.p[i] <= '9';
		if (shape[i] == 'd' ? !digit : text.p[i] != shape[i])
			return false;
		copy[i] = text.p[i];
	}
	copy[strlen(shape)] = '\0';
	if (sscanf(copy, "%4d-%2d-%2d", &day.year, &day.month, &day.day) != 3)
		return false;
	struct tm tm = {
	    .tm_year = day.year - 1900, .tm_mon = day.month - 1, .tm_mday = day.day, .tm_hour = 12};
	timegm(&tm); /* sets the weekday, and moves what is no day to another one */
	if (tm.tm_mon != day.month - 1)
		return false;
	day.weekday = tm.tm_wday ? tm.tm_wday : 7;
	*ret = day;
	return true;
}

bool localdate_is(struct str text)
{
	struct day day;
	return read_day(text, &day);
}

static int add_name(struct buf *out, json_t *words, const char *names, int number)
{
	char key[16];
	snprintf(key, sizeof(key), "%d", number);
	return buf_addstr(out, jsontext_of(json_object_get(words, names), key));
}

static int add_field(struct buf *out, json_t *words, struct str field, const struct day *day)
{
	if (str_is(field, "year"))
		return buf_printf(out, "%d", day->year);
	if (str_is(field, "day"))
		return buf_printf(out, "%d", day->day);
	if (str_is(field, "month"))
		return add_name(out, words, "months", day->month);
	if (str_is(field, "weekday"))
		return add_name(out, words, "weekdays", day->weekday);
	return buf_printf(out, "{%.*s}", (int)field.n, field.p);
}

int localdate_format(json_t *words, const char *key, struct str date, struct buf *out)
{
	struct day day;
	struct str before, field, rest = jsontext_of(words, key);
	if (!read_day(date, &day))
		return out->err;
	if (rest.n == 0)
		return buf_addstr(out, str_head(date, strlen("2026-11-24")));
	for (struct str after; str_cut(rest, '{', &before, &after); rest = after) {
		if (!str_cut(after, '}', &field, &after))
			break;
		buf_addstr(out, before);
		add_field(out, words, field, &day);
	}
	return buf_addstr(out, rest);
}
