/* The journal: what was handed over is read back, whatever happened to the file in between. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/text.h"
#include "send/journal.h"
#include "tempdir.h"

static const char ENGINE[] = "11111111-2222-4333-8444-555555555555";
static const char BOOT[] = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
static const char OTHER_BOOT[] = "ffffffff-bbbb-4ccc-8ddd-eeeeeeeeeeee";

enum { SESSION = 7 };

struct dir {
	struct tempdir temp;
	int fd;
};

static int make_dir(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));
	assert_non_null(d);
	tempdir_make(&d->temp);
	d->fd = open(d->temp.path, O_RDONLY | O_DIRECTORY);
	assert_true(d->fd >= 0);
	*state = d;
	return 0;
}

static int remove_dir(void **state)
{
	struct dir *d = *state;
	tempdir_remove(&d->temp);
	close(d->fd);
	free(d);
	return 0;
}

/* What a replay tells: a line a record. */
static int told_issue(void *user, int64_t issue, struct str uid)
{
	return buf_printf(user, "issue %lld %.*s\n", (long long)issue, (int)uid.n, uid.p);
}

static int told_intent(void *user, const struct journal_intent *i)
{
	return buf_printf(user, "intent %lld/%lld.%d v%u a%d r%d\n", (long long)i->key.issue,
			  (long long)i->key.subscriber, i->key.attempt, i->variant, i->address_no,
			  i->relay);
}

static int told_reply(void *user, const struct journal_reply *r)
{
	return buf_printf(user, "reply %lld %d %.*s %.*s %.*s\n", (long long)r->key.subscriber,
			  r->code, (int)r->enhanced.n, r->enhanced.p, (int)r->queue_id.n,
			  r->queue_id.p, (int)r->text.n, r->text.p);
}

static int told_void(void *user, const struct journal_key *key)
{
	return buf_printf(user, "void %lld\n", (long long)key->subscriber);
}

static int told_settled(void *user, int32_t session, int32_t window)
{
	return buf_printf(user, "settled %d.%d\n", session, window);
}

static struct journal_state replay(struct dir *d, const char *boot, struct buf *told)
{
	const struct journal_reader reader = {told,       told_issue, told_intent,
					      told_reply, told_void,  told_settled};
	struct journal_state state;
	assert_int_equal(journal_replay(d->fd, ENGINE, boot, SESSION, &reader, &state, NULL), 0);
	return state;
}

static struct journal_intent intent_of(int64_t subscriber)
{
	return (struct journal_intent){.key = {202611000001, subscriber, 7, 3, 1},
				       .variant = 42,
				       .address_no = 2,
				       .relay = 5,
				       .at = 1};
}

static struct journal_reply reply_of(int64_t subscriber)
{
	return (struct journal_reply){.key = {202611000001, subscriber, 7, 3, 1},
				      .relay = 5,
				      .code = 250,
				      .enhanced = STR("2.0.0"),
				      .queue_id = STR("ABC"),
				      .text = STR("Ok")};
}

/* One reader's mail, handed over and answered. */
static void write_mail(struct journal *j, int64_t subscriber)
{
	struct journal_intent intent = intent_of(subscriber);
	struct journal_reply reply = reply_of(subscriber);
	assert_int_equal(journal_intent(j, &intent), 0);
	assert_int_equal(journal_reply(j, &reply), 0);
}

static struct journal *open_journal_of(struct dir *d, const char *boot, int32_t session)
{
	struct journal *j;
	struct why why;
	assert_int_equal(journal_open(d->fd, ENGINE, boot, session, &j, &why), 0);
	return j;
}

static struct journal *open_journal(struct dir *d)
{
	return open_journal_of(d, BOOT, SESSION);
}

static void everything_is_read_back(void **state)
{
	struct dir *d = *state;
	struct journal *j = open_journal(d);
	struct journal_intent a = intent_of(100), b = intent_of(101);
	struct journal_reply reply = reply_of(100);
	assert_int_equal(journal_issue(j, 202611000001, "news.daily.2026-11-24"), 0);
	assert_int_equal(journal_intent(j, &a), 0);
	assert_int_equal(journal_intent(j, &b), 0);
	assert_int_equal(journal_reply(j, &reply), 0);
	assert_int_equal(journal_void(j, &b.key), 0);
	assert_int_equal(journal_settled(j, 7, 3), 0);
	journal_close(j);

	_cleanup_buf_ struct buf told = {0};
	struct journal_state s = replay(d, BOOT, &told);
	assert_true(s.found && s.same_boot && !s.torn);
	assert_string_equal(buf_text(&told), "issue 202611000001 news.daily.2026-11-24\n"
					     "intent 202611000001/100.1 v42 a2 r5\n"
					     "intent 202611000001/101.1 v42 a2 r5\n"
					     "reply 100 250 2.0.0 ABC Ok\n"
					     "void 101\n"
					     "settled 7.3\n");
}

static void an_intent_is_in_the_file_at_once_a_reply_by_the_next_flush(void **state)
{
	struct dir *d = *state;
	struct journal *j = open_journal(d);
	write_mail(j, 1);
	_cleanup_buf_ struct buf told = {0};
	replay(d, BOOT, &told);
	assert_string_equal(buf_text(&told), "intent 202611000001/1.1 v42 a2 r5\n");
	buf_reset(&told);
	assert_int_equal(journal_flush(j), 0);
	replay(d, BOOT, &told);
	assert_non_null(strstr(buf_text(&told), "reply 1 250"));
	journal_close(j);
}

static void another_boot_and_a_missing_file_are_told(void **state)
{
	struct dir *d = *state;
	_cleanup_buf_ struct buf told = {0};
	struct journal_state s = replay(d, BOOT, &told);
	assert_false(s.found);
	journal_close(open_journal(d));
	s = replay(d, OTHER_BOOT, &told);
	assert_true(s.found && !s.same_boot && !s.torn);
}

/* A file from before a reboot, or a torn one, says nothing against windows that are younger. */
static void only_files_from_the_oldest_open_window_on_count(void **state)
{
	struct dir *d = *state;
	_cleanup_buf_ struct buf told = {0};
	journal_close(open_journal_of(d, OTHER_BOOT, SESSION - 1));
	journal_close(open_journal_of(d, BOOT, SESSION));
	struct journal_state s = replay(d, BOOT, &told);
	assert_true(s.found && s.same_boot && !s.torn);
	journal_close(open_journal_of(d, OTHER_BOOT, SESSION + 1));
	s = replay(d, BOOT, &told);
	assert_true(s.found && !s.same_boot && !s.torn);
	unlinkat(d->fd, "journal.2", 0);
	s = replay(d, BOOT, &told);
	assert_false(s.found);
}

static void a_long_text_is_cut_between_characters(void **state)
{
	struct dir *d = *state;
	struct journal *j = open_journal(d);
	for (int lead = 0; lead < 4; lead++) {
		char text[3 * JOURNAL_TEXT] = "abcd";
		for (int at = lead; at < 2 * JOURNAL_TEXT; at += 3)
			memcpy(text + at, "\xe2\x82\xac", 4);
		struct journal_reply reply = reply_of(1);
		reply.text = str_of(text);
		assert_int_equal(journal_reply(j, &reply), 0);
	}
	journal_close(j);
	_cleanup_buf_ struct buf told = {0};
	replay(d, BOOT, &told);
	assert_true(told.len > 1000 && text_valid(buf_str(&told)));
}

/* Cut at each length, and each byte changed: never a wrong record, never a crash. */
static void a_torn_tail_is_told_and_what_precedes_it_kept(void **state)
{
	struct dir *d = *state;
	struct journal *j = open_journal(d);
	write_mail(j, 1);
	journal_close(j);
	int fd = openat(d->fd, "journal.1", O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END);
	_cleanup_free_ char *bytes = malloc((size_t)size);
	assert_int_equal(pread(fd, bytes, (size_t)size, 0), size);

	_cleanup_buf_ struct buf whole = {0}, told = {0};
	replay(d, BOOT, &whole);
	for (off_t cut = size - 1; cut > 0; cut--) {
		assert_int_equal(ftruncate(fd, cut), 0);
		buf_reset(&told);
		replay(d, BOOT, &told);
		assert_true(told.len < whole.len);
		assert_memory_equal(buf_text(&told), buf_text(&whole), told.len);
	}
	for (off_t i = 96; i < size; i++) {
		assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
		char changed = (char)(bytes[i] ^ 0x5a);
		assert_int_equal(pwrite(fd, &changed, 1, i), 1);
		buf_reset(&told);
		assert_true(replay(d, BOOT, &told).torn);
		assert_memory_equal(buf_text(&told), buf_text(&whole), told.len);
	}
	close(fd);
}

/* A disk of `disk` bytes: what isn't promised by fallocate can't be written beyond them. */
static off_t disk = INT64_MAX, promised;
static size_t at_once = SIZE_MAX; /* bytes that a write takes at most */

int __real_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);
ssize_t __real_pwrite(int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t offset);

int __wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (offset + len > disk) {
		errno = ENOSPC;
		return -1;
	}
	promised = offset + len;
	return __real_fallocate(fd, mode, offset, len);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	if (offset + (off_t)n > promised && offset + (off_t)n > disk) {
		errno = ENOSPC;
		return -1;
	}
	return __real_pwrite(fd, bytes, n < at_once ? n : at_once, offset);
}

static void a_write_may_take_several_parts(void **state)
{
	struct dir *d = *state;
	struct journal *j = open_journal(d);
	at_once = 7;
	for (int64_t reader = 1; reader <= 3; reader++)
		write_mail(j, reader);
	journal_close(j);
	at_once = SIZE_MAX;
	_cleanup_buf_ struct buf told = {0};
	assert_false(replay(d, BOOT, &told).torn);
	assert_non_null(strstr(buf_text(&told), "reply 3 250"));
}

static void a_full_disk_stops_intents_and_never_replies(void **state)
{
	struct dir *d = *state;
	struct journal *j = open_journal(d);
	disk = 2 << 20;
	int64_t n = 0;
	int r;
	do {
		struct journal_intent intent = intent_of(++n);
		r = journal_intent(j, &intent);
	} while (r == 0 && n < 100000);
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 1000);
	disk = 0;
	for (int64_t i = 1; i < n; i++) {
		struct journal_reply reply = reply_of(i);
		assert_int_equal(journal_reply(j, &reply), 0);
		assert_int_equal(journal_flush(j), 0);
	}
	disk = INT64_MAX;
	struct journal_intent again = intent_of(n);
	assert_int_equal(journal_intent(j, &again), 0);
	journal_close(j);
	_cleanup_buf_ struct buf told = {0};
	assert_false(replay(d, BOOT, &told).torn);
	size_t intents = 0;
	for (const char *p = buf_text(&told); (p = strstr(p, "intent ")); p++)
		intents++;
	assert_int_equal(intents, (size_t)n);
}

static void it_goes_on_in_a_new_file(void **state)
{
	struct dir *d = *state;
	struct journal *j = open_journal(d);
	struct journal_intent a = intent_of(1), b = intent_of(2);
	struct journal_reply reply = reply_of(1);
	assert_int_equal(journal_issue(j, 202611000001, "news.daily.2026-11-24"), 0);
	assert_int_equal(journal_intent(j, &a), 0);
	assert_int_equal(journal_rotate(j), 0);
	/* The first file goes one day; the next ones name what they speak of themselves. */
	assert_int_equal(journal_issue(j, 202611000001, "news.daily.2026-11-24"), 0);
	assert_int_equal(journal_reply(j, &reply), 0);
	assert_int_equal(journal_intent(j, &b), 0);
	assert_int_equal(faccessat(d->fd, "journal.2", F_OK, 0), 0);

	/* No room for a third: the second goes on. */
	disk = 0;
	assert_int_equal(journal_rotate(j), -ENOSPC);
	disk = INT64_MAX;
	assert_int_equal(faccessat(d->fd, "journal.3", F_OK, 0), -1);
	reply = reply_of(2);
	assert_int_equal(journal_reply(j, &reply), 0);
	journal_close(j);

	_cleanup_buf_ struct buf told = {0};
	assert_false(replay(d, BOOT, &told).torn);
	const char *text = buf_text(&told);
	const char *first = strstr(text, "reply 1 250"),
		   *second = strstr(text, "intent 202611000001/2.1");
	assert_true(first && second && first < second && strstr(second, "reply 2 250"));
	unlinkat(d->fd, "journal.1", 0);
	buf_reset(&told);
	replay(d, BOOT, &told);
	assert_non_null(strstr(buf_text(&told), "issue 202611000001 news.daily.2026-11-24"));
}

/* ---- which files go ---------------------------------------------------------------------------
 * CLOCK_BOOTTIME as the test has it go; the time of day is stepped as in system tests, and so are
 * the files' times, which the kernel takes from it.
 */

enum { KEEP = 24 * 3600, HOUR = 3600, YEAR = 365 * 24 * 3600 }; /* seconds */

static usec_t boot_clock; /* 0: the real one */

usec_t __real_clock_boot(void);
usec_t __wrap_clock_boot(void);

usec_t __wrap_clock_boot(void)
{
	return boot_clock ? boot_clock : __real_clock_boot();
}

static void pass(int64_t seconds)
{
	boot_clock += (usec_t)seconds * USEC_PER_SEC;
}

/* Steps the time of day to so many seconds from the real one. */
static void step(struct dir *d, long long seconds)
{
	char text[32];
	snprintf(text, sizeof(text), "%lld\n", seconds);
	tempdir_text(&d->temp, "clock", text);
	setenv("DIGESTD_CLOCK", tempdir_path(&d->temp, "clock"), 1);
}

/* The times of all files, as seconds from now. */
static void date_files(struct dir *d, long long seconds)
{
	time_t at = time(NULL) + (time_t)seconds;
	const struct timespec times[2] = {{at, 0}, {at, 0}};
	for (int n = 1; n < 10; n++) {
		char name[16];
		snprintf(name, sizeof(name), "journal.%d", n);
		utimensat(d->fd, name, times, 0);
	}
}

/* The numbers of the files that are there, as text. */
static const char *files(const struct dir *d)
{
	static char text[16];
	size_t n = 0;
	for (int number = 1; number < 10; number++) {
		char name[16];
		snprintf(name, sizeof(name), "journal.%d", number);
		if (faccessat(d->fd, name, F_OK, 0) == 0)
			text[n++] = (char)('0' + number);
	}
	text[n] = '\0';
	return text;
}

static int tidy(struct journal *j, int32_t since)
{
	return journal_tidy(j, since, (usec_t)KEEP * USEC_PER_SEC);
}

/* Lives of sessions 5, 6 and 7 an hour apart, the last of which goes on: files 1, 2 and 3. */
static struct journal *three_lives(struct dir *d)
{
	boot_clock = (usec_t)YEAR * USEC_PER_SEC;
	journal_close(open_journal_of(d, BOOT, SESSION - 2));
	pass(HOUR);
	journal_close(open_journal_of(d, BOOT, SESSION - 1));
	pass(HOUR);
	return open_journal(d);
}

static int end_clocks(void **state)
{
	boot_clock = 0;
	unsetenv("DIGESTD_CLOCK");
	return remove_dir(state);
}

static const long long steps[] = {-10LL * YEAR, -YEAR,     -25 * HOUR, -HOUR,      0,
				  HOUR,         25 * HOUR, YEAR,       10LL * YEAR};

/* The database hasn't all about session 6 (or 5): no time that has passed changes that. */
static void files_stay_from_the_oldest_open_window_on(void **state)
{
	struct dir *d = *state;
	struct journal *j = three_lives(d);
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		step(d, steps[i]);
		date_files(d, -steps[i]);
		assert_int_equal(tidy(j, SESSION - 2), 0);
		assert_string_equal(files(d), "123");
	}
	pass(10LL * YEAR);
	assert_int_equal(tidy(j, SESSION - 2), 0);
	assert_string_equal(files(d), "123");
	assert_int_equal(tidy(j, SESSION - 1), 0);
	assert_string_equal(files(d), "23");
	assert_int_equal(tidy(j, SESSION - 1), 0);
	assert_string_equal(files(d), "23");
	journal_close(j);
}

static void files_of_this_life_stay(void **state)
{
	struct dir *d = *state;
	struct journal *j = three_lives(d);
	write_mail(j, 1);
	assert_int_equal(journal_rotate(j), 0);
	pass(10LL * YEAR);
	assert_int_equal(journal_rotate(j), 0);
	step(d, 10LL * YEAR);
	date_files(d, -10LL * YEAR);
	assert_int_equal(tidy(j, SESSION), 0);
	assert_string_equal(files(d), "345");
	journal_close(j);
}

/* Settled files go when they have been kept so long, be the time of day what it may. */
static void no_step_of_the_clock_hastens_or_delays_the_end_of_a_file(void **state)
{
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		struct dir *d = *state;
		struct journal *j = three_lives(d);
		step(d, steps[i]);
		for (int to = -1; to <= 1; to++) {
			date_files(d, to * steps[i]);
			assert_int_equal(tidy(j, SESSION), 0);
			assert_string_equal(files(d), "123");
		}
		/* The first ended an hour ago, when the second began. */
		pass(KEEP - HOUR - 1);
		assert_int_equal(tidy(j, SESSION), 0);
		assert_string_equal(files(d), "123");
		pass(1);
		assert_int_equal(tidy(j, SESSION), 0);
		assert_string_equal(files(d), "23");
		pass(HOUR - 1);
		assert_int_equal(tidy(j, SESSION), 0);
		assert_string_equal(files(d), "23");
		pass(1);
		assert_int_equal(tidy(j, SESSION), 0);
		assert_string_equal(files(d), "3");
		journal_close(j);
		end_clocks(state);
		make_dir(state);
	}
}

/* It is known only that they ended before this boot. */
static void files_of_another_boot_stay_until_this_one_is_old_enough(void **state)
{
	struct dir *d = *state;
	boot_clock = (usec_t)YEAR * USEC_PER_SEC;
	journal_close(open_journal_of(d, OTHER_BOOT, SESSION - 2));
	journal_close(open_journal_of(d, OTHER_BOOT, SESSION - 1));
	boot_clock = USEC_PER_SEC;
	struct journal *j = open_journal(d);
	pass(KEEP - 2);
	assert_int_equal(tidy(j, SESSION), 0);
	assert_string_equal(files(d), "123");
	pass(1); /* since the boot; the second's end is a second younger */
	assert_int_equal(tidy(j, SESSION), 0);
	assert_string_equal(files(d), "23");
	pass(1);
	assert_int_equal(tidy(j, SESSION), 0);
	assert_string_equal(files(d), "3");
	journal_close(j);
}

static void without_the_file_of_that_session_nothing_goes(void **state)
{
	struct dir *d = *state;
	struct journal *j = three_lives(d);
	pass(YEAR);
	assert_int_equal(tidy(j, SESSION - 3), 0);
	assert_int_equal(tidy(j, SESSION + 1), 0);
	assert_string_equal(files(d), "123");
	unlinkat(d->fd, "journal.2", 0);
	assert_int_equal(tidy(j, SESSION - 1), 0);
	assert_string_equal(files(d), "13");
	journal_close(j);
}

/* What has no head to be read goes with what is before and after it. */
static void a_head_that_says_nothing_decides_nothing(void **state)
{
	static const char another[] = "digestj1of another engine";
	for (size_t size = 0; size < sizeof(another); size += sizeof(another) - 1) {
		struct dir *d = *state;
		struct journal *j = three_lives(d);
		tempdir_write(&d->temp, "journal.2", another, size);
		pass(KEEP - 1);
		assert_int_equal(tidy(j, SESSION), 0);
		assert_int_equal(tidy(j, SESSION - 2), 0);
		assert_string_equal(files(d), "123");
		pass(1);
		assert_int_equal(tidy(j, SESSION - 2), 0);
		assert_string_equal(files(d), "123");
		assert_int_equal(tidy(j, SESSION), 0);
		assert_string_equal(files(d), "3");
		journal_close(j);
		end_clocks(state);
		make_dir(state);
	}
}

static void after_a_file_that_can_t_be_removed_the_others_stay(void **state)
{
	struct dir *d = *state;
	struct journal *j = three_lives(d);
	pass(YEAR);
	unlinkat(d->fd, "journal.1", 0);
	assert_int_equal(mkdirat(d->fd, "journal.1", 0700), 0);
	assert_true(tidy(j, SESSION) < 0);
	assert_string_equal(files(d), "123");
	unlinkat(d->fd, "journal.1", AT_REMOVEDIR);
	assert_int_equal(tidy(j, SESSION), 0);
	assert_string_equal(files(d), "3");
	journal_close(j);
}

int main(void)
{
#define IN_DIR(test)      cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
#define WITH_CLOCKS(test) cmocka_unit_test_setup_teardown(test, make_dir, end_clocks)
	const struct CMUnitTest tests[] = {
	    IN_DIR(everything_is_read_back),
	    IN_DIR(an_intent_is_in_the_file_at_once_a_reply_by_the_next_flush),
	    IN_DIR(another_boot_and_a_missing_file_are_told),
	    IN_DIR(only_files_from_the_oldest_open_window_on_count),
	    IN_DIR(a_long_text_is_cut_between_characters),
	    IN_DIR(a_torn_tail_is_told_and_what_precedes_it_kept),
	    IN_DIR(a_full_disk_stops_intents_and_never_replies),
	    IN_DIR(a_write_may_take_several_parts),
	    IN_DIR(it_goes_on_in_a_new_file),
	    WITH_CLOCKS(files_stay_from_the_oldest_open_window_on),
	    WITH_CLOCKS(files_of_this_life_stay),
	    WITH_CLOCKS(no_step_of_the_clock_hastens_or_delays_the_end_of_a_file),
	    WITH_CLOCKS(files_of_another_boot_stay_until_this_one_is_old_enough),
	    WITH_CLOCKS(without_the_file_of_that_session_nothing_goes),
	    WITH_CLOCKS(a_head_that_says_nothing_decides_nothing),
	    WITH_CLOCKS(after_a_file_that_can_t_be_removed_the_others_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
