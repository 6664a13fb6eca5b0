"""Pools of relays: mail goes on whatever one of them does, at the pace and within the limits set."""
import collections
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

from ports import reserved_port
from smtpd import Server

DRIVER = pathlib.Path(os.environ.get("DIGESTD_BUILD", "build")) / "system" / "relay_driver"


def drive(*relays, on=None, **options):
    """What the driver tells, event by event; `on` hears of each as it happens."""
    words = [f"relay={relay}" for relay in relays]
    words += [f"{name}={value}" for name, value in options.items()]
    events = []
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen([str(DRIVER), *words], stdout=subprocess.PIPE, stderr=errors) as driver:
            for line in driver.stdout:
                events.append(json.loads(line.decode("utf-8")))
                if on:
                    on(events[-1])
        errors.seek(0)
        said = errors.read()
    assert driver.returncode == 0, said.decode()
    assert b"runtime error" not in said and b"Sanitizer" not in said, said
    return events


def finals(events):
    return {e["mail"]: e for e in events if e["event"] == "final"}


def states(events):
    return collections.Counter(e["state"] for e in finals(events).values())


def breakers(events, relay):
    return [e["open"] for e in events if e["event"] == "breaker" and e["relay"] == relay]


def check_truth(events, *servers):
    """Each mail whose final state is accepted was taken once, and no other was taken."""
    taken = collections.Counter(int(entry["message"].split(b"@")[0].split(b"<")[1])
                                for server in servers for entry in server.accepted)
    for number, final in finals(events).items():
        if final["state"] == "doubt":
            assert taken[number] <= 1
        else:
            assert taken[number] == (final["state"] == "accepted"), final


def comes_up(server, when=lambda: True):
    """Has the server listen as soon as a breaker has opened: it was tried, and wasn't there."""
    def on(event):
        if event["event"] == "breaker" and event["open"] and not server.thread and when():
            server.start()
    return on


def test_each_of_a_thousand_goes_once_over_two_relays():
    def after(other):  # neither may have nearly all of them before the other is there
        return {"stage": "dot", "skip": 400, "until": lambda: len(other().accepted) > 100}
    with Server(defer_one_in=10, refuse=5, rules=[after(lambda: b)]) as a, \
            Server(defer_one_in=7, rules=[after(lambda: a)]) as b:
        events = drive(f"{a.port}:5", f"{b.port}:5", mails=1000)
        check_truth(events, a, b)
        assert len(a.accepted) > 100 and len(b.accepted) > 100
        assert a.connections <= 5 and b.connections <= 5
    assert states(events) == {"accepted": 995, "gone": 5}


def test_a_relay_that_is_down_costs_no_reader_a_try():
    with Server() as up, reserved_port() as port:
        events = drive(f"{port}:4", f"{up.port}:4", mails=200)
        check_truth(events, up)
    assert states(events) == {"accepted": 200}
    assert {final["tries"] for final in finals(events).values()} == {1}
    assert breakers(events, 1)[0] and not breakers(events, 2)


def test_mail_waits_for_a_relay_and_goes_when_it_is_back():
    with reserved_port() as port:
        server = Server(port=port)
        events = drive(f"{port}:3", mails=50, on=comes_up(server))
        check_truth(events, server)
        server.stop()
    assert states(events) == {"accepted": 50}
    assert breakers(events, 1)[0] is True and breakers(events, 1)[-1] is False


def test_a_half_open_breaker_lets_one_mail_through():
    """The relay greets well, but refuses each MAIL five times over."""
    rule = {"stage": "mail", "reply": "451 4.3.0 Queue file write error", "times": 5}
    with Server(rules=[rule], log_commands=True) as smtpd:
        events = drive(f"{smtpd.port}:1", mails=20)
        check_truth(events, smtpd)
        mails_before = collections.Counter()
        for number, line in smtpd.commands:
            mails_before[number] += line.startswith("MAIL")
    assert states(events) == {"accepted": 20}
    assert breakers(events, 1) == [True] * 5 + [False]
    assert [mails_before[n] for n in range(1, 6)] == [1] * 5


def test_a_probe_pipelines_no_second_mail_behind_its_own():
    """Of a working session two mails meet the trouble; then each probe costs one."""
    rule = {"stage": "dot", "reply": "454 4.7.0 Not now", "times": 5}
    with Server(rules=[rule]) as smtpd:
        events = drive(f"{smtpd.port}:1", mails=20)
        check_truth(events, smtpd)
    assert breakers(events, 1) == [True] * 4 + [False]
    assert sum(final["tries"] for final in finals(events).values()) == 25


def test_421_sends_mails_over_another_relay_at_once():
    rule = {"stage": "rcpt", "reply": "421 4.3.2 Going down", "cut": "after"}
    # Or it might have them all before the other answers.
    slow = {"stage": "dot", "until": lambda: bad.rules[0].held}
    with Server(rules=[rule]) as bad, Server(rules=[slow]) as good:
        events = drive(f"{bad.port}:4", f"{good.port}:4", mails=100)
        check_truth(events, bad, good)
    assert states(events) == {"accepted": 100}
    assert {final["tries"] for final in finals(events).values()} == {1}
    assert any(final["returned"] for final in finals(events).values())
    assert breakers(events, 1)[0]


def test_a_relay_that_cuts_each_connection_is_in_trouble():
    with Server(rules=[{"stage": "mail", "cut": "before"}]) as cutting, Server() as up:
        events = drive(f"{cutting.port}:2", f"{up.port}:2", mails=100)
        check_truth(events, cutting, up)
    assert states(events) == {"accepted": 100}
    assert True in breakers(events, 1)


def test_a_relay_that_takes_few_connections_is_used_with_those():
    with Server(rules=[{"stage": "dot", "delay": 0.02}], at_once=2) as smtpd:
        events = drive(f"{smtpd.port}:8", mails=60)
        check_truth(events, smtpd)
        assert len({entry["session"] for entry in smtpd.accepted}) == 2
    assert states(events) == {"accepted": 60}
    assert not breakers(events, 1)


def test_no_mail_waits_behind_another_while_a_connection_comes():
    """The first is there long before the others, and its answer takes as long as theirs."""
    late = {"stage": "greeting", "skip": 1, "until": lambda: smtpd.rules[1].held}
    dots = {"stage": "dot", "until": lambda: smtpd.rules[1].held == 5}
    with Server(rules=[late, dots]) as smtpd:
        events = drive(f"{smtpd.port}:5", mails=5)
        check_truth(events, smtpd)
        assert len({entry["session"] for entry in smtpd.accepted}) == 5
    assert states(events) == {"accepted": 5}


def test_a_rate_is_kept():
    with Server() as smtpd:
        events = drive(f"{smtpd.port}:10:1:50", mails=50)
        check_truth(events, smtpd)
        times = [entry["at"] for entry in smtpd.accepted]
    assert states(events) == {"accepted": 50}
    assert events[-1]["seconds"] > 0.8
    # Not slower either: a pause of the machine makes one gap long, not most of them.
    assert statistics.median(b - a for a, b in zip(times, times[1:])) < 0.1


def test_what_lies_idle_is_closed_and_opened_again():
    with Server(log_commands=True) as smtpd:
        events = drive(f"{smtpd.port}:1", mails=3, idle=100, lonely=1)
        check_truth(events, smtpd)
        assert smtpd.connections == 3
        assert sum(line == "QUIT" for _, line in smtpd.commands) == 2  # the last is cut at exit
    assert states(events) == {"accepted": 3}


def test_a_server_that_closes_what_lies_idle_is_not_in_trouble():
    with Server(idle=0.1) as smtpd:
        events = drive(f"{smtpd.port}:1", mails=6, lonely=1)
        check_truth(events, smtpd)
        assert smtpd.connections == 6
    assert states(events) == {"accepted": 6}
    assert not breakers(events, 1)
    assert not any(final["returned"] for final in finals(events).values())


def test_a_relay_without_weight_is_for_when_others_are_out():
    with Server() as main, Server() as spare:
        events = drive(f"{main.port}:2:1", f"{spare.port}:2:0", mails=100)
        check_truth(events, main, spare)
        assert not spare.accepted
    with Server() as spare, reserved_port() as port:
        events = drive(f"{port}:2:1", f"{spare.port}:2:0", mails=100)
        check_truth(events, spare)
    assert states(events) == {"accepted": 100}


def test_a_spare_relay_rests_again_when_another_is_back():
    with reserved_port() as port:
        main = Server(port=port)
        # The spare one goes no further than 20 until the main one has taken a mail.
        hold = {"stage": "dot", "skip": 20, "until": lambda: main.accepted}
        with Server(rules=[hold]) as spare:
            events = drive(f"{port}:1:1", f"{spare.port}:1:0", mails=150,
                           on=comes_up(main, lambda: len(spare.accepted) > 20))
            check_truth(events, main, spare)
        main.stop()
    assert states(events) == {"accepted": 150}
    (back,) = [e for e in events if e["event"] == "breaker" and e["relay"] == 1 and not e["open"]]
    assert events[-1]["given"][2] == back["given"][2] < 30


def test_connections_are_closed_after_so_many_messages():
    with Server() as smtpd:
        events = drive(f"{smtpd.port}:2:1:0:10", mails=100)
        check_truth(events, smtpd)
        per_session = collections.Counter(entry["session"] for entry in smtpd.accepted)
    assert states(events) == {"accepted": 100}
    assert max(per_session.values()) == 10


def test_draining_ends_what_is_out_and_starts_nothing():
    # Each connection is there before the first outcome.
    rule = {"stage": "dot", "delay": 0.02, "until": lambda: len(
        {number for number, line in smtpd.commands if line.startswith("MAIL")}) == 4}
    with Server(rules=[rule], log_commands=True) as smtpd:
        events = drive(f"{smtpd.port}:4", mails=200, drain=20)
        check_truth(events, smtpd)
        quits = sum(line == "QUIT" for _, line in smtpd.commands)
        assert quits == smtpd.connections
    assert states(events)["accepted"] < 40 and states(events)["doubt"] == 0
    assert states(events)["unsent"] + states(events)["accepted"] == 200


def test_a_reload_moves_to_the_new_address_and_loses_nothing():
    with Server(rules=[{"stage": "dot", "delay": 0.01}]) as old, Server() as new:
        events = drive(f"{old.port}:3", mails=200, reload=new.port)
        check_truth(events, old, new)
        assert len(new.accepted) > 100
    assert states(events) == {"accepted": 200}


def test_time_outs_and_cuts_leave_at_most_one_doubt_a_connection():
    rules = [{"stage": "dot", "match": "^r7@", "silent": True, "keep": True},
             {"stage": "dot", "match": "^r9@", "cut": "before", "keep": False},
             {"stage": "rcpt", "match": "^r11@", "cut": "within", "times": 1}]
    with Server(rules=rules) as smtpd:
        events = drive(f"{smtpd.port}:3", mails=60, dot=1500)
        check_truth(events, smtpd)
    assert states(events) == {"accepted": 58, "doubt": 2}
    assert finals(events)[11]["returned"] >= 1
