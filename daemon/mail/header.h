/*
 * Header lines (RFC 5322), each appended to a buffer as a whole, with its CRLF. Whatever foreign
 * text holds, it stays inside its header: controls and line ends become spaces, what isn't plain
 * becomes encoded words (RFC 2047). Lines are folded at 78 characters where there is a place for
 * it, and never have more than 998 bytes.
 *
 * `name` is the header's name without colon, a literal of the program. All return the buffer's
 * error, or -EINVAL for a machine-made value that no header can hold; then nothing was appended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

enum {
	HEADER_FOLD = 78,  /* RFC 5322 2.1.1, without CRLF */
	HEADER_LINE = 998, /* likewise: must not be exceeded */
	HEADER_DATE = 32,  /* "Tue, 24 Nov 2026 22:01:07 +0000" and a NUL */
};

/* Text for people: Subject and the like. */
int header_text(struct buf *out, const char *name, struct str text);

/*
 * One mailbox: "Ada Lovelace" <ada@example.org>. `display` may be empty. `address` is a struct
 * address's wire form; beyond ASCII it is written as it is (RFC 6532) and needs SMTPUTF8.
 */
int header_mailbox(struct buf *out, const char *name, struct str display, struct str address);

/* RFC 2919: a title for people and an identifier like a host name: Title <id>. */
int header_list_id(struct buf *out, const char *name, struct str title, struct str id);

/* Message-ID: <left.number@domain>. */
int header_message_id(struct buf *out, struct str left, int64_t number, struct str domain);

/* A value made by this program of printable ASCII without need of folding. */
int header_raw(struct buf *out, const char *name, struct str value);

/*
 * <URL>, <URL>: one a line. Empty ones are left out; nothing is written when all are empty. What
 * can't stand in a URL is percent-encoded. -EINVAL when one is too long for a line.
 */
int header_urls(struct buf *out, const char *name, const struct str urls[], size_t count);

int header_date(struct buf *out, const char *name, usec_t moment);

/* RFC 5322 3.3, always in UTC. */
const char *header_date_text(usec_t moment, char text[static HEADER_DATE]);
