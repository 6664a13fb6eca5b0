/* Reading whole files. */
#include "tempdir.h"

#include "base/file.h"

static void a_file_is_appended_whole(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	_cleanup_buf_ struct buf b = {0};
	struct why why;
	char large[40000];
	tempdir_make(&dir);
	memset(large, 'x', sizeof(large));
	tempdir_write(&dir, "f", large, sizeof(large));
	tempdir_text(&dir, "empty", "");
	const char *path = tempdir_path(&dir, "f");
	buf_adds(&b, "before ");
	assert_int_equal(file_read(path, sizeof(large), &b, &why), 0);
	assert_int_equal(b.len, 7 + sizeof(large));
	assert_int_equal(strlen(buf_text(&b)), b.len);
	assert_int_equal(file_read_any(path, sizeof(large), &b, &why), 0);
	assert_int_equal(b.len, 7 + 2 * sizeof(large));

	assert_int_equal(file_read(path, sizeof(large) - 1, &b, &why), -EFBIG);
	assert_non_null(strstr(why.text, "f: more than 39999 bytes"));
	assert_int_equal(b.len, 7 + 2 * sizeof(large));
	assert_int_equal(file_read(tempdir_path(&dir, "empty"), 0, &b, &why), 0);
	assert_int_equal(b.len, 7 + 2 * sizeof(large));
}

static void what_is_no_file_is_told(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	_cleanup_buf_ struct buf b = {0};
	struct why why;
	char expected[256];
	tempdir_make(&dir);
	assert_int_equal(file_read(dir.path, 10, &b, &why), -EINVAL);
	assert_int_equal(file_read_any(dir.path, 10, &b, &why), -EISDIR);
	const char *path = tempdir_path(&dir, "none");
	snprintf(expected, sizeof(expected), "%s: No such file or directory", path);
	assert_int_equal(file_read(path, 10, &b, &why), -ENOENT);
	assert_string_equal(why.text, expected);
	assert_int_equal(file_read_any(path, 10, &b, &why), -ENOENT);
	assert_string_equal(why.text, expected);

	/* A FIFO that nobody writes to doesn't hold anybody up. */
	path = tempdir_path(&dir, "fifo");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_read(path, 10, &b, &why), -EINVAL);
}

static void a_dash_is_standard_input(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b = {0};
	struct why why;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "piped", 5), 5);
	close(ends[1]);
	int kept = dup(STDIN_FILENO);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(file_read_any("-", 10, &b, &why), 0);
	assert_string_equal(buf_text(&b), "piped");
	if (kept >= 0) {
		dup2(kept, STDIN_FILENO);
		close(kept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_is_appended_whole),
	    cmocka_unit_test(what_is_no_file_is_told),
	    cmocka_unit_test(a_dash_is_standard_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
