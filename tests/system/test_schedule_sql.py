"""When editions open, in SQL: days and moments in any zone, over gaps and doubled hours, month ends
and years; the partitions of months; the numbers of issues."""

import calendar
import datetime
import zoneinfo

import pytest

from queuedb import NOON, Queue

UTC = datetime.timezone.utc
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata", "Australia/Lord_Howe",
         "Pacific/Kiritimati", "Pacific/Niue", "Pacific/Apia", "Africa/Casablanca", "Asia/Tehran", "Africa/Cairo"]


@pytest.fixture
def q(cluster, database):
    queue = Queue(cluster, database)
    yield queue
    queue.close()


def at(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def moment(day, time, zone):
    """As PostgreSQL is said to read it: in a gap the offset before, in a doubled hour the second."""
    local = datetime.datetime.combine(day, time, zoneinfo.ZoneInfo(zone))
    second = local.replace(fold=1)
    doubled = (local.utcoffset() != second.utcoffset()
               and second.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None)
               == local.replace(tzinfo=None))
    return (second if doubled else local).astimezone(UTC)


# ---- moments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("day,time,zone,expected", [
    ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29 01:30"),     # a gap: it is 03:30
    ("2026-03-29", "01:59", "Europe/Berlin", "2026-03-29 00:59"),
    ("2026-03-29", "03:00", "Europe/Berlin", "2026-03-29 01:00"),
    ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25 01:30"),     # twice: the second
    ("2026-03-08", "02:30", "America/New_York", "2026-03-08 07:30"),
    ("2026-11-01", "01:30", "America/New_York", "2026-11-01 06:30"),
    ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03 15:45"),  # a gap of half an hour
    ("2026-11-24", "00:00", "Pacific/Kiritimati", "2026-11-23 10:00"),
    ("2026-11-24", "23:59", "Pacific/Niue", "2026-11-25 10:59"),
    ("2011-12-30", "07:00", "Pacific/Apia", "2011-12-30 17:00"),      # a day that wasn't
])
def test_moments_at_the_edges(q, day, time, zone, expected):
    assert q.value("SELECT occurrence_moment(%s, %s, %s)", day, time, zone) == at(expected)


@pytest.mark.parametrize("zone", ZONES)
def test_moments_of_two_years(q, zone):
    rows = q.rows("SELECT d::date, t::time, occurrence_moment(d::date, t::time, %s) FROM"
                  " generate_series('2026-01-01'::timestamp, '2027-12-31', '1 day') d,"
                  " unnest(ARRAY['00:00', '00:30', '01:30', '02:00', '02:30', '03:00', '07:00', '23:59']) t", zone)
    assert len(rows) == 730 * 8
    for day, time, got in rows:
        assert got == moment(day, time, zone), (day, time)


# ---- days --------------------------------------------------------------------------------------


def days_of(schedule):
    """Every day between 2023 and 2029 on which it is."""
    rhythm, *words = schedule.split()
    day, end = datetime.date(2023, 1, 1), datetime.date(2030, 1, 1)
    while day < end:
        last = calendar.monthrange(day.year, day.month)[1]
        if (rhythm == "daily" or rhythm == "weekly" and day.strftime("%a").lower() == words[0]
                or rhythm == "monthly" and day.day == min(int(words[0]), last)):
            yield day
        day += datetime.timedelta(days=1)


@pytest.mark.parametrize("schedule", [
    "daily 00:00", "daily 07:00", "daily 23:59", "weekly mon 08:00", "weekly sun 00:00", "weekly sat 23:59",
    "monthly 1 09:00", "monthly 28 00:00", "monthly 29 09:00", "monthly 30 23:59", "monthly 31 09:00"])
def test_the_day_of_an_occurrence_and_of_its_neighbours(q, schedule):
    edition = q.edition("tried", schedule)
    time = datetime.time.fromisoformat(schedule.split()[-1])
    days = list(days_of(schedule))
    rows = q.rows("SELECT t, ARRAY(SELECT occurrence_day(e, t, s) FROM generate_series(-1, 1) s) FROM edition e,"
                  " generate_series('2024-01-25'::timestamp, '2025-03-05', '7 hours 13 minutes') t WHERE e.id = %s"
                  " UNION ALL SELECT t, ARRAY(SELECT occurrence_day(e, t, s) FROM generate_series(-1, 1) s) FROM"
                  " edition e, unnest(%s::date[]) d, unnest(ARRAY[d + %s, d + %s - '1 microsecond'::interval]) t"
                  " WHERE e.id = %s", edition, days[400:450] if len(days) > 450 else days[20:40], time, time, edition)
    assert len(rows) > 1000
    for local, (before, newest, after) in rows:
        index = sum(datetime.datetime.combine(day, time) <= local for day in days) - 1
        assert (before, newest, after) == (days[index - 1], days[index], days[index + 1]), local


@pytest.mark.parametrize("schedule", ["manual", "instant"])
def test_what_has_no_schedule_has_no_day(q, schedule):
    edition = q.edition("tried", schedule)
    assert q.rows("SELECT occurrence_day(e, '2026-01-01', 0), edition_next(e, '2026-01-01') FROM edition e"
                  " WHERE id = %s", edition) == [(None, None)]


# ---- due and next ------------------------------------------------------------------------------


def due(q, now):
    return {row[0]: row[1] for row in q.rows("SELECT edition, occurrence FROM editions_due(%s)", now)}


def following(q, edition, now):
    return q.value("SELECT edition_next(e, %s) FROM edition e WHERE id = %s", now, edition)


def test_an_edition_is_due_from_its_moment_until_it_was_opened(q):
    assert due(q, "2026-11-24 06:59:59+00") == {q.daily: "2026-11-23"}
    assert due(q, "2026-11-24 07:00:00+00") == {q.daily: "2026-11-24"}
    q.run("UPDATE edition SET last_occurrence = '2026-11-24'")
    assert due(q, "2026-11-25 06:59:59+00") == {}
    assert due(q, "2026-11-28 12:00:00+00") == {q.daily: "2026-11-28"}, "only the newest after downtime"
    q.run("UPDATE edition SET held = 'by hand'")
    assert due(q, "2026-11-28 12:00:00+00") == {}


def test_an_edition_that_is_new_waits_for_its_first_moment(q):
    q.run("UPDATE edition SET starts = %s", NOON)
    assert due(q, NOON) == {}
    assert due(q, "2026-11-25 06:59:59+00") == {}
    assert due(q, "2026-11-25 07:00:00+00") == {q.daily: "2026-11-25"}


def test_a_flood_holds_its_lists_editions(q):
    q.run("UPDATE feed SET flood = 'many'")
    assert due(q, NOON) == {}


def test_each_new_article_is_an_occurrence_of_an_instant_edition(q):
    q.run("DELETE FROM edition WHERE id = %s", q.daily)
    instant = q.edition("now", "instant")
    first = q.article()
    assert q.rows("SELECT edition, occurrence FROM editions_due(%s)", NOON) == [(instant, f"article-{first}")]
    q.run("SELECT issue_open(%s, %s, %s, NULL, '{}', %s)", instant, f"article-{first}", [first], NOON)
    assert due(q, NOON) == {}
    q.run("UPDATE article SET revision = 2")
    assert due(q, NOON) == {instant: f"article-{first}-2"}


@pytest.fixture
def mornings(q):
    """Readers in the earliest zone there is, and in the last."""
    edition = q.edition("mornings", "daily 07:00", "reader", starts=NOON)
    q.reader(edition=edition, zone="Pacific/Kiritimati")  # +14
    q.reader(edition=edition, zone="Pacific/Niue")        # -11
    q.run("DELETE FROM edition WHERE id = %s", q.daily)
    return edition


def test_it_opens_in_the_earliest_zone_from_the_first_day_on(q, mornings):
    """07:00 of the 25th in +14 is 17:00 of the 24th; in -11 it is 18:00 of the 25th."""
    assert due(q, NOON) == {}
    assert due(q, "2026-11-24 16:59:59+00") == {}
    assert due(q, "2026-11-24 17:00:00+00") == {mornings: "2026-11-25"}
    assert due(q, "2026-11-25 16:59:59+00") == {mornings: "2026-11-25"}
    q.run("UPDATE edition SET last_occurrence = '2026-11-25'")
    assert due(q, "2026-11-25 16:59:59+00") == {}
    assert due(q, "2026-11-25 17:00:00+00") == {mornings: "2026-11-26"}


@pytest.mark.parametrize("now,expected", [
    ("2026-11-24 16:59:59", "2026-11-24 17:00"), ("2026-11-24 17:00:00", "2026-11-25 17:00"),
    ("2026-11-24 17:30:00", "2026-11-25 17:00"), ("2026-11-24 18:30:00", "2026-11-25 17:00")])
def test_the_next_opening_is_the_earliest_zones(q, mornings, now, expected):
    assert following(q, mornings, now + "+00") == at(expected)


@pytest.mark.parametrize("schedule,zone,now,expected", [
    ("daily 07:00", "UTC", "2026-11-24 06:59", "2026-11-24 07:00"),
    ("daily 07:00", "UTC", "2026-11-24 07:00", "2026-11-25 07:00"),
    ("daily 07:00", "UTC", "2026-12-31 08:00", "2027-01-01 07:00"),
    ("daily 02:30", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:30"),
    ("daily 02:30", "Europe/Berlin", "2026-03-29 12:00", "2026-03-30 00:30"),
    ("daily 02:30", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 01:30"),
    ("weekly mon 08:00", "UTC", "2026-11-24 12:00", "2026-11-30 08:00"),
    ("weekly sun 08:00", "Asia/Tokyo", "2026-11-21 22:59", "2026-11-21 23:00"),
    ("monthly 31 09:00", "UTC", "2027-01-31 10:00", "2027-02-28 09:00"),
    ("monthly 31 09:00", "UTC", "2028-01-31 10:00", "2028-02-29 09:00"),
    ("monthly 31 09:00", "UTC", "2027-02-28 10:00", "2027-03-31 09:00"),
    ("monthly 1 00:00", "Pacific/Kiritimati", "2026-12-31 09:00", "2026-12-31 10:00")])
def test_the_next_opening_in_the_lists_zone(q, schedule, zone, now, expected):
    q.run("UPDATE list SET zone = %s", zone)
    assert following(q, q.edition("tried", schedule), now + "+00") == at(expected)


def test_a_year_of_mornings_has_each_day_once(q):
    """An engine that looks every 20 minutes through two changes of the clock."""
    q.run("UPDATE list SET zone = 'Europe/Berlin'")
    q.run("UPDATE edition SET schedule = 'daily 02:30', starts = '2026-01-01' WHERE id = %s", q.daily)
    opened = q.rows("""
        WITH RECURSIVE look AS (
            SELECT '2026-01-01 01:30+00'::timestamptz AS t, '2025-12-31'::date AS last, false AS opens
            UNION ALL
            SELECT t + '20 minutes', greatest(last, n.day), n.day > last
            FROM look, edition e, LATERAL edition_newest(e, t + '20 minutes') n
            WHERE t < '2026-12-31 12:00+00' AND e.id = %s)
        SELECT last, t FROM look WHERE opens ORDER BY t""", q.daily)
    assert [row[0] for row in opened] == [datetime.date(2026, 1, 1) + datetime.timedelta(days=n) for n in range(365)]
    for day, looked in opened:
        late = looked - moment(day, datetime.time(2, 30), "Europe/Berlin")
        assert datetime.timedelta(0) <= late <= datetime.timedelta(minutes=20), day


# ---- months and numbers --------------------------------------------------------------------------


def partitions(q):
    return {row[0]: row[1] for row in q.rows(
        "SELECT inhrelid::regclass::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits"
        " JOIN pg_class c ON c.oid = inhrelid WHERE inhparent IN ('delivery'::regclass, 'attempt'::regclass)"
        " AND inhrelid::regclass::text ~ '^(delivery|attempt)_'")}


def test_partitions_stand_ahead_over_a_years_turn(q):
    q.run("SELECT partitions_ahead('2029-11-30 23:59:59+00')")
    made = partitions(q)
    assert made["delivery_202911"] == "FOR VALUES FROM ('202911000000') TO ('202912000000')"
    assert made["attempt_202912"] == "FOR VALUES FROM ('202912000000') TO ('203001000000')"
    assert q.value("SELECT partitions_ahead('2029-11-30 23:59:59+00')") == 0
    assert q.value("SELECT partitions_ahead('2029-12-01 00:00:00+00')") == 2
    assert partitions(q)["delivery_203001"] == "FOR VALUES FROM ('203001000000') TO ('203002000000')"
    assert q.value("SELECT partitions_ahead('2030-01-31 12:00:00+00')") == 2
    for issue in (202911000001, 202912999999, 203001000000, 203002000001):
        for table in "delivery", "attempt":
            columns = {"delivery": "variant, address_no, outcome", "attempt": "relay, code, cause"}[table]
            values = {"delivery": "1, 1, 'delivered'", "attempt": "1, 1, 'x'"}[table]
            q.run(f"INSERT INTO {table} (issue, subscriber, at, session, n, attempt, {columns})"
                  f" VALUES ({issue}, 1, now(), 1, 1, 1, {values})")
            assert q.value(f"SELECT tableoid::regclass::text FROM {table} WHERE issue = %s", issue) == (
                f"{table}_{issue // 1000000}")
    assert q.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'delivery_203002'::regclass"
                   " AND tgname = 'delivery_keep'") == 1


def test_the_month_is_utcs(q):
    q.run("SET timezone = 'Pacific/Kiritimati'")
    assert q.value("SELECT partitions_ahead('2029-06-30 23:59:59+00')") == 4
    assert {"delivery_202906", "delivery_202907"} <= set(partitions(q))
    assert q.value("SELECT issue_id_make('2029-06-30 23:59:59+00')") // 1000000 == 202906


def test_issue_ids_begin_with_their_month_and_rise(q):
    first, second = q.value("SELECT issue_id_make(%s)", NOON), q.value("SELECT issue_id_make(%s)", NOON)
    assert first // 1000000 == 202611 and second == first + 1
    q.run("ALTER SEQUENCE issue_number RESTART WITH 999999")
    assert q.value("SELECT issue_id_make('2026-12-31 23:59:59+00')") == 202612999999
    assert q.value("SELECT issue_id_make('2027-01-01 00:00:00+00')") == 202701000001


def test_an_issue_lies_in_a_partition_that_its_opening_made(q):
    q.reader()
    issue = q.open(now="2031-07-31 23:00+00")
    assert issue // 1000000 == 203107
    q.deliver(issue, 1, 1, 1)
    assert q.value("SELECT tableoid::regclass::text FROM delivery") == "delivery_203107"
