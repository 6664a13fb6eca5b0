"""Several engines on one database: they share the work and the limits of the relays, and do once what
is to be done once."""

import contextlib
import signal
import time

import pytest

from engine import Engine, accepted, each_once
from feedserver import FeedServer, rss
from fleet import SCALED, SMALL, Hold, alive, open_windows, sums_hold
from smtpd import Rule
from test_feeds_engine import add_feed, poll


KNOWN = 2.5  # seconds, more than two beats: each engine knows of all


@pytest.fixture
def fleet(make, build, cluster):
    """fleet(n) gives n engines, the newsletter and the server. None runs."""
    with contextlib.ExitStack() as stack:
        def made(n, extra=SCALED + SMALL, connections=6, relay=None, **how):
            first, news, smtpd = make(extra=extra, **how)
            engines = [first]
            for _ in range(n - 1):
                engines.append(Engine(build, cluster, news.database, [], extra))
                stack.callback(engines[-1].remove)
            for engine in engines:
                engine.configure([{"port": smtpd.port, "connections": connections, **(relay or {})}], extra)
            return engines, news, smtpd
        yield made


@contextlib.contextmanager
def running(engines):
    with contextlib.ExitStack() as stack:
        for engine in engines:
            stack.enter_context(engine)
        for engine in engines:
            engine.wait_for(lambda: "begins" in engine.log())
        yield


def shares(news, issue):
    return dict(news.rows("SELECT session, count(*) FROM delivery WHERE issue = %s GROUP BY 1", issue))


def test_three_engines_share_the_work_and_the_connections(fleet):
    engines, news, smtpd = fleet(3, readers=900, rules=[{"stage": "dot", "delay": 0.02}])
    with running(engines):
        time.sleep(KNOWN)
        issue = news.open()
        engines[0].wait_for(lambda: news.state(issue) == "done")
        done = shares(news, issue)
    each_once(smtpd, 900)
    assert smtpd.most_sessions <= 6, "together they may have six connections"
    assert len(done) == 3 and min(done.values()) >= 150, done
    sums_hold(news, issue)


def test_what_can_not_be_shared_evenly_the_eldest_have(fleet):
    engines, news, smtpd = fleet(3, connections=2, readers=200, rules=[{"stage": "dot", "delay": 0.02}])
    with running(engines):
        time.sleep(KNOWN)
        issue = news.open()
        engines[0].wait_for(lambda: news.state(issue) == "done")
        done = shares(news, issue)
        assert set(done) == set(alive(news)[:2]), "the youngest has no connection, and takes nothing"
    assert smtpd.most_sessions <= 2
    each_once(smtpd, 200)


def test_the_rate_holds_over_all_of_them(fleet):
    engines, news, smtpd = fleet(2, relay={"rate": 40}, readers=120)
    with running(engines):
        time.sleep(KNOWN)
        issue = news.open()
        engines[0].wait_for(lambda: news.state(issue) == "done")
    times = sorted(message["at"] for message in smtpd.accepted)
    each_once(smtpd, 120)
    # 120 at 40 a second: nearly three seconds, less what may go in one burst.
    assert times[-1] - times[0] > 2.4


def test_one_that_joins_takes_its_part_without_waiting_for_a_beat(fleet):
    slow = 'timing = { beat = "60 s"; stop_after = "150 s"; dead = "200 s"; };'
    engines, news, smtpd = fleet(2, extra=slow + SMALL, readers=1000, rules=[{"stage": "dot", "delay": 0.05}])
    first, second = engines
    with first:
        first.wait_for(lambda: "begins" in first.log())
        issue = news.open()
        first.wait_for(lambda: len(smtpd.accepted) > 60)
        with second:
            second.wait_for(lambda: "begins" in second.log())
            began = time.monotonic()
            [_, joined] = alive(news)
            second.wait_for(lambda: news.value("SELECT count(*) FROM send_window WHERE session = %s", joined))
            assert time.monotonic() - began < 30, "less than a beat, however slow the machine is"
            second.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 1000)
    assert shares(news, issue)[joined] >= 200


def test_the_share_of_one_that_died_comes_back(fleet):
    engines, news, smtpd = fleet(2, readers=100)
    first, second = engines
    with running(engines):
        time.sleep(KNOWN)
        second.kill()
        first.wait_for(lambda: len(alive(news)) == 1)
        hold = Hold(smtpd)
        news.open()
        first.wait_for(lambda: hold.held() == 6)
        hold.release()
        first.wait_for(lambda: news.value("SELECT count(*) FROM issue WHERE state = 'done'") == 1)
        second.start()
        second.wait_for(lambda: second.log().count("begins") == 2)
    each_once(smtpd, 100)


def test_ended_in_order_under_load_none_leaves_a_doubt(fleet):
    engines, news, smtpd = fleet(3, readers=600, rules=[{"stage": "dot", "delay": 0.03}])
    with running(engines):
        issue = news.open()
        engines[0].wait_for(lambda: len(smtpd.accepted) > 100)
        for engine in engines:
            engine.signal(signal.SIGTERM)
        for engine in engines:
            assert engine.wait_end() == 0, engine.log()
        done = len(smtpd.accepted)
        assert done < 600
        assert news.outcomes(issue) == {"delivered": done}
        assert open_windows(news) == 0 and alive(news) == []
        sums_hold(news, issue)
        smtpd.rules.clear()
        for engine in engines:
            engine.start()
        engines[0].wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 600)


def test_ended_in_order_before_a_silent_relay_it_waits_no_longer_than_its_limit(fleet):
    [engine], news, smtpd = fleet(1, readers=60, connections=5, doubt="skip",
                                  extra=SCALED.replace('drain = "1000 s"', 'drain = "20 s"') + SMALL)
    silence = Rule({"stage": "dot", "silent": True})
    smtpd.rules.append(silence)
    engine.start()
    issue = news.open()
    engine.wait_for(lambda: silence.held == 5)
    engine.signal(signal.SIGTERM)
    assert engine.wait_end() == 1
    assert "not everything came to its end in time" in engine.log()
    smtpd.rules.remove(silence)
    engine.configure([{"port": smtpd.port}], SCALED + SMALL)
    with engine:
        engine.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue) == {"delivered": 55, "in_doubt": 5}
    each_once(smtpd, 60)


def test_exactly_one_polls_a_feed_and_opens_an_edition(fleet):
    """Many engines that open one daily issue: test_feeds_engine.py."""
    with FeedServer({"/feed": rss([("old", "Old")])}) as web:
        engines, news, smtpd = fleet(3, readers=3)
        news.run("UPDATE edition SET schedule = 'instant'")
        feed = add_feed(news, web.url("/feed"))
        with running(engines):
            poll(engines[0], news, feed)
            for n in range(1, 6):
                web.pages["/feed"] = rss([(f"id{i}", f"Story {i}") for i in range(n, 0, -1)] + [("old", "Old")])
                poll(engines[0], news, feed)
            engines[0].wait_for(lambda: news.value("SELECT count(*) FROM issue WHERE state = 'done'") == 5)
    assert web.asked["/feed"] == 7  # once as it was new, and at each word
    assert news.value("SELECT count(*) FROM issue") == 5
    assert set(accepted(smtpd).values()) == {5}
