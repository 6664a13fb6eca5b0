#include "mail/address.h"

#include <errno.h>
#include <idn2.h>
#include <stdint.h>
#include <stdio.h>
#include <utf8proc.h>

#include "base/cleanup.h"

/* Joiners are invisible, but some scripts need them; in domains IDNA says where (RFC 5892 A.1). */
enum { ZWNJ = 0x200c, ZWJ = 0x200d };

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* atext of RFC 5322 3.2.3. */
static bool is_atext(char c)
{
	return c && (is_alnum(c) || strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* A code point beyond ASCII that one can see: no space, control, format or unassigned one. */
static bool is_visible(utf8proc_int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);
	return category != UTF8PROC_CATEGORY_CN &&
	       (category < UTF8PROC_CATEGORY_ZS || category > UTF8PROC_CATEGORY_CO);
}

/* The length of the character at the start of s if an address may hold it, or 0. */
static size_t character(struct str s, bool joiners)
{
	if ((unsigned char)s.p[0] < 0x80)
		return s.p[0] == '.' || is_atext(s.p[0]) ? 1 : 0;
	utf8proc_int32_t c;
	utf8proc_ssize_t n =
	    utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
	if (n <= 0)
		return 0;
	if (joiners && (c == ZWNJ || c == ZWJ))
		return (size_t)n;
	return is_visible(c) ? (size_t)n : 0;
}

/* Whether it's a dot-atom. */
static int check_atoms(struct str local, struct why *why)
{
	if (local.p[0] == '.' || local.p[local.n - 1] == '.')
		return why_set(why, -EINVAL, "the part before the @ starts or ends with a dot");
	for (size_t i = 0, n; i < local.n; i += n) {
		n = character(str_from(local, i), false);
		if (n == 0)
			return why_set(why, -EINVAL, "character %zu can't stand before the @",
				       i + 1);
		if (local.p[i] == '.' && local.p[i + 1] == '.')
			return why_set(why, -EINVAL, "two dots in a row before the @");
	}
	return 0;
}

static int check_local(struct str local, struct why *why)
{
	if (local.n == 0)
		return why_set(why, -EINVAL, "there is nothing before the @");
	if (local.n > ADDRESS_LOCAL - 1)
		return why_set(why, -EINVAL, "more than %d bytes before the @", ADDRESS_LOCAL - 1);
	if (local.p[0] == '"')
		return why_set(why, -EINVAL, "quoted names before the @ are not accepted");
	return check_atoms(local, why);
}

static int check_label(struct str label, struct why *why)
{
	if (label.n == 0)
		return why_set(why, -EINVAL, "the domain has an empty part between dots");
	if (label.n > 63)
		return why_set(why, -EINVAL, "a part of the domain has more than 63 characters");
	if (label.p[0] == '-' || label.p[label.n - 1] == '-')
		return why_set(why, -EINVAL, "a part of the domain starts or ends with a hyphen");
	for (size_t i = 0; i < label.n; i++)
		if (!is_alnum(label.p[i]) && label.p[i] != '-')
			return why_set(why, -EINVAL, "the domain has a character that none has");
	return 0;
}

static int check_host(struct str host, struct why *why)
{
	if (host.n == 0)
		return why_set(why, -EINVAL, "there is no domain");
	if (host.n > ADDRESS_DOMAIN - 1)
		return why_set(why, -EINVAL, "the domain has more than %d characters",
			       ADDRESS_DOMAIN - 1);
	struct str label, rest = host;
	bool more;
	do {
		more = str_cut(rest, '.', &label, &rest);
		if (!more)
			label = rest;
		int r = check_label(label, why);
		if (r < 0)
			return r;
	} while (more);
	if (strspn(label.p, "0123456789") >= label.n)
		return why_set(why, -EINVAL, "the domain ends with a number: names only");
	return 0;
}

static int check_unicode(struct str domain, struct why *why)
{
	for (size_t i = 0, n; i < domain.n; i += n) {
		n = character(str_from(domain, i), true);
		if (n == 0)
			return why_set(why, -EINVAL, "the domain has a character that none has");
	}
	return 0;
}

/* Punycode of a domain beyond ASCII; *ret is the caller's to free by idn2_free(). */
static int to_ascii(struct str domain, char **ret, struct why *why)
{
	char text[4 * ADDRESS_DOMAIN];
	int r = check_unicode(domain, why);
	if (r < 0)
		return r;
	if (domain.n >= sizeof(text))
		return why_set(why, -EINVAL, "the domain is too long");
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	r = idn2_lookup_u8((const uint8_t *)text, (uint8_t **)ret,
			   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
	if (r == IDN2_MALLOC)
		return why_set(why, -ENOMEM, "out of memory");
	if (r != IDN2_OK)
		return why_set(why, -EINVAL, "the domain isn't a name: %s", idn2_strerror(r));
	return 0;
}

static void free_idn(char **text)
{
	idn2_free(*text);
}

#define _cleanup_idn_ _cleanup_(free_idn)

int address_domain(struct str text, char ret[static ADDRESS_DOMAIN], struct why *why)
{
	_cleanup_idn_ char *puny = NULL;
	char host[ADDRESS_DOMAIN];
	int r;
	if (!is_ascii(text)) {
		r = to_ascii(text, &puny, why);
		if (r < 0)
			return r;
		text = str_of(puny);
	}
	if (text.n >= sizeof(host))
		return why_set(why, -EINVAL, "the domain has more than %d characters",
			       ADDRESS_DOMAIN - 1);
	for (size_t i = 0; i < text.n; i++)
		host[i] = lower(text.p[i]);
	host[text.n] = '\0';
	r = check_host((struct str){host, text.n}, why);
	if (r < 0)
		return r;
	memcpy(ret, host, text.n + 1);
	return 0;
}

/* Lower case and NFC, for the comparison of local parts; NUL-terminated. */
static int fold_local(struct str local, char *ret, size_t size)
{
	utf8proc_uint8_t folded[3 * ADDRESS_LOCAL];
	size_t len = 0;
	utf8proc_int32_t c;
	for (size_t i = 0; i < local.n;) {
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)local.p + i,
						      (utf8proc_ssize_t)(local.n - i), &c);
		i += n > 0 ? (size_t)n : 1;
		len += (size_t)utf8proc_encode_char(utf8proc_tolower(c), folded + len);
	}
	_cleanup_free_ utf8proc_uint8_t *nfc = NULL;
	utf8proc_ssize_t n =
	    utf8proc_map(folded, (utf8proc_ssize_t)len, &nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (n == UTF8PROC_ERROR_NOMEM)
		return -ENOMEM;
	if (n < 0 || (size_t)n >= size)
		return -EINVAL;
	memcpy(ret, nfc, (size_t)n + 1);
	return 0;
}

static struct str trim(struct str text)
{
	while (text.n && (text.p[0] == ' ' || text.p[0] == '\t'))
		text = str_from(text, 1);
	while (text.n && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
		text.n--;
	return text;
}

int address_parse(struct str text, struct address *ret, struct why *why)
{
	struct address a = {0};
	struct str local, domain;
	text = trim(text);
	const char *at = text.n ? memrchr(text.p, '@', text.n) : NULL;
	if (!at)
		return why_set(why, -EINVAL, "there is no @");
	local = str_head(text, (size_t)(at - text.p));
	domain = str_from(text, local.n + 1);

	int r = check_local(local, why);
	if (r < 0)
		return r;
	r = address_domain(domain, a.domain, why);
	if (r < 0)
		return r;
	memcpy(a.local, local.p, local.n);
	if (text.n >= sizeof(a.display) || local.n + 1 + strlen(a.domain) >= sizeof(a.wire))
		return why_set(why, -EINVAL, "the address has more than %d bytes",
			       ADDRESS_WIRE - 1);
	memcpy(a.display, text.p, text.n);
	memcpy(a.wire, text.p, local.n + 1);
	memcpy(a.wire + local.n + 1, a.domain, strlen(a.domain));

	char folded[3 * ADDRESS_LOCAL];
	r = fold_local(local, folded, sizeof(folded));
	if (r < 0)
		return why_set(why, r, r == -ENOMEM ? "out of memory" : "the name is too long");
	r = check_atoms(str_of(folded), why); /* NFC makes a semicolon of U+037E */
	if (r < 0)
		return r;
	if (snprintf(a.norm, sizeof(a.norm), "%s@%s", folded, a.domain) >= (int)sizeof(a.norm))
		return why_set(why, -EINVAL, "the name is too long");
	a.needs_smtputf8 = !is_ascii(local);
	*ret = a;
	return 0;
}
