#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: the texts are made by trying them in this order. */
static const struct unit sizes[] = {
    {"TiB", UINT64_C(1) << 40},   {"TB", UINT64_C(1000000000000)}, {"GiB", UINT64_C(1) << 30},
    {"GB", UINT64_C(1000000000)}, {"MiB", UINT64_C(1) << 20},      {"MB", UINT64_C(1000000)},
    {"KiB", UINT64_C(1) << 10},   {"kB", UINT64_C(1000)},          {"B", UINT64_C(1)},
};

static const struct unit durations[] = {
    {"w", 7 * 24 * 3600 * USEC_PER_SEC},
    {"d", 24 * 3600 * USEC_PER_SEC},
    {"h", 3600 * USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},
    {"s", USEC_PER_SEC},
    {"ms", USEC_PER_MSEC},
    {"us", 1},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct str skip_blanks(struct str s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s = str_from(s, 1);
	return s;
}

static const struct unit *find_unit(const struct unit *units, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_is(name, units[i].name))
			return &units[i];
	return NULL;
}

/* Takes "12 min" off the front of *s and adds it to *sum. */
static int take_part(const struct unit *units, size_t n_units, struct str *s, uint64_t *sum)
{
	uint64_t number = 0, part;
	size_t n = 0;
	bool over = false;
	for (; n < s->n && is_digit(s->p[n]); n++)
		over |= __builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(s->p[n] - '0'), &number);
	if (n == 0)
		return -EINVAL;
	*s = skip_blanks(str_from(*s, n));

	for (n = 0; n < s->n && is_letter(s->p[n]);)
		n++;
	const struct unit *unit = find_unit(units, n_units, str_head(*s, n));
	if (!unit)
		return -EINVAL;
	*s = skip_blanks(str_from(*s, n));

	if (over || __builtin_mul_overflow(number, unit->factor, &part) ||
	    __builtin_add_overflow(*sum, part, sum) || *sum > UNITS_MAX)
		return -ERANGE;
	return 0;
}

int units_size(struct str text, uint64_t *ret, struct why *why)
{
	struct str rest = str_trim(text);
	uint64_t sum = 0;
	int r = take_part(sizes, ELEMENTS(sizes), &rest, &sum);
	if (r == -ERANGE)
		return why_set(why, r, "is too large");
	if (r < 0 || rest.n)
		return why_set(why, -EINVAL,
			       "is not a size; write a number and one of B, kB, MB, GB, TB, "
			       "KiB, MiB, GiB, TiB, as in \"16 MiB\"");
	*ret = sum;
	return 0;
}

int units_duration(struct str text, usec_t *ret, struct why *why)
{
	struct str rest = str_trim(text);
	usec_t sum = 0;
	int r;
	do {
		r = take_part(durations, ELEMENTS(durations), &rest, &sum);
	} while (r == 0 && rest.n);
	if (r == -ERANGE)
		return why_set(why, r, "is too long");
	if (r < 0)
		return why_set(why, r,
			       "is not a duration; write a number and one of us, ms, s, min, h, d, "
			       "w, as in \"90 s\" or \"1 h 30 min\"");
	*ret = sum;
	return 0;
}

const char *units_size_text(uint64_t size, char text[static UNITS_TEXT])
{
	const struct unit *unit = &sizes[ELEMENTS(sizes) - 1];
	for (size_t i = 0; size && i < ELEMENTS(sizes); i++)
		if (size % sizes[i].factor == 0) {
			unit = &sizes[i];
			break;
		}
	snprintf(text, UNITS_TEXT, "%" PRIu64 " %s", size / unit->factor, unit->name);
	return text;
}

const char *units_duration_text(usec_t duration, char text[static UNITS_TEXT])
{
	size_t n = 0;
	snprintf(text, UNITS_TEXT, "0 s");
	for (size_t i = 0; i < ELEMENTS(durations) && n < UNITS_TEXT; i++) {
		uint64_t number = duration / durations[i].factor;
		duration %= durations[i].factor;
		if (number)
			n += (size_t)snprintf(text + n, UNITS_TEXT - n, "%s%" PRIu64 " %s",
					      n ? " " : "", number, durations[i].name);
	}
	return text;
}
