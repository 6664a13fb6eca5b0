"""Places where the promise hangs on a single line of the engine, and that nothing else comes past: each
was found by breaking it on purpose (tests/mutation)."""

import os
import signal
import time

import psycopg2
import pytest

from engine import Engine, accepted, each_once
from fleet import SCALED, SMALL, Hold, alive, open_windows, sums_hold
from pgproxy import Proxy

# No turn comes by itself while a test does something, nor is anything too late.
CALM = ('timing = { look = "30 s"; look_max = "60 s"; beat = "100 s"; stop_after = "120 s"; dead = "180 s";'
        ' unstarted = "900 s"; };')


def alone(made, extra=""):
    """The engine with a single connection, so that mails go one after the other."""
    engine, _, smtpd = made
    engine.configure([{"port": smtpd.port, "connections": 1}], extra)
    return made


def turn(news):
    return news.value("SELECT max(turn) FROM session")


def a_turn_passes(engine, news):
    """A whole turn: it begins after now, and has ended."""
    now = turn(news)
    engine.wait_for(lambda: turn(news) >= now + 2)


def wait_done(engine, news, issue):
    engine.wait_for(lambda: news.state(issue) == "done")


# ---- what the journal alone knows -------------------------------------------------------------------


def test_what_was_answered_before_a_kill_is_known_though_no_turn_recorded_it(make, cluster):
    engine, news, smtpd = alone(make(readers=20, doubt="skip"), CALM)
    first = Hold(smtpd, "rcpt")
    engine.start()
    issue = news.open()
    engine.wait_for(lambda: first.held() == 1)
    lock = psycopg2.connect(cluster.dsn(database=news.database))
    with lock.cursor() as cursor:
        cursor.execute("LOCK TABLE delivery IN SHARE MODE")
    tenth = Hold(smtpd, "dot", skip=9)
    first.release()
    engine.wait_for(lambda: tenth.held() == 1)
    engine.kill()
    assert news.outcomes(issue) == {}
    lock.close()
    tenth.release()
    with engine:
        wait_done(engine, news, issue)
    assert news.outcomes(issue) == {"delivered": 19, "in_doubt": 1}
    assert set(accepted(smtpd).values()) == {1}
    sums_hold(news, issue)


def test_one_that_stood_still_between_intent_and_dot_sends_nothing_when_it_wakes(make, build, cluster):
    """And nobody is in doubt then: the dot never left, and the journal says so."""
    engine, news, smtpd = make(readers=60, doubt="skip", extra=SCALED + SMALL)
    engine.program = os.path.join(build, "faults", "digestd")
    engine.env["DIGESTD_FAULT"] = "journal-intent-written:5:stop"
    second = Engine(build, cluster, news.database, [{"port": smtpd.port}], SCALED + SMALL)
    try:
        engine.start()
        issue = news.open()
        engine.wait_for(lambda: "fault point" in engine.log())
        [session] = alive(news)
        with second:
            second.wait_for(lambda: news.value("SELECT dead FROM session WHERE id = %s", session))
        news.close()
        cluster.stop("immediate")
        sent = len(smtpd.accepted)
        engine.signal(signal.SIGCONT)
        time.sleep(1)
        assert len(smtpd.accepted) == sent, "it handed over after it woke up"
        cluster.start()
        news.reconnect(cluster)
        wait_done(engine, news, issue)
        engine.stop()
    finally:
        second.remove()
    each_once(smtpd, 60)
    assert news.outcomes(issue) == {"delivered": 60}
    sums_hold(news, issue)


@pytest.mark.parametrize("happens", [True, False])
def test_a_take_whose_commit_is_eaten(make, cluster, database, happens):
    """What it took is sent to if it was committed, and only then."""
    engine, news, smtpd = make(readers=120, extra=SMALL)
    with Proxy(cluster) as proxy:
        engine.dsn = proxy.dsn("digestd_engine", database)
        engine.configure([{"port": smtpd.port}], SMALL)
        with engine:
            engine.wait_for(lambda: "begins" in engine.log())
            for _ in range(3):
                hits = proxy.hits
                proxy.cut(b"COMMIT", before=not happens, after=b"window_take_fresh")
                issue = news.open()
                engine.wait_for(lambda: proxy.hits > hits)
                wait_done(engine, news, issue)
                assert news.outcomes(issue) == {"delivered": 120}
                sums_hold(news, issue)
    assert set(accepted(smtpd).values()) == {3}
    assert news.value("SELECT count(*) FROM server WHERE cause <> 'first seen'") == 0, "nothing was lost"
    assert news.value("SELECT count(*) FROM anomaly") == 0


# ---- when a mail may no longer begin, or go on ------------------------------------------------------


def test_nothing_begins_on_a_look_that_is_too_old(make, cluster):
    engine, news, smtpd = alone(make(readers=50))
    hold = Hold(smtpd, skip=2)
    with engine:
        issue = news.open()
        engine.wait_for(lambda: hold.held() == 1)
        news.close()
        cluster.stop("immediate")
        time.sleep(2.5)   # look_max, and more
        hold.release()
        time.sleep(1)
        assert len(smtpd.accepted) <= 4, "more than the mail that had begun behind the one that was held"
        cluster.start()
        news.reconnect(cluster)
        wait_done(engine, news, issue)
    each_once(smtpd, 50)


def test_who_leaves_while_their_mail_is_begun_gets_nothing(make):
    engine, news, smtpd = alone(make(readers=20))
    hold = Hold(smtpd, "data", match="^reader7@")
    with engine:
        issue = news.open()
        engine.wait_for(lambda: hold.held() == 1)
        news.run("SELECT subscription_put(%s, id, 'unsubscribe', NULL, 'unsubscribed', NULL, NULL, '{}', now())"
                 " FROM subscriber WHERE email = 'reader7@a.example'", news.list)
        a_turn_passes(engine, news)
        hold.release()
        wait_done(engine, news, issue)
    assert "reader7@a.example" not in accepted(smtpd)
    assert news.outcomes(issue) == {"delivered": 19, "skipped": 1}


def test_who_is_not_begun_in_time_goes_back_to_the_queue(make):
    """At no cost: others may be faster."""
    rest = ('retry = { backoff = { first = "1 h"; factor = 1; cap = "1 h"; }; };'
            ' timing = { unstarted = "1 s"; };')
    engine, news, smtpd = alone(make(readers=20), rest)
    hold = Hold(smtpd, "rcpt")
    with engine:
        issue = news.open()
        engine.wait_for(lambda: hold.held() == 1)
        engine.wait_for(lambda: news.rows(
            "SELECT cause, tries, count(*) FROM deferral WHERE session IS NULL GROUP BY 1, 2") == [("unstarted", 0, 19)])
        hold.release()
        engine.wait_for(lambda: news.outcomes(issue) == {"delivered": 1})


def test_a_provider_that_stalls_keeps_to_its_windows(make):
    engine, news, smtpd = make(readers=300, extra=SMALL)
    hold = Hold(smtpd, "rcpt")
    with engine:
        issue = news.open()
        engine.wait_for(lambda: hold.held() == 5)
        for _ in range(3):
            a_turn_passes(engine, news)
        assert open_windows(news) == 2
        hold.release()
        wait_done(engine, news, issue)
    each_once(smtpd, 300)


def test_nobody_is_put_off_beyond_the_end_of_an_issue(make):
    """Few of the waits of up to a day fall within the issue's hour."""
    long = 'retry = { backoff = { first = "1 d"; factor = 1; cap = "1 d"; }; };'
    engine, news, smtpd = make(readers=20, rules=[{"stage": "rcpt", "reply": "451 4.2.0 Later"}], extra=long)
    news.run("UPDATE edition SET lifetime = '1 hour'")
    with engine:
        issue = news.open()
        engine.wait_for(lambda: news.value("SELECT count(*) FROM attempt") + sum(news.outcomes(issue).values()) >= 20)
    assert news.outcomes(issue).get("expired", 0) >= 15
