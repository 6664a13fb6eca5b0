/* Link tokens and return paths: their layout to the byte, and that nobody can make one. */
#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "mail/token.h"
#include "mail/verp.h"

static const struct token_key keys[] = {
    {.id = 1, .len = 32, .bytes = "0123456789abcdef0123456789abcdef"},
    {.id = 2, .len = 32, .bytes = "another key that is 32 bytes lon"},
};

static const struct token_claim claim = {
    .purpose = TOKEN_UNSUBSCRIBE, .list = 7, .subscriber = 0x0102030405060708, .gen = -2};

static void a_token_has_the_layout_that_sql_reads(void **state)
{
	(void)state;
	char text[TOKEN_TEXT];
	assert_int_equal(token_mint(&keys[0], &claim, text), 0);
	/* Made with Python's struct.pack(">BBiqii", 1, 117, 7, ..., -2, 0), hmac and base64. */
	assert_string_equal(text, "AXUAAAAHAQIDBAUGBwj____-AAAAANPi6IXhq0u232Kt-dZdjWI");
}

static void a_token_reads_back(void **state)
{
	(void)state;
	char text[TOKEN_TEXT];
	struct token_claim got, all = {TOKEN_CONFIRM, INT32_MIN, INT64_MIN, INT32_MAX, 1000};
	usec_t now = 999 * 60 * USEC_PER_SEC;
	assert_int_equal(token_mint(&keys[1], &all, text), 0);
	assert_int_equal(token_check(keys, 2, str_of(text), now, &got), 0);
	assert_int_equal(got.purpose, TOKEN_CONFIRM);
	assert_int_equal(got.list, INT32_MIN);
	assert_true(got.subscriber == INT64_MIN);
	assert_int_equal(got.gen, INT32_MAX);
	assert_int_equal(got.expires, 1000);
	assert_int_equal(token_check(keys, 1, str_of(text), now, &got), -EBADMSG);
}

static void a_token_ends_at_its_minute(void **state)
{
	(void)state;
	char text[TOKEN_TEXT];
	struct token_claim got, c = claim;
	usec_t now = 6000 * USEC_PER_SEC;
	c.expires = token_expiry(now, 1);
	assert_int_equal(c.expires, 101);
	token_mint(&keys[0], &c, text);
	assert_int_equal(token_check(keys, 2, str_of(text), now + USEC_PER_SEC, &got), 0);
	usec_t end = 101 * 60 * USEC_PER_SEC;
	assert_int_equal(token_check(keys, 2, str_of(text), end - 1, &got), 0);
	assert_int_equal(token_check(keys, 2, str_of(text), end, &got), -ESTALE);
	assert_int_equal(token_expiry(now, UINT32_MAX * UINT64_C(1000)), INT32_MAX);
}

static void no_changed_character_is_accepted(void **state)
{
	(void)state;
	char text[TOKEN_TEXT];
	struct token_claim got = {.list = 99};
	token_mint(&keys[0], &claim, text);
	for (size_t i = 0; i < TOKEN_TEXT - 1; i++) {
		char kept = text[i];
		for (int c = 0; c < 256; c++) {
			text[i] = (char)c;
			int r = token_check(keys, 2, (struct str){text, TOKEN_TEXT - 1}, 0, &got);
			if ((r == 0) != (text[i] == kept))
				fail_msg("character %zu as %d gave %d", i, c, r);
			if (r == 0)
				got.list = 99;
		}
		text[i] = kept;
	}
	assert_int_equal(got.list, 99);
	assert_int_equal(token_check(keys, 2, str_head(str_of(text), 50), 0, &got), -EBADMSG);
	assert_int_equal(token_check(keys, 2, STR(""), 0, &got), -EBADMSG);
}

static void a_key_without_id_or_bytes_mints_nothing(void **state)
{
	(void)state;
	char text[TOKEN_TEXT];
	struct token_key none = {.id = 0, .len = 32}, empty = {.id = 3};
	assert_int_equal(token_mint(&none, &claim, text), -EINVAL);
	assert_int_equal(token_mint(&empty, &claim, text), -EINVAL);
}

static void a_return_path_reads_back_in_any_case(void **state)
{
	(void)state;
	char path[ADDRESS_WIRE];
	struct verp got, what = {0x1122334455667788, -5};
	assert_int_equal(verp_make(&keys[1], STR("bounces@news.example"), what, path), 0);
	assert_int_equal(strlen(path), strlen("bounces+@news.example") + VERP_CODE);
	/* Made with Python's struct, hmac and base64.b32encode. */
	assert_string_equal(path, "bounces+cerdgrcvmz3yr777777777777ns6nzkun2duuuy@news.example");
	assert_int_equal(verp_parse(keys, 2, str_of(path), &got), 0);
	assert_true(got.issue == what.issue && got.subscriber == what.subscriber);
	for (char *p = path; *p; p++)
		*p = (char)toupper(*p);
	assert_int_equal(verp_parse(keys, 2, str_of(path), &got), 0);
	assert_true(got.issue == what.issue && got.subscriber == what.subscriber);
	assert_int_equal(verp_parse(keys, 1, str_of(path), &got), -EBADMSG);
	*strchr(path, '@') = '\0';
	assert_int_equal(verp_parse(keys, 2, str_of(path), &got), 0);
}

static void a_forged_return_path_is_refused(void **state)
{
	(void)state;
	char path[ADDRESS_WIRE];
	struct verp got;
	verp_make(&keys[0], STR("b@news.example"), (struct verp){1, 2}, path);
	for (size_t i = 2; i < 2 + VERP_CODE - 1; i++) {
		char kept = path[i];
		path[i] = kept == 'q' ? 'r' : 'q';
		assert_int_equal(verp_parse(keys, 2, str_of(path), &got), -EBADMSG);
		path[i] = '!';
		assert_int_equal(verp_parse(keys, 2, str_of(path), &got), -EBADMSG);
		path[i] = kept;
	}
	assert_int_equal(verp_parse(keys, 2, STR("bounces@news.example"), &got), -ENOENT);
	assert_int_equal(verp_parse(keys, 2, STR("b+x@news.example"), &got), -EBADMSG);
	assert_int_equal(verp_parse(keys, 2, STR(""), &got), -ENOENT);
}

static void a_return_path_that_has_no_room_is_told(void **state)
{
	(void)state;
	struct why why;
	char path[ADDRESS_WIRE];
	assert_int_equal(verp_check(STR("abcdefghijklmnopqrstuvwx@news.example"), NULL), 0);
	assert_int_equal(verp_make(&keys[0], STR("abcdefghijklmnopqrstuvwx@news.example"),
				   (struct verp){1, 2}, path),
			 0);
	assert_int_equal(strchr(path, '@') - path, 64);
	assert_int_equal(verp_check(STR("abcdefghijklmnopqrstuvwxy@news.example"), &why), -EINVAL);
	assert_non_null(strstr(why.text, "24 characters"));
	assert_int_equal(verp_make(&keys[0], STR("abcdefghijklmnopqrstuvwxy@news.example"),
				   (struct verp){1, 2}, path),
			 -EINVAL);
	assert_int_equal(verp_check(STR("böunces@news.example"), &why), -EINVAL);
	assert_int_equal(verp_check(STR("bounces"), &why), -EINVAL);
	assert_int_equal(verp_make(&keys[0], STR("bounces"), (struct verp){1, 2}, path), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_token_has_the_layout_that_sql_reads),
	    cmocka_unit_test(a_token_reads_back),
	    cmocka_unit_test(a_token_ends_at_its_minute),
	    cmocka_unit_test(no_changed_character_is_accepted),
	    cmocka_unit_test(a_key_without_id_or_bytes_mints_nothing),
	    cmocka_unit_test(a_return_path_reads_back_in_any_case),
	    cmocka_unit_test(a_forged_return_path_is_refused),
	    cmocka_unit_test(a_return_path_that_has_no_room_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
