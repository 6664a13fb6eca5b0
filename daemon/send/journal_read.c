/* Reading the journal's files, those of earlier lives too. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "send/journal.h"
#include "send/journal_inside.h"

enum { UUID = 36 }; /* letters of one */

/* ---- files ----------------------------------------------------------------------------------- */

/* The numbers of the files that are there, ascending; the caller frees. */
int journal_files(int dir, unsigned **ret, size_t *ret_count)
{
	struct dirent **entries;
	int n = scandirat(dir, ".", &entries, NULL, versionsort);
	if (n < 0)
		return -errno;
	unsigned *numbers = calloc((size_t)n + 1, sizeof(*numbers));
	size_t count = 0;
	for (int i = 0; i < n; i++) {
		unsigned number;
		char end;
		if (numbers && sscanf(entries[i]->d_name, "journal.%u%c", &number, &end) == 1)
			numbers[count++] = number;
		free(entries[i]);
	}
	free(entries);
	if (!numbers)
		return -ENOMEM;
	*ret = numbers;
	*ret_count = count;
	return 0;
}

void journal_file_name(unsigned number, char name[static 32])
{
	snprintf(name, 32, "journal.%u", number);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct cursor {
	const unsigned char *p;
	size_t n;
	bool short_of; /* a field went beyond the record's end */
};

static uint64_t get_int(struct cursor *c, size_t bytes)
{
	if (c->n < bytes) {
		c->short_of = true;
		c->n = 0;
		return 0;
	}
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)c->p[i] << (8 * i);
	c->p += bytes;
	c->n -= bytes;
	return value;
}

static struct str get_text(struct cursor *c)
{
	size_t n = (size_t)get_int(c, 2);
	if (c->n < n) {
		c->short_of = true;
		n = 0;
	}
	struct str s = {(const char *)c->p, n};
	c->p += n;
	c->n -= n;
	return s;
}

static struct journal_key get_key(struct cursor *c)
{
	struct journal_key key;
	key.issue = (int64_t)get_int(c, 8);
	key.subscriber = (int64_t)get_int(c, 8);
	key.session = (int32_t)get_int(c, 4);
	key.window = (int32_t)get_int(c, 4);
	key.attempt = (int32_t)get_int(c, 2);
	return key;
}

static int read_issue(struct cursor *c, const struct journal_reader *reader)
{
	int64_t issue = (int64_t)get_int(c, 8);
	struct str uid = get_text(c);
	return c->short_of || !reader->issue ? 0 : reader->issue(reader->user, issue, uid);
}

static int read_intent(struct cursor *c, const struct journal_reader *reader)
{
	struct journal_intent intent = {.key = get_key(c)};
	intent.variant = (uint32_t)get_int(c, 4);
	intent.address_no = (int32_t)get_int(c, 4);
	intent.relay = (int32_t)get_int(c, 4);
	intent.at = get_int(c, 8);
	return c->short_of || !reader->intent ? 0 : reader->intent(reader->user, &intent);
}

static int read_reply(struct cursor *c, const struct journal_reader *reader)
{
	struct journal_reply reply = {.key = get_key(c)};
	reply.relay = (int32_t)get_int(c, 4);
	reply.code = (int32_t)get_int(c, 2);
	reply.stage = (int32_t)get_int(c, 1);
	reply.at = get_int(c, 8);
	reply.enhanced = get_text(c);
	reply.queue_id = get_text(c);
	reply.text = get_text(c);
	return c->short_of || !reader->reply ? 0 : reader->reply(reader->user, &reply);
}

static int read_record(struct cursor *c, const struct journal_reader *reader)
{
	switch (get_int(c, 1)) {
	case RECORD_ISSUE: return read_issue(c, reader);
	case RECORD_INTENT: return read_intent(c, reader);
	case RECORD_REPLY: return read_reply(c, reader);
	case RECORD_VOID: {
		struct journal_key key = get_key(c);
		return c->short_of || !reader->voided ? 0 : reader->voided(reader->user, &key);
	}
	case RECORD_SETTLED: {
		int32_t session = (int32_t)get_int(c, 4), window = (int32_t)get_int(c, 4);
		return c->short_of || !reader->settled
			   ? 0
			   : reader->settled(reader->user, session, window);
	}
	default: c->short_of = true; return 0;
	}
}

int journal_head_of(const char *bytes, size_t n, const char *engine, const char *boot,
		    struct journal_head *ret)
{
	if (n < HEAD || memcmp(bytes, JOURNAL_MAGIC, strlen(JOURNAL_MAGIC)) != 0 ||
	    strncmp(bytes + HEAD_ENGINE, engine, UUID) != 0)
		return -EBADMSG;
	struct cursor c = {(const unsigned char *)bytes + HEAD_SESSION, HEAD - HEAD_SESSION, false};
	ret->session = (int32_t)get_int(&c, 4);
	ret->began = get_int(&c, 8);
	ret->same_boot = strncmp(bytes + HEAD_BOOT, boot, UUID) == 0;
	return 0;
}

static int read_all(int dir, const char *name, struct buf *out)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		int r = buf_reserve(out, 1 << 16);
		if (r < 0)
			return r;
		ssize_t n = read(fd, out->data + out->len, 1 << 16);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->len += (size_t)n;
	}
}

static int replay_file(int dir, const char *name, const char *engine, const char *boot,
		       int32_t since, const struct journal_reader *reader,
		       struct journal_state *state)
{
	_cleanup_buf_ struct buf bytes = {0};
	int r = read_all(dir, name, &bytes);
	if (r < 0)
		return r;
	const char *p = buf_text(&bytes);
	struct journal_head head;
	if (journal_head_of(p, bytes.len, engine, boot, &head) < 0) {
		state->torn = true;
		return 0;
	}
	if (head.session == since)
		*state = (struct journal_state){.found = true, .same_boot = true};
	if (!head.same_boot)
		state->same_boot = false;

	struct cursor rest = {(const unsigned char *)p + HEAD, bytes.len - HEAD, false};
	while (rest.n) {
		size_t n = (size_t)get_int(&rest, 4);
		uint32_t crc = (uint32_t)get_int(&rest, 4);
		if (rest.short_of || n == 0 || n > RECORD_MAX || n > rest.n ||
		    crc32(0, rest.p, (uInt)n) != crc) {
			state->torn = true;
			return 0;
		}
		struct cursor record = {rest.p, n, false};
		r = read_record(&record, reader);
		if (r < 0)
			return r;
		if (record.short_of)
			state->torn = true;
		rest.p += n;
		rest.n -= n;
	}
	return 0;
}

int journal_replay(int dir, const char *engine, const char *boot, int32_t since,
		   const struct journal_reader *reader, struct journal_state *ret_state,
		   struct why *why)
{
	_cleanup_free_ unsigned *numbers = NULL;
	size_t count;
	int r = journal_files(dir, &numbers, &count);
	if (r < 0)
		return why_set(why, r, "journal: %s", strerror(-r));
	struct journal_state state = {.same_boot = true};
	for (size_t i = 0; i < count; i++) {
		char name[32];
		journal_file_name(numbers[i], name);
		r = replay_file(dir, name, engine, boot, since, reader, &state);
		if (r < 0)
			return why_set(why, r, "%s: %s", name, strerror(-r));
	}
	*ret_state = state;
	return 0;
}
