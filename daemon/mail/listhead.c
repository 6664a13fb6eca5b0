#include "mail/listhead.h"

#include <errno.h>
#include <stdio.h>

#include "base/sha256.h"
#include "mail/header.h"
#include "mail/jsontext.h"

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

int listhead_id(struct str text, char ret[static LISTHEAD_ID])
{
	bool fits = text.n > 0 && text.n < LISTHEAD_ID, dot = true;
	for (size_t i = 0; i < text.n && fits; i++) {
		fits = is_word(text.p[i]) || (text.p[i] == '.' && !dot);
		dot = text.p[i] == '.';
	}
	if (fits && !dot) {
		memcpy(ret, text.p, text.n);
		ret[text.n] = '\0';
		return 0;
	}
	char hash[SHA256_HEX];
	int r = sha256_hex(&text, 1, hash);
	if (r < 0)
		return r;
	snprintf(ret, LISTHEAD_ID, "%.32s", hash);
	return 0;
}

/* The list's address under `key`; -ENOENT when it has none. */
static int list_address(json_t *list, const char *key, struct address *ret, struct why *why)
{
	struct str text = jsontext_of(list, key);
	if (text.n == 0)
		return -ENOENT;
	int r = address_parse(text, ret, why);
	return r < 0 ? why_prefix(why, r, "the list's %s: ", key) : 0;
}

static int write_from(json_t *list, struct buf *out, struct listhead *head, struct why *why)
{
	struct address address;
	struct str name = jsontext_of(list, "from_name");
	int r = list_address(list, "from_addr", &address, why);
	if (r == -ENOENT)
		return why_set(why, -EINVAL, "the list has no from_addr");
	if (r < 0)
		return r;
	memcpy(head->domain, address.domain, sizeof(head->domain));
	head->smtputf8 = address.needs_smtputf8;
	r = header_mailbox(out, "From", name.n ? name : jsontext_of(list, "title"),
			   str_of(address.wire));
	if (r < 0)
		return r;

	r = list_address(list, "reply_to", &address, why);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	head->smtputf8 |= address.needs_smtputf8;
	return header_mailbox(out, "Reply-To", STR(""), str_of(address.wire));
}

/* RFC 2919: Title <name.domain>. Lists' names are words, so they make labels. */
static int write_list_id(json_t *list, const struct listhead *head, struct buf *out)
{
	char id[LISTHEAD_ID], whole[LISTHEAD_ID + ADDRESS_DOMAIN];
	int r = listhead_id(jsontext_of(list, "name"), id);
	if (r < 0)
		return r;
	snprintf(whole, sizeof(whole), "%s.%s", id, head->domain);
	return header_list_id(out, "List-Id", jsontext_of(list, "title"), str_of(whole));
}

/*
 * Gmail's: three fields to look figures up by and the sender, 5 to 15 characters, the same in all
 * its mails. Nothing in it is of one reader. The sender is the domain without its dots.
 */
static int write_feedback_id(const struct listhead_spec *spec, const struct listhead *head,
			     struct buf *out)
{
	enum { SHORTEST = 5, LONGEST = 15 };
	char campaign[LISTHEAD_ID], list[LISTHEAD_ID], sender[LONGEST + SHORTEST + 1], text[256];
	size_t n = 0;
	for (const char *c = head->domain; *c && n < LONGEST; c++)
		if (is_word(*c))
			sender[n++] = *c;
	while (n < SHORTEST)
		sender[n++] = '0';
	sender[n] = '\0';
	int r = listhead_id(str_of(spec->campaign), campaign);
	if (r >= 0)
		r = listhead_id(jsontext_of(spec->list, "name"), list);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%s:%s:%s:%s", campaign, list, spec->kind, sender);
	return header_raw(out, "Feedback-ID", str_of(text));
}

/* RFC 9477: where mailbox providers may send complaints. */
static int write_cfbl(json_t *list, struct buf *out, struct why *why)
{
	struct address address;
	char text[ADDRESS_WIRE + 16];
	int r = list_address(list, "cfbl_address", &address, why);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (address.needs_smtputf8)
		return why_set(why, -EINVAL,
			       "the list's cfbl_address: it must be ASCII before the @");
	snprintf(text, sizeof(text), "%s; report=arf", address.wire);
	return header_raw(out, "CFBL-Address", str_of(text));
}

static bool is_lang(struct str lang)
{
	for (size_t i = 0; i < lang.n; i++)
		if (!is_word(lang.p[i]) || lang.p[i] == '_')
			return false;
	return lang.n > 0 && lang.n <= 35; /* RFC 5646 4.4.1 */
}

static int write_all(const struct listhead_spec *spec, struct buf *out, struct listhead *head,
		     struct why *why)
{
	struct str archive = jsontext_of(spec->list, "archive_url"), lang = str_of(spec->lang);
	int r = write_from(spec->list, out, head, why);
	if (r >= 0)
		r = write_list_id(spec->list, head, out);
	if (r >= 0)
		r = header_urls(out, "List-Archive", &archive, 1);
	if (r >= 0)
		r = header_raw(out, "List-Post", STR("NO"));
	if (r >= 0)
		r = write_feedback_id(spec, head, out);
	if (r >= 0)
		r = write_cfbl(spec->list, out, why);
	if (r >= 0 && is_lang(lang))
		r = header_raw(out, "Content-Language", lang);
	if (r >= 0)
		r = header_raw(out, "X-Auto-Response-Suppress", STR("OOF"));
	if (r >= 0 && spec->automatic)
		r = header_raw(out, "Auto-Submitted", STR("auto-generated"));
	return r;
}

int listhead_write(const struct listhead_spec *spec, struct buf *out, struct listhead *ret,
		   struct why *why)
{
	struct listhead head = {0};
	struct why reason = {{0}};
	int r = write_all(spec, out, &head, &reason);
	if (r < 0)
		return why_set(why, r, "%s", reason.text[0] ? reason.text : strerror(-r));
	*ret = head;
	return 0;
}
