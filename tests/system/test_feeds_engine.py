"""From feeds to issues by the clock: what is new, what waits, when an edition opens."""

import datetime
import time

import pytest

from engine import Engine, accepted
from feedserver import FeedServer, rss
from looks import Looks

QUICK = 'timing = { plan = "100 ms"; };'
UTC = datetime.timezone.utc


class Clock:
    """The engine's wall clock; it goes on from where it is set."""

    def __init__(self, path):
        self.path = path
        self.set_offset(0)

    def set_offset(self, seconds):
        new = self.path.with_suffix(".new")  # an engine that reads half of it would be in another year
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.path)

    def set(self, text):
        """"2027-03-28 01:20:00", in UTC."""
        moment = datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)
        self.set_offset(round(moment.timestamp() - time.time()))


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@pytest.fixture
def world(make, clock, cluster):
    """world(schedule, zone_of=, zone=, readers=) gives engine, newsletter and SMTP server."""
    def made(schedule, zone_of="list", readers=3, extra=QUICK, **columns):
        engine, news, smtpd = make(readers=readers, extra=extra, **columns,
                                   engine={"env": {"DIGESTD_CLOCK": str(clock.path)}})
        news.run("UPDATE edition SET schedule = %s, zone_of = %s", schedule, zone_of)
        news.looks = Looks(cluster, news, "editions_due")
        return engine, news, smtpd
    return made


def add_feed(news, url, name="polled", **columns):
    columns = {"name": name, "url": url, "is_local": True, "every": "1 hour", **columns}
    feed = news.value(f"INSERT INTO feed ({', '.join(columns)}) VALUES"
                      f" ({', '.join(['%s'] * len(columns))}) RETURNING id", *columns.values())
    news.run("INSERT INTO list_feed (list, feed) VALUES (%s, %s)", news.list, feed)
    return feed


def poll(engine, news, feed):
    """Has the feed polled now, and waits until what it brought is stored."""
    news.run("UPDATE feed SET next_at = '-infinity' WHERE id = %s", feed)
    news.run("SELECT pg_notify('digestd', 'feed ' || %s)", feed)
    # The lease is ten minutes, the next poll an hour away (or the feed is gone).
    engine.wait_for(lambda: news.value(
        "SELECT state = 'gone' OR next_at > now() + '30 minutes' FROM feed WHERE id = %s", feed))


def occurrences(news):
    return [row[0] for row in news.rows("SELECT occurrence FROM issue ORDER BY id")]


def titles(news):
    return [row[0] for row in news.rows(
        "SELECT (SELECT string_agg(a ->> 'title', ' + ') FROM jsonb_array_elements(content -> 'articles') a)"
        " FROM issue ORDER BY id")]


def nothing_opens(engine, news, engines=1):
    before = occurrences(news)
    news.looks.wait(engine, engines)
    assert occurrences(news) == before


def opens(engine, news, *wanted):
    engine.wait_for(lambda: len(occurrences(news)) >= len(wanted))
    assert occurrences(news) == list(wanted)


# ---- feeds ------------------------------------------------------------------------------------------


def test_a_first_poll_is_backlog_and_what_is_new_after_it_is_mailed(world):
    engine, news, smtpd = world("instant")
    with FeedServer({"/f": rss([("b", "Beta"), ("a", "Alpha")])}) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        assert news.rows("SELECT title, backlog FROM article ORDER BY title") == [("Alpha", True), ("Beta", True)]
        nothing_opens(engine, news)
        web.pages["/f"] = rss([("c", "Gamma"), ("b", "Beta"), ("a", "Alpha")])
        poll(engine, news, feed)
        engine.wait_for(lambda: titles(news) == ["Gamma"])
        engine.wait_for(lambda: len(smtpd.accepted) == 3)
        nothing_opens(engine, news)
    assert news.value("SELECT title FROM feed WHERE id = %s", feed) == "A site"


def test_backfill_takes_the_newest_of_the_backlog(world):
    engine, news, smtpd = world("instant")
    with FeedServer({"/f": rss([("c", "Gamma"), ("b", "Beta"), ("a", "Alpha")])}) as web, engine:
        poll(engine, news, add_feed(news, web.url("/f"), backfill=2))
        engine.wait_for(lambda: sorted(titles(news)) == ["Beta", "Gamma"])
        nothing_opens(engine, news)


def test_an_edited_article_is_updated_until_it_is_in_an_issue(world):
    engine, news, smtpd = world("manual")
    with FeedServer({"/f": rss([])}) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        for text in ("First words.", "Second words."):
            web.pages["/f"] = rss([("a", "Alpha", text)])
            poll(engine, news, feed)
            assert text in news.value("SELECT summary || body_html FROM article")
        issue = news.open()
        engine.wait_for(lambda: news.state(issue) == "done")
        assert "Second words." in str(news.value("SELECT content -> 'articles' FROM issue"))
        web.pages["/f"] = rss([("a", "Alpha", "Third words.")])
        poll(engine, news, feed)
        assert news.value("SELECT count(*) FROM article WHERE summary || body_html LIKE '%%Second%%'") == 1


def test_an_article_of_the_future_waits_for_its_time(world, clock):
    engine, news, smtpd = world("instant")
    then = datetime.datetime.now(UTC) + datetime.timedelta(hours=5)
    with FeedServer({"/f": rss([])}) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        web.pages["/f"] = rss([("a", "Alpha")], date=then.strftime("%a, %d %b %Y %H:%M:%S +0000"))
        poll(engine, news, feed)
        assert news.value("SELECT count(*) FROM article") == 1
        nothing_opens(engine, news)
        clock.set_offset(5 * 3600 + 5)
        engine.wait_for(lambda: titles(news) == ["Alpha"])


@pytest.mark.parametrize("mail", [True, False])
def test_a_flood_holds_until_an_operator_has_spoken(world, ctl, mail):
    old = [(f"id{n}", f"Piece {n}") for n in range(5)]
    new = [(f"other{n}", f"Piece {n}") for n in range(5)]
    engine, news, smtpd = world("instant", extra=QUICK + "feeds = { flood = 3; };")
    with FeedServer({"/f": rss(old)}) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        web.pages["/f"] = rss(new)
        poll(engine, news, feed)
        assert "5 articles" in news.value("SELECT flood FROM feed WHERE id = %s", feed)
        engine.wait_for(lambda: "`digestctl feed set polled --flood-ok` or `--flood-drop`" in engine.log())
        nothing_opens(engine, news)
        ctl.ok("feed", "set", "polled", "--flood-ok" if mail else "--flood-drop")
        assert news.rows("SELECT DISTINCT suspect, backlog FROM article WHERE guid LIKE 'other%%'") == [(False, not mail)]
        if mail:
            engine.wait_for(lambda: len(titles(news)) == 5)
        else:
            nothing_opens(engine, news)
            web.pages["/f"] = rss([("fresh", "Fresh news")] + new)
            poll(engine, news, feed)
            engine.wait_for(lambda: titles(news) == ["Fresh news"])


def test_an_unchanged_feed_is_asked_by_its_etag(world):
    given = []

    def page(request):
        given.append((request.headers["If-None-Match"], request.headers["If-Modified-Since"]))
        if request.headers["If-None-Match"] == '"v1"':
            request.answer(304)
        else:
            request.answer(200, rss([("a", "Alpha")]), {
                "ETag": '"v1"', "Last-Modified": "Tue, 24 Nov 2026 10:00:00 GMT"})
    engine, news, smtpd = world("instant")
    with FeedServer({"/f": page}) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        poll(engine, news, feed)
        poll(engine, news, feed)
    assert given == [(None, None)] + 2 * [('"v1"', "Tue, 24 Nov 2026 10:00:00 GMT")]
    assert news.rows("SELECT failures, last_error FROM feed WHERE id = %s", feed) == [(0, None)]


def test_a_reason_that_is_cut_within_a_character_is_stored(world):
    engine, news, smtpd = world("instant")
    with FeedServer({"/f": ("x" + 40 * "é").encode()}) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        assert 'it begins with "xéé' in news.value("SELECT last_error FROM feed WHERE id = %s", feed)
        assert "can't be stored" not in engine.log()


@pytest.mark.parametrize("value", ['"\u00e9"', '"a\tb"'], ids=["latin-1", "a tab"])
def test_a_validator_that_cannot_be_kept_is_not_asked_with(world, value):
    engine, news, smtpd = world("instant")
    given = []

    def page(request):
        given.append((request.headers["If-None-Match"], request.headers["If-Modified-Since"]))
        request.answer(200, rss([("a", "Alpha")]), {"ETag": value, "Last-Modified": value})
    with FeedServer({"/f": page}) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        poll(engine, news, feed)
        assert titles(news) == [] and news.rows("SELECT title FROM article") == [("Alpha",)]
        assert news.rows("SELECT failures, last_error FROM feed WHERE id = %s", feed) == [(0, None)]
    assert given == [(None, None)] * 2


def test_a_feed_that_is_gone_is_polled_no_more(world):
    engine, news, smtpd = world("instant")
    pages = {"/f": lambda request: request.answer(410), "/other": rss([])}
    with FeedServer(pages) as web, engine:
        feed = add_feed(news, web.url("/f"))
        poll(engine, news, feed)
        assert news.value("SELECT state FROM feed WHERE id = %s", feed) == "gone"
        news.run("UPDATE feed SET next_at = '-infinity'")
        poll(engine, news, add_feed(news, web.url("/other"), "other"))
        # The poller took what was due, and not this one.
        assert news.value("SELECT next_at = '-infinity' FROM feed WHERE id = %s", feed)
        assert web.asked["/f"] == 1
    assert engine.log().count("is gone and polled no more") == 1


def test_a_feed_that_moved_for_good_is_polled_at_its_new_place(world):
    engine, news, smtpd = world("instant")
    with FeedServer({"/new": rss([("a", "Alpha")])}) as web, engine:
        web.pages["/old"] = lambda request: request.answer(301, headers={"Location": "/new"})
        feed = add_feed(news, web.url("/old"))
        poll(engine, news, feed)
        assert news.value("SELECT url FROM feed WHERE id = %s", feed) == web.url("/new")


# ---- editions by the clock ------------------------------------------------------------------------


def test_daily_in_the_list_s_zone_and_nothing_new_sends_nothing(world, clock):
    engine, news, smtpd = world("daily 07:00", zone="Europe/Berlin")
    news.article("One")
    clock.set("2027-06-01 04:50:00")
    news.run("UPDATE edition SET last_occurrence = '2027-05-31'")
    with engine:
        nothing_opens(engine, news)
        clock.set("2027-06-01 05:00:01")
        opens(engine, news, "2027-06-01")
        engine.wait_for(lambda: len(smtpd.accepted) == 3)
        clock.set("2027-06-02 05:00:01")
        engine.wait_for(lambda: str(news.value("SELECT last_occurrence FROM edition")) == "2027-06-02")
        news.article("Two")
        nothing_opens(engine, news)
        clock.set("2027-06-03 05:00:01")
        opens(engine, news, "2027-06-01", "2027-06-03")
    assert titles(news) == ["One", "Two"]


@pytest.mark.parametrize("day, before, at", [
    ("2027-03-28", "2027-03-28 01:20:00", "2027-03-28 01:30:01"),  # 02:30 is 03:30: no such hour
    ("2027-10-31", "2027-10-31 01:20:00", "2027-10-31 01:30:01"),  # the second 02:30
], ids=["the gap", "the doubled hour"])
def test_summer_time_comes_and_goes(world, clock, day, before, at):
    engine, news, smtpd = world("daily 02:30", zone="Europe/Berlin")
    news.article("One")
    yesterday = datetime.date.fromisoformat(day) - datetime.timedelta(days=1)
    news.run("UPDATE edition SET last_occurrence = %s", yesterday)
    clock.set(before)
    with engine:
        nothing_opens(engine, news)
        clock.set(at)
        opens(engine, news, day)


def test_the_first_half_hour_of_a_doubled_one_opens_nothing(world, clock):
    engine, news, smtpd = world("daily 02:30", zone="Europe/Berlin")
    news.article("One")
    news.run("UPDATE edition SET last_occurrence = '2027-10-30'")
    clock.set("2027-10-31 00:30:01")
    with engine:
        nothing_opens(engine, news)


@pytest.mark.parametrize("schedule, last, before, at, day", [
    ("weekly mon 08:00", "2027-05-31", "2027-06-07 07:50:00", "2027-06-07 08:00:01", "2027-06-07"),
    ("monthly 31 09:00", "2027-01-31", "2027-02-28 08:50:00", "2027-02-28 09:00:01", "2027-02-28"),
])
def test_weekly_and_monthly(world, clock, schedule, last, before, at, day):
    engine, news, smtpd = world(schedule)
    news.article("One")
    news.run("UPDATE edition SET last_occurrence = %s", last)
    clock.set(before)
    with engine:
        nothing_opens(engine, news)
        clock.set(at)
        opens(engine, news, day)


def zoned(news, *zones):
    for number, zone in enumerate(zones, 1):
        news.run("SELECT subscription_put(%s, id, 'zone', NULL, NULL, %s, NULL, '{}', now())"
                 f" FROM subscriber WHERE email = 'reader{number}@a.example'", news.list, zone)


def test_each_reader_s_morning_is_their_own(world, clock, cluster):
    engine, news, smtpd = world("daily 07:00", "reader", extra='timing = { plan = "100 ms"; look = "100 ms"; };')
    takes = Looks(cluster, news, "window_take_fresh")
    zoned(news, "Asia/Tokyo", "Europe/Berlin", "America/New_York")
    news.article("One")
    news.run("UPDATE edition SET last_occurrence = '2027-05-31'")
    clock.set("2027-05-31 21:50:00")
    steps = [("2027-05-31 22:00:01", 1), ("2027-06-01 04:50:00", 1), ("2027-06-01 05:00:01", 2),
             ("2027-06-01 10:50:00", 2), ("2027-06-01 11:00:01", 3)]
    with engine:
        nothing_opens(engine, news)
        for moment, mails in steps:
            clock.set(moment)
            engine.wait_for(lambda: len(smtpd.accepted) >= mails)
            takes.wait(engine)
            assert news.value("SELECT count(*) FROM lane WHERE taken_at IS NOT NULL") == mails, moment
            assert len(smtpd.accepted) == mails, moment
        engine.wait_for(lambda: news.value("SELECT state FROM issue") == "done")
    assert occurrences(news) == ["2027-06-01"]
    assert [message["rcpt"][0][:7] for message in smtpd.accepted] == ["reader1", "reader2", "reader3"]


def test_an_edition_that_starts_between_two_zones_begins_with_the_earliest(world, clock):
    """Made after New York's morning and before Tokyo's next."""
    engine, news, smtpd = world("daily 07:00", "reader")
    zoned(news, "Asia/Tokyo", "America/New_York", "America/New_York")
    news.run("UPDATE edition SET starts = '2027-05-31 20:00+00'")
    news.article("One")
    clock.set("2027-05-31 21:00:00")
    with engine:
        nothing_opens(engine, news)
        clock.set("2027-05-31 22:00:01")
        opens(engine, news, "2027-06-01")


def test_after_downtime_only_the_newest_opens(world, clock):
    engine, news, smtpd = world("daily 07:00")
    news.run("UPDATE edition SET last_occurrence = '2027-06-01'")
    news.article("One")
    news.article("Two")
    clock.set("2027-06-05 12:00:00")
    with engine:
        opens(engine, news, "2027-06-05")
        nothing_opens(engine, news)
    assert sorted(titles(news)[0].split(" + ")) == ["One", "Two"]


def test_instant_opens_an_issue_for_each_article(world):
    engine, news, smtpd = world("instant")
    with engine:
        news.article("One")
        news.article("Two")
        engine.wait_for(lambda: sorted(titles(news)) == ["One", "Two"])
        engine.wait_for(lambda: len(smtpd.accepted) == 6)
        nothing_opens(engine, news)


def test_a_held_edition_opens_nothing(world, clock):
    engine, news, smtpd = world("instant")
    news.run("UPDATE edition SET held = 'by hand'")
    news.article("One")
    with engine:
        nothing_opens(engine, news)
        news.run("UPDATE edition SET held = NULL")
        engine.wait_for(lambda: titles(news) == ["One"])


def test_many_engines_open_one_issue(world, clock, cluster, build):
    engine, news, smtpd = world("daily 07:00", readers=30)
    others = [Engine(build, cluster, news.database, [{"port": smtpd.port}], QUICK,
                     env={"DIGESTD_CLOCK": str(clock.path)}) for _ in range(2)]
    news.run("UPDATE edition SET last_occurrence = '2027-06-01'")
    news.article("One")
    clock.set("2027-06-02 06:50:00")
    with engine, others[0], others[1]:
        engine.wait_for(lambda: all("begins" in one.log() for one in (engine, *others)))
        clock.set("2027-06-02 07:00:01")
        opens(engine, news, "2027-06-02")
        engine.wait_for(lambda: news.value("SELECT state FROM issue") == "done")
        nothing_opens(engine, news, engines=3)
        errors = [line for one in (engine, *others) for line in one.log().split("\n") if " error: " in line]
        assert errors == []
    assert set(accepted(smtpd).values()) == {1} and len(accepted(smtpd)) == 30
    for one in others:
        one.remove()


def test_a_theme_that_is_not_there_is_told_and_not_every_second(world, clock):
    engine, news, smtpd = world("instant", theme="nowhere")
    news.article("One")
    with engine:
        engine.wait_for(lambda: "theme can't be used" in engine.log())
        news.looks.wait(engine, looks=20)
        assert engine.log().count("theme can't be used") == 1
        news.run("UPDATE list SET theme = 'plain'")
        engine.wait_for(lambda: titles(news) == ["One"])
