/* Values on their way to PostgreSQL and back, as text; connection strings. No server is needed. */
#include "unit.h"

#include <errno.h>

#include "store/conninfo.h"
#include "store/copyrow.h"
#include "store/params.h"
#include "store/pgtext.h"

static void parameters_are_copied_and_taken_over(void **state)
{
	(void)state;
	_cleanup_params_ struct db_params p = {0};
	char name[] = "Zoë";
	params_text(&p, name);
	memset(name, 'x', 3);
	params_int64(&p, INT64_MIN);
	params_null(&p);
	params_text(&p, NULL);
	params_bool(&p, true);
	params_bytes(&p, "a\0b", 3);
	params_usec(&p, UINT64_C(1774746000000001));
	params_int64s(&p, (int64_t[]){1, -2}, 2);
	params_texts(&p, (struct str[]){STR("a\"\\"), {NULL, 0}, STR("")}, 3);
	params_bytes(&p, NULL, 0);
	_cleanup_params_ struct db_params taken = params_take(&p);
	assert_int_equal(p.count, 0);
	assert_int_equal(taken.err, 0);
	assert_int_equal(taken.count, 10);
	assert_string_equal(taken.values[0], "Zoë");
	assert_string_equal(taken.values[1], "-9223372036854775808");
	assert_null(taken.values[2]);
	assert_null(taken.values[3]);
	assert_string_equal(taken.values[4], "t");
	assert_memory_equal(taken.values[5], "a\0b", 3);
	assert_int_equal(taken.lengths[5], 3);
	assert_int_equal(taken.formats[5], 1);
	assert_string_equal(taken.values[6], "2026-03-29T01:00:00.000001Z");
	assert_string_equal(taken.values[7], "{1,-2}");
	assert_string_equal(taken.values[8], "{\"a\\\"\\\\\",NULL,\"\"}");
	assert_non_null(taken.values[9]);
	assert_int_equal(taken.lengths[10], 0);
	assert_int_equal(params_take(NULL).count, 0);
}

static void too_many_parameters_stick_as_an_error(void **state)
{
	(void)state;
	_cleanup_params_ struct db_params p = {0};
	for (int i = 0; i < DB_PARAMS + 1; i++)
		params_null(&p);
	assert_int_equal(p.err, -E2BIG);
	params_int64(&p, 1);
	assert_int_equal(p.count, DB_PARAMS);
}

static void arrays_are_read_back(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct str *list;
	size_t n;
	assert_int_equal(pgtext_read_array(STR("{}"), &a, &list, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(
	    pgtext_read_array(STR("{a,\"b,\\\"}{\\\\\",NULL,\"NULL\",\"\"}"), &a, &list, &n), 0);
	assert_int_equal(n, 5);
	assert_true(str_is(list[0], "a"));
	assert_true(str_is(list[1], "b,\"}{\\"));
	assert_null(list[2].p);
	assert_true(str_is(list[3], "NULL") && str_is(list[4], ""));
	assert_string_equal(list[1].p, "b,\"}{\\");
}

static void broken_arrays_are_refused(void **state)
{
	(void)state;
	static const char *const broken[] = {"",      "{",         "}",     "{a",    "a}",
					     "{\"a}", "{{1},{2}}", "{a}b}", "{a\\}", "[0:1]={1,2}"};
	_cleanup_arena_ struct arena a = {0};
	struct str *list;
	size_t n;
	for (size_t i = 0; i < ELEMENTS(broken); i++)
		if (pgtext_read_array(str_of(broken[i]), &a, &list, &n) != -EINVAL)
			fail_msg("%s was taken", broken[i]);
}

static void bytes_are_read_from_hex(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = {0};
	struct str back;
	assert_int_equal(pgtext_read_hex(STR("\\x00FF10"), &a, &back), 0);
	assert_true(str_eq(back, (struct str){"\0\xff\x10", 3}));
	assert_int_equal(pgtext_read_hex(STR("\\x"), &a, &back), 0);
	assert_int_equal(back.n, 0);
	assert_int_equal(pgtext_read_hex(STR("\\x0"), &a, &back), -EINVAL);
	assert_int_equal(pgtext_read_hex(STR("\\x0g"), &a, &back), -EINVAL);
	assert_int_equal(pgtext_read_hex(STR("abc"), &a, &back), -EINVAL);
}

static void moments_are_read_in_any_zone(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		usec_t moment;
	} cases[] = {
	    {"1970-01-01 00:00:00+00", 0},
	    {"2026-03-29 01:00:00.000001+00", UINT64_C(1774746000000001)},
	    {"2026-03-29 06:30:00.5+05:30", UINT64_C(1774746000500000)},
	    {"2026-03-28 22:00:00.25-03", UINT64_C(1774746000250000)},
	    {"1970-01-01 00:53:28+00:53:28", 0},
	    {"2000-02-29 12:00:00+00", UINT64_C(951825600000000)},
	    {"10000-01-01 00:00:00+00", UINT64_C(253402300800000000)},
	    {"1969-12-31 23:59:59+00", 0},
	    {"infinity", UINT64_MAX},
	    {"-infinity", 0},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		usec_t moment = 77;
		assert_int_equal(pgtext_read_usec(cases[i].text, &moment), 0);
		assert_int_equal(moment, cases[i].moment);
	}
	static const char *const broken[] = {"",
					     "now",
					     "2026-03-29",
					     "29/03/2026 01:00:00 UTC",
					     "2026-03-29 01:00:00",
					     "0044-03-15 12:00:00+00 BC"};
	for (size_t i = 0; i < ELEMENTS(broken); i++) {
		usec_t moment;
		assert_int_equal(pgtext_read_usec(broken[i], &moment), -EINVAL);
	}
}

static void copy_rows_hide_their_marks(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf rows = {0};
	copyrow_int64(&rows, 7);
	copyrow_text(&rows, "a\tb\\n\r\n");
	copyrow_text(&rows, NULL);
	copyrow_texts(&rows, (struct str[]){STR("\"")}, 1);
	copyrow_usec(&rows, 0);
	assert_int_equal(copyrow_end(&rows), 0);
	assert_string_equal(buf_text(&rows), "7\ta\\tb\\\\n\\r\\n\t\\N\t{\"\\\\\"\"}\t"
					     "1970-01-01T00:00:00.000000Z\n");
	assert_int_equal(copyrow_end(&rows), -EINVAL);
}

static const char *value_of(const struct conninfo *c, const char *keyword)
{
	for (int i = 0; i < c->count; i++)
		if (strcmp(c->keywords[i], keyword) == 0)
			return c->values[i];
	return NULL;
}

static void connection_strings_are_completed(void **state)
{
	(void)state;
	struct db_config config = {
	    .conninfo = "postgresql://engine:fromuri@a:1,b:2/letters?tcp_user_timeout=5",
	    .password = "hunter2",
	    .application = "digestd",
	};
	_cleanup_(conninfo_free)
	struct conninfo c = {0};
	assert_int_equal(conninfo_read(&config, &c, NULL), 0);
	assert_string_equal(c.shown, "engine@a,b:1,2/letters");
	assert_string_equal(value_of(&c, "password"), "hunter2");
	assert_string_equal(value_of(&c, "tcp_user_timeout"), "5");
	assert_string_equal(value_of(&c, "application_name"), "digestd");
	assert_string_equal(value_of(&c, "target_session_attrs"), "read-write");
	assert_null(c.keywords[c.count]);
	conninfo_rotate(&c);
	assert_string_equal(value_of(&c, "host"), "b,a");
	assert_string_equal(value_of(&c, "port"), "2,1");
}

static void hosts_are_rotated_past_the_one_that_is_left(void **state)
{
	(void)state;
	struct why why;
	static const struct {
		const char *given, *host, *port, *hosts, *ports;
	} cases[] = {
	    {"host=a,b,c port=1,2,3", "a", "1", "b,c,a", "2,3,1"},
	    {"host=a,b,c port=1,2,3", "b", "2", "c,a,b", "3,1,2"},
	    {"host=a,b,c port=1,2,3", "c", "3", "a,b,c", "1,2,3"},
	    {"host=a,a,a port=1,2,3", "a", "2", "a,a,a", "3,1,2"},
	    {"host=a,b,c port=5", "b", "5", "c,a,b", "5"},
	    {"host=a,b,c", "b", "5432", "c,a,b", NULL},
	    {"host=a,b port=1,2", "elsewhere", "1", "a,b", "1,2"},
	    {"host=a", "a", "5432", "a", NULL},
	    {"host=a port=1", "a", "1", "a", "1"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_(conninfo_free)
		struct conninfo c = {0};
		struct db_config config = {.conninfo = cases[i].given};
		assert_int_equal(conninfo_read(&config, &c, &why), 0);
		assert_int_equal(conninfo_is_list(&c), strchr(cases[i].hosts, ',') != NULL);
		conninfo_rotate_past(&c, cases[i].host, cases[i].port);
		assert_string_equal(value_of(&c, "host"), cases[i].hosts);
		if (cases[i].ports)
			assert_string_equal(value_of(&c, "port"), cases[i].ports);
	}
	_cleanup_(conninfo_free)
	struct conninfo numbers = {0};
	struct db_config config = {.conninfo = "hostaddr=10.0.0.1,10.0.0.2"};
	assert_int_equal(conninfo_read(&config, &numbers, &why), 0);
	assert_true(conninfo_is_list(&numbers));
	conninfo_rotate_past(&numbers, "10.0.0.2", "5432");
	assert_string_equal(value_of(&numbers, "hostaddr"), "10.0.0.1,10.0.0.2");
}

static void a_bad_connection_string_tells_no_secret(void **state)
{
	(void)state;
	static const char *const bad[] = {"host=a password=sesame sesame",
					  "postgresql://u:sesame@[::1/x",
					  "user=u password='sesame"};
	struct why why;
	struct conninfo c;
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		struct db_config config = {.conninfo = bad[i]};
		assert_int_equal(conninfo_read(&config, &c, &why), -EINVAL);
		assert_null(strstr(why.text, "sesame"));
		assert_non_null(strstr(why.text, "postgresql://"));
	}
	struct db_config config = {.conninfo = "hst=a"};
	assert_int_equal(conninfo_read(&config, &c, &why), -EINVAL);
	assert_non_null(strstr(why.text, "\"hst\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parameters_are_copied_and_taken_over),
	    cmocka_unit_test(too_many_parameters_stick_as_an_error),
	    cmocka_unit_test(arrays_are_read_back),
	    cmocka_unit_test(broken_arrays_are_refused),
	    cmocka_unit_test(bytes_are_read_from_hex),
	    cmocka_unit_test(moments_are_read_in_any_zone),
	    cmocka_unit_test(copy_rows_hide_their_marks),
	    cmocka_unit_test(connection_strings_are_completed),
	    cmocka_unit_test(hosts_are_rotated_past_the_one_that_is_left),
	    cmocka_unit_test(a_bad_connection_string_tells_no_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
