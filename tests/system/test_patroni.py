"""Patroni fails the database over in the middle of an issue, by an operator's word and because the
leader's host is gone. Takes minutes: one of Makefile's LONG_TESTS."""

import os
import subprocess

import pytest

from engine import Engine, Newsletter, each_once
from patroni_nodes import Patroni
from smtpd import Server
from test_engine import Gate
from waiting import PATIENCE

# `make check-long` asks for all that the promise was tried with.
FAIL_OVERS = int(os.environ.get("DIGESTD_FAIL_OVERS", "3"))
READERS = 200 + 200 * FAIL_OVERS


@pytest.fixture
def place():
    with Patroni(nodes=2) as running:
        yield running


def test_nobody_is_lost_or_gets_it_twice_while_patroni_fails_over(place, build):
    subprocess.run([os.path.join(build, "system", "store_driver"), "init", place.dsn(), "digestd"],
                   check=True, timeout=PATIENCE)
    news = Newsletter(place, "digestd", READERS)
    with Server() as smtpd:
        gate = Gate(smtpd, 0)  # the issue can't be done before the last time
        engine = Engine(build, place, "digestd", [{"port": smtpd.port}])
        engine.dsn = place.hosts("digestd_engine", "digestd")
        engine.configure([{"port": smtpd.port}])
        with engine:
            issue = news.open()
            for n in range(FAIL_OVERS):
                gate.most = len(smtpd.accepted) + 60
                engine.wait_for(gate.is_reached)
                if n % 2 == 0:
                    place.switch()
                else:
                    place.start_node(place.kill_leader())
                gate.most = len(smtpd.accepted) + 60  # what is out comes back first
                news.reconnect(place)
                engine.wait_for(lambda: news.value("SELECT server_ready()"))
            gate.open()
            engine.wait_for(lambda: news.state(issue) == "done")
            said = engine.log()
        engine.remove()
    each_once(smtpd, READERS)
    assert news.outcomes(issue) == {"delivered": READERS}
    assert news.counts(issue)[:5] == (READERS, 0, 0, 0, 0)
    assert news.value("SELECT count(*) FROM attempt WHERE cause LIKE 'in doubt%%'") == 0
    assert news.value("SELECT count(*) FROM anomaly") == 0
    assert said.count("was failed over or restored") >= FAIL_OVERS
