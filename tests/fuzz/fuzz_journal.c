/*
 * A journal's file of arbitrary bytes: never a crash, and never a text that a record couldn't hold.
 * The bytes are read as they are; as records behind a right head; and as the fields of records
 * whose lengths and CRCs are right, since no fuzzer guesses a CRC. What was written before them is
 * read back in each case.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "must.h"
#include "send/journal.h"
#include "send/journal_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char ENGINE[] = "11111111-2222-4333-8444-555555555555";
static const char BOOT[] = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

struct seen {
	size_t records;
	size_t bytes; /* read, so that the sanitizers look at each */
	bool first;   /* the one that stands before the arbitrary bytes */
};

static void see(struct seen *seen, struct str s)
{
	must(s.n <= RECORD_MAX, "a text longer than a record");
	for (size_t i = 0; i < s.n; i++)
		seen->bytes += (unsigned char)s.p[i] != 0;
}

static int see_issue(void *user, int64_t issue, struct str uid)
{
	struct seen *seen = user;
	see(seen, uid);
	seen->first |= seen->records++ == 0 && issue == 42 && str_is(uid, "before");
	return 0;
}

static int see_intent(void *user, const struct journal_intent *intent)
{
	(void)intent;
	((struct seen *)user)->records++;
	return 0;
}

static int see_reply(void *user, const struct journal_reply *reply)
{
	struct seen *seen = user;
	see(seen, reply->enhanced);
	see(seen, reply->queue_id);
	see(seen, reply->text);
	seen->records++;
	return 0;
}

static int see_void(void *user, const struct journal_key *key)
{
	(void)key;
	((struct seen *)user)->records++;
	return 0;
}

static int see_settled(void *user, int32_t session, int32_t window)
{
	(void)session;
	(void)window;
	((struct seen *)user)->records++;
	return 0;
}

static struct seen replay(int dir)
{
	struct seen seen = {0};
	const struct journal_reader reader = {&seen,     see_issue, see_intent,
					      see_reply, see_void,  see_settled};
	struct journal_state state;
	struct why why;
	must(journal_replay(dir, ENGINE, BOOT, 1, &reader, &state, &why) == 0, "not read");
	must(state.found, "the file wasn't found");
	return seen;
}

/* A file with a right head and one record, as the program writes it. */
static size_t write_begin(int dir, int *ret_fd)
{
	struct journal *j;
	struct why why;
	must(journal_open(dir, ENGINE, BOOT, 1, &j, &why) == 0, "can't be opened");
	must(journal_issue(j, 42, "before") == 0 && journal_flush(j) == 0, "can't be written");
	journal_close(j);
	*ret_fd = openat(dir, "journal.1", O_RDWR | O_CLOEXEC);
	must(*ret_fd >= 0, "the file isn't there");
	struct stat st;
	must(fstat(*ret_fd, &st) == 0, "stat");
	return (size_t)st.st_size;
}

static void put(int fd, size_t at, const void *bytes, size_t n)
{
	must(ftruncate(fd, (off_t)at) == 0 && pwrite(fd, bytes, n, (off_t)at) == (ssize_t)n,
	     "can't be written");
}

/* Cuts the bytes into records: each begins with a byte that tells its length. */
static void frame(const uint8_t *data, size_t size, struct buf *out)
{
	while (size > 1) {
		size_t n = data[0] + 1U < size - 1 ? data[0] + 1U : size - 1;
		uint32_t head[2] = {(uint32_t)n, (uint32_t)crc32(0, data + 1, (uInt)n)};
		must(buf_add(out, head, sizeof(head)) == 0 && buf_add(out, data + 1, n) == 0,
		     "no memory");
		data += n + 1;
		size -= n + 1;
	}
}

static char path[] = "/tmp/fuzz-journal-XXXXXX";
static int dir = -1;

static void clean(void)
{
	unlinkat(dir, "journal.1", 0);
	rmdir(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static size_t begin;
	if (dir < 0) {
		must(mkdtemp(path) != NULL, "no directory");
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		begin = write_begin(dir, &fd);
		atexit(clean);
	}
	put(fd, begin, data, size);
	must(replay(dir).first, "what was written before is lost");

	_cleanup_buf_ struct buf framed = {0};
	frame(data, size, &framed);
	put(fd, begin, buf_text(&framed), framed.len);
	must(replay(dir).first, "what was written before is lost");

	char head[RECORD_MAX];
	ssize_t kept = pread(fd, head, begin, 0);
	must(kept == (ssize_t)begin, "can't be read");
	put(fd, 0, data, size);
	replay(dir);
	put(fd, 0, head, begin);
	return 0;
}
