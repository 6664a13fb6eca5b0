"""Several engines on one database, with all time limits scaled down: what the tests of sessions,
takeover and sharing stand on."""

import threading

from smtpd import Rule

# Who stands still is dead after 4 s; what must not be so short on a busy machine is longer.
SCALED = ('timing = { scale = 20; look_max = "18 s"; beat = "20 s"; stop_after = "50 s"; dead = "80 s";'
          ' unstarted = "1000 s"; drain = "1000 s"; relay_dot = "2000 s"; orphan_after = "1 h"; };')
# With windows that are closed by others after 5 s.
ORPHANS = SCALED.replace('"2000 s"', '"90 s"').replace('"1 h"', '"100 s"')
SMALL = "window = { size = 50; per_provider = 2; };"


class Hold:
    """Holds the replies of a stage back: those that come before release() wait for it."""

    def __init__(self, smtpd, stage="dot", skip=0, match=None, times=None):
        self.smtpd, self.released = smtpd, threading.Event()
        self.rule = Rule({"stage": stage, "skip": skip, "match": match, "times": times,
                          "until": self.released.is_set})
        smtpd.rules.insert(0, self.rule)

    def held(self):
        return self.rule.held

    def step_aside(self):
        """Who comes from now on isn't held; who is, stays so."""
        self.smtpd.rules.remove(self.rule)

    def release(self):
        if self.rule in self.smtpd.rules:
            self.step_aside()
        self.released.set()


def all_put_off(engine, news, readers):
    """Waits until all are put off and nobody is tried again, before due() says so."""
    def parked():
        news.run("UPDATE deferral SET due_at = now() + interval '1 hour' WHERE session IS NULL")
        return news.value("SELECT count(*) FROM deferral WHERE session IS NULL") == readers
    engine.wait_for(parked)


def due(news):
    news.run("UPDATE deferral SET due_at = now()")
    news.run("SELECT pg_notify('digestd', 'retry')")


def sums_hold(news, issue):
    """The windows' counts are what the rows say."""
    counts = news.counts(issue)
    rows = news.outcomes(issue)
    assert counts[:5] == tuple(rows.get(name, 0) for name in (
        "delivered", "refused", "expired", "skipped", "in_doubt")), (counts, rows)


def alive(news):
    return [row[0] for row in news.rows("SELECT id FROM session WHERE NOT dead ORDER BY id")]


def open_windows(news):
    return news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL")
