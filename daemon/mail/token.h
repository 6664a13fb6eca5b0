/*
 * Link tokens: what a link in a mail proves. Each is 22 bytes of claim and the first 16 bytes of
 * their HMAC-SHA-256, in base64url without padding (RFC 4648 5): 51 characters. They are minted
 * by the engine; who may act on one is decided inside PostgreSQL, which checks the same layout.
 *
 *   byte 0       key id, 1 to 255 (for rotation)
 *   byte 1       purpose, a letter
 *   bytes 2-5    list, big endian like all that follow
 *   bytes 6-13   subscriber
 *   bytes 14-17  gen: the subscription's token_gen, 0 where none is bound
 *   bytes 18-21  expires: minutes since 1970-01-01 00:00 UTC, 0 for never
 *   bytes 22-37  the first half of HMAC-SHA-256(key, bytes 0-21)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"

enum {
	TOKEN_KEY = 64, /* bytes of a key, at most */
	TOKEN_CLAIM = 22,
	TOKEN_MAC = 16,
	TOKEN_BYTES = TOKEN_CLAIM + TOKEN_MAC,
	TOKEN_TEXT = 51 + 1, /* characters and a NUL */
};

enum token_purpose {
	TOKEN_UNSUBSCRIBE = 'u',
	TOKEN_CONFIRM = 'c',
	TOKEN_PREFERENCES = 'p',
	TOKEN_VIEW = 'v',
};

struct token_key {
	uint8_t id; /* 1 to 255 */
	uint8_t len;
	uint8_t bytes[TOKEN_KEY];
};

struct token_claim {
	enum token_purpose purpose;
	int32_t list;
	int64_t subscriber;
	int32_t gen;     /* 0: bound to none */
	int32_t expires; /* minutes since 1970, 0: never; token_expiry() makes one */
};

/* The minute at which a token ends that is to live for `seconds` from `now`, rounded up. */
int32_t token_expiry(usec_t now, uint64_t seconds);

/* NUL-terminated. -EINVAL: the key has no id or no bytes; -EIO: the library failed. */
int token_mint(const struct token_key *key, const struct token_claim *claim,
	       char ret[static TOKEN_TEXT]);

/*
 * Reads a token with the key among `keys` that it names. -EBADMSG: not a token, or not one of
 * ours (nothing else is told); -ESTALE: it was ours and has ended. *ret is set on success only.
 */
int token_check(const struct token_key *keys, size_t count, struct str text, usec_t now,
		struct token_claim *ret);

/* The first `size` (at most 32) bytes of HMAC-SHA-256. -EIO: the library failed. */
int token_mac(const struct token_key *key, const void *bytes, size_t n, uint8_t *ret, size_t size);
