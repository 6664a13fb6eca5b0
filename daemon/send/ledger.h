/*
 * The ledger: writes what became of windows' members, as steps of a transaction. Deliveries and
 * attempts go in by COPY; when a row among them doesn't fit (SQLSTATE class 22 or 23), the same is
 * done again row by row (`careful`), and what still won't go in becomes an anomaly.
 *
 *	ledger_write(tx, windows, careful, now);
 *	... submit; at its end:
 *	ledger_end(windows, committed);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "send/window.h"

struct db_tx;

/*
 * Adds the steps that record all ENDED members of these windows, and that settle those of which
 * nothing else is left. 0, also when there is nothing to record; -ENOMEM: the tx is to be dropped,
 * then ledger_end() called with false.
 */
int ledger_write(struct db_tx *tx, struct window *windows, bool careful, usec_t now);

/* What ledger_write() took along is WRITTEN now, or is to be written again. */
void ledger_end(struct window *windows, bool committed);

/* ENDED members that are not being written. */
size_t ledger_backlog(const struct window *windows);
