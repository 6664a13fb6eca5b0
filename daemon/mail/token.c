#include "mail/token.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int32_t token_expiry(usec_t now, uint64_t seconds)
{
	uint64_t minute = (now / USEC_PER_SEC + seconds + 59) / 60;
	return minute < INT32_MAX ? (int32_t)minute : INT32_MAX;
}

int token_mac(const struct token_key *key, const void *bytes, size_t n, uint8_t *ret, size_t size)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = sizeof(mac);
	if (!HMAC(EVP_sha256(), key->bytes, key->len, bytes, n, mac, &len) || len < size)
		return -EIO;
	memcpy(ret, mac, size);
	return 0;
}

static void put32(uint8_t *to, int32_t value)
{
	uint32_t v = htobe32((uint32_t)value);
	memcpy(to, &v, sizeof(v));
}

static int32_t get32(const uint8_t *from)
{
	uint32_t v;
	memcpy(&v, from, sizeof(v));
	return (int32_t)be32toh(v);
}

static void encode(const uint8_t bytes[static TOKEN_BYTES], char *ret)
{
	unsigned bits = 0, held = 0;
	for (size_t i = 0; i < TOKEN_BYTES; i++) {
		held = held << 8 | bytes[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*ret++ = alphabet[held >> (bits - 6) & 63];
	}
	*ret++ = alphabet[held << (6 - bits) & 63];
	*ret = '\0';
}

/* -EBADMSG unless the text is what encode() writes for some bytes: there is one text for each. */
static int decode(struct str text, uint8_t ret[static TOKEN_BYTES])
{
	if (text.n != TOKEN_TEXT - 1)
		return -EBADMSG;
	unsigned bits = 0, held = 0;
	for (size_t i = 0, n = 0; i < text.n; i++) {
		const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;
		if (!at)
			return -EBADMSG;
		held = held << 6 | (unsigned)(at - alphabet);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			ret[n++] = (uint8_t)(held >> bits);
		}
	}
	return (held & ((1U << bits) - 1)) == 0 ? 0 : -EBADMSG;
}

int token_mint(const struct token_key *key, const struct token_claim *claim,
	       char ret[static TOKEN_TEXT])
{
	uint8_t bytes[TOKEN_BYTES] = {key->id, (uint8_t)claim->purpose};
	uint64_t subscriber = htobe64((uint64_t)claim->subscriber);
	if (key->id == 0 || key->len == 0)
		return -EINVAL;
	put32(bytes + 2, claim->list);
	memcpy(bytes + 6, &subscriber, sizeof(subscriber));
	put32(bytes + 14, claim->gen);
	put32(bytes + 18, claim->expires);
	int r = token_mac(key, bytes, TOKEN_CLAIM, bytes + TOKEN_CLAIM, TOKEN_MAC);
	if (r < 0)
		return r;
	encode(bytes, ret);
	return 0;
}

static const struct token_key *find_key(const struct token_key *keys, size_t count, uint8_t id)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].id == id && keys[i].len)
			return &keys[i];
	return NULL;
}

int token_check(const struct token_key *keys, size_t count, struct str text, usec_t now,
		struct token_claim *ret)
{
	uint8_t bytes[TOKEN_BYTES], mac[TOKEN_MAC];
	int r = decode(text, bytes);
	if (r < 0)
		return r;
	const struct token_key *key = bytes[0] ? find_key(keys, count, bytes[0]) : NULL;
	if (!key)
		return -EBADMSG;
	r = token_mac(key, bytes, TOKEN_CLAIM, mac, TOKEN_MAC);
	if (r < 0)
		return r;
	if (CRYPTO_memcmp(mac, bytes + TOKEN_CLAIM, TOKEN_MAC) != 0)
		return -EBADMSG;

	int32_t expires = get32(bytes + 18);
	if (expires && now / USEC_PER_SEC / 60 >= (uint64_t)expires)
		return -ESTALE;
	uint64_t subscriber;
	memcpy(&subscriber, bytes + 6, sizeof(subscriber));
	*ret = (struct token_claim){
	    .purpose = (enum token_purpose)bytes[1],
	    .list = get32(bytes + 2),
	    .subscriber = (int64_t)be64toh(subscriber),
	    .gen = get32(bytes + 14),
	    .expires = expires,
	};
	return 0;
}
