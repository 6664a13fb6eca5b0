"""Lives of engines: one that comes back, one that stands still and wakes, one that is taken for dead,
copies of one. Nothing of it may cost a reader a mail or bring one twice."""

import contextlib
import shutil
import signal
import time

import pytest

from engine import Engine, accepted, each_once
from fleet import SCALED, SMALL, Hold, alive, all_put_off, due, open_windows, sums_hold
from smtpd import Rule
from waiting import wait_until


@pytest.fixture
def two(make, build, cluster):
    """Two engines, the newsletter and the server. None runs."""
    with contextlib.ExitStack() as stack:
        def made(readers=150, **how):
            first, news, smtpd = make(readers=readers, extra=SCALED + SMALL, **how)
            second = Engine(build, cluster, news.database, [{"port": smtpd.port}], SCALED + SMALL)
            stack.callback(second.remove)
            return first, second, news, smtpd
        yield made


def begins(engine, times=1):
    engine.wait_for(lambda: engine.log().count("begins") >= times)


def killed_with_five_on_the_wire(engine, news, smtpd):
    """Has an engine die in the middle of an issue while it waits for five replies; returns the issue."""
    engine.start()
    begins(engine)
    hold = Hold(smtpd)
    issue = news.open()
    engine.wait_for(lambda: hold.held() == 5)
    engine.kill()
    hold.release()
    return issue


def deadline_passed(news, session, other):
    """Until the others have taken a session for dead."""
    other.wait_for(lambda: news.value("SELECT dead FROM session WHERE id = %s", session))


@pytest.mark.parametrize("policy", ["resend", "skip"])
def test_one_that_is_killed_is_noticed_its_lanes_go_on_and_it_comes_back(two, policy):
    first, second, news, smtpd = two(doubt=policy)
    issue = killed_with_five_on_the_wire(first, news, smtpd)
    [session] = alive(news)
    with second:
        # All that it doesn't hold is sent while it still counts as alive, or soon after.
        second.wait_for(lambda: sum(news.outcomes(issue).values()) >= 50)
        deadline_passed(news, session, second)
        assert open_windows(news) > 0, "its windows wait for it"
        with first:
            second.wait_for(lambda: news.state(issue) == "done")
    assert len(accepted(smtpd)) == 150
    if policy == "resend":
        assert news.outcomes(issue) == {"delivered": 150}
        assert sum(accepted(smtpd).values()) == 155
    else:
        assert news.outcomes(issue) == {"delivered": 145, "in_doubt": 5}
        each_once(smtpd, 150)
    sums_hold(news, issue)


@pytest.mark.parametrize("kind", ["fresh", "retry", "letter"])
@pytest.mark.parametrize("stage", ["data", "dot"])
def test_one_that_stood_still_hands_nothing_over_when_it_wakes(two, cluster, kind, stage):
    """It wakes without the database, so only its own clock can tell it."""
    first, second, news, smtpd = two(readers=150 if kind != "letter" else 0)
    later = Rule({"stage": "rcpt", "reply": "451 4.7.1 Later"})
    first.start()
    begins(first)
    if kind == "retry":
        smtpd.rules.append(later)
        issue = news.open()
        all_put_off(first, news, 150)
        hold = Hold(smtpd, stage)
        smtpd.rules.remove(later)
        due(news)
    else:
        hold = Hold(smtpd, stage)
        if kind == "fresh":
            issue = news.open()
        else:
            # In one transaction: a window of one letter alone would keep the others waiting.
            news.run("SELECT letter_put('test', %s, NULL, 'editor' || n || '@a.example', '{}', '1 day', now())"
                     " FROM generate_series(1, 20) n", news.list)
    first.wait_for(lambda: hold.held() == 5 or kind == "letter" and hold.held() >= 2)
    first.signal(signal.SIGSTOP)
    hold.step_aside()
    [session] = alive(news)
    with second:
        deadline_passed(news, session, second)
        if kind == "fresh":
            second.wait_for(lambda: sum(news.outcomes(issue).values()) >= 50)
        second.wait_for(lambda: news.value("SELECT count(*) FROM send_window WHERE session <> %s"
                                           " AND settled_at IS NULL", session) == 0)
    news.close()
    cluster.stop("immediate")
    hold.release()
    sent = len(smtpd.accepted)
    first.signal(signal.SIGCONT)
    time.sleep(1)
    assert len(smtpd.accepted) == sent, "it handed over after it woke up"
    cluster.start()
    news.reconnect(cluster)
    begins(first, 2)
    if kind == "letter":
        first.wait_for(lambda: news.value("SELECT count(*) FROM letter WHERE outcome = 'delivered'") == 20)
        assert set(accepted(smtpd).values()) == {1} and len(accepted(smtpd)) == 20
    else:
        first.wait_for(lambda: news.state(issue) == "done")
        each_once(smtpd, 150)
        assert news.outcomes(issue) == {"delivered": 150}
        sums_hold(news, issue)
    first.stop()


def test_one_that_is_taken_for_dead_records_what_is_answered_and_begins_anew(make):
    engine, news, smtpd = make(readers=150, extra=SCALED + SMALL)
    hold = Hold(smtpd)
    with engine:
        begins(engine)
        issue = news.open()
        engine.wait_for(lambda: hold.held() == 5)
        [session] = alive(news)
        news.run("UPDATE session SET dead = true, ended_at = now()")
        engine.wait_for(lambda: "taken for dead" in engine.log())
        assert engine.log().count("begins") == 1, "it waits for the replies"
        hold.release()
        begins(engine, 2)
        engine.wait_for(lambda: news.state(issue) == "done")
        assert news.value("SELECT count(*) FROM delivery WHERE session = %s", session) >= 5
    each_once(smtpd, 150)
    assert news.outcomes(issue) == {"delivered": 150}
    assert news.value("SELECT count(*) FROM attempt WHERE cause LIKE 'in doubt%%'") == 0
    sums_hold(news, issue)


def test_one_that_is_taken_for_dead_waits_for_a_silent_relay_no_longer_than_its_limit(make):
    engine, news, smtpd = make(readers=60, doubt="skip",
                               extra=SCALED.replace('drain = "1000 s"', 'drain = "20 s"') + SMALL)
    silence = Rule({"stage": "dot", "silent": True})
    smtpd.rules.append(silence)
    with engine:
        begins(engine)
        issue = news.open()
        engine.wait_for(lambda: silence.held == 5)
        smtpd.rules.remove(silence)
        news.run("UPDATE session SET dead = true, ended_at = now()")
        begins(engine, 2)
        engine.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue)["in_doubt"] == 5
    each_once(smtpd, 60)
    sums_hold(news, issue)


def test_a_kill_after_a_second_session_in_one_process_finds_its_journal(make):
    engine, news, smtpd = make(readers=150, doubt="skip", extra=SCALED + SMALL)
    engine.start()
    begins(engine)
    news.run("UPDATE session SET dead = true, ended_at = now()")
    begins(engine, 2)
    hold = Hold(smtpd)
    issue = news.open()
    engine.wait_for(lambda: hold.held() == 5)
    engine.kill()
    hold.release()
    with engine:
        engine.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue) == {"delivered": 145, "in_doubt": 5}
    each_once(smtpd, 150)


# ---- copies ---------------------------------------------------------------------------------------


def test_a_copy_on_the_same_machine_is_refused_and_the_engine_lives_on(two):
    first, copy, news, smtpd = two()
    with first:
        begins(first)
        shutil.copytree(first.state, copy.state)
        copy.start()
        assert copy.wait_end() == 1
        assert "is a copy" in copy.log()
        issue = news.open()
        first.wait_for(lambda: news.state(issue) == "done")
        assert first.log().count("begins") == 1
    each_once(smtpd, 150)


def test_a_directory_that_was_moved_after_a_crash_goes_on_when_the_beat_stood_still(two):
    first, moved, news, smtpd = two()
    issue = killed_with_five_on_the_wire(first, news, smtpd)
    shutil.copytree(first.state, moved.state)
    news.run("UPDATE engine SET machine = 'another'")
    with moved:
        begins(moved)
        assert "may be alive" in moved.log()
        assert len(alive(news)) == 1
        # Whether this is the newest journal can't be known: an operator decides.
        moved.wait_for(lambda: sum(news.outcomes(issue).values()) == 150)
        assert news.outcomes(issue)["in_doubt"] > 5
    assert set(accepted(smtpd).values()) == {1}


def test_who_wakes_up_beside_a_copy_that_took_over_gives_way(two):
    first, copy, news, smtpd = two(readers=5)
    first.start()
    begins(first)
    shutil.copytree(first.state, copy.state)
    first.signal(signal.SIGSTOP)
    with copy:
        begins(copy)
        first.signal(signal.SIGCONT)
        wait_until(lambda: first.process.poll() is not None)
        assert first.process.returncode == 1 and "is a copy" in first.log()
        assert copy.log().count("begins") == 1
        issue = news.open()
        copy.wait_for(lambda: news.state(issue) == "done")
    each_once(smtpd, 5)
