#include "mail/verp.h"

#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

enum { IDS = 16, MAC = 8, BYTES = IDS + MAC };

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

/* The claim is led by two bytes that no link token starts with: no key id is 0. */
static int mac_of(const struct token_key *key, const uint8_t ids[static IDS], uint8_t *ret)
{
	uint8_t claim[2 + IDS] = {0, 'b'};
	memcpy(claim + 2, ids, IDS);
	return token_mac(key, claim, sizeof(claim), ret, MAC);
}

static void encode(const uint8_t bytes[static BYTES], char *ret)
{
	unsigned bits = 0, held = 0;
	for (size_t i = 0; i < BYTES; i++) {
		held = held << 8 | bytes[i];
		for (bits += 8; bits >= 5; bits -= 5)
			*ret++ = alphabet[held >> (bits - 5) & 31];
	}
	*ret++ = alphabet[held << (5 - bits) & 31];
	*ret = '\0';
}

static int digit(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static int decode(struct str code, uint8_t ret[static BYTES])
{
	unsigned bits = 0, held = 0;
	if (code.n != VERP_CODE)
		return -EBADMSG;
	for (size_t i = 0, n = 0; i < code.n; i++) {
		int value = digit(code.p[i]);
		if (value < 0)
			return -EBADMSG;
		held = held << 5 | (unsigned)value;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			ret[n++] = (uint8_t)(held >> bits);
		}
	}
	return 0;
}

int verp_check(struct str return_path, struct why *why)
{
	struct address a;
	int r = address_parse(return_path, &a, why);
	if (r < 0)
		return r;
	if (a.needs_smtputf8)
		return why_set(why, -EINVAL, "a return path must be ASCII before the @");
	if (strlen(a.local) > VERP_BASE)
		return why_set(why, -EINVAL,
			       "a return path may have %d characters before the @, not %zu: each "
			       "reader's code is added to it",
			       VERP_BASE, strlen(a.local));
	if (strlen(a.wire) + 1 + VERP_CODE >= ADDRESS_WIRE)
		return why_set(why, -EINVAL, "the return path's domain is too long");
	return 0;
}

int verp_make(const struct token_key *key, struct str return_path, struct verp what,
	      char ret[static ADDRESS_WIRE])
{
	uint8_t bytes[BYTES];
	uint64_t issue = htobe64((uint64_t)what.issue);
	uint64_t subscriber = htobe64((uint64_t)what.subscriber);
	char code[VERP_CODE + 1];
	struct str local, domain;
	if (key->len == 0 || !str_cut(return_path, '@', &local, &domain) || local.n > VERP_BASE ||
	    return_path.n + 1 + VERP_CODE >= ADDRESS_WIRE)
		return -EINVAL;
	memcpy(bytes, &issue, 8);
	memcpy(bytes + 8, &subscriber, 8);
	int r = mac_of(key, bytes, bytes + IDS);
	if (r < 0)
		return r;
	encode(bytes, code);
	snprintf(ret, ADDRESS_WIRE, "%.*s+%s@%.*s", (int)local.n, local.p, code, (int)domain.n,
		 domain.p);
	return 0;
}

int verp_parse(const struct token_key *keys, size_t count, struct str address, struct verp *ret)
{
	uint8_t bytes[BYTES], mac[MAC];
	struct str local = address, domain;
	str_cut(address, '@', &local, &domain);
	const char *plus = local.n ? memrchr(local.p, '+', local.n) : NULL;
	if (!plus)
		return -ENOENT;
	int r = decode(str_from(local, (size_t)(plus - local.p) + 1), bytes);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		r = keys[i].len ? mac_of(&keys[i], bytes, mac) : -EBADMSG;
		if (r == -EIO)
			return r;
		if (r < 0 || CRYPTO_memcmp(mac, bytes + IDS, MAC) != 0)
			continue;
		uint64_t issue, subscriber;
		memcpy(&issue, bytes, 8);
		memcpy(&subscriber, bytes + 8, 8);
		*ret = (struct verp){(int64_t)be64toh(issue), (int64_t)be64toh(subscriber)};
		return 0;
	}
	return -EBADMSG;
}
