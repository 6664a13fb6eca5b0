"""What one engine finds of a relay, all of them know: its breaker is one over all engines."""

import re
import signal

import pytest

from engine import accepted, each_once
from fleet import SCALED, SMALL, Hold, alive, sums_hold
from smtpd import Rule
from test_engines import fleet, running  # noqa: F401 (a fixture)

# A relay in trouble rests until a test says otherwise.
PATIENT = ('retry = { backoff = { first = "200 ms"; factor = 2; cap = "2 s"; };'
           ' breaker = { first = "1 h"; factor = 1; cap = "1 h"; }; };')


def letter(news, number=1):
    news.run("SELECT letter_put('test', %s, NULL, %s, '{}', '1 day', now())", news.list, f"editor{number}@a.example")


def row(news):
    rows = news.rows("SELECT open_until IS NOT NULL, failures, probe, changes FROM relay_lane")
    return rows[0] if rows else (False, 0, None, 0)


def all_heard(engines, what, times=1):
    return all(len(re.findall(what, engine.log())) >= times for engine in engines)


def all_rest(engines):
    return all_heard(engines, "relay relay0: (rests, as another|.*next try in)")


def some_turns(engines, news, more=3):
    """Waits until each session has turned so often again: whatever it would do, it has done."""
    before = dict(news.rows("SELECT id, turn FROM session WHERE NOT dead"))
    engines[0].wait_for(lambda: all(turn >= before[session] + more for session, turn in news.rows(
        "SELECT id, turn FROM session WHERE NOT dead") if session in before))


def rest_is_over(news):
    news.run("UPDATE relay_lane SET rest = '0 s', changes = changes + 1")
    news.run("SELECT pg_notify('digestd', 'relay')")


@pytest.fixture
def resting(fleet):  # noqa: F811
    """Three engines whose relay refused the one that came first, and the readers of an issue."""
    engines, news, smtpd = fleet(3, extra=SCALED + SMALL + PATIENT, readers=300)
    refusal = Rule({"stage": "greeting", "reply": "554 5.3.2 Not today"})
    smtpd.rules.append(refusal)
    with running(engines):
        engines[0].wait_for(lambda: len(alive(news)) == 3)
        letter(news)
        engines[0].wait_for(lambda: all_rest(engines))
        assert smtpd.connections == 1
        issue = news.open()
        some_turns(engines, news)
        yield engines, news, smtpd, issue, refusal


def test_one_runs_into_the_wall_one_probes_and_all_go_on(resting):
    engines, news, smtpd, issue, refusal = resting
    assert smtpd.connections == 1, "the others knew, and did not try"
    rest_is_over(news)
    engines[0].wait_for(lambda: row(news)[1] == 2)  # still refused: it rests again
    some_turns(engines, news)
    assert smtpd.connections == 2, "exactly one of three tried"
    smtpd.rules.remove(refusal)
    hold = Hold(smtpd)
    rest_is_over(news)
    engines[0].wait_for(lambda: hold.held() == 1)
    some_turns(engines, news)
    assert smtpd.connections == 3 and hold.held() == 1, "one mail by one of them, no more"
    hold.release()
    engines[0].wait_for(lambda: news.state(issue) == "done")
    assert all_heard(engines, "relay relay0: works again")
    assert row(news)[:3] == (False, 0, None)
    engines[0].wait_for(lambda: len(smtpd.accepted) == 301)  # the letter, too
    assert set(accepted(smtpd).values()) == {1}
    assert news.value("SELECT count(DISTINCT session) FROM delivery") == 3
    assert news.value("SELECT max(attempt) FROM delivery") == 1
    sums_hold(news, issue)


def test_when_the_one_that_probes_dies_another_does(resting):
    engines, news, smtpd, issue, refusal = resting
    smtpd.rules.remove(refusal)
    hold = Hold(smtpd)
    rest_is_over(news)
    engines[0].wait_for(lambda: hold.held() == 1)
    prober = row(news)[2]
    [dying] = [engine for engine in engines if f"session {prober} of engine" in engine.log()]
    staying = [engine for engine in engines if engine is not dying]
    dying.kill()
    staying[0].wait_for(lambda: hold.held() == 2)
    assert row(news)[2] in alive(news) and row(news)[2] != prober
    some_turns(staying, news)
    assert hold.held() == 2
    hold.release()
    dying.start()
    staying[0].wait_for(lambda: news.state(issue) == "done")
    assert row(news)[0] is False
    assert news.outcomes(issue) == {"delivered": 300}
    sums_hold(news, issue)


def test_one_that_begins_asks_at_once_but_alone(fleet):  # noqa: F811
    """An operator who mended the relay, or its configuration, need not wait for a rest's end."""
    [first, second], news, smtpd = fleet(2, extra=SCALED + SMALL + PATIENT, readers=300)
    refusal = Rule({"stage": "greeting", "reply": "554 5.3.2 Not today"})
    smtpd.rules.append(refusal)
    with first:
        first.wait_for(lambda: alive(news))
        issue = news.open()
        first.wait_for(lambda: all_rest([first]))
        smtpd.rules.remove(refusal)
        some_turns([first], news)
        assert accepted(smtpd) == {}
        with second:
            second.wait_for(lambda: news.state(issue) == "done")
        assert "works again" in second.log()
    each_once(smtpd, 300)


def test_a_relay_that_moved_is_tried_at_once(fleet):  # noqa: F811
    [engine], news, smtpd = fleet(1, extra=SCALED + SMALL + PATIENT, readers=20)
    engine.configure([{"port": 1}], SCALED + SMALL + PATIENT)
    with engine:
        engine.wait_for(lambda: alive(news))
        issue = news.open()
        engine.wait_for(lambda: all_rest([engine]))
        engine.configure([{"port": smtpd.port}], SCALED + SMALL + PATIENT)
        engine.signal(signal.SIGHUP)
        engine.wait_for(lambda: news.state(issue) == "done")
    assert row(news)[0] is False
    each_once(smtpd, 20)


def test_what_hinders_one_alone_does_not_stop_the_others(fleet):  # noqa: F811
    engines, news, smtpd = fleet(2, readers=600, rules=[{"stage": "dot", "delay": 0.02}])
    lost, well = engines
    lost.configure([{"port": 1}], SCALED + SMALL)  # the way to the relay is closed for it
    with running(engines):
        lost.wait_for(lambda: len(alive(news)) == 2)
        issue = news.open()
        lost.wait_for(lambda: "the trouble is ours alone" in lost.log())
        changes, tries = row(news)[3], lost.log().count("next try in")
        lost.wait_for(lambda: lost.log().count("next try in") >= tries + 2 or news.state(issue) == "done")
        assert row(news)[3] == changes, "the others are bothered once"
        well.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 600)
    assert news.value("SELECT max(attempt) FROM delivery") == 1
