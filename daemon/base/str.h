/*
 * A view of bytes that somebody else owns: a pointer and a length, not NUL-terminated. Views are
 * passed by value. The functions here compare and cut; they allocate nothing and can't fail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_of(const char *text) /* NULL becomes the empty view */
{
	return text ? (struct str){text, strlen(text)} : (struct str){"", 0};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *b)
{
	return str_eq(a, str_of(b));
}

static inline bool str_case_is(struct str a, const char *b) /* ASCII case only */
{
	return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

static inline bool str_starts(struct str a, const char *prefix)
{
	size_t n = strlen(prefix);
	return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

static inline bool str_case_ends(struct str a, const char *end) /* ASCII case only */
{
	size_t n = strlen(end);
	return a.n >= n && strncasecmp(a.p + a.n - n, end, n) == 0;
}

static inline struct str str_from(struct str a, size_t at) /* the rest from byte `at` on */
{
	return at < a.n ? (struct str){a.p + at, a.n - at} : (struct str){a.p + a.n, 0};
}

static inline struct str str_head(struct str a, size_t n) /* at most the first n bytes */
{
	return (struct str){a.p, n < a.n ? n : a.n};
}

/*
 * Whether it is a name as links and commands have them: a-z, 0-9 and "-", at most STR_NAME, and no
 * "-" in front (name_word in the schema).
 */
enum { STR_NAME = 63 };
bool str_is_name(struct str a);

struct str str_trim(struct str a); /* without ASCII white space at both ends */

/* Cuts at the first `mark`: true when there is one; what follows it goes to *ret_rest. */
bool str_cut(struct str a, char mark, struct str *ret_before, struct str *ret_rest);

/* Takes what precedes the first `mark` off, and the mark; all of it when there is none. */
struct str str_take(struct str *rest, char mark);
