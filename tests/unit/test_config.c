/* Reading a configuration: each mistake with its line, includes, secrets, memory. */
#include "failing_alloc.h"

#include "base/config_scan.h"
#include "config_file.h"
#include "watch_free.h"

static void every_mistake_is_told_with_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
		const char *words;
	} mistakes[] = {
	    {"\nstat_dir = \"/x\"", 2, "stat_dir is not a setting; did you mean state_dir?"},
	    {"zzzzz = 1", 1, "zzzzz is not a setting; digestd.conf(5) lists them"},
	    {"state_dir = 5", 1, "state_dir must be text in quotes, not a number"},
	    {"state_dir = \"x\"", 1, "state_dir = \"x\" must be a path"},
	    {"log_level = \"loud\"", 1, "log_level = \"loud\" is none of \"error\", \"warning\""},
	    {"window = { size = 0 }", 1, "window.size = 0 is out of range; it may be 1 to 10000"},
	    {"window = { size = 3000000000L }", 1, "window.size = 3000000000 is out of range"},
	    {"window = { size = 1.5 }", 1, "window.size must be a whole number, not a number with"},
	    {"window = { size = \"5\" }", 1, "window.size must be a whole number, not text"},
	    {"window = ( )", 1, "window must be a group, { ... }, not a list"},
	    {"window = { per_provider = 9; total = 8 }", 1, "window.per_provider is more than"},
	    {"feeds = {\n max_size = \"1 TiB\" }", 2,
	     "feeds.max_size = \"1 TiB\" is out of range; it may be 1 KiB to 256 MiB"},
	    {"feeds = { max_size = 16777216 }", 1, "feeds.max_size must be a size in quotes"},
	    {"feeds = { timeout = \"5\" }", 1, "feeds.timeout = \"5\" is not a duration"},
	    {"feeds = { timeout = 5 }", 1, "feeds.timeout must be a duration in quotes"},
	    {"database = { pooler = 1 }", 1, "database.pooler must be true or false, not a number"},
	    {"timing = { look_max = \"1 s\" }", 1, "timing.look_max must be more than look, 1 s"},
	    {"timing = { dead = \"50 s\" }", 1, "timing.dead must be more than stop_after + relay"},
	    {"timing = {\n\norphan_after = \"5 min\" }", 3,
	     "timing.orphan_after must be more than"},
	    {"web = { listen = \"localhost:80\" }", 1, "web.listen = \"localhost:80\" must be"},
	    {"web = { listen = \"::1:80\" }", 1, "web.listen = \"::1:80\" must be"},
	    {"web = { listen = \"127.0.0.1:65536\" }", 1, "web.listen = \"127.0.0.1:65536\" must"},
	    {"web = { listen = \"127.0.0.1:4294967376\" }", 1, "web.listen = \"127.0.0.1:42"},
	    {"database = { engine = \"host=a password=b\" }", 1,
	     "database.engine may hold no password"},
	    {"timing = { beat = \"3 h\"; look_max = \"30 s\" }", 1, "timing.beat = \"3 h\" is out"},
	    {"window = { size = -2147483648 }", 1, "window.size = -2147483648 is out of range"},
	    {"web = { base_url = \"https://a/\" }", 1, "web.base_url = \"https://a/\" must be"},
	    {"web = { trusted_proxies = [ \"10.0.0.0/33\" ] }", 1, "web.trusted_proxies = \"10.0"},
	    {"web = { trusted_proxies = [ 1 ] }", 1, "web.trusted_proxies must be an array of"},
	    {"retry = { backoff = { cap = \"1 s\" } }", 1,
	     "retry.backoff.first is longer than cap"},
	    {"retry = { expires = \"1 min\" }", 1, "retry must allow a second try"},
	};
	for (size_t i = 0; i < ELEMENTS(mistakes); i++) {
		char text[512];
		snprintf(text, sizeof(text), "%s\n%s", mistakes[i].text, RELAY);
		refused(text, mistakes[i].line, mistakes[i].words, 1);
	}
}

static void relays_are_checked_one_by_one(void **state)
{
	(void)state;
	refused("relays = 5", 1, "relays must be a list of groups", 1);
	refused("relays = ( )", 1, "relays has 0 entries; it may have 1 to 64", 1);
	refused("relays = ( 5 )", 1, "relays must be a list of groups", 1);
	refused("relays = (\n{ host = \"h\" } )", 2, "relays[0].name is missing", 1);
	refused("relays = (\n{ name = \"\"; host = \"h\" } )", 2, "relays[0].name = \"\" may not",
		1);
	refused("relays = (\n{ name = \"a b\"; host = \"h\" } )", 2, "relays[0].name = \"a b\"", 1);
	refused("relays = (\n{ name = \"a\"; host = \"h:25\" } )", 2, "relays[0].host = \"h:25\"",
		1);
	refused("relays = (\n{ name = \"a\"; host = \"h\"; ca_file = \"/nonexistent\" } )", 2,
		"relays[0].ca_file can't be read: /nonexistent: No such file", 1);
	refused("relays = ( { name = \"a\"; host = \"h\"}, { name = \"a\"; host = \"i\"; } )", 1,
		"relays [1] has the name \"a\" of [0]", 1);
	refused("relays = ( { name = \"a\"; host = \"h\"},\n"
		"{ name = \"b\"; host = \"h\"; tls = \"yes\"; port = -1; foo = 1 } )",
		2, "relays[1].port = -1 is out of range", 3);
}

static void texts_have_their_longest(void **state)
{
	(void)state;
	char text[512];
	for (int n = 107; n <= 108; n++) {
		snprintf(text, sizeof(text), RELAY "web = { listen = \"unix:/%0*d\" }", n - 1, 0);
		if (n == 108)
			refused(text, 2, "web.listen = \"unix:/0", 1);
		else
			settings_free(accepted(text, SETTINGS_ENGINE));
	}
	for (int n = 63; n <= 64; n++) {
		snprintf(text, sizeof(text), "relays = ( { name = \"%0*d\"; host = \"h\" } )", n,
			 0);
		if (n == 64)
			refused(text, 1, "relays[0].name = \"0", 1);
		else
			settings_free(accepted(text, SETTINGS_ENGINE));
	}
}

static void what_is_odd_is_warned_of(void **state)
{
	(void)state;
	static const struct {
		const char *relay;
		const char *warning;
	} odd[] = {
	    {"user = \"u\"; tls = \"none\"", "relays[0].tls doesn't keep the password secret"},
	    {"user = \"u\"; tls = \"allowed\"", "relays[0].tls doesn't keep the password secret"},
	    {"user = \"u\"", NULL},
	    {"tls_verify = false", "relays[0].tls_verify is off"},
	    {"tls = \"none\"; tls_verify = false", NULL},
	};
	for (size_t i = 0; i < ELEMENTS(odd); i++) {
		char text[256];
		_cleanup_settings_ struct settings *s = NULL;
		_cleanup_report_ struct report report = {0};
		snprintf(text, sizeof(text), "relays = ( { name = \"r\"; host = \"h\"; %s } )",
			 odd[i].relay);
		assert_int_equal(load(text, SETTINGS_ENGINE, &s, &report), 0);
		assert_int_equal(report.warnings, odd[i].warning != NULL);
		if (odd[i].warning)
			assert_non_null(strstr(buf_text(&report.text), odd[i].warning));
	}
}

static void all_mistakes_are_told_at_once(void **state)
{
	(void)state;
	refused("stat_dir = \"/\"\nlog_level = 1\nfeeds = { flood = 5000000000; flood = 2 }\n"
		"web = { listen = \"x\" }\n",
		3, "5000000000 is beyond what a number may be here", 6);
	refused("log_level = 1\nlog_level = 2\nstate_dir = 3\nbogus = 4\n" RELAY, 1,
		"log_level must be one of its words in quotes, not a number\n", 4);
}

static void numbers_that_would_wrap_are_refused(void **state)
{
	(void)state;
	static const char *const large[] = {
	    "2147483648",           "-2147483649",          "0xffffffff",          "5000000000",
	    "9223372036854775808L", "0x8000000000000000LL", "18446744073709551617"};
	for (size_t i = 0; i < ELEMENTS(large); i++) {
		char text[256];
		snprintf(text, sizeof(text),
			 "%s# 9999999999\nwindow = { /* 9999999999 */ size = %s }", RELAY,
			 large[i]);
		snprintf(text + 200, 56, "%s is beyond what a number may be here", large[i]);
		refused(text, 3, text + 200, 1);
	}
	_cleanup_settings_ struct settings *s =
	    accepted(RELAY "web = { base_url = \"http://a/9999999999\" }", SETTINGS_ENGINE);
	assert_non_null(s);
}

static void names_given_twice_are_told_with_both_lines(void **state)
{
	(void)state;
	refused(RELAY "log_level = \"info\"\n\nlog_level = \"info\"", 4,
		"log_level was set in line 2 before", 1);
	refused(RELAY "feeds = { flood = 1;\n flood = 2 }", 3, "flood was set in line 2 before", 1);
	refused(RELAY "feeds = { }\nfeeds = { flood = \"\" }\nx = 1", 3,
		"feeds was set in line 2 before", 2);
}

static void mistakes_of_syntax_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
		const char *words;
	} mistakes[] = {
	    {"a = foo", 1, "text must stand in quotes: \"foo\""},
	    {"a = /etc/x;", 1, "text must stand in quotes: \"/etc/x\""},
	    {"a = 10 s\n", 1, "a value with a unit must stand in quotes, as in \"10 s\""},
	    {"a = 10s\n", 1, "text must stand in quotes: \"10s\""},
	    {"a = 1.2.3.4\n", 1, "text must stand in quotes: \"1.2.3.4\""},
	    {"a = \"x\nb = 1", 1, "the text that begins here has no \" at its end"},
	    {"a = \"x\\\"", 1, "the text that begins here has no \" at its end"},
	    {"a\nb = 1", 1, "\"=\" is missing after a"},
	    {"a = ", 1, "a has no value"},
	    {"a = ; b = 1", 1, "a has no value"},
	    {"=", 1, "a name is missing before \"=\""},
	    {"= 5", 1, "a name is missing before \"=\""},
	    {"a = ( 1, )", 1, "there is a comma too much before \")\""},
	    {"a = ( { } { } )", 1, "a comma is missing before this value"},
	    {"a = [ \"x\" \"y\" ]", 1, "a comma is missing before this value"},
	    {"a = [ \"x\"; \"y\" ]", 1, "a comma, not \";\""},
	    {"a = ( 1,, 2 )", 1, "nothing stands before \",\""},
	    {"\na = {\n b = 1", 2, "\"{\" is never closed"},
	    {"a = { b = 1 )", 1, "\")\" doesn't close the \"{\" of line 1"},
	    {"}", 1, "\"}\" closes nothing"},
	    {"\n/* foo", 2, "the comment that begins here is never closed"},
	    {"a* = 1", 1, "a name has letters, digits"},
	    {"@include", 1, "only @include \"FILE\""},
	    {"a = 1 @include \"x\"", 1, "only @include \"FILE\""},
	    {"\xe2\x80\x9c", 1, "\xe2\x80\x9c can't stand here"},
	    {"a = [ { } ]", 1, "syntax error"},
	};
	for (size_t i = 0; i < ELEMENTS(mistakes); i++)
		refused(mistakes[i].text, mistakes[i].line, mistakes[i].words, 1);
	char deep[200];
	memset(deep, '(', sizeof(deep) - 1);
	memcpy(deep, "a = ", 4);
	deep[sizeof(deep) - 1] = '\0';
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	assert_int_equal(load(deep, SETTINGS_ENGINE, &s, &report), -EINVAL);
	assert_non_null(strstr(buf_text(&report.text), "nested more than"));
}

static void includes_count_from_their_file(void **state)
{
	(void)state;
	char text[256];
	write_file("b.conf", "# first line\n" RELAY "  @include \"c.conf\" # third\nbogus = 1\n");
	write_file("c.conf", "feeds = {\n flood = \"x\" }");
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	assert_int_equal(load("\n@include \"b.conf\"\nmore = 1", SETTINGS_ENGINE, &s, &report),
			 -EINVAL);
	assert_int_equal(report.errors, 3);
	assert_non_null(strstr(buf_text(&report.text), "b.conf:4: error: bogus"));
	assert_non_null(strstr(buf_text(&report.text), "c.conf:2: error: feeds.flood"));
	assert_non_null(strstr(buf_text(&report.text), "a.conf:3: error: more"));
	refused("@include \"nope\"", 1, "can't be read: ", 1);
	snprintf(text, sizeof(text), "@include \"%s\"", in_directory("a.conf"));
	write_file("b.conf", text);
	report_free(&report);
	assert_int_equal(load("@include \"b.conf\"", SETTINGS_ENGINE, &s, &report), -EINVAL);
	assert_int_equal(report.errors, 1);
	assert_non_null(strstr(buf_text(&report.text), "can't be followed further"));

	_cleanup_buf_ struct buf many = {0};
	for (int i = 0; i < CONFIG_SCAN_FILES + 2; i++)
		buf_adds(&many, "@include \"c.conf\"\n");
	write_file("c.conf", "# nothing\n");
	refused(buf_text(&many), CONFIG_SCAN_FILES + 1, "more than 100 files are included", 2);
}

static void files_that_are_no_configuration_are_refused(void **state)
{
	(void)state;
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	assert_int_equal(settings_load("/nonexistent", SETTINGS_WEB, &s, &report), -EINVAL);
	assert_string_equal(
	    buf_text(&report.text),
	    "/nonexistent: error: can't be read: /nonexistent: No such file or directory\n");
	report_free(&report);
	assert_int_equal(settings_load("/tmp", SETTINGS_WEB, &s, &report), -EINVAL);
	assert_non_null(strstr(buf_text(&report.text), "not a regular file"));
	_cleanup_config_scan_ struct config_scan scan = {0};
	report_free(&report);
	assert_int_equal(config_scan_text(&scan, "x", (struct str){"a = \"\0\"", 7}, &report), 0);
	assert_true(scan.broken);
	assert_string_equal(buf_text(&report.text), "x: error: holds a NUL byte\n");
	report_free(&report);
	_cleanup_settings_ struct settings *bom = accepted("\xef\xbb\xbf# BOM\r\n", SETTINGS_WEB);
	assert_non_null(bom);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static const char *secret_relay(const char *key)
{
	static char text[512];
	snprintf(text, sizeof(text),
		 "relays = ( { name = \"r\"; host = \"h\"; user = \"u\";\n%s = \"%s\" } )", key,
		 strcmp(key, "password_file") == 0 ? in_directory("secret") : "secret");
	return text;
}

static void secrets_come_from_files_and_credentials(void **state)
{
	(void)state;
	chmod(write_file("secret", "hunter2\n"), 0600);
	_cleanup_settings_ struct settings *s =
	    accepted(secret_relay("password_file"), SETTINGS_ENGINE);
	assert_string_equal(s->relays.items[0].password.text, "hunter2");
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory.path, 1), 0);
	_cleanup_settings_ struct settings *c =
	    accepted(secret_relay("password_credential"), SETTINGS_ENGINE);
	assert_string_equal(c->relays.items[0].password.text, "hunter2");
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	refused(secret_relay("password_credential"), 2,
		"relays[0].password_credential can't be read: systemd gave", 1);
}

static void secrets_go_with_their_settings(void **state)
{
	(void)state;
	chmod(write_file("secret", "hunter2\n"), 0600);
	struct settings *s = accepted(secret_relay("password_file"), SETTINGS_ENGINE);
	watch_free.secret = "nter2";
	settings_free(s);
	watch_free.secret = NULL;
	assert_true(watch_free.frees > 1);
	assert_false(watch_free.seen);
}

static void a_secret_comes_from_one_place(void **state)
{
	(void)state;
	refused("relays = ( { name = \"r\"; host = \"h\"; user = \"u\"; password_file = \"/x\";\n"
		"password_credential = \"y\" } )",
		2, "relays[0].password_credential is one too many", 1);
	refused("relays = ( { name = \"r\"; host = \"h\"; user = \"u\"; password_file = 7 } )", 1,
		"relays[0].password_file must be a path or name in quotes, not a number", 1);
}

static void a_secret_is_read_only_by_whom_it_belongs_to(void **state)
{
	(void)state;
	unlink(in_directory("secret"));
	_cleanup_settings_ struct settings *s =
	    accepted(secret_relay("password_file"), SETTINGS_WEB);
	assert_null(s->relays.items[0].password.text);
	refused(secret_relay("password_file"), 2, "relays[0].password_file can't be used: ", 1);
}

static void a_secret_open_to_all_is_warned_of(void **state)
{
	(void)state;
	chmod(write_file("secret", "hunter2\n"), 0644);
	_cleanup_settings_ struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	assert_int_equal(load(secret_relay("password_file"), SETTINGS_ENGINE, &s, &report), 0);
	assert_int_equal(report.warnings, 1);
	assert_non_null(
	    strstr(buf_text(&report.text), ":2: warning: relays[0].password_file: any"));
}

static void no_secret_is_ever_shown(void **state)
{
	(void)state;
	static const char *const texts[] = {
	    "relays = ( { name = \"r\"; host = \"h\"; password = \"hunter2\" } )",
	    "relays = ( { name = \"r\"; host = \"h\"; password_file = \"hunter2\" } )",
	    "relays = ( { name = \"r\"; host = \"h\"; password_credential = \"hunter2/x\" } )",
	    "relays = ( { name = \"r\"; host = \"h\"; password = hunter2 } )",
	    "relays = ( { name = \"r\"; host = \"h\"; password hunter2 } )",
	    "relays = ( { name = \"r\"; host = \"h\"; password ?hunter2 } )",
	    "relays = ( { name = \"r\"; host = \"h\"; password = ?hunter2 } )",
	    "database = { engine = \"host=x password=hunter2\" }",
	    "database = { engine = \"host=x password=a hunter2\" }",
	    "database = { engine = \"postgresql://x:hunter2@y/z\" }",
	    "database = { engine = \"postgresql://x:hunter2@y:port:port/z\" }",
	};
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		struct settings *s = NULL;
		_cleanup_report_ struct report report = {0};
		assert_int_equal(load(texts[i], SETTINGS_ENGINE, &s, &report), -EINVAL);
		if (strstr(buf_text(&report.text), "hunter2"))
			fail_msg("shown: %s", buf_text(&report.text));
	}
}

static void a_password_in_the_file_is_told_the_right_way(void **state)
{
	(void)state;
	refused("relays = ( { name = \"r\"; host = \"h\";\npassword = \"x\" } )", 2,
		"relays[0].password may not stand here, where everybody sees it: write it into a "
		"file and name that, password_file = ",
		1);
	chmod(write_file("secret", "x"), 0600);
	char text[512];
	snprintf(text, sizeof(text),
		 "relays = ( { name = \"r\"; host = \"h\"; password_file = \"%s\" } )",
		 in_directory("secret"));
	refused(text, 1, "relays[0].user is missing, but there is a password", 1);
}

static void a_report_has_an_end_and_shows_no_controls(void **state)
{
	(void)state;
	_cleanup_report_ struct report r = {0};
	report_error(&r, "f\n", 1, "a\x1b[1mb\xc2\x9b");
	assert_string_equal(buf_text(&r.text), "f\\x0a:1: error: a\\x1b[1mb\\x9b\n");
	for (unsigned i = 0; i < 10000; i++)
		report_warning(&r, "f", i, "w");
	assert_int_equal(r.errors, 1);
	assert_int_equal(r.warnings, 10000);
	assert_true(r.text.len < 3000);
	assert_non_null(strstr(buf_text(&r.text), "... and more\n"));
}

static void a_report_is_sorted_by_line_file_by_file(void **state)
{
	(void)state;
	_cleanup_report_ struct report r = {0};
	report_error(&r, "b", 30, "1");
	report_error(&r, "a", 9, "2");
	report_warning(&r, "b", 4, "3");
	report_error(&r, "b", 30, "4");
	report_sort(&r);
	report_error(&r, "b", 4, "5");
	report_error(&r, "a", 0, "6");
	report_sort(&r);
	assert_string_equal(buf_text(&r.text), "b:4: warning: 3\nb:4: error: 5\nb:30: error: 1\n"
					       "b:30: error: 4\na: error: 6\na:9: error: 2\n");
}

/* ---- changes --------------------------------------------------------------------------------- */

struct part {
	const char *name;
	bool on;
	uint64_t size;
};

struct whole {
	struct config_items parts;
	struct config_strings texts;
	struct secret secret;
	int plain;
};

static const struct config_key part_keys[] = {
    {"name", CONFIG_STRING, .offset = offsetof(struct part, name)},
    {"on", CONFIG_BOOL, .offset = offsetof(struct part, on)},
    {"size", CONFIG_SIZE, .offset = offsetof(struct part, size), .initial = "1 B", .max = 1000},
    {0},
};
static const struct config_group part = {part_keys, sizeof(struct part), NULL};
static const struct config_key whole_keys[] = {
    {"parts", CONFIG_LIST, offsetof(struct whole, parts), .group = &part, .fixed = true},
    {"texts", CONFIG_STRINGS, offsetof(struct whole, texts), .fixed = true},
    {"secret", CONFIG_SECRET, offsetof(struct whole, secret), .fixed = true},
    {"plain", CONFIG_INT, .offset = offsetof(struct whole, plain), .max = 9},
    {0},
};
static const struct config_group whole = {whole_keys, sizeof(struct whole), NULL};

static void add_path(const char *path, void *userdata)
{
	buf_printf(userdata, "%s ", path);
}

/* What of the keys that are fixed differs between two texts. */
static void differs(const char *a, const char *b, const char *paths)
{
	_cleanup_buf_ struct buf told = {0};
	_cleanup_report_ struct report report = {0};
	struct config c[2] = {0};
	struct whole w[2] = {0};
	const char *texts[] = {a, b};
	for (int i = 0; i < 2; i++) {
		int r = config_load_text(&c[i], &whole, "x", str_of(texts[i]), 1, &w[i], &report);
		if (r < 0)
			fail_msg("%s", buf_text(&report.text));
	}
	config_changed(&whole, &w[0], &w[1], add_path, &told);
	assert_string_equal(buf_text(&told), paths);
	config_free(&c[0]);
	config_free(&c[1]);
}

static void every_kind_of_change_is_seen(void **state)
{
	(void)state;
	differs("plain = 1", "plain = 2", "");
	differs("", "parts = ( { } )", "parts ");
	differs("parts = ( { name = \"a\" } )", "parts = ( { name = \"b\" } )", "parts ");
	differs("parts = ( { on = true } )", "parts = ( { on = false } )", "parts ");
	differs("parts = ( { size = \"1 B\" } )", "parts = ( { } )", "");
	differs("parts = ( { size = \"1 B\" } )", "parts = ( { size = \"2 B\" } )", "parts ");
	differs("texts = [ \"a\" ]", "texts = \"a\"", "");
	differs("texts = [ \"a\" ]", "texts = [ \"a\", \"b\" ]", "texts ");
	differs("texts = [ \"a\" ]", "texts = [ \"b\" ]", "texts ");
	char a[128], b[128];
	chmod(write_file("secret", "one\n"), 0600);
	chmod(write_file("b.conf", "two\n"), 0600);
	snprintf(a, sizeof(a), "secret_file = \"%s\"", in_directory("secret"));
	snprintf(b, sizeof(b), "secret_file = \"%s\"", in_directory("b.conf"));
	differs(a, a, "");
	differs(a, b, "secret ");
	differs("", b, "secret ");
}

/* ---- memory that runs out -------------------------------------------------------------------- */

static int load_a(void *userdata)
{
	(void)userdata;
	_cleanup_settings_ struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	return settings_load(in_directory("a.conf"), SETTINGS_ENGINE, &s, &report);
}

static void each_allocation_may_fail(void **state)
{
	(void)state;
	chmod(write_file("secret", "hunter2\n"), 0600);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory.path, 1), 0);
	char text[4096], *end = text;
	end += sprintf(end, "%s web = { trusted_proxies = [ \"::1\", \"::2\" ] }",
		       secret_relay("password_credential"));
	for (int i = 0; i < 20; i++)
		end += sprintf(end, "\n@include \"b.conf\"");
	write_file("b.conf", "\n");
	write_file("a.conf", text);
	assert_true(failing_alloc_sweep(load_a, NULL) > 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_mistake_is_told_with_its_line),
	    cmocka_unit_test(relays_are_checked_one_by_one),
	    cmocka_unit_test(texts_have_their_longest),
	    cmocka_unit_test(what_is_odd_is_warned_of),
	    cmocka_unit_test(all_mistakes_are_told_at_once),
	    cmocka_unit_test(numbers_that_would_wrap_are_refused),
	    cmocka_unit_test(names_given_twice_are_told_with_both_lines),
	    cmocka_unit_test(mistakes_of_syntax_are_explained),
	    cmocka_unit_test(includes_count_from_their_file),
	    cmocka_unit_test(files_that_are_no_configuration_are_refused),
	    cmocka_unit_test(secrets_come_from_files_and_credentials),
	    cmocka_unit_test(a_secret_is_read_only_by_whom_it_belongs_to),
	    cmocka_unit_test(a_secret_open_to_all_is_warned_of),
	    cmocka_unit_test(no_secret_is_ever_shown),
	    cmocka_unit_test(a_password_in_the_file_is_told_the_right_way),
	    cmocka_unit_test(a_report_has_an_end_and_shows_no_controls),
	    cmocka_unit_test(a_report_is_sorted_by_line_file_by_file),
	    cmocka_unit_test(secrets_go_with_their_settings),
	    cmocka_unit_test(a_secret_comes_from_one_place),
	    cmocka_unit_test(every_kind_of_change_is_seen),
	    cmocka_unit_test(each_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, config_file_setup, config_file_teardown);
}
