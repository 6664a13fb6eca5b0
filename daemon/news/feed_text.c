#include "news/feed_text.h"

#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <stdint.h>

#include "base/text.h"

/* A rune of at most 0xFF at the start of s, its length in bytes to *ret_n; else -1. */
static int latin1_at(struct str s, size_t *ret_n)
{
	unsigned char c = (unsigned char)s.p[0];
	*ret_n = c < 0x80 ? 1 : 2;
	if (c < 0x80)
		return c;
	return (c == 0xc2 || c == 0xc3) && s.n > 1 ? (c & 3) << 6 | (s.p[1] & 0x3f) : -1;
}

static bool has_c1(struct str s)
{
	for (size_t i = 0; i + 1 < s.n; i++)
		if ((unsigned char)s.p[i] == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0)
			return true;
	return false;
}

/* The bytes that a text would be in Latin-1, if those are UTF-8. */
static bool read_again(struct buf *out, struct str s)
{
	while (s.n) {
		size_t n;
		int c = latin1_at(s, &n);
		if (c < 0)
			return false;
		buf_addc(out, (char)c);
		s = str_from(s, n);
	}
	return !out->err && text_valid(buf_str(out));
}

static int mend(struct buf *out, struct str s)
{
	_cleanup_buf_ struct buf again = {0};
	if (has_c1(s) && read_again(&again, s))
		s = buf_str(&again);
	return again.err ? again.err : text_repair(s, out);
}

char *feed_text_mend(struct arena *a, struct str s)
{
	_cleanup_buf_ struct buf out = {0};
	return mend(&out, s) < 0 ? NULL : arena_copy(a, buf_str(&out));
}

/* Tags that people put into titles; anything else in angle brackets may be meant as it stands. */
static bool is_title_tag(struct str name)
{
	static const char *const tags[] = {
	    "a",     "abbr", "acronym", "b",      "bdi",  "bdo",  "big", "br", "cite",
	    "code",  "del",  "div",     "em",     "font", "h1",   "h2",  "h3", "h4",
	    "i",     "img",  "ins",     "kbd",    "mark", "nobr", "p",   "q",  "s",
	    "small", "span", "strike",  "strong", "sub",  "sup",  "tt",  "u",  "wbr",
	};
	for (size_t i = 0; i < ELEMENTS(tags); i++)
		if (str_case_is(name, tags[i]))
			return true;
	return false;
}

static struct str tag_name(struct str s) /* s begins with '<' */
{
	s = str_from(s, 1);
	if (s.n && s.p[0] == '/')
		s = str_from(s, 1);
	size_t n = 0;
	while (n < s.n && isalnum((unsigned char)s.p[n]))
		n++;
	return str_head(s, n);
}

/* Length of the tag or comment that begins here, 0 when it is none. */
static size_t tag_len(struct str s, bool any)
{
	if (!s.n || s.p[0] != '<')
		return 0;
	if (str_starts(s, "<!--")) {
		const char *end = any ? memmem(s.p, s.n, "-->", 3) : NULL;
		return end ? (size_t)(end - s.p) + 3 : 0;
	}
	struct str name = tag_name(s);
	if (!name.n || !isalpha((unsigned char)name.p[0]) || (!any && !is_title_tag(name)))
		return 0;
	const char *end = memchr(s.p, '>', s.n);
	return end ? (size_t)(end - s.p) + 1 : 0;
}

/* The rune of the entity or character reference at the start; its length to *ret_n. 0: none. */
static int32_t entity_at(struct str s, size_t *ret_n)
{
	enum { LONGEST = 12 };
	const char *end = memchr(s.p, ';', s.n < LONGEST ? s.n : LONGEST);
	if (s.p[0] != '&' || !end || end - s.p < 2)
		return 0;
	*ret_n = (size_t)(end - s.p) + 1;
	char name[LONGEST + 1];
	memcpy(name, s.p + 1, *ret_n - 2);
	name[*ret_n - 2] = '\0';
	if (name[0] == '#') {
		bool hex = name[1] == 'x' || name[1] == 'X';
		char *rest;
		unsigned long rune = strtoul(name + (hex ? 2 : 1), &rest, hex ? 16 : 10);
		if (*rest || !isxdigit((unsigned char)name[hex ? 2 : 1]) || rune > 0x10ffff)
			return 0;
		return rune < 0x100 ? text_windows_1252((unsigned char)rune) : (int32_t)rune;
	}
	if (strcmp(name, "apos") == 0)
		return '\'';
	const htmlEntityDesc *known = htmlEntityLookup((const xmlChar *)name);
	return known ? (int32_t)known->value : 0;
}

bool feed_text_looks_html(struct str s)
{
	for (size_t i = 0, n; i < s.n; i++) {
		struct str rest = str_from(s, i);
		if (rest.p[0] == '<' && (str_starts(rest, "<!--") || tag_len(rest, true))) {
			struct str name = tag_name(rest);
			char text[16] = "";
			if (name.n < sizeof(text))
				memcpy(text, name.p, name.n);
			if (str_starts(rest, "<!--") || htmlTagLookup((const xmlChar *)text))
				return true;
		}
		if (rest.p[0] == '&' && entity_at(rest, &n))
			return true;
	}
	return false;
}

static int add_unescaped(struct buf *out, struct str s, bool strip, bool any)
{
	while (s.n) {
		size_t n = strip ? tag_len(s, any) : 0;
		if (n) {
			struct str name = tag_name(s);
			if (str_case_is(name, "br") || str_case_is(name, "p") ||
			    str_case_is(name, "div"))
				buf_addc(out, ' ');
			s = str_from(s, n);
			continue;
		}
		int32_t rune = s.p[0] == '&' ? entity_at(s, &n) : 0;
		if (rune)
			text_add(out, rune);
		else
			buf_add(out, s.p, n = 1);
		s = str_from(s, n);
	}
	return out->err;
}

char *feed_text_plain(struct arena *a, struct str s, enum feed_kind kind, bool loose, size_t most)
{
	_cleanup_buf_ struct buf first = {0}, second = {0}, mended = {0}, line = {0}, cut = {0};
	bool html = kind != FEED_TEXT;
	if (add_unescaped(&first, s, html || loose, html) < 0)
		return NULL;
	/* Escaped twice: markup that appears only now, closed as markup is. */
	struct str once = buf_str(&first);
	bool twice = (html || loose) && memmem(once.p, once.n, "</", 2);
	if (twice || (loose && memchr(once.p, '&', once.n))) {
		if (add_unescaped(&second, once, twice, false) < 0)
			return NULL;
		once = buf_str(&second);
	}
	if (mend(&mended, once) < 0 || text_line(buf_str(&mended), &line) < 0 ||
	    text_excerpt(buf_str(&line), most, &cut) < 0)
		return NULL;
	return arena_copy(a, buf_str(&cut));
}
