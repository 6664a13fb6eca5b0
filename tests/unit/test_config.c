/* The configuration: each mistake with its line, defaults, includes, secrets, changes. */
#include "failing_alloc.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config_scan.h"
#include "store/settings.h"

#define RELAY "relays = ( { name = \"r\"; host = \"h\"; tls = \"none\" } )\n"

static char directory[] = "/tmp/test_config.XXXXXX";

static const char *in_directory(const char *name)
{
	static char paths[4][sizeof(directory) + 64];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static const char *write_file(const char *name, const char *text)
{
	const char *path = in_directory(name);
	_cleanup_fclose_ FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	return path;
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	static const char *const names[] = {"a.conf", "b.conf", "c.conf", "secret"};
	for (size_t i = 0; i < ELEMENTS(names); i++)
		unlink(in_directory(names[i]));
	return rmdir(directory);
}

static int load(const char *text, enum settings_program program, struct settings **ret,
		struct report *report)
{
	return settings_load(write_file("a.conf", text), program, ret, report);
}

/* Refused for the engine with "a.conf:LINE: error: WORDS..." in the report, `errors` in all. */
static void refused(const char *text, unsigned line, const char *words, unsigned errors)
{
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	char wanted[256];
	if (line)
		snprintf(wanted, sizeof(wanted), "a.conf:%u: error: %s", line, words);
	else
		snprintf(wanted, sizeof(wanted), "a.conf: error: %s", words);
	int r = load(text, SETTINGS_ENGINE, &s, &report);
	if (r != -EINVAL || report.errors != errors || !strstr(buf_text(&report.text), wanted))
		fail_msg("wanted: %s\ngot %d, %u errors:\n%s", wanted, r, report.errors,
			 buf_text(&report.text));
	assert_null(s);
}

static struct settings *accepted(const char *text, enum settings_program program)
{
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	int r = load(text, program, &s, &report);
	if (r != 0 || report.errors)
		fail_msg("got %d:\n%s", r, buf_text(&report.text));
	return s;
}

static void defaults_are_right_for_each_program(void **state)
{
	(void)state;
	_cleanup_settings_ struct settings *web = accepted("", SETTINGS_WEB);
	_cleanup_settings_ struct settings *ctl = accepted("", SETTINGS_OPERATOR);
	_cleanup_settings_ struct settings *s = accepted(RELAY, SETTINGS_ENGINE);
	refused("", 0, "relays is missing", 1);
	assert_string_equal(s->state_dir, "/var/lib/digestd");
	assert_int_equal(s->log_level, LOG_INFO);
	assert_int_equal(s->timing.beat, 5 * USEC_PER_SEC);
	assert_int_equal(s->timing.orphan_after, 3600 * USEC_PER_SEC);
	assert_int_equal(s->feeds.max_size, 16 << 20);
	assert_int_equal(s->window.size, 1000);
	assert_int_equal(s->web.trusted_proxies.n, 1);
	assert_string_equal(s->web.trusted_proxies.items[0], "unix");
	assert_int_equal(s->relays.n, 1);
	assert_int_equal(s->relays.items[0].port, 25);
	assert_int_equal(s->relays.items[0].connections, 10);
	assert_true(s->relays.items[0].tls_verify);
	assert_null(s->relays.items[0].password.text);
	assert_string_equal(settings_login(web, SETTINGS_WEB)->conninfo,
			    "host=/run/postgresql dbname=digestd user=digestd_web");
	assert_int_equal(ctl->relays.n, 0);
}

static void values_of_every_type_arrive(void **state)
{
	(void)state;
	_cleanup_settings_ struct settings *s = accepted(
	    "log_level = \"debug\";\n"
	    "relays = ( { name = \"a\", host = \"h\", tls = \"implicit\", weight = 0 },\n"
	    "  { name = \"b\"; host = \"2001:db8::1\"; tls_verify = false; rate = 0x10; \n"
	    "    connections = 7L; in_flight = 4; user = \"us\" \"er\" } )\n"
	    "web = { trusted_proxies = [ \"10.0.0.0/8\", \"::1\" ]; max_request = \"1 MiB\";\n"
	    "  listen = \"[::1]:8080\"; base_url = \"https://a.example/x\" }\n"
	    "database = { pooler = true; engine = \"postgresql://db1,db2/x?user=e\" }\n",
	    SETTINGS_ENGINE);
	assert_int_equal(s->log_level, LOG_DEBUG);
	assert_int_equal(s->relays.n, 2);
	assert_int_equal(s->relays.items[0].port, 465);
	assert_int_equal(s->relays.items[0].weight, 0);
	assert_int_equal(s->relays.items[1].port, 587);
	assert_int_equal(s->relays.items[1].rate, 16);
	assert_int_equal(s->relays.items[1].connections, 7);
	assert_string_equal(s->relays.items[1].user, "user");
	assert_false(s->relays.items[1].tls_verify);
	assert_int_equal(s->web.trusted_proxies.n, 2);
	assert_string_equal(s->web.trusted_proxies.items[1], "::1");
	assert_int_equal(s->web.max_request, 1 << 20);
	assert_true(s->database.pooler);
}

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
	refused("relays = ( { name = \"a\"; host = \"h\"}, { name = \"a\"; host = \"i\"; } )", 1,
		"relays [1] has the name \"a\" of [0]", 1);
	refused("relays = ( { name = \"a\"; host = \"h\"},\n"
		"{ name = \"b\"; host = \"h\"; tls = \"yes\"; port = -1; foo = 1 } )",
		2, "relays[1].port = -1 is out of range", 3);
}

static void all_mistakes_are_told_at_once(void **state)
{
	(void)state;
	refused("stat_dir = \"/\"\nlog_level = 1\nfeeds = { flood = 5000000000; flood = 2 }\n"
		"web = { listen = \"x\" }\n",
		3, "5000000000 is beyond what a number may be here", 6);
}

static void numbers_that_would_wrap_are_refused(void **state)
{
	(void)state;
	static const char *const large[] = {"2147483648",           "-2147483649",
					    "0xffffffff",           "5000000000",
					    "9223372036854775808L", "0x8000000000000000LL"};
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
	refused("@include \"nope\"", 1, "can't read ", 1);
	snprintf(text, sizeof(text), "@include \"%s\"", in_directory("a.conf"));
	write_file("b.conf", text);
	report_free(&report);
	assert_int_equal(load("@include \"b.conf\"", SETTINGS_ENGINE, &s, &report), -EINVAL);
	assert_int_equal(report.errors, 1);
	assert_non_null(strstr(buf_text(&report.text), "can't be followed further"));
}

static void files_that_are_no_configuration_are_refused(void **state)
{
	(void)state;
	struct settings *s = NULL;
	_cleanup_report_ struct report report = {0};
	assert_int_equal(settings_load("/nonexistent", SETTINGS_WEB, &s, &report), -EINVAL);
	assert_string_equal(buf_text(&report.text),
			    "/nonexistent: error: can't be read: No such file or directory\n");
	report_free(&report);
	assert_int_equal(settings_load("/tmp", SETTINGS_WEB, &s, &report), -EINVAL);
	assert_non_null(strstr(buf_text(&report.text), "Is a directory"));
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
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
	_cleanup_settings_ struct settings *c =
	    accepted(secret_relay("password_credential"), SETTINGS_ENGINE);
	assert_string_equal(c->relays.items[0].password.text, "hunter2");
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	refused(secret_relay("password_credential"), 2,
		"relays[0].password_credential can't be read: systemd gave", 1);
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

/* ---- the table of limits, reload, report ----------------------------------------------------- */

static void limits_scale_down_together(void **state)
{
	(void)state;
	_cleanup_settings_ struct settings *s =
	    accepted(RELAY "timing = { scale = 60; relay_dot = \"30 s\" }", SETTINGS_ENGINE);
	assert_int_equal(s->timing.dead, USEC_PER_SEC);
	assert_int_equal(s->timing.relay_dot, USEC_PER_SEC / 2);
	assert_true(s->timing.look < s->timing.look_max && s->timing.look_max < s->timing.beat);
	assert_true(s->timing.stop_after + s->timing.relay_tcp < s->timing.dead);
	assert_int_equal(s->feeds.timeout, 60 * USEC_PER_SEC);
	assert_int_equal(s->timing.scale, 60);
}

static void add_path(const char *path, void *userdata)
{
	buf_printf(userdata, "%s ", path);
}

static void changes_that_need_a_restart_are_named(void **state)
{
	(void)state;
	_cleanup_settings_ struct settings *a = accepted(RELAY, SETTINGS_ENGINE);
	_cleanup_settings_ struct settings *b =
	    accepted(RELAY "log_level = \"debug\" state_dir = \"/x\" timing = { beat = \"4 s\" }\n"
			   "web = { listen = \"127.0.0.1:80\"; base_url = \"http://a\" }",
		     SETTINGS_ENGINE);
	_cleanup_buf_ struct buf paths = {0};
	config_changed(&settings_schema, a, a, add_path, &paths);
	assert_string_equal(buf_text(&paths), "");
	config_changed(&settings_schema, a, b, add_path, &paths);
	assert_string_equal(buf_text(&paths), "state_dir timing web.listen ");
}

static void a_report_has_an_end_and_shows_no_controls(void **state)
{
	(void)state;
	_cleanup_report_ struct report r = {0};
	report_error(&r, "f\n", 1, "a\x1b[1mb");
	assert_string_equal(buf_text(&r.text), "f\\x0a:1: error: a\\x1b[1mb\n");
	for (unsigned i = 0; i < 10000; i++)
		report_warning(&r, "f", i, "w");
	assert_int_equal(r.errors, 1);
	assert_int_equal(r.warnings, 10000);
	assert_true(r.text.len < 3000);
	assert_non_null(strstr(buf_text(&r.text), "... and more\n"));
}

/* ---- documents ------------------------------------------------------------------------------- */

struct documents {
	struct buf manual, example;
	unsigned keys, missing;
};

static void read_document(const char *path, struct buf *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s: unit tests run in the project's root", path);
	char bytes[4096];
	for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;)
		assert_int_equal(buf_add(ret, bytes, n), 0);
}

static void must_hold(struct documents *d, const struct buf *document, const char *line)
{
	if (!strstr(buf_text(document), line)) {
		print_error("missing: %s\n", line + 1);
		d->missing++;
	}
}

static void look_up_name(const char *path, const struct config_key *key, void *userdata)
{
	struct documents *d = userdata;
	bool quoted = key->type != CONFIG_INT && key->type != CONFIG_BOOL;
	bool plain = key->type == CONFIG_GROUP || key->type == CONFIG_LIST || !key->initial;
	const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;
	d->keys++;
	char line[256];
	if (plain)
		snprintf(line, sizeof(line), "\n.It Ic %s\n", path);
	else
		snprintf(line, sizeof(line), "\n.It Ic %s No = %s%s\n", path, quoted ? "Qq " : "",
			 key->initial);
	must_hold(d, &d->manual, line);

	const char *before = strchr(path, '.') != dot ? " " : dot ? "\t" : "";
	if (plain || strncmp(path, "relays.", 7) == 0)
		snprintf(line, sizeof(line), "%s%s = ", before, name);
	else if (key->type == CONFIG_STRINGS)
		snprintf(line, sizeof(line), "%s%s = [ \"%s\" ];", before, name, key->initial);
	else
		snprintf(line, sizeof(line), "%s%s = %s%s%s;", before, name, quoted ? "\"" : "",
			 key->initial, quoted ? "\"" : "");
	must_hold(d, &d->example, line);
}

static void every_setting_stands_in_the_manual_and_the_example(void **state)
{
	(void)state;
	struct documents d = {0};
	read_document("daemon/digestd.conf.5", &d.manual);
	read_document("systemd/digestd.conf", &d.example);
	config_names(&settings_schema, look_up_name, &d);
	buf_free(&d.manual);
	buf_free(&d.example);
	assert_int_equal(d.missing, 0);
	assert_true(d.keys > 80);
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
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
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
	    cmocka_unit_test(defaults_are_right_for_each_program),
	    cmocka_unit_test(values_of_every_type_arrive),
	    cmocka_unit_test(every_mistake_is_told_with_its_line),
	    cmocka_unit_test(relays_are_checked_one_by_one),
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
	    cmocka_unit_test(limits_scale_down_together),
	    cmocka_unit_test(changes_that_need_a_restart_are_named),
	    cmocka_unit_test(a_report_has_an_end_and_shows_no_controls),
	    cmocka_unit_test(every_setting_stands_in_the_manual_and_the_example),
	    cmocka_unit_test(each_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
