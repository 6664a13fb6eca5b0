/*
 * The cases of the Mustache specification: the core modules that this project wrote down itself
 * (tests/data/mustache) and those that came from outside ($DIGESTD_CORPORA/mustache).
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "mail/mustache.h"
#include "testfile.h"

static int load_from(void *ctx, const char *name, struct str *ret, const char **ret_path,
		     struct why *why)
{
	(void)ret_path;
	(void)why;
	const char *text = json_string_value(json_object_get(ctx, name));
	if (!text)
		return -ENOENT;
	*ret = str_of(text);
	return 0;
}

static bool holds(json_t *test)
{
	_cleanup_arena_ struct arena arena = {0};
	_cleanup_buf_ struct buf out = {0}, pieced = {0};
	struct why why = {""};
	const char *template = json_string_value(json_object_get(test, "template"));
	const char *expected = json_string_value(json_object_get(test, "expected"));
	json_t *data = json_object_get(test, "data");
	struct mustache_partials partials = {load_from, json_object_get(test, "partials"), false};
	struct mustache *m;
	struct piece *pieces;

	int r = mustache_compile(&arena, str_of(template), "template", &partials, &m, &why);
	if (r == 0)
		r = mustache_render(m, data, MUSTACHE_HTML, &out, &why);
	if (r == 0)
		r = mustache_reduce(m, data, MUSTACHE_HTML, NULL, 0, &arena, &pieces, &why);
	if (r == 0)
		r = piece_render(pieces, NULL, &pieced);
	bool ok = r == 0 && strcmp(buf_text(&out), expected) == 0 &&
		  str_eq(buf_str(&out), buf_str(&pieced));
	if (!ok)
		print_error("%s: %s\n  expected \"%s\"\n  got      \"%s\" (pieces \"%s\") %s\n",
			    json_string_value(json_object_get(test, "name")),
			    json_string_value(json_object_get(test, "desc")), expected,
			    buf_text(&out), buf_text(&pieced), why.text);
	return ok;
}

/* How many cases the file holds; fails when one doesn't hold. */
static size_t run_file(const char *path)
{
	json_error_t error;
	json_t *module = json_load_file(path, 0, &error);
	if (!module)
		fail_msg("%s: %s", path, error.text);
	size_t failed = 0, i;
	json_t *test, *tests = json_object_get(module, "tests");
	json_array_foreach(tests, i, test) failed += !holds(test);
	size_t count = json_array_size(tests);
	json_decref(module);
	if (failed)
		fail_msg("%s: %zu of %zu don't hold", path, failed, count);
	return count;
}

static void own_modules_hold(void **state)
{
	(void)state;
	assert_int_equal(run_file("tests/data/mustache/sections.json"), 34);
	assert_int_equal(run_file("tests/data/mustache/delimiters.json"), 14);
	assert_int_equal(run_file("tests/data/mustache/partials.json"), 12);
	assert_true(run_file("tests/data/mustache/beyond.json") > 0);
}

static void modules_from_outside_hold(void **state)
{
	(void)state;
	char folder[1024], path[2048];
	testfile_corpus("mustache", folder);
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	size_t count = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		size_t n = strlen(entry->d_name);
		if (n < 5 || strcmp(entry->d_name + n - 5, ".json") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		count += run_file(path);
	}
	closedir(dir);
	assert_true(count >= 76);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_modules_hold),
	    cmocka_unit_test(modules_from_outside_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
