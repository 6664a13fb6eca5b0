"""digestctl queue and explain: what waits, and what happened to one reader."""

import pytest


# ---- queue -------------------------------------------------------------------------------------


def test_an_empty_queue_says_so(news):
    assert news.ctl("queue") == "nothing waits\n"
    assert news.json("queue")["issues"] == []


def test_queue_tells_what_waits_and_why(busy):
    busy.article("More")
    busy.json("issue", "test", "news/post", "a@two.example")
    busy.ask("INSERT INTO lane (issue, zone, provider, not_before) VALUES"
             " (%s, 'America/New_York', 'gmail', now() + interval '6 h')", busy.issue)
    busy.ask("INSERT INTO relay_lane (relay, provider, open_until, reason, changed_at)"
             " VALUES (%s, '', now() + interval '1 h', 'connection refused', now())", busy.relay)
    queue = busy.json("queue")
    [issue] = queue["issues"]
    assert [issue[k] for k in ("issue", "ended_readers", "in_flight", "deferred", "why")] == [
        busy.issue, 3, 1, 1, "being sent"]
    assert [lane["provider"] for lane in queue["lanes"]] == ["gmail"]
    assert [(w["host"], w["kind"], w["readers"]) for w in queue["windows"]] == [
        ("mail1", "fresh", 1)]
    assert [(d["provider"], d["cause"], d["readers"]) for d in queue["deferrals"]] == [
        ("other", "mailbox full", 1)]
    assert [(t["kind"], t["letters"]) for t in queue["letters"]] == [("test", 1)]
    assert [(b["relay"], b["reason"]) for b in queue["breakers"]] == [
        ("local", "connection refused")]
    text = busy.ctl("queue")
    for title in ("Issues:", "Lanes that aren't due yet:", "Taken by engines:", "Put off:",
                  "Letters:", "Relays that rest after trouble:"):
        assert title in text
    assert max(map(len, text.splitlines())) <= 80


def test_queue_of_one_issue_leaves_the_rest_out(busy):
    busy.article("More")
    other = busy.open()
    assert [i["issue"] for i in busy.json("queue", "--issue", other)["issues"]] == [other]
    assert busy.json("queue", "--issue", other)["deferrals"] == []
    busy.ctl("queue", "--issue", "1", status=3)


@pytest.mark.parametrize("prepare, why", [
    ("UPDATE issue SET state = 'paused'", "paused"),
    ("UPDATE session SET dead = true", "no engine runs"),
])
def test_queue_names_what_holds_an_issue(busy, prepare, why):
    busy.ask(prepare)
    assert busy.json("queue")["issues"][0]["why"] == why


def test_queue_tells_when_an_engine_that_is_away_or_an_operator_is_waited_for(busy):
    def why():
        return busy.json("queue")["issues"][0]["why"]
    busy.ask("UPDATE session SET dead = true")
    away = busy.session
    busy.engine("mail2")
    n, readers = busy.take()
    assert why() == "being sent"
    busy.deliver(busy.issue, n, readers)
    busy.settle(n, delivered=len(readers))
    busy.take()
    assert why().startswith("next try ")
    busy.ask("UPDATE deferral SET due_at = now()")
    n, readers = busy.take("retry")
    busy.deliver(busy.issue, n, readers, attempt=2)
    busy.settle(n, delivered=1)
    assert why() == "held by an engine that is away"
    busy.ctl("engine", "retire", busy.one("SELECT engine FROM session WHERE id = %s", away), "--yes")
    busy.take("sweep")
    assert why() == "in doubt: see issue settle"
    busy.ctl("issue", "settle", busy.issue, "--doubt", "skip", "--yes")
    assert why() == "about to end"
    busy.take("sweep")
    assert busy.json("queue")["issues"] == []


@pytest.mark.parametrize("words", [["engine", "ls"], ["issue", "show"], ["issue", "audit"], ["db", "check"],
                                   ["explain", "r4@one.example"], ["queue"]])
def test_what_is_told_fits_a_terminal_also_when_it_is_broken(busy, words):
    busy.ask("SET session_replication_role = replica")
    busy.ask("UPDATE lane SET cursor = 7")
    busy.ask("UPDATE delivery SET n = 77 WHERE subscriber = 1")
    words = words + [busy.issue] if words[0] == "issue" else words
    lines = busy.on_terminal(*words).splitlines()
    assert len(lines) >= 2 and max(map(len, lines)) <= 80, lines


# ---- explain -----------------------------------------------------------------------------------


def story(news, reader, *words):
    lines = news.json("explain", f"r{reader}@one.example", *words)
    return [(line["kind"], line["text"]) for line in lines]


@pytest.mark.parametrize("reader, kind, words", [
    (1, "delivery", 'delivered by local (window 1.1 of mail1), "250", queue id 4Xq'),
    (2, "delivery", 'refused for good by local (window 1.1 of mail1), "550 5.1.1 no user"'),
    (3, "attempt", 'try 1 by local (window 1.1 of mail1): mailbox full, "452 4.2.2 full"'),
    (3, "deferral", "will be tried again, after 1 try: mailbox full"),
    (4, "delivery", "in doubt: handed over, the answer was never seen, relay local"),
    (5, "window", "taken by the engine on mail1 (window 1.2), not known yet"),
    (6, "waiting", "waits for its turn (lane UTC, other) behind reader 5 of 6"),
])
def test_each_way_that_an_issue_may_go_is_told(busy, reader, kind, words):
    lines = story(busy, reader)
    assert lines[0] == ("subscription", "news/post: was imported (way file readers.csv), is active")
    assert lines[1][0] == "issue" and "for them (theirs since gen 1" in lines[1][1]
    assert any(k == kind and words in text for k, text in lines[2:]), lines
    assert busy.ctl("explain", f"r{reader}@one.example").startswith(f"r{reader}@one.example, reader")


def test_who_joined_later_is_told_why_they_have_no_issue(busy):
    busy.reader("r9@one.example")
    assert any("not for them: they became one of its readers after it had opened" in text
               for _, text in story(busy, 9))
    assert not any(kind == "waiting" for kind, _ in story(busy, 9))


def test_who_left_before_their_turn_is_told_so(busy):
    busy.ask("SELECT subscription_put(%s, 8, 'unsubscribe', NULL, 'unsubscribed', NULL, NULL,"
             " '{\"way\": \"one-click\", \"from\": \"192.0.2.1\"}', now())", busy.list)
    lines = story(busy, 8)
    assert ("subscription", "news/post: left (from 192.0.2.1, way one-click), is unsubscribed") in lines
    assert lines[-1][1].endswith("nothing was sent: not an active reader")


@pytest.mark.parametrize("lane_is_there", [False, True])
def test_who_moved_between_lanes_waits_for_the_end(busy, lane_is_there):
    if lane_is_there:
        busy.ask("INSERT INTO lane (issue, zone, provider, not_before)"
                 " VALUES (%s, 'Asia/Tokyo', 'other', now())", busy.issue)
    busy.ask("SELECT subscription_put(%s, 8, 'zone', NULL, NULL, 'Asia/Tokyo', NULL, NULL, now())",
             busy.list)
    lines = story(busy, 8)
    assert any("they changed lanes since" in text for _, text in lines)
    assert "waits for the end of the issue" in lines[-1][1]


def test_a_cancelled_issue_never_reached_them(busy):
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    assert story(busy, 6)[-1][1].endswith("nothing was sent: it was cancelled before their turn")
    assert any("would have been tried again, but it is cancelled" in t for _, t in story(busy, 3))


def test_letters_are_told_with_their_end(busy):
    number = busy.one("SELECT letter_put('welcome', %s, 1, 'r1@one.example', NULL,"
                      " interval '1 day', now())", busy.list)
    assert ("letter", "the welcome letter of news waits for its turn") in story(busy, 1)
    busy.ask("UPDATE letter SET outcome = 'delivered', ended_at = now(), relay = %s, code = 250,"
             " queue_id = 'L1' WHERE id = %s", busy.relay, number)
    assert ("letter", 'the welcome letter of news was delivered by local, "250", queue id L1'
            ) in story(busy, 1)
    assert not any(kind == "letter" for kind, _ in story(busy, 1, "--issue", str(busy.issue)))


def test_an_address_is_found_as_its_owner_may_write_it(busy):
    assert busy.json("explain", "R1@ONE.example") == busy.json("explain", "r1@one.example")


def test_an_unknown_address_is_not_found(busy):
    busy.ctl("explain", "nobody@one.example", status=3)
    busy.ctl("explain", "nobody", status=2)
    busy.ctl("explain", "r1@one.example", "--issue", "1", status=3)


def test_an_erased_reader_is_known_as_suppressed_at_most(busy):
    busy.ask("SELECT subscriber_suppress(7, 'complaint', now())")
    assert "never to be mailed again (complaint)" in busy.ctl("explain", "r7@one.example")
    busy.ask("DELETE FROM subscriber WHERE id = 7")
    assert "isn't a reader" in busy.ctl("explain", "r7@one.example")
    [line] = busy.json("explain", "r7@one.example")
    assert (line["kind"], line["detail"]) == ("suppression", {"reason": "complaint"})


def test_an_erased_reader_is_found_by_number(busy):
    before = story(busy, 1)
    assert busy.json("explain", "1") == busy.json("explain", "r1@one.example")
    busy.ask("DELETE FROM subscriber WHERE id = 1")
    busy.ctl("explain", "r1@one.example", status=3)
    assert "known by number only" in busy.errors
    after = [(line["kind"], line["text"]) for line in busy.json("explain", "1")]
    assert after[0] == before[0] and after[2] == before[2]
    assert "opened, for them (it opened at gen 1)" in after[1][1]
    assert busy.ctl("explain", "1").startswith("reader 1 was erased")
    busy.ctl("explain", "4711", status=3)


# ---- who they were to an issue -----------------------------------------------------------------


def put(busy, reader, kind, status=None, edition=None):
    busy.ask("SELECT subscription_put(%s, %s, %s, %s, %s, NULL, NULL, NULL, now())", busy.list, reader, kind,
             edition, status)


def opening(news, reader, issue):
    return next(line["text"] for line in news.json("explain", f"r{reader}@one.example")
                if line["kind"] == "issue" and line["issue"] == issue)


def test_what_a_reader_was_when_an_issue_opened_is_told(busy):
    other = busy.one("INSERT INTO edition (list, name, schedule, starts) VALUES (%s, 'other', 'manual', '-infinity')"
                     " RETURNING id", busy.list)
    busy.reader("r9@one.example", kind="join", status="pending")
    put(busy, 6, "unsubscribe", "unsubscribed")
    put(busy, 7, "move", edition=other)
    put(busy, 8, "unsubscribe", "unsubscribed")
    busy.article("Two")
    issue = busy.open()
    put(busy, 9, "confirm", "active")
    put(busy, 8, "undo", "active")
    assert "opened, not for them: they had left" in opening(busy, 6, issue)
    assert "opened, not for them: they read another edition of the list then" in opening(busy, 7, issue)
    assert "opened, for them after all: they had left, and took it back" in opening(busy, 8, issue)
    assert "opened, not for them: they were pending" in opening(busy, 9, issue)
    assert "opened, for them (theirs since gen 1" in opening(busy, 6, busy.issue)
    assert "opened, for them (it opened at gen 1)" in opening(busy, 7, busy.issue)
    assert "nothing was sent: they moved to another edition" in story(busy, 7, "--issue", busy.issue)[-1][1]
    assert story(busy, 8, "--issue", issue)[-1][1].endswith("waits for the end of the issue, which looks for those"
                                                            " who changed lanes")
    put(busy, 6, "join", "active")
    assert story(busy, 6, "--issue", busy.issue)[-1][1].endswith(
        "nothing was sent: they had left, and came back as new readers")


# ---- doubts ------------------------------------------------------------------------------------


def last(news, reader):
    line = news.json("explain", f"r{reader}@one.example", "--issue", news.issue)[-1]
    return line["text"], line["detail"]


@pytest.mark.parametrize("reason, policy, decided_by, becomes", [
    ("in doubt: cut", "skip", "the connection's end", "not sent again, as the list has it"),
    ("in doubt: timeout", "resend", "the connection's end", "an operator may decide (digestctl issue settle"),
    ("in doubt: the process ended", "skip", "the engine's next life, from its journal", "not sent again"),
    ("in doubt, held: the journal is missing", "resend", "the engine's next life, without its journal",
     "an operator decides (digestctl issue settle"),
    ("in doubt, held: the engine was retired", "skip", "an operator, who retired the engine", "an operator decides"),
    ("in doubt, held: the engine is gone", "resend", "another engine, which found this one gone", "an operator decides"),
])
def test_who_decided_that_it_is_in_doubt_and_what_follows(busy, reason, policy, decided_by, becomes):
    busy.ask("UPDATE list SET doubt = %s", policy)
    busy.ask("SET session_replication_role = replica")
    busy.ask("UPDATE delivery SET reason = %s WHERE subscriber = 4", reason)
    busy.ask("SET session_replication_role = DEFAULT")
    text, detail = last(busy, 4)
    # Whoever is held because a journal was lost may never have been begun.
    what = "it may have been handed over" if "held" in reason else "handed over, the answer was never seen"
    assert f"in doubt: {what}, relay local (window 1.1 of mail1): " in text
    assert f"; decided by {decided_by}; {becomes}" in text and text.endswith("; they have it or not")
    assert reason.split(": ")[1] in text
    assert (detail["decided_by"], detail["policy"], detail["copy_may_exist"]) == (decided_by, policy, False)
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    n, _ = busy.take("retry")
    busy.deliver(busy.issue, n, [4], attempt=2, code=250)
    busy.settle(n, delivered=1)
    before = [text for kind, text in story(busy, 4) if kind == "attempt"]
    assert len(before) == 1 and f"try 1 is in doubt: {what}, " in before[0]
    assert f"; decided by {decided_by}; it went once more" in before[0]


def test_a_doubt_of_an_issue_that_has_ended_waits_for_nobody(busy):
    busy.ask("UPDATE list SET doubt = 'resend'")
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    busy.deliver(busy.issue, busy.held, [5])
    busy.settle(busy.held, delivered=1)
    busy.take("sweep")
    assert "; its issue has ended, so it stays so; they have it or not" in last(busy, 4)[0]


def test_a_doubt_whose_reader_left_before_it_went_again_says_so(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    put(busy, 4, "unsubscribe", "unsubscribed")
    n, _ = busy.take("retry")
    busy.deliver(busy.issue, n, [4], outcome="skipped", attempt=2, reason="unsubscribed")
    busy.settle(n, skipped=1)
    lines = [text for kind, text in story(busy, 4) if kind in ("attempt", "delivery")]
    assert "; it was to go once more; they have it or not" in lines[0]
    assert "stays in doubt" in lines[1] and lines[1].endswith(": not sent again: unsubscribed")


def test_an_operators_word_about_a_doubt_is_told(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "skip", "--yes")
    assert "; an operator left it at that; they have it or not" in last(busy, 4)[0]


def test_a_doubt_that_went_again_may_have_left_a_copy(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    lines = story(busy, 4)
    assert "; an operator has it go once more; they have it or not" in lines[-2][1]
    assert "is due to be tried again, after 1 try: in doubt" in lines[-1][1]
    n, _ = busy.take("retry")
    assert f"is being tried again by the engine on mail1 (window 1.{n})" in last(busy, 4)[0]
    busy.deliver(busy.issue, n, [4], attempt=2, code=250)
    busy.settle(n, delivered=1)
    lines = story(busy, 4)
    assert "try 1 is in doubt: handed over, the answer was never seen, relay local" in lines[-2][1]
    assert "cut; decided by the connection's end; it went once more" in lines[-2][1]
    assert lines[-1][1].endswith("; after a doubt, so they may have it twice, with the same Message-ID")
    assert last(busy, 4)[1]["copy_may_exist"] is True


def test_a_second_doubt_stays_one(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    n, _ = busy.take("retry")
    busy.deliver(busy.issue, n, [4], outcome="in_doubt", attempt=2, reason="in doubt: timeout")
    busy.settle(n, in_doubt=1)
    lines = [text for kind, text in story(busy, 4) if kind in ("attempt", "delivery")]
    assert len(lines) == 2 and all("in doubt" in text and "never seen" in text for text in lines)


def test_a_doubt_that_ends_without_being_sent_again_is_told_as_that(busy):
    busy.ctl("issue", "settle", busy.issue, "--doubt", "resend", "--yes")
    busy.ctl("issue", "cancel", busy.issue, "--yes")
    busy.take("sweep")
    lines = [text for kind, text in story(busy, 4) if kind in ("attempt", "delivery")]
    assert any("stays in doubt" in text and "not sent again: cancelled" in text for text in lines), lines
    assert busy.json("db", "check")["holds"]


def test_a_second_fact_is_told_with_the_copy_it_means(busy):
    busy.deliver(busy.issue, 1, [1], attempt=2, code=250)
    text, detail = last(busy, 1)
    assert "a second word about it: delivered" in text and "they may have it twice" in text
    assert detail["copy_may_exist"] is True


def test_who_waits_with_an_engine_that_is_gone_is_told_so(busy):
    busy.ask("UPDATE session SET dead = true")
    assert last(busy, 5)[0].endswith("; that engine is gone, they wait until it comes back or is retired")


def test_a_retry_that_is_held_is_told_once(busy):
    busy.ask("UPDATE deferral SET due_at = now()")
    n, _ = busy.take("retry")
    where = f"is being tried again by the engine on mail1 (window 1.{n}), after 1 try: mailbox full"
    assert [text for kind, text in story(busy, 3)[3:]] == [f"issue {busy.issue}: {where}"]
    busy.ask("UPDATE session SET dead = true")
    assert [text for kind, text in story(busy, 3)[3:]] == [
        f"issue {busy.issue}: {where}; that engine is gone, they wait until it comes back or is retired"]


def test_a_window_that_the_next_life_settled_is_told(busy):
    busy.ask("UPDATE session SET dead = true, ended_at = now() - interval '1 h'")
    assert last(busy, 1)[0].endswith("; its window was settled by the engine's next life")


def test_one_issues_story_leaves_other_lists_out(busy):
    other = busy.one("INSERT INTO list (name, title, from_addr, return_path, base_url) VALUES ('else', 'Else',"
                     " 'a@b.example', 'a@b.example', 'https://e.example') RETURNING id")
    busy.ask("INSERT INTO edition (list, name, schedule, starts, is_default) VALUES (%s, 'x', 'manual', now(), true)",
             other)
    busy.ask("SELECT subscription_put(%s, 1, 'join', NULL, 'active', NULL, NULL, NULL, now())", other)
    assert any("else/x" in text for _, text in story(busy, 1))
    assert not any("else/x" in text for _, text in story(busy, 1, "--issue", busy.issue))
