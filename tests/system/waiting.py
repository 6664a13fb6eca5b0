"""Waiting for facts: as long as it takes."""

import os
import time

# How long something that has to come true may take, in seconds: no measure of anything, but the end
# of a run that hangs, however slow the machine is. Who breaks the code on purpose waits for less ($DIGESTD_PATIENCE).
PATIENCE = int(os.environ.get("DIGESTD_PATIENCE", "300"))


def wait_until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't come true"
        time.sleep(0.02)


def lock_waiters(ask, where="true"):
    """How many of this database wait for a lock. `ask` runs a statement and gives its rows."""
    return ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
               f" AND datname = current_database() AND {where}")[0][0]
