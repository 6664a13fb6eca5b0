"""digestctl issue audit: each reader of an issue has one place in its sums, in each of its states."""

import pytest

PARTS = ("delivered", "refused", "expired", "skipped", "left", "in_doubt", "deferred", "window", "waiting",
         "cancelled", "wrong")


def audit(news, issue=None, status=0):
    """The sum, without what is 0; it is checked to be one."""
    got = news.json("issue", "audit", issue or news.issue, status=status)
    news.audit = got
    assert sum(got[part] for part in PARTS) == got["audience"], got
    if status == 0:
        assert got["holds"] and got["wrong_readers"] == 0 and got["wrong_list"] == []
    return {part: got[part] for part in PARTS if got[part]}


def put(news, reader, kind, status=None, edition=None, zone=None, topics=None):
    return news.one("SELECT subscription_put(%s, %s, %s, %s, %s, %s, %s, '{}', now())", news.list, reader, kind,
                    edition, status, zone, topics)


def leave(news, reader):
    put(news, reader, "unsubscribe", "unsubscribed")


def another(news):
    """Another edition of the list."""
    return news.one("INSERT INTO edition (list, name, schedule, starts) VALUES (%s, 'other', 'manual', '-infinity')"
                    " RETURNING id", news.list)


def owner(news, sql, *values):
    """As somebody who changes rows by hand, past triggers and foreign keys."""
    news.ask("SET session_replication_role = replica")
    news.ask(sql, *values)
    news.ask("SET session_replication_role = DEFAULT")


def wrong(news, issue=None):
    """Who is wrong, and how."""
    audit(news, issue, status=1)
    return {row["subscriber"]: row["reason"] for row in news.audit["wrong_list"]}


# ---- states ------------------------------------------------------------------------------------


def test_an_issue_in_the_middle_has_a_place_for_each_reader(busy):
    assert audit(busy) == {"delivered": 1, "refused": 1, "deferred": 1, "in_doubt": 1, "window": 1, "waiting": 3}
    assert busy.audit["waiting_for"] == {"for their turn in a lane": 3}
    assert busy.audit["audience"] == 8


def test_an_issue_nobody_took_waits_as_a_whole(news):
    assert audit(news, news.open()) == {"waiting": 8}


def test_a_paused_issue_adds_up_likewise(busy):
    busy.ctl("issue", "pause", busy.issue)
    assert audit(busy) == {"delivered": 1, "refused": 1, "deferred": 1, "in_doubt": 1, "window": 1, "waiting": 3}


def test_a_cancelled_issue_says_who_got_it_and_counts_the_rest_as_cancelled(busy):
    leave(busy, 8)
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    assert audit(busy) == {"delivered": 1, "refused": 1, "cancelled": 3, "in_doubt": 1, "window": 1, "left": 1}
    busy.deliver(busy.issue, busy.held, [5])
    busy.settle(busy.held, delivered=1)
    assert audit(busy) == {"delivered": 2, "refused": 1, "cancelled": 3, "in_doubt": 1, "left": 1}
    busy.take("sweep")  # ends what is put off
    assert audit(busy) == {"delivered": 2, "refused": 1, "cancelled": 3, "in_doubt": 1, "left": 1}


def test_an_expired_issue_counts_who_wasnt_reached(news):
    issue = news.open()
    n, readers = news.take(limit=3)
    news.deliver(issue, n, readers)
    news.settle(n, delivered=3)
    news.ask("UPDATE issue SET expires_at = now() - interval '1 s' WHERE id = %s", issue)
    assert audit(news, issue) == {"delivered": 3, "waiting": 5}
    news.take("sweep")
    assert news.one("SELECT state FROM issue") == "expired"
    assert audit(news, issue) == {"delivered": 3, "expired": 5}


def test_a_done_issue_adds_up(news):
    issue = news.open()
    leave(news, 2)
    news.send_all(issue)
    assert news.one("SELECT state FROM issue") == "done"
    assert audit(news, issue) == {"delivered": 7, "left": 1}
    leave(news, 3)
    put(news, 4, "zone", zone="Asia/Tokyo")
    news.ask("SELECT subscriber_suppress(5, 'operator', now())")
    assert audit(news, issue) == {"delivered": 7, "left": 1}


def test_who_joined_after_the_opening_is_no_part_of_it(busy):
    busy.reader("late@one.example")
    assert audit(busy)["waiting"] == 3 and busy.audit["audience"] == 8


def test_an_edition_stands_for_its_newest_issue(busy):
    assert busy.json("issue", "audit", "news/post")["issue"] == busy.issue
    assert busy.json("issue", "audit", "news")["issue"] == busy.issue
    busy.ctl("issue", "audit", "news/none", status=3)
    busy.ctl("issue", "audit", "17", status=3)
    another(busy)
    busy.ctl("issue", "audit", "news/other", status=3)
    assert "has no issue yet" in busy.errors


# ---- what readers do meanwhile -----------------------------------------------------------------


def test_reasons_for_which_nothing_was_sent_are_told_apart(news):
    news.ask("UPDATE article SET topics = '{sea}'")
    put(news, 1, "topics", topics=["land"])
    issue = news.open()
    leave(news, 2)
    news.ask("SELECT subscriber_suppress(3, 'complaint', now())")
    put(news, 4, "move", edition=another(news))
    news.ask("UPDATE subscription SET paused_until = now() + interval '1 d' WHERE subscriber = 5")
    news.ask("DELETE FROM subscriber WHERE id = 6")
    reasons = {"no topic": 1, "suppressed": 1, "moved": 1, "paused": 1, "erased": 1}
    assert audit(news, issue) == {"skipped": 5, "left": 1, "waiting": 2}
    assert news.audit["skipped_for"] == reasons
    news.send_all(issue)
    assert audit(news, issue) == {"skipped": 5, "left": 1, "delivered": 2}
    assert news.audit["skipped_for"] == reasons


def test_what_held_at_their_turn_excuses_a_reader_for_whom_it_no_longer_holds(news):
    news.ask("UPDATE article SET topics = '{sea}'")
    put(news, 1, "topics", topics=["land"])
    news.ask("UPDATE subscription SET paused_until = now() + interval '1 h' WHERE subscriber = 2")
    issue = news.open()
    news.send_all(issue)
    put(news, 1, "topics", topics=["sea"])
    assert wrong(news, issue) == {1: "passed over"}  # told anew after the end: that excuses nobody
    owner(news, "UPDATE issue SET ended_event = ended_event + 1")
    news.ask("UPDATE subscription SET paused_until = greatest(now(), %s) WHERE subscriber = 2",
             news.one("SELECT opened_at + interval '1 us' FROM issue"))
    assert audit(news, issue) == {"skipped": 2, "delivered": 6}
    assert news.audit["skipped_for"] == {"no topic": 1, "paused": 1}


def test_skips_that_were_recorded_count_with_their_reason(news):
    issue = news.open()
    n, readers = news.take()
    news.deliver(issue, n, readers[:6])
    news.deliver(issue, n, [7], outcome="skipped", reason="unsubscribed")
    news.deliver(issue, n, [8], outcome="skipped", reason="cancelled")
    news.settle(n, delivered=6, skipped=2)
    assert audit(news, issue) == {"delivered": 6, "skipped": 1, "cancelled": 1}
    assert news.audit["skipped_for"] == {"unsubscribed": 1}


def test_who_moves_between_lanes_waits_for_the_end_and_gets_it(busy):
    put(busy, 8, "zone", zone="Asia/Tokyo")
    assert audit(busy)["waiting"] == 3
    assert busy.audit["waiting_for"] == {"for their turn in a lane": 2, "for the end of the issue": 1}


def test_an_undone_unsubscribe_is_looked_for_at_the_end(news):
    leave(news, 1)  # before it opens
    issue = news.open()
    assert audit(news, issue) == {"waiting": 7}
    leave(news, 2)
    put(news, 1, "undo", "active")
    put(news, 2, "undo", "active")
    assert audit(news, issue) == {"waiting": 8}
    n, readers = news.take()
    news.deliver(issue, n, readers)
    news.settle(n, delivered=len(readers))
    news.take()
    n, swept = news.take("sweep")
    assert swept == [1, 2]
    assert audit(news, issue) == {"delivered": 6, "window": 2}
    news.deliver(issue, n, swept)
    news.settle(n, delivered=2)
    news.take("sweep")
    assert audit(news, issue) == {"delivered": 8}


def test_who_takes_leaving_back_after_the_end_had_left(news):
    issue = news.open()
    leave(news, 1)
    news.send_all(issue)
    put(news, 1, "undo", "active")
    assert audit(news, issue) == {"delivered": 7, "left": 1}


def test_leaving_and_joining_again_is_no_way_back_into_an_issue(news):
    issue = news.open()
    leave(news, 1)
    put(news, 1, "join", "active")
    assert audit(news, issue) == {"left": 1, "waiting": 7}


def test_a_change_of_address_moves_between_lanes_only(news):
    issue = news.open()
    news.ask("UPDATE subscriber SET email = 'x@gmail.com', email_norm = 'x@gmail.com', domain = 'gmail.com',"
             " address_no = 2 WHERE id = 1")
    put(news, 1, "address")
    assert audit(news, issue) == {"waiting": 8}
    assert news.audit["waiting_for"]["for the end of the issue"] == 1


def test_an_erased_reader_who_has_it_stays_counted(busy):
    busy.ask("DELETE FROM subscriber WHERE id IN (1, 3, 5)")
    assert audit(busy) == {"delivered": 1, "refused": 1, "deferred": 1, "in_doubt": 1, "window": 1, "waiting": 3}


# ---- doubts ------------------------------------------------------------------------------------


def test_a_doubt_settled_by_sending_again_is_put_off_then_delivered(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    assert audit(busy)["deferred"] == 2 and "in_doubt" not in audit(busy)
    n, readers = busy.take("retry")
    assert readers == [4]
    assert audit(busy)["window"] == 2
    busy.deliver(busy.issue, n, [4], attempt=2)
    assert audit(busy)["delivered"] == 2  # flushed, its window still open
    busy.settle(n, delivered=1)
    assert audit(busy) == {"delivered": 2, "refused": 1, "deferred": 1, "window": 1, "waiting": 3}


@pytest.mark.parametrize("outcome, counted", [("in_doubt", "in_doubt"), ("skipped", "skipped")])
def test_a_doubt_whose_second_try_tells_nothing_stays_one(busy, outcome, counted):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    n, _ = busy.take("retry")
    busy.deliver(busy.issue, n, [4], outcome=outcome, attempt=2, reason="x")
    busy.settle(n, **{counted: 1})
    assert audit(busy)["in_doubt"] == 1


def test_a_doubt_settled_by_leaving_it_stays_one(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "skip", "--yes")
    assert audit(busy)["in_doubt"] == 1


def test_a_doubt_that_a_late_engine_makes_known_is_a_delivery(busy):
    busy.deliver(busy.issue, 1, [4])
    assert audit(busy) == {"delivered": 2, "refused": 1, "deferred": 1, "window": 1, "waiting": 3}


# ---- what doesn't add up -----------------------------------------------------------------------


def test_a_reader_whom_a_cursor_passed_over_is_named(busy):
    owner(busy, "UPDATE lane SET cursor = 7")
    assert wrong(busy) == {6: "passed over", 7: "passed over"}
    [row, _] = busy.audit["wrong_list"]
    assert row["email"] == "r6@one.example" and "lane UTC, other is at reader 7" in row["found"]
    text = busy.ctl("issue", "audit", busy.issue, status=1)
    assert "r6@one.example" in text and "2 readers are wrong" in text
    assert f"issue {busy.issue} doesn't add up: 2 readers are wrong" in busy.errors


def test_a_delivery_that_was_lost_is_named_once_the_issue_is_done(news):
    issue = news.open()
    news.send_all(issue)
    owner(news, "DELETE FROM delivery WHERE subscriber = 3")
    assert wrong(news, issue) == {3: "passed over"}
    [counts] = [i for i in news.audit["invariants"] if not i["holds"]]
    assert counts["name"] == "window_counts" and counts["broken"] == 1


def test_leaving_after_the_end_hides_no_loss(news):
    issue = news.open()
    news.send_all(issue)
    owner(news, "DELETE FROM delivery WHERE subscriber IN (3, 4)")
    leave(news, 3)
    news.ask("SELECT subscriber_suppress(4, 'operator', now())")
    assert wrong(news, issue) == {3: "passed over", 4: "passed over"}


def test_a_mail_to_somebody_else_is_named(busy):
    stranger = busy.reader("late@one.example")
    busy.deliver(busy.issue, 1, [stranger])
    assert wrong(busy) == {stranger: "not one of its readers"}
    assert busy.audit["audience"] == 8 and busy.audit["wrong"] == 0


@pytest.mark.parametrize("break_it, reason", [
    ("UPDATE deferral SET session = 1, n = 1 WHERE subscriber = 3", "held by a window that is not open"),
    ("INSERT INTO deferral (issue, subscriber, provider, due_at, tries, first_at, variant, cause) SELECT id, 1,"
     " 'other', now(), 1, now(), 1, 'x' FROM issue", "ended, and waits to be sent to again"),
    ("INSERT INTO send_window (session, n, engine, kind, issue, provider, members, size, taken_at) SELECT 1, 9, 1,"
     " 'fresh', id, 'other', '{5}', 1, now() FROM issue", "in two open windows at once"),
    ("INSERT INTO send_window (session, n, engine, kind, issue, provider, members, size, taken_at) SELECT 1, 9, 1,"
     " 'fresh', id, 'other', '{1}', 1, now() FROM issue", "ended, and taken again"),
    ("DELETE FROM subscription WHERE subscriber = 8", "their subscription is gone"),
    ("DELETE FROM lane", "no lane leads to them"),
    ("UPDATE subscription SET status = 'unsubscribed' WHERE subscriber = 8", "not what their events say"),
])
def test_each_wrong_is_told_as_what_it_is(busy, break_it, reason):
    owner(busy, break_it)
    assert set(wrong(busy).values()) == {reason}


def test_a_done_issue_with_somebody_put_off_is_wrong(busy):
    owner(busy, "UPDATE issue SET state = 'done', ended_at = now()")
    reasons = wrong(busy)
    assert reasons[3] == "put off, and the issue has ended"
    assert reasons[6] == reasons[7] == reasons[8] == "passed over"


def test_people_are_shown_the_first_20_and_programs_all(news):
    for number in range(9, 41):
        news.reader(f"r{number}@one.example")
    issue = news.open()
    news.send_all(issue)
    owner(news, "DELETE FROM delivery")
    text = news.ctl("issue", "audit", issue, status=1)
    assert "40 readers are wrong" in text and text.count("passed over") == 20
    assert "and 20 more; --all names them" in text
    assert news.ctl("issue", "audit", issue, "--all", status=1).count("passed over") == 40
    assert len(wrong(news, issue)) == 40


def test_people_read_the_sum(busy):
    text = busy.ctl("issue", "audit", busy.issue)
    assert f"Issue {busy.issue} of news/post is open: opened " in text
    assert "Each of them has one place in the sum." in text
    for words in ("delivered                         1", "in an open window                 1",
                  "not taken yet                     3  (for their turn in a lane 3)"):
        assert words in text, text
    assert "invariants of its windows, deliveries and deferrals hold" in text


# ---- by real engines ---------------------------------------------------------------------------


def test_it_adds_up_at_each_moment_of_an_issue_with_a_kill_in_the_middle(make, ctl):
    engine, news, smtpd = make(readers=600, rules=[
        {"stage": "dot", "delay": 0.02}, {"stage": "rcpt", "match": "^reader[45]1?@", "reply": "550 5.1.1 No such user"},
        {"stage": "dot", "match": "^reader77@", "cut": "before", "times": 1}], server={"defer_one_in": 10})
    other = news.value("INSERT INTO edition (list, name, schedule, starts) VALUES (%s, 'other', 'manual', '-infinity')"
                       " RETURNING id", news.list)

    def put(reader, kind, status=None, edition=None, zone=None):
        news.run("SELECT subscription_put(%s, id, %s, %s, %s, %s, NULL, '{}', now()) FROM subscriber WHERE email = %s",
                 news.list, kind, edition, status, zone, f"reader{reader}@a.example")

    def look():
        audit = ctl.json("issue", "audit", issue)
        assert audit["audience"] == 600 and sum(audit[part] for part in PARTS) == 600
        assert ctl.json("db", "check")["holds"]
        return audit

    engine.start()
    issue = news.open()
    reader = 600
    while (audit := look())["delivered"] < 150:
        put(reader, "unsubscribe", "unsubscribed")
        put(reader - 1, "move", edition=other)
        put(reader - 2, "zone", zone="Asia/Tokyo")
        put(reader - 3, "unsubscribe", "unsubscribed")
        put(reader - 3, "undo", "active")
        reader -= 4
    engine.kill()
    assert look()["window"] > 0
    with engine:
        engine.wait_for(lambda: look() and news.state(issue) == "done")
    audit = look()
    assert audit["delivered"] == news.outcomes(issue)["delivered"] and audit["window"] == audit["waiting"] == 0
    assert audit["delivered"] + audit["in_doubt"] >= 600 - audit["left"] - audit["skipped"] - audit["refused"]
    assert {message["rcpt"][0] for message in smtpd.accepted} >= {row[0] for row in news.rows(
        "SELECT email FROM subscriber p JOIN delivery d ON d.subscriber = p.id WHERE d.outcome = 'delivered'")}
