"""daemon/store against a real server: transactions, losses, reconnection."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from bouncer import Bouncer
from pg import Cluster
from pgproxy import Proxy, error_message, message
from storedriver import Driver, ask
from waiting import PATIENCE, lock_waiters, wait_until


@pytest.fixture
def driver(build, cluster, empty_database):
    ask(cluster, empty_database, "CREATE TABLE t (a int PRIMARY KEY, b text)")
    with Driver(build, cluster.dsn(database=empty_database)) as running:
        yield running


@pytest.fixture
def proxied(build, cluster, empty_database):
    """A driver behind a proxy: (driver, proxy)."""
    ask(cluster, empty_database, "CREATE TABLE t (a int PRIMARY KEY, b text)")
    with Proxy(cluster) as proxy:
        with Driver(build, proxy.dsn("postgres", empty_database)) as running:
            running.expect("state up")
            yield running, proxy


WAIT = "SELECT pg_advisory_xact_lock(7)"


@contextlib.contextmanager
def held(cluster, database):
    """Who does WAIT waits until the function that this gives is called."""
    holder = psycopg2.connect(cluster.dsn(database=database))
    holder.cursor().execute(WAIT)
    yield holder.rollback
    holder.close()


def rows(cluster, database):
    return [row[0] for row in ask(cluster, database, "SELECT a FROM t ORDER BY a")]


# ---- transactions ------------------------------------------------------------------------------


def test_steps_run_in_order_and_a_callback_may_add_more(driver):
    driver.say("tx a", "step SELECT 1, NULL, 'x'", "then SELECT count(*) FROM t",
               "step INSERT INTO t VALUES (1, 'one'), (2, 'two')", "submit")
    seen = driver.expect("end a done - - -$")
    assert seen[1:-1] == ["rows a 1||x", "affected a 2", "rows a 2"]


def test_an_empty_transaction_commits(driver):
    driver.say("tx a", "submit")
    driver.expect("end a done - - -$")


def test_a_step_without_a_statement_is_called_in_its_turn(driver):
    driver.say("tx a", "call", "step SELECT 1", "then SELECT 2", "call", "then SELECT 3", "call", "submit")
    assert driver.expect("end a done - - -$")[1:-1] == [
        "called a", "rows a 1", "called a", "called a", "rows a 2", "rows a 3"]


def test_a_step_without_a_statement_can_refuse(driver, cluster, empty_database):
    driver.say("tx a", "step INSERT INTO t VALUES (1)", "call", "refuse", "call", "step SELECT 'not run'",
               "submit")
    seen = driver.expect("end a failed - ENOANO -$")
    assert seen[1:-1] == ["affected a 1", "called a"]
    assert rows(cluster, empty_database) == []


def test_copy_stores_its_rows_and_counts_them(driver):
    driver.say("tx a", r"copy COPY t FROM STDIN | 1\tone | 2\t\N", "step SELECT * FROM t", "submit")
    assert driver.expect("end a done")[1:-1] == ["affected a 2", "rows a 1|one", "rows a 2|"]


def test_a_large_copy_waits_for_the_socket(driver):
    driver.say("query CREATE TABLE large (x text)", "tx a", "big COPY large FROM STDIN 30000000",
               "step SELECT count(*) FROM large", "submit")
    seen = driver.expect("end a")
    assert seen[-3:] == ["affected a 30000", "rows a 30000", "end a done - - -"]


def test_a_copy_goes_on_when_the_socket_makes_room_at_once(build, cluster, empty_database):
    with Driver(build, cluster.dsn(database=empty_database), environment={"DRIVER_LATE_ROOM": "1"}) as driver:
        driver.say("query CREATE TABLE large (x text)", "tx a", "big COPY large FROM STDIN 1000000", "submit")
        driver.expect("end a done - - -")


def test_a_bad_row_of_a_large_copy_is_told_and_the_connection_goes_on(driver):
    driver.say("query CREATE TABLE small (x varchar(10))", "tx a",
               "big COPY small FROM STDIN 5000000", "submit", "query SELECT 'still here'")
    driver.expect("end a failed 22001 EBADMSG COPY small")
    driver.expect("rows query still here")
    driver.expect("end query done")


def test_a_copy_step_that_is_no_copy_fails(driver):
    driver.say("tx a", "copy INSERT INTO t VALUES (1) | 1", "submit")
    driver.expect("end a failed - EINVAL INSERT")
    driver.say("query SELECT count(*) FROM t")
    driver.expect("rows query 0")


def test_a_query_that_is_a_copy_fails(driver):
    driver.say("tx a", "step COPY t FROM STDIN", "submit", "query SELECT 5")
    driver.expect("end a failed 57014 EBADMSG COPY t")
    driver.expect("rows query 5")
    driver.say("query COPY t TO STDOUT", "query SELECT 6")
    driver.expect("end query failed - EOPNOTSUPP")
    driver.expect("rows query 6")


@pytest.mark.parametrize("step, state", [
    ("SELEC 1", "42601"), ("SELECT * FROM nothing", "42P01"), ("SELECT 1/0", "22012"),
    ("INSERT INTO t VALUES (1)", "23505"),
])
def test_an_error_rolls_back_and_names_its_step(driver, cluster, empty_database, step, state):
    driver.say("tx a", "step INSERT INTO t VALUES (1)", f"step {step}", "step SELECT 'not run'",
               "submit", "query SELECT 'next'")
    seen = driver.expect(f"end a failed {state} EBADMSG {re.escape(step[:40])}")
    assert not any("not run" in line for line in seen)
    driver.expect("rows query next")
    assert rows(cluster, empty_database) == []


def test_a_callback_can_refuse(driver, cluster, empty_database):
    driver.say("tx a", "step INSERT INTO t VALUES (1)", "step SELECT 'look'", "refuse",
               "step SELECT 'not run'", "submit")
    seen = driver.expect("end a failed - ENOANO SELECT 'look'")
    assert not any("not run" in line for line in seen)
    assert rows(cluster, empty_database) == []


def test_an_error_at_commit_is_a_failure(driver, cluster, empty_database):
    ask(cluster, empty_database, "CREATE TABLE u (a int REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
    driver.say("tx a", "step INSERT INTO u VALUES (9)", "submit", "query SELECT 'next'")
    driver.expect("end a failed 23503 EBADMSG COMMIT")
    driver.expect("rows query next")


def test_settings_last_for_their_transaction_only(driver):
    driver.say("tx a", "set digestd.word it's", "limit 7000",
               "step SELECT current_setting('digestd.word'), current_setting('statement_timeout')",
               "submit", "query SELECT current_setting('digestd.word', true), 'after'")
    driver.expect(r"rows a it's\|7s")
    driver.expect(r"rows query \|after")
    driver.say("tx b", "set no-such-thing 1", "submit", "query SELECT 'next'")
    driver.expect("end b failed 42601 EBADMSG BEGIN")
    driver.expect("rows query next")


def test_a_statement_is_cancelled_at_its_limit(driver):
    driver.say("tx a", "limit 500", "step SELECT pg_sleep(300)", "submit", "query SELECT 'next'")
    driver.expect("end a failed 57014 EBADMSG SELECT pg_sleep")
    driver.expect("rows query next")


def test_a_single_statement_is_cancelled_at_its_limit(build, cluster, empty_database):
    with Driver(build, cluster.dsn(database=empty_database), limit_ms=2000) as driver:
        driver.say("query SELECT pg_sleep(300)", "query SELECT 'next'")
        driver.expect("end query failed 57014")
        driver.expect("rows query next")


def test_a_single_statement_needs_no_block(driver, cluster, empty_database):
    driver.say("query INSERT INTO t VALUES (3) RETURNING a", "query SELECT 1/0")
    driver.expect("rows query 3")
    driver.expect("end query done")
    driver.expect("end query failed 22012")
    assert rows(cluster, empty_database) == [3]


def test_a_transaction_left_open_by_a_statement_is_rolled_back(driver):
    driver.say("query BEGIN", "tx a", "step SELECT 'fresh'", "submit")
    driver.expect("rows a fresh")
    driver.expect("end a done")


def test_a_thousand_transactions_wait_their_turn(driver, cluster, empty_database):
    for number in range(1000):
        driver.say(f"tx n{number}", f"step INSERT INTO t VALUES ({number}) RETURNING a", "submit")
    order = [line.split()[1] for line in driver.expect("end n999 ")
             if line.startswith("end")]
    assert order == [f"n{number}" for number in range(1000)]
    assert rows(cluster, empty_database) == list(range(1000))


def test_what_is_forgotten_is_not_begun_and_tells_nothing(driver, cluster, empty_database):
    with held(cluster, empty_database) as let_go:
        driver.say("tx a", f"quiet {WAIT}", "submit",
                   "tx b", "step INSERT INTO t VALUES (1)", "submit", "forget", "queued")
        seen = driver.expect("queued")
        let_go()
        driver.say("query SELECT 'next'")
        seen += driver.expect("end query done")
    assert not any(line.startswith("end b") for line in seen)
    assert rows(cluster, empty_database) == []


def test_closing_ends_everything_once(driver, cluster, empty_database):
    driver.say("tx a", "step INSERT INTO t VALUES (1)", "step SELECT pg_sleep(300)", "submit",
               "tx b", "step SELECT 1", "submit")
    driver.expect("affected a")
    assert driver.close() == ["end a lost - ENOTCONN closing SELECT pg_sleep(300)",
                              "end b lost - ESHUTDOWN closing -", "bye"]
    assert rows(cluster, empty_database) == []


# ---- deadlocks ---------------------------------------------------------------------------------


def deadlock(cluster, database, driver, *commands):
    """Has the driver's transaction lose a deadlock against another one, which then commits.

    Who looks for it last finds it: the other waits already, and doesn't look.
    """
    ask(cluster, database, "INSERT INTO t VALUES (1), (2)")
    other = psycopg2.connect(cluster.dsn(database=database))
    with held(cluster, database) as let_go, other.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '1h'")
        cursor.execute("UPDATE t SET b = 'other' WHERE a = 2")
        driver.say(*commands)
        driver.expect("affected a 1")
        thread = threading.Thread(
            target=lambda: cursor.execute("UPDATE t SET b = 'other' WHERE a = 1"))
        thread.start()
        wait_until(lambda: lock_waiters(lambda sql: ask(cluster, database, sql),
                                        f"pid = {other.get_backend_pid()}"))
        let_go()
        thread.join()
    other.commit()
    other.close()


LOCKERS = ("tx a", "step UPDATE t SET b = 'mine' WHERE a = 1", f"quiet {WAIT}",
           "step UPDATE t SET b = 'mine' WHERE a = 2")


def test_a_deadlock_after_callbacks_is_told(driver, cluster, empty_database):
    deadlock(cluster, empty_database, driver, *LOCKERS, "submit")
    driver.expect("end a failed 40P01")


def test_a_replayable_transaction_is_run_again(driver, cluster, empty_database):
    deadlock(cluster, empty_database, driver, LOCKERS[0], "replayable", LOCKERS[1],
             "then SELECT 'added'", *LOCKERS[2:], "submit")
    seen = driver.expect("end a done")
    assert seen[-5:-1] == ["restart a", "affected a 1", "affected a 1", "rows a added"]
    assert ask(cluster, empty_database, "SELECT DISTINCT b FROM t") == [("mine",)]


def test_serialization_failures_are_tried_five_times(driver, cluster, empty_database):
    ask(cluster, empty_database, "CREATE SEQUENCE tries")
    driver.say("tx a", "quiet SELECT nextval('tries')",
               "quiet DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$", "submit")
    driver.expect("end a failed 40001")
    assert ask(cluster, empty_database, "SELECT last_value FROM tries") == [(5,)]


# ---- losses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [b"BEGIN", b"first step", b"second step", b"COPY", b"a row"])
@pytest.mark.parametrize("before", [True, False])
def test_a_loss_before_commit_is_lost_for_certain(proxied, cluster, empty_database, word, before):
    driver, proxy = proxied
    proxy.cut(word, before)
    driver.say("tx a", "step INSERT INTO t VALUES (1, 'first step')",
               "step INSERT INTO t VALUES (2, 'second step')",
               r"copy COPY t FROM STDIN | 3\ta row", "submit", "query SELECT 'next'")
    driver.expect("end a lost - ENOTCONN")
    driver.expect("rows query next")
    assert proxy.hits == 1
    assert rows(cluster, empty_database) == []


@pytest.mark.parametrize("before", [True, False])
def test_a_loss_at_commit_is_unknown(proxied, cluster, empty_database, before):
    driver, proxy = proxied
    proxy.cut(b"COMMIT", before)
    driver.say("tx a", "step INSERT INTO t VALUES (1)", "submit", "query SELECT 'next'")
    driver.expect("end a unknown - ENOTCONN COMMIT")
    driver.expect("rows query next")
    assert rows(cluster, empty_database) == ([] if before else [1])


@pytest.mark.parametrize("reply, end", [
    (message(b"C", b"COMMIT\0"), "done - - -"),
    (message(b"C", b"ROLLBACK\0"), "unknown - ENOTCONN COMMIT"),
    (error_message("ERROR", "40001", "no"), "failed 40001 EBADMSG COMMIT"),
    (error_message("FATAL", "57P01", "going down"), "unknown 57P01 ENOTCONN COMMIT"),
    (error_message("FATAL", "08P01", "server conn crashed?"), "unknown 08P01 ENOTCONN COMMIT"),
    (message(b"C", b"COMMIT\0")[:-1], "unknown - ENOTCONN COMMIT"),
])
def test_what_is_read_of_an_answer_to_commit_counts(proxied, reply, end):
    driver, proxy = proxied
    proxy.cut(b"COMMIT", reply=reply)
    driver.say("tx a", "step INSERT INTO t VALUES (1)", "submit", "query SELECT 'next'")
    driver.expect(f"end a {end}")
    driver.expect("rows query next")


def test_a_single_statement_that_was_cut_is_unknown(proxied):
    driver, proxy = proxied
    proxy.cut(b"INSERT")
    driver.say("query INSERT INTO t VALUES (1)")
    driver.expect("end query unknown - ENOTCONN INSERT")


def test_a_terminated_session_tells_its_reason(driver, cluster, empty_database):
    driver.say("tx a", "step SELECT 'here'", "step SELECT pg_sleep(300)", "submit")
    driver.expect("rows a here")
    ask(cluster, empty_database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'store_driver'")
    driver.expect("end a lost 57P01 ENOTCONN SELECT pg_sleep")
    driver.expect("state up")
    assert driver.logged("terminating connection due to administrator command; trying", times=1)
    assert driver.logged("connected to", times=2)


def test_an_idle_session_that_is_terminated_comes_back(driver, cluster, empty_database):
    driver.expect("state up")
    ask(cluster, empty_database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'store_driver'")
    driver.expect("state away")
    driver.expect("state up")
    assert driver.logged("terminating connection due to administrator command; trying", times=1)


def test_work_waits_for_a_server_that_comes_back(build):
    with Cluster() as own, Driver(build, own.dsn()) as driver:
        driver.expect("state up")
        own.stop()
        driver.expect("state away")
        driver.say("query SELECT 'patient'")
        time.sleep(1.5)  # several attempts
        own.start()
        driver.expect("state up")
        driver.expect("rows query patient")
        own.crash()
        driver.expect("state away")
        own.start()
        driver.expect("state up")
        assert driver.logged("trying again", times=2)
        assert driver.logged("connected to", times=3)


def test_a_silent_server_is_given_up(build, cluster, empty_database):
    with Driver(build, cluster.dsn(database=empty_database), limit_ms=2000) as driver:
        driver.say("tx a", "step SELECT pg_backend_pid()", "step SELECT pg_sleep(20)",
                   "step SELECT 'back'", "submit")
        pid = int(driver.expect("rows a [0-9]+")[-1].split()[-1])
        os.kill(pid, signal.SIGSTOP)
        try:
            driver.expect("end a lost - ENOTCONN")
            driver.expect("state up")
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_silent_host_makes_room_for_the_next(build, cluster, empty_database):
    with Proxy(cluster) as proxy:
        proxy.silent = True
        dsn = f"host={proxy.home},{cluster.home} user=postgres dbname={empty_database}"
        with Driver(build, dsn, limit_ms=1000) as driver:
            driver.say("query SELECT 'answered'")
            driver.expect("rows query answered")


def test_a_standby_is_not_taken_for_a_primary(build, cluster, empty_database):
    ask(cluster, empty_database, "CREATE ROLE reader LOGIN")
    ask(cluster, empty_database, "ALTER ROLE reader SET default_transaction_read_only = on")
    with Driver(build, cluster.dsn("reader", empty_database)) as driver:
        assert driver.logged("session is read-only")
    ask(cluster, empty_database, "DROP ROLE reader")


# ---- what the server says unasked --------------------------------------------------------------


def test_notifications_arrive_and_are_asked_for_again(driver, cluster, empty_database):
    driver.say("listen work", "listen Other \"one\"")
    driver.expect(r'notify Other "one" \(look\)')
    ask(cluster, empty_database, "SELECT pg_notify('work', 'hello'), "
        "pg_notify('Other \"one\"', ''), pg_notify('elsewhere', '')")
    driver.expect("notify work hello")
    driver.expect('notify Other "one" $')
    ask(cluster, empty_database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'store_driver'")
    driver.expect(r"notify work \(look\)")
    ask(cluster, empty_database, "NOTIFY work, 'again'")
    driver.expect("notify work again")


def test_the_servers_warnings_are_logged(driver):
    driver.say("query DO $$ BEGIN RAISE NOTICE 'low'; RAISE WARNING 'high'; END $$")
    driver.expect("end query done")
    assert driver.logged("warning: database: high") and driver.logged("low", times=0)


def test_a_cancelled_wait_for_the_standby_is_told(build):
    with Cluster(settings={"synchronous_standby_names": "'nobody'"}) as own:
        here = psycopg2.connect(own.dsn(options="-c synchronous_commit=local"))
        here.autocommit = True
        with Driver(build, own.dsn()) as driver, here.cursor() as cursor:
            cursor.execute("CREATE TABLE t (a int)")
            driver.expect("state up")
            driver.say("tx a", "step INSERT INTO t VALUES (1)", "submit")
            deadline = time.monotonic() + 60
            cancelled = 0
            while not cancelled:
                assert time.monotonic() < deadline
                cursor.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                               "WHERE wait_event = 'SyncRep' AND application_name = 'store_driver'")
                cancelled = cursor.rowcount
                time.sleep(0.02)
            driver.expect("end a done - - unreplicated -")
            cursor.execute("SELECT a FROM t")
            assert cursor.fetchall() == [(1,)]
        here.close()


@pytest.fixture
def unconfirmed():
    """A primary whose standby is gone."""
    with Cluster(settings={"synchronous_standby_names": "'nobody'"}) as own:
        with psycopg2.connect(own.dsn(options="-c synchronous_commit=local")) as here:
            here.cursor().execute("CREATE TABLE t (a int)")
        yield own


LIMIT = 5000  # which connecting has to hold, too
WRITES = ("tx a", "step INSERT INTO t VALUES (1)", "submit")
WHERE = "query SHOW synchronous_standby_names"


def test_a_primary_that_no_standby_confirms_is_left_for_the_next_host(build, unconfirmed):
    with Cluster() as right:
        ask(right, "postgres", "CREATE TABLE t (a int)")
        dsn = unconfirmed.dsn(host=f"{unconfirmed.home},{right.home}")
        with Driver(build, dsn, limit_ms=LIMIT) as driver:
            driver.say(*WRITES, WHERE)
            driver.expect("end a done - - unreplicated left -")
            driver.expect("rows query $")
            driver.say(*WRITES)
            driver.expect("end a done - - -")
            assert driver.logged("going on to the next host", times=1)
            assert driver.logged("trying again", times=0)
        assert ask(right, "postgres", "SELECT a FROM t") == [(1,)]


def test_a_primary_that_no_standby_confirms_is_come_back_to_when_there_is_no_other(build, unconfirmed):
    dsn = unconfirmed.dsn(host=f"/nowhere,{unconfirmed.home}")
    with Driver(build, dsn, limit_ms=LIMIT) as driver:
        for _ in range(2):
            driver.say(*WRITES, WHERE)
            driver.expect("end a done - - unreplicated left -")
            driver.expect("state away")
            driver.expect("rows query nobody")
        assert driver.logged("going on to the next host", times=1)
        assert driver.logged("canceling wait for synchronous replication", times=1)
        assert driver.logged("trying again", times=0)


def test_a_primary_that_is_alone_is_not_left(build, unconfirmed):
    with Driver(build, unconfirmed.dsn(), limit_ms=LIMIT) as driver:
        driver.say(*WRITES, WHERE)
        driver.expect("end a done - - unreplicated -")
        assert driver.expect("end query done")[0] == "rows query nobody"
        assert driver.logged("going on to the next host", times=0)


# ---- allocation failures -----------------------------------------------------------------------


def test_no_allocation_failure_breaks_it(build, cluster, empty_database):
    ask(cluster, empty_database, "CREATE TABLE t (a int, b text)")
    outcomes = set()
    for number in range(1, 60):
        environment = {"DRIVER_FAIL_AT": str(number)}
        process = subprocess.run(
            [os.path.join(build, "system", "store_driver"), "loop",
             cluster.dsn(database=empty_database)],
            input="listen work\ntx a\nset digestd.word x\nstep SELECT 1\nthen SELECT 2\n"
            "copy COPY t FROM STDIN | 1\\tx\nsubmit\nquery SELECT 1\nwait\n",
            capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={**os.environ, **environment})
        assert process.returncode in (0, 1), process.stderr
        assert "ERROR" not in process.stderr, process.stderr
        outcomes.update(line for line in process.stdout.splitlines() if "NOMEM" in line)
        if "allocations" in process.stdout and number > int(
                re.search("allocations ([0-9]+)", process.stdout).group(1)):
            break
    else:
        pytest.fail("the run never came clean")
    assert any(line.startswith("refused a ENOMEM") for line in outcomes)
    assert any(line.startswith("end a failed - ENOMEM") for line in outcomes)


# ---- pgbouncer ---------------------------------------------------------------------------------


@pytest.fixture
def bouncer(cluster):
    with Bouncer(cluster, pool=1) as running:
        yield running


def test_it_works_through_a_transaction_pooler(build, cluster, empty_database, bouncer):
    ask(cluster, empty_database, "CREATE TABLE t (a int, b text)")
    dsn = bouncer.dsn("postgres", empty_database)
    with Driver(build, dsn) as one, Driver(build, dsn) as two:
        for number in range(50):
            for driver in one, two:
                driver.say(f"tx n{number}", "limit 5000", "step SELECT 1", "then SELECT 2",
                           r"copy COPY t FROM STDIN | 1\tone", "submit", "query SELECT 'single'")
        for driver in one, two:
            seen = driver.expect("end n49")
            assert not [line for line in seen if line.startswith("end") and "done" not in line]
    assert ask(cluster, empty_database, "SELECT count(*) FROM t") == [(100,)]
