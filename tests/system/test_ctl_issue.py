"""digestctl issue: opening, following, showing, holding."""

import email
import email.policy
import os
import pty
import re
import signal
import subprocess

import pytest

from newsroom import Newsroom
from waiting import PATIENCE

OCCURRENCE = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def room(build, cluster, database, tmp_path):
    made = Newsroom(build, cluster, database, str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def news(room):
    return room.make()


# ---- open --------------------------------------------------------------------------------------


def test_open_shows_what_it_is_going_to_do(news):
    text = news.ctl("issue", "open", "news/post", "--yes")
    assert "Subject:   Story 2" in text
    assert "1. Story 2" in text and "2. Story 1" in text
    assert "Readers:   5" in text
    assert "Relays:    local" in text
    assert re.search(r"HTML: +\d+\.\d kB", text)
    assert re.search(r"issue \d{12} is open", text)


def test_open_asks_and_a_script_that_cannot_be_asked_opens_nothing(news):
    news.ctl("issue", "open", "news/post", status=4)
    assert "--yes" in news.errors
    assert news.one("SELECT count(*) FROM issue") == 0


def test_the_same_occurrence_opens_once(news):
    first = news.json("issue", "open", "news/post", "--yes", "--occurrence", OCCURRENCE)
    again = news.json("issue", "open", "news/post", "--yes", "--occurrence", OCCURRENCE)
    assert first["opened"] and not again["opened"]
    assert first["issue"] == again["issue"]
    assert news.one("SELECT count(*) FROM issue") == 1


def test_an_occurrence_that_is_no_uuid_is_refused(news):
    news.ctl("issue", "open", "news/post", "--yes", "--occurrence", "today", status=2)


def test_articles_are_chosen_and_ordered_by_the_operator(news):
    third = news.article("Story 3")
    first = news.one("SELECT id FROM article WHERE title = 'Story 1'")
    opened = news.json("issue", "open", "news/post", "--yes", "--articles", f"{first},{third}",
                       "--subject", "Two: {{lead.title}}")
    assert [a["title"] for a in opened["articles"]] == ["Story 1", "Story 3"]
    assert opened["subject"] == "Two: Story 1"


def test_an_article_that_cannot_go_out_is_named_with_the_reason(news):
    elsewhere = news.one("INSERT INTO feed (name) VALUES ('elsewhere') RETURNING id")
    news.feed, desk = elsewhere, news.feed
    foreign = news.article("Foreign")
    news.feed = desk
    news.ctl("issue", "open", "news/post", "--yes", "--articles", f"1,{foreign}", status=1)
    assert f"article {foreign}" in news.errors and "another list" in news.errors
    news.ctl("issue", "open", "news/post", "--yes", "--articles", "999", status=1)
    assert "there is none of that number" in news.errors
    issue = news.open("--articles", "1")
    news.ctl("issue", "open", "news/post", "--yes", "--articles", "1", status=1)
    assert f"it went out with issue {issue}" in news.errors


def test_nothing_new_opens_nothing(news):
    news.open()
    news.ctl("issue", "open", "news/post", "--yes", status=1)
    assert "nothing new" in news.errors and "first poll" not in news.errors


def test_what_was_there_before_the_first_poll_goes_out_by_its_name_alone(news):
    news.open()
    old = news.article("Old", backlog=True)
    news.ctl("issue", "open", "news/post", "--yes", status=1)
    assert "1 that stood in a feed before its first poll" in news.errors
    opened = news.json("issue", "open", "news/post", "--yes", "--articles", str(old))
    assert [a["title"] for a in opened["articles"]] == ["Old"]


def test_open_warns_of_what_an_operator_would_regret(room):
    room.make(readers=0, base_url="http://news.example", postal="")
    room.article("Bare", url="http://bare.example/", body='<a href="http://bare.example/">x</a>')
    room.article("Huge", body="<p>" + "word " * 30000 + "</p>")
    room.ask("UPDATE list SET settings = '{\"full_text\": true}'")
    room.ask("UPDATE feed SET flood = '60 new articles'")
    room.engine()
    room.ask("INSERT INTO relay_lane (relay, provider, open_until, reason, changed_at)"
             " VALUES (%s, '', now() + interval '1 h', 'connection refused', now())", room.relay)
    warnings = "\n".join(room.json("issue", "open", "news/post", "--yes")["warnings"])
    for words in ("no active reader", "postal address", "Gmail cuts", "2 links lead to http://",
                  "RFC 8058", "the feed desk brought a flood", "the relay local rests"):
        assert words in warnings
    assert "no engine" not in warnings


def test_open_warns_when_no_engine_runs(news):
    assert any("no engine" in w for w in news.json("issue", "open", "news/post", "--yes")
               ["warnings"])


def test_the_audience_counts_whom_the_issue_is_for(news):
    news.ask("UPDATE article SET topics = '{sea}'")
    news.ask("UPDATE subscription SET topics = '{land}' WHERE subscriber = 1")
    news.ask("UPDATE subscription SET topics = '{sea,land}' WHERE subscriber = 2")
    news.ask("UPDATE subscription SET paused_until = now() + interval '1 d' WHERE subscriber = 3")
    assert news.json("issue", "open", "news/post", "--yes")["audience"] == 3


def test_an_unknown_list_or_edition_is_not_found(news):
    news.ctl("issue", "open", "nix", "--yes", status=3)
    news.ctl("issue", "open", "news/nix", "--yes", status=3)


# ---- follow ------------------------------------------------------------------------------------


def follow(news, *words, **pipes):
    """digestctl that opens the issue, or finds it open, and waits for its end."""
    return subprocess.Popen([news.program, "--config", news.config, "issue", "open", "news/post",
                             "--yes", "--wait", *words], stdout=subprocess.PIPE, text=True, **pipes)


def until(process, words):
    """What it says up to the line with these words."""
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}: {said}")


def test_wait_follows_the_issue_to_its_end(news):
    news.engine()
    issue = news.open("--occurrence", OCCURRENCE)
    process = follow(news, "--occurrence", OCCURRENCE)
    text = until(process, f"issue {issue}: 0 of 5 done")
    news.send_all(issue)
    text += process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0
    assert f"issue {issue} was opened before" in text
    assert text.endswith(f"issue {issue} is done\n5 delivered\n")


def test_wait_fails_when_the_issue_is_cancelled(news):
    issue = news.open("--occurrence", OCCURRENCE)
    news.ask("UPDATE issue SET state = 'cancelled', ended_at = now() WHERE id = %s", issue)
    text = news.ctl("issue", "open", "news/post", "--yes", "--occurrence", OCCURRENCE, "--wait",
                    status=1)
    assert "is cancelled" in text


def test_ctrl_c_leaves_the_issue_running_and_says_so(news):
    process = follow(news, stderr=subprocess.PIPE)
    until(process, "0 of 5 done")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "goes on" in errors
    assert news.one("SELECT state FROM issue") == "open"


def test_a_terminal_sees_a_bar_that_is_wiped_at_the_end(news):
    news.engine()
    issue = news.open("--occurrence", OCCURRENCE)
    n, readers = news.take(limit=2)
    news.deliver(issue, n, readers)
    news.settle(n, delivered=2)
    terminal, program = pty.openpty()
    process = follow(news, "--occurrence", OCCURRENCE, stderr=program)
    os.close(program)
    drawn = ""
    while "2/5" not in drawn:
        drawn += os.read(terminal, 4096).decode()
    news.send_all(issue)
    try:
        while part := os.read(terminal, 4096):
            drawn += part.decode()
    except OSError:
        pass  # the program has closed its end
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(terminal)
    assert "█" in drawn and "░" in drawn and " 40%" in drawn
    assert drawn.endswith("\r\x1b[K")
    assert out == f"issue {issue} was opened before\nissue {issue} is done\n5 delivered\n"


# ---- ls, show ----------------------------------------------------------------------------------


def test_ls_shows_the_issues_with_their_numbers(news):
    assert "no issue was opened yet" in news.ctl("issue", "ls")
    news.engine()
    issue = news.open()
    n, readers = news.take()
    news.deliver(issue, n, readers[:3])
    news.put_off(issue, n, readers[3:])
    news.settle(n, delivered=3, deferred=2)
    [row] = news.json("issue", "ls", "news")
    assert (row["issue"], row["state"], row["subject"]) == (issue, "open", "Story 2")
    assert (row["delivered"], row["deferred"], row["refused"]) == (3, 2, 0)
    news.ctl("issue", "ls", "nix", status=3)


def test_show_tells_lanes_numbers_and_who_is_put_off(news):
    news.engine()
    issue = news.open()
    n, readers = news.take()
    news.deliver(issue, n, readers[:3])
    news.deliver(issue, n, readers[3:4], outcome="refused", code=550, reason="no such user")
    news.put_off(issue, n, readers[4:])
    news.settle(n, delivered=3, refused=1, deferred=1)
    shown = news.json("issue", "show", issue)
    assert [shown[k] for k in ("delivered", "refused", "deferred", "put_off")] == [3, 1, 1, 1]
    assert shown["lane_list"][0]["eaten"]
    assert shown["deferral_list"][0]["cause"] == "mailbox full"
    assert [a["title"] for a in shown["articles"]] == ["Story 2", "Story 1"]
    text = news.ctl("issue", "show", issue)
    for words in ("Story 2", "Delivered:", "mailbox full", "452 4.2.2 full", "PROVIDER"):
        assert words in text
    assert "lanes are left" not in text
    news.ask("INSERT INTO lane (issue, zone, provider, not_before) VALUES (%s, 'Asia/Tokyo', 'gmail', now())", issue)
    text = news.ctl("issue", "show", issue)
    assert "1 of 2 lanes are left:" in text and "Asia/Tokyo" in text and "UTC  " not in text.split("lanes are left:")[1]
    assert len(news.json("issue", "show", issue)["lane_list"]) == 2


def test_show_of_an_unknown_issue_is_not_found(news):
    news.ctl("issue", "show", "202601000001", status=3)
    news.ctl("issue", "show", "many", status=2)


# ---- preview, test -----------------------------------------------------------------------------


def test_preview_shows_the_issue_that_would_be(news, tmp_path):
    shown = news.json("issue", "preview", "news/post", "--subject", "Hello {{reader.name}}")
    assert shown["subject"] == "Hello Robin Reader"
    assert shown["articles"] == ["Story 2", "Story 1"]
    page, mail = tmp_path / "page.html", tmp_path / "mail.eml"
    news.ctl("issue", "preview", "news/post", "--html", page, "--eml", mail)
    assert "Story 1" in page.read_text() and "https://news.example/u/preview" in page.read_text()
    parsed = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert parsed["Subject"] == "Story 2" and not parsed.defects
    assert [p.get_content_type() for p in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert "Story 1" in news.ctl("issue", "preview", "news/post", "--text")
    assert news.one("SELECT count(*) FROM issue") == 0


def test_preview_for_topics_and_language(news):
    news.ask("UPDATE article SET topics = '{sea}' WHERE title = 'Story 1'")
    news.ask("UPDATE article SET topics = '{land}' WHERE title = 'Story 2'")
    assert news.json("issue", "preview", "news/post", "--topics", "sea")["articles"] == ["Story 1"]
    news.ctl("issue", "preview", "news/post", "--topics", "sky", status=1)
    german = news.ctl("issue", "preview", "news/post", "--lang", "de", "--text")
    assert "Abbestellen" in german or "Abmelden" in german
    news.ctl("issue", "preview", "news/post", "--lang", "tlh", status=1)
    assert "there are no words" in news.errors


def test_preview_of_an_opened_issue_shows_what_was_frozen(news):
    issue = news.open()
    news.ask("UPDATE article SET title = 'Changed'")
    assert news.json("issue", "preview", issue)["subject"] == "Story 2"
    news.ctl("issue", "preview", issue, "--subject", "x", status=2)


def test_test_mails_carry_the_issue_as_it_would_be(news):
    rows = news.json("issue", "test", "news/post", "a@two.example", "b@two.example")
    assert [row["address"] for row in rows] == ["a@two.example", "b@two.example"]
    kind, subscriber, title = news.ask(
        "SELECT kind, subscriber, params #>> '{content,articles,0,title}' FROM letter LIMIT 1")[0]
    assert (kind, subscriber, title) == ("test", None, "Story 2")


def test_one_wrong_address_sends_no_test_at_all(news):
    news.ctl("issue", "test", "news/post", "a@two.example", "nobody", status=2)
    news.ask("SELECT subscriber_suppress(1, 'complaint', now())")
    news.ctl("issue", "test", "news/post", "a@two.example", "r1@one.example", status=1)
    assert "never to be mailed again" in news.errors
    assert news.one("SELECT count(*) FROM letter") == 0


def test_a_test_mail_that_cannot_be_queued_takes_the_others_along(news):
    news.ask("ALTER TABLE letter ADD CHECK (address <> 'b@two.example')")
    news.ctl("issue", "test", "news/post", "a@two.example", "b@two.example", status=1)
    assert news.one("SELECT count(*) FROM letter") == 0


# ---- pause, resume, cancel ---------------------------------------------------------------------


def test_a_paused_issue_is_not_taken_until_it_is_resumed(news):
    news.engine()
    issue = news.open()
    assert news.json("issue", "pause", issue)["state"] == "paused"
    assert news.take()[1] == []
    news.ctl("issue", "pause", issue)
    news.ctl("issue", "resume", issue)
    assert len(news.take()[1]) == 5


def test_the_time_of_a_paused_issue_runs_on_and_ends_it_when_it_is_resumed(news):
    news.engine()
    issue = news.open()
    news.ctl("issue", "pause", issue)
    news.ask("UPDATE issue SET expires_at = now() WHERE id = %s", issue)
    news.take("sweep")
    assert news.one("SELECT state FROM issue") == "paused"
    news.ctl("issue", "resume", issue)
    assert news.take()[1] == []
    news.take("sweep")
    assert news.one("SELECT state FROM issue") == "expired"


def test_cancel_asks_and_is_for_ever(news):
    issue = news.open()
    news.ctl("issue", "cancel", issue, status=4)
    assert news.one("SELECT state FROM issue") == "open"
    news.ctl("issue", "cancel", issue, "--yes")
    assert news.one("SELECT state FROM issue") == "cancelled"
    news.ctl("issue", "resume", issue, status=1)
    assert f"issue {issue} is cancelled" in news.errors
    news.ctl("issue", "pause", "1", status=3)


# ---- settle ------------------------------------------------------------------------------------


@pytest.fixture
def doubtful(news):
    """An issue of five: three delivered, two in doubt; (newsroom, issue, the two)."""
    news.engine()
    issue = news.open()
    n, readers = news.take()
    news.deliver(issue, n, readers[:3])
    news.deliver(issue, n, readers[3:], outcome="in_doubt", reason="in doubt: cut")
    news.settle(n, delivered=3, in_doubt=2)
    return news, issue, readers[3:]


def numbers(news, issue):
    shown = news.json("issue", "show", issue)
    return {key: shown[key] for key in ("delivered", "in_doubt", "skipped", "deferred")}


def test_doubt_that_is_resent_is_counted_once_when_it_is_known(doubtful):
    news, issue, readers = doubtful
    assert news.json("issue", "settle", issue, "--doubt", "resend", "--yes")["settled"] == 2
    assert numbers(news, issue) == {"delivered": 3, "in_doubt": 0, "skipped": 0, "deferred": 2}
    assert news.json("issue", "settle", issue, "--doubt", "resend", "--yes")["settled"] == 0
    n, taken = news.take("retry")
    assert taken == readers
    news.deliver(issue, n, taken, attempt=2)
    news.settle(n, delivered=2)
    assert numbers(news, issue) == {"delivered": 5, "in_doubt": 0, "skipped": 0, "deferred": 0}
    assert news.one("SELECT count(*) FROM delivery WHERE outcome = 'delivered'") == 5
    news.take("sweep")
    assert news.one("SELECT state FROM issue") == "done"


def test_a_resend_that_is_in_doubt_again_can_be_settled_again(doubtful):
    news, issue, _ = doubtful
    news.ctl("issue", "settle", issue, "--doubt", "resend", "--yes")
    n, taken = news.take("retry")
    news.deliver(issue, n, taken, outcome="in_doubt", attempt=2, reason="in doubt: cut")
    news.settle(n, in_doubt=2)
    assert numbers(news, issue) == {"delivered": 3, "in_doubt": 2, "skipped": 0, "deferred": 0}
    assert news.json("issue", "settle", issue, "--doubt", "resend", "--yes")["settled"] == 2
    assert numbers(news, issue) == {"delivered": 3, "in_doubt": 0, "skipped": 0, "deferred": 2}


def test_doubt_that_is_skipped_stays_and_says_so(doubtful):
    news, issue, _ = doubtful
    assert news.json("issue", "settle", issue, "--doubt", "skip", "--yes")["settled"] == 2
    assert numbers(news, issue) == {"delivered": 3, "in_doubt": 2, "skipped": 0, "deferred": 0}
    assert news.one("SELECT count(*) FROM delivery WHERE reason ="
                    " 'in doubt: cut (settled: not sent again)'") == 2
    assert news.json("issue", "settle", issue, "--doubt", "resend", "--yes")["settled"] == 0


def test_nothing_of_an_ended_issue_is_sent_again(doubtful):
    news, issue, _ = doubtful
    news.take("sweep")
    news.ctl("issue", "settle", issue, "--doubt", "resend", "--yes", status=1)
    assert "nothing of it can be sent again" in news.errors
    assert news.one("SELECT count(*) FROM deferral") == 0
    assert news.json("issue", "settle", issue, "--doubt", "skip", "--yes")["settled"] == 2


def test_settle_wants_a_decision_and_asks(doubtful):
    news, issue, _ = doubtful
    news.ctl("issue", "settle", issue, status=2)
    news.ctl("issue", "settle", issue, "--doubt", "resend", status=4)
    assert news.one("SELECT count(*) FROM deferral") == 0
