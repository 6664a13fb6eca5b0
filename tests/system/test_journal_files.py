"""Which of the journal's files are removed, and when, while the time of day is stepped under the
engine: what it handed over is known after its death all the same. The build with fault points goes
on in a new file every few seconds, which shows that it has tidied up."""

import os

import pytest

from engine import accepted
from fleet import Hold
from test_feeds_engine import Clock
from test_outbox import journals

READERS = 20
EVERYBODY = {f"reader{n}@a.example" for n in range(1, READERS + 1)}
HOUR = 3600
# Forward and back. Never behind the database's clock: what it opens would be of the future.
STEPS = pytest.mark.parametrize("before, after", [(0, 1), (1, 0)], ids=["forward", "back"])
# The limits divided by 20, and what mustn't end meanwhile longer: the journal is tidied every 3 s,
# and what is done with is kept 12 minutes, or 5 s.
SCALED = ('timing = { scale = 20; look_max = "18 s"; beat = "20 s"; stop_after = "50 s"; dead = "80 s";'
          ' unstarted = "1 h"; drain = "1000 s"; relay_dot = "1 h"; orphan_after = "2 h"; journal_keep = "4 h"; };')
FORGETFUL = SCALED.replace('relay_dot = "1 h"', 'relay_dot = "80 s"').replace("2 h", "85 s").replace("4 h", "100 s")


@pytest.fixture
def world(make, build, tmp_path):
    """world(settings) gives engine, newsletter, SMTP server and the engine's clock."""
    def made(settings=SCALED):
        clock = Clock(tmp_path / "clock")
        engine, news, smtpd = make(readers=READERS, doubt="skip", extra=settings,
                                   engine={"env": {"DIGESTD_CLOCK": str(clock.path)}})
        engine.program = os.path.join(build, "faults", "digestd")
        return engine, news, smtpd, clock
    return made


def go_on(smtpd, hold, count):
    """Whether so many are held and all others have it, but for one that may stand behind each of them."""
    return hold.held() == count and len(smtpd.accepted) >= READERS - count


def sends_another(engine, news):
    """Has the engine send an issue, and go on in another file for it."""
    already = int(journals(engine)[-1][8:])
    issue = news.open()
    engine.wait_for(lambda: news.outcomes(issue) == {"delivered": READERS})
    engine.wait_for(lambda: int(journals(engine)[-1][8:]) > already)
    return issue


def is_done(engine, news, issue):
    engine.wait_for(lambda: news.state(issue) == "done")


@STEPS
def test_what_is_on_the_wire_is_known_after_a_step_of_the_clock(world, before, after):
    engine, news, smtpd, clock = world()
    clock.set_offset(before * HOUR)
    engine.start()
    hold = Hold(smtpd, times=3)
    issue = news.open()
    engine.wait_for(lambda: go_on(smtpd, hold, 3))
    engine.wait_for(lambda: "journal.2" in journals(engine))
    clock.set_offset(after * HOUR)
    for _ in range(2):
        sends_another(engine, news)
    assert "journal.1" in journals(engine), "it is gone with what was handed over"
    engine.kill()
    hold.release()
    with engine:
        is_done(engine, news, issue)
    assert news.outcomes(issue) == {"delivered": READERS - 3, "in_doubt": 3}
    assert accepted(smtpd) == {reader: 3 for reader in EVERYBODY}


@STEPS
def test_an_earlier_life_s_journal_is_there_until_its_windows_are_settled(world, before, after):
    engine, news, smtpd, clock = world()
    clock.set_offset(before * HOUR)
    engine.start()
    hold = Hold(smtpd, times=5)   # all connections: the others wait in the window
    issue = news.open()
    engine.wait_for(lambda: hold.held() == 5)
    engine.kill()
    hold.release()
    hold = Hold(smtpd, times=3)
    engine.start()
    engine.wait_for(lambda: go_on(smtpd, hold, 3))
    clock.set_offset(after * HOUR)
    for _ in range(2):
        sends_another(engine, news)
    assert "journal.1" in journals(engine), "it is gone, and a window of its life is open"
    engine.kill()
    hold.release()
    with engine:
        is_done(engine, news, issue)
    assert "the journal is missing" not in engine.log()
    assert news.outcomes(issue) == {"delivered": READERS - 8, "in_doubt": 8}
    assert accepted(smtpd) == {reader: 3 for reader in EVERYBODY}


@pytest.mark.parametrize("hours", [1, -1])
def test_what_is_settled_and_was_kept_long_enough_goes(world, hours):
    engine, news, _, clock = world(FORGETFUL)
    with engine:
        is_done(engine, news, news.open())
    clock.set_offset(hours * HOUR)
    with engine:
        engine.wait_for(lambda: "journal.1" not in journals(engine))
        assert journals(engine), "its own stays"
