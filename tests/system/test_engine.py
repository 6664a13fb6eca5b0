"""The whole engine: windows from a real database, mails to a scripted SMTP server that keeps the
truth, outcomes back. Nobody lost, nobody twice."""

import email
import email.policy
import signal
import socket
import time

import psycopg2

from engine import accepted, each_once
from smtpd import Rule


class Gate:
    """Lets an SMTP server answer so many mails; those beyond it are taken, and wait for their reply.

    What a test does "while an issue goes out" is done while it can't have gone out.
    """

    def __init__(self, smtpd, most, delay=0.0):
        self.smtpd, self.most = smtpd, most
        smtpd.rules.append(Rule({"stage": "dot", "delay": delay, "until": self.is_open}))

    def is_open(self):
        return self.most is None or len(self.smtpd.accepted) <= self.most

    def is_reached(self):
        return len(self.smtpd.accepted) > self.most

    def open(self):
        self.most = None


def test_each_reader_gets_one_mail(make):
    engine, news, smtpd = make(readers=1000)
    with engine:
        issue = news.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 1000)
    assert news.outcomes(issue) == {"delivered": 1000}
    assert news.counts(issue) == (1000, 0, 0, 0, 0, 0)
    assert news.value("SELECT count(*) FROM anomaly") == 0
    assert news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0
    assert news.value("SELECT count(*) FROM session WHERE NOT dead") == 0
    texts = {}
    for message in smtpd.accepted:
        mail = email.message_from_bytes(message["message"], policy=email.policy.default)
        assert not mail.defects and not any(part.defects for part in mail.walk())
        texts[message["rcpt"][0]] = mail["List-Unsubscribe"]
        assert mail["Message-ID"].strip("<>").endswith("@news.example")
    assert len(set(texts.values())) == 1000


def test_who_is_put_off_gets_it_later_and_who_is_refused_does_not(make):
    engine, news, smtpd = make(readers=200, rules=[
        {"stage": "rcpt", "match": "^reader5@", "reply": "550 5.1.1 No such user"},
        {"stage": "rcpt", "match": "^reader6@", "reply": "550 5.7.1 Not wanted"},
    ], server={"defer_one_in": 10})
    with engine:
        issue = news.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    count = accepted(smtpd)
    assert set(count.values()) == {1} and len(count) == 198
    assert news.outcomes(issue) == {"delivered": 198, "refused": 2}
    assert news.value("SELECT count(*) FROM attempt WHERE issue = %s", issue) >= 19
    gone = news.rows("SELECT email FROM subscriber WHERE suppressed_at IS NOT NULL")
    assert gone == [("reader5@a.example",)]
    assert news.value("SELECT count(*) FROM deferral") == 0


def test_killed_in_the_middle_it_goes_on_and_doubts_at_most_one_a_connection(make):
    engine, news, smtpd = make(readers=600)
    gate = Gate(smtpd, 0)
    with engine:
        issue = news.open()
        for _ in range(3):
            gate.most = len(smtpd.accepted) + 60
            engine.wait_for(gate.is_reached)
            engine.kill()
            engine.start()
        gate.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    count = accepted(smtpd)
    assert len(count) >= 600 - news.outcomes(issue).get("in_doubt", 0), "somebody was lost"
    twice = [to for to, n in count.items() if n > 1]
    doubted = {row[0] for row in news.rows(
        "SELECT p.email FROM attempt a JOIN subscriber p ON p.id = a.subscriber WHERE cause LIKE 'in doubt%%'")}
    assert set(twice) <= doubted and len(doubted) <= 3 * 5
    # A mail that was sent again and met another kill stays in doubt, and is named.
    outcomes = news.outcomes(issue)
    assert outcomes["delivered"] + outcomes.get("in_doubt", 0) == 600 and set(outcomes) <= {"delivered", "in_doubt"}
    assert outcomes.get("in_doubt", 0) <= len(doubted)


def test_who_leaves_while_it_runs_gets_nothing(make):
    # The delay: a mail may start on a look-up of two seconds before.
    engine, news, smtpd = make(readers=300)
    gate = Gate(smtpd, 10, delay=0.05)
    with engine:
        issue = news.open()
        engine.wait_for(gate.is_reached)
        news.run("""SELECT subscription_put(%s, id, 'unsubscribe', NULL, 'unsubscribed', NULL, NULL, '{}', now())
                    FROM subscriber WHERE email = 'reader299@a.example'""", news.list)
        gate.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    assert "reader299@a.example" not in accepted(smtpd)
    assert len(accepted(smtpd)) == 299


def test_ended_in_order_it_leaves_nothing_in_doubt(make, tmp_path):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    engine, news, smtpd = make(readers=400, engine={"env": {"NOTIFY_SOCKET": str(tmp_path / "notify")}})
    gate = Gate(smtpd, 20)
    with engine:
        issue = news.open()
        engine.wait_for(gate.is_reached)
        engine.signal(signal.SIGTERM)
        while b"STOPPING=1" not in notify.recv(4096):
            pass
        gate.open()
        assert engine.wait_end() == 0, engine.log()
        done = len(smtpd.accepted)
        assert done < 40
        assert news.outcomes(issue) == {"delivered": done}
        assert news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0
        engine.start()
        engine.wait_for(lambda: news.state(issue) == "done")
    notify.close()
    each_once(smtpd, 400)


def test_letters_go_before_issues(make):
    engine, news, smtpd = make(readers=300)
    gate = Gate(smtpd, 10, delay=0.03)
    with engine:
        issue = news.open()
        engine.wait_for(gate.is_reached)
        news.run("SELECT letter_put('test', %s, NULL, 'editor@a.example', '{}', '1 day', now())", news.list)
        engine.wait_for(lambda: news.value("SELECT session IS NOT NULL FROM letter"))
        waiting = len(smtpd.accepted)
        gate.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    order = [message["rcpt"][0] for message in smtpd.accepted]
    assert order.index("editor@a.example") < waiting + 20
    assert news.value("SELECT outcome FROM letter") == "delivered"


def test_a_moved_reader_is_swept_up(make):
    engine, news, smtpd = make(readers=300)
    gate = Gate(smtpd, 5)
    with engine:
        issue = news.open()
        engine.wait_for(gate.is_reached)
        news.run("""SELECT subscription_put(%s, id, 'zone', NULL, NULL, 'Asia/Tokyo', NULL, '{}', now())
                    FROM subscriber WHERE email = 'reader290@a.example'""", news.list)
        gate.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 300)


def test_it_asks_for_retries_and_sweeps_only_when_there_may_be_some(make, cluster):
    engine, news, smtpd = make(
        readers=4000, extra='timing = { look = "20 s"; look_max = "25 s"; beat = "30 s"; };',
        rules=[{"stage": "rcpt", "match": "^reader7@", "reply": "450 4.2.1 Busy", "times": 1}])
    owner = psycopg2.connect(cluster.dsn(database=news.database))
    with owner.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {news.database} SET track_functions = 'all'")
    owner.commit()
    owner.close()
    began = time.monotonic()
    with engine:
        issue = news.open()
        engine.wait_for(lambda: news.state(issue) == "done")
        looks = (time.monotonic() - began) // 20
    each_once(smtpd, 4000)
    late = news.value("SELECT ended_at - (SELECT max(at) FROM delivery) FROM issue WHERE id = %s", issue)
    assert late.total_seconds() < 10, "the end waited for a look"
    calls = dict(news.rows("SELECT funcname, calls FROM pg_stat_user_functions"))
    assert calls["window_take_fresh"] > 10
    # At the start, at the issue's opening, at each look; when one is due, and when a window was the last.
    assert calls["window_take_retry"] <= 6 + looks and calls["window_take_sweep"] <= 8 + looks, calls


def test_the_database_goes_and_comes_back(make, cluster):
    engine, news, smtpd = make(readers=400)
    gate = Gate(smtpd, 30)
    with engine:
        issue = news.open()
        engine.wait_for(gate.is_reached)
        news.close()
        cluster.stop("immediate")
        gate.open()
        engine.wait_for(lambda: "trying again" in engine.log())
        cluster.start()
        news.reconnect(cluster)
        engine.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 400)
    assert news.outcomes(issue) == {"delivered": 400}
