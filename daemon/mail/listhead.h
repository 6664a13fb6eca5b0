/*
 * The headers that tell which list a mail is from, alike for all its readers: From, Reply-To,
 * List-Id and its kin, Feedback-ID, CFBL-Address. They are made from the list as it is frozen in
 * an issue's content ("list" of what templates see).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/why.h"
#include "mail/address.h"

struct listhead {
	char domain[ADDRESS_DOMAIN]; /* the list's own: that of its From address, in ASCII */
	bool smtputf8;               /* From or Reply-To is beyond ASCII before the @ */
};

enum {
	LISTHEAD_ID = 64 + 1, /* what listhead_id() writes, with its NUL */
};

struct listhead_spec {
	json_t *list;
	const char *lang;     /* Content-Language, NULL for none */
	const char *campaign; /* first field of the Feedback-ID: the issue or the kind of letter */
	const char *kind;     /* its third: "digest" or "letter" */
	bool automatic;       /* Auto-Submitted: auto-generated */
};

/* Appends the lines to out. -EINVAL with the reason: the list's settings make no header. */
int listhead_write(const struct listhead_spec *spec, struct buf *out, struct listhead *ret,
		   struct why *why);

/*
 * Text as an identifier of letters, digits, "-", "_" and single dots, fit for both sides of a
 * Message-ID: as it is when it is one of at most 64 characters, else a hash of it.
 */
int listhead_id(struct str text, char ret[static LISTHEAD_ID]);
