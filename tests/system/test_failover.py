"""The database fails over to a real standby, comes back stale, or is restored: what each kind of
replication promises (digestd(8), THE DATABASE)."""

import os
import re
import subprocess

import psycopg2
import pytest

from bouncer import Bouncer
from engine import Engine, Newsletter, accepted, each_once, through_pooler
from smtpd import Server
from standby import Node, Pair
from test_engine import Gate
from waiting import wait_until

DATABASE = "digestd"
FAST = "timing = { scale = 10; };"
SMALL = "window = { size = 50; };"  # so that whole windows are lost
FAILED_OVER = "was failed over or restored"
# `make check-long` asks for all that the promise was tried with.
FAIL_OVERS = int(os.environ.get("DIGESTD_FAIL_OVERS", "3"))


@pytest.fixture
def replicated(build):
    """replicated(synchronous, readers): pair, engine, newsletter and SMTP server. The engine names
    the first primary first."""
    undo = []

    def made(synchronous=True, readers=0, extra=FAST, **server):
        pair = Pair(synchronous=False)
        undo.append(pair.stop)
        pair.start()
        subprocess.run([os.path.join(build, "system", "store_driver"), "init", pair.primary.dsn(),
                        DATABASE], check=True, timeout=300)
        pair.synchronous = synchronous
        pair.wait_same()
        pair.confirm(synchronous)
        smtpd = Server(**server).start()
        undo.append(smtpd.stop)
        news = Newsletter(pair.primary, DATABASE, readers)
        engine = another(build, pair, smtpd, extra)
        undo.append(engine.remove)
        return pair, engine, news, smtpd

    yield made
    for step in reversed(undo):
        step()


def another(build, pair, smtpd, extra=FAST):
    engine = Engine(build, pair.primary, DATABASE, [{"port": smtpd.port}], extra)
    engine.dsn = pair.dsn("digestd_engine", DATABASE)
    engine.configure([{"port": smtpd.port}], extra)
    return engine


def fail_over(pair, news, **how):
    """Questions go to the new primary from now on."""
    pair.fail_over(**how)
    news.reconnect(pair.primary)


def under_way(engine, news, smtpd, mails, **issue):
    """Opens an issue and waits until so many mails of it are out."""
    mark = len(smtpd.accepted) + mails
    issue = news.open(**issue)
    engine.wait_for(lambda: len(smtpd.accepted) > mark)
    return issue


def is_ready(news, timeline):
    """The engines have told the history of that timeline what they know."""
    return news.value("SELECT ready_at FROM server WHERE timeline = %s", timeline)


def cut_off(pair, engine, news, deliveries):
    """Opens an issue; once so many deliveries are recorded, also there, the standby hears no more."""
    issue = news.open()
    engine.wait_for(lambda: news.outcomes(issue).get("delivered", 0) > deliveries)
    pair.wait_same()
    pair.cut()
    return issue


def settled(engine, news, issue):
    engine.wait_for(lambda: news.state(issue) == "done")


def let_come_back(gate, engine, smtpd, times):
    """The gate is open until the engine knows that it was failed over (so many times): then nothing
    more goes out before what is on the wire has come back."""
    gate.open()
    engine.wait_for(lambda: engine.log().count(FAILED_OVER) == times)
    gate.most = len(smtpd.accepted) + 60


def assert_once(smtpd, news, issue, readers):
    each_once(smtpd, readers)
    assert_whole(news, issue, readers)


def assert_once_but_for_doubts(smtpd, news, issue, readers):
    """An engine was killed: what it had on its five connections was sent again."""
    count = accepted(smtpd)
    doubts = news.value("SELECT count(*) FROM attempt WHERE cause LIKE 'in doubt%%'")
    assert len(count) == readers and sum(count.values()) <= readers + doubts and doubts <= 5
    assert news.outcomes(issue) == {"delivered": readers}


def assert_whole(news, issue, readers):
    assert news.outcomes(issue) == {"delivered": readers}
    counts = news.counts(issue)
    assert counts[0] == readers and counts[1:5] == (0, 0, 0, 0), counts
    assert news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0
    assert news.value("SELECT count(*) FROM anomaly") == 0


def test_it_fails_over_again_and_again_and_nobody_is_lost_or_gets_it_twice(replicated):
    readers = 100 + 400 * FAIL_OVERS
    pair, engine, news, smtpd = replicated(readers=readers, extra="")
    gate = Gate(smtpd, 0, 0.05)  # the issue can't be done before the last time
    with engine:
        issue = news.open()
        for n in range(FAIL_OVERS):
            gate.most = len(smtpd.accepted) + 60
            engine.wait_for(gate.is_reached)
            fail_over(pair, news)
            let_come_back(gate, engine, smtpd, n + 1)
            assert pair.primary.timeline() == n + 2
            pair.rejoin()
            engine.wait_for(lambda: is_ready(news, n + 2))
        gate.open()
        settled(engine, news, issue)
        said = engine.log()
    assert_once(smtpd, news, issue, readers)
    assert said.count(FAILED_OVER) == FAIL_OVERS
    assert news.value("SELECT count(*) FROM attempt WHERE cause LIKE 'in doubt%%'") == 0


def test_what_was_lost_with_an_asynchronous_primary_is_recorded_again_and_not_sent_again(replicated):
    readers = 100 + 700 * FAIL_OVERS
    pair, engine, news, smtpd = replicated(False, readers, SMALL)
    gate = Gate(smtpd, 0, 0.05)
    lost = []

    def delivered():
        return news.outcomes(issue).get("delivered", 0)

    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        issue = news.open()
        for n in range(FAIL_OVERS):
            gate.most = len(smtpd.accepted) + 60
            engine.wait_for(gate.is_reached)
            pair.wait_same()
            pair.cut()
            # Windows are taken, sent and settled of which the standby never hears.
            before = delivered()
            gate.most += 300
            engine.wait_for(lambda: delivered() > before + 200 and gate.is_reached())
            known = delivered()  # and nothing is told while mails are held
            fail_over(pair, news)
            lost.append(known - delivered())
            let_come_back(gate, engine, smtpd, n + 1)
            pair.rejoin()
            engine.wait_for(lambda: is_ready(news, n + 2))
        gate.open()
        settled(engine, news, issue)
        # Of windows that the standby had as open, and of those that it had never heard of.
        settled_from, told = (sum(map(int, re.findall(pattern, engine.log()))) for pattern in (
            r"(\d+) readers settled from the journal", r"knows: (\d+) facts that it had lost"))
    assert_once(smtpd, news, issue, readers)
    print(f"lost with the primaries: {lost}; by the journal: {settled_from} settled, {told} told")
    assert min(lost) > 0 and told > 0 and settled_from + told >= sum(lost)


def test_an_engine_that_is_away_is_waited_for_when_something_may_be_lost(replicated, build):
    pair, engine, news, smtpd = replicated(False, 400, rules=[{"stage": "dot", "delay": 0.02}])
    second = another(build, pair, smtpd)
    with second:
        engine.start()
        engine.wait_for(lambda: "begins" in engine.log())
        issue = cut_off(pair, engine, news, 20)
        at = len(smtpd.accepted)
        engine.wait_for(lambda: len(smtpd.accepted) > at + 100)
        engine.kill()
        fail_over(pair, news)
        second.wait_for(lambda: "nothing is taken before engine" in second.log())
        sent = len(smtpd.accepted)
        # More than the time to wait for others (6 s here): it waits on, since nobody knows.
        began = news.value("SELECT now()")
        second.wait_for(lambda: news.value("SELECT now() > %s + interval '8 seconds'", began))
        assert len(smtpd.accepted) <= sent + 5
        assert is_ready(news, 2) is None
        with pytest.raises(psycopg2.Error, match="haven't told it yet"):
            news.open()
        engine.start()
        settled(engine, news, issue)
        engine.stop()
    assert_once_but_for_doubts(smtpd, news, issue, 400)
    second.remove()


def test_it_fails_over_again_while_an_engine_is_waited_for(replicated, build):
    """Who waits notices the next history, too, and tells it what it knows."""
    pair, engine, news, smtpd = replicated(False, 200, rules=[{"stage": "dot", "delay": 0.02}])
    second = another(build, pair, smtpd)
    with second:
        engine.start()
        engine.wait_for(lambda: "begins" in engine.log() and "begins" in second.log())
        issue = under_way(engine, news, smtpd, 20)
        engine.kill()
        fail_over(pair, news)
        second.wait_for(lambda: "nothing is taken before engine" in second.log())
        pair.rejoin()
        pair.wait_same()
        fail_over(pair, news)
        engine.start()
        engine.wait_for(lambda: is_ready(news, 3))
        settled(engine, news, issue)
        engine.stop()
    assert_once_but_for_doubts(smtpd, news, issue, 200)
    second.remove()


def test_an_engine_that_is_away_is_not_waited_for_when_nothing_can_be_lost(replicated, build):
    pair, engine, news, smtpd = replicated(True, 300, rules=[{"stage": "dot", "delay": 0.02}])
    second = another(build, pair, smtpd)
    with second:
        engine.start()
        engine.wait_for(lambda: "begins" in engine.log() and "begins" in second.log())
        engine.wait_for(lambda: news.value("SELECT bool_and(synced) FROM session WHERE NOT dead"))
        engine.kill()
        fail_over(pair, news)
        pair.rejoin()
        second.wait_for(lambda: is_ready(news, 2))
        issue = news.open()
        settled(second, news, issue)
    assert_once(smtpd, news, issue, 300)
    second.remove()


def test_an_old_primary_that_is_back_is_refused_though_it_is_listed_first(replicated):
    pair, engine, news, smtpd = replicated(False, 300, rules=[{"stage": "dot", "delay": 0.02}])
    with engine:
        issue = under_way(engine, news, smtpd, 20)
        fail_over(pair, news)
        engine.wait_for(lambda: is_ready(news, 2))
        # The new one goes down, the old one is there: it isn't that one that is waited for.
        pair.primary.stop("immediate")
        pair.old.configure(synchronous_standby_names="")
        pair.old.start()
        engine.wait_for(lambda: "this is an old primary (timeline 1" in engine.log())
        old = psycopg2.connect(pair.old.dsn("postgres", DATABASE))
        old.autocommit = True
        with old.cursor() as cursor:
            cursor.execute("SELECT max(turn) FROM session")
            turn = cursor.fetchone()
        pair.primary.start()
        news.reconnect(pair.primary)
        settled(engine, news, issue)
        with old.cursor() as cursor:
            cursor.execute("SELECT max(turn) FROM session")
            assert cursor.fetchone() == turn, "it worked with the old primary"
        old.close()
        said = [line for line in engine.log().splitlines() if "refused; waiting for the right one" in line]
        assert len(said) == 1, said
        pair.old.stop("immediate")
    each_once(smtpd, 300)


@pytest.mark.parametrize("way, cause", [("as it was", "set back"), ("to a new timeline", "new timeline")])
def test_a_backup_that_is_restored_is_told_what_was_sent_since(replicated, way, cause):
    """The issue and readers of it are older than the backup, one issue is younger, and is opened again
    afterwards. A copied data directory starts on the timeline that it had."""
    pair, engine, news, smtpd = replicated(False, 400, rules=[{"stage": "dot", "delay": 0.01}])
    restored = Node()
    try:
        with engine:
            engine.wait_for(lambda: "begins" in engine.log())
            issue = under_way(engine, news, smtpd, 100, occurrence="first")
            restored.back_up(pair.primary)
            settled(engine, news, issue)
            late = news.open(occurrence="second")
            settled(engine, news, late)
            assert len(smtpd.accepted) == 800
            pair.primary.kill()
            pair.standby.kill()
            for place in pair.primary.data, pair.standby.data:
                assert not os.path.exists(os.path.join(place, "postmaster.pid"))
            # The backup takes the dead primary's place, in the directory that engines know.
            restored.home = pair.primary.home
            restored.configure(synchronous_standby_names="")
            if way == "to a new timeline":
                restored.configure(restore_command="false", recovery_target="immediate",
                                   recovery_target_action="promote")
                restored.mark("recovery.signal")
            restored.start()
            wait_until(lambda: restored.ask("SELECT pg_is_in_recovery()") == [(False,)])
            news.reconnect(restored)
            engine.wait_for(lambda: news.value(
                "SELECT count(*) FROM server WHERE cause = %s AND ready_at IS NOT NULL", cause) == 1)
            settled(engine, news, issue)
            assert news.state(late) is None
            news.article()
            again = news.open(occurrence="second")
            assert again != late
            settled(engine, news, again)
            assert "facts that it had lost, some of issues that aren't there yet" in engine.log()
        count = accepted(smtpd)
        assert set(count.values()) == {2} and len(count) == 400, "once for each issue"
        for one in issue, again:
            assert_whole(news, one, 400)
        assert news.value("SELECT count(*) FROM recalled") == 0
    finally:
        restored.remove()


def test_a_dump_that_is_restored_elsewhere_is_told_what_was_sent_since(replicated, tmp_path):
    """In the middle of an issue, to a server that engines refuse until somebody says that it's right."""
    pair, engine, news, smtpd = replicated(False, 600, SMALL, rules=[{"stage": "dot", "delay": 0.02}])
    dump, other = str(tmp_path / "dump"), Node()
    try:
        with engine:
            issue = under_way(engine, news, smtpd, 60)
            other.start()
            subprocess.run(["pg_dumpall", "-d", pair.primary.dsn(), "-f", dump], check=True, timeout=300)
            mark = len(smtpd.accepted)
            engine.wait_for(lambda: len(smtpd.accepted) > mark + 200)
            pair.primary.kill()
            pair.standby.kill()
            with open(dump, encoding="utf-8") as script:
                # There is a postgres here already.
                subprocess.run(["psql", "-q", "-d", other.dsn()], stdin=script, check=True, timeout=300,
                               capture_output=True)
            other.stop()
            other.home = pair.primary.home
            other.configure()
            other.start()
            engine.wait_for(lambda: "this is another server" in engine.log())
            news.reconnect(other)
            assert news.state(issue) == "open"
            engine.kill()
            os.unlink(os.path.join(engine.state, "history"))
            engine.start()
            settled(engine, news, issue)
            assert "facts that it had lost" in engine.log()
        assert_once_but_for_doubts(smtpd, news, issue, 600)
    finally:
        other.remove()


def test_a_pooler_may_be_turned_to_the_new_primary(replicated, build):
    """And back to the old one by mistake, which is refused. The pooler tells nobody where it leads to."""
    pair, engine, news, smtpd = replicated(True, 300, rules=[{"stage": "dot", "delay": 0.02}])
    with Bouncer(pair.primary) as bouncer:
        through_pooler(engine, smtpd, bouncer.dsn("digestd_engine", DATABASE),
                       pair.dsn("digestd_engine", DATABASE), FAST)
        with engine:
            issue = under_way(engine, news, smtpd, 30)
            fail_over(pair, news)
            bouncer.turn_to(pair.primary)
            engine.wait_for(lambda: is_ready(news, 2))
            mark = len(smtpd.accepted)
            engine.wait_for(lambda: len(smtpd.accepted) > mark + 30)
            pair.old.start()
            bouncer.turn_to(pair.old)
            engine.wait_for(lambda: "this is an old primary (timeline 1" in engine.log())
            bouncer.turn_to(pair.primary)
            settled(engine, news, issue)
        assert_once(smtpd, news, issue, 300)


def test_two_primaries_in_a_synchronous_pair_do_not_both_send(replicated, build):
    """The old primary lives on, cut off from its standby: its commits wait, so nothing is taken there,
    and an engine that starts anew and finds it first goes on to the other."""
    pair, engine, news, smtpd = replicated(True, 300, rules=[{"stage": "dot", "delay": 0.05}])
    left = Engine(build, pair.primary, DATABASE, [{"port": smtpd.port}], FAST)
    with left:
        left.wait_for(lambda: "begins" in left.log())
        pair.cut()
        fail_over(pair, news, kill=False)
        with engine:
            engine.wait_for(lambda: "begins" in engine.log())
            issue = news.open()
            settled(engine, news, issue)
            assert engine.log().count("going on to the next host") == 1
            # Whatever it has open is there, not only what it works with.
            engine.wait_for(lambda: {row[0] for row in pair.primary.ask(
                "SELECT application_name FROM pg_stat_activity WHERE datname = 'digestd'")}
                >= {"digestd", "digestd planner", "digestd listen"})
        pair.old.stop("immediate")
        left.kill()
    left.remove()
    assert_once(smtpd, news, issue, 300)


def test_a_standby_that_confirms_nothing_holds_everything_up_until_it_does(replicated):
    pair, engine, news, smtpd = replicated(True, 300, rules=[{"stage": "dot", "delay": 0.05}])
    with engine:
        issue = under_way(engine, news, smtpd, 30)
        pair.cut()

        def cancelled():
            # As statement_timeout does after a minute.
            pair.primary.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                             " WHERE wait_event = 'SyncRep' AND application_name = 'digestd'")
            return "wasn't confirmed by the standby" in engine.log()
        engine.wait_for(cancelled)
        sent = len(smtpd.accepted)
        for _ in range(3):
            pair.primary.ask("SELECT pg_cancel_backend(pid), pg_sleep(1) FROM pg_stat_activity"
                             " WHERE wait_event = 'SyncRep' AND application_name = 'digestd'")
        assert len(smtpd.accepted) <= sent + 5, "it hands over what may be lost"
        assert engine.log().count("wasn't confirmed by the standby") == 1
        pair.mend()
        engine.wait_for(lambda: "confirms commits again" in engine.log())
        settled(engine, news, issue)
    assert_once(smtpd, news, issue, 300)
