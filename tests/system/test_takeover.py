"""Windows of an engine that is gone: closed by others after a time or by an operator's word, and
what its late return does to them. For first tries, retries and letters; each against what the SMTP
server accepted."""

import contextlib
import time

import pytest

from engine import Engine, accepted
from fleet import ORPHANS, SMALL, Hold, alive, all_put_off, due, open_windows, sums_hold
from newsroom import Newsroom
from smtpd import Rule
from test_outbox import another_boot

READERS = 150


@pytest.fixture
def two(make, build, cluster):
    """two(readers) gives two engines, the newsletter and the server. None runs."""
    with contextlib.ExitStack() as stack:
        def made(readers=READERS, **how):
            first, news, smtpd = make(readers=readers, extra=ORPHANS + SMALL, **how)
            second = Engine(build, cluster, news.database, [{"port": smtpd.port}], ORPHANS + SMALL)
            stack.callback(second.remove)
            return first, second, news, smtpd
        yield made


def kill_holding(engine, news, smtpd, kind, issue=None):
    """Kills an engine that holds windows of that kind, with some mails on the wire whose answer it
    never sees, and some without an intent. Returns the issue."""
    if kind == "retry":
        later = Rule({"stage": "rcpt", "reply": "451 4.7.1 Later"})
        smtpd.rules.insert(0, later)
    if kind == "letter":
        for n in range(20):
            news.run("SELECT letter_put('test', %s, NULL, %s, '{}', '1 day', now())", news.list, f"editor{n}@a.example")
    engine.start()
    engine.wait_for(lambda: alive(news))
    hold = None
    if kind == "retry":
        issue = news.open()
        all_put_off(engine, news, READERS)
        smtpd.rules.remove(later)
    hold = Hold(smtpd)
    if kind == "retry":
        due(news)
    if kind == "fresh":
        issue = news.open()
    engine.wait_for(lambda: hold.held() == 5)
    engine.kill()
    hold.release()
    return issue


def orphaned(news):
    return news.value("SELECT count(*) FROM send_window WHERE doubted IS NOT NULL")


@pytest.mark.parametrize("kind", ["fresh", "retry"])
def test_host_and_journal_gone_by_time(two, kind):
    first, second, news, smtpd = two()
    issue = kill_holding(first, news, smtpd, kind)
    held = news.value("SELECT sum(size) FROM send_window WHERE settled_at IS NULL AND issue IS NOT NULL")
    with second:
        # Its lanes go on at once, while its windows wait.
        second.wait_for(lambda: orphaned(news) > 0 and open_windows(news) == 0)
        assert alive(news) == [news.value("SELECT max(id) FROM session")]
        second.wait_for(lambda: sum(news.outcomes(issue).values()) == READERS)
        assert news.outcomes(issue)["in_doubt"] == held - news.value(
            "SELECT count(*) FROM delivery d JOIN send_window w USING (session, n)"
            " WHERE w.doubted IS NOT NULL AND d.outcome <> 'in_doubt'")
        assert {row[0] for row in news.rows("SELECT DISTINCT reason FROM delivery WHERE outcome = 'in_doubt'")} == {
            "in doubt, held: the engine is gone"}
        sums_hold(news, issue)
        assert set(accepted(smtpd).values()) == {1}, "somebody got it twice without an operator's word"
        assert news.value("SELECT count(*) FROM deferral") == 0
        news.run("SELECT issue_doubts_settle(%s, 'resend', now())", issue)
        second.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue) == {"delivered": READERS}
    assert set(accepted(smtpd)) == {f"reader{i}@a.example" for i in range(1, READERS + 1)}
    assert sum(accepted(smtpd).values()) == READERS + 5, "only who was on the wire got it twice"
    sums_hold(news, issue)


@pytest.mark.parametrize("kind", ["fresh", "retry"])
def test_host_and_journal_gone_by_word(two, build, cluster, tmp_path, kind):
    first, second, news, smtpd = two()
    issue = kill_holding(first, news, smtpd, kind)
    room = Newsroom(build, cluster, news.database, str(tmp_path), port=smtpd.port)
    # Whether it is dead can't be known without another engine: the operator says so.
    room.ctl("engine", "retire", "1", "--yes", status=1)
    told = room.json("engine", "retire", "1", "--force", "--yes")
    assert told["in_doubt"] == news.outcomes(issue)["in_doubt"] > 5
    assert open_windows(news) == 0 and alive(news) == []
    sums_hold(news, issue)
    with second:
        second.wait_for(lambda: sum(news.outcomes(issue).values()) == READERS)
        news.run("SELECT issue_doubts_settle(%s, 'skip', now())", issue)
        second.wait_for(lambda: news.state(issue) == "done")
    assert set(accepted(smtpd).values()) == {1}
    doubted = news.outcomes(issue)["in_doubt"]
    assert len(accepted(smtpd)) == READERS - doubted + 5
    sums_hold(news, issue)


def test_letters_of_a_host_that_is_gone_are_sent_once_more(two):
    first, second, news, smtpd = two(readers=0)
    kill_holding(first, news, smtpd, "letter")
    with second:
        second.wait_for(lambda: news.value("SELECT count(*) FROM letter WHERE outcome = 'delivered'") == 20)
    assert open_windows(news) == 0
    assert news.value("SELECT max(doubts) FROM letter") == 1
    assert set(accepted(smtpd)) == {f"editor{n}@a.example" for n in range(20)}
    assert set(accepted(smtpd).values()) == {1, 2}


def orphan_now(news):
    news.run("UPDATE session SET dead = true, ended_at = now() WHERE NOT dead")
    assert news.value("SELECT engine_orphan(1, NULL, 'the engine is gone', now())") > 0


@pytest.mark.parametrize("kind", ["fresh", "retry"])
def test_who_comes_back_late_tells_what_it_knows(two, kind):
    first, _, news, smtpd = two()
    issue = kill_holding(first, news, smtpd, kind)
    orphan_now(news)
    assert news.value("SELECT engine_orphan(1, NULL, 'again', now())") == 0
    doubted = news.outcomes(issue)["in_doubt"]
    with first:
        # Of the five on the wire nothing more is known; the others were certainly not sent.
        first.wait_for(lambda: orphaned(news) == 0)
        first.wait_for(lambda: news.outcomes(issue) == {"delivered": READERS - 5, "in_doubt": 5})
        assert doubted > 5
        assert set(accepted(smtpd).values()) == {1}
        if kind == "fresh":
            assert news.value("SELECT max(attempt) FROM delivery WHERE outcome = 'delivered'") == 1
        sums_hold(news, issue)
        news.run("SELECT issue_doubts_settle(%s, 'skip', now())", issue)
        first.wait_for(lambda: news.state(issue) == "done")
    assert set(accepted(smtpd).values()) == {1} and len(accepted(smtpd)) == READERS
    assert news.value("SELECT count(*) FROM anomaly") == 0
    sums_hold(news, issue)


@pytest.mark.parametrize("resent", [False, True])
def test_replies_that_only_the_journal_knows_become_facts(two, cluster, resent):
    first, second, news, smtpd = two(readers=40)
    hold = Hold(smtpd)
    smtpd.rules.insert(0, Rule({"stage": "dot", "times": 1, "keep": False,  # whoever comes first
                                "reply": "550 5.7.1 No, thanks", "until": hold.released.is_set}))
    first.start()
    first.wait_for(lambda: alive(news))
    issue = news.open()
    first.wait_for(lambda: hold.held() == 4)
    on_wire = set(accepted(smtpd))
    news.close()
    cluster.stop("immediate")
    first.wait_for(lambda: "trying again" in first.log())
    hold.release()
    time.sleep(3)  # longer than it hands over without a beat: what is answered is in the journal now
    first.kill()
    told = set(accepted(smtpd))
    cluster.start()
    news.reconnect(cluster)
    assert news.outcomes(issue) == {} and on_wire <= told
    orphan_now(news)
    assert news.outcomes(issue) == {"in_doubt": 40}
    sums_hold(news, issue)
    if resent:
        news.run("SELECT issue_doubts_settle(%s, 'resend', now())", issue)
        with second:
            second.wait_for(lambda: sum(n for o, n in news.outcomes(issue).items() if o != "in_doubt") == 40)
        sums_hold(news, issue)
    with first:
        first.wait_for(lambda: orphaned(news) == 0)
        first.wait_for(lambda: news.state(issue) == "done")
    if resent:  # both facts are kept
        assert news.outcomes(issue) == {"delivered": 40}
        assert sum(accepted(smtpd).values()) == 40 + len(told)
        causes = dict(news.rows("SELECT cause, count(*) FROM attempt GROUP BY 1"))
        assert causes["second fact: delivered"] >= 4 and causes["second fact: refused"] == 1, causes
    else:
        assert news.outcomes(issue) == {"delivered": 39, "refused": 1}
        assert set(accepted(smtpd).values()) == {1} and len(accepted(smtpd)) == 39
    assert news.value("SELECT count(*) FROM anomaly") == 0
    sums_hold(news, issue)


def test_a_retired_engine_tells_and_then_ends(two):
    first, _, news, smtpd = two()
    issue = kill_holding(first, news, smtpd, "fresh")
    assert news.value("SELECT engine_retire(1, now())") > 5
    first.start()
    assert first.wait_end() == 1
    assert "was retired" in first.log()
    assert orphaned(news) == 0
    assert news.value("SELECT count(*) FROM deferral") > 0
    sums_hold(news, issue)


def test_after_another_boot_a_late_journal_says_only_what_was_answered(two):
    first, _, news, smtpd = two()
    issue = kill_holding(first, news, smtpd, "fresh")
    orphan_now(news)
    doubted = news.outcomes(issue)["in_doubt"]
    another_boot(first)
    with first:
        first.wait_for(lambda: orphaned(news) == 0)
        first.wait_for(lambda: sum(news.outcomes(issue).values()) == READERS)
        assert news.outcomes(issue)["in_doubt"] == doubted
        sums_hold(news, issue)


def test_who_left_before_the_recovery_and_had_been_sent_to_is_not_called_skipped(make):
    engine, news, smtpd = make(readers=20)
    hold = Hold(smtpd)
    engine.start()
    issue = news.open()
    engine.wait_for(lambda: hold.held() == 5)
    engine.kill()
    hold.release()
    news.run("UPDATE list SET doubt = 'skip'")
    news.run("SELECT subscription_put(%s, id, 'unsubscribe', NULL, 'unsubscribed', NULL, NULL, '{}', now())"
             " FROM subscriber", news.list)
    with engine:
        engine.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue) == {"in_doubt": 5, "skipped": 15}


def test_who_was_put_off_is_skipped_when_the_issue_is_cancelled(two):
    first, _, news, smtpd = two(rules=[{"stage": "rcpt", "reply": "451 4.7.1 Later"}])
    with first:
        first.wait_for(lambda: alive(news))
        issue = news.open()
        first.wait_for(lambda: news.value("SELECT count(*) FROM deferral WHERE session IS NULL") == READERS)
        news.run("UPDATE issue SET state = 'cancelled', ended_at = now() WHERE id = %s", issue)
        first.wait_for(lambda: news.value("SELECT count(*) FROM deferral") == 0)
        first.wait_for(lambda: open_windows(news) == 0)
    assert news.rows("SELECT DISTINCT outcome::text, reason FROM delivery") == [("skipped", "cancelled")]
    assert news.outcomes(issue) == {"skipped": READERS}
    sums_hold(news, issue)
