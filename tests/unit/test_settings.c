/* The settings: defaults, limits that scale, what a reload changes, manual and example. */
#include "config_file.h"

#include "store/start.h"
#include "testfile.h"

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

static void a_reload_takes_the_new_ones_or_keeps_the_old(void **state)
{
	(void)state;
	_cleanup_settings_ struct settings *a =
	    accepted(RELAY "log_level = \"error\"", SETTINGS_ENGINE);
	_cleanup_settings_ struct settings *b = NULL;
	log_set_level(LOG_ERROR);
	write_file("a.conf", RELAY "log_level = \"warning\" feeds = { flood = 7 }");
	assert_int_equal(start_reload(a, &b), 0);
	assert_int_equal(b->feeds.flood, 7);
	assert_true(log_wants(LOG_WARNING));
	assert_false(log_wants(LOG_NOTICE));
	assert_string_equal(b->path, a->path);

	struct settings *c = NULL;
	write_file("a.conf", "log_level = \"debug\"");
	assert_int_equal(start_reload(b, &c), -EINVAL);
	assert_null(c);
	assert_false(log_wants(LOG_NOTICE));
	log_set_level(LOG_INFO);
}

/* ---- documents ------------------------------------------------------------------------------- */

struct documents {
	struct buf manual, example;
	unsigned keys, missing;
};

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
	testfile_read("daemon/digestd.conf.5", &d.manual);
	testfile_read("systemd/digestd.conf", &d.example);
	config_names(&settings_schema, look_up_name, &d);
	buf_free(&d.manual);
	buf_free(&d.example);
	assert_int_equal(d.missing, 0);
	assert_true(d.keys > 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_right_for_each_program),
	    cmocka_unit_test(values_of_every_type_arrive),
	    cmocka_unit_test(limits_scale_down_together),
	    cmocka_unit_test(changes_that_need_a_restart_are_named),
	    cmocka_unit_test(a_reload_takes_the_new_ones_or_keeps_the_old),
	    cmocka_unit_test(every_setting_stands_in_the_manual_and_the_example),
	};
	return cmocka_run_group_tests(tests, config_file_setup, config_file_teardown);
}
