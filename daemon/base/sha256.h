/*
 * SHA-256 (FIPS 180-4) of what stands in one piece or in several that follow one another, as bytes
 * or in hex. The caller owns everything; nothing is kept between two calls. The library allocates
 * for each hash, so each can fail: -ENOMEM, and nothing is written to ret.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
	SHA256_BYTES = 32,
	SHA256_HEX = 2 * SHA256_BYTES + 1, /* digits and a NUL */
};

int sha256_bytes(const struct str *pieces, size_t n, uint8_t ret[static SHA256_BYTES]);

/* In lower case, NUL-terminated. */
int sha256_hex(const struct str *pieces, size_t n, char ret[static SHA256_HEX]);
