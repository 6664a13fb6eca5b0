#include "base/config_number.h"

#include <stdint.h>
#include <string.h>

#define DIGITS "0123456789"

static size_t span(struct str s, const char *set)
{
	size_t n = 0;
	while (n < s.n && strchr(set, s.p[n]))
		n++;
	return n;
}

bool config_is_integer(struct str s, bool *ret_fits)
{
	bool negative = s.n && *s.p == '-';
	if (s.n && strchr("+-", *s.p))
		s = str_from(s, 1);
	unsigned base = str_starts(s, "0x") || str_starts(s, "0X") ? 16 : 10;
	s = str_from(s, base == 16 ? 2 : 0);
	size_t digits = span(s, base == 16 ? DIGITS "abcdefABCDEF" : DIGITS);
	struct str suffix = str_from(s, digits);
	bool wide = str_is(suffix, "L") || str_is(suffix, "LL");
	if (digits == 0 || (suffix.n && !wide))
		return false;

	uint64_t value = 0, most = (wide ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX) + negative;
	bool over = false;
	for (size_t i = 0; i < digits; i++) {
		char c = s.p[i];
		uint64_t digit = (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
		over |= __builtin_mul_overflow(value, base, &value) ||
			__builtin_add_overflow(value, digit, &value);
	}
	*ret_fits = !over && value <= most;
	return true;
}

bool config_is_float(struct str s)
{
	size_t sign = s.n && strchr("+-", *s.p) ? 1 : 0;
	struct str rest = str_from(s, sign);
	size_t whole = span(rest, DIGITS);
	rest = str_from(rest, whole);
	size_t part = 0;
	if (rest.n && *rest.p == '.') {
		rest = str_from(rest, 1);
		part = span(rest, DIGITS);
		rest = str_from(rest, part);
	}
	if (whole + part == 0)
		return false;
	if (rest.n && strchr("eE", *rest.p)) {
		rest = str_from(rest, 1);
		rest = str_from(rest, rest.n && strchr("+-", *rest.p) ? 1 : 0);
		size_t digits = span(rest, DIGITS);
		return digits && digits == rest.n;
	}
	return rest.n == 0;
}
