/*
 * When to try again: exponential back-off with a cap and full jitter, so that what failed together
 * doesn't come back together. The n-th wait is drawn evenly from 0 .. min(cap, first * base *
 * factor^(n-1)), where base is larger for classes that take longer to mend (a full mailbox).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "send/reply.h"
#include "store/settings.h"

/* Where the jitter comes from. NULL in place of a dice means getrandom(2); tests have their own. */
struct retry_dice {
	uint64_t (*draw)(void *user); /* 64 random bits */
	void *user;
};

/* The longest that the wait after `tries` tries (1 at least) can be, in microseconds. */
usec_t retry_span(const struct settings_backoff *backoff, enum reply_class class, unsigned tries);

/* The wait itself. */
usec_t retry_wait(const struct settings_backoff *backoff, enum reply_class class, unsigned tries,
		  const struct retry_dice *dice);

/*
 * The moment of the next try after one at `now`. False: it would be at or after `expires_at`, so
 * there is none. Whether the class is tried again at all is the verdict's to say.
 */
bool retry_next(const struct settings_backoff *backoff, enum reply_class class, unsigned tries,
		usec_t now, usec_t expires_at, const struct retry_dice *dice, usec_t *ret_at);
