"""The queue at size: what a take reads when a million others wait, who comes next, and how readers who
are put off again and again come to their end. Moments are the tests' own, so hours pass at once.

$RETRY_READERS and $RETRY_WAITING set the sizes; `make check-long` runs it with 200,000 and a million.
"""

import collections
import json
import os

import pytest

from queuedb import NOON, Queue

READERS = int(os.environ.get("RETRY_READERS", "20000"))
WAITING = int(os.environ.get("RETRY_WAITING", "100000"))
PROVIDERS = ("gmail", "microsoft", "yahoo", "other")
STRANGER = 10_000_000_000  # ids from here on are nobody's: they only wait


@pytest.fixture
def q(cluster, database):
    queue = Queue(cluster, database)
    queue.run("SELECT partitions_ahead(%s)", NOON)
    # What is planned from statistics that nobody brought up to date is what is tested.
    for table in ("deferral", "send_window", "delivery_202611", "subscription", "subscriber", "retry_lane"):
        queue.run(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    yield queue
    queue.close()


def minute(n):
    """NOON and so many minutes."""
    return f"2026-11-{24 + (12 + n // 60) // 24} {(12 + n // 60) % 24:02}:{n % 60:02}:00+00"


def readers(q, count):
    """That many active readers, subscribers 1 to count, spread over the providers."""
    q.run("INSERT INTO subscriber (email, email_norm, domain) SELECT e, e, 'a.example'"
          " FROM generate_series(1, %s) i, LATERAL (SELECT 'r' || i || '@a.example') x (e)", count)
    q.run("INSERT INTO subscription (list, subscriber, edition, status, zone, provider, joined_gen,"
          " placed_gen, created_at, status_at) SELECT %s, id, %s, 'active', 'UTC',"
          " (%s::text[])[1 + id %% 4], 0, 0, %s, %s FROM subscriber",
          q.list, q.hand, list(PROVIDERS), NOON, NOON)


def wait(q, issue, provider, count, first, due, every="0 seconds"):
    """Puts that many strangers off, straight into the table."""
    q.run("INSERT INTO deferral (issue, subscriber, provider, due_at, tries, first_at, variant, cause)"
          " SELECT %s, %s + i, %s, %s::timestamptz + i * %s::interval, 1, %s, 1, 'throttled'"
          " FROM generate_series(1, %s) i", issue, first, provider, due, every, NOON, count)
    return range(first + 1, first + count + 1)


def open_eaten(q):
    """An issue whose lanes are eaten, so that only its deferrals are left."""
    issue = q.open()
    q.run("UPDATE lane SET eaten = true WHERE issue = %s", issue)
    return issue


# ---- what a statement costs ----------------------------------------------------------------------


class Plans:
    """The plans of all statements within what a connection runs, by auto_explain."""

    SETTINGS = {"log_min_duration": "0", "log_analyze": "on", "log_buffers": "on",
                "log_nested_statements": "on", "log_format": "json", "log_timing": "off"}

    def __init__(self, q):
        self.q = q

    def __enter__(self):
        self.q.db.notices = collections.deque()
        self.q.run("LOAD 'auto_explain'")
        for name, value in self.SETTINGS.items():
            self.q.run(f"SET auto_explain.{name} = {value}")
        self.q.run("SET client_min_messages = log")
        self.q.db.notices.clear()
        return self

    def __exit__(self, *_):
        self.q.run("SET client_min_messages = notice")
        self.q.run("SET auto_explain.log_min_duration = -1")

    def told(self):
        for notice in self.q.db.notices:
            if "plan:" in notice:
                yield json.loads(notice[notice.index("{"):])

    def buffers(self):
        """Pages that were looked at; the outermost statement counts those within."""
        return max(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
                   for plan in self.told())

    def read(self):
        """Rows that each scan of a table read, kept or not: [(table, rows, statement)]."""
        found = []

        def walk(node, text):
            if "Relation Name" in node and node["Node Type"] != "ModifyTable":
                loops = node["Actual Loops"]
                rows = sum(node.get(key, 0) for key in (
                    "Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"))
                found.append((node["Relation Name"], rows * loops, text))
            for child in node.get("Plans", ()):
                walk(child, text)
        for plan in self.told():
            walk(plan["Plan"], plan["Query Text"])
        return found


def settle(q, session, n, ids):
    """Ends a window, all delivered; as an engine does."""
    q.run("INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no, outcome, attempt)"
          " SELECT w.issue, s, %s, w.session, w.n, 1, 1, 'delivered', 1 FROM send_window w,"
          " unnest(%s::bigint[]) s WHERE w.session = %s AND w.n = %s", NOON, ids, session, n)
    q.settle(session, n, delivered=len(ids))


def warm(q, issue, session):
    """Lets the connection make its plans while the tables are empty and known to be so."""
    q.run("VACUUM ANALYZE deferral, delivery, send_window, retry_lane")
    for n in range(1, 8):
        wait(q, issue, "gmail", 2, STRANGER * 5 + 10 * n, NOON)
        settle(q, session, n, q.take("retry", session, n))
    q.run("VACUUM ANALYZE deferral, delivery, send_window, retry_lane")


def test_a_retry_reads_what_it_takes_however_much_is_not_due(q):
    """The same take beside 1,000 who aren't due, and beside a hundred or a thousand times more, with
    plans that were made when nobody waited."""
    readers(q, 2000)
    issue, other = open_eaten(q), open_eaten(q)
    session = q.session()
    warm(q, issue, session)
    cost, settled, n = [], [], 10
    for more in (1000, WAITING):
        wait(q, issue, "gmail", more // 2, STRANGER + n * WAITING, minute(300), "10 milliseconds")
        wait(q, other, "gmail", more // 4, STRANGER + n * WAITING, minute(300))
        wait(q, issue, "yahoo", more // 4, STRANGER * 2 + n * WAITING, minute(300))
        # Delivered to so many before it, too: the issue's rows in a table that nobody analyzed.
        q.run("INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no, outcome,"
              " attempt) SELECT %s, %s + i, %s, %s, 1, 1, 1, 'delivered', 1 FROM generate_series(1, %s) i",
              issue, STRANGER * 3 + n * WAITING, NOON, session, more)
        q.run("INSERT INTO deferral (issue, subscriber, provider, due_at, tries, first_at, variant, cause)"
              " SELECT %s, id, 'gmail', %s, 1, %s, 1, 'throttled' FROM subscriber ORDER BY id OFFSET %s"
              " LIMIT 1000", issue, NOON, NOON, (n - 10) * 1000)
        with Plans(q) as plans:
            taken = q.take("retry", session, n, limit=1000, now=minute(1))
            assert len(taken) == 1000
            for table, rows, text in plans.read():
                assert rows <= 1100, f"{rows} rows of {table} are read for 1,000, by:\n{text}"
            cost.append(plans.buffers())
        with Plans(q) as plans:
            settle(q, session, n, taken)
            for table, rows, text in plans.read():
                assert rows <= 1100, f"{rows} rows of {table} are read for 1,000, by:\n{text}"
            settled.append(plans.buffers())
        with Plans(q) as plans:
            assert q.take("retry", session, n + 1, now=minute(1)) is None
            assert sum(rows for _, rows, _ in plans.read()) < 50
            assert plans.buffers() < 200
        n += 1
    # A deeper index is a page more for each look into it.
    assert cost[1] < 1.5 * cost[0] and settled[1] < 1.5 * settled[0], (cost, settled)


def test_a_fresh_take_and_a_sweep_read_what_they_take(q):
    """Though so many of the issue have it already, and are put off."""
    readers(q, 3000)
    issue, session = q.open(), q.session()
    warm(q, issue, session)
    q.run("INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no, outcome, attempt)"
          " SELECT %s, %s + i, %s, %s, 1, 1, 1, 'delivered', 1 FROM generate_series(1, %s) i",
          issue, STRANGER * 3, NOON, session, WAITING)
    wait(q, issue, "yahoo", WAITING, STRANGER, minute(300))
    with Plans(q) as plans:
        taken = q.take("fresh", session, 10, limit=700, now=minute(1))
        assert len(taken) == 700
        for table, rows, text in plans.read():
            assert rows <= 770, f"{rows} rows of {table} are read for 700, by:\n{text}"
    settle(q, session, 10, taken)
    q.run("UPDATE lane SET eaten = true")
    with Plans(q) as plans:
        assert q.take("sweep", session, 11, now=minute(1)) is None
        assert max(rows for _, rows, _ in plans.read()) < 50
    assert q.state(issue) == "open"


# ---- who comes next -------------------------------------------------------------------------------


def test_issues_and_providers_take_turns(q):
    """A hundred thousand who wait since noon hold nobody else's up by more than a window each."""
    big, small = open_eaten(q), open_eaten(q)
    wait(q, big, "gmail", WAITING, STRANGER, NOON, "1 millisecond")
    late = [set(wait(q, small, "gmail", 30, STRANGER, minute(30))),
            set(wait(q, big, "yahoo", 30, STRANGER * 2, minute(31))),
            set(wait(q, small, "other", 30, STRANGER * 3, minute(32)))]
    session = q.session()
    first = [set(q.take("retry", session, n, limit=100, now=minute(40))) for n in range(1, 5)]
    assert all(group in first for group in late)
    # None of the others is left, so it goes on with the big one, the first that came due first.
    assert q.take("retry", session, 5, limit=100, now=minute(40)) == list(range(STRANGER + 101, STRANGER + 201))
    # Who comes due later is next again, though its provider was served before.
    later = wait(q, small, "other", 5, STRANGER * 4, minute(41))
    assert q.take("retry", session, 6, limit=100, now=minute(42)) == list(later)


def test_turns_do_not_go_by_a_clock(q):
    """An engine whose clock was an hour ahead doesn't keep what it served waiting for an hour."""
    one, two = open_eaten(q), open_eaten(q)
    wait(q, one, "gmail", 1000, STRANGER, NOON)
    wait(q, two, "gmail", 1000, STRANGER, NOON)
    session = q.session()
    served = []
    for n, now in enumerate((120, 60, 60, 61, 62, 63), 1):
        assert len(q.take("retry", session, n, limit=10, now=minute(now))) == 10
        served.append(q.value("SELECT issue FROM send_window WHERE session = %s AND n = %s", session, n))
    assert served[:2] * 3 == served and len(set(served)) == 2


def test_the_oldest_due_comes_first_whatever_is_put_off_meanwhile(q):
    """Put off again each time at once, in front of which nobody else gets."""
    issue, session = open_eaten(q), q.session()
    wait(q, issue, "gmail", 1000, STRANGER, NOON, "1 second")
    tries = collections.Counter()
    for n in range(1, 31):
        now = minute(30 + n)
        taken = q.take("retry", session, n, limit=100, now=now)
        tries.update(taken)
        put_off(q, issue, session, n, taken, now, "1 second")
    assert set(tries.values()) == {3} and len(tries) == 1000


def put_off(q, issue, session, n, ids, now, wait_for):
    q.run("SELECT deferral_put(jsonb_agg(jsonb_build_object('issue', d.issue, 'subscriber', d.subscriber,"
          " 'provider', d.provider, 'due_at', %s::timestamptz + %s::interval, 'tries', d.tries + 1,"
          " 'doubts', 0, 'first_at', d.first_at, 'variant', 1, 'cause', 'throttled')))"
          " FROM unnest(%s::bigint[]) s JOIN deferral d ON d.issue = %s AND d.subscriber = s",
          now, wait_for, ids, issue)
    q.settle(session, n, deferred=len(ids))


def test_two_engines_take_from_one_lane_at_once_and_nobody_twice(q):
    issue = open_eaten(q)
    wait(q, issue, "gmail", 250, STRANGER, NOON, "1 second")
    second = q.connect(autocommit=False)
    q.run("SET lock_timeout = '20 s'", db=second)
    a, b = q.session(), q.session()
    first = q.take("retry", a, 1, limit=100, now=minute(10), db=second)
    # It isn't committed, and this one doesn't wait for it.
    other = q.take("retry", b, 1, limit=100, now=minute(10))
    second.commit()
    last = q.take("retry", a, 2, limit=100, now=minute(10))
    assert (len(first), len(other), len(last)) == (100, 100, 50)
    assert len({*first, *other, *last}) == 250
    second.close()


def test_when_another_engine_takes_all_of_a_lane_the_next_is_taken(q):
    one, two = open_eaten(q), open_eaten(q)
    wait(q, one, "gmail", 50, STRANGER, NOON)
    wait(q, two, "yahoo", 50, STRANGER * 2, NOON)
    second = q.connect(autocommit=False)
    a, b = q.session(), q.session()
    first = q.take("retry", a, 1, limit=100, now=minute(10), db=second)
    other = q.take("retry", b, 1, limit=100, now=minute(10))
    second.rollback()
    assert len({*first, *other}) == 100
    second.close()


# ---- again and again ------------------------------------------------------------------------------

# What becomes of readers, a third of whom are put off at first: by their number, each with the try
# that ends it.
END = """CASE
	WHEN s % 3 > 0 THEN 'delivered'
	WHEN s % 11 = 0 THEN 'never'                        -- put off till it is too late
	WHEN s % 13 = 0 THEN CASE WHEN t >= 2 THEN 'refused' END
	ELSE CASE WHEN t > 1 + s / 3 % 5 THEN 'delivered' END
	END"""


def go_on(q, issue, session, n, ids, now):
    """What an engine does with those it took: ends are recorded, the others put off."""
    counted = q.rows(f"""
        WITH came AS MATERIALIZED (
            SELECT s, t, provider, why_not, CASE WHEN why_not = 'expired' THEN 'expired'
                WHEN why_not IS NOT NULL THEN 'skipped' ELSE nullif({END}, 'never') END AS outcome
            FROM (SELECT (w.reader).subscriber AS s, (w.reader).why_not AS why_not, w.tries + 1 AS t, w.provider
                FROM window_readers(%s, %s, %s) w) m
        ), ended AS (
            INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no, outcome, attempt, reason)
                SELECT %s, s, %s, %s, %s, 1, 1, outcome::outcome, t, why_not FROM came WHERE outcome IS NOT NULL
        ), tried AS (
            INSERT INTO attempt (issue, subscriber, at, session, n, attempt, code, cause)
                SELECT %s, s, %s, %s, %s, t, 421, 'throttled' FROM came WHERE outcome IS NULL
        )
        SELECT coalesce(outcome, 'deferred'), count(*), CASE WHEN outcome IS NULL THEN deferral_put(jsonb_agg(
                jsonb_build_object('issue', %s, 'subscriber', s, 'provider', provider, 'due_at', %s::timestamptz
                    + least(10 * 2 ^ t, 120) * (0.5 + s %% 100 / 200.0) * interval '1 minute',
                'tries', t, 'doubts', 0, 'first_at', %s, 'variant', 1, 'cause', 'throttled')))::text END
        FROM came GROUP BY outcome""".replace(END, END.replace("%", "%%")),
        session, n, now, *(issue, now, session, n) * 2, issue, now, now)
    q.settle(session, n, now, **{outcome: count for outcome, count, _ in counted})


def test_readers_put_off_again_and_again_come_to_the_right_end(q):
    readers(q, READERS)
    issue = q.open()
    q.run("UPDATE issue SET expires_at = %s WHERE id = %s", minute(12 * 60), issue)
    sessions, n = [q.session(), q.session()], 0

    def take_all(kind, now):
        nonlocal n
        while True:
            n += 1
            session = sessions[n % 2]
            ids = q.take(kind, session, n, limit=1000, now=now)
            if ids is None:
                return
            if ids:
                go_on(q, issue, session, n, ids, now)

    take_all("fresh", minute(0))
    gone = minute(45)
    for step in range(1, 12 * 15):
        now = minute(5 * step)
        if now == gone:
            q.run("UPDATE subscription SET status = 'unsubscribed' WHERE subscriber % 17 = 0")
            q.run("UPDATE subscriber SET suppressed_at = now() WHERE id % 19 = 0")
        take_all("retry", now)
        due = q.value("SELECT count(*) FROM deferral WHERE session IS NULL AND due_at <= %s", now)
        assert due == 0, "some who are due aren't taken"
    n += 1
    assert q.take("sweep", sessions[0], n, now=now) is None
    assert q.state(issue) == "done"
    assert q.value("SELECT count(*) FROM deferral") == 0
    # Each has one end, and the right one.
    strange = q.rows(f"""
        SELECT s, d.outcome, d.attempt FROM generate_series(1, %s) s
        LEFT JOIN delivery d ON d.issue = %s AND d.subscriber = s
        CROSS JOIN LATERAL (SELECT count(*) AS tried, max(at) AS last FROM attempt a
            WHERE a.issue = d.issue AND a.subscriber = s) a
        WHERE d.outcome IS NULL OR a.tried <> d.attempt - 1
            OR CASE d.outcome
                WHEN 'skipped' THEN NOT (s %% 17 = 0 OR s %% 19 = 0) OR a.last >= %s
                WHEN 'expired' THEN s %% 3 > 0 OR s %% 11 > 0
                ELSE d.outcome::text <> (SELECT {END.replace('%', '%%')} FROM (SELECT d.attempt AS t) x)
                    OR (s %% 17 = 0 OR s %% 19 = 0) AND d.at > %s
                END LIMIT 5""", READERS, issue, gone, gone)
    assert strange == []
    counted = q.rows("SELECT sum(delivered), sum(refused), sum(expired), sum(skipped), sum(deferred)"
                     " FROM send_window WHERE issue = %s", issue)[0]
    told = dict(q.rows("SELECT outcome::text, count(*) FROM delivery WHERE issue = %s GROUP BY 1", issue))
    assert counted[:4] == tuple(told[name] for name in ("delivered", "refused", "expired", "skipped"))
    assert sum(told.values()) == READERS and min(counted) > 0
    assert counted[4] == q.value("SELECT count(*) FROM attempt WHERE issue = %s", issue)
