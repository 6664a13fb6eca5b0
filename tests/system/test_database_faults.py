"""The database goes, or is in somebody's way, in the middle of an issue: engines wait with growing
pauses, say so once, hand over nothing that they can't record, and go on by themselves."""

import os
import signal
import subprocess

import psycopg2
import pytest

from engine import Engine, Newsletter, each_once
from smtpd import Server
from standby import Node, descendants
from waiting import wait_until

READERS = 300
SLOW = [{"stage": "dot", "delay": 0.05}]


def under_way(engine, news, smtpd):
    issue = news.open()
    engine.wait_for(lambda: len(smtpd.accepted) > 30)
    return issue


def errors(engine):
    return [line for line in engine.log().splitlines() if " digestd error: " in line]


def quiet(engine, smtpd, seconds=3):
    """Waits until nothing comes any more: no mail starts on a look that is 2 s old."""
    news = [len(smtpd.accepted), 0]

    def still():
        if len(smtpd.accepted) != news[0]:
            news[:] = [len(smtpd.accepted), 0]
        news[1] += 1
        return news[1] > 20 * seconds
    engine.wait_for(still)


def assert_whole(news, issue, readers=READERS):
    assert news.outcomes(issue) == {"delivered": readers}
    assert news.counts(issue)[0] == readers
    assert news.value("SELECT count(*) FROM attempt WHERE cause LIKE 'in doubt%%'") == 0
    assert news.value("SELECT count(*) FROM anomaly") == 0


@pytest.fixture
def alone(build):
    """An engine, a newsletter and an SMTP server with a database cluster of their own."""
    undo = []

    def made(home=None, readers=READERS, rules=SLOW):
        node = Node(home)
        undo.append(node.remove)
        node.start()
        subprocess.run([os.path.join(build, "system", "store_driver"), "init", node.dsn(), "digestd"],
                       check=True, timeout=300)
        smtpd = Server(rules=rules).start()
        undo.append(smtpd.stop)
        news = Newsletter(node, "digestd", readers)
        engine = Engine(build, node, "digestd", [{"port": smtpd.port}])
        undo.append(engine.remove)
        return node, engine, news, smtpd

    yield made
    for step in reversed(undo):
        step()


def test_it_goes_on_after_restarts_and_kills_of_the_server(alone):
    readers = 1500
    node, engine, news, smtpd = alone(readers=readers, rules=[{"stage": "dot", "delay": 0.1}])
    with engine:
        issue = news.open()
        for way in node.kill, node.restart, node.crash, node.kill:
            mark = len(smtpd.accepted) + 30
            engine.wait_for(lambda: len(smtpd.accepted) > mark)
            way()
            if node.pid() is None:
                quiet(engine, smtpd)
                node.start()
            news.reconnect(node)
        engine.wait_for(lambda: news.state(issue) == "done")
        away = engine.log().count("trying again until it's back")
        assert away <= 3 * 4, "three connections, four losses"
        assert errors(engine) == []
    each_once(smtpd, readers)
    assert_whole(news, issue, readers)


@pytest.mark.parametrize("table", ["send_window", "delivery", "issue", "lane"])
def test_a_lock_that_somebody_holds_is_waited_for(make, cluster, table):
    engine, news, smtpd = make(readers=READERS, rules=SLOW)
    with engine:
        issue = under_way(engine, news, smtpd)
        holder = psycopg2.connect(cluster.dsn("postgres", news.database))
        with holder.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        quiet(engine, smtpd)
        assert len(smtpd.accepted) < READERS
        holder.rollback()
        holder.close()
        engine.wait_for(lambda: news.state(issue) == "done")
        assert errors(engine) == []
    each_once(smtpd, READERS)
    assert_whole(news, issue)


def cancel(cluster, database, where):
    """Has the server end what waits, as its time limit does after a minute; how many that were."""
    return len(cluster.ask(
        f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND {where}"))


def test_a_lock_that_outlasts_the_time_limit_of_a_turn_is_told_once(make, cluster):
    engine, news, smtpd = make(readers=READERS, rules=SLOW)
    with engine:
        issue = under_way(engine, news, smtpd)
        holder = psycopg2.connect(cluster.dsn("postgres", news.database))
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
        for _ in range(3):
            engine.wait_for(lambda: cancel(
                cluster, news.database, "application_name = 'digestd' AND wait_event_type = 'Lock'"))
        quiet(engine, smtpd)
        assert len(smtpd.accepted) < READERS
        assert engine.log().count("a turn of the outbox failed") == 1
        assert len(errors(engine)) == 1, errors(engine)
        holder.rollback()
        holder.close()
        engine.wait_for(lambda: news.state(issue) == "done")
        assert "go well again" in engine.log()
    each_once(smtpd, READERS)
    assert_whole(news, issue)


def test_a_role_that_may_not_log_in_any_more_and_may_again(make, cluster):
    engine, news, smtpd = make(readers=READERS, rules=SLOW)
    with engine:
        issue = under_way(engine, news, smtpd)
        try:
            cluster.ask("ALTER ROLE digestd_engine NOLOGIN")
            cluster.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        f" WHERE usename = 'digestd_engine' AND datname = '{news.database}'")
            quiet(engine, smtpd)
            assert len(smtpd.accepted) < READERS
            assert engine.log().count("trying again until it's back") <= 3, "once for each connection"
        finally:
            cluster.ask("ALTER ROLE digestd_engine LOGIN")
        engine.wait_for(lambda: news.state(issue) == "done")
        assert errors(engine) == []
    each_once(smtpd, READERS)
    assert_whole(news, issue)


def test_rights_that_are_taken_away_and_given_back(make, cluster):
    engine, news, smtpd = make(readers=READERS, rules=SLOW)
    with engine:
        issue = under_way(engine, news, smtpd)
        cluster.ask("REVOKE INSERT ON delivery, send_window FROM digestd_engine", news.database)
        engine.wait_for(lambda: "a turn of the outbox failed" in engine.log())
        quiet(engine, smtpd)
        assert len(smtpd.accepted) < READERS
        assert len(errors(engine)) == 1, errors(engine)
        cluster.ask("GRANT INSERT ON delivery, send_window TO digestd_engine", news.database)
        engine.wait_for(lambda: news.state(issue) == "done")
        assert "go well again" in engine.log()
    each_once(smtpd, READERS)
    assert_whole(news, issue)


@pytest.fixture
def small_disk(tmp_path):
    """A file system that a cluster fits into, and not much more."""
    path = str(tmp_path / "disk")
    os.mkdir(path)
    os.chmod(path, 0o755)
    for above in tmp_path, tmp_path.parent, tmp_path.parent.parent, tmp_path.parent.parent.parent:
        if os.stat(above).st_uid == os.geteuid() and str(above) != "/tmp":
            os.chmod(above, 0o755)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", path],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("a small file system can't be mounted: " + done.stderr.strip())
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    """Takes all the room there is."""
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * (1 << 20)):
                pass
        except OSError:
            pass


@pytest.mark.parametrize("what", ["tables", "WAL"])
def test_a_full_disk_of_the_database_is_waited_for(alone, small_disk, what):
    readers = 1500
    node, engine, news, smtpd = alone(os.path.join(small_disk, "pg"), readers)
    with engine:
        issue = under_way(engine, news, smtpd)
        ballast = os.path.join(small_disk, "ballast")
        fill(ballast)
        if what == "tables":  # the WAL goes on in the files that it has
            with pytest.raises(psycopg2.Error, match="No space left"):
                node.ask("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
            engine.wait_for(lambda: "No space left on device" in engine.log())
        else:  # which ends the server
            with pytest.raises(psycopg2.Error):
                while True:
                    node.ask("SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
            wait_until(lambda: node.pid() is None)
        quiet(engine, smtpd)
        assert len(smtpd.accepted) < readers
        assert len(errors(engine)) <= (2 if what == "tables" else 0), "the outbox, and the planner"
        os.unlink(ballast)
        if what == "WAL":
            node.start()
        news.reconnect(node)
        engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, readers)
    assert_whole(news, issue, readers)


def test_a_server_that_stands_still_is_left_and_found_again(alone):
    node, engine, news, smtpd = alone()
    with engine:
        issue = under_way(engine, news, smtpd)
        pid = node.pid()
        family = [pid, *descendants(pid)]
        for one in family:
            os.kill(one, signal.SIGSTOP)
        quiet(engine, smtpd)
        assert len(smtpd.accepted) < READERS
        for one in family:
            os.kill(one, signal.SIGCONT)
        engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, READERS)
    assert_whole(news, issue)
