#include "news/date.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct parts {
	int year, month, day; /* month and day from 1; year -1: not seen yet */
	int hour, minute, second;
	uint32_t micro;
	int zone; /* seconds east of UTC */
	bool has_time;
};

struct number {
	int value;
	int digits;
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
				     "jul", "aug", "sep", "oct", "nov", "dec"};

static const struct {
	const char *name;
	int minutes;
} zones[] = {
    {"z", 0},       {"ut", 0},      {"utc", 0},    {"gmt", 0},    {"wet", 0},    {"bst", 60},
    {"west", 60},   {"cet", 60},    {"met", 60},   {"cest", 120}, {"mest", 120}, {"eet", 120},
    {"sast", 120},  {"eest", 180},  {"msk", 180},  {"ist", 330},  {"hkt", 480},  {"awst", 480},
    {"sgt", 480},   {"jst", 540},   {"kst", 540},  {"acst", 570}, {"aest", 600}, {"aedt", 660},
    {"nzst", 720},  {"nzdt", 780},  {"nst", -210}, {"ndt", -150}, {"ast", -240}, {"adt", -180},
    {"est", -300},  {"edt", -240},  {"et", -300},  {"cst", -360}, {"cdt", -300}, {"ct", -360},
    {"mst", -420},  {"mdt", -360},  {"mt", -420},  {"pst", -480}, {"pdt", -420}, {"pt", -480},
    {"akst", -540}, {"akdt", -480}, {"hst", -600}, {"brt", -180}, {"art", -180},
};

static bool at_digit(struct str s)
{
	return s.n && isdigit((unsigned char)s.p[0]);
}

static bool at(struct str s, char c)
{
	return s.n && s.p[0] == c;
}

/* Takes up to `max` digits. False when there is none. */
static bool take_number(struct str *s, int max, struct number *ret)
{
	*ret = (struct number){0};
	while (at_digit(*s) && ret->digits < max) {
		ret->value = ret->value * 10 + (s->p[0] - '0');
		ret->digits++;
		*s = str_from(*s, 1);
	}
	return ret->digits > 0;
}

static void skip_space(struct str *s)
{
	while (s->n && (isspace((unsigned char)s->p[0]) || at(*s, ',')))
		*s = str_from(*s, 1);
}

static int full_year(struct number year) /* RFC 2822 section 4.3 */
{
	if (year.digits <= 2)
		return year.value + (year.value < 50 ? 2000 : 1900);
	return year.digits == 3 ? year.value + 1900 : year.value;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t days_since_1970(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t shifted =
	    month + (month > 2 ? -3 : 9); /* March is 0, so that leap days come last */
	int64_t of_year = (153 * shifted + 2) / 5 + day - 1;
	return y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

static usec_t moment_of(const struct parts *p)
{
	if (p->year < 1970 || p->year > 9999 || p->month < 1 || p->month > 12 || p->day < 1 ||
	    p->day > days_in(p->year, p->month))
		return 0;
	bool midnight = p->hour == 24 && p->minute == 0 && p->second == 0;
	if ((p->hour > 23 && !midnight) || p->minute > 59 || p->second > 60)
		return 0;
	int64_t seconds = days_since_1970(p->year, p->month, p->day) * 86400 + p->hour * 3600 +
			  p->minute * 60 + p->second - p->zone;
	return seconds < 0 ? 0 : (usec_t)seconds * USEC_PER_SEC + p->micro;
}

/* "+0200", "+02:00", "-5", "+530": the sign is at the front. */
static bool take_offset(struct str *s, struct parts *p)
{
	int sign = at(*s, '-') ? -1 : 1;
	struct str rest = str_from(*s, 1);
	struct number h, m = {0};
	if (!take_number(&rest, 4, &h))
		return false;
	if (h.digits > 2) {
		m.value = h.value % 100;
		h.value /= 100;
	} else if (at(rest, ':')) {
		rest = str_from(rest, 1);
		if (!take_number(&rest, 2, &m))
			return false;
	}
	if (h.value > 24 || m.value > 59)
		return false;
	p->zone = sign * (h.value * 3600 + m.value * 60);
	*s = rest;
	return true;
}

/* hh:mm[:ss[.fraction]], a comma for the point too, then perhaps am or pm. */
static bool take_time(struct str *s, struct parts *p)
{
	struct number h, m, sec = {0};
	if (!take_number(s, 2, &h) || !at(*s, ':'))
		return false;
	*s = str_from(*s, 1);
	if (!take_number(s, 2, &m))
		return false;
	if (at(*s, ':')) {
		*s = str_from(*s, 1);
		if (!take_number(s, 2, &sec))
			return false;
	}
	if ((at(*s, '.') || at(*s, ',')) && at_digit(str_from(*s, 1))) {
		*s = str_from(*s, 1);
		for (uint32_t unit = 100000; at_digit(*s); unit /= 10, *s = str_from(*s, 1))
			p->micro += (uint32_t)(s->p[0] - '0') * unit;
	}
	struct str rest = str_trim(*s);
	if (h.value <= 12 &&
	    (str_case_is(str_head(rest, 2), "am") || str_case_is(str_head(rest, 2), "pm"))) {
		h.value = h.value % 12 + (tolower((unsigned char)rest.p[0]) == 'p' ? 12 : 0);
		*s = str_from(rest, 2);
	}
	p->hour = h.value;
	p->minute = m.value;
	p->second = sec.value;
	p->has_time = true;
	return true;
}

static bool zone_named(struct str word, struct parts *p)
{
	for (size_t i = 0; i < ELEMENTS(zones); i++)
		if (str_case_is(word, zones[i].name)) {
			p->zone = zones[i].minutes * 60;
			return true;
		}
	return false;
}

static int month_named(struct str word)
{
	for (int i = 0; word.n >= 3 && i < 12; i++)
		if (str_case_is(str_head(word, 3), months[i]))
			return i + 1;
	return 0;
}

/* Time and zone after the date of a W3CDTF or RFC 3339 text. */
static usec_t iso_rest(struct str s, struct parts *p)
{
	if (at(s, 'T') || at(s, 't'))
		s = str_from(s, 1);
	skip_space(&s);
	if (!s.n)
		return moment_of(p);
	struct str compact = s;
	struct number hms;
	if (take_number(&compact, 6, &hms) && (hms.digits == 6 || hms.digits == 4) &&
	    !at(compact, ':')) {
		if (hms.digits == 4)
			hms.value *= 100;
		p->hour = hms.value / 10000;
		p->minute = hms.value / 100 % 100;
		p->second = hms.value % 100;
		s = compact;
	} else if (at_digit(s) && !take_time(&s, p)) {
		return 0;
	}
	skip_space(&s);
	if ((at(s, '+') || at(s, '-')))
		take_offset(&s, p);
	else
		zone_named(str_trim(s), p);
	return moment_of(p);
}

/*
 * 2003-12-31, 2003-12, 2003, 20031231, 2003-365, 2003/12/31, 03-12-31, each with or without a time.
 * False: it doesn't look like one.
 */
static bool parse_iso(struct str s, usec_t *ret)
{
	struct number year, month = {0}, day = {0};
	struct parts p = {.month = 1, .day = 1};
	if (!take_number(&s, 8, &year) || year.digits < 2 || year.digits == 3 || year.digits == 5)
		return false;
	if (year.digits >= 6) { /* 20031231, 200312 */
		int ymd = year.digits == 8 ? year.value : year.value * 100 + 1;
		p.year = ymd / 10000;
		p.month = ymd / 100 % 100;
		p.day = ymd % 100;
		*ret = year.digits == 7 ? 0 : iso_rest(s, &p);
		return true;
	}
	p.year = full_year(year);
	char mark = s.n ? s.p[0] : '\0';
	if (year.digits == 4 && (!s.n || mark == 'T')) {
		*ret = iso_rest(s, &p);
		return true;
	}
	if (mark != '-' && mark != '/' && mark != '.')
		return false;
	s = str_from(s, 1);
	if (!take_number(&s, 4, &month))
		return false;
	if (year.digits == 2 && (mark != '-' || month.digits != 2))
		return false;
	if (month.digits == 3) { /* the day of the year */
		int left = month.value;
		for (p.month = 1; p.month < 12 && left > days_in(p.year, p.month); p.month++)
			left -= days_in(p.year, p.month);
		p.day = left;
	} else if (month.digits == 4) { /* 2003-1231 */
		p.month = month.value / 100;
		p.day = month.value % 100;
	} else {
		p.month = month.value;
		if (at(s, mark)) {
			s = str_from(s, 1);
			if (!take_number(&s, year.digits == 2 ? 4 : 2, &day))
				return false;
			p.day = day.value;
			if (day.digits == 4) { /* 31-12-2003 */
				p.day = year.value;
				p.year = day.value;
			}
		} else if (year.digits == 2) {
			return false;
		}
	}
	*ret = iso_rest(s, &p);
	return true;
}

/* A bare number in a textual date: the day comes first, then the year. */
static bool take_day_or_year(struct str *s, struct parts *p)
{
	struct number n;
	if (!take_number(s, 4, &n))
		return false;
	if (n.digits <= 2 && !p->day) {
		p->day = n.value;
		if (s->n >= 2 && !isspace((unsigned char)s->p[0]) &&
		    isalpha((unsigned char)s->p[0])) {
			struct str suffix = str_head(*s, 2);
			if (str_case_is(suffix, "st") || str_case_is(suffix, "nd") ||
			    str_case_is(suffix, "rd") || str_case_is(suffix, "th"))
				*s = str_from(*s, 2);
		}
	} else if (p->year < 0) {
		p->year = full_year(n);
	} else {
		return false;
	}
	if (at(*s, '-') || at(*s, '/') || at(*s, '.'))
		*s = str_from(*s, 1);
	return true;
}

static struct str take_word(struct str *s)
{
	size_t n = 0;
	while (n < s->n && (isalpha((unsigned char)s->p[n]) || (unsigned char)s->p[n] >= 0x80))
		n++;
	struct str word = str_head(*s, n);
	*s = str_from(*s, n);
	return word;
}

/* RFC 822 and all that means to be: words and numbers in nearly any order. */
static usec_t parse_textual(struct str s)
{
	struct parts p = {.year = -1};
	while (skip_space(&s), s.n) {
		if (at_digit(s)) {
			struct str time = s;
			if (!p.has_time && take_time(&time, &p))
				s = time;
			else if (!take_day_or_year(&s, &p))
				return 0;
		} else if ((at(s, '+') || at(s, '-')) && p.has_time) {
			if (!take_offset(&s, &p))
				s = str_from(s, 1);
		} else if (isalpha((unsigned char)s.p[0])) {
			struct str word = take_word(&s);
			int month = p.month ? 0 : month_named(word);
			if (month)
				p.month = month;
			else if (p.has_time)
				zone_named(word, &p);
			if (at(s, '-') && month)
				s = str_from(s, 1);
		} else {
			s = str_from(s, 1); /* (comment), "-", and the like */
		}
	}
	return p.month && p.day ? moment_of(&p) : 0;
}

usec_t date_parse(struct str text)
{
	enum { LONGEST = 100 };
	text = str_trim(text);
	if (!text.n || text.n > LONGEST)
		return 0;
	usec_t moment;
	if (at_digit(text) && parse_iso(text, &moment))
		return moment;
	return parse_textual(text);
}
