/*
 * An open window in memory: up to 1,000 readers (or letters) that this engine took, and what has
 * become of each. It knows neither the database nor the network.
 *
 * A member is WAITING, is OUT with a connection, has its INTENT in the journal, and ENDED with an
 * outcome or a deferral; the ledger writes that and it is WRITTEN. A member that comes back from a
 * connection unstarted is WAITING again. When all are written, the window can be settled.
 *
 * Everything of a window lives in its arena and goes with window_free().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

struct pg_result;

enum window_kind { WINDOW_FRESH, WINDOW_RETRY, WINDOW_SWEEP, WINDOW_LETTER, WINDOW_KINDS };

enum member_state {
	MEMBER_WAITING,
	MEMBER_OUT,
	MEMBER_INTENT,
	MEMBER_ENDED,
	MEMBER_WRITTEN,
	MEMBER_STATES,
};

enum ending { /* the first five are the database's enum `outcome`, in its order */
	      END_DELIVERED,
	      END_REFUSED,
	      END_EXPIRED,
	      END_SKIPPED,
	      END_IN_DOUBT,
	      END_DEFERRED,
	      ENDINGS,
};

/* What a try, or the look before it, came to. Texts live in the window's arena. */
struct result {
	enum ending ending;
	usec_t at;
	int32_t relay; /* 0: none was asked */
	int code;      /* 0: no reply */
	const char *enhanced;
	const char
	    *reason; /* class of a refusal, why it was skipped, cause of a deferral or doubt */
	const char *reply; /* the relay's words */
	const char *queue_id;
	bool spent;    /* it was a try of the reader's */
	bool doubt;    /* it ended in doubt (and is sent again, when the ending is DEFERRED) */
	bool suppress; /* the mailbox doesn't exist */
	usec_t due_at; /* DEFERRED: not before */
};

struct member {
	int64_t id; /* subscriber, or letter */
	int64_t subscriber;
	enum member_state state;
	bool writing;          /* the ledger has it in a transaction that goes on */
	const char *withdrawn; /* why it may no longer be sent to, though it hasn't ended */
	const char *email;
	const char *name;
	const char *attrs; /* a JSON object */
	const char *lang;
	struct str *topics;
	size_t topic_count;
	int32_t address_no;
	int32_t token_gen;
	int tries; /* that were spent before this window */
	int doubts;
	uint32_t variant; /* once rendered */
	struct result result;

	/* letters only */
	const char *letter_kind;
	int32_t list;
	const char *theme;
	const char *params;
	const char *content;
	usec_t expires_at;
};

struct window {
	struct window *next;
	struct arena arena;
	int32_t session; /* that took it: an earlier one after a crash */
	int32_t n;
	enum window_kind kind;
	int64_t issue; /* 0 for letters */
	const char *provider;
	struct member *members;
	size_t count;
	size_t first_waiting; /* none before it is WAITING */
	size_t in_state[MEMBER_STATES];
	size_t ended[ENDINGS];
	usec_t date;   /* clock_now() when it was taken: the Date of its mails */
	usec_t taken;  /* clock_mono() */
	usec_t looked; /* clock_mono() of the last look at who may be sent to */
	bool looking;  /* one is under way */
};

/*
 * Reads the rows of a take (window_take_fresh and its like, window_take_letters). What was recorded
 * before a crash is WRITTEN. Members that may not be sent to wait as well until window_end_unfit():
 * who settles an earlier life's window looks first whether they had been sent to. -ENODATA: there
 * is no reader in the rows; -ENOMEM, -EINVAL.
 */
int window_read(const struct pg_result *rows, int32_t session, int32_t n, usec_t now,
		struct window **ret);
int window_read_letters(const struct pg_result *rows, int32_t session, int32_t n, usec_t now,
			struct window **ret);

/* Ends those who wait and may not be sent to. */
void window_end_unfit(struct window *w);

void window_free(struct window *w);
void windows_free(struct window **list); /* all of them; the list is empty afterwards */

/* The next member that waits, or NULL. */
struct member *window_next(struct window *w);

/* The one place that changes a member's state; keeps the counts. */
void window_enter(struct window *w, struct member *m, enum member_state state);

/* Ends a member; the texts of *result are copied. A second end of the same try changes nothing. */
void window_end(struct window *w, struct member *m, const struct result *result);

struct member *window_find(struct window *w, int64_t id); /* NULL: not a member */

bool window_has_ended(const struct window *w);  /* all are ENDED or WRITTEN */
bool window_is_settled(const struct window *w); /* all are WRITTEN */

const char *window_kind_name(enum window_kind kind);
const char *ending_name(enum ending ending);
