"""digestctl beside a running digestd: what it shows is what the readers' server took."""

import email
import email.policy

import pytest

from engine import Engine
from newsroom import Newsroom
from smtpd import Rule, Server

RULES = [
    {"stage": "rcpt", "match": "^r3@", "times": 1, "reply": "451 4.7.1 Come back later"},
    {"stage": "rcpt", "match": "^r4@", "reply": "550 5.1.1 No such user"},
]


@pytest.fixture
def running(build, cluster, database, tmp_path):
    """(newsroom of 20 readers, SMTP server), with an engine between them."""
    with Server(rules=RULES) as smtpd:
        room = Newsroom(build, cluster, database, str(tmp_path), port=smtpd.port).make(readers=20)
        with Engine(build, cluster, database, [{"port": smtpd.port}]) as engine:
            engine.wait_for(lambda: room.one("SELECT count(*) FROM session WHERE NOT dead") == 1)
            room.running = engine
            yield room, smtpd
        room.close()


def recipients(smtpd):
    return sorted(address for mail in smtpd.accepted for address in mail["rcpt"])


def test_open_and_wait_until_each_reader_has_it_or_was_refused(running):
    room, smtpd = running
    text = room.ctl("issue", "open", "news/post", "--yes", "--wait")
    assert text.endswith("is done\n19 delivered, 1 refused for good\n"), text
    assert recipients(smtpd) == sorted(f"r{n}@one.example" for n in range(1, 21) if n != 4)
    assert room.ctl("queue") == "nothing waits\n"
    issue = room.one("SELECT id FROM issue")
    shown = room.json("issue", "show", issue)
    assert [shown[k] for k in ("state", "delivered", "refused", "put_off", "in_flight")] == [
        "done", 19, 1, 1, 0]


def test_explain_tells_of_the_wait_and_of_the_refusal(running):
    room, _ = running
    room.ctl("issue", "open", "news/post", "--yes", "--wait")
    late = [line["text"] for line in room.json("explain", "r3@one.example")]
    assert any("451 4.7.1 Come back later" in text for text in late), late
    assert "delivered by relay0 at try 2" in late[-1]
    refused = [line["text"] for line in room.json("explain", "r4@one.example")]
    assert any("refused for good by relay0" in text and "No such user" in text
               for text in refused), refused
    assert any("is never to be mailed again (reason gone)" in text for text in refused), refused


def test_a_test_mail_is_what_the_issue_would_be(running):
    room, smtpd = running
    room.ctl("issue", "test", "news/post", "editor@two.example", "--subject", "Try: {{lead.title}}")
    room.running.wait_for(lambda: smtpd.accepted)
    assert recipients(smtpd) == ["editor@two.example"]
    room.running.wait_for(lambda: room.one("SELECT outcome FROM letter") == "delivered")
    mail = email.message_from_bytes(smtpd.accepted[0]["message"], policy=email.policy.default)
    assert mail["Subject"] == "Try: Story 2"
    assert "Story 1" in mail.get_body(("plain",)).get_content()
    assert room.one("SELECT count(*) FROM issue") == 0


def test_a_doubt_that_an_operator_resends_becomes_known(running):
    room, smtpd = running
    room.ask("UPDATE list SET doubt = 'skip'")
    held = Rule({"stage": "rcpt", "match": "^r6@", "reply": "451 4.7.1 Not yet"})
    smtpd.rules += [held, Rule({"stage": "dot", "match": "^r5@", "times": 1, "cut": "before",
                                "keep": False})]
    issue = room.open()
    room.running.wait_for(lambda: room.json("issue", "show", issue)["in_doubt"] == 1)
    assert room.json("issue", "settle", issue, "--doubt", "resend", "--yes")["settled"] == 1
    room.running.wait_for(lambda: room.one(
        "SELECT outcome FROM delivery d JOIN subscriber p ON p.id = d.subscriber"
        " WHERE p.email = 'r5@one.example'") == "delivered")
    smtpd.rules.remove(held)
    room.running.wait_for(lambda: room.json("issue", "show", issue)["state"] == "done")
    shown = room.json("issue", "show", issue)
    assert [shown[k] for k in ("delivered", "refused", "in_doubt", "skipped")] == [19, 1, 0, 0]
    assert recipients(smtpd).count("r5@one.example") == 1
