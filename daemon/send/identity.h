/*
 * Who this engine is: a uuid in a file of its state directory, under a lock as long as the process
 * lives, so that two processes can't be the same engine on one machine. The database notices a
 * copied directory on another machine (see session_start in sql/).
 */
#pragma once

#include "base/cleanup.h"
#include "base/why.h"

enum { UUID_TEXT = 37 };

struct identity {
	int dir;  /* the state directory, open */
	int lock; /* the locked file */
	char engine[UUID_TEXT];
	char boot[UUID_TEXT]; /* random(4): another one means that the page cache is gone */
	char machine[33];     /* machine-id(5) */
	char host[256];
	char place[48]; /* which file the identity is: another one's is a copy of it */
};

/*
 * Opens or makes the state directory's identity and locks it. -EBUSY: another process has it;
 * else what the file system said. The caller ends it with identity_release().
 */
int identity_take(const char *state_dir, struct identity *ret, struct why *why);
void identity_release(struct identity *id);

/* A random uuid (RFC 4122, version 4). -EIO: no randomness. */
int uuid_make(char ret[static UUID_TEXT]);
