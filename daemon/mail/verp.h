/*
 * Return paths that name the reader (VERP): a bounce comes back to an address that tells whose
 * mail it was, whatever the bounce itself says.
 *
 *   bounces@news.example -> bounces+<39 characters>@news.example
 *
 * The characters are base32 in lower case (RFC 4648 6, no padding) of issue and subscriber (8
 * bytes each, big endian) and the first 8 bytes of their HMAC-SHA-256, so that nobody can report
 * a reader as bounced who never got their mail. Base32, because some relays change the case of a
 * local part. Issue 0 stands for letters: then the number is the letter's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "base/why.h"
#include "mail/address.h"
#include "mail/token.h"

enum {
	VERP_CODE = 39,                            /* characters after the "+" */
	VERP_BASE = ADDRESS_LOCAL - 2 - VERP_CODE, /* the longest local part of a list's own: 24 */
};

struct verp {
	int64_t issue;      /* 0: a letter */
	int64_t subscriber; /* or the letter */
};

/* Whether return paths can be made of this one; -EINVAL with the reason. For configuration. */
int verp_check(struct str return_path, struct why *why);

/* `return_path` in its wire form, one that verp_check() took, else -EINVAL. -EIO: no HMAC. */
int verp_make(const struct token_key *key, struct str return_path, struct verp what,
	      char ret[static ADDRESS_WIRE]);

/*
 * Reads a return path, or its local part alone; any of `keys` may have made it. -ENOENT: it has no
 * code; -EBADMSG: it has one, but not of ours.
 */
int verp_parse(const struct token_key *keys, size_t count, struct str address, struct verp *ret);
