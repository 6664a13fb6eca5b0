#include "news/feed_mend.h"

#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <stdbool.h>

#include "base/text.h"

enum { DEEPEST = 200, KINDS = 3 };

struct open { /* an element whose end hasn't come */
	struct str name;
	size_t at; /* of its start tag, in the output */
};

struct mending {
	struct buf *out;
	struct open open[DEEPEST];
	size_t depth;
	bool own_entities;   /* the feed declares some: unknown names are left to the parser */
	bool no_more[KINDS]; /* no end of such a piece is ahead */
};

static bool is_char(unsigned long rune) /* XML 1.0 section 2.2 */
{
	if (rune < 0x20)
		return rune == '\t' || rune == '\n' || rune == '\r';
	return rune < 0xd800 || (rune > 0xdfff && rune < 0xfffe) ||
	       (rune > 0xffff && rune < 0x110000);
}

static size_t number_len(struct str s) /* of "&#1234;" or "&#x4d2;", 0 when it is none */
{
	bool hex = s.n > 2 && s.p[2] == 'x';
	size_t n = hex ? 3 : 2, start = n;
	unsigned long rune = 0;
	for (; n < s.n && n - start < 8; n++) {
		unsigned char c = (unsigned char)s.p[n];
		if (hex ? !isxdigit(c) : !isdigit(c))
			break;
		int digit = isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
		rune = rune * (hex ? 16 : 10) + (unsigned long)digit;
	}
	return n > start && n < s.n && s.p[n] == ';' && is_char(rune) ? n + 1 : 0;
}

/*
 * Length of the reference that begins with this ampersand, 0 when it is a bare one. *ret_rune: the
 * character that HTML means by it, when XML itself doesn't know the name.
 */
static size_t reference_len(const struct mending *m, struct str s, int32_t *ret_rune)
{
	*ret_rune = 0;
	if (s.n > 1 && s.p[1] == '#')
		return number_len(s);
	char name[32];
	size_t n = 1;
	while (n < s.n && n < sizeof(name) && isalnum((unsigned char)s.p[n]))
		n++;
	if (n < 2 || n >= s.n || s.p[n] != ';')
		return 0;
	memcpy(name, s.p + 1, n - 1);
	name[n - 1] = '\0';
	const htmlEntityDesc *known = htmlEntityLookup((const xmlChar *)name);
	if (xmlGetPredefinedEntity((const xmlChar *)name) || (!known && m->own_entities))
		return n + 1;
	*ret_rune = known ? (int32_t)known->value : 0;
	return known ? n + 1 : 0;
}

/* Length of a piece that isn't looked into: CDATA section, comment, instruction, DOCTYPE. */
static size_t opaque_len(struct mending *m, struct str s)
{
	static const struct {
		const char *begin, *end;
	} pieces[KINDS] = {{"<![CDATA[", "]]>"}, {"<!--", "-->"}, {"<?", "?>"}};
	for (size_t i = 0; i < ELEMENTS(pieces); i++) {
		if (!str_starts(s, pieces[i].begin) || m->no_more[i])
			continue;
		const char *end = memmem(s.p, s.n, pieces[i].end, strlen(pieces[i].end));
		m->no_more[i] = !end; /* looked for once only: this has to stay linear */
		return end ? (size_t)(end - s.p) + strlen(pieces[i].end) : 0;
	}
	if (!str_starts(s, "<!DOCTYPE") || m->depth)
		return 0;
	size_t n = 0;
	while (n < s.n && s.p[n] != '[' && s.p[n] != '>')
		n++;
	if (n < s.n && s.p[n] == '[') {
		const char *end = memchr(s.p + n, ']', s.n - n);
		n = end ? (size_t)(end - s.p) : s.n;
		while (n < s.n && s.p[n] != '>')
			n++;
	}
	return n < s.n ? n + 1 : 0;
}

/* Up to its '>', which may also stand in quotes, but before another '<'. 0: it is no tag. */
static size_t tag_len(struct str s)
{
	unsigned char first = s.n > 1 ? (unsigned char)s.p[s.p[1] == '/' && s.n > 2 ? 2 : 1] : 0;
	if (!isalpha(first) && first != '_' && first < 0x80)
		return 0;
	char quote = '\0';
	size_t any_end = 0;
	for (size_t n = 1; n < s.n && s.p[n] != '<'; n++) {
		char c = s.p[n];
		if (c == '>' && !quote)
			return n + 1;
		if (c == '>' && !any_end)
			any_end = n + 1;
		if (quote)
			quote = c == quote ? '\0' : quote;
		else if (c == '"' || c == '\'')
			quote = c;
	}
	return any_end; /* a quote too many */
}

static struct str tag_name(struct str tag)
{
	size_t start = tag.p[1] == '/' ? 2 : 1, n = start;
	while (n < tag.n && !isspace((unsigned char)tag.p[n]) && tag.p[n] != '>' && tag.p[n] != '/')
		n++;
	return (struct str){tag.p + start, n - start};
}

static bool is_article(struct str name)
{
	return str_case_is(name, "item") || str_case_is(name, "entry");
}

static void close_down_to(struct mending *m, size_t depth)
{
	while (m->depth > depth) {
		buf_adds(m->out, "</");
		buf_addstr(m->out, m->open[--m->depth].name);
		buf_addc(m->out, '>');
	}
}

/* The place of the innermost open element of this name (any article for NULL), or -1. */
static long find_open(const struct mending *m, const struct str *name)
{
	for (size_t i = m->depth; i > 0; i--) {
		struct str open = m->open[i - 1].name;
		if (name ? str_eq(open, *name) : is_article(open))
			return (long)i - 1;
	}
	return -1;
}

static void add_text(struct mending *m, struct str s)
{
	for (size_t i = 0; i < s.n && !m->out->err;) {
		unsigned char c = (unsigned char)s.p[i];
		int32_t rune = 0;
		size_t n = c == '&' ? reference_len(m, str_from(s, i), &rune) : 1;
		if (!n)
			buf_adds(m->out, "&amp;");
		else if (rune)
			text_add(m->out, rune);
		else if (n > 1 || is_char(c))
			buf_add(m->out, s.p + i, n);
		i += n ? n : 1;
	}
}

static void add_opaque(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_char((unsigned char)s.p[i]))
			buf_addc(out, s.p[i]);
}

static void add_tag(struct mending *m, struct str tag)
{
	struct str name = tag_name(tag);
	if (tag.p[1] == '/') {
		long place = find_open(m, &name);
		if (place >= 0)
			close_down_to(m, (size_t)place);
		return;
	}
	long article = is_article(name) ? find_open(m, NULL) : -1;
	if (article >= 0)
		close_down_to(m, (size_t)article);
	size_t at = m->out->len;
	add_text(m, tag);
	if (tag.p[tag.n - 2] != '/' && m->depth < DEEPEST)
		m->open[m->depth++] = (struct open){name, at};
}

static size_t next_markup(struct str s)
{
	const char *at = s.n ? memchr(s.p, '<', s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

/* A tag or section that the end of the bytes cuts: nothing is marked up behind it. */
static bool is_cut_off(struct str s)
{
	struct str rest = str_from(s, 1);
	size_t n = next_markup(rest);
	return n == rest.n && (!n || !memchr(rest.p, '>', n));
}

int feed_mend(struct buf *out, struct str s)
{
	struct mending m = {.out = out, .own_entities = memmem(s.p, s.n, "<!ENTITY", 8) != NULL};
	while (s.n && !out->err) {
		size_t n = next_markup(s);
		add_text(&m, str_head(s, n));
		s = str_from(s, n);
		if (!s.n)
			break;
		if ((n = opaque_len(&m, s))) {
			if (!str_starts(s, "<!--"))
				add_opaque(out, str_head(s, n));
		} else if ((n = tag_len(s))) {
			add_tag(&m, str_head(s, n));
		} else if (is_cut_off(s)) {
			n = s.n;
		} else {
			buf_adds(out, "&lt;");
			n = 1;
		}
		s = str_from(s, n);
	}
	long article = find_open(&m, NULL);
	if (article >= 0) {
		buf_truncate(out, m.open[article].at);
		m.depth = (size_t)article;
	}
	close_down_to(&m, 0);
	return out->err;
}
