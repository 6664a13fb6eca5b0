"""Operators' hands on an issue that is under way: each command has the meaning that the manual says.

The server holds its replies (engine's Gate), so that what is done "in the middle" is done there.
"""

import csv
import io
import re
import signal
import threading

import psycopg2
import pytest

from engine import accepted, each_once
from smtpd import Rule, Server
from test_engine import Gate
from waiting import lock_waiters

READERS, CONNECTIONS = 300, 5


@pytest.fixture
def owner(cluster, database):
    """The database as its owner has it."""
    connection = psycopg2.connect(cluster.dsn("digestd_owner", database))
    connection.autocommit = True
    yield connection
    connection.close()


def states(news, issue):
    """How many readers are where."""
    return news.rows("""SELECT
        (SELECT count(*) FROM delivery WHERE issue = %s AND outcome = 'delivered'),
        (SELECT count(*) FROM delivery WHERE issue = %s AND outcome = 'skipped' AND reason = 'cancelled'),
        (SELECT count(*) FROM deferral WHERE issue = %s AND session IS NULL),
        (SELECT coalesce(sum(size), 0) FROM send_window WHERE settled_at IS NULL)""", issue, issue, issue)[0]


@pytest.fixture
def held(make):
    """An issue of which some 50 readers have it, and those on the wire wait for the server's reply."""
    engine, news, smtpd = make(readers=READERS, extra="window = { size = 100; };")
    gate = Gate(smtpd, 50)
    with engine:
        engine.wait_for(lambda: "begins" in engine.log())
        issue = news.open()
        engine.wait_for(gate.is_reached)
        yield engine, news, smtpd, gate, issue


def wait_settled(engine, news):
    engine.wait_for(lambda: news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0)


# ---- pause, resume, cancel --------------------------------------------------------------------------


def test_paused_who_waits_goes_back_and_what_is_on_the_wire_goes_out(held, ctl):
    engine, news, smtpd, gate, issue = held
    assert ctl.ok("issue", "pause", issue) == f"issue {issue} is paused\n"
    # Without any reply from the relay: all but those on the wire go back to the queue.
    engine.wait_for(lambda: states(news, issue)[2] > 0)
    gate.open()
    wait_settled(engine, news)
    delivered, skipped, back, out = states(news, issue)
    assert len(smtpd.accepted) == delivered < 50 + 3 * CONNECTIONS and skipped == out == 0
    assert back > 0
    assert news.rows("SELECT DISTINCT cause, tries FROM deferral") == [("issue paused", 0)]
    taken = news.value("SELECT count(*) FROM send_window")
    # An engine that looked twice since, and takes a letter, has taken nobody of it.
    news.run("SELECT letter_put('test', %s, NULL, 'editor@a.example', '{}', '1 day', now())", news.list)
    engine.wait_for(lambda: news.value("SELECT count(*) FROM letter WHERE outcome IS NOT NULL") == 1)
    assert news.value("SELECT count(*) FROM send_window WHERE kind <> 'letter'") == taken
    assert ctl.ok("issue", "resume", issue) == f"issue {issue} is open\n"
    engine.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue) == {"delivered": READERS}
    assert news.value("SELECT max(attempt) FROM delivery WHERE issue = %s", issue) == 1
    assert set(accepted(smtpd).values()) == {1}


def test_a_cancelled_issue_says_who_got_it(held, ctl):
    engine, news, smtpd, gate, issue = held
    ctl.ok("issue", "cancel", issue, "--yes")
    engine.wait_for(lambda: states(news, issue)[1] > 0)
    gate.open()
    wait_settled(engine, news)
    delivered, skipped, back, _ = states(news, issue)
    assert len(smtpd.accepted) == delivered < 50 + 3 * CONNECTIONS and skipped > 0 and back == 0
    shown = ctl.json("issue", "show", issue)
    assert (shown["state"], shown["delivered"], shown["skipped"]) == ("cancelled", delivered, skipped)
    told = list(csv.DictReader(io.StringIO(ctl.ok("issue", "readers", issue, "--outcome", "delivered"))))
    assert sorted(row["email"] for row in told) == sorted(accepted(smtpd))
    assert {row["relay"] for row in told} == {"relay0"} and all(row["queue_id"] for row in told)
    told = list(csv.DictReader(io.StringIO(ctl.ok("issue", "readers", issue))))
    assert len(told) == delivered + skipped
    assert "cancelled" in ctl.fails(1, "issue", "resume", issue)


@pytest.fixture
def waits(make):
    """An issue that eleven readers have, and nine are put off for an hour."""
    engine, news, smtpd = make(readers=20, rules=[
        {"stage": "rcpt", "match": "^reader[1-9]@", "reply": "451 4.2.0 Later"}],
        extra='retry = { backoff = { first = "1 h"; cap = "1 h"; }; };')
    with engine:
        issue = news.open()
        engine.wait_for(lambda: states(news, issue) == (11, 0, 9, 0))
        yield engine, news, smtpd, issue


def test_a_cancelled_issue_tries_nobody_again(waits, ctl):
    engine, news, smtpd, issue = waits
    ctl.ok("issue", "cancel", issue, "--yes")
    smtpd.rules.clear()
    engine.wait_for(lambda: news.value("SELECT count(*) FROM deferral") == 0)
    assert len(smtpd.accepted) == 11
    assert news.outcomes(issue) == {"delivered": 11, "skipped": 9}
    told = list(csv.DictReader(io.StringIO(ctl.ok("issue", "readers", issue, "--outcome", "skipped"))))
    assert sorted(row["email"] for row in told) == [f"reader{n}@a.example" for n in range(1, 10)]
    assert {(row["code"], row["reason"]) for row in told} == {("451", "cancelled")}


def test_a_paused_issue_tries_nobody_again_until_it_is_resumed(waits, ctl):
    engine, news, smtpd, issue = waits
    ctl.ok("issue", "pause", issue)
    smtpd.rules.clear()
    news.run("UPDATE deferral SET due_at = now()")
    news.run("SELECT letter_put('test', %s, NULL, 'editor@a.example', '{}', '1 day', now())", news.list)
    engine.wait_for(lambda: news.value("SELECT count(*) FROM letter WHERE outcome IS NOT NULL") == 1)
    assert states(news, issue) == (11, 0, 9, 0)
    ctl.ok("issue", "resume", issue)
    engine.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue) == {"delivered": 20}


def test_who_is_put_off_is_told_by_the_answer(waits, ctl):
    *_, issue = waits
    told = list(csv.DictReader(io.StringIO(ctl.ok("issue", "readers", issue, "--outcome", "put_off"))))
    assert sorted(row["email"] for row in told) == [f"reader{n}@a.example" for n in range(1, 10)]
    assert {row["code"] for row in told} == {"451"}


def test_readers_wants_an_issue_and_an_outcome_that_there_are(ctl):
    assert "no issue 7" in ctl.fails(3, "issue", "readers", 7)
    assert "an outcome is" in ctl.fails(2, "issue", "readers", 7, "--outcome", "sent")


# ---- the configuration ------------------------------------------------------------------------------


def test_another_relay_takes_over_and_the_old_one_answers_what_it_has(held):
    engine, news, smtpd, gate, issue = held
    with Server() as new:
        engine.configure([{"port": new.port, "name": "new"}], extra="window = { size = 100; };")
        engine.signal(signal.SIGHUP)
        # The rest goes by the new one while the old one still holds what it was given.
        engine.wait_for(lambda: len(new.accepted) > 100)
        old = len(smtpd.accepted)
        gate.open()
        engine.wait_for(lambda: news.state(issue) == "done")
        assert len(smtpd.accepted) <= old + 2 * CONNECTIONS
        count = accepted(smtpd) + accepted(new)
        assert set(count.values()) == {1} and len(count) == READERS
        assert news.outcomes(issue) == {"delivered": READERS}


def test_a_reload_holds_for_what_comes_next(held):
    engine, news, smtpd, gate, issue = held
    engine.configure([{"port": smtpd.port}], extra="""
        window = { size = 10; };
        timing = { orphan_after = "2 h"; };
        retry = { backoff = { first = "24 h"; cap = "24 h"; }; };""")
    engine.signal(signal.SIGHUP)
    engine.wait_for(lambda: "The configuration was read again" in engine.log())
    assert engine.log().count("this takes effect at the next start") == 1
    assert "timing was changed: this takes effect at the next start" in engine.log()
    under_way = 1 + news.value("SELECT max(n) FROM send_window")  # and the turn that was asked already
    smtpd.rules.append(Rule({"stage": "rcpt", "match": f"^reader{READERS}@", "reply": "451 4.2.0 Later"}))
    gate.open()
    engine.wait_for(lambda: states(news, issue) == (READERS - 1, 0, 1, 0))
    assert 0 < news.value("SELECT max(size) FROM send_window WHERE n > %s", under_way) <= 10
    # Up to two seconds before.
    assert news.value("SELECT due_at > first_at + interval '3 s' FROM deferral")


# ---- an upgrade -------------------------------------------------------------------------------------


def asker(cluster, database):
    """Asks as the superuser, who sees what others wait for."""
    connection = psycopg2.connect(cluster.dsn(database=database))
    connection.autocommit = True

    def ask(sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    return ask


def newer(owner, by=1000):
    """What a newer digestctl does to a schema, as a migration does it."""
    with owner.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE schema_migration IN ACCESS EXCLUSIVE MODE;"
                       f"INSERT INTO schema_migration SELECT max(number) + {by}, 'newer', '' FROM schema_migration;"
                       "COMMIT")


def older(owner):
    with owner.cursor() as cursor:
        cursor.execute("DELETE FROM schema_migration WHERE number = (SELECT max(number) FROM schema_migration)"
                       " RETURNING number, name, checksum")
        return cursor.fetchone()


def put_back(owner, row):
    with owner.cursor() as cursor:
        cursor.execute("INSERT INTO schema_migration (number, name, checksum) VALUES (%s, %s, %s)", row)


def test_an_engine_that_meets_a_newer_schema_ends_in_order(held, owner):
    engine, news, smtpd, gate, issue = held
    newer(owner)
    engine.wait_for(lambda: "isn't this program's" in engine.log())
    taken = news.value("SELECT count(*) FROM send_window")
    gate.open()
    assert engine.wait_end() == 75
    assert engine.log().count("isn't this program's") == 1
    assert news.value("SELECT count(*) FROM send_window") == taken
    delivered, _, back, out = states(news, issue)
    assert len(smtpd.accepted) == delivered and out == 0 and back > 0
    assert news.value("SELECT count(*) FROM attempt WHERE cause LIKE 'in doubt%%'") == 0
    assert news.value("SELECT count(*) FROM session WHERE NOT dead") == 0
    # As systemd starts what is installed then: one that fits.
    older(owner)
    engine.start()
    engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, READERS)


def test_no_engine_works_while_a_migration_is_under_way(make, owner, cluster, database):
    engine, news, smtpd = make(readers=READERS)
    ask = asker(cluster, database)
    with owner.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE schema_migration IN ACCESS EXCLUSIVE MODE")
        engine.start()
        issue = news.open()
        engine.wait_for(lambda: lock_waiters(ask, "application_name = 'digestd'") == 1)
        assert news.value("SELECT count(*) FROM session") == 0
        cursor.execute("COMMIT")
    engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, READERS)
    engine.stop()


def test_an_engine_waits_for_an_older_schema_and_says_so_once(make, owner, ctl):
    engine, news, smtpd = make(readers=20)
    issue = news.open()
    row = older(owner)
    engine.start()
    engine.wait_for(lambda: "waiting for `digestctl db migrate`" in engine.log())
    threading.Event().wait(2.5)  # it looks each second
    assert engine.log().count("waiting for `digestctl db migrate`") == 1
    assert smtpd.accepted == [] and news.value("SELECT count(*) FROM session") == 0
    assert "pending" in ctl("db", "status").stdout
    put_back(owner, row)
    engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 20)
    engine.stop()


def test_an_engine_that_starts_on_a_newer_schema_takes_nothing(make, owner):
    engine, news, smtpd = make(readers=20)
    issue = news.open()
    newer(owner)
    engine.start()
    engine.wait_for(lambda: "install the newer digestd" in engine.log())
    assert smtpd.accepted == [] and news.value("SELECT count(*) FROM session") == 0
    engine.stop()
    assert news.state(issue) == "open"


# ---- the slots of the relays ------------------------------------------------------------------------


def kinds(recipients):
    """Letters, retries and fresh mails among these."""
    letters = sum(address.startswith("letter") for address in recipients)
    retries = sum(address.startswith("reader") and int(address[6:address.index("@")]) <= 100
                  for address in recipients)
    return letters, retries, len(recipients) - letters - retries


def crowded(news):
    """A hundred letters, a hundred retries that are due, and two hundred readers who wait."""
    issue = news.open()
    news.run("INSERT INTO deferral (issue, subscriber, provider, due_at, tries, first_at, variant, cause)"
             " SELECT i.id, s.subscriber, s.provider, now(), 1, now(), 1, 'throttled' FROM issue i, subscription s"
             " JOIN subscriber p ON p.id = s.subscriber"
             " WHERE substring(p.email, '\\d+')::int <= 100")
    news.run("SELECT letter_put('test', %s, NULL, 'letter' || i || '@a.example', '{}', '1 day', now())"
             " FROM generate_series(1, 100) i", news.list)
    return issue


def test_letters_take_half_of_the_slots_and_retries_a_quarter(make):
    engine, news, smtpd = make(readers=READERS, relays=None)
    engine.configure([{"port": smtpd.port, "connections": 8}])
    held = {"is": True}
    smtpd.rules.append(Rule({"stage": "rcpt", "until": lambda: not held["is"]}))
    smtpd.log_commands = True
    crowded(news)
    with engine:
        engine.wait_for(lambda: len(rcpts(smtpd)) >= 8)
        assert kinds(rcpts(smtpd)[:8]) == (4, 2, 2)
        held["is"] = False
        engine.wait_for(lambda: len(smtpd.accepted) == READERS + 100)


def test_one_connection_is_shared_by_turns(make):
    engine, news, smtpd = make(readers=READERS)
    engine.configure([{"port": smtpd.port, "connections": 1}])
    smtpd.log_commands = True
    crowded(news)
    with engine:
        engine.wait_for(lambda: len(smtpd.accepted) >= 80)
    letters, retries, fresh = kinds([mail["rcpt"][0] for mail in smtpd.accepted[:80]])
    assert 35 <= letters <= 42 and retries >= 18 and fresh >= 18, (letters, retries, fresh)


def rcpts(smtpd):
    """Whom the server was asked about, in that order."""
    return [re.search("<(.*)>", line)[1] for _, line in list(smtpd.commands) if line.upper().startswith("RCPT")]
