"""digestctl subscriber: joining, leaving, imports from CSV and exports to it."""

import csv
import io
import json
import os
import pty
import subprocess
import threading
import time

import psycopg2
import pytest

from lint_sql import ROOT, read_statements
from waiting import PATIENCE, lock_waiters, wait_until


@pytest.fixture
def ctl(ctl):
    ctl.ok("list", "add", "news", "--from", "letters@news.example", "--base-url", "https://news.example",
           "--zone", "Europe/Berlin")
    ctl.ok("edition", "add", "news", "post", "daily", "07:00")
    ctl.ok("edition", "add", "news", "week", "weekly", "mon", "08:00")
    return ctl


@pytest.fixture
def connect(cluster, database):
    opened = []

    def connect_once(autocommit=True):
        connection = psycopg2.connect(cluster.dsn(database=database))
        connection.autocommit = autocommit
        opened.append(connection)
        return connection

    yield connect_once
    for connection in opened:
        connection.close()


@pytest.fixture
def sql(connect):
    cursor = connect().cursor()

    def run(statement, *values):
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else None

    return run


def take_in(ctl, text, *options):
    return ctl.json("subscriber", "import", "news", "-", *options, stdin=text)


def counts(report):
    return tuple(report[key] for key in ("added", "changed", "unchanged", "left_out"))


def readers(ctl):
    return {row["email"]: row for row in ctl.json("subscriber", "ls", "news", "--limit", "1000000")}


# ---- one reader --------------------------------------------------------------------------------


def test_a_reader_joins_is_shown_and_leaves(ctl, sql):
    ctl.ok("subscriber", "add", "news", "Ann@X.example", "--name", "Ann", "--lang", "ur", "--zone", "Asia/Karachi",
           "--topics", "a, b", "--edition", "week", "--attr", "city=Łódź", "--consent", "by phone")
    shown = ctl.json("subscriber", "show", "ann@x.EXAMPLE")
    assert (shown["email"], shown["name"], shown["attrs"]) == ("Ann@X.example", "Ann", {"city": "Łódź"})
    tie, = shown["subscriptions"]
    assert (tie["edition"], tie["status"], tie["zone"], tie["topics"]) == ("week", "active", "Asia/Karachi", ["a", "b"])
    assert tie["consent"] == {"way": "operator", "consent": "by phone"}
    assert "Łódź" in ctl.ok("subscriber", "show", "ann@x.example")
    ctl.fails(1, "subscriber", "add", "news", "ann@x.example")
    assert not ctl.json("subscriber", "unsubscribe", "news", "ann@x.example")["already"]
    assert ctl.json("subscriber", "unsubscribe", "news", "ann@x.example")["already"]
    assert "--again" in ctl.fails(1, "subscriber", "add", "news", "ann@x.example")
    ctl.ok("subscriber", "add", "news", "ann@x.example", "--again")
    assert [kind for kind, in sql("SELECT kind FROM subscription_event ORDER BY id")] == ["join", "unsubscribe", "join"]


def test_a_language_or_a_status_that_is_none_is_refused(ctl):
    assert "pt-BR" in ctl.fails(2, "subscriber", "add", "news", "a@x.example", "--lang", "EN_us")
    assert "pending" in ctl.fails(2, "subscriber", "ls", "news", "--status", "gone")
    ctl.ok("subscriber", "add", "news", "a@x.example", "--lang", "zh-Hant")
    assert len(ctl.json("subscriber", "ls", "news", "--status", "active")) == 1


def test_what_is_no_text_is_told(ctl, tmp_path):
    add = ["subscriber", "add", "news", "a@x.example"]
    assert "--attr" in ctl.fails(2, *add, "--attr", "city=\udcff")
    assert "KEY=VALUE" in ctl.fails(2, *add, "--attr", "city")
    assert "--consent" in ctl.fails(2, *add, "--consent", "\udcff")
    file = tmp_path / "readers.csv"
    file.write_text("email\n\"a@x.example\n", encoding="utf-8")
    said = ctl.fails(1, "subscriber", "import", "news", str(file))
    assert f"{file}: line 2: a quote is never closed: nothing was imported" in said
    ctl.fails(3, "subscriber", "show", "a@x.example")


def test_topics_that_are_too_many_are_told_and_nobody_joins(ctl):
    assert "more than 50" in ctl.fails(2, "subscriber", "add", "news", "a@x.example", "--topics",
                                       ",".join(f"t{i}" for i in range(51)))
    ctl.fails(3, "subscriber", "show", "a@x.example")
    ctl.ok("subscriber", "add", "news", "a@x.example", "--topics", ",".join(f"t{i}" for i in range(50)) + ", ,")
    assert len(ctl.json("subscriber", "show", "a@x.example")["subscriptions"][0]["topics"]) == 50


def test_who_is_suppressed_is_not_added(ctl, sql):
    ctl.ok("subscriber", "add", "news", "a@x.example")
    ctl.fails(4, "subscriber", "suppress", "a@x.example")
    assert ctl.json("subscriber", "suppress", "a@x.example", "--yes")["subscriber"]
    assert not ctl.json("subscriber", "suppress", "Stranger@X.example", "--yes")["subscriber"]
    assert readers(ctl)["a@x.example"]["suppressed_at"]
    for address in "a@x.example", "stranger@x.example":
        assert "suppressed" in ctl.fails(1, "subscriber", "add", "news", address, "--again")
    assert sql("SELECT count(*) FROM subscription") == [(1,)]


def test_confirm_sends_a_letter_and_waits(ctl, sql):
    ctl.ok("subscriber", "add", "news", "a@x.example", "--confirm")
    assert readers(ctl)["a@x.example"]["status"] == "pending"
    assert sql("SELECT kind::text, address, outcome FROM letter") == [("confirm", "a@x.example", None)]


def test_who_is_not_there_and_what_is_wrong(ctl):
    ctl.fails(3, "subscriber", "show", "nobody@x.example")
    ctl.fails(3, "subscriber", "unsubscribe", "news", "nobody@x.example")
    ctl.fails(3, "subscriber", "ls", "nope")
    ctl.fails(3, "subscriber", "import", "nope", "-", stdin="email\n")
    ctl.fails(3, "subscriber", "import", "news", "/nonexistent")
    ctl.fails(3, "subscriber", "import", "news", "-", "--edition", "nope", stdin="email\n")
    ctl.fails(2, "subscriber", "show", "nobody")
    ctl.fails(2, "subscriber", "add", "news", "a@x.example", "--zone", "Mars/X")
    ctl.fails(2, "subscriber", "add", "news", "a@x.example", "--attr", "x")
    ctl.fails(2, "subscriber", "ls", "news", "--status", "odd")
    assert ctl.ok("subscriber", "ls", "news") == "there are no such readers\n"


def test_ls_takes_pages_and_filters(ctl):
    take_in(ctl, "email,edition,status\n" + "".join(
        f"r{i}@x.example,{'week' if i % 2 else 'post'},{'pending' if i == 3 else ''}\n" for i in range(6)))
    rows = ctl.json("subscriber", "ls", "news", "--limit", "4")
    rest = ctl.json("subscriber", "ls", "news", "--after", rows[-1]["id"])
    assert [r["email"] for r in rows + rest] == [f"r{i}@x.example" for i in range(6)]
    assert len(ctl.json("subscriber", "ls", "news", "--edition", "week")) == 3
    assert [r["email"] for r in ctl.json("subscriber", "ls", "news", "--status", "pending")] == ["r3@x.example"]


# ---- the file ----------------------------------------------------------------------------------


def test_csv_as_programs_write_it(ctl):
    text = ('\ufeffE-Mail,Name,First City,topics\r\n'
            '"ann@x.example","Smith, ""Ann""",Łódź,"a,b"\r\n'
            '\r\n'
            'bob@x.example,"two\r\nlines",,\r\n'
            'c@x.example,,"",x')
    assert counts(take_in(ctl, text)) == (3, 0, 0, 0)
    rows = readers(ctl)
    assert rows["ann@x.example"]["name"] == 'Smith, "Ann"' and rows["ann@x.example"]["topics"] == ["a", "b"]
    assert rows["bob@x.example"]["name"] == "two lines" and rows["c@x.example"]["topics"] == ["x"]
    assert ctl.json("subscriber", "show", "ann@x.example")["attrs"] == {"first_city": "Łódź"}
    assert ctl.json("subscriber", "show", "c@x.example")["attrs"] == {}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends(ctl, mark, end):
    lines = [["name", "email"], ["A", "a@x.example"], ["B", "b@x.example"]]
    assert counts(take_in(ctl, end.join(mark.join(line) for line in lines))) == (2, 0, 0, 0)
    assert readers(ctl)["b@x.example"]["name"] == "B"


def test_rows_that_are_wrong_are_left_out_with_their_lines(ctl, tmp_path):
    text = (b"email,name,zone,lang,edition,status\n"
            b"good@x.example,G,asia/tokyo,pt-BR,week,active\n"     # 2
            b"nobody,,,,,\n"
            b"\"q@x.example\"x,,,,,\n"
            b"m@x.example,\"a\nb\",Mars/X,,,\n"                    # 5 and 6
            b"l@x.example,,,English,,\n"                          # 7
            b"e@x.example,,,,nope,\n"
            b"s@x.example,,,,,gone\n"
            b"few@x.example\n"                                    # 10
            b"many@x.example,,,,,,,\n"
            b"u@x.example,\xff\xfe,,,,\n"
            b"nul@x.example,\x00,,,,\n"
            b",,,,,\n"
            b"\xffname@x.example,,,,,\n"
            b"GOOD@x.example,,,,,\n"                              # 16
            b"end@x.example,,,,,\n")
    rejects = tmp_path / "rejects.csv"
    done = ctl("subscriber", "import", "news", "-", "--json", "--rejects", str(rejects), stdin=text)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert counts(report) == (2, 0, 0, 13) and report["rows"] == 15
    assert len(report["first_left_out"]) == 13
    assert report["left_out_by_reason"] == {"invalid": 12, "duplicate": 1, "unsubscribed": 0, "suppressed": 0}
    rows = list(csv.DictReader(rejects.open(encoding="utf-8", errors="surrogateescape")))
    assert [int(row["line"]) for row in rows] == [3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    assert "Mars/X" in rows[2]["detail"] and rows[-1]["reason"] == "duplicate"
    good = readers(ctl)["good@x.example"]
    assert (good["zone"], good["lang"], good["edition"]) == ("Asia/Tokyo", "pt-BR", "week")


def test_a_file_that_cannot_be_read_to_its_end_changes_nothing(ctl, sql, tmp_path):
    for text in ("", "name\nx\n", 'email\na@x.example\n"b@x.example\nc@x.example\n', "email,email\n",
                 "email,,x\n", "email\na@x.example\n\"" + "x" * 2_000_000 + "\n"):
        assert ctl.fails(1, "subscriber", "import", "news", "-", stdin=text).count("\n") == 1
    ctl.fails(1, "subscriber", "import", "news", str(tmp_path))
    assert sql("SELECT (SELECT count(*) FROM subscriber), (SELECT count(*) FROM import_row)") == [(0, 0)]


# ---- what becomes of readers -------------------------------------------------------------------


def test_a_dry_run_says_what_the_import_then_does(ctl, sql):
    take_in(ctl, "email,name\na@x.example,A\nb@x.example,B\nc@x.example,C\n")
    ctl.ok("subscriber", "unsubscribe", "news", "c@x.example")
    ctl.ok("subscriber", "suppress", "s@x.example", "--yes")
    text = "email,name\na@x.example,A\nb@x.example,Bob\nc@x.example,C\ns@x.example,S\nn@x.example,N\nbad,\n"
    before = sql("SELECT (SELECT count(*) FROM subscription_event), (SELECT max(id) FROM subscriber)")
    dry = take_in(ctl, text, "--dry-run")
    assert counts(dry) == (1, 1, 1, 3) and dry["dry_run"]
    assert sql("SELECT (SELECT count(*) FROM subscription_event), (SELECT max(id) FROM subscriber)") == before
    real = take_in(ctl, text)
    assert {**dry, "dry_run": False} == real
    assert counts(take_in(ctl, text)) == (0, 0, 3, 3)


def test_an_import_never_brings_back_who_left(ctl, sql):
    take_in(ctl, "email\na@x.example\nb@x.example\n")
    ctl.ok("subscriber", "unsubscribe", "news", "a@x.example")
    ctl.ok("subscriber", "suppress", "b@x.example", "--yes")
    sql("SELECT subscriber_suppress(%s, 'gone', now())", 0)
    report = take_in(ctl, "email,name,status\nA@X.example,New,active\nb@x.example,New,active\n")
    assert counts(report) == (0, 0, 0, 2)
    assert report["left_out_by_reason"] == {"invalid": 0, "duplicate": 0, "unsubscribed": 1, "suppressed": 1}
    assert [(row["line"], row["reason"]) for row in report["first_left_out"]] == [(2, "unsubscribed"), (3, "suppressed")]
    rows = readers(ctl)
    assert rows["a@x.example"]["status"] == "unsubscribed" and rows["a@x.example"]["name"] == ""
    assert rows["b@x.example"]["suppressed_at"]
    assert counts(take_in(ctl, "email\na@x.example\n", "--edition", "week")) == (0, 0, 0, 1)


def test_known_readers_are_updated_and_empty_fields_change_nothing(ctl, sql):
    take_in(ctl, "email,name,lang,zone,topics,city\na@x.example,Ann,ur,Asia/Tokyo,t,Kyoto\n")
    assert counts(take_in(ctl, "email,name,lang,zone,topics,city\na@x.example,,,,,\n")) == (0, 0, 1, 0)
    assert counts(take_in(ctl, "email,name,zone,edition,shoe\na@x.example,Anna,Asia/Karachi,week,38\n")) == (0, 1, 0, 0)
    shown = ctl.json("subscriber", "show", "a@x.example")
    assert (shown["name"], shown["lang"], shown["attrs"]) == ("Anna", "ur", {"city": "Kyoto", "shoe": "38"})
    tie, = shown["subscriptions"]
    assert (tie["zone"], tie["edition"], tie["topics"]) == ("Asia/Karachi", "week", ["t"])
    assert sql("SELECT kind, zone_before, zone FROM subscription_event ORDER BY id") == [
        ("import", None, "Asia/Tokyo"), ("import", "Asia/Tokyo", "Asia/Karachi")]


def test_a_reader_of_another_list_keeps_their_number(ctl, sql):
    ctl.ok("list", "add", "other", "--from", "o@news.example", "--base-url", "https://news.example")
    ctl.ok("edition", "add", "other", "post", "manual")
    take_in(ctl, "email\na@x.example\n")
    report = ctl.json("subscriber", "import", "other", "-", stdin="email,name\na@x.example,Ann\n")
    assert counts(report) == (1, 0, 0, 0)
    assert sql("SELECT count(*), max(name) FROM subscriber") == [(1, "Ann")]
    assert sql("SELECT zone FROM subscription ORDER BY list") == [("Europe/Berlin",), ("UTC",)]


def test_a_status_in_the_file_can_take_readers_off_but_not_put_them_to_sleep(ctl, sql):
    take_in(ctl, "email\na@x.example\nb@x.example\n")
    take_in(ctl, "email,status\na@x.example,unsubscribed\nb@x.example,pending\nc@x.example,pending\n")
    assert {email: row["status"] for email, row in readers(ctl).items()} == {
        "a@x.example": "unsubscribed", "b@x.example": "active", "c@x.example": "pending"}
    assert sql("SELECT count(*) FROM subscription_event WHERE kind = 'unsubscribe'") == [(1,)]
    assert counts(take_in(ctl, "email\nc@x.example\n")) == (0, 1, 0, 0)
    assert readers(ctl)["c@x.example"]["status"] == "active"


def test_stamps_are_those_of_a_join_and_of_a_move(ctl, sql):
    sql("UPDATE edition SET gen = CASE name WHEN 'post' THEN 5 ELSE 9 END")
    take_in(ctl, "email,zone\na@x.example,Asia/Tokyo\nb@gmail.com,\n")
    assert sql("SELECT joined_gen, placed_gen, provider FROM subscription ORDER BY subscriber") == [
        (5, 5, "other"), (5, 5, "gmail")]
    sql("UPDATE edition SET gen = gen + 1")
    take_in(ctl, "email,name\na@x.example,Ann\n")
    take_in(ctl, "email,zone\na@x.example,Asia/Karachi\n")
    take_in(ctl, "email,edition\nb@gmail.com,week\n")
    assert sql("SELECT joined_gen, placed_gen FROM subscription ORDER BY subscriber") == [(5, 6), (10, 10)]


def test_an_import_waits_for_an_issue_that_opens_and_its_readers_get_the_next(ctl, connect, sql):
    sql("SELECT partitions_ahead(now())")
    opener = connect(autocommit=False)
    cursor = opener.cursor()
    cursor.execute("SELECT gen FROM edition WHERE name = 'post' FOR NO KEY UPDATE")
    gen, = cursor.fetchone()
    reports = []
    thread = threading.Thread(target=lambda: reports.append(take_in(ctl, "email\na@x.example\n")))
    thread.start()
    wait_until(lambda: lock_waiters(sql))
    assert not reports
    cursor.execute("UPDATE edition SET gen = gen + 1 WHERE name = 'post'")
    opener.commit()
    thread.join(PATIENCE)
    assert counts(reports[0]) == (1, 0, 0, 0)
    assert sql("SELECT joined_gen FROM subscription") == [(gen + 1,)]


def test_a_reader_who_leaves_while_they_are_imported_stays_away(ctl, connect, sql):
    take_in(ctl, "email\na@x.example\n")
    leaver = connect(autocommit=False)
    leaver.cursor().execute("SELECT subscription_put(list, subscriber, 'unsubscribe', NULL, 'unsubscribed', NULL,"
                            " NULL, '{}', now()) FROM subscription")
    reports = []
    thread = threading.Thread(
        target=lambda: reports.append(take_in(ctl, "email,name,zone\na@x.example,Ann,Asia/Tokyo\n")))
    thread.start()
    wait_until(lambda: lock_waiters(sql))
    assert not reports
    leaver.commit()
    thread.join(PATIENCE)
    assert reports[0]["left_out_by_reason"]["unsubscribed"] == 1
    assert readers(ctl)["a@x.example"]["status"] == "unsubscribed"


def test_two_imports_of_the_same_readers_at_once(ctl, sql):
    text = "email,name\n" + "".join(f"r{i}@x.example,R{i}\n" for i in range(5000))
    back = "email,name\n" + "".join(f"r{i}@x.example,R{i}\n" for i in reversed(range(5000)))
    reports = []
    threads = [threading.Thread(target=lambda t=t: reports.append(take_in(ctl, t))) for t in (text, back)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(reports) == 2
    assert sql("SELECT count(*), count(DISTINCT subscriber) FROM subscription") == [(5000, 5000)]
    assert sql("SELECT count(*) FROM subscription_event") == [(5000,)]
    assert sql("SELECT count(*) FROM import_row") == [(0,)]


def test_the_search_for_doubles_reads_each_row_once_whatever_the_planner_believes(connect):
    statement, = (s for s in read_statements(os.path.join(ROOT, "sql", "queries", "ctl_subscriber.sql"))
                  if s.name == "ctl_import_duplicates")
    owner = connect(autocommit=False)
    with owner.cursor() as cursor:
        # What an import before left of itself: the table was empty when it was last looked at.
        cursor.execute("ANALYZE import_row")
        cursor.execute("""INSERT INTO import_row (import, n, line, email, email_norm, domain, name, attrs, lang, status)
            SELECT 1, n, n, 'x', 'r' || n / 2, 'x', '', '{}', '', 'active' FROM generate_series(1, 5000) n""")
        cursor.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
        cursor.execute("EXPLAIN (ANALYZE, TIMING off, FORMAT json) " + statement.text.replace("$1", "1"))
        plan = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("SELECT count(*), max(n) FROM import_row")
        assert cursor.fetchone() == (2501, 5000)

    def read(node):
        own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
               + node.get("Rows Removed by Join Filter", 0)) * node["Actual Loops"]
        return max([own, *map(read, node.get("Plans", []))])
    assert read(plan) <= 5000


LONG = 3 * PATIENCE  # with sanitizers, on a machine that has much else to do


def test_a_hundred_thousand_readers(ctl, sql, tmp_path):
    def take(first, end):
        file = tmp_path / "many.csv"
        with file.open("w", encoding="utf-8") as out:
            out.write("email,name,city\n")
            out.writelines(f"reader{i}@x{i % 7}.example,Reader {i},City {i % 100}\n" for i in range(first, end))
        began = time.monotonic()
        assert counts(ctl.json("subscriber", "import", "news", str(file), timeout=LONG)) == (end - first, 0, 0, 0)
        return time.monotonic() - began
    few, many = take(0, 10_000), take(10_000, 100_000)
    assert many < 40 * few  # nine times as many; not every one looks at all others
    assert sql("SELECT count(*) FROM subscription WHERE status = 'active'") == [(100_000,)]
    copy = tmp_path / "copy.csv"
    assert ctl.json("subscriber", "export", "news", str(copy), timeout=LONG)["rows"] == 100_000
    assert counts(ctl.json("subscriber", "import", "news", str(copy), timeout=LONG)) == (0, 0, 100_000, 0)


def test_a_bar_is_drawn_on_a_terminal_only(ctl, tmp_path):
    file = tmp_path / "some.csv"
    file.write_text("email\n" + "".join(f"r{i}@x.example\n" for i in range(20_000)))
    leader, follower = pty.openpty()
    done = subprocess.run([ctl.program, "subscriber", "import", "news", str(file)], stdout=subprocess.PIPE,
                          stderr=follower, env={**os.environ, "DIGESTD_CONFIG": ctl.config}, text=True, check=True)
    os.close(follower)
    drawn = os.read(leader, 1 << 20).decode()
    os.close(leader)
    assert "20000 added" in done.stdout and "importing" in drawn and "%" in drawn


# ---- export ------------------------------------------------------------------------------------


def test_an_export_comes_back_as_it_was(ctl, sql):
    take_in(ctl, 'email,name,lang,zone,topics,edition,status,city,"a ""b"""\n'
                 'a@x.example,"Smith, ""Ann""",ur,Asia/Tokyo,"a,b",week,,Łódź,\n'
                 'b@x.example," Bob",,,,,unsubscribed,,"1,2"\n'
                 'c@x.example,,,,,,pending,"two\nlines",\n'
                 'd@x.example,,,,,,,,\n')
    ctl.ok("subscriber", "suppress", "d@x.example", "--yes")
    text = ctl("subscriber", "export", "news", stdin=b"").stdout.decode()
    rows = {row["email"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert rows["a@x.example"]["name"] == 'Smith, "Ann"' and rows["a@x.example"]["topics"] == "a,b"
    assert {email: row["status"] for email, row in rows.items()} == {
        "a@x.example": "active", "b@x.example": "unsubscribed", "c@x.example": "pending", "d@x.example": "suppressed"}
    assert rows["c@x.example"]["city"] == "two\nlines" and rows["b@x.example"]["a__b_"] == "1,2"

    before = readers(ctl)
    attrs = sql("SELECT email_norm, attrs FROM subscriber ORDER BY 1")
    sql("TRUNCATE subscriber, subscription, subscription_event, suppression CASCADE")
    assert counts(take_in(ctl, text)) == (4, 0, 0, 0)
    assert sql("SELECT email_norm, attrs FROM subscriber ORDER BY 1") == attrs
    after = readers(ctl)
    for email in ("a@x.example", "b@x.example", "c@x.example"):
        same = ("name", "lang", "edition", "status", "zone", "topics")
        assert [before[email][key] for key in same] == [after[email][key] for key in same]
    assert after["d@x.example"]["status"] == "unsubscribed"


def test_an_export_is_there_in_whole_or_not_at_all(ctl, tmp_path):
    take_in(ctl, "email\na@x.example\n")
    ctl.fails(1, "subscriber", "export", "news", str(tmp_path / "no" / "file.csv"))
    ctl.fails(2, "subscriber", "export", "news", "--json")
    ctl.fails(3, "subscriber", "export", "nope")
    assert ctl("subscriber", "export", "news").stdout == ctl("subscriber", "export", "news", "-").stdout
    assert list(tmp_path.glob("*.part")) == []
