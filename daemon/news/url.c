#include "news/url.h"

#include <ctype.h>
#include <errno.h>
#include <idn2.h>
#include <libxml/uri.h>

static void free_xml(xmlChar **text)
{
	xmlFree(*text);
}

static void free_idn(char **name)
{
	idn2_free(*name);
}

/* Without control characters, and without white space at the ends. */
static int squeeze(struct str address, struct buf *out)
{
	for (size_t i = 0; i < address.n; i++)
		if ((unsigned char)address.p[i] >= 0x20 && address.p[i] != 0x7F)
			buf_addc(out, address.p[i]);
	while (out->len && out->data[out->len - 1] == ' ')
		buf_truncate(out, out->len - 1);
	size_t lead = 0;
	while (lead < out->len && out->data[lead] == ' ')
		lead++;
	buf_drop(out, lead);
	return out->err;
}

/* Percent-encodes what RFC 3986 (2.2, 2.3) has no place for; `more` are allowed besides. */
static void escape(struct str part, const char *more, struct buf *out)
{
	for (size_t i = 0; i < part.n; i++) {
		unsigned char c = (unsigned char)part.p[i];
		bool fine = c < 0x80 &&
			    (isalnum(c) || strchr("-._~:/?#@!$&'()*+,;=", c) || strchr(more, c));
		if (c == '%')
			fine = part.n - i > 2 && isxdigit((unsigned char)part.p[i + 1]) &&
			       isxdigit((unsigned char)part.p[i + 2]);
		if (c && fine)
			buf_addc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static size_t length_until(struct str s, const char *marks)
{
	size_t n = 0;
	while (n < s.n && !strchr(marks, s.p[n]))
		n++;
	return n;
}

static int add_host(struct str host, struct buf *out)
{
	bool ascii = true;
	for (size_t i = 0; i < host.n; i++)
		ascii &= host.p[i] >= 0;
	if (ascii) {
		escape(host, "[]", out);
		return out->err;
	}
	_cleanup_buf_ struct buf name = {0};
	_cleanup_(free_idn)
	char *punycode = NULL;
	if (buf_addstr(&name, host) < 0)
		return name.err;
	int r = idn2_to_ascii_8z(buf_text(&name), &punycode, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK)
		return r == IDN2_MALLOC ? -ENOMEM : -EINVAL;
	escape(str_of(punycode), "", out);
	return out->err;
}

/* "user@host:port" of what follows "//". */
static int add_authority(struct str authority, struct buf *out)
{
	struct str user, host = authority;
	size_t at = authority.n;
	while (at > 0 && authority.p[at - 1] != '@')
		at--;
	if (at > 0) {
		user = str_head(authority, at);
		host = str_from(authority, at);
		escape(user, "", out);
	}
	size_t end = host.n;
	while (end > 0 && isdigit((unsigned char)host.p[end - 1]))
		end--;
	struct str port = {"", 0};
	if (end > 0 && host.p[end - 1] == ':') {
		port = str_from(host, end - 1);
		host = str_head(host, end - 1);
	}
	if (!host.n || host.p[0] == ':')
		return -EINVAL;
	int r = add_host(host, out);
	return r < 0 ? r : buf_addstr(out, port);
}

/* What follows "http:" or "https:". */
static int add_web(const char *scheme, struct str rest, struct buf *out)
{
	if (!str_starts(rest, "//"))
		return -EINVAL;
	rest = str_from(rest, 2);
	size_t n = length_until(rest, "/?#\\");
	buf_adds(out, scheme);
	buf_adds(out, "://");
	int r = add_authority(str_head(rest, n), out);
	if (r < 0)
		return r;
	escape(str_from(rest, n), "", out);
	return out->err;
}

static int resolve(struct str address, const char *base, struct buf *out)
{
	if (!base && !str_starts(address, "//"))
		return -EINVAL;
	if (!base)
		return add_web("https", address, out);

	_cleanup_buf_ struct buf escaped = {0}, checked_base = {0};
	int r = url_clean(str_of(base), NULL, URL_CONTENT, &checked_base);
	if (r < 0)
		return r;
	if (str_starts(address, "//")) {
		bool plain = str_starts(buf_str(&checked_base), "http:");
		return add_web(plain ? "http" : "https", address, out);
	}
	escape(address, "", &escaped);
	if (escaped.err)
		return escaped.err;
	_cleanup_(free_xml)
	xmlChar *built =
	    xmlBuildURI((const xmlChar *)escaped.data, (const xmlChar *)checked_base.data);
	if (!built)
		return -EINVAL;
	return url_clean(str_of((const char *)built), NULL, URL_CONTENT, out);
}

static int clean(struct str address, const char *base, enum url_use use, struct buf *out)
{
	if (!address.n || address.p[0] == '#')
		return -EINVAL;
	size_t n = length_until(address, ":/?#");
	if (n == address.n || address.p[n] != ':')
		return resolve(address, base, out);

	struct str scheme = str_head(address, n), rest = str_from(address, n + 1);
	if (str_case_is(scheme, "https"))
		return add_web("https", rest, out);
	if (str_case_is(scheme, "http"))
		return add_web("http", rest, out);
	if (use != URL_LINK || !str_case_is(scheme, "mailto") || !memchr(rest.p, '@', rest.n))
		return -EINVAL;
	buf_adds(out, "mailto:");
	escape(rest, "", out);
	return out->err;
}

int url_clean(struct str address, const char *base, enum url_use use, struct buf *out)
{
	if (address.n > URL_LONGEST)
		return -EINVAL;
	_cleanup_buf_ struct buf squeezed = {0}, result = {0};
	int r = squeeze(address, &squeezed);
	if (r >= 0)
		r = clean(buf_str(&squeezed), base, use, &result);
	if (r < 0)
		return r;
	return result.len > URL_LONGEST ? -EINVAL : buf_addstr(out, buf_str(&result));
}

int url_content(const char *address, const char *base, char **ret)
{
	_cleanup_buf_ struct buf out = {0};
	int r = address ? url_clean(str_of(address), base, URL_CONTENT, &out) : -EINVAL;
	if (r == -EINVAL) {
		*ret = NULL;
		return 0;
	}
	if (r < 0)
		return r;
	*ret = buf_steal(&out, NULL);
	return *ret ? 0 : -ENOMEM;
}
