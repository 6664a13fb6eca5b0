#include "send/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/faultpoint.h"
#include "base/log.h"
#include "send/journal_inside.h"

enum {
	RESERVE = 1 << 20, /* bytes that are allocated ahead at a time */
#ifdef FAULTS
	FULL = 256, /* seen in a test, too */
#else
	FULL = 64 << 20, /* a file of so many bytes is followed by another */
#endif
};

struct journal {
	int dir;
	int fd;
	unsigned number;
	off_t end;       /* bytes in the file */
	off_t allocated; /* bytes that the file system has promised */
	size_t unanswered;
	struct buf pending; /* records to be written */
	int64_t *issues;    /* those that this file names */
	size_t issue_count;
	char head[HEAD]; /* of each of its files */
};

/* ---- putting records together ---------------------------------------------------------------- */

static void set_int(char *to, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (char)(value >> (8 * i));
}

static void put_int(struct buf *b, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_addc(b, (char)(value >> (8 * i)));
}

/* What doesn't fit is cut off between characters: the text goes into the database one day. */
static void put_text(struct buf *b, struct str s, size_t most)
{
	size_t n = s.n < most ? s.n : most;
	while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	s = str_head(s, n);
	put_int(b, s.n, 2);
	buf_addstr(b, s);
}

static void put_key(struct buf *b, const struct journal_key *key)
{
	put_int(b, (uint64_t)key->issue, 8);
	put_int(b, (uint64_t)key->subscriber, 8);
	put_int(b, (uint32_t)key->session, 4);
	put_int(b, (uint32_t)key->window, 4);
	put_int(b, (uint32_t)key->attempt, 2);
}

/* A record begins with room for its head, which finish() fills in. */
static size_t begin(struct buf *b, enum record_type type)
{
	size_t at = b->len;
	put_int(b, 0, RECORD_HEAD);
	put_int(b, type, 1);
	return at;
}

static int finish(struct buf *b, size_t at)
{
	if (b->err)
		return b->err;
	char *head = b->data + at;
	size_t n = b->len - at - RECORD_HEAD;
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)head + RECORD_HEAD, (uInt)n);
	set_int(head, n, 4);
	set_int(head + 4, crc, 4);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Has the file system promise room for what is pending and for every reply that may come. */
static int reserve(struct journal *j)
{
	off_t need = j->end + (off_t)j->pending.len + (off_t)(j->unanswered * REPLY_ROOM);
	if (need <= j->allocated)
		return 0;
	off_t more = need - j->allocated > RESERVE ? need - j->allocated : RESERVE;
	if (fallocate(j->fd, FALLOC_FL_KEEP_SIZE, j->allocated, more) < 0) {
		if (errno != EOPNOTSUPP)
			return -errno;
		/* This file system promises nothing: then a full disk shows at the write. */
	}
	j->allocated += more;
	return 0;
}

/*
 * Until all of it is written, `end` stays where it was: what a failed write left behind is cut off,
 * or else overwritten by the next one.
 */
int journal_flush(struct journal *j)
{
	if (j->pending.err) {
		int r = j->pending.err;
		buf_reset(&j->pending);
		return r;
	}
	size_t done = 0;
	if (j->pending.len && FAULT_ARMED("journal-torn")) {
		FAULT_POINT_IF(pwrite(j->fd, j->pending.data, j->pending.len / 2, j->end) > 0,
			       "journal-torn");
	}
	while (done < j->pending.len) {
		ssize_t n = pwrite(j->fd, j->pending.data + done, j->pending.len - done,
				   j->end + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int r = -errno;
			if (ftruncate(j->fd, j->end) < 0)
				log_debug("journal.%u: %s", j->number, strerror(errno));
			j->allocated = j->end;
			return r;
		}
		done += (size_t)n;
	}
	j->end += (off_t)done;
	buf_reset(&j->pending);
	FAULT_POINT_IF(done, "journal-written");
	return 0;
}

int journal_issue(struct journal *j, int64_t issue, const char *uid)
{
	for (size_t i = 0; i < j->issue_count; i++)
		if (j->issues[i] == issue)
			return 0;
	int64_t *issues = reallocarray(j->issues, j->issue_count + 1, sizeof(*issues));
	if (!issues)
		return -ENOMEM;
	j->issues = issues;
	j->issues[j->issue_count++] = issue;
	size_t at = begin(&j->pending, RECORD_ISSUE);
	put_int(&j->pending, (uint64_t)issue, 8);
	put_text(&j->pending, str_of(uid), JOURNAL_TEXT);
	return finish(&j->pending, at);
}

int journal_intent(struct journal *j, const struct journal_intent *intent)
{
	size_t at = begin(&j->pending, RECORD_INTENT);
	put_key(&j->pending, &intent->key);
	put_int(&j->pending, intent->variant, 4);
	put_int(&j->pending, (uint32_t)intent->address_no, 4);
	put_int(&j->pending, (uint32_t)intent->relay, 4);
	put_int(&j->pending, intent->at, 8);
	int r = finish(&j->pending, at);
	if (r < 0) {
		buf_reset(&j->pending);
		return r;
	}
	j->unanswered++;
	r = reserve(j);
	FAULT_POINT("journal-intent-reserved");
	if (r == 0)
		r = journal_flush(j);
	FAULT_POINT("journal-intent-written");
	if (r < 0) {
		j->unanswered--;
		buf_truncate(&j->pending, at);
	}
	return r;
}

static void answered(struct journal *j)
{
	if (j->unanswered)
		j->unanswered--;
}

int journal_reply(struct journal *j, const struct journal_reply *reply)
{
	answered(j);
	size_t at = begin(&j->pending, RECORD_REPLY);
	put_key(&j->pending, &reply->key);
	put_int(&j->pending, (uint32_t)reply->relay, 4);
	put_int(&j->pending, (uint32_t)reply->code, 2);
	put_int(&j->pending, (uint32_t)reply->stage, 1);
	put_int(&j->pending, reply->at, 8);
	put_text(&j->pending, reply->enhanced, 16);
	put_text(&j->pending, reply->queue_id, 64);
	put_text(&j->pending, reply->text, JOURNAL_TEXT - 80);
	return finish(&j->pending, at);
}

int journal_void(struct journal *j, const struct journal_key *key)
{
	answered(j);
	size_t at = begin(&j->pending, RECORD_VOID);
	put_key(&j->pending, key);
	return finish(&j->pending, at);
}

int journal_settled(struct journal *j, int32_t session, int32_t window)
{
	size_t at = begin(&j->pending, RECORD_SETTLED);
	put_int(&j->pending, (uint32_t)session, 4);
	put_int(&j->pending, (uint32_t)window, 4);
	return finish(&j->pending, at);
}

/* ---- files ----------------------------------------------------------------------------------- */

/*
 * Makes a new file with nothing but its head. It gets its name when it has that: one without would
 * look as if records of it were lost, and cast doubt on everything that is open.
 */
static int make_file(struct journal *j, unsigned number, int *ret)
{
	static const char unnamed[] = "journal.new";
	char name[32];
	journal_file_name(number, name);
	_cleanup_close_ int fd =
	    openat(j->dir, unnamed, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	FAULT_POINT("journal-file-made");
	set_int(j->head + HEAD_BEGAN, clock_boot(), 8);
	ssize_t n = pwrite(fd, j->head, sizeof(j->head), 0);
	int r = n == (ssize_t)sizeof(j->head) ? 0 : n < 0 ? -errno : -ENOSPC;
	FAULT_POINT("journal-file-begun");
	if (r == 0 && renameat(j->dir, unnamed, j->dir, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(j->dir, unnamed, 0);
		return r;
	}
	FAULT_POINT("journal-file-named");
	*ret = fd;
	fd = -1;
	return 0;
}

int journal_open(int dir, const char *engine, const char *boot, int32_t session,
		 struct journal **ret, struct why *why)
{
	_cleanup_free_ unsigned *numbers = NULL;
	size_t count;
	int r = journal_files(dir, &numbers, &count);
	if (r < 0)
		return why_set(why, r, "journal: %s", strerror(-r));

	struct journal *j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->dir = dir;
	j->number = count ? numbers[count - 1] + 1 : 1;
	j->end = HEAD;
	memcpy(j->head, JOURNAL_MAGIC, strlen(JOURNAL_MAGIC));
	memcpy(j->head + HEAD_ENGINE, engine, strnlen(engine, 36));
	memcpy(j->head + HEAD_BOOT, boot, strnlen(boot, 36));
	set_int(j->head + HEAD_SESSION, (uint32_t)session, 4);
	r = make_file(j, j->number, &j->fd);
	if (r < 0) {
		free(j);
		return why_set(why, r, "a journal can't be begun: %s", strerror(-r));
	}
	*ret = j;
	return 0;
}

/* What was allocated ahead goes back. */
static void close_file(const struct journal *j)
{
	if (ftruncate(j->fd, j->end) < 0)
		log_debug("journal.%u: %s", j->number, strerror(errno));
	close(j->fd);
}

int journal_rotate(struct journal *j)
{
	int r = journal_flush(j);
	if (r < 0)
		return r;
	struct journal next = *j;
	next.number++;
	next.end = HEAD;
	next.allocated = 0;
	r = make_file(&next, next.number, &next.fd);
	if (r < 0)
		return r;
	/* The replies to what the old file intends come into the new one. */
	r = reserve(&next);
	if (r < 0) {
		char name[32];
		journal_file_name(next.number, name);
		unlinkat(j->dir, name, 0);
		close(next.fd);
		return r;
	}
	FAULT_POINT("journal-rotate-begun");
	close_file(j);
	*j = next;
	j->issue_count = 0;
	FAULT_POINT("journal-rotated");
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (journal_flush(j) < 0)
		log_error("journal.%u: the last records can't be written", j->number);
	close_file(j);
	buf_free(&j->pending);
	free(j->issues);
	free(j);
}

int journal_tidy(struct journal *j, int32_t since, usec_t keep)
{
	int removed =
	    journal_remove_old(j->dir, j->head + HEAD_ENGINE, j->head + HEAD_BOOT, since, keep);
	int rotated = j->end > FULL ? journal_rotate(j) : 0;
	return removed < 0 ? removed : rotated;
}
