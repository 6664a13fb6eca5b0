"""digestctl db check: each invariant of the store, broken on purpose, is named."""

import json

import pytest

WINDOW = ("INSERT INTO send_window (session, n, engine, kind, issue, provider, members, size, taken_at) SELECT 1, {n},"
          " {engine}, '{kind}', id, 'other', '{members}', {size}, now() FROM issue")
DEFERRAL = ("INSERT INTO deferral (issue, subscriber, provider, due_at, tries, doubts, first_at, variant, cause, session,"
            " n) SELECT id, {who}, 'other', now(), 1, {doubts}, now(), 1, 'full', {session}, {n} FROM issue")
EVENT = ("INSERT INTO subscription_event (at, list, subscriber, kind, edition, gen, status_before, status, zone_before,"
         " zone) VALUES (now(), 1, {who}, '{kind}', 1, {gen}, '{before}', '{status}', 'UTC', '{zone}')")
LETTER = ("INSERT INTO letter (kind, list, subscriber, address, created_at, due_at, expires_at, outcome, ended_at,"
          " session, n) VALUES ('{kind}', 1, {who}, 'r1@one.example', now(), now(), now(), {outcome}, {ended}, {session},"
          " {n})")


def window(n=9, engine=1, kind="fresh", members="{5}", size=1):
    return WINDOW.format(n=n, engine=engine, kind=kind, members=members, size=size)


def deferral(who=6, doubts=0, session="NULL", n="NULL"):
    return DEFERRAL.format(who=who, doubts=doubts, session=session, n=n)


def event(who=8, kind="zone", gen=2, before="active", status="active", zone="UTC"):
    return EVENT.format(who=who, kind=kind, gen=gen, before=before, status=status, zone=zone)


def letter(kind="welcome", who=1, outcome="NULL", ended="NULL", session="NULL", n="NULL"):
    return LETTER.format(kind=kind, who=who, outcome=outcome, ended=ended, session=session, n=n)


@pytest.fixture
def busy(news):
    """Reader 1 has it, 2 was refused, 3 is put off and tried again, 4 in doubt, 5 being sent to, 6 to 8 wait."""
    news.issue = news.open()
    n, readers = news.take(limit=4)
    news.deliver(news.issue, n, [1])
    news.deliver(news.issue, n, [2], outcome="refused", code=550)
    news.put_off(news.issue, n, [3], due="0 s")
    news.deliver(news.issue, n, [4], outcome="in_doubt", reason="in doubt: cut")
    news.settle(n, delivered=1, refused=1, deferred=1, in_doubt=1)
    news.take(limit=1)
    assert news.take("retry")[1] == [3]
    return news


def break_it(news, *statements):
    """As the superuser, with triggers and foreign keys off."""
    news.ask("SET session_replication_role = replica")
    for statement in statements:
        news.ask(statement)
    news.ask("SET session_replication_role = DEFAULT")


def check(news, status=0):
    news.checked = news.json("db", "check", status=status)
    assert news.checked["holds"] == (status == 0)
    return {row["name"]: [told["what"] for told in row["told"]] for row in news.checked["invariants"] if not row["holds"]}


def test_every_invariant_holds_in_the_middle_of_an_issue(busy):
    assert check(busy) == {}
    assert [issue["issue"] for issue in busy.checked["issues"]] == [busy.issue]
    by_name = {row["name"]: row for row in busy.checked["invariants"]}
    assert by_name["delivery_once"]["looked_at"] == 3
    assert by_name["events"]["looked_at"] == 8 and by_name["window_counts"]["looked_at"] == 3


def test_every_invariant_holds_on_a_database_without_anything(news):
    assert check(news) == {}


def test_every_invariant_holds_when_issues_have_ended_in_each_way(busy):
    busy.article("Two")
    done = busy.open()
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    busy.send_all(done)
    busy.article("Three")
    busy.ask("UPDATE issue SET expires_at = now() WHERE id = %s", busy.open())
    busy.take("sweep")
    assert sorted(row[0] for row in busy.ask("SELECT state FROM issue")) == ["cancelled", "done", "expired"]
    assert check(busy) == {}
    assert len(busy.checked["issues"]) == 3


@pytest.mark.parametrize("name, what, statements", [
    ("stamps", "a stamp above its edition's gen", ["UPDATE subscription SET placed_gen = 99 WHERE subscriber = 8"]),
    ("stamps", "a stamp above its edition's gen",
     ["ALTER TABLE subscription DROP CONSTRAINT subscription_check",
      "UPDATE subscription SET joined_gen = 2, placed_gen = 1 WHERE subscriber = 8"]),
    ("stamps_events", "stamps that no event gave",
     ["UPDATE subscription SET joined_gen = 2, placed_gen = 2 WHERE subscriber = 8"]),
    ("stamps_events", "stamps that no event gave", [event(zone="Asia/Tokyo"),
                                                    "UPDATE subscription SET zone = 'Asia/Tokyo' WHERE subscriber = 8"]),
    ("events", "a subscription that isn't what its events lead to",
     ["UPDATE subscription SET status = 'unsubscribed' WHERE subscriber = 8"]),
    ("events", "a subscription that isn't what its events lead to",
     ["UPDATE subscription SET zone = 'Asia/Tokyo' WHERE subscriber = 8"]),
    ("events", "a subscription that isn't what its events lead to",
     ["INSERT INTO edition (list, name, schedule, starts, gen) VALUES (1, 'other', 'manual', now(), 5)",
      "UPDATE subscription SET edition = 2 WHERE subscriber = 8"]),
    ("events", "a subscription without events", ["DELETE FROM subscription_event WHERE subscriber = 8"]),
    ("events", "events whose subscription is gone", ["DELETE FROM subscription WHERE subscriber = 8"]),
    ("event_chain", "an event that doesn't follow from the one before", [event(before="pending")]),
    ("event_gens", "events whose gens are not in order", [event(gen=2), event(gen=1)]),
    ("event_gens", "an event above its edition's gen", [event(gen=7)]),
    ("event_gens", "an opening that doesn't part its edition's events", ["UPDATE issue SET opened_event = 3"]),
    ("provider", "a reader with another's provider group",
     ["UPDATE subscription SET provider = 'gmail' WHERE subscriber = 8"]),
    ("suppression", "a suppressed address that may be mailed",
     ["INSERT INTO suppression (address_hmac, reason, at) VALUES (address_hmac('r8@one.example'), 'operator', now())"]),
    ("suppression", "a suppressed reader whose address isn't",
     ["UPDATE subscriber SET suppressed_at = now() WHERE id = 8"]),
    ("issue_once", "an occurrence that opened twice",
     ["ALTER TABLE issue DROP CONSTRAINT issue_edition_occurrence_key, DROP CONSTRAINT issue_uid_key",
      "UPDATE edition SET gen = 9",
      "INSERT INTO issue SELECT id + 1, uid || '2', list, edition, occurrence, gen + 1, state, subject, topics, for_all,"
      " content, opened_at, expires_at, ended_at, opened_event FROM issue"]),
    ("issue_once", "an issue that didn't raise the gen", ["UPDATE issue SET gen = 2"]),
    ("articles", "an article that an edition used twice",
     ["ALTER TABLE issue_article DROP CONSTRAINT issue_article_pkey",
      "INSERT INTO issue_article SELECT * FROM issue_article"]),
    ("articles", "an issue whose content has other articles", ["DELETE FROM issue_article WHERE position = 1"]),
    ("issue_state", "an issue whose end and state differ",
     ["ALTER TABLE issue DROP CONSTRAINT issue_check", "UPDATE issue SET ended_at = now()"]),
    ("issue_state", "a done issue with lanes left", ["UPDATE issue SET state = 'done', ended_at = now()"]),
    ("issue_state", "an issue that ended with readers put off", ["UPDATE issue SET state = 'done', ended_at = now()"]),
    ("issue_state", "an issue that ended with a window open", ["UPDATE issue SET state = 'expired', ended_at = now()"]),
    ("lanes", "a lane whose cursor is behind a reader", ["UPDATE lane SET cursor = 3"]),
    ("windows", "a window that is not whole", ["UPDATE send_window SET session = 77 WHERE n = 2"]),
    ("windows", "a window that is not whole", ["UPDATE send_window SET engine = 77 WHERE n = 2"]),
    ("windows", "a window that is not whole",
     ["ALTER TABLE send_window DROP CONSTRAINT send_window_check2, DROP CONSTRAINT send_window_check3",
      "UPDATE send_window SET size = 9"]),
    ("window_orphans", "an open window of a retired engine",
     ["UPDATE session SET dead = true, last_window = 3", "UPDATE engine SET retired_at = now()"]),
    ("window_members", "a reader in two open windows", [window()]),
    ("window_members", "a reader twice in a window", [window(members="{6,6}", size=2)]),
    ("window_counts", "a window whose counts are not its rows'", ["DELETE FROM delivery WHERE subscriber = 1"]),
    ("window_counts", "a window whose counts are not its rows'", ["DELETE FROM delivery WHERE subscriber = 2"]),
    ("window_counts", "a window whose counts are not its rows'",
     ["UPDATE delivery SET outcome = 'skipped' WHERE subscriber = 2"]),
    ("window_counts", "a window whose counts are not its rows'", ["DELETE FROM delivery WHERE subscriber = 4"]),
    ("window_counts", "a window whose counts are not its rows'",
     ["INSERT INTO attempt (issue, subscriber, at, session, n, attempt, cause) SELECT id, 2, now(), 1, 1, 7, 'full'"
      " FROM issue"]),
    ("delivery_once", "two deliveries of an issue to a reader",
     ["ALTER TABLE delivery DROP CONSTRAINT delivery_pkey", "INSERT INTO delivery SELECT * FROM delivery"]),
    ("delivery_once", "deliveries of no issue", ["UPDATE delivery SET issue = issue + 1"]),
    ("delivery_window", "a delivery by a window that never was", ["UPDATE delivery SET n = 77 WHERE subscriber = 1"]),
    ("delivery_window", "a try by a window that never was", ["UPDATE attempt SET session = 77"]),
    ("delivery_window", "a delivery by a window of something else",
     ["UPDATE send_window SET kind = 'letter', issue = NULL WHERE n = 1"]),
    ("delivery_window", "a delivery by a window of which they are no member",
     ["UPDATE delivery SET n = 2 WHERE subscriber = 1"]),
    ("delivery_deferral", "an end that waits to be sent to again", [deferral(who=1)]),
    ("deferral_window", "a deferral that no open window holds", ["UPDATE deferral SET n = 1"]),
    ("deferral_window", "a deferral that no open window holds", ["UPDATE deferral SET n = 2"]),
    ("deferral_window", "a deferral that no open window holds", ["UPDATE deferral SET n = 77"]),
    ("deferral_window", "a retry without a deferral", ["DELETE FROM deferral"]),
    ("doubts", "a doubt that is sent again twice", [deferral(doubts=2)]),
    ("letters", "a letter that is queued twice", ["DROP INDEX letter_once", letter(), letter()]),
    ("letters", "a letter whose end and outcome differ",
     ["ALTER TABLE letter DROP CONSTRAINT letter_check1", letter(ended="now()")]),
    ("letters", "a letter that no open window holds", [letter(session=1, n=1)]),
    ("letters", "a letter that no open window holds", [letter(session=7, n=1)]),
    ("sessions", "an engine with two sessions alive",
     ["DROP INDEX session_alive", "INSERT INTO session (uuid, engine, boot, version, started_at)"
      " VALUES (gen_random_uuid(), 1, 'boot', '1', now())"]),
    ("sessions", "a retired engine that is alive", ["UPDATE engine SET retired_at = now()"]),
    ("guards", "a guard that is gone or off", ["ALTER TABLE delivery DISABLE TRIGGER delivery_keep"]),
    ("guards", "a guard that is gone or off", ["ALTER TABLE deferral DROP CONSTRAINT deferral_pkey"]),
    ("guards", "a constraint that was never proven",
     ["ALTER TABLE lane ADD CONSTRAINT odd CHECK (cursor >= 0) NOT VALID"]),
    ("sequences", "a sequence behind its table", ["ALTER SEQUENCE subscriber_id_seq RESTART WITH 1",
                                                  "SELECT nextval('subscriber_id_seq')"]),
])
def test_what_is_broken_is_named(busy, name, what, statements):
    break_it(busy, *statements)
    broken = check(busy, status=1)
    assert what in broken.get(name, []), broken
    row = next(row for row in busy.checked["invariants"] if row["name"] == name)
    assert row["broken"] >= 1 and row["remedy"] and all(told["who"] and told["detail"] for told in row["told"])


def test_a_take_of_a_paused_issue_is_named(busy):
    busy.ctl("issue", "pause", busy.issue)
    assert check(busy) == {}
    break_it(busy, window(kind="sweep", members="{6}"))
    assert check(busy, status=1)["issue_takes"] == ["a paused issue that was taken of"]
    busy.ctl("issue", "resume", busy.issue)
    assert "issue_takes" not in check(busy)
    assert busy.one("SELECT kind FROM anomaly") == "taken while paused"


def test_a_take_of_an_issue_that_has_ended_is_named(busy):
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    break_it(busy, window(kind="sweep", members="{6}"))
    assert check(busy, status=1)["issue_takes"] == ["an ended issue that was taken of"]


def test_a_take_by_a_dead_session_is_named(busy):
    busy.ask("UPDATE session SET dead = true")
    assert check(busy) == {}
    break_it(busy, window(kind="sweep", members="{6}"))
    assert check(busy, status=1)["window_takes"] == ["a window that a dead session took"]


def test_a_month_without_partitions_is_named(busy):
    break_it(busy, "CREATE TABLE kept AS SELECT * FROM delivery",
             "DO $$ BEGIN EXECUTE 'DROP TABLE ' || (SELECT string_agg(inhrelid::regclass::text, ', ') FROM pg_inherits"
             " WHERE inhparent = 'delivery'::regclass); END $$")
    assert check(busy, status=1)["partitions"] == ["a partition that is missing"] * 2


def test_a_partition_without_its_key_is_named(busy):
    break_it(busy, "ALTER TABLE attempt DROP CONSTRAINT attempt_pkey")
    assert set(check(busy, status=1)["partitions"]) == {"a partition without its key"}


def test_what_didnt_fit_is_told_and_breaks_nothing(busy):
    busy.ask("INSERT INTO anomaly (at, kind, issue, detail) VALUES (now(), 'outcome', %s, '{}')", busy.issue)
    assert check(busy) == {}
    row = busy.checked["invariants"][-1]
    assert (row["name"], row["broken"], row["told"][0]["what"]) == ("anomalies", 1, "outcome")
    assert "told      anomalies" in busy.ctl("db", "check")


def test_an_issue_that_doesnt_add_up_is_named(busy):
    break_it(busy, "UPDATE lane SET cursor = 7")
    assert check(busy, status=1) == {}
    [audit] = busy.checked["issues"]
    assert audit["wrong_readers"] == 2
    text = busy.ctl("db", "check", status=1)
    assert f"wrong: 2; name them: digestctl issue audit {busy.issue}" in text


def test_only_so_many_issues_are_proven(busy):
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    assert len(busy.json("db", "check", "--issues", "1")["issues"]) == 1
    assert busy.json("db", "check", "--issues", "0")["issues"] == []


def test_doubts_that_became_known_leave_the_counts_right(busy):
    busy.deliver(busy.issue, 1, [4])  # a late host
    assert check(busy) == {}


def test_what_a_retired_engine_left_and_tells_late_leaves_all_of_it_right(busy):
    retired = busy.session
    busy.ctl("engine", "retire", "1", "--force", "--yes")
    assert check(busy) == {}
    busy.engine("mail2")
    busy.ask("SELECT rows_put('outcome', jsonb_build_array(jsonb_build_object('issue', %s, 'subscriber', 5, 'at', now(),"
             " 'session', %s, 'n', 2, 'variant', 1, 'address_no', 1, 'outcome', 'delivered', 'attempt', 1, 'code', 250)),"
             " now())", busy.issue, retired)
    assert busy.one("SELECT delivered FROM send_window WHERE session = %s AND n = 2", retired) == 1
    assert check(busy) == {}
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    assert check(busy) == {}


def test_doubts_sent_again_leave_the_counts_right(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    assert check(busy) == {}
    n, readers = busy.take("retry")
    assert readers == [4]
    busy.deliver(busy.issue, n, [4], outcome="in_doubt", attempt=2)
    busy.settle(n, in_doubt=1)
    assert check(busy) == {}
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    n, _ = busy.take("retry")
    busy.deliver(busy.issue, n, [4], attempt=3)
    busy.settle(n, delivered=1)
    assert check(busy) == {}


def test_readers_that_come_and_go_leave_the_events_right(busy):
    def put(reader, kind, status=None, **more):
        busy.ask("SELECT subscription_put(%s, %s, %s, %s, %s, %s, %s, '{}', now())", busy.list, reader, kind,
                 more.get("edition"), status, more.get("zone"), more.get("topics"))

    other = busy.one("INSERT INTO edition (list, name, schedule, starts) VALUES (%s, 'other', 'manual', '-infinity')"
                     " RETURNING id", busy.list)
    put(6, "unsubscribe", "unsubscribed")
    put(6, "undo", "active")
    put(7, "move", edition=other)
    put(7, "move", edition=busy.edition)
    put(8, "zone", zone="Asia/Tokyo")
    put(8, "unsubscribe", "unsubscribed")
    put(8, "join", "pending")
    put(8, "confirm", "active")
    busy.ask("SELECT subscriber_suppress(5, 'complaint', now())")
    busy.ask("DELETE FROM subscriber WHERE id = 1")
    rows = [(1, "r6@one.example", "r6@one.example", "one.example", "Europe/Berlin", None, "active"),
            (2, "n@gmail.com", "n@gmail.com", "gmail.com", None, None, "pending"),
            (3, "r7@one.example", "r7@one.example", "one.example", None, other, "unsubscribed")]
    for row in rows:
        busy.ask("INSERT INTO import_row (import, n, line, email, email_norm, domain, name, attrs, lang, zone, edition,"
                 " status) VALUES (1, %s, 1, %s, %s, %s, 'N', '{}', '', %s, %s, %s)", *row)
    busy.ask("SELECT import_merge(1, 1, 9, %s, %s, '{}', false, now())", busy.list, busy.edition)
    assert check(busy) == {}


def test_people_read_a_line_an_invariant(busy):
    lines = busy.ctl("db", "check").splitlines()
    assert len(lines) == len(busy.json("db", "check")["invariants"]) + 1
    assert all(line.startswith("held  ") for line in lines)
    assert any("windows count what their readers' rows say (3 windows)" in line for line in lines)
    break_it(busy, "UPDATE delivery SET n = 77 WHERE subscriber = 1")
    text = busy.ctl("db", "check", status=1)
    assert "BROKEN    delivery_window" in text and "r1@one.example: a delivery by a window that never was" in text
    assert busy.errors == "digestctl: 2 invariants are broken\n"


def test_the_first_20_are_shown_and_the_rest_counted(news):
    for number in range(9, 41):
        news.reader(f"r{number}@one.example")
    break_it(news, "UPDATE subscription SET placed_gen = 99")
    text = news.ctl("db", "check", status=1)
    assert text.count("a stamp above") == 20 and "and 20 more; --all shows them" in text
    assert news.ctl("db", "check", "--all", status=1).count("a stamp above") == 40
    assert json.loads(news.ctl("db", "check", "--json", status=1))["invariants"][0]["broken"] == 40
