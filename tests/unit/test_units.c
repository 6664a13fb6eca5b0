/* Sizes and durations with their units; secrets and how they are read. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/units.h"
#include "tempdir.h"
#include "watch_free.h"

static void sizes_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
	    {"0 B", 0},
	    {"1 B", 1},
	    {"16 MiB", 16 << 20},
	    {"16MiB", 16 << 20},
	    {" 2 kB ", 2000},
	    {"3\tGB", UINT64_C(3000000000)},
	    {"1 TiB", UINT64_C(1) << 40},
	    {"9223372036854775807 B", INT64_MAX},
	};
	for (size_t i = 0; i < ELEMENTS(good); i++) {
		uint64_t size = 7;
		assert_int_equal(units_size(str_of(good[i].text), &size, NULL), 0);
		assert_int_equal(size, good[i].size);
	}
}

static void what_is_no_size_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int err;
	} bad[] = {
	    {"", -EINVAL},
	    {"16", -EINVAL},
	    {"MiB", -EINVAL},
	    {"-1 B", -EINVAL},
	    {"1.5 MiB", -EINVAL},
	    {"16 mib", -EINVAL},
	    {"1 MiB 1 B", -EINVAL},
	    {"9223372036854775808 B", -ERANGE},
	    {"8388608 TiB", -ERANGE},
	    {"99999999999999999999999 B", -ERANGE},
	};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		uint64_t size = 7;
		struct why why = {0};
		assert_int_equal(units_size(str_of(bad[i].text), &size, &why), bad[i].err);
		assert_int_equal(size, 7);
		assert_true(*why.text);
	}
}

static void durations_are_read_and_added(void **state)
{
	(void)state;
	usec_t d = 0;
	assert_int_equal(units_duration(STR("250 ms"), &d, NULL), 0);
	assert_int_equal(d, 250000);
	assert_int_equal(units_duration(STR("1 h 30min"), &d, NULL), 0);
	assert_int_equal(d, 5400 * USEC_PER_SEC);
	assert_int_equal(units_duration(STR("1w 1d 1us"), &d, NULL), 0);
	assert_int_equal(d, 8 * 86400 * USEC_PER_SEC + 1);
	assert_int_equal(units_duration(STR("15250284 w"), &d, NULL), 0);
	assert_int_equal(units_duration(STR("15250285 w"), &d, NULL), -ERANGE);
	assert_int_equal(units_duration(STR("10 m"), &d, NULL), -EINVAL);
	assert_int_equal(units_duration(STR("10"), &d, NULL), -EINVAL);
	assert_int_equal(units_duration(STR("10 s 5"), &d, NULL), -EINVAL);
	assert_int_equal(units_duration(STR(" "), &d, NULL), -EINVAL);
}

static void amounts_are_written_as_they_are_read(void **state)
{
	(void)state;
	char text[UNITS_TEXT];
	assert_string_equal(units_size_text(0, text), "0 B");
	assert_string_equal(units_size_text(16 << 20, text), "16 MiB");
	assert_string_equal(units_size_text(1500, text), "1500 B");
	assert_string_equal(units_size_text(2000, text), "2 kB");
	assert_string_equal(units_duration_text(0, text), "0 s");
	assert_string_equal(units_duration_text(5400 * USEC_PER_SEC, text), "1 h 30 min");
	static const usec_t all[] = {1, 999, UINT64_C(694861001001), INT64_MAX};
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		usec_t back = 0;
		units_duration_text(all[i], text);
		assert_int_equal(units_duration(str_of(text), &back, NULL), 0);
		assert_int_equal(back, all[i]);
	}
}

/* ---- secrets --------------------------------------------------------------------------------- */

static struct tempdir directory;
static const char *path;

static int make_directory(void **state)
{
	(void)state;
	tempdir_make(&directory);
	path = tempdir_path(&directory, "secret");
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	tempdir_remove(&directory);
	return 0;
}

static void write_secret(const char *bytes, size_t n, mode_t mode)
{
	unlink(path);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void a_secret_is_its_line_without_the_end(void **state)
{
	(void)state;
	static const char *const texts[] = {"p4ss w\xc3\xb6rd", "p4ss w\xc3\xb6rd\n",
					    "p4ss w\xc3\xb6rd\r\n"};
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		_cleanup_secret_ struct secret s = {0};
		bool is_open = true;
		write_secret(texts[i], strlen(texts[i]), 0600);
		assert_int_equal(secret_read(path, &s, &is_open, NULL), 0);
		assert_string_equal(s.text, "p4ss w\xc3\xb6rd");
		assert_int_equal(s.len, strlen(s.text));
		assert_false(is_open);
	}
}

static void a_secret_open_to_all_is_noticed(void **state)
{
	(void)state;
	_cleanup_secret_ struct secret s = {0};
	bool is_open = false;
	write_secret("x", 1, 0640);
	assert_int_equal(secret_read(path, &s, &is_open, NULL), 0);
	assert_false(is_open);
	secret_free(&s);
	write_secret("x", 1, 0644);
	assert_int_equal(secret_read(path, &s, &is_open, NULL), 0);
	assert_true(is_open);
}

static void refused(int err, const char *word)
{
	struct secret s = {0};
	bool is_open = false;
	struct why why = {0};
	assert_int_equal(secret_read(path, &s, &is_open, &why), err);
	assert_non_null(strstr(why.text, path));
	assert_non_null(strstr(why.text, word));
	assert_null(s.text);
}

static void what_is_no_secret_is_refused(void **state)
{
	(void)state;
	static char large[SECRET_MAX + 2];
	memset(large, 'x', sizeof(large));
	unlink(path);
	refused(-ENOENT, "No such file");
	write_secret("", 0, 0600);
	refused(-EINVAL, "empty");
	write_secret("\n", 1, 0600);
	refused(-EINVAL, "empty");
	write_secret("a\nb\n", 4, 0600);
	refused(-EINVAL, "more than one line");
	write_secret("a\0b", 3, 0600);
	refused(-EINVAL, "NUL");
	write_secret(large, SECRET_MAX + 1, 0600);
	refused(-EFBIG, "longer");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(-EINVAL, "regular");
	unlink(path);
	assert_int_equal(symlink(".", path), 0);
	refused(-EINVAL, "regular");
}

static void the_longest_secret_fits(void **state)
{
	(void)state;
	static char large[SECRET_MAX + 2];
	memset(large, 'x', SECRET_MAX);
	large[SECRET_MAX] = '\r';
	large[SECRET_MAX + 1] = '\n';
	write_secret(large, sizeof(large), 0600);
	_cleanup_secret_ struct secret s = {0};
	bool is_open;
	assert_int_equal(secret_read(path, &s, &is_open, NULL), 0);
	assert_int_equal(s.len, SECRET_MAX);
}

static void a_secret_is_wiped_before_its_memory_goes(void **state)
{
	(void)state;
	struct secret s = {0};
	bool is_open;
	write_secret("hunter2\n", 8, 0600);
	assert_int_equal(secret_read(path, &s, &is_open, NULL), 0);
	watch_free.secret = "nter2";
	secret_free(&s);
	assert_null(s.text);
	write_secret("hunter2\nhunter2", 15, 0600);
	assert_int_equal(secret_read(path, &s, &is_open, NULL), -EINVAL);
	watch_free.secret = NULL;
	assert_int_equal(watch_free.frees, 2);
	assert_false(watch_free.seen);
}

static void credentials_are_found_by_name(void **state)
{
	(void)state;
	_cleanup_free_ char *found = NULL;
	struct why why;
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_int_equal(secret_credential_path("relay", &found, &why), -ENOENT);
	assert_non_null(strstr(why.text, "LoadCredential"));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x", 1), 0);
	assert_int_equal(secret_credential_path("a/b", &found, &why), -EINVAL);
	assert_int_equal(secret_credential_path("..", &found, &why), -EINVAL);
	assert_int_equal(secret_credential_path("", &found, &why), -EINVAL);
	assert_null(found);
	assert_int_equal(secret_credential_path("relay", &found, &why), 0);
	assert_string_equal(found, "/run/credentials/x/relay");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_read),
	    cmocka_unit_test(what_is_no_size_is_refused),
	    cmocka_unit_test(durations_are_read_and_added),
	    cmocka_unit_test(amounts_are_written_as_they_are_read),
#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	    WITH_DIRECTORY(a_secret_is_its_line_without_the_end),
	    WITH_DIRECTORY(a_secret_open_to_all_is_noticed),
	    WITH_DIRECTORY(what_is_no_secret_is_refused),
	    WITH_DIRECTORY(the_longest_secret_fits),
	    WITH_DIRECTORY(a_secret_is_wiped_before_its_memory_goes),
	    cmocka_unit_test(credentials_are_found_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
