/*
 * How many sign-ups may come from one client, from one network and in all, within a span of time
 * (web.joins_* of digestd.conf(5)). Counted in sketches of fixed size, so that no number of clients
 * makes it grow: a count is never too low, and only when some ten thousand are counted at once may
 * it be a little too high. They are the first fence; PostgreSQL keeps limits of its own.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/settings.h"
#include "web/client.h"

struct limits;

int limits_new(struct limits **ret); /* -ENOMEM, -errno of getrandom(2) */
void limits_free(struct limits *l);
DEFINE_CLEANUP(struct limits *, limits_free);

/* Counts one more; true when it is within the limits. `now` is clock_mono()'s. */
bool limits_join(struct limits *l, const struct settings_web *web, const struct client *client,
		 usec_t now);
