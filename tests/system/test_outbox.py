"""Faults around the outbox, one by one: the relay's, the journal's, the database's, the operator's.
Each ends in the state that the design promises."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import psycopg2
import pytest

from engine import Engine, accepted, each_once
from pgproxy import Proxy
from smtpd import Rule, Server

SLOW = {"stage": "dot", "delay": 0.05}


def doubts(news, issue):
    return news.rows("SELECT p.email FROM attempt a JOIN subscriber p ON p.id = a.subscriber"
                     " WHERE a.issue = %s AND a.cause LIKE 'in doubt%%'", issue)


def delivery(news, issue, email):
    return news.rows("SELECT outcome::text, attempt, reason FROM delivery d JOIN subscriber p"
                     " ON p.id = d.subscriber WHERE d.issue = %s AND p.email = %s", issue, email)[0]


def journals(engine):
    """Their names, without that of one that is being made."""
    return sorted((name for name in os.listdir(engine.state) if name.startswith("journal.") and name[8:].isdigit()),
                  key=lambda name: int(name[8:]))


def wait_done(engine, news, issue, seconds=40):
    engine.wait_for(lambda: news.state(issue) == "done", seconds)


def message_ids(smtpd, to):
    return [line for message in smtpd.accepted if message["rcpt"] == [to]
            for line in message["message"].split(b"\r\n") if line.lower().startswith(b"message-id:")]


# ---- the relay's faults ----------------------------------------------------------------------------

CUTS = {
    "before the reply, kept": {"cut": "before", "keep": True},
    "before the reply, not kept": {"cut": "before", "keep": False},
    "within the reply": {"cut": "within", "keep": True},
    "reset": {"cut": "before", "reset": True, "keep": True},
}


@pytest.mark.parametrize("fault", CUTS)
def test_a_cut_at_the_dot_is_resent_once_under_the_same_name(make, fault):
    rule = {"stage": "dot", "match": "^reader7@", "times": 1, **CUTS[fault]}
    engine, news, smtpd = make(readers=20, rules=[rule])
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
    count = accepted(smtpd)
    assert count.pop("reader7@a.example") == (2 if rule.get("keep") else 1)
    assert set(count.values()) == {1} and len(count) == 19
    assert len(set(message_ids(smtpd, "reader7@a.example"))) == 1
    assert doubts(news, issue) == [("reader7@a.example",)]
    assert delivery(news, issue, "reader7@a.example")[:2] == ("delivered", 2)
    assert news.outcomes(issue) == {"delivered": 20}


def test_a_reply_before_the_cut_is_an_answer(make):
    engine, news, smtpd = make(readers=20, rules=[
        {"stage": "dot", "match": "^reader7@", "times": 1, "cut": "after"}])
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
    each_once(smtpd, 20)
    assert doubts(news, issue) == []


def test_a_second_doubt_stays_and_a_third_mail_never_goes(make):
    engine, news, smtpd = make(readers=10, rules=[
        {"stage": "dot", "match": "^reader7@", "cut": "before", "keep": True}])
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
    assert accepted(smtpd)["reader7@a.example"] == 2
    assert delivery(news, issue, "reader7@a.example")[:2] == ("in_doubt", 2)
    assert news.outcomes(issue) == {"delivered": 9, "in_doubt": 1}


def test_a_list_may_say_that_doubt_is_not_resent(make):
    engine, news, smtpd = make(readers=10, doubt="skip", rules=[
        {"stage": "dot", "match": "^reader7@", "cut": "before", "keep": True}])
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
    assert accepted(smtpd)["reader7@a.example"] == 1
    assert news.outcomes(issue) == {"delivered": 9, "in_doubt": 1}


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_a_cut_before_the_dot_costs_no_try(make, stage):
    engine, news, smtpd = make(readers=10, rules=[{"stage": stage, "skip": 3, "times": 2, "cut": "before"}])
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
    each_once(smtpd, 10)
    assert news.value("SELECT max(attempt) FROM delivery WHERE issue = %s", issue) == 1
    assert doubts(news, issue) == []


def test_a_silent_relay_at_the_dot_is_in_doubt_after_its_time(make):
    engine, news, smtpd = make(readers=10, extra='timing = { relay_dot = "1 s"; };', rules=[
        {"stage": "dot", "match": "^reader7@", "times": 1, "silent": True}])
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
    assert doubts(news, issue) == [("reader7@a.example",)]
    assert news.outcomes(issue) == {"delivered": 10}


def test_trouble_of_the_relay_costs_no_try_and_opens_its_breaker(make):
    engine, news, smtpd = make(readers=30, rules=[
        {"stage": "mail", "skip": 5, "times": 8, "reply": "421 4.3.2 Going down", "cut": "after"}])
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
    each_once(smtpd, 30)
    assert news.value("SELECT max(attempt) FROM delivery WHERE issue = %s", issue) == 1
    assert news.value("SELECT count(*) FROM relay_lane WHERE open_until IS NULL") == 1


def test_with_one_relay_down_the_other_does_it_all(make):
    with Server(rules=[{"stage": "greeting", "reply": "554 5.3.2 Not today"}]) as down:
        engine, news, smtpd = make(readers=60)
        engine.configure([{"port": down.port}, {"port": smtpd.port}])
        with engine:
            issue = news.open()
            wait_done(engine, news, issue)
        each_once(smtpd, 60)
        assert down.accepted == []
        assert news.rows("SELECT r.name, l.reason FROM relay_lane l JOIN relay r ON r.id = l.relay"
                         " WHERE open_until IS NOT NULL") == [("relay0", "refused: 554 5.3.2 Not today")]
        assert news.value("SELECT max(attempt) FROM delivery WHERE issue = %s", issue) == 1


# ---- the journal ----------------------------------------------------------------------------------


def killed_in_the_middle(engine, news, smtpd, sent=60):
    """Kills an engine whose relay took so many mails more and keeps silent since, with the dots of
    some on the wire; returns the issue and who was accepted. The relay answers again then."""
    silence = Rule({"stage": "dot", "skip": sent, "silent": True})
    smtpd.rules.insert(0, silence)
    already = len(smtpd.accepted)
    engine.start()
    issue = news.open()
    engine.wait_for(lambda: len(smtpd.accepted) > already + sent)
    engine.kill()
    smtpd.rules.remove(silence)
    time.sleep(0.2)
    return issue, set(accepted(smtpd))


def lose(engine):
    for name in journals(engine):
        os.unlink(os.path.join(engine.state, name))


def another_boot(engine):
    """The boot id stands as text in each file's head."""
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        boot = file.read().strip()
    for name in journals(engine):
        path = os.path.join(engine.state, name)
        with open(path, "rb") as file:
            data = file.read()
        assert boot in data[:96]
        with open(path, "wb") as file:
            file.write(data.replace(boot, bytes(reversed(boot)), 1))


def tear(engine):
    """Cuts the file within its last record but two (journal.h tells of the layout)."""
    path = os.path.join(engine.state, journals(engine)[-1])
    with open(path, "rb") as file:
        data = file.read()
    ends = [96]
    while ends[-1] + 8 <= len(data) and (length := int.from_bytes(data[ends[-1]:ends[-1] + 4], "little")):
        ends.append(ends[-1] + 8 + length)
    os.truncate(path, ends[-3] - 1)


@pytest.mark.parametrize("damage", [lose, another_boot, tear])
def test_without_a_journal_to_trust_nothing_unsure_is_resent(make, damage):
    engine, news, smtpd = make(readers=300)
    issue, before = killed_in_the_middle(engine, news, smtpd)
    taken = {row[0] for row in news.rows(
        "SELECT p.email FROM send_window w, unnest(w.members) m JOIN subscriber p ON p.id = m WHERE w.issue = %s"
        " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.issue = w.issue AND d.subscriber = m)", issue)}
    assert taken
    damage(engine)
    with engine:
        engine.wait_for(lambda: sum(news.outcomes(issue).values()) == 300)
        time.sleep(1.5)
    assert news.state(issue) == "open", "nothing could be sent again after its end"
    assert set(accepted(smtpd).values()) == {1}, "somebody got it twice"
    held = {row[0]: row[1] for row in news.rows(
        "SELECT p.email, d.reason FROM delivery d JOIN subscriber p ON p.id = d.subscriber"
        " WHERE d.issue = %s AND d.outcome = 'in_doubt'", issue)}
    assert held and set(held) <= taken
    assert all("journal" in reason or "started anew" in reason for reason in held.values())
    # Who isn't held has it, and who is held but for those on the wire hasn't.
    assert set(accepted(smtpd)) | set(held) == {f"reader{i}@a.example" for i in range(1, 301)}
    assert before <= set(accepted(smtpd))
    news.run("SELECT issue_doubts_settle(%s, 'resend', now())", issue)
    with engine:
        wait_done(engine, news, issue)
    assert news.outcomes(issue) == {"delivered": 300}
    assert "row by row" not in engine.log(), "an operator's word is no row that doesn't fit"
    assert len(accepted(smtpd)) == 300


def test_a_whole_journal_doubts_only_what_was_on_the_wire(make):
    engine, news, smtpd = make(readers=300)
    issue, _ = killed_in_the_middle(engine, news, smtpd)
    with engine:
        wait_done(engine, news, issue)
    assert len(doubts(news, issue)) <= 5
    assert news.outcomes(issue) == {"delivered": 300}
    assert news.value("SELECT count(*) FROM anomaly") == 0


@pytest.mark.parametrize("damage", [None, lose])
def test_who_left_after_they_got_it_is_not_recorded_as_skipped(make, damage):
    """What the journal has goes before what the store says of them meanwhile."""
    engine, news, smtpd = make(readers=300, doubt="skip")
    issue, before = killed_in_the_middle(engine, news, smtpd)
    news.run("SELECT subscription_put(list, subscriber, 'unsubscribe', NULL, 'unsubscribed', NULL, NULL, '{}', now())"
             " FROM subscription")
    if damage:
        damage(engine)
    with engine:
        engine.wait_for(lambda: news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0)
    skipped = {row[0] for row in news.rows(
        "SELECT p.email FROM delivery d JOIN subscriber p ON p.id = d.subscriber"
        " WHERE d.issue = %s AND d.outcome = 'skipped'", issue)}
    assert not skipped & before
    assert news.outcomes(issue)["in_doubt"] <= (300 if damage else 5)


def test_after_a_power_loss_a_later_kill_doubts_only_what_was_on_the_wire(make):
    """The files from before the power loss say nothing about the windows since."""
    engine, news, smtpd = make(readers=300)
    first, _ = killed_in_the_middle(engine, news, smtpd)
    another_boot(engine)
    with engine:
        engine.wait_for(lambda: sum(news.outcomes(first).values()) == 300)
        news.run("SELECT issue_doubts_settle(%s, 'skip', now())", first)
        wait_done(engine, news, first)
    second, _ = killed_in_the_middle(engine, news, smtpd)
    with engine:
        wait_done(engine, news, second)
    assert len(doubts(news, second)) <= 5
    assert news.outcomes(second) == {"delivered": 300}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("a small file system can't be mounted: " + done.stderr.strip())
    yield str(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(path):
    """Writes until the file system is full."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)


def test_a_full_disk_stops_the_handing_over_and_no_answer_is_lost(make, small_disk):
    engine, news, smtpd = make(readers=120, rules=[SLOW])
    engine.state = os.path.join(small_disk, "state")
    engine.configure([{"port": smtpd.port}])
    ballast = os.path.join(small_disk, "ballast")
    os.mkdir(engine.state)
    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        fill(ballast)
        issue = news.open()
        engine.wait_for(lambda: "nothing more is handed over" in engine.log())
        time.sleep(2)
        assert not smtpd.accepted, "it hands over what it couldn't put into the journal"
        connections, lines = smtpd.connections, engine.log().count("\n")
        sent = len(smtpd.accepted)
        time.sleep(2)
        assert smtpd.connections - connections <= 4, "it tries again and again"
        assert engine.log().count("\n") - lines < 60, "it fills the log"
        assert len(smtpd.accepted) == sent, "it hands over without a journal"
        engine.wait_for(lambda: news.outcomes(issue).get("delivered", 0) == sent)
        os.unlink(ballast)
        wait_done(engine, news, issue)
    each_once(smtpd, 120)
    assert doubts(news, issue) == []


# ---- the database ---------------------------------------------------------------------------------


@pytest.fixture
def proxied(make, cluster, database):
    """An engine that reaches its database through a proxy."""
    with Proxy(cluster) as proxy:
        def made(**how):
            engine, news, smtpd = make(**how)
            engine.dsn = proxy.dsn("digestd_engine", database)
            engine.configure([{"port": smtpd.port}])
            return engine, news, smtpd, proxy
        yield made


@pytest.mark.parametrize("happens", [True, False])
def test_a_commit_whose_answer_is_eaten(proxied, happens):
    engine, news, smtpd, proxy = proxied(readers=300, rules=[{"stage": "dot", "delay": 0.1}])
    with engine:
        issue = news.open()
        for n in range(3):
            before = len(smtpd.accepted)
            engine.wait_for(lambda: len(smtpd.accepted) > before + 10)
            proxy.cut(b"COMMIT", before=not happens)
            engine.wait_for(lambda: proxy.hits > n)
        wait_done(engine, news, issue)
    each_once(smtpd, 300)
    assert news.outcomes(issue) == {"delivered": 300}
    assert news.counts(issue)[0] == 300
    assert news.value("SELECT count(*) FROM server WHERE cause <> 'first seen'") == 0, "nothing was lost"
    assert news.value("SELECT count(*) FROM anomaly") == 0


def test_a_session_begins_though_the_answer_to_its_commit_is_eaten(proxied):
    engine, news, smtpd, proxy = proxied(readers=20)
    proxy.cut(b"COMMIT", after=b"session_start")
    with engine:
        engine.wait_for(lambda: proxy.hits == 1)
        issue = news.open()
        wait_done(engine, news, issue)
    each_once(smtpd, 20)


def test_a_session_begins_when_the_database_lets_it(make, cluster):
    """Refused at first, by a database that is there and not ready."""
    engine, news, smtpd = make(readers=5)
    owner = psycopg2.connect(cluster.dsn(database=news.database))
    owner.autocommit = True
    with owner.cursor() as cursor:
        cursor.execute("REVOKE INSERT ON session FROM digestd_engine")
        with engine:
            engine.wait_for(lambda: "can't begin" in engine.log())
            cursor.execute("GRANT INSERT ON session TO digestd_engine")
            engine.wait_for(lambda: "begins" in engine.log(), 10)
            issue = news.open()
            wait_done(engine, news, issue, 20)
    owner.close()
    each_once(smtpd, 5)


@pytest.mark.parametrize("table", ["delivery", "attempt", "deferral"])
def test_a_row_that_does_not_fit_holds_nobody_else_up(make, cluster, table):
    engine, news, smtpd = make(readers=60, server={"defer_one_in": 5})
    bad = news.value("SELECT id FROM subscriber WHERE email = 'reader5@a.example'")
    owner = psycopg2.connect(cluster.dsn(database=news.database))
    owner.autocommit = True
    with owner.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD CHECK (subscriber <> {bad})")
    owner.close()
    with engine:
        issue = news.open()
        wait_done(engine, news, issue)
        assert engine.log().count("a turn of the outbox failed") < 5
    assert news.outcomes(issue)["delivered"] == (60 if table == "attempt" else 59)
    if table != "deferral":
        each_once(smtpd, 60)
    else:
        assert len(accepted(smtpd)) == 59
    assert news.value("SELECT count(*) FROM anomaly WHERE kind IN ('outcome', 'attempt', 'deferral')") == 1
    assert news.value("SELECT detail -> 'row' ->> 'subscriber' FROM anomaly") == str(bad)


def test_who_owns_a_copied_state_directory_is_refused(make, cluster, build):
    engine, news, smtpd = make(readers=5)
    copy = Engine(build, cluster, news.database, [{"port": smtpd.port}])
    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        shutil.copytree(engine.state, copy.state)
        news.run("UPDATE engine SET machine = 'another'")
        copy.start()
        assert copy.wait_end() == 1
        assert "is a copy" in copy.log()
        issue = news.open()
        wait_done(engine, news, issue)
    each_once(smtpd, 5)
    copy.remove()


def test_the_same_state_directory_is_nobody_else_s(make, cluster, build):
    engine, news, smtpd = make()
    second = Engine(build, cluster, news.database, [{"port": smtpd.port}])
    second.state = engine.state
    second.configure([{"port": smtpd.port}])
    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        second.start()
        assert second.wait_end() == 1
        assert "another digestd is running" in second.log()
    second.remove()


def test_two_engines_share_the_work(make, cluster, build):
    """None can have more than two of the eight windows at a time. Who comes first can't end any of
    its own for some seconds, so the other has all that time to come."""
    few = "window = { size = 50; per_provider = 2; };"
    engine, news, smtpd = make(readers=400, rules=[{"stage": "dot", "times": 5, "delay": 5}], extra=few)
    second = Engine(build, cluster, news.database, [{"port": smtpd.port}], few)
    with engine, second:
        engine.wait_for(lambda: "begins" in engine.log() and "begins" in second.log())
        issue = news.open()
        wait_done(engine, news, issue)
    each_once(smtpd, 400)
    assert news.value("SELECT count(DISTINCT session) FROM delivery WHERE issue = %s", issue) == 2
    second.remove()


# ---- the operator ---------------------------------------------------------------------------------


def stops(engine, news, smtpd, readers):
    """Waits until nothing is open any more and sees that nothing more is sent; returns how many were."""
    engine.wait_for(lambda: news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0)
    sent = len(smtpd.accepted)
    time.sleep(1.5)
    assert len(smtpd.accepted) == sent < readers, "it goes on sending"
    return sent


def test_paused_in_the_middle_it_stops_soon_and_goes_on_when_resumed(make):
    engine, news, smtpd = make(readers=300, rules=[{"stage": "dot", "delay": 0.2}])
    with engine:
        issue = news.open()
        engine.wait_for(lambda: len(smtpd.accepted) > 10)
        news.run("UPDATE issue SET state = 'paused' WHERE id = %s", issue)
        stops(engine, news, smtpd, 300)
        smtpd.rules.clear()
        news.run("UPDATE issue SET state = 'open' WHERE id = %s", issue)
        wait_done(engine, news, issue)
    each_once(smtpd, 300)
    assert news.value("SELECT max(attempt) FROM delivery WHERE issue = %s", issue) == 1


def test_cancelled_in_the_middle_it_stops_soon_and_for_good(make):
    engine, news, smtpd = make(readers=300, rules=[{"stage": "dot", "delay": 0.2}],
                               server={"defer_one_in": 5})
    with engine:
        issue = news.open()
        engine.wait_for(lambda: len(smtpd.accepted) > 10)
        news.run("UPDATE issue SET state = 'cancelled', ended_at = now() WHERE id = %s", issue)
        sent = stops(engine, news, smtpd, 300)
    assert news.state(issue) == "cancelled"
    assert news.outcomes(issue)["delivered"] == sent


def test_an_issue_expires_for_those_who_are_put_off_till_then(make):
    engine, news, smtpd = make(readers=20, rules=[
        {"stage": "rcpt", "match": "^reader[12]@", "reply": "451 4.2.0 Later"}])
    news.run("UPDATE edition SET lifetime = '4 seconds'")
    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        issue = news.open()
        wait_done(engine, news, issue, 20)
    assert news.outcomes(issue) == {"delivered": 18, "expired": 2}
    assert news.value("SELECT count(*) FROM deferral") == 0


def test_an_issue_that_comes_too_late_expires_unsent(make):
    engine, news, smtpd = make(readers=20)
    news.run("UPDATE edition SET lifetime = '1 second'")
    issue = news.open()
    time.sleep(1.2)
    with engine:
        engine.wait_for(lambda: news.state(issue) == "expired", 20)
    assert smtpd.accepted == []


def test_ended_in_order_while_it_takes_it_ends_at_once(make):
    """The take under way when SIGTERM comes goes back, too."""
    engine, news, smtpd = make(readers=1000, rules=[{"stage": "dot", "delay": 0.2}])
    issue = news.open()
    for n, delay in enumerate((0.0, 0.01, 0.02, 0.03, 0.05)):
        engine.start()
        engine.wait_for(lambda: engine.log().count("begins") > n)
        time.sleep(delay)
        began = time.monotonic()
        engine.stop()
        assert time.monotonic() - began < 5
    assert doubts(news, issue) == []
    assert news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0
    assert set(accepted(smtpd).values()) <= {1}


def test_a_reload_brings_another_relay(make):
    with Server() as new:
        engine, news, smtpd = make(readers=100, rules=[{"stage": "dot", "delay": 0.3}])
        with engine:
            issue = news.open()
            engine.wait_for(lambda: len(smtpd.accepted) > 10)
            engine.configure([{"port": new.port, "name": "new"}])
            engine.signal(signal.SIGHUP)
            engine.wait_for(lambda: new.accepted)
            old = len(smtpd.accepted)
            wait_done(engine, news, issue)
            assert len(smtpd.accepted) <= old + 5
        count = accepted(smtpd) + accepted(new)
        assert set(count.values()) == {1} and len(count) == 100
        assert doubts(news, issue) == []
        assert {row[0] for row in news.rows("SELECT DISTINCT r.name FROM delivery d JOIN relay r ON r.id = d.relay")} \
            == {"relay0", "new"}


def test_letters_after_two_reloads_find_their_templates(make, tmp_path):
    extra = f'templates_dir = "{tmp_path}";'
    (tmp_path / "mail").mkdir()
    for kind in ("html", "txt"):
        (tmp_path / "mail" / f"letter-test.{kind}.mustache").write_text("From the directory.\n")
    engine, news, smtpd = make(extra=extra)
    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        for n in range(3):
            engine.signal(signal.SIGHUP)
            time.sleep(0.3)
        news.run("SELECT letter_put('test', %s, NULL, 'editor@a.example', '{}', '1 day', now())", news.list)
        engine.wait_for(lambda: smtpd.accepted, 10)
    assert b"rom the directory." in smtpd.accepted[0]["message"]


def test_a_reload_with_a_mistake_changes_nothing(make):
    engine, news, smtpd = make(readers=5)
    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        engine.configure([{"port": 70000}])
        engine.signal(signal.SIGHUP)
        engine.wait_for(lambda: "70000" in engine.log() or "port" in engine.log())
        issue = news.open()
        wait_done(engine, news, issue)
    each_once(smtpd, 5)


def test_it_tells_systemd_how_it_is(make, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(10)
        engine, news, smtpd = make(readers=1, engine={"env": {
            "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}})
        engine.start()

        def heard(word):
            for _ in range(50):
                if word in notify.recv(4096).decode():
                    return True
            return False
        assert heard("READY=1")
        assert heard("WATCHDOG=1")
        assert heard("STATUS=")
        assert heard("WATCHDOG=1")
        engine.signal(signal.SIGHUP)
        assert heard("RELOADING=1")
        assert heard("READY=1")
        engine.process.send_signal(signal.SIGTERM)
        assert heard("STOPPING=1")
        assert engine.wait_end() == 0


def test_it_is_not_ready_before_it_has_a_session(make, tmp_path, cluster):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(10)
        engine, _, _ = make(engine={"env": {"NOTIFY_SOCKET": path}})
        engine.dsn = engine.dsn.replace(cluster.home, str(tmp_path / "nowhere"))
        engine.configure([{"port": 25}])
        engine.start()
        said = ""
        while "waiting for the database" not in said:
            said += notify.recv(4096).decode()
        notify.settimeout(1.5)
        with pytest.raises(TimeoutError):
            for _ in range(3):
                said += notify.recv(4096).decode()
        assert "READY" not in said
        engine.stop()


# ---- letters --------------------------------------------------------------------------------------


def confirm_letter(news, email="new@a.example"):
    who = news.value("SELECT subscriber_put(%s, %s, 'a.example', 'New', '{}', '', now())", email, email)
    news.run("SELECT subscription_put(%s, %s, 'join', NULL, 'pending', NULL, NULL, '{}', now())", news.list, who)
    return news.value("SELECT letter_put('confirm', %s, %s, %s, '{}', '1 day', now())", news.list, who, email)


def letter_ended(news, letter):
    return news.value("SELECT outcome::text FROM letter WHERE id = %s", letter)


def test_a_letter_that_is_put_off_is_tried_again(make):
    engine, news, smtpd = make(rules=[{"stage": "rcpt", "times": 2, "reply": "451 4.7.1 Greylisted"}])
    with engine:
        letter = confirm_letter(news)
        engine.wait_for(lambda: letter_ended(news, letter), 20)
    assert letter_ended(news, letter) == "delivered"
    assert news.value("SELECT tries FROM letter") == 3
    assert b"https://news.example/c/" in smtpd.accepted[0]["message"].replace(b"=\r\n", b"")


def test_a_letter_that_is_refused_ends_and_says_why(make):
    engine, news, smtpd = make(rules=[{"stage": "rcpt", "reply": "550 5.1.1 Nobody here"}])
    with engine:
        letter = confirm_letter(news)
        engine.wait_for(lambda: letter_ended(news, letter), 20)
    assert news.rows("SELECT outcome::text, code, enhanced FROM letter") == [("refused", 550, "5.1.1")]
    assert news.value("SELECT suppressed_at IS NOT NULL FROM subscriber")


def test_a_letter_in_doubt_is_resent_once(make):
    engine, news, smtpd = make(rules=[{"stage": "dot", "cut": "before", "keep": True}])
    with engine:
        letter = confirm_letter(news)
        engine.wait_for(lambda: letter_ended(news, letter), 20)
    assert letter_ended(news, letter) == "in_doubt"
    assert len(smtpd.accepted) == 2
    assert len(set(message_ids(smtpd, "new@a.example"))) == 1


def test_a_letter_on_the_wire_when_it_is_killed_is_resent_once(make):
    engine, news, smtpd = make(rules=[{"stage": "dot", "times": 1, "silent": True}])
    engine.start()
    letter = confirm_letter(news)
    engine.wait_for(lambda: len(smtpd.accepted) == 1)
    engine.kill()
    with engine:
        engine.wait_for(lambda: letter_ended(news, letter), 20)
    assert letter_ended(news, letter) == "delivered"
    assert news.value("SELECT doubts FROM letter") == 1


def test_a_reply_of_eight_bits_is_kept_whatever_it_says(make):
    long = "550 5.7.1 " + "\u00e4\u20ac\U0001f600" * 200
    engine, news, smtpd = make(readers=6, rules=[
        {"stage": "rcpt", "match": "^reader1@", "reply": long},
        {"stage": "dot", "match": "^reader2@", "reply": long},
        {"stage": "dot", "match": "^reader3@", "times": 1, "reply": b"451 4.3.0 \xff\xfe\xc3( \x00 bad\r\n"},
        {"stage": "dot", "match": "^reader4@", "times": 1, "reply": "451 4.3.0 " + "\u20ac" * 400},
        {"stage": "dot", "match": "^reader5@", "delay": 3},
    ])
    engine.start()
    issue = news.open()
    engine.wait_for(lambda: len(smtpd.accepted) >= 2)
    engine.kill()   # what they said comes from the journal now, if it wasn't recorded
    with engine:
        wait_done(engine, news, issue)
    assert news.outcomes(issue) == {"delivered": 4, "refused": 2}
