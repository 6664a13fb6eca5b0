/* Which of the journal's files may go. journal.h tells what decides that. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/faultpoint.h"
#include "send/journal_inside.h"

/* -EBADMSG for a head that says nothing; else what the file system said. */
static int read_head(int dir, unsigned number, const char *engine, const char *boot,
		     struct journal_head *ret)
{
	char name[32], bytes[HEAD];
	journal_file_name(number, name);
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
	return n < 0 ? -errno : journal_head_of(bytes, (size_t)n, engine, boot, ret);
}

/* At least so long ago the file before this one ended. */
static usec_t ended_ago(const struct journal_head *next, usec_t now)
{
	if (!next->same_boot)
		return now;
	return next->began < now ? now - next->began : 0;
}

/*
 * How many of the files may go, from the first on. Heads that say nothing are passed over: what is
 * true of a file's end is true of the ends of those before it.
 */
static size_t count_old(int dir, const unsigned *numbers, size_t count, const char *engine,
			const char *boot, int32_t since, usec_t keep)
{
	usec_t now = clock_boot();
	size_t old = 0;
	for (size_t i = 0; i < count; i++) {
		struct journal_head head;
		if (read_head(dir, numbers[i], engine, boot, &head) < 0)
			continue;
		if (ended_ago(&head, now) >= keep)
			old = i;
		if (head.session == since)
			return old;
	}
	return 0;
}

/* In their order, and none after one that stays: what is left has no gap. */
int journal_remove_old(int dir, const char *engine, const char *boot, int32_t since, usec_t keep)
{
	_cleanup_free_ unsigned *numbers = NULL;
	size_t count;
	int r = journal_files(dir, &numbers, &count);
	if (r < 0)
		return r;
	size_t old = count_old(dir, numbers, count, engine, boot, since, keep);
	for (size_t i = 0; i < old; i++) {
		char name[32];
		journal_file_name(numbers[i], name);
		if (unlinkat(dir, name, 0) < 0)
			return -errno;
		FAULT_POINT("journal-tidied");
	}
	return 0;
}
