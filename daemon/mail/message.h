/*
 * A compiled message: a mail with holes where it depends on its reader. Everything else is encoded
 * once, when it is compiled: headers folded, both bodies in quoted-printable. A reader's mail is a
 * splice of these ready runs and of the reader's own values, encoded one by one; as each hole
 * stands between soft line breaks, neither side depends on what the other holds.
 *
 * A spliced mail is complete: CRLF line ends only, the last line ended too, no line of more than
 * 998 bytes, no body line that starts with a dot (so it goes through SMTP's DATA as it is).
 *
 * The message lives in the arena that it was compiled in, needs nothing of its specification any
 * more but the names in its pieces and those of the subject (which mustache_reduce() put into an
 * arena too), and is never changed: any number of mails can be spliced from it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/why.h"
#include "mail/mustache.h"

struct message;

struct message_spec {
	struct str headers;          /* lines alike for all readers, as mail/header.h writes them */
	const struct piece *subject; /* text, not yet encoded; may have late values */
	const struct piece *text;    /* the two bodies; neither may be NULL */
	const struct piece *html;
	struct str id;     /* starts the Message-ID; another one for each issue or kind of letter */
	struct str domain; /* ends it: a host name in ASCII */
	struct str seed;   /* what the boundary is made from: the same for the same mail */
	bool unsubscribe;  /* List-Unsubscribe by one click (RFC 8058) */
	bool smtputf8;     /* `headers` holds an address beyond ASCII */
};

struct message_reader {
	struct str address;     /* a struct address's wire form */
	struct str name;        /* may be empty */
	int64_t id;             /* subscriber or letter: ends the left side of the Message-ID */
	usec_t date;            /* one for a lane */
	struct str unsubscribe; /* the https URL that takes the one-click POST */
	struct str unsubscribe_mail; /* a mailto: URL, or empty */
	json_t *late;                /* {"reader": {...}, "links": {...}}, borrowed */
};

/* -EINVAL with the reason, -ENOMEM. *ret is set on success only. */
int message_compile(struct arena *arena, const struct message_spec *spec, struct message **ret,
		    struct why *why);

/*
 * Appends one reader's mail to out, or nothing. The same reader's values give the same bytes.
 * -EINVAL: an address or a URL that no header can hold; -E2BIG: sections over a value with too
 * many elements; -EOVERFLOW: beyond out->limit; -ENOMEM.
 */
int message_splice(const struct message *m, const struct message_reader *reader, struct buf *out);

size_t message_size_hint(const struct message *m); /* bytes of a usual mail */
size_t message_html_size(const struct message *m); /* bytes of its HTML, decoded, values guessed */
bool message_smtputf8(const struct message *m);    /* needs it whoever the reader is */

enum { MESSAGE_CLIPPED = 102 * 1024 }; /* HTML beyond this is cut by Gmail */
