/* Forms as browsers and mail programs send them, and as nobody should. */
#include "unit.h"

#include <errno.h>

#include "base/buf.h"
#include "web/form.h"

#define URLENCODED "application/x-www-form-urlencoded"

static int parse(const char *type, struct str body, struct arena *arena, struct form *form)
{
	return form_parse(str_of(type), body, arena, form);
}

static void check(const char *type, const char *body, const char *name, const char *value)
{
	_cleanup_arena_ struct arena arena = {0};
	struct form form;
	assert_int_equal(parse(type, str_of(body), &arena, &form), 0);
	struct str found = form_get(&form, name);
	if (!str_is(found, value))
		fail_msg("\"%s\": %s is \"%.*s\", not \"%s\"", body, name, (int)found.n, found.p,
			 value);
}

static void check_refused(const char *type, const char *body, int err)
{
	_cleanup_arena_ struct arena arena = {0};
	struct form form = {.n = 99};
	int r = parse(type, str_of(body), &arena, &form);
	if (r != err)
		fail_msg("%s: \"%s\" gives %d, not %d", type, body, r, err);
	assert_int_equal(form.n, 99);
}

static void urlencoded_fields_are_read(void **state)
{
	(void)state;
	check(URLENCODED, "List-Unsubscribe=One-Click", "List-Unsubscribe", "One-Click");
	check(URLENCODED "; charset=utf-8", "a=1&b=2", "b", "2");
	check("Application/X-WWW-Form-urlencoded", "a=1", "a", "1");
	check("", "a=1", "a", "1");
	check(URLENCODED, "a=x+y%2Bz%c3%A9", "a", "x y+z\xc3\xa9");
	check(URLENCODED, "a%3D=1", "a=", "1");
	check(URLENCODED, "a=1&a=2", "a", "1");
	check(URLENCODED, "&&a=b=c&", "a", "b=c");
	check(URLENCODED, "a", "a", "");
	check(URLENCODED, "", "a", "");
	check(URLENCODED, "A=1", "a", "");
}

static void a_percent_sign_that_escapes_nothing_stands_for_itself(void **state)
{
	(void)state;
	check(URLENCODED, "a=100%", "a", "100%");
	check(URLENCODED, "a=%4", "a", "%4");
	check(URLENCODED, "a=%zz%41", "a", "%zzA");
	check(URLENCODED, "a=%%41", "a", "%A");
}

static void a_nul_is_a_byte_like_others(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = {0};
	struct form form;
	assert_int_equal(parse(URLENCODED, STR("a=x%00y"), &arena, &form), 0);
	assert_true(str_eq(form_get(&form, "a"), STR("x\0y")));
}

#define PART(name, value)                                                                          \
	"--x\r\nContent-Disposition: form-data; name=" name "\r\n\r\n" value "\r\n"

static void multipart_fields_are_read(void **state)
{
	(void)state;
	const char *type = "multipart/form-data; boundary=x";
	check(type, PART("\"a\"", "1") "--x--\r\n", "a", "1");
	check(type, PART("\"a\"", "1") "--x--", "a", "1");
	check(type, PART("a", "1") PART("\"b\"", "2") "--x--\r\n", "b", "2");
	check(type, PART("\"a\"", "") "--x--\r\n", "a", "");
	check(type, PART("\"a\"", "1\r\n2--x") "--x--\r\n", "a", "1\r\n2--x");
	check(type, PART("\"a\"; filename=\"f\"", "1") PART("\"b\"", "2") "--x--\r\n", "a", "");
	check(type, "preamble\r\n" PART("\"a\"", "1") "--x--\r\nepilogue", "a", "1");
	check(type, "--x \t\r\nX: y\r\ncontent-disposition:form-data;name=\"a\"\r\n\r\n1\r\n--x--",
	      "a", "1");
	check(type, "--x\r\n\r\nno header\r\n" PART("\"a\"", "1") "--x--", "a", "1");
	check(type, PART("\"a;b\"", "1") "--x--", "a;b", "1");
	check("Multipart/Form-Data; charset=utf-8; Boundary=\"x\"", PART("a", "1") "--x--", "a",
	      "1");
	check("multipart/form-data; boundary=\"x y\"",
	      "--x y\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x y--", "a", "1");
}

static void broken_multipart_is_refused(void **state)
{
	(void)state;
	const char *type = "multipart/form-data; boundary=x";
	check_refused("multipart/form-data", PART("a", "1") "--x--", -EINVAL);
	check_refused("multipart/form-data; boundary=", PART("a", "1") "--x--", -EINVAL);
	check_refused("multipart/form-data; boundary=\"x", PART("a", "1") "--x--", -EINVAL);
	check_refused(type, "", -EINVAL);
	check_refused(type, "--x", -EINVAL);
	check_refused(type, PART("a", "1"), -EINVAL);
	check_refused(type, "--x\r\nContent-Disposition: form-data; name=a\r\n--x--", -EINVAL);
	check_refused(type, "--xy\r\n\r\n1\r\n--x--", -EINVAL);
}

static void other_types_are_refused(void **state)
{
	(void)state;
	check_refused("text/plain", "a=1", -ENOTSUP);
	check_refused("application/json", "{}", -ENOTSUP);
	check_refused("multipart/mixed; boundary=x", PART("a", "1") "--x--", -ENOTSUP);
}

static void there_is_a_limit_to_fields(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf body = {0};
	_cleanup_arena_ struct arena arena = {0};
	struct form form;
	for (int i = 0; i < FORM_FIELDS; i++)
		buf_adds(&body, "a=1&");
	assert_int_equal(parse(URLENCODED, buf_str(&body), &arena, &form), 0);
	buf_adds(&body, "a=1");
	assert_int_equal(parse(URLENCODED, buf_str(&body), &arena, &form), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urlencoded_fields_are_read),
	    cmocka_unit_test(a_percent_sign_that_escapes_nothing_stands_for_itself),
	    cmocka_unit_test(a_nul_is_a_byte_like_others),
	    cmocka_unit_test(multipart_fields_are_read),
	    cmocka_unit_test(broken_multipart_is_refused),
	    cmocka_unit_test(other_types_are_refused),
	    cmocka_unit_test(there_is_a_limit_to_fields),
	};
	return cmocka_run_group_tests_name("forms", tests, NULL, NULL);
}
