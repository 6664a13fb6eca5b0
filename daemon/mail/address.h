/*
 * E-mail addresses as a subscriber list takes them: parsed, checked, and brought to the form in
 * which two of them are compared. A struct address owns its bytes and needs no freeing.
 *
 * What is accepted: a dot-atom local part (RFC 5321 4.1.2; beyond ASCII too, RFC 6531) of at most
 * 64 bytes, "@", and a host name (non-ASCII ones are turned to punycode, IDNA2008 with UTS 46), at
 * most 254 bytes together, which is what fits between MAIL's and RCPT's angle brackets. A domain
 * of one label is accepted ("a@io" has mail). Spaces and tabs around the whole are dropped.
 *
 * What is refused although a grammar knows it, because in a list it is a mistake or an attack far
 * more often than a person: quoted local parts, address literals, domains whose last label is a
 * number (an IPv4 address), comments and white space inside, obsolete forms, anything too long.
 * Control characters, line ends, NUL, Unicode's spaces, its invisible and its unassigned
 * characters are never accepted, in either part.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "base/why.h"

enum {
	ADDRESS_LOCAL = 64 + 1,                                      /* sizes, each with its NUL */
	ADDRESS_DOMAIN = 253 + 1,                                    /* a host name in ASCII */
	ADDRESS_WIRE = 254 + 1,                                      /* local@domain as sent */
	ADDRESS_NORM = 3 * (ADDRESS_LOCAL - 1) + 1 + ADDRESS_DOMAIN, /* case and NFC can lengthen */
	ADDRESS_DISPLAY = ADDRESS_LOCAL + 4 * ADDRESS_DOMAIN,
};

struct address {
	char display[ADDRESS_DISPLAY]; /* as it was typed, trimmed */
	char wire[ADDRESS_WIRE];       /* local part as typed "@" domain: what SMTP and To: get */
	char norm[ADDRESS_NORM];   /* what is unique: local part in lower case (and NFC), domain */
	char local[ADDRESS_LOCAL]; /* as typed: its case may matter to its own server */
	char domain[ADDRESS_DOMAIN]; /* lower case, punycode */
	bool needs_smtputf8;         /* the local part isn't ASCII: only to servers that offer it */
};

/* -EINVAL with the reason for `text`, -ENOMEM. *ret is set on success only. */
int address_parse(struct str text, struct address *ret, struct why *why);

/* A host name in lower case and punycode, NUL-terminated. -EINVAL with the reason, -ENOMEM. */
int address_domain(struct str text, char ret[static ADDRESS_DOMAIN], struct why *why);
