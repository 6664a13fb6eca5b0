/* SHA-256: the examples of FIPS 180-4, in one piece and in several; a lack of memory is told. */
#include "unit.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/sha256.h"

static const struct {
	const char *text, *hex;
} examples[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
     "lmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static struct {
	bool armed;
	unsigned long left; /* allocations that succeed before all fail */
	bool hit;
} library;

static bool refuses(void)
{
	if (!library.armed || library.left-- > 0)
		return false;
	library.left = 0;
	return library.hit = true;
}

static void *library_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return refuses() ? NULL : malloc(n);
}

static void *library_realloc(void *old, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return refuses() ? NULL : realloc(old, n);
}

static void library_free(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	free(memory);
}

static void the_examples_of_the_standard_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(examples); i++) {
		struct str text = str_of(examples[i].text);
		char hex[SHA256_HEX];
		assert_int_equal(sha256_hex(&text, 1, hex), 0);
		assert_string_equal(hex, examples[i].hex);
	}
}

static void a_million_letters_hash_as_the_standard_says(void **state)
{
	(void)state;
	char thousand[1000];
	struct str pieces[1000];
	char hex[SHA256_HEX];
	memset(thousand, 'a', sizeof(thousand));
	for (size_t i = 0; i < ELEMENTS(pieces); i++)
		pieces[i] = (struct str){thousand, sizeof(thousand)};
	assert_int_equal(sha256_hex(pieces, ELEMENTS(pieces), hex), 0);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void pieces_hash_as_what_they_make_together(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(examples); i++) {
		struct str text = str_of(examples[i].text);
		for (size_t cut = 0; cut <= text.n; cut++) {
			const struct str pieces[] = {
			    str_head(text, cut), {NULL, 0}, str_from(text, cut)};
			char hex[SHA256_HEX];
			assert_int_equal(sha256_hex(pieces, ELEMENTS(pieces), hex), 0);
			assert_string_equal(hex, examples[i].hex);
		}
	}
	char hex[SHA256_HEX];
	assert_int_equal(sha256_hex(NULL, 0, hex), 0);
	assert_string_equal(hex, examples[0].hex);
}

static void bytes_are_those_of_the_hex_digits(void **state)
{
	(void)state;
	const struct str text = STR("abc");
	uint8_t bytes[SHA256_BYTES];
	assert_int_equal(sha256_bytes(&text, 1, bytes), 0);
	assert_int_equal(bytes[0], 0xba);
	assert_int_equal(bytes[1], 0x78);
	assert_int_equal(bytes[SHA256_BYTES - 1], 0xad);
}

static void a_lack_of_memory_is_told_and_writes_nothing(void **state)
{
	(void)state;
	const struct str text = STR("abc");
	unsigned long at = 0;
	do {
		char hex[SHA256_HEX] = "before";
		library.hit = false;
		library.left = at++;
		library.armed = true;
		int r = sha256_hex(&text, 1, hex);
		library.armed = false;
		assert_int_equal(r, library.hit ? -ENOMEM : 0);
		assert_string_equal(hex, library.hit ? "before" : examples[1].hex);
	} while (library.hit);
	assert_true(at > 1);
}

int main(void)
{
	/* Before the library's first allocation, else it keeps its own. */
	if (!CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free))
		return 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_examples_of_the_standard_hold),
	    cmocka_unit_test(a_million_letters_hash_as_the_standard_says),
	    cmocka_unit_test(pieces_hash_as_what_they_make_together),
	    cmocka_unit_test(bytes_are_those_of_the_hex_digits),
	    cmocka_unit_test(a_lack_of_memory_is_told_and_writes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
