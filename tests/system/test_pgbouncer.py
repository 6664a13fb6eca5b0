"""Engines and pages behind a pgbouncer in transaction mode; only LISTEN goes around it."""

import signal

import pytest

from bouncer import Bouncer
from engine import Engine, each_once, through_pooler
from waiting import wait_until
from webserver import Web

READERS = 300
SLOW = [{"stage": "dot", "delay": 0.03}]


@pytest.fixture
def bouncer(cluster):
    with Bouncer(cluster, pool=3) as running:
        yield running


def pooled(engine, smtpd, bouncer, database):
    through_pooler(engine, smtpd, bouncer.dsn("digestd_engine", database), engine.dsn)


def test_an_issue_goes_out_while_the_pooler_is_killed_and_started(make, cluster, database, bouncer):
    engine, news, smtpd = make(readers=READERS, rules=SLOW)
    pooled(engine, smtpd, bouncer, database)
    with engine:
        issue = news.open()
        for end in bouncer.kill, bouncer.stop, bouncer.kill:
            mark = len(smtpd.accepted) + 40
            engine.wait_for(lambda: len(smtpd.accepted) > mark)
            end()
            bouncer.start()
        engine.wait_for(lambda: news.state(issue) == "done")
        # An operator's word comes at once: LISTEN works.
        asked = len(smtpd.accepted)
        second = news.open()
        engine.wait_for(lambda: len(smtpd.accepted) > asked)
        engine.kill()
        engine.start()
        engine.wait_for(lambda: news.state(second) == "done")
    assert news.outcomes(issue) == {"delivered": READERS}
    first = [message for message in smtpd.accepted[:READERS]]
    assert {message["rcpt"][0] for message in first} == {f"reader{i}@a.example" for i in range(1, READERS + 1)}
    assert news.value("SELECT count(*) FROM anomaly") == 0
    assert news.counts(issue)[:5] == (READERS, 0, 0, 0, 0)


def test_several_engines_share_a_pooler(make, cluster, database, bouncer, build):
    engine, news, smtpd = make(readers=READERS, rules=SLOW)
    pooled(engine, smtpd, bouncer, database)
    second = Engine(build, cluster, database, [{"port": smtpd.port}])
    pooled(second, smtpd, bouncer, database)
    with engine, second:
        issue = news.open()
        engine.wait_for(lambda: len(smtpd.accepted) > 50)
        bouncer.kill()
        bouncer.start()
        engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, READERS)
    second.remove()


def test_the_pages_work_through_a_pooler(build, cluster, database, make, bouncer, tmp_path):
    _, news, _ = make()
    web = Web(build, bouncer.dsn("digestd_web", database), tmp_path)
    try:
        web.start()
        assert web.get("/l/news").status == 200
        bouncer.kill()
        bouncer.start()
        wait_until(lambda: web.get("/l/news").status == 200)
        assert news.value("SELECT count(*) FROM list") == 1
    finally:
        web.stop(signal.SIGTERM)
