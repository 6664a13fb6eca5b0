#include "base/sha256.h"

#include <errno.h>
#include <openssl/evp.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free);

int sha256_bytes(const struct str *pieces, size_t n, uint8_t ret[static SHA256_BYTES])
{
	_cleanup_(EVP_MD_CTX_freep)
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t hash[EVP_MAX_MD_SIZE];
	bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	for (size_t i = 0; good && i < n; i++)
		good = EVP_DigestUpdate(ctx, pieces[i].p, pieces[i].n);
	if (!good || !EVP_DigestFinal_ex(ctx, hash, NULL))
		return -ENOMEM;
	memcpy(ret, hash, SHA256_BYTES);
	return 0;
}

int sha256_hex(const struct str *pieces, size_t n, char ret[static SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[SHA256_BYTES];
	int r = sha256_bytes(pieces, n, hash);
	if (r < 0)
		return r;
	for (size_t i = 0; i < SHA256_BYTES; i++) {
		ret[2 * i] = digits[hash[i] >> 4];
		ret[2 * i + 1] = digits[hash[i] & 15];
	}
	ret[SHA256_HEX - 1] = '\0';
	return 0;
}
