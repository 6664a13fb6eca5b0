/*
 * The journal: what an engine has handed over, known after any death of the process.
 *
 * A mail's `intent` is in the file before the first send call whose buffer holds any byte of its
 * final CRLF.CRLF, its `reply` before it is acted on. So after a SIGKILL an intent without a reply
 * is the only thing that is in doubt, and a member without an intent was certainly not sent. There
 * is no fsync: the page cache survives the process. A power loss doesn't spare it; then the boot
 * id in each file's head is another one, and everything without a reply is in doubt.
 *
 * Room for the reply is reserved with the intent, so a disk that fills up stops the handing over
 * and never the answer. Files are "journal.1", "journal.2" ... in the state directory. Each life
 * of an engine begins a new one, and another when that has grown large.
 *
 * A mail for a window can only go after the window was taken. So what stands in the journal about
 * the windows of a session stands in the first file of that session, or in later ones, and a file
 * may go when the database has all about the sessions that began before the file's end. That, and
 * no clock, decides whether a file may go at all; after it has decided so, files are still kept for
 * a time, for a history of the database that has lost its last hours. No clock that can be set has
 * a say in that either: see journal_tidy().
 *
 * Layout: integers little endian. A file begins with a head of 96 bytes; then records, each
 * length (u32, of what follows the CRC), CRC-32 (u32, of the same bytes), type (u8), fields.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/why.h"

struct journal;

/* Whose mail a record is about. Letters have issue 0 and the letter's id in `subscriber`. */
struct journal_key {
	int64_t issue;
	int64_t subscriber;
	int32_t session;
	int32_t window;
	int32_t attempt;
};

struct journal_intent {
	struct journal_key key;
	uint32_t variant;
	int32_t address_no;
	int32_t relay;
	usec_t at;
};

struct journal_reply {
	struct journal_key key;
	int32_t relay;
	int32_t code;  /* SMTP reply code */
	int32_t stage; /* enum smtp_stage */
	usec_t at;
	struct str enhanced; /* cut to JOURNAL_TEXT in all */
	struct str queue_id;
	struct str text;
};

enum { JOURNAL_TEXT = 480 };

/* Begins a new file in the directory for that session. *ret is ended by journal_close(). */
int journal_open(int dir, const char *engine, const char *boot, int32_t session,
		 struct journal **ret, struct why *why);
void journal_close(struct journal *j);

/*
 * The issue that an id stands for, before each window of it: after a restore of the database the
 * uid finds it again. Written once in each file.
 */
int journal_issue(struct journal *j, int64_t issue, const char *uid);

/* Written at once. Negative (-ENOSPC, -EIO ...): it isn't in the file; the dot must not be sent. */
int journal_intent(struct journal *j, const struct journal_intent *intent);

/* Written by the next intent or journal_flush(), which the loop calls before it sleeps. */
int journal_reply(struct journal *j, const struct journal_reply *reply);

/* The process lives and no byte of the dot was taken: the intent counts for nothing. */
int journal_void(struct journal *j, const struct journal_key *key);

/* The database has everything about this window. */
int journal_settled(struct journal *j, int32_t session, int32_t window);

/* Writes what was put off; when that fails, it is still there for the next time. */
int journal_flush(struct journal *j);

/* Goes on in a new file. When that can't be made, it goes on in the old one. -errno. */
int journal_rotate(struct journal *j);

/*
 * Goes on in a new file when this one is large, and removes files that nobody will ask for. To be
 * called every minute or so. -errno: it isn't tidy, and works all the same.
 *
 * since: the oldest session of this engine with a window of which the database hasn't everything;
 * this journal's own when there is none. Only files before the first one of that session go: so
 * none of this life's does, and none at all when there is no file of that session.
 *
 * Of these, the ones go that ended `keep` ago or before. A file has ended when the next one began,
 * which that one's head tells as CLOCK_BOOTTIME; another boot's file ended before this boot. So
 * what a machine's time of day does can neither hasten nor delay it. (A machine that is never up
 * for as long as `keep` at a stretch keeps all of its files.)
 */
int journal_tidy(struct journal *j, int32_t since, usec_t keep);

/* What reading the files of earlier lives calls, in the order in which they were written. */
struct journal_reader {
	void *user;
	int (*issue)(void *user, int64_t issue, struct str uid);
	int (*intent)(void *user, const struct journal_intent *intent);
	int (*reply)(void *user, const struct journal_reply *reply);
	int (*voided)(void *user, const struct journal_key *key);
	int (*settled)(void *user, int32_t session, int32_t window);
};

/* What the files are worth for windows of session `since` and later ones. */
struct journal_state {
	bool found;     /* the file of that session is there */
	bool same_boot; /* it and those after it were written since this boot */
	bool torn;      /* a record in them was cut or its CRC is wrong: what followed it is lost */
};

/*
 * Reads the files that are there. A negative value of a callback ends it and is returned. Damage
 * is no error; *ret_state tells it.
 */
int journal_replay(int dir, const char *engine, const char *boot, int32_t since,
		   const struct journal_reader *reader, struct journal_state *ret_state,
		   struct why *why);

DEFINE_CLEANUP(struct journal *, journal_close);
