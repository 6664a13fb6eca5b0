/*
 * A pace: so many messages a second, with bursts. It is the leaky bucket as a meter (GCRA), which
 * keeps one moment instead of a level and so never drifts. Times are of the caller's one monotonic
 * clock. Nothing is allocated and nothing can fail.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"

struct pace {
	double interval; /* microseconds a message; 0: no limit */
	double burst;    /* messages at once after a rest */
	double full_at;  /* when the bucket is full again */
};

/*
 * Messages a second (fractions are fine; 0 or less: no limit) and the burst (1 at least). Changing
 * them while running keeps what was taken already.
 */
void pace_set(struct pace *pace, double per_second, double burst);

bool pace_take(struct pace *pace, usec_t now);        /* may a message go now? Then it counts. */
void pace_give_back(struct pace *pace);               /* the one taken last didn't go after all */
usec_t pace_due(const struct pace *pace, usec_t now); /* when the next may go; `now`: at once */
