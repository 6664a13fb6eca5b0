"""The queue's SQL by itself: what the database refuses, whoever asks; who gets an issue; what a
window is and what becomes of it."""

import threading

import psycopg2
import pytest
from psycopg2 import errors

from queuedb import NOON, Queue, json


@pytest.fixture
def q(cluster, database):
    queue = Queue(cluster, database)
    yield queue
    queue.close()


# ---- what is refused ---------------------------------------------------------------------------

def on_list(**column):
    """A second list with one column as given."""
    row = {"name": "'other'", "title": "'T'", "from_addr": "'a@b.c'", "return_path": "'a@b.c'",
           "base_url": "'https://b.c'", **column}
    return f"INSERT INTO list ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_edition(**column):
    row = {"list": "{list}", "name": "'other'", "schedule": "'manual'", "starts": "now()", **column}
    return f"INSERT INTO edition ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_subscriber(**column):
    row = {"email": "'x@y.z'", "email_norm": "'x@y.z'", "domain": "'y.z'", **column}
    return f"INSERT INTO subscriber ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_subscription(**column):
    row = {"list": "{list}", "subscriber": "{reader}", "edition": "{hand}", "status": "'active'",
           "zone": "'UTC'", "provider": "'other'", "joined_gen": "1", "placed_gen": "1",
           "created_at": "now()", "status_at": "now()", **column}
    return f"INSERT INTO subscription ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_issue(**column):
    row = {"id": "202611900000", "uid": "'u'", "list": "{list}", "edition": "{hand}",
           "occurrence": "'o'", "gen": "1", "state": "'open'", "subject": "''", "topics": "'{{}}'",
           "for_all": "true", "content": "'{{}}'", "opened_at": "now()", "expires_at": "now()", **column}
    return f"INSERT INTO issue ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_window(**column):
    row = {"session": "{session}", "n": "50", "engine": "{engine}", "kind": "'fresh'", "issue": "{issue}",
           "provider": "'other'", "members": "'{{1,2}}'", "size": "2", "taken_at": "now()", **column}
    return f"INSERT INTO send_window ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_deferral(**column):
    row = {"issue": "{issue}", "subscriber": "1", "provider": "'other'", "due_at": "now()", "tries": "0",
           "first_at": "now()", "variant": "1", "cause": "''", **column}
    return f"INSERT INTO deferral ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_letter(**column):
    row = {"kind": "'test'", "list": "{list}", "address": "'a@b.c'", "created_at": "now()",
           "due_at": "now()", "expires_at": "now()", **column}
    return f"INSERT INTO letter ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def on_delivery(**column):
    row = {"issue": "{issue}", "subscriber": "1", "at": "now()", "session": "1", "n": "1", "variant": "1",
           "address_no": "1", "outcome": "'delivered'", "attempt": "1", **column}
    return f"INSERT INTO delivery ({', '.join(row)}) VALUES ({', '.join(row.values())})"


CHECK, TWICE, NOWHERE = errors.CheckViolation, errors.UniqueViolation, errors.ForeignKeyViolation
EMPTY, WRONG = errors.NotNullViolation, errors.InvalidTextRepresentation

REFUSED = {
    "list of no name": (on_list(name="''"), CHECK),
    "list of two words": (on_list(name="'two words'"), CHECK),
    "list in capitals": (on_list(name="'News'"), CHECK),
    "list of 64 characters": (on_list(name="repeat('a', 64)"), CHECK),
    "second list of a name": (on_list(name="'news'"), TWICE),
    "list without a title": (on_list(title="''"), CHECK),
    "sender that is no address": (on_list(from_addr="'nobody'"), CHECK),
    "sender of two lines": (on_list(from_addr="E'a@b.c\\nBcc: x@y.z'"), CHECK),
    "return path with a space": (on_list(return_path="'a@b .c'"), CHECK),
    "reply-to that is no address": (on_list(reply_to="'x'"), CHECK),
    "base URL of ftp": (on_list(base_url="'ftp://b.c'"), CHECK),
    "base URL with a slash at its end": (on_list(base_url="'https://b.c/'"), CHECK),
    "base URL with a space": (on_list(base_url="'https://b c'"), CHECK),
    "language in words": (on_list(lang="'english!'"), CHECK),
    "theme that is a path": (on_list(theme="'../x'"), CHECK),
    "settings that are no object": (on_list(settings="'[]'"), CHECK),
    "unknown policy": (on_list(doubt="'guess'"), WRONG),
    **{f"schedule {text!r}": (on_edition(schedule=f"'{text}'"), (CHECK, psycopg2.DataError)) for text in (
        "", "hourly", "daily", "daily 7:00", "daily 24:00", "daily 07:60", "daily 07:00 ", "weekly 07:00",
        "weekly xxx 07:00", "Weekly mon 07:00", "monthly 0 09:00", "monthly 32 09:00", "monthly 09:00",
        "manual 07:00")},
    "zone of somebody": (on_edition(zone_of="'mine'"), CHECK),
    "lifetime of nothing": (on_edition(lifetime="'0'"), CHECK),
    "second default edition": (on_edition(is_default="true"), TWICE),
    "second edition of a name": (on_edition(name="'hand'"), TWICE),
    "edition of no list": (on_edition(list="0"), NOWHERE),
    "subscriber without @": (on_subscriber(email="'xy.z'"), CHECK),
    "subscriber with a tab": (on_subscriber(email="E'x\\t@y.z'"), CHECK),
    "second subscriber of an address": (on_subscriber(email_norm="'reader1@a.example'"), TWICE),
    "attributes that are no object": (on_subscriber(attrs="'[1]'"), CHECK),
    "second subscription to a list": (on_subscription(), TWICE),
    "subscription to another list's edition": (on_subscription(edition="{foreign}", subscriber="{free}"), NOWHERE),
    "subscription of nobody": (on_subscription(subscriber="0"), NOWHERE),
    "joined after placed": (on_subscription(subscriber="{free}", joined_gen="2"), CHECK),
    "event of no kind": ("INSERT INTO subscription_event (at, list, subscriber, kind, edition, gen)"
                         " VALUES (now(), 1, 1, 'x', 1, 1)", CHECK),
    "link key 0": ("INSERT INTO link_key (id, secret) VALUES (0, gen_random_bytes(32))", CHECK),
    "link key 256": ("INSERT INTO link_key (id, secret) VALUES (256, gen_random_bytes(32))", CHECK),
    "short link key": ("INSERT INTO link_key (id, secret) VALUES (9, gen_random_bytes(31))", CHECK),
    "short secret": ("INSERT INTO secret VALUES ('x', gen_random_bytes(31))", CHECK),
    "suppression of a plain address": ("INSERT INTO suppression VALUES ('a@b.c', 'gone', now())", CHECK),
    "suppression for no reason": ("INSERT INTO suppression VALUES (gen_random_bytes(32), 'x', now())", CHECK),
    "two sessions alive": ("INSERT INTO session (uuid, engine, boot, version, started_at) VALUES"
                           " (gen_random_uuid(), {engine}, 'b', '1', now())", TWICE),
    "session of no engine": ("INSERT INTO session (uuid, engine, boot, version, started_at) VALUES"
                             " (gen_random_uuid(), 0, 'b', '1', now())", NOWHERE),
    "relay of no name": ("INSERT INTO relay (name) VALUES ('')", CHECK),
    "issue that ended and when is unknown": (on_issue(state="'done'"), CHECK),
    "open issue that has ended": (on_issue(ended_at="now()"), CHECK),
    "second issue of a uid": (on_issue(uid="(SELECT uid FROM issue)"), TWICE),
    "second issue of an occurrence": (on_issue(occurrence="(SELECT occurrence FROM issue)"), TWICE),
    "issue of another list's edition": (on_issue(edition="{foreign}"), NOWHERE),
    "article twice in an edition": ("INSERT INTO issue_article SELECT edition, article, revision, issue, 2"
                                    " FROM issue_article", TWICE),
    "second lane of a place": ("INSERT INTO lane SELECT * FROM lane", TWICE),
    "window 0": (on_window(n="0"), CHECK),
    "second window of a number": (on_window(n="1"), TWICE),
    "window of nobody": (on_window(size="0", members="'{{}}'"), CHECK),
    "window of 1,001": (on_window(size="1001", members="array_fill(1::bigint, ARRAY[1001])"), CHECK),
    "window of another size": (on_window(size="3"), CHECK),
    "window of no issue": (on_window(issue="NULL"), CHECK),
    "letters of an issue": (on_window(kind="'letter'"), CHECK),
    "open window without members": (on_window(members="NULL"), CHECK),
    "settled window with members": (on_window(settled_at="now()", delivered="2"), CHECK),
    "settled window that doesn't add up": (on_window(settled_at="now()", members="NULL", delivered="1"), CHECK),
    "second deferral of a reader": (on_deferral(subscriber="{put_off}"), TWICE),
    "fewer than no tries": (on_deferral(tries="-1"), CHECK),
    "deferral held by half a window": (on_deferral(session="1"), CHECK),
    "deferral of no issue": (on_deferral(issue="1"), NOWHERE),
    "letter that ended and when is unknown": (on_letter(outcome="'delivered'"), CHECK),
    "queued letter that ended": (on_letter(ended_at="now()"), CHECK),
    "letter held by half a window": (on_letter(n="1"), CHECK),
    "letter to no address": (on_letter(address="'x'"), CHECK),
    "letter twice in the queue": (on_letter(kind="'welcome'", subscriber="{reader}"), TWICE),
    "second delivery": (on_delivery(subscriber="{sent}"), TWICE),
    "delivery in a month of no partition": (on_delivery(issue="199901000001"), CHECK),
    "delivery without an outcome": (on_delivery(outcome="NULL"), EMPTY),
    "feed by gopher": ("INSERT INTO feed (name, url) VALUES ('x', 'gopher://x')", CHECK),
    "feed polled all the time": ("INSERT INTO feed (name, every) VALUES ('x', '0')", CHECK),
    "second feed of a name": ("INSERT INTO feed (name) VALUES ('source')", TWICE),
    "backfill below none": ("INSERT INTO feed (name, backfill) VALUES ('x', -1)", CHECK),
    "article twice in a feed": ("INSERT INTO article (feed, guid, title, published_at, seen_at, text_hash)"
                                " SELECT feed, guid, title, published_at, seen_at, text_hash FROM article", TWICE),
    "article without an id": ("UPDATE article SET guid = ''", CHECK),
    "article written upwards": ("UPDATE article SET dir = 'up'", CHECK),
}


@pytest.fixture(scope="module")
def world(cluster, template):
    """One of each thing, for statements that are refused and so leave nothing."""
    from conftest import fresh
    made = fresh(cluster, template)
    q = Queue(cluster, next(made))
    names = {"list": q.list, "hand": q.hand, "daily": q.daily}
    names["reader"], names["sent"], names["put_off"] = q.reader(), q.reader(), q.reader()
    names["free"] = q.subscriber()
    other = q.value("INSERT INTO list (name, title, from_addr, return_path, base_url) VALUES"
                    " ('foreign', 'F', 'a@b.c', 'a@b.c', 'https://b.c') RETURNING id")
    names["foreign"] = q.edition("foreign", "manual", list_id=other)
    names["issue"] = q.open()
    names["session"] = q.session()
    names["engine"] = q.value("SELECT engine FROM session")
    assert len(q.take("fresh", names["session"], 1)) == 3
    q.deliver(names["issue"], names["session"], 1, names["sent"])
    q.run(on_deferral(subscriber="{put_off}").format(**names))
    q.run(on_letter(kind="'welcome'", subscriber="{reader}").format(**names))
    yield q, names
    q.close()
    next(made, None)


@pytest.mark.parametrize("case", REFUSED)
def test_the_database_itself_refuses(world, case):
    q, names = world
    sql, error = REFUSED[case]
    with pytest.raises(error):
        q.run(sql.format(**names))


GOOD = [on_list(), on_list(name="repeat('a', 63)", lang="'zh-Hant-TW'", cfbl_address="'a@b.c'"),
        on_edition(), *(on_edition(schedule=f"'{text}'") for text in (
            "instant", "daily 00:00", "daily 23:59", "weekly sun 08:00", "monthly 31 09:00", "monthly 1 09:00")),
        on_subscriber(), on_subscriber(email="'ж@y.z'"), on_subscription(subscriber="{free}"), on_issue(),
        on_issue(state="'done'", ended_at="now()"), on_window(),
        on_window(settled_at="now()", members="NULL", delivered="1", deferred="1"),
        on_window(kind="'letter'", issue="NULL"), on_deferral(), on_deferral(session="1", n="1"), on_letter(),
        on_letter(outcome="'skipped'", ended_at="now()"), on_letter(kind="'goodbye'", subscriber="{reader}"),
        on_delivery()]


@pytest.mark.parametrize("case", range(len(GOOD)))
def test_what_is_right_is_taken(world, case):
    """The same statements with right values: so the refusals above are about what they name."""
    q, names = world
    db = q.connect(autocommit=False)
    q.run(GOOD[case].format(**names), db=db)
    db.rollback()
    db.close()


# ---- facts stay --------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [
    "content = '{\"x\": 1}'", "gen = gen + 1", "uid = 'other'", "subject = 'other'", "topics = '{a}'",
    "for_all = NOT for_all", "occurrence = 'other'", "state = 'draft'"])
def test_an_open_issue_never_changes(q, change):
    issue = q.open()
    with pytest.raises(errors.RestrictViolation):
        q.run(f"UPDATE issue SET {change} WHERE id = %s", issue)
    q.run("UPDATE issue SET state = 'paused' WHERE id = %s", issue)
    with pytest.raises(errors.RestrictViolation):
        q.run(f"UPDATE issue SET {change} WHERE id = %s", issue)
    q.run("UPDATE issue SET state = 'open', expires_at = expires_at + '1 day' WHERE id = %s", issue)


@pytest.mark.parametrize("end", ["cancelled", "expired", "done"])
def test_an_issue_that_has_ended_stays_so(q, end):
    issue = q.open()
    q.run("UPDATE issue SET state = %s, ended_at = %s WHERE id = %s", end, NOON, issue)
    for state in {"open", "paused", "cancelled", "done"} - {end}:
        with pytest.raises((errors.RestrictViolation, errors.CheckViolation)):
            q.run("UPDATE issue SET state = %s, ended_at = CASE WHEN %s IN ('cancelled', 'done') THEN"
                  " ended_at END WHERE id = %s", state, state, issue)


@pytest.mark.parametrize("outcome", ["delivered", "refused", "expired", "skipped"])
def test_a_known_outcome_stays(q, outcome):
    issue = q.open()
    q.deliver(issue, 1, 1, 5, outcome=outcome)
    partition = q.value("SELECT tableoid::regclass::text FROM delivery")
    assert partition == "delivery_202611"
    for table in "delivery", partition:
        for change in "outcome = 'in_doubt'", "outcome = 'delivered'", "queue_id = 'x'", "subscriber = 6":
            with pytest.raises(errors.RestrictViolation):
                q.run(f"UPDATE {table} SET {change}")
        with pytest.raises(errors.RestrictViolation):
            q.run(f"DELETE FROM {table}")


def test_doubt_becomes_known_once(q):
    issue = q.open()
    q.deliver(issue, 1, 1, 5, outcome="in_doubt")
    for change in "outcome = 'skipped'", "outcome = 'expired'", "subscriber = 6":
        with pytest.raises(errors.RestrictViolation):
            q.run(f"UPDATE delivery SET {change}")
    q.run("UPDATE delivery SET outcome = 'refused'")
    with pytest.raises(errors.RestrictViolation):
        q.run("UPDATE delivery SET outcome = 'delivered'")


# ---- who gets an issue: stamps -----------------------------------------------------------------


@pytest.fixture
def later(q):
    """A reader who joined at gen 1, and the editions' gens raised: daily to 7, hand to 9."""
    reader = q.reader("ada@gmail.com")
    q.run("UPDATE edition SET gen = CASE WHEN id = %s THEN 7 ELSE 9 END WHERE list = %s", q.daily, q.list)
    assert q.stamps(reader) == (1, 1)
    return reader


def test_a_join_is_stamped_with_its_editions_gen(q, later):
    assert q.stamps(q.reader()) == (9, 9)
    assert q.stamps(q.reader(edition=q.daily)) == (7, 7)


@pytest.mark.parametrize("kind", ["move", "topics", "pause", "suppress", "unsubscribe"])
def test_what_moves_nobody_stamps_nothing(q, later, kind):
    q.put(later, kind, topics=["a"])
    assert q.stamps(later) == (1, 1)
    q.put(later, kind, status="unsubscribed")
    assert q.stamps(later) == (1, 1)


@pytest.mark.parametrize("kind", ["join", "import", "confirm"])
def test_who_is_active_is_not_made_to_join_again(q, later, kind):
    """Else an import of those who are there would take the issue from them that is just going out."""
    q.put(later, kind, status="active")
    assert q.stamps(later) == (1, 1)


@pytest.mark.parametrize("kind", ["join", "import", "confirm"])
@pytest.mark.parametrize("before", ["pending", "unsubscribed"])
def test_who_becomes_active_joins(q, later, kind, before):
    q.run("UPDATE subscription SET status = %s", before)
    q.put(later, kind, status="active")
    assert q.stamps(later) == (9, 9)


def test_another_zone_provider_or_address_places_anew(q, later):
    q.put(later, "zone", zone="Asia/Tokyo")
    assert q.stamps(later) == (1, 9)
    q.run("UPDATE edition SET gen = 10 WHERE id = %s", q.hand)
    q.put(later, "zone", zone="Asia/Tokyo")
    assert q.stamps(later) == (1, 9)
    q.run("UPDATE subscriber SET domain = 'yahoo.com' WHERE id = %s", later)
    q.put(later, "provider")
    assert q.stamps(later) == (1, 10)
    assert q.value("SELECT provider FROM subscription") == "yahoo"
    q.run("UPDATE edition SET gen = 11 WHERE id = %s", q.hand)
    q.put(later, "address")
    assert q.stamps(later) == (1, 11)


def test_another_edition_is_a_join_there(q, later):
    q.put(later, "move", edition=q.daily)
    assert q.stamps(later) == (7, 7)


def test_an_undone_unsubscribe_keeps_the_join(q, later):
    q.put(later, "unsubscribe", status="unsubscribed")
    q.put(later, "undo", status="active")
    assert q.stamps(later) == (1, 9)


def test_each_change_is_noted(q, later):
    q.put(later, "zone", zone="Asia/Tokyo")
    q.put(later, "unsubscribe", status="unsubscribed")
    assert q.rows("SELECT kind, edition, gen, status_before::text, status::text, zone_before, zone"
                  " FROM subscription_event ORDER BY id") == [
        ("join", q.hand, 1, None, "active", None, "UTC"),
        ("zone", q.hand, 9, "active", "active", "UTC", "Asia/Tokyo"),
        ("unsubscribe", q.hand, 9, "active", "unsubscribed", "Asia/Tokyo", "Asia/Tokyo")]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "+02:00", "12"])
def test_a_zone_that_is_none_is_refused(q, zone):
    with pytest.raises(errors.InvalidParameterValue):
        q.reader(zone=zone)


def test_a_list_without_a_default_edition_says_so(q):
    q.run("UPDATE edition SET is_default = false")
    with pytest.raises(errors.InvalidParameterValue, match="default edition"):
        q.put(q.subscriber(), "join", status="active")


# ---- opening -----------------------------------------------------------------------------------


class Later:
    """A statement on a connection of its own, in a thread: it may have to wait."""

    def __init__(self, q, sql, *params):
        self.db, self.result, self.error = q.connect(), None, None
        self.pid = self.db.get_backend_pid()

        def run():
            try:
                self.result = q.value(sql, *params, db=self.db)
            except psycopg2.Error as error:
                self.error = error
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        self.q = q

    def waits(self):
        for _ in range(30_000):
            if self.q.value("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", self.pid):
                return True
            self.thread.join(0.01)
            if not self.thread.is_alive():
                return False
        return False

    def end(self):
        self.thread.join(300)
        assert not self.thread.is_alive()
        self.db.close()
        if self.error:
            raise self.error
        return self.result


OPEN = "SELECT issue_open(%s, 'x', NULL, NULL, '{}', %s)"


def test_an_opener_waits_for_a_join_under_way_and_has_the_reader(q):
    q.article()
    subscriber = q.subscriber()
    joiner = q.connect(autocommit=False)
    q.put(subscriber, "join", q.hand, "active", db=joiner)
    opener = Later(q, OPEN, q.hand, NOON)
    assert opener.waits()
    joiner.commit()
    issue = opener.end()
    assert q.stamps(subscriber) == (1, 1)
    assert q.value("SELECT gen FROM issue WHERE id = %s", issue) == 1
    assert q.take("fresh", q.session(), 1) == [subscriber]
    joiner.close()


def test_an_opener_waits_for_a_reader_who_goes_to_another_edition(q):
    q.article()
    reader = q.reader()
    mover = q.connect(autocommit=False)
    q.put(reader, "move", q.daily, db=mover)
    opener = Later(q, OPEN, q.hand, NOON)
    assert opener.waits()
    mover.commit()
    opener.end()
    assert q.take("fresh", q.session(), 1) is None
    mover.close()


def test_who_joins_while_an_issue_opens_gets_the_next(q):
    q.article()
    q.reader()
    subscriber = q.subscriber()
    opener = q.connect(autocommit=False)
    issue = q.value(OPEN, q.hand, NOON, db=opener)
    joiner = Later(q, "SELECT subscription_put(%s, %s, 'join', %s, 'active', NULL, NULL, '{}', %s)", q.list,
                   subscriber, q.hand, NOON)
    assert joiner.waits()
    opener.commit()
    assert joiner.end() == "active"
    assert q.stamps(subscriber) == (2, 2)
    session = q.session()
    assert subscriber not in q.take("fresh", session, 1)
    q.settle(session, 1, delivered=1)
    q.take("sweep", session, 2)
    assert q.state(issue) == "done"
    assert q.open() and subscriber in q.take("fresh", session, 3)
    opener.close()


def test_of_two_openers_one_opens(q):
    q.article()
    q.reader()
    first = q.connect(autocommit=False)
    issue = q.value(OPEN, q.hand, NOON, db=first)
    second = Later(q, OPEN, q.hand, NOON)
    assert second.waits()
    first.commit()
    assert issue is not None and second.end() is None
    assert q.value("SELECT count(*) FROM issue") == 1
    assert q.value("SELECT gen FROM edition WHERE id = %s", q.hand) == 2
    first.close()


def test_nothing_new_opens_nothing_and_the_day_counts_as_done(q):
    assert q.value("SELECT issue_open(%s, '2026-11-24', NULL, NULL, '{}', %s)", q.daily, NOON) is None
    assert str(q.value("SELECT last_occurrence FROM edition WHERE id = %s", q.daily)) == "2026-11-24"
    q.open(q.daily, "2026-11-25")
    assert q.value("SELECT issue_open(%s, '2026-11-26', NULL, NULL, '{}', %s)", q.daily, NOON) is None
    q.run("UPDATE article SET revision = 2")
    assert q.value("SELECT issue_open(%s, '2026-11-26', NULL, NULL, '{}', %s)", q.daily, NOON) is not None


def test_lanes_are_the_places_where_readers_are(q):
    for email, zone in (("a@gmail.com", "UTC"), ("b@gmail.com", "Asia/Tokyo"), ("c@gmail.com", "UTC"),
                        ("d@x.example", "UTC")):
        q.reader(email, zone=zone)
    gone = q.reader("e@gmx.de")
    q.put(gone, "unsubscribe", status="unsubscribed")
    issue = q.open()
    assert q.rows("SELECT zone, provider, cursor, eaten FROM lane WHERE issue = %s ORDER BY 1, 2", issue) == [
        ("Asia/Tokyo", "gmail", 0, False), ("UTC", "gmail", 0, False), ("UTC", "other", 0, False)]


# ---- takes -------------------------------------------------------------------------------------


def test_the_cursor_moves_to_the_last_that_was_scanned(q):
    readers = [q.reader() for _ in range(6)]
    for reader in readers[2:4]:
        q.run("UPDATE subscriber SET suppressed_at = now() WHERE id = %s", reader)
    issue, session = q.open(), q.session()
    cursor = "SELECT cursor, eaten FROM lane WHERE issue = %s"
    assert q.take("fresh", session, 1, limit=2) == readers[:2]
    assert q.rows(cursor, issue) == [(readers[1], False)]
    assert q.take("fresh", session, 2, limit=2) == []
    assert q.rows(cursor, issue) == [(readers[3], False)]
    assert q.take("fresh", session, 2, limit=2) == readers[4:]
    assert q.rows(cursor, issue) == [(readers[5], False)]
    assert q.take("fresh", session, 3, limit=2) == []
    assert q.rows(cursor, issue) == [(readers[5], True)]
    assert q.take("fresh", session, 3, limit=2) is None
    assert q.rows("SELECT n, size, members FROM send_window ORDER BY n") == [
        (1, 2, readers[:2]), (2, 2, readers[4:])]


def test_the_cursor_moves_past_those_who_came_later(q):
    first = q.reader()
    q.open()
    session = q.session()
    for _ in range(3):
        q.reader()
    assert q.take("fresh", session, 1, limit=1) == [first]
    assert q.take("fresh", session, 2, limit=2) == [] and q.take("fresh", session, 2, limit=2) == []
    assert q.take("fresh", session, 2, limit=2) is None


def test_issues_and_their_lanes_take_turns(q):
    """A great issue holds no other up, nor one lane of it the others."""
    for zone in "UTC", "Asia/Tokyo":
        for _ in range(2):
            q.reader(zone=zone)
    one, two = q.open(), q.open()
    session = q.session()
    zones = []
    for n in range(1, 9):
        [reader] = q.take("fresh", session, n, limit=1, now=f"2026-11-24 12:00:{n:02}+00")
        zones.append(q.value("SELECT zone FROM subscription WHERE subscriber = %s", reader))
    issues = [row[0] for row in q.rows("SELECT issue FROM send_window ORDER BY n")]
    assert sorted(issues[:2]) == sorted([one, two]) and issues == issues[:2] * 4
    for issue in one, two:
        mine = [zone for of, zone in zip(issues, zones) if of == issue]
        assert sorted(mine[:2]) == ["Asia/Tokyo", "UTC"] and mine == mine[:2] * 2


def test_a_take_leaves_out_who_may_not_be_sent_to(q):
    fits, left, suppressed, moved, paused, topic, sent, put_off = (q.reader() for _ in range(8))
    q.put(topic, "topics", topics=["fish"])
    q.put(fits, "topics", topics=["ships", "fish"])
    issue, session = q.open(topics=["ships"]), q.session()
    q.put(left, "unsubscribe", status="unsubscribed")
    q.run("SELECT subscriber_suppress(%s, 'complaint', %s)", suppressed, NOON)
    q.put(moved, "move", q.daily)
    q.run("UPDATE subscription SET paused_until = '2026-12-01' WHERE subscriber = %s", paused)
    q.deliver(issue, session, 99, sent)
    q.run("INSERT INTO deferral (issue, subscriber, provider, due_at, tries, first_at, variant, cause)"
          " VALUES (%s, %s, 'other', '2027-01-01', 1, now(), 1, '')", issue, put_off)
    assert q.take("fresh", session, 1) == [fits]
    why = dict(q.rows("SELECT r.subscriber, r.why_not FROM issue_readers(%s, %s, %s) r", issue,
                      [fits, left, suppressed, moved, paused, topic, 0], NOON))
    assert why == {fits: None, left: "unsubscribed", suppressed: "suppressed", moved: "moved", paused: "paused",
                   topic: "no topic", 0: "erased"}
    assert q.rows("SELECT r.why_not FROM issue_readers(%s, %s, '2027-01-01') r", issue, [fits]) == [("expired",)]


@pytest.mark.parametrize("kind", ["fresh", "retry", "sweep"])
@pytest.mark.parametrize("fence", ["dead session", "no session", "paused issue", "cancelled issue", "busy",
                                   "unready history"])
def test_a_take_is_fenced(q, kind, fence):
    reader = q.reader()
    issue, session = q.open(), q.session()
    if kind == "retry":
        q.run(on_deferral(subscriber=str(reader), due_at="'2026-11-24'").format(issue=issue))
    if kind == "sweep":
        q.put(reader, "zone", zone="Asia/Tokyo")
        assert q.take("fresh", session, 9) == []
    busy = ["other"] if fence == "busy" else []
    if fence == "dead session":
        q.run("UPDATE session SET dead = true")
    elif fence == "unready history":
        q.run("INSERT INTO server (system_identifier, timeline, cause, seen_at)"
              " SELECT h.system_identifier, h.timeline, 'new timeline', now() FROM server_here() h")
    elif fence == "paused issue":
        q.run("UPDATE issue SET state = 'paused'")
    elif fence == "cancelled issue":
        q.run("UPDATE issue SET state = 'cancelled', ended_at = now()")
    now = "2026-11-25"
    assert q.take(kind, 0 if fence == "no session" else session, 1, busy=busy, now=now) is None
    assert q.value("SELECT count(*) FROM send_window") == 0
    assert q.value("SELECT ended_at IS NULL OR state = 'cancelled' FROM issue")
    if fence in ("paused issue", "busy", "no session"):
        q.run("UPDATE issue SET state = 'open'")
        assert q.take(kind, session, 1, now=now) == [reader]


def test_an_expired_issue_is_not_taken_and_what_was_put_off_comes_to_its_end(q):
    reader, other = q.reader(), q.reader()
    issue, session = q.open(), q.session()
    q.run(on_deferral(subscriber=str(other), due_at="'2026-11-24'").format(issue=issue))
    late = "2026-12-24"
    assert q.take("fresh", session, 1, now=late) is None
    assert q.take("sweep", session, 1, now=late) is None
    assert q.state(issue) == "open"
    rows = q.rows("SELECT (w.reader).subscriber, (w.reader).why_not FROM"
                  " window_take_retry(%s, 1, 10, '{}', %s) w", session, late)
    assert rows == [(other, "expired")]
    q.deliver(issue, session, 1, other, outcome="expired")
    assert q.take("sweep", session, 2, now=late) is None and q.state(issue) == "open"
    assert q.settle(session, 1, expired=1)
    assert q.take("sweep", session, 2, now=late) is None
    assert q.state(issue) == "expired"
    assert reader


def test_a_take_of_another_leaves_the_lane_alone(q):
    q.reader(zone="UTC"), q.reader(zone="Asia/Tokyo")
    q.open()
    one, two = q.session(), q.session()
    first = q.connect(autocommit=False)
    taken = q.take("fresh", one, 1, db=first)
    others = q.take("fresh", two, 1)
    assert len(taken) == len(others) == 1 and taken != others
    assert q.take("fresh", two, 2) is None
    first.rollback()
    assert q.take("fresh", two, 2) == taken
    first.close()


def test_only_who_is_due_is_tried_again(q):
    soon, later = q.reader(), q.reader()
    issue, session = q.open(), q.session()
    for reader, due in (soon, "'2026-11-24 12:00:00+00'"), (later, "'2026-11-24 12:00:01+00'"):
        q.run(on_deferral(subscriber=str(reader), due_at=due).format(issue=issue))
    assert q.take("retry", session, 1, now="2026-11-24 11:59:59+00") is None
    assert q.take("retry", session, 1) == [soon]
    assert q.take("retry", session, 2) is None
    assert q.take("retry", session, 2, now="2026-11-24 12:00:01+00") == [later]


def test_lanes_open_at_their_own_time(q):
    edition = q.edition("mornings", "daily 07:00", "reader", starts="2020-01-01")
    east, west = q.reader(edition=edition, zone="Asia/Tokyo"), q.reader(edition=edition, zone="America/New_York")
    issue, session = q.open(edition, "2026-11-24", now="2026-11-23 22:00:00+00"), q.session()
    assert [str(row[0]) for row in q.rows("SELECT not_before FROM lane ORDER BY 1")] == [
        "2026-11-23 22:00:00+00:00", "2026-11-24 12:00:00+00:00"]
    assert q.take("fresh", session, 1, now="2026-11-23 22:00:00+00") == [east]
    assert q.take("fresh", session, 2, now="2026-11-24 11:59:59+00") is None
    assert q.take("fresh", session, 2, now="2026-11-24 12:00:00+00") == [west]
    assert str(q.value("SELECT expires_at FROM issue WHERE id = %s", issue)) == "2026-11-27 12:00:00+00:00"


# ---- the sweep ---------------------------------------------------------------------------------


def test_the_sweep_finds_who_moved_between_lanes_and_who_came_back(q):
    still, moved, undone, late = q.reader(), q.reader(), q.reader(), q.subscriber()
    q.put(undone, "unsubscribe", status="unsubscribed")
    issue, session = q.open(), q.session()
    q.put(moved, "zone", zone="Asia/Tokyo")
    q.put(undone, "undo", status="active")
    q.put(late, "join", q.hand, "active")
    assert q.take("fresh", session, 1) == [still]
    assert q.take("sweep", session, 2) is None and q.state(issue) == "open", "a window is open"
    q.deliver(issue, session, 1, still)
    q.settle(session, 1, delivered=1)
    assert q.take("sweep", session, 2) == [moved, undone]
    assert q.value("SELECT kind FROM send_window WHERE n = 2") == "sweep"
    assert q.take("sweep", session, 3) is None and q.state(issue) == "open"
    q.deliver(issue, session, 2, moved)
    q.run(on_deferral(subscriber=str(undone), due_at="'2026-11-24'").format(issue=issue))
    q.settle(session, 2, delivered=1, deferred=1)
    assert q.take("sweep", session, 3) is None and q.state(issue) == "open", "one is put off"
    assert q.take("retry", session, 3) == [undone]
    q.deliver(issue, session, 3, undone)
    q.settle(session, 3, delivered=1)
    assert q.take("sweep", session, 4) is None
    assert q.state(issue) == "done"
    assert late not in [row[0] for row in q.rows("SELECT subscriber FROM delivery")]


def test_the_sweep_takes_one_provider_a_window(q):
    readers = [q.reader(email) for email in ("a@gmail.com", "b@x.example", "c@gmail.com")]
    q.open()
    for reader in readers:
        q.put(reader, "zone", zone="Asia/Tokyo")
    session = q.session()
    while q.take("fresh", session, 9) is not None:
        pass
    assert q.take("sweep", session, 1, busy=["gmail"]) == [readers[1]]
    q.deliver(q.value("SELECT id FROM issue"), session, 1, readers[1])
    q.settle(session, 1, delivered=1)
    assert q.take("sweep", session, 2, busy=["gmail"]) is None
    assert q.value("SELECT state FROM issue") == "open"
    assert q.take("sweep", session, 2) == [readers[0], readers[2]]


def test_an_issue_stays_open_while_doubts_are_held(q):
    """They could not be sent again after its end."""
    reader = q.reader()
    issue, session = q.open(), q.session()
    assert q.take("fresh", session, 1) == [reader]
    q.deliver(issue, session, 1, reader, outcome="in_doubt")
    q.run("UPDATE delivery SET reason = 'in doubt, held: the journal is missing'")
    q.settle(session, 1, in_doubt=1)
    assert q.take("sweep", session, 2) is None and q.state(issue) == "open"
    assert q.value("SELECT issue_doubts_settle(%s, 'skip', %s)", issue, NOON) == 1
    assert q.take("sweep", session, 2) is None and q.state(issue) == "done"


def test_an_issue_of_nobody_is_done(q):
    issue = q.open()
    assert q.take("sweep", q.session(), 1) is None
    assert q.state(issue) == "done"


# ---- settling ----------------------------------------------------------------------------------


def test_a_window_is_settled_once_and_keeps_its_counts(q):
    readers = [q.reader() for _ in range(3)]
    q.open()
    session = q.session()
    q.take("fresh", session, 1)
    with pytest.raises(errors.CheckViolation):
        q.settle(session, 1, delivered=2)
    assert q.settle(session, 1, delivered=2, in_doubt=1)
    assert not q.settle(session, 1, delivered=3)
    assert not q.settle(session, 2, delivered=3)
    assert q.rows("SELECT members, size, delivered, in_doubt FROM send_window") == [(None, len(readers), 2, 1)]


def test_settling_a_retry_ends_the_deferrals_that_it_still_holds(q):
    readers = [q.reader() for _ in range(3)]
    issue, session = q.open(), q.session()
    for reader in readers:
        q.run(on_deferral(subscriber=str(reader), due_at="'2026-11-24'").format(issue=issue))
    assert q.take("retry", session, 5, limit=2) == readers[:2]
    assert q.rows("SELECT session, n FROM deferral ORDER BY subscriber") == [(session, 5), (session, 5), (None, None)]
    assert q.take("retry", session, 6) == readers[2:]
    row = q.rows("SELECT row_to_json(d) FROM deferral d WHERE subscriber = %s", readers[1])[0][0]
    q.run("SELECT deferral_put(%s)", json([{**row, "tries": 2, "cause": "mailbox full", "due_at": "2026-11-25",
                                             "first_at": "2030-01-01", "provider": "gmail"}]))
    assert q.settle(session, 5, delivered=1, deferred=1)
    assert q.rows("SELECT subscriber, tries, cause, session, provider, first_at < '2030-01-01' FROM deferral"
                  " ORDER BY subscriber") == [
        (readers[1], 2, "mailbox full", None, "other", True), (readers[2], 0, "", session, "other", True)]


def test_an_open_window_tells_what_was_recorded(q):
    sent, put_off, left, waits = (q.reader() for _ in range(4))
    issue, session = q.open(), q.session()
    q.take("fresh", session, 1)
    q.deliver(issue, session, 1, sent)
    q.run(on_deferral(subscriber=str(put_off)).format(issue=issue))
    q.put(left, "unsubscribe", status="unsubscribed")
    rows = q.rows("SELECT (w.reader).subscriber, (w.reader).why_not, w.recorded FROM"
                  " window_readers(%s, 1, %s) w ORDER BY 1", session, NOON)
    assert rows == [(sent, None, "delivered"), (put_off, None, "deferred"), (left, "unsubscribed", None),
                    (waits, None, None)]
    q.settle(session, 1, delivered=2, deferred=1, skipped=1)
    assert q.rows("SELECT * FROM window_readers(%s, 1, %s)", session, NOON) == []


def test_who_was_put_off_and_got_it_by_another_window_is_not_sent_to_again(q):
    """The engine dies while a slow reader holds the first window open, and settles it from its journal,
    which tells of the answer that put the other one off."""
    put_off, slow = q.reader(), q.reader()
    issue, session = q.open(), q.session()
    q.take("fresh", session, 1)
    q.run(on_deferral(subscriber=str(put_off), due_at="'2026-11-24'").format(issue=issue))
    row = q.value("SELECT row_to_json(d) FROM deferral d")
    assert q.take("retry", session, 2) == [put_off]
    q.deliver(issue, session, 2, put_off)
    q.settle(session, 2, delivered=1)
    rows = "SELECT (w.reader).subscriber, w.recorded FROM window_readers(%s, 1, %s) w ORDER BY 1"
    assert q.rows(rows, session, NOON) == [(put_off, "deferred"), (slow, None)]
    q.run("SELECT deferral_put(%s)", json([row]))
    assert q.value("SELECT count(*) FROM deferral") == 0


def test_who_is_in_doubt_may_be_put_off(q):
    reader = q.reader()
    issue, session = q.open(), q.session()
    q.take("fresh", session, 1)
    q.deliver(issue, session, 1, reader, outcome="in_doubt")
    q.settle(session, 1, in_doubt=1)
    q.run(on_deferral(subscriber=str(reader), due_at="'2026-11-24'").format(issue=issue))
    assert q.take("retry", session, 2) == [reader]
    assert q.rows("SELECT w.recorded FROM window_readers(%s, 2, %s) w", session, NOON) == [(None,)]
    row = q.value("SELECT row_to_json(d) FROM deferral d")
    q.run("SELECT deferral_put(%s)", json([{**row, "tries": 3}]))
    assert q.rows("SELECT tries, session FROM deferral") == [(3, None)]


@pytest.mark.parametrize("end", ["skipped", "expired"])
def test_who_stays_in_doubt_is_counted_so(q, end):
    """An operator had it sent again, and the reader was gone by then."""
    later = "2026-11-24 12:05:00+00"
    reader, other = q.reader(), q.reader()
    issue, session = q.open(), q.session()
    q.take("fresh", session, 1)
    q.deliver(issue, session, 1, reader, other, outcome="in_doubt")
    q.settle(session, 1, in_doubt=2)
    assert q.value("SELECT issue_doubts_settle(%s, 'resend', %s)", issue, NOON) == 2
    assert q.take("retry", session, 2) == [reader, other]
    put(q, row_of(issue, reader, session=session, n=2, at=later, outcome=end, attempt=0),
        row_of(issue, other, session=session, n=2, at=later, attempt=2))
    q.settle(session, 2, delivered=1, **{end: 1})
    assert outcomes(q) == [(reader, "in_doubt", session), (other, "delivered", session)]
    sums = "SELECT sum(delivered), sum(in_doubt), sum(skipped + expired), sum(deferred) FROM send_window"
    assert q.rows(sums) == [(1, 1, 0, 2)]
    # And so when it is decided again.
    assert q.value("SELECT issue_doubts_settle(%s, 'resend', %s)", issue, NOON) == 1
    assert q.rows(sums) == [(1, 0, 0, 3)]
    assert q.take("retry", session, 3) == [reader]
    put(q, row_of(issue, reader, session=session, n=3, at=later, outcome=end, attempt=0))
    q.settle(session, 3, **{end: 1})
    assert q.rows(sums) == [(1, 1, 0, 3)]


def row_of(of_issue, to, **more):
    return {"issue": of_issue, "subscriber": to, "at": NOON, "session": 1, "n": 1, "variant": 1,
            "address_no": 1, "outcome": "delivered", "attempt": 1, **more}


def put(q, *rows):
    return q.value("SELECT rows_put('outcome', %s, %s)", json(list(rows)), NOON)


def outcomes(q):
    return q.rows("SELECT subscriber, outcome::text, session FROM delivery ORDER BY 1")


def attempts(q):
    return q.rows("SELECT subscriber, cause, session FROM attempt ORDER BY 1, 2")


def test_the_same_fact_twice_is_one(q):
    issue = q.open()
    assert put(q, row_of(issue, 1)) == 0
    assert put(q, row_of(issue, 1), row_of(issue, 2)) == 0
    assert outcomes(q) == [(1, "delivered", 1), (2, "delivered", 1)] and attempts(q) == []


def test_a_second_fact_is_kept_beside_the_first(q):
    issue = q.open()
    put(q, row_of(issue, 1))
    assert put(q, row_of(issue, 1, session=2, outcome="refused", code=550)) == 0
    assert put(q, row_of(issue, 1, session=2, outcome="refused", code=550)) == 0
    assert outcomes(q) == [(1, "delivered", 1)]
    assert attempts(q) == [(1, "second fact: refused", 2)]


@pytest.mark.parametrize("known", ["delivered", "refused"])
def test_a_doubt_becomes_known_and_stays_as_an_attempt(q, known):
    issue = q.open()
    put(q, row_of(issue, 1, outcome="in_doubt", reason="cut"))
    assert put(q, row_of(issue, 1, session=2, outcome=known, attempt=2, queue_id="Q")) == 0
    assert outcomes(q) == [(1, known, 2)]
    assert q.value("SELECT queue_id FROM delivery") == "Q"
    assert q.rows("SELECT cause, reply, session, attempt FROM attempt") == [("in doubt", "cut", 1, 1)]


def test_a_doubt_does_not_undo_a_fact_nor_a_skip_a_doubt(q):
    issue = q.open()
    put(q, row_of(issue, 1), row_of(issue, 2, outcome="in_doubt"))
    put(q, row_of(issue, 1, session=2, outcome="in_doubt"), row_of(issue, 2, session=2, outcome="skipped"))
    assert outcomes(q) == [(1, "delivered", 1), (2, "in_doubt", 1)]
    assert attempts(q) == [(1, "second fact: in_doubt", 2), (2, "in doubt, not sent again: skipped", 2)]


def doubted(q):
    """A reader whose first try is in doubt, in a window that is settled."""
    reader = q.reader()
    issue, session = q.open(), q.session()
    q.take("fresh", session, 1)
    put(q, row_of(issue, reader, session=session, outcome="in_doubt", reason="in doubt: cut"))
    q.settle(session, 1, in_doubt=1)
    return reader, issue, session


def unsent(q, issue, reader, session, n):
    return q.value("SELECT doubt_unsent(%s, %s, %s, %s, false, 'the engine came back', %s)", issue, reader, session, n, NOON)


def test_a_late_engine_puts_nobody_off_who_was_tried_again_since(q):
    reader, issue, session = doubted(q)
    assert q.value("SELECT issue_doubts_settle(%s, 'resend', %s)", issue, NOON) == 1
    assert q.take("retry", session, 2) == [reader]
    assert not unsent(q, issue, reader, session, 1), "another window holds them"
    put(q, row_of(issue, reader, session=session, n=2, at="2026-11-24 12:05:00+00", outcome="in_doubt", attempt=2))
    q.settle(session, 2, in_doubt=1)
    assert not unsent(q, issue, reader, session, 1), "another window's try is in doubt"
    assert q.value("SELECT count(*) FROM deferral") == 0
    assert unsent(q, issue, reader, session, 2)


@pytest.mark.parametrize("end, becomes", [("cancelled", "skipped"), ("expired", "expired"), ("done", "expired")])
def test_what_a_late_engine_knows_of_an_issue_that_has_ended(q, end, becomes):
    reader, issue, session = doubted(q)
    q.run(f"UPDATE issue SET state = '{end}', ended_at = now()")
    assert unsent(q, issue, reader, session, 1)
    assert outcomes(q) == [(reader, becomes, session)]
    assert q.value("SELECT count(*) FROM deferral") == 0
    assert q.rows(f"SELECT in_doubt, {becomes} FROM send_window") == [(0, 1)]


@pytest.mark.parametrize("odd", [
    {"issue": 199901000001}, {"outcome": "lost"}, {"code": 99999}, {"outcome": None}, {"at": "yesterdaj"},
    {"subscriber": "x"}, {"subscriber": 1e30}])
def test_a_row_that_does_not_go_in_is_an_anomaly_and_holds_up_nobody(q, odd):
    issue = q.open()
    assert put(q, row_of(issue, 1), row_of(issue, 2, **odd), row_of(issue, 3)) == 1
    assert [row[0] for row in outcomes(q)] == [1, 3]
    kind, detail = q.rows("SELECT kind, detail FROM anomaly")[0]
    assert kind == "outcome" and detail["error"] and "variant" in detail["row"]


def test_odd_attempts_are_anomalies_too(q):
    issue = q.open()
    good = {"issue": issue, "subscriber": 1, "at": NOON, "session": 1, "n": 1, "attempt": 1, "cause": "full"}
    assert q.value("SELECT rows_put('attempt', %s, %s)", json([good, good, {**good, "cause": None, "n": 2},
                                                               {**good, "attempt": 70000}, 5]), NOON) == 3
    assert attempts(q) == [(1, "full", 1)]
    assert q.value("SELECT count(*) FROM anomaly WHERE kind = 'attempt'") == 3


# ---- letters -----------------------------------------------------------------------------------


def letter(q, subscriber, kind="welcome", now=NOON):
    return q.value("SELECT letter_put(%s, %s, %s, 'a@b.c', NULL, '1 day', %s)", kind, q.list, subscriber, now)


def take_letters(q, session, n, limit=10, now=NOON):
    return q.rows("SELECT id, why_not, recorded FROM window_take_letters(%s, %s, %s, %s)", session, n, limit, now)


def settle_letter(q, **row):
    q.run("SELECT letters_settle(%s, %s)", json([{"tries": 1, **row}]), NOON)


def test_a_letter_waits_once_for_each_subscription_and_kind(q):
    reader = q.reader()
    first = letter(q, reader)
    assert first and letter(q, reader) is None
    assert letter(q, reader, "goodbye") and letter(q, None) and letter(q, None)
    settle_letter(q, id=first, outcome="delivered")
    assert letter(q, reader)


def test_letters_are_taken_when_due_and_say_why_not(q):
    reader, pending, gone = q.reader(), q.reader(), q.reader()
    q.run("UPDATE subscription SET status = 'unsubscribed' WHERE subscriber = %s", gone)
    session = q.session()
    ids = [letter(q, reader), letter(q, reader, "confirm"), letter(q, gone), letter(q, 0), letter(q, None, "test")]
    late = letter(q, pending, now="2026-11-24 12:00:01+00")
    assert take_letters(q, 0, 1) == []
    assert take_letters(q, session, 1) == [
        (ids[0], None, None), (ids[1], "not pending", None), (ids[2], "unsubscribed", None), (ids[3], "erased", None),
        (ids[4], None, None)]
    assert take_letters(q, session, 2) == []
    assert take_letters(q, session, 2, now="2026-11-25 12:00:01+00") == [(late, "expired", None)]
    assert q.rows("SELECT kind, issue, members FROM send_window WHERE n = 1") == [("letter", None, ids)]


def test_a_letter_that_is_put_off_waits_and_one_whose_end_is_known_keeps_it(q):
    session = q.session()
    one = letter(q, None, "test")
    take_letters(q, session, 1)
    settle_letter(q, id=one, due_at="2026-11-24 13:00+00", reason="throttled", code=450, tries=1)
    assert q.rows("SELECT session, n, outcome, tries, reason FROM letter") == [(None, None, None, 1, "throttled")]
    assert take_letters(q, session, 2) == []
    assert take_letters(q, session, 2, now="2026-11-24 13:00+00") == [(one, None, None)]
    settle_letter(q, id=one, outcome="in_doubt", tries=2, doubts=1)
    settle_letter(q, id=one, due_at="2026-11-25", tries=9)
    settle_letter(q, id=one, outcome="skipped", tries=9)
    assert q.rows("SELECT outcome::text, tries FROM letter") == [("in_doubt", 2)]
    settle_letter(q, id=one, outcome="delivered", tries=2, queue_id="Q")
    for outcome in ("refused", "in_doubt", None):
        settle_letter(q, id=one, outcome=outcome, tries=9)
    assert q.rows("SELECT outcome::text, tries, queue_id, ended_at IS NOT NULL FROM letter") == [
        ("delivered", 2, "Q", True)]


def test_a_letter_that_another_window_holds_now_is_not_the_first_ones(q):
    session = q.session()
    one, slow = letter(q, None, "test"), letter(q, None, "test")
    take_letters(q, session, 1)
    settle_letter(q, id=one, due_at=NOON)
    assert take_letters(q, session, 2) == [(one, None, None)]
    recorded = ("SELECT t.id, t.recorded FROM send_window w, letters_readers(w.session, w.n, w.members, %s) t"
                " WHERE w.n = %s ORDER BY 1")
    assert q.rows(recorded, NOON, 1) == [(one, "deferred"), (slow, None)]
    assert q.rows(recorded, NOON, 2) == [(one, None)]


# ---- sessions ----------------------------------------------------------------------------------

ENGINE = "11111111-2222-4333-8444-555555555555"


def test_a_new_life_ends_the_one_before(q):
    first = q.session(engine=ENGINE)
    second = q.session(engine=ENGINE)
    assert q.rows("SELECT id, dead FROM session ORDER BY id") == [(first, True), (second, False)]
    assert q.value("SELECT count(*) FROM engine") == 1


def start(q, machine="m", boot="boot", place="a", watched=0, beat=0):
    return q.rows("SELECT session, rival, rival_beat FROM session_start(%s, 'host', %s, gen_random_uuid(), %s,"
                  " '1', %s, %s, %s, %s)", ENGINE, machine, boot, NOON, place, watched, beat)[0]


@pytest.mark.parametrize("other", [{"machine": "two"}, {"boot": "two"}, {"place": "two"}])
def test_a_copied_state_directory_begins_nothing_while_the_first_lives(q, other):
    first = start(q)[0]
    assert start(q, **other) == (None, first, 1)
    q.run("UPDATE session SET beat = beat + 1")
    # It watched, but the beat went on since.
    assert start(q, **other, watched=first, beat=1) == (None, first, 2)
    assert start(q, **other, watched=first, beat=2)[1] is None
    assert q.rows("SELECT id, dead FROM session WHERE id = %s", first) == [(first, True)]


def test_a_retired_engine_begins_nothing(q):
    q.session(engine=ENGINE)
    q.run("UPDATE engine SET retired_at = now()")
    assert q.session(engine=ENGINE) is None
    assert q.rows("SELECT count(*), bool_and(dead) FROM session")[0][0] == 1


def test_a_beat_that_moved_on_saves_its_session(q):
    session = q.session()
    q.run("UPDATE session SET beat = 7")
    assert q.value("SELECT session_bury(%s, 6, %s)", session, NOON) is False
    assert q.value("SELECT session_bury(%s, 7, %s)", session, NOON) is True
    assert q.value("SELECT session_bury(%s, 7, %s)", session, NOON) is False
    assert q.rows("SELECT dead FROM session") == [(True,)]


def test_a_session_that_a_hanging_transaction_holds_is_buried_later(q):
    session = q.session()
    with q.connect(autocommit=False) as hanging:
        q.run("UPDATE session SET turn = 2", db=hanging)
        assert q.value("SELECT session_bury(%s, 1, %s)", session, NOON) is False
        hanging.rollback()
    assert q.value("SELECT session_bury(%s, 1, %s)", session, NOON) is True


def test_the_windows_of_who_lives_are_not_closed(q):
    """Nor those of an engine that came back since it was seen to be gone."""
    q.reader(), q.reader()
    q.open()
    first = q.session(engine=ENGINE)
    q.take("fresh", first, 1, limit=1)
    engine = q.value("SELECT engine FROM session")

    def orphan(session):
        return q.value("SELECT engine_orphan(%s, %s, 'the engine is gone', %s)", engine, session, NOON)
    assert orphan(first) is None, "it lives"
    second = q.session(engine=ENGINE)
    q.run("UPDATE session SET dead = true")
    assert orphan(first) is None, "it came back since"
    assert q.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 1
    assert orphan(second) == 1
    assert q.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0
