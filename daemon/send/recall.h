/*
 * What the journals of an engine know of windows that its database doesn't: the facts about their
 * members, gathered by window, in the order in which the windows were taken. Pure reading: it knows
 * no database.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/why.h"
#include "send/identity.h"
#include "send/journal.h"

struct recall_window {
	int32_t session, n;
};

struct recall_fact {
	struct journal_key key;
	size_t order;  /* as they stand in the journals */
	bool answered; /* else handed over, and no answer is known */
	bool voided;   /* it never went; not in what recall_next() gives */
	uint32_t variant;
	int32_t address_no;
	int32_t relay;
	usec_t at;
	int32_t code, stage; /* of the reply */
	struct str enhanced, queue_id, text;
};

struct recall {
	struct arena arena;
	struct recall_fact *facts;
	size_t count, room;
	struct recall_uid {
		int64_t issue;
		const char *uid;
	} * uids;
	size_t uid_count;
	const struct recall_window *known; /* ascending */
	size_t known_count;
	size_t at; /* of recall_next() */
};

/*
 * Reads the journals; windows among `known` (ascending by session and n; they must live as long)
 * are left out. 0, or -ENOMEM, -EIO ... with the reason; recall_free() in either case.
 */
int recall_read(struct recall *r, const struct identity *id, const struct recall_window *known,
		size_t known_count, struct why *why);

/*
 * The facts about the next window, one for each member, ascending by subscriber; the returned
 * number is 0 at the end. All are of one issue, 0 for letters.
 */
size_t recall_next(struct recall *r, const struct recall_fact **ret);

const char *recall_uid(const struct recall *r, int64_t issue); /* NULL: not known */

void recall_free(struct recall *r);
