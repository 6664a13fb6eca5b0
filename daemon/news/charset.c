#include "news/charset.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"

enum {
	DECLARATION_REACH = 2048, /* bytes at the start in which a declaration may stand */
	REPLACEMENT = 0xfffd,
};

static int add_windows_1252(struct buf *out, unsigned char byte)
{
	int32_t c = text_windows_1252(byte);
	return text_add(out, c ? c : REPLACEMENT);
}

/* UTF-8 as it should be stays; each other byte is taken for windows-1252. */
static int add_mostly_utf8(struct buf *out, struct str s)
{
	while (s.n && !out->err) {
		struct str at = s;
		int32_t c = text_take(&s);
		size_t n = at.n - s.n;
		if (c == REPLACEMENT && n == 1)
			add_windows_1252(out, (unsigned char)at.p[0]);
		else
			buf_add(out, at.p, n);
	}
	return out->err;
}

static int add_all_windows_1252(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n && !out->err; i++)
		add_windows_1252(out, (unsigned char)s.p[i]);
	return out->err;
}

/*
 * Converts by iconv. Bytes that the encoding doesn't know become U+FFFD each and are counted.
 * -EINVAL: iconv doesn't know the encoding.
 */
static int add_by_iconv(struct buf *out, struct str s, const char *name, size_t *ret_bad)
{
	iconv_t cd = iconv_open("UTF-8", name);
	if (cd == (iconv_t)-1)
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	char *in = (char *)s.p, room[4096];
	size_t left = s.n, bad = 0;
	bool flushed = false;
	while (!flushed && !out->err) {
		char *to = room;
		size_t free_room = sizeof(room);
		flushed = left == 0;
		size_t r = flushed ? iconv(cd, NULL, NULL, &to, &free_room)
				   : iconv(cd, &in, &left, &to, &free_room);
		int err = r == (size_t)-1 ? errno : 0;
		buf_add(out, room, (size_t)(to - room));
		if (err == EILSEQ || err == EINVAL) {
			text_add(out, REPLACEMENT);
			bad++;
			in += left ? 1 : 0;
			left -= left ? 1 : 0;
		}
	}
	iconv_close(cd);
	*ret_bad = bad;
	return out->err;
}

/* The names that the web gives to encodings it means otherwise (after the WHATWG's list). */
static const struct {
	const char *said, *meant;
} aliases[] = {
    {"utf8", "utf-8"},
    {"unicode-1-1-utf-8", "utf-8"},
    {"x-unicode20utf8", "utf-8"},
    {"cp65001", "utf-8"},
    {"ascii", "windows-1252"},
    {"us-ascii", "windows-1252"},
    {"ansi", "windows-1252"},
    {"latin1", "windows-1252"},
    {"latin-1", "windows-1252"},
    {"l1", "windows-1252"},
    {"iso8859-1", "windows-1252"},
    {"iso-8859-1", "windows-1252"},
    {"cp1252", "windows-1252"},
    {"x-cp1252", "windows-1252"},
    {"iso-8859-9", "cp1254"},
    {"gb2312", "gb18030"},
    {"gbk", "gb18030"},
    {"x-gbk", "gb18030"},
    {"euc-kr", "cp949"},
    {"ks-c-5601-1987", "cp949"},
    {"korean", "cp949"},
    {"ksc5601", "cp949"},
    {"shift-jis", "cp932"},
    {"shiftjis", "cp932"},
    {"sjis", "cp932"},
    {"x-sjis", "cp932"},
    {"windows-31j", "cp932"},
    {"big5", "big5-hkscs"},
    {"x-x-big5", "big5-hkscs"},
    {"iso-8859-8-i", "iso-8859-8"},
    {"macroman", "macintosh"},
    {"mac-roman", "macintosh"},
    {"x-mac-roman", "macintosh"},
    {"tis-620", "cp874"},
    {"iso-8859-11", "cp874"},
    {"x-mac-cyrillic", "mac-cyrillic"},
    {"koi8", "koi8-r"},
    {"koi", "koi8-r"},
    {"unicode", "utf-16"},
    {"ucs-2", "utf-16"},
    {"iso-10646-ucs-2", "utf-16"},
    {"hz-gb-2312", "gb18030"},
};

static const char *meant_by(const char *name)
{
	char plain[CHARSET_NAME];
	size_t i = 0;
	for (; name[i] && i + 1 < sizeof(plain); i++)
		plain[i] = name[i] == '_' ? '-' : name[i];
	plain[i] = '\0';
	for (i = 0; i < ELEMENTS(aliases); i++)
		if (strcmp(plain, aliases[i].said) == 0)
			return aliases[i].meant;
	return name;
}

/* Copies a name in lower case; false when it is empty, too long, or no name at all. */
static bool take_name(struct str s, char name[static CHARSET_NAME])
{
	s = str_trim(s);
	if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\''))
		s = str_trim((struct str){s.p + 1, s.n - 2});
	if (!s.n || s.n >= CHARSET_NAME)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!isalnum((unsigned char)s.p[i]) && !strchr("-_.:+", s.p[i]))
			return false;
		name[i] = (char)tolower((unsigned char)s.p[i]);
	}
	name[s.n] = '\0';
	return true;
}

/* The value after `key`, an equals sign and white space: quoted, or up to what can't be in it. */
static bool value_after(struct str s, const char *key, char name[static CHARSET_NAME])
{
	size_t n = strlen(key);
	for (size_t at = 0; at + n < s.n; at++) {
		if (strncasecmp(s.p + at, key, n) != 0)
			continue;
		struct str rest = str_trim(str_from(s, at + n));
		if (!rest.n || rest.p[0] != '=')
			continue;
		rest = str_trim(str_from(rest, 1));
		if (rest.n && (rest.p[0] == '"' || rest.p[0] == '\''))
			rest = str_from(rest, 1);
		size_t end = 0;
		while (end < rest.n && !strchr("\"' ;>?/\t\r\n", rest.p[end]))
			end++;
		if (take_name(str_head(rest, end), name))
			return true;
	}
	return false;
}

static bool declared(struct str s, enum charset_form form, char name[static CHARSET_NAME])
{
	s = str_trim(str_head(s, DECLARATION_REACH));
	struct str head, rest;
	if (str_starts(s, "<?xml"))
		return str_cut(s, '>', &head, &rest) && value_after(head, "encoding", name);
	if (form != CHARSET_HTML)
		return false;
	while (str_cut(s, '<', &head, &rest)) {
		struct str tag, after;
		if (!str_cut(rest, '>', &tag, &after))
			return false;
		if (str_case_is(str_head(tag, 4), "meta") && value_after(tag, "charset", name))
			return true;
		s = rest;
	}
	return false;
}

static const struct {
	const char *mark;
	size_t n;
	const char *name;
	bool is_bom; /* or only what the first characters of a text look like in it */
} marks[] = {
    {"\xef\xbb\xbf", 3, "utf-8", true},    {"\xff\xfe\0\0", 4, "utf-32le", true},
    {"\0\0\xfe\xff", 4, "utf-32be", true}, {"\xff\xfe", 2, "utf-16le", true},
    {"\xfe\xff", 2, "utf-16be", true},     {"<\0\0\0", 4, "utf-32le", false},
    {"\0\0\0<", 4, "utf-32be", false},     {"{\0\0\0", 4, "utf-32le", false},
    {"\0\0\0{", 4, "utf-32be", false},     {"<\0", 2, "utf-16le", false},
    {"\0<", 2, "utf-16be", false},         {"{\0", 2, "utf-16le", false},
    {"\0{", 2, "utf-16be", false},         {"\x4c\x6f\xa7\x94", 4, "ibm037", false},
};

static bool is_wide(const char *name) /* an encoding in which ASCII isn't ASCII bytes */
{
	return strncmp(name, "utf-16", 6) == 0 || strncmp(name, "utf-32", 6) == 0 ||
	       strncmp(name, "ucs-", 4) == 0 || strncmp(name, "iso-10646", 9) == 0;
}

/* EBCDIC has many code pages, and the declaration that tells which is in EBCDIC itself. */
static void refine_ebcdic(struct str bytes, char name[static CHARSET_NAME])
{
	_cleanup_buf_ struct buf head = {0};
	size_t bad;
	if (add_by_iconv(&head, str_head(bytes, DECLARATION_REACH), name, &bad) < 0)
		return;
	char said[CHARSET_NAME];
	if (declared(buf_str(&head), CHARSET_XML, said))
		memcpy(name, said, sizeof(said));
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* One try with an encoding: true when `out` got the text; *ret_err tells of a lack of memory. */
static bool try_encoding(struct buf *out, struct str bytes, const char *said, bool strict,
			 int *ret_err)
{
	const char *name = meant_by(said);
	if (strcmp(name, "utf-8") == 0) {
		if (strict && !text_valid(bytes))
			return false;
		*ret_err = add_mostly_utf8(out, bytes);
		return true;
	}
	if (strcmp(name, "windows-1252") == 0) {
		/* Texts that are UTF-8 by chance don't exist: the declaration is only a default. */
		if (strict && !is_ascii(bytes) && text_valid(bytes))
			return false;
		*ret_err = add_all_windows_1252(out, bytes);
		return true;
	}
	size_t start = out->len, bad = 0;
	int r = add_by_iconv(out, bytes, name, &bad);
	if (r == 0 && (bad == 0 || !strict))
		return true;
	if (r == -ENOMEM || out->err)
		*ret_err = r;
	buf_truncate(out, start);
	return false;
}

int charset_to_utf8(struct buf *out, struct str bytes, enum charset_form form,
		    const char *content_type, char ret_name[static CHARSET_NAME])
{
	char names[3][CHARSET_NAME];
	size_t n = 0;
	bool sure = false; /* the bytes themselves told */
	for (size_t i = 0; i < ELEMENTS(marks) && !n; i++) {
		if (bytes.n < marks[i].n || memcmp(bytes.p, marks[i].mark, marks[i].n) != 0)
			continue;
		snprintf(names[n++], CHARSET_NAME, "%s", marks[i].name);
		sure = true;
		if (marks[i].is_bom)
			bytes = str_from(bytes, marks[i].n);
		else if (strcmp(marks[i].name, "ibm037") == 0)
			refine_ebcdic(bytes, names[0]);
	}
	if (!n && content_type && value_after(str_of(content_type), "charset", names[n]))
		n += !is_wide(names[n]);
	if (!sure && declared(bytes, form, names[n]))
		n += !is_wide(names[n]);

	int err = 0;
	for (size_t i = 0; i < n && !err; i++)
		if (try_encoding(out, bytes, names[i], !sure, &err))
			return memcpy(ret_name, names[i], CHARSET_NAME), err;
	if (!err && n && !sure && !text_valid(bytes) && strcmp(meant_by(names[0]), "utf-8") != 0 &&
	    try_encoding(out, bytes, names[0], false, &err))
		return memcpy(ret_name, names[0], CHARSET_NAME), err;
	if (err)
		return err;
	bool utf8 = text_valid(bytes);
	snprintf(ret_name, CHARSET_NAME, "%s",
		 utf8 || (n && strcmp(names[0], "utf-8") == 0) ? "utf-8" : "windows-1252");
	return add_mostly_utf8(out, bytes);
}
