/* Who an engine is: the same after each start, one process at a time, told when it can't be known.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "send/identity.h"
#include "tempdir.h"

static const char ENGINE[] = "11111111-2222-4333-8444-555555555555";

static void it_stays_and_each_life_has_its_own_session(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	struct identity first, second;
	struct why why;
	assert_int_equal(identity_take(dir.path, &first, &why), 0);
	char engine[UUID_TEXT];
	strcpy(engine, first.engine);
	assert_int_equal(strlen(first.boot), UUID_TEXT - 1);
	assert_true(first.machine[0] && first.host[0]);
	identity_release(&first);
	assert_int_equal(first.lock, -1);
	assert_int_equal(identity_take(dir.path, &second, &why), 0);
	assert_string_equal(second.engine, engine);
	identity_release(&second);
}

static void a_second_process_is_refused(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	struct identity first, second = {.dir = -5};
	struct why why = {""};
	assert_int_equal(identity_take(dir.path, &first, &why), 0);
	assert_int_equal(identity_take(dir.path, &second, &why), -EBUSY);
	assert_non_null(strstr(why.text, dir.path));
	assert_int_equal(second.dir, -5);
	identity_release(&first);
}

static void the_state_directory_is_made_and_is_the_engines_alone(void **state)
{
	(void)state;
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	char path[128];
	snprintf(path, sizeof(path), "%s/state", dir.path);
	struct identity id;
	struct why why;
	assert_int_equal(identity_take(path, &id, &why), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(fstat(id.lock, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(faccessat(id.dir, "engine.id", F_OK, 0), 0);
	assert_true(fcntl(id.lock, F_GETFD) & FD_CLOEXEC);
	identity_release(&id);
	assert_int_equal(identity_take("/proc/nowhere", &id, &why), -ENOENT);
	tempdir_text(&dir, "file", "");
	snprintf(path, sizeof(path), "%s/file", dir.path);
	assert_int_equal(identity_take(path, &id, &why), -ENOTDIR);
}

static int take_with(const char *content, struct identity *ret, struct why *why)
{
	_cleanup_tempdir_ struct tempdir dir;
	tempdir_make(&dir);
	tempdir_text(&dir, "engine.id", content);
	return identity_take(dir.path, ret, why);
}

/* A file that was damaged is told, never replaced: another uuid would be another engine. */
static void a_file_that_holds_no_uuid_is_told(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "x", "11111111-2222-4333-8444-55555555555", "11111111-2222-4333-8444-55555555555\n",
	    "11111111-2222-4333-8444-5555555555g5", "11111111-2222-4333-8444-5555555555A5"};
	struct identity id;
	struct why why;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(take_with(bad[i], &id, &why), -EBADMSG);
		assert_non_null(strstr(why.text, "engine.id: holds no uuid"));
	}
	assert_int_equal(take_with(ENGINE, &id, &why), 0);
	assert_string_equal(id.engine, ENGINE);
	identity_release(&id);
}

static void uuids_are_random_and_say_so(void **state)
{
	(void)state;
	char one[UUID_TEXT], other[UUID_TEXT];
	for (int i = 0; i < 100; i++) {
		assert_int_equal(uuid_make(one), 0);
		assert_int_equal(uuid_make(other), 0);
		assert_string_not_equal(one, other);
		assert_int_equal(strlen(one), UUID_TEXT - 1);
		assert_int_equal(one[14], '4');
		assert_non_null(strchr("89ab", one[19]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_stays_and_each_life_has_its_own_session),
	    cmocka_unit_test(a_second_process_is_refused),
	    cmocka_unit_test(the_state_directory_is_made_and_is_the_engines_alone),
	    cmocka_unit_test(a_file_that_holds_no_uuid_is_told),
	    cmocka_unit_test(uuids_are_random_and_say_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
