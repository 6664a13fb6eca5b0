/*
 * Addresses from anywhere: what is accepted is fit for SMTP's and for a header's angle brackets,
 * and is accepted again, unchanged, in the forms that were made of it.
 */
#include <stdint.h>

#include "base/text.h"
#include "mail/address.h"
#include "mail/token.h"
#include "mail/verp.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bytes(const char *text)
{
	must(text_valid(str_of(text)), "accepted what isn't UTF-8");
	for (; *text; text++)
		must((unsigned char)*text > ' ' && *text != 0x7f && !strchr("<>()[],;:\\\"", *text),
		     "accepted a character that breaks out");
}

static void check_again(const char *text, const struct address *first)
{
	struct address again;
	must(address_parse(str_of(text), &again, NULL) == 0, "refused its own form");
	must(strcmp(again.norm, first->norm) == 0, "made another one of its own form");
	must(strcmp(again.domain, first->domain) == 0, "made another domain of its own form");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct token_key key = {.id = 1, .len = 1, .bytes = "k"};
	struct str text = {(const char *)data, size};
	struct address a;
	struct token_claim claim;
	struct verp verp;
	struct why why;
	must(token_check(&key, 1, text, 0, &claim) < 0, "took a token that nobody made");
	must(verp_parse(&key, 1, text, &verp) < 0, "took a return path that nobody made");
	if (address_parse(text, &a, &why) < 0)
		return 0;
	check_bytes(a.wire);
	check_bytes(a.norm);
	must(strlen(a.wire) < ADDRESS_WIRE && strlen(a.local) < ADDRESS_LOCAL, "too long");
	check_again(a.wire, &a);
	check_again(a.display, &a);
	if (strlen(a.norm) <= 254 && strchr(a.norm, '@') - a.norm <= 64)
		check_again(a.norm, &a);
	return 0;
}
