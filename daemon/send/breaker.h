/*
 * A breaker stands before a relay that may be in trouble. Closed: mail goes. A fault opens it for a
 * back-off of its own; after that it is half open: one probe may try, whose luck closes it or opens
 * it again, for longer. Times are of one monotonic clock. Nothing is allocated, nothing can fail.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "send/retry.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker { /* {0}: closed */
	enum breaker_state state;
	bool probing;    /* the one probe of a half-open breaker is under way */
	unsigned faults; /* openings without a success between them */
	usec_t open_until;
};

/* May an attempt begin? If so while half open, it is the probe, and ok, fault or unused must
 * follow. */
bool breaker_try(struct breaker *b, usec_t now);

/* Could one? Changes nothing. */
bool breaker_would(const struct breaker *b, usec_t now);

/*
 * An attempt failed. True: it opened just now (or again, by a probe). Faults of attempts that had
 * begun before it opened add nothing. `dice` as in retry.h.
 */
bool breaker_fault(struct breaker *b, const struct settings_backoff *backoff, usec_t now,
		   const struct retry_dice *dice);

/* An attempt went well. True: it closed just now. */
bool breaker_ok(struct breaker *b);

/* Others say so: it opened for that long, or may be probed, or is closed. */
void breaker_open(struct breaker *b, unsigned faults, usec_t until);
void breaker_half_open(struct breaker *b);
void breaker_close(struct breaker *b);

/* The probe ended without an answer to the question (there was no work for it, say). */
void breaker_unused(struct breaker *b);

const char *breaker_state_name(enum breaker_state state);
