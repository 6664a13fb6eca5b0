"""SMTP sessions against a server that misbehaves in every way: nobody lost, nobody twice.

The driver sends five mails; the script makes trouble for the third. What the driver says became of
each is held against what the server really took.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess

import pytest

from smtpd import Server, make_certificate
from waiting import PATIENCE

DRIVER = pathlib.Path(os.environ.get("DIGESTD_BUILD", "build")) / "system" / "smtp_driver"
MAILS = 5
THIRD = {"skip": 2, "times": 1}
FINAL = {"outcome", "doubt"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    return {
        "good": make_certificate(folder, "localhost"),
        "other name": make_certificate(folder, "elsewhere.example", self_named="other"),
        "expired": make_certificate(folder, "localhost", expired=True, self_named="old"),
        "stranger": make_certificate(folder, "localhost", self_named="stranger"),
    }


def drive(smtpd, **options):
    options.setdefault("mails", MAILS)
    words = [f"{name}={value}" for name, value in {"port": smtpd.port, **options}.items()]
    done = subprocess.run([str(DRIVER), *words], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"runtime error" not in done.stderr and b"Sanitizer" not in done.stderr, done.stderr
    events = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert events.pop()["event"] == "end"
    return events


def allocations(smtpd, **options):
    words = [f"{name}={value}" for name, value in {"port": smtpd.port, **options}.items()]
    done = subprocess.run([str(DRIVER), *words], capture_output=True, timeout=PATIENCE, check=True)
    return json.loads(done.stdout.decode().splitlines()[-1])["allocations"]


def of(events, kind, mail=None):
    return [e for e in events if e["event"] == kind and mail in (None, e.get("mail"))]


def numbers_taken(smtpd):
    """How often the server took each mail, by its Message-ID."""
    return collections.Counter(int(entry["message"].split(b"@")[0].split(b"<")[1])
                               for entry in smtpd.accepted if entry["message"])


def reconcile(smtpd, events, mails=MAILS, unsent=()):
    """The account of the driver against the server's: the heart of all these tests."""
    taken = numbers_taken(smtpd)
    for entry in smtpd.accepted:
        assert entry["bare"] == 0
    for mail in range(mails):
        own = [e["event"] for e in events if e.get("mail") == mail]
        if mail in unsent:
            assert not taken[mail]
            continue
        finals = [e for e in events if e.get("mail") == mail and e["event"] in FINAL]
        assert len(finals) == 1, f"mail {mail}: {own}"
        accepted = finals[0].get("class") == "accepted"
        if finals[0]["event"] == "doubt":
            assert taken[mail] <= 1
        else:
            assert taken[mail] == accepted, f"mail {mail}: {finals[0]}, taken {taken[mail]}"
        # An intent goes before whatever may have left, and is answered exactly once.
        open_intent = False
        for event in own:
            if event == "intent":
                assert not open_intent
                open_intent = True
            elif event == "returned":
                pass  # only an intent that was withheld comes back so
            elif event in ("voided", "doubt"):
                assert open_intent
                open_intent = False
            elif event == "outcome":
                open_intent = False
        if accepted or finals[0]["event"] == "doubt":
            assert "intent" in own


# ---- refusals -------------------------------------------------------------------------------

R, T, F, P, G, X = "relay trouble", "temporary", "mailbox full", "policy", "gone", "refused"
H = "throttled"
REFUSALS = {  # code and status: class at MAIL, RCPT, DATA, dot
    ("421", ""): (R, R, R, R), ("421", "4.7.0"): (H, H, H, H),
    ("450", ""): (T, T, T, T), ("450", "4.2.1"): (T, T, T, T),
    ("451", ""): (T, T, T, T), ("451", "4.7.1"): (P, P, P, P),
    ("452", ""): (R, T, T, T), ("452", "4.2.2"): (R, F, F, F),
    ("454", ""): (R, R, R, R), ("454", "4.7.0"): (R, R, R, R),
    ("503", ""): (R, R, R, X), ("503", "5.5.1"): (R, R, R, X),
    ("521", ""): (R, X, X, X), ("521", "5.3.2"): (R, X, X, X),
    ("535", ""): (R, R, R, R), ("535", "5.7.8"): (R, R, R, R),
    ("550", ""): (P, X, X, X), ("550", "5.1.1"): (P, G, G, G),
    ("552", ""): (X, F, X, X), ("552", "5.2.2"): (X, F, F, F),
    ("553", ""): (P, X, X, X), ("553", "5.1.3"): (P, G, G, G),
    ("554", ""): (P, X, X, X), ("554", "5.7.1"): (P, P, P, P),
}
ODD = {
    "plain": {},
    "two packets": {"split": 2},
    "two packets late": {"split": 11},
    "twenty lines": {"lines": 22},
    "late": {"delay": 0.05},
    "8-bit": None,
}


def refusal(stage, code, status, odd):
    text = f"{code} {status} Nothing doing" if status else f"{code} Nothing doing"
    rule = {"stage": stage, "reply": text, **THIRD}
    if ODD[odd] is None:
        rule["reply"] = text.encode() + b" caf\xe9 \xff\xfe\xe2\x82\r\n"
    else:
        rule.update(ODD[odd])
    if code == "421":
        rule["cut"] = "after"
    return rule


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "stepwise"])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_refusal_ends_as_the_table_says(stage, odd, pipelining):
    def check(row):
        (code, status), classes = row
        expected = classes[["mail", "rcpt", "data", "dot"].index(stage)]
        with Server(rules=[refusal(stage, code, status, odd)], pipelining=pipelining) as smtpd:
            events = drive(smtpd)
            connections = smtpd.connections
            reconcile(smtpd, events)
        where = f"{code} {status} at {stage}"
        if expected == R and stage != "dot":
            assert len(of(events, "returned", 2)) == 1, where
            assert of(events, "outcome", 2)[0]["class"] == "accepted", where
            closed = of(events, "closed")[0]
            assert (closed["why"], closed["code"]) == ("refused", int(code)), where
            assert connections == 2, where
            return
        (outcome,) = of(events, "outcome", 2)
        assert outcome["class"] == expected, where
        assert (outcome["code"], outcome["enhanced"]) == (int(code), status), where
        assert outcome["stage"].lower() == stage, where
        assert outcome["text"].startswith("Nothing doing"), where
        if odd == "8-bit":
            assert outcome["text"] == "Nothing doing caf\ufffd \ufffd\ufffd\ufffd\ufffd"
        if odd == "twenty lines":
            assert outcome["text"].count("Nothing doing") == 22
        assert connections == (2 if code == "421" else 1), where
        for mail in (0, 1, 3, 4):
            assert of(events, "outcome", mail)[-1]["class"] == "accepted", where

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(check, REFUSALS.items()))


@pytest.mark.parametrize("status", [False, True])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("code", sorted({code for code, _ in REFUSALS}))
def test_a_greeting_of_refusal_starts_no_mail(code, odd, status):
    rule = refusal("greeting", code, "%s.3.2" % code[0] if status else "", odd)
    rule.update({"skip": 0, "times": 1, "cut": "after"})
    with Server(rules=[rule]) as smtpd:
        events = drive(smtpd)
        reconcile(smtpd, events)
    first = events[0]
    assert (first["event"], first["why"], first["stage"]) == ("closed", "refused", "greeting")
    assert first["code"] == int(code)
    assert not of(events, "returned")


@pytest.mark.parametrize("code", sorted({code for code, _ in REFUSALS}))
@pytest.mark.parametrize("stage,why", [("ehlo", "refused"), ("starttls", "tls"), ("auth", "auth")])
def test_a_refused_login_starts_no_mail(tmp_path, stage, why, code):
    ca, *pair = make_certificate(tmp_path)
    rule = {"stage": stage, "reply": f"{code} Not you", "times": 1}
    with Server(rules=[rule], starttls=pair, auth=("me", "secret")) as smtpd:
        events = drive(smtpd, tls="required", ca=ca, host="localhost", user="me",
                       password="secret")
        reconcile(smtpd, events)
        assert all(entry["tls"] and entry["user"] == "me" for entry in smtpd.accepted)
    assert events[0]["event"] == "closed"
    if code == "421" and stage == "auth":
        why = "refused"
    assert (events[0]["why"], events[0]["stage"].lower()) == (why, stage)
    assert events[0]["code"] == int(code)
    assert not of(events, "returned")


def test_a_server_that_only_knows_helo_is_served():
    with Server(rules=[{"stage": "ehlo", "reply": "502 5.5.1 What?", "times": 1}]) as smtpd:
        events = drive(smtpd)
        reconcile(smtpd, events)
        assert smtpd.connections == 1
    assert not of(events, "ready")[0]["pipelining"]


# ---- silence and cuts -------------------------------------------------------------------------

# Silence alone takes time: only the limit that ends it is short, and not so short that a busy server
# would seem silent.
ENDS_SILENCE = {"mail": "reply", "rcpt": "reply", "data": "data", "dot": "dot"}
SILENCE = 1500


def limits(stage, trouble):
    return {ENDS_SILENCE[stage]: SILENCE} if trouble == "silent" else {}


TROUBLE = {
    "silent": {"silent": True},
    "cut before": {"cut": "before"},
    "cut within": {"cut": "within"},
    "reset before": {"cut": "before", "reset": True},
    "reset within": {"cut": "within", "reset": True},
    "garbage": {"reply": b"Hello, is it me?\r\n"},
}


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "stepwise"])
@pytest.mark.parametrize("size", [300, 200_000])
@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_no_answer_is_doubt_only_after_the_dot(stage, trouble, size, pipelining):
    rule = {"stage": stage, **THIRD, **TROUBLE[trouble]}
    if trouble == "garbage":
        rule["keep"] = True
    with Server(rules=[rule], pipelining=pipelining) as smtpd:
        events = drive(smtpd, size=size, **limits(stage, trouble))
        reconcile(smtpd, events)
        assert smtpd.connections == 2
    why = {"silent": "timeout", "garbage": "protocol"}.get(trouble, "cut")
    if stage == "dot":
        (doubt,) = of(events, "doubt")
        assert (doubt["mail"], doubt["why"]) == (2, why)
    else:
        assert not of(events, "doubt") and not of(events, "voided")
        assert {e["why"] for e in of(events, "returned", 2)} == {why}
    assert of(events, "closed")[0]["why"] == why


@pytest.mark.parametrize("stage", ["greeting", "ehlo"])
@pytest.mark.parametrize("trouble", ["silent", "cut before", "cut within", "garbage"])
def test_trouble_before_the_login_starts_no_mail(stage, trouble):
    with Server(rules=[{"stage": stage, "times": 1, **TROUBLE[trouble]}]) as smtpd:
        events = drive(smtpd, connect=SILENCE)
        reconcile(smtpd, events)
    assert events[0]["event"] == "closed"
    assert events[0]["why"] in {"silent": ["timeout"], "garbage": ["timeout", "protocol"]}.get(
        trouble, ["cut", "protocol", "connect"])


def test_a_reply_that_was_read_counts_though_the_connection_is_cut_behind_it():
    with Server(rules=[{"stage": "dot", "cut": "after", **THIRD}]) as smtpd:
        events = drive(smtpd)
        reconcile(smtpd, events)
    assert not of(events, "doubt")
    assert of(events, "outcome", 2)[0]["queue_id"] != ""


@pytest.mark.parametrize("dots", [0, 1])
def test_a_good_reply_before_the_dot_is_out_accepts_nothing(dots):
    """With a dot that begins a line, body and final dot are one large write, begun after its intent."""
    rule = {"stage": "body", "reply": "250 2.0.0 Ok", "match": "^r2@", "times": 1}
    with Server(rules=[rule]) as smtpd:
        events = drive(smtpd, size=24_000_000, mails=3, dots=dots)
        reconcile(smtpd, events, mails=3)
    third = [e for e in events if e.get("mail") == 2]
    assert "outcome" not in [e["event"] for e in third[:2]] and third[-1]["class"] == "accepted"
    assert not of(events, "doubt")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", [1, 1_000_000])
@pytest.mark.parametrize("reply,kind", [
    ("421 4.3.2 Going down", "returned"), ("421 Going down", "returned"),
    ("552 5.3.4 Enough", "outcome"), ("451 4.7.1 Odd content", "outcome")])
def test_a_reply_while_the_body_is_sent_is_heard(reply, kind, after, reset):
    rule = {"stage": "body", "after": after, "reply": reply, "cut": "after", "reset": reset,
            "match": "^r2@", "times": 1}
    with Server(rules=[rule]) as smtpd:
        events = drive(smtpd, size=4_000_000, mails=3)
        reconcile(smtpd, events, mails=3)
    assert not of(events, "doubt")
    third = [e["event"] for e in events if e.get("mail") == 2 and e["event"] != "intent"]
    (outcome,) = of(events, "outcome", 2)
    assert third[-1] == "outcome"
    # Where the kernel had room for all of the body, 421 reads as the answer to the dot. A reset may
    # overtake any reply.
    if third[0] != "outcome":
        assert third[0] in ("returned", "voided") and (kind == "returned" or reset)
        assert outcome["class"] == "accepted"
    else:
        assert outcome["code"] == int(reply[:3])


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("way", ["plain", "starttls"])
def test_a_dot_that_never_left_is_void_where_that_can_be_known(certificates, way, reset):
    """Dots to be doubled make one large write of body and dot: its intent goes before all of it."""
    ca, *pair = certificates["good"]
    rule = {"stage": "body", "after": 100_000, "cut": "before", "reset": reset, "match": "^r2@",
            "times": 1}
    with Server(rules=[rule], starttls=pair if way == "starttls" else None) as smtpd:
        events = drive(smtpd, size=24_000_000, dots=1, host="localhost", ca=ca, mails=3,
                       tls="required" if way == "starttls" else "none", sessions=2)
    third = [e["event"] for e in events if e.get("mail") == 2]
    if way == "plain":
        assert third == ["intent", "voided", "intent", "outcome"]
        reconcile(smtpd, events, mails=3)
    else:  # how much of a write OpenSSL sent can't be known
        assert third == ["intent", "doubt"]


# ---- the dialogue -------------------------------------------------------------------------------

def test_a_mail_costs_one_round_trip():
    with Server(log_commands=True, rules=[{"stage": "dot", "delay": 0.01}]) as smtpd:
        drive(smtpd, mails=50)
        assert len(smtpd.accepted) == 50
        verbs = [line.split()[0] for _, line in smtpd.commands]
    assert verbs == ["EHLO"] + ["MAIL", "RCPT", "DATA"] * 50 + ["QUIT"]


def test_a_refused_recipient_whose_data_is_taken_gets_a_lone_dot():
    rule = {"stage": "rcpt", "reply": "550 5.1.1 No", **THIRD}
    with Server(rules=[rule], data_anyway=True) as smtpd:
        events = drive(smtpd)
        reconcile(smtpd, events)
        assert smtpd.connections == 1
    assert not of(events, "intent", 2) and not of(events, "anomaly")


def test_a_lone_dot_that_is_accepted_is_an_anomaly():
    rule = {"stage": "rcpt", "reply": "550 5.1.1 No", **THIRD}
    with Server(rules=[rule], data_anyway=True, lone_dot_accepted=True) as smtpd:
        events = drive(smtpd)
        assert [e["message"] for e in smtpd.accepted if not e["message"]] == [b""]
        reconcile(smtpd, events)
    (anomaly,) = of(events, "anomaly")
    assert anomaly["code"] == 250


def test_a_refused_data_is_followed_by_rset():
    with Server(log_commands=True, rules=[{"stage": "data", "reply": "451 4.3.0 Hm", **THIRD}]) as a:
        events = drive(a)
        reconcile(a, events)
    rule = {"stage": "data", "reply": "450 4.2.0 Hm", **THIRD}
    with Server(log_commands=True, rules=[rule]) as smtpd:
        reconcile(smtpd, drive(smtpd))
        verbs = [line.split()[0] for _, line in smtpd.commands]
    assert verbs.count("RSET") == 1
    assert verbs[verbs.index("RSET") + 1] == "MAIL"


def test_mails_that_are_too_big_are_refused_here_and_others_go():
    with Server(size=1000) as smtpd:
        events = drive(smtpd, size=5000)
        assert not smtpd.accepted
        reconcile(smtpd, events)
    outcomes = of(events, "outcome")
    assert {(o["code"], o["enhanced"], o["stage"]) for o in outcomes} == {(552, "5.3.4", "MAIL")}
    with Server(size=100_000, log_commands=True) as smtpd:
        reconcile(smtpd, drive(smtpd))
        assert "SIZE=" in smtpd.accepted[0]["parameters"][0]


def test_what_the_server_does_not_offer_is_done_without():
    with Server(eightbit=False, pipelining=False) as smtpd:
        reconcile(smtpd, drive(smtpd))
        assert all(entry["parameters"] == [] for entry in smtpd.accepted)
    with Server(smtputf8=True) as smtpd:
        reconcile(smtpd, drive(smtpd))
        assert all(entry["parameters"] == ["BODY=8BITMIME"] for entry in smtpd.accepted)


def test_an_address_beyond_ascii_needs_smtputf8():
    to = "j\u00fcrgen@example.org,ann@example.org"
    with Server(smtputf8=True) as smtpd:
        reconcile(smtpd, drive(smtpd, to=to))
        assert smtpd.accepted[0]["rcpt"] == ["j\u00fcrgen@example.org"]
        assert smtpd.accepted[0]["parameters"][-1] == "SMTPUTF8"
        assert "SMTPUTF8" not in smtpd.accepted[1]["parameters"]
    with Server() as smtpd:
        events = drive(smtpd, to=to)
        reconcile(smtpd, events)
        assert [entry["rcpt"][0] for entry in smtpd.accepted] == ["ann@example.org"] * 2
    assert of(events, "outcome", 0)[0]["enhanced"] == "5.6.7"


def test_nothing_can_be_smuggled():
    with Server() as smtpd:
        reconcile(smtpd, drive(smtpd, dots=1))
        assert len(smtpd.accepted) == MAILS
        assert b"\r\n.\r\n.leading\r\n..\r\nMAIL FROM:<smuggled@x>" in smtpd.accepted[0]["message"]
    with Server() as smtpd:
        events = drive(smtpd, bare=1)
        assert not smtpd.accepted
        reconcile(smtpd, events)
    assert {o["enhanced"] for o in of(events, "outcome")} == {"5.6.0"}
    with Server(log_commands=True) as smtpd:
        events = drive(smtpd, to="a@b>\r\nRSET\r\n,ann@example.org,a@b> NOTIFY=NEVER")
        reconcile(smtpd, events)
        assert "RSET" not in [line for _, line in smtpd.commands]
    assert of(events, "outcome", 0)[0]["enhanced"] == "5.1.3"
    assert of(events, "outcome", 2)[0]["enhanced"] == "5.1.3"


@pytest.mark.parametrize("size", [300, 32_768, 32_770, 200_000, 5_000_000])
def test_messages_arrive_unchanged_whatever_their_size(size):
    with Server() as smtpd:
        reconcile(smtpd, drive(smtpd, size=size, mails=3), mails=3)
        for entry in smtpd.accepted:
            body = entry["message"].split(b"\r\n\r\n", 1)[1]
            assert set(body.split(b"\r\n")) <= {
                b"Seventy characters of a line that stands for many that a mail is made of.", b""}
            assert size - 80 < entry["size"] < size + 80
            assert entry["message"].endswith(b"\r\n") and not entry["message"].endswith(b"\r\n\r\n")


def test_a_mail_that_is_withheld_never_leaves():
    with Server() as smtpd:
        events = drive(smtpd, withhold=2)
        reconcile(smtpd, events, unsent=[2])
    assert [e["why"] for e in of(events, "returned", 2)] == ["withheld"]
    assert of(events, "closed")[0]["why"] == "withheld"


@pytest.mark.parametrize("way", ["plain", "starttls"])
def test_a_mail_whose_time_is_over_between_two_writes_goes_no_further(certificates, way):
    """Body and dot are one large write: its intent goes before all of it."""
    ca, *pair = certificates["good"]
    for _ in range(10):
        with Server(starttls=pair if way == "starttls" else None) as smtpd:
            events = drive(smtpd, size=24_000_000, dots=1, host="localhost", ca=ca, mails=3, overdue=2, sessions=2,
                           tls="required" if way == "starttls" else "none")
        third = [e for e in events if e.get("mail") == 2]
        if "why" in third[1]:  # else the server read so fast that all went in one write
            break
    assert third[1]["why"] == "withheld"
    if way == "plain":
        assert [e["event"] for e in third] == ["intent", "voided", "intent", "outcome"]
        reconcile(smtpd, events, mails=3)
    else:  # how much of a write OpenSSL sent can't be known
        assert [e["event"] for e in third] == ["intent", "doubt"]
        assert not numbers_taken(smtpd)[2]


def test_a_session_that_is_aborted_in_a_callback_tells_of_its_mails():
    with Server() as smtpd:
        events = drive(smtpd, abort=2)
        reconcile(smtpd, events, unsent=[2])
    assert [e["why"] for e in of(events, "returned", 2)] == ["aborted"]


def test_a_connection_carries_so_many_messages():
    with Server() as smtpd:
        events = drive(smtpd, messages=2)
        reconcile(smtpd, events)
        assert smtpd.connections == 3
        assert collections.Counter(e["session"] for e in smtpd.accepted) == {1: 2, 2: 2, 3: 1}
    assert [e["why"] for e in of(events, "closed")] == ["messages", "messages", "orderly"]


def test_more_replies_than_commands_are_no_answer_to_the_next_mail():
    rule = {"stage": "dot", "reply": b"250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n250 Ok\r\n354 Go\r\n",
            "keep": True, **THIRD}
    for pipelining in (True, False):
        with Server(rules=[dict(rule)], pipelining=pipelining) as smtpd:
            events = drive(smtpd)
            reconcile(smtpd, events)


def test_replies_that_are_left_are_no_answers_to_the_next_mail():
    """The next one's reader is refused; who takes what is left for answers believes that it was accepted."""
    rules = [{"stage": "dot", "reply": b"250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n250 Ok\r\n354 Go\r\n", "keep": True, **THIRD},
             {"stage": "rcpt", "match": "^r3@", "reply": "550 5.1.1 No such user"}]
    with Server(rules=rules, pipelining=False) as smtpd:
        events = drive(smtpd)
        reconcile(smtpd, events)
    assert of(events, "outcome", 3)[-1]["code"] == 550


# ---- memory ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [300, 200_000])
def test_mails_cost_no_allocation(size):
    with Server() as smtpd:
        few, many = (allocations(smtpd, mails=n, size=size) for n in (5, 100))
    assert few == many


@pytest.mark.parametrize("options", [{}, {"size": 200_000}, {"dots": 1, "size": 3000}])
def test_any_allocation_may_fail_and_nobody_is_lost(options):
    rule = {"stage": "rcpt", "reply": "550 5.1.1 No", "skip": 1}
    with Server() as smtpd:
        most = allocations(smtpd, mails=MAILS, **options)
    assert 3 < most < 200

    def check(number):
        with Server(rules=[dict(rule, times=1)]) as smtpd:
            events = drive(smtpd, fail=number, connect=5000, **options)
            reconcile(smtpd, events)
            return len(events)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(check, range(1, most + 2)))


# ---- TLS ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [300, 200_000, 4_000_000])
@pytest.mark.parametrize("way", ["starttls", "smtps"])
def test_mails_go_over_tls(certificates, way, size):
    ca, *pair = certificates["good"]
    with Server(**{way: pair}) as smtpd:
        events = drive(smtpd, host="localhost", ca=ca, size=size,
                       tls="required" if way == "starttls" else "implicit")
        reconcile(smtpd, events)
        assert all(entry["tls"] for entry in smtpd.accepted)
    assert of(events, "ready")[0]["secure"]


@pytest.mark.parametrize("way", ["starttls", "smtps"])
@pytest.mark.parametrize("which", ["other name", "expired", "stranger"])
def test_a_certificate_that_is_not_good_stops_it(certificates, which, way):
    _, *pair = certificates[which]
    ca = certificates["good" if which == "stranger" else which][0]
    tls = "required" if way == "starttls" else "implicit"
    with Server(**{way: pair}) as smtpd:
        events = drive(smtpd, host="localhost", ca=ca, tls=tls, sessions=1)
        assert [e["event"] for e in events] == ["closed"] and events[0]["why"] == "tls"
        assert not smtpd.accepted
        if which == "other name":
            reconcile(smtpd, drive(smtpd, host="localhost", ca=ca, tls=tls, insecure=1))


def test_tls_that_is_required_is_never_done_without():
    with Server() as smtpd:
        for options in ({"tls": "required"},
                        {"tls": "allowed", "user": "me", "password": "secret"}):
            events = drive(smtpd, sessions=1, **options)
            assert [e["event"] for e in events] == ["closed"] and events[0]["why"] == "tls"
        assert not smtpd.accepted
        reconcile(smtpd, drive(smtpd, tls="allowed"))


def test_tls_that_is_allowed_is_taken_when_offered(certificates):
    ca, *pair = certificates["good"]
    with Server(starttls=pair) as smtpd:
        reconcile(smtpd, drive(smtpd, host="localhost", ca=ca, tls="allowed"))
        assert all(entry["tls"] for entry in smtpd.accepted)


@pytest.mark.parametrize("trouble", ["silent", "cut before", "cut within", "reset before"])
@pytest.mark.parametrize("stage", ["rcpt", "dot"])
def test_trouble_under_tls_ends_as_without(certificates, stage, trouble):
    ca, *pair = certificates["good"]
    with Server(starttls=pair, rules=[{"stage": stage, **THIRD, **TROUBLE[trouble]}]) as smtpd:
        events = drive(smtpd, host="localhost", ca=ca, tls="required",
                       **limits(stage, trouble))
        reconcile(smtpd, events)
    assert len(of(events, "doubt", 2)) == (stage == "dot")


# ---- AUTH ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN", "PLAIN LOGIN"])
def test_a_user_logs_in(mechanisms):
    with Server(auth=("me", "s\u00e9cret \"x"), mechanisms=mechanisms) as smtpd:
        reconcile(smtpd, drive(smtpd, user="me", password="s\u00e9cret \"x"))
        assert all(entry["user"] == "me" for entry in smtpd.accepted)


def test_a_wrong_password_starts_no_mail():
    with Server(auth=("me", "secret")) as smtpd:
        events = drive(smtpd, user="me", password="wrong", sessions=1)
    (closed,) = events
    assert (closed["why"], closed["code"], closed["enhanced"]) == ("auth", 535, "5.7.8")


def test_a_user_where_no_auth_is_offered_is_told():
    with Server() as smtpd:
        events = drive(smtpd, user="me", password="secret", sessions=1)
        assert not smtpd.accepted
    (closed,) = events
    assert closed["why"] == "auth" and "offers no AUTH" in closed["said"]


# ---- connecting ---------------------------------------------------------------------------------

def test_nobody_there_and_no_such_name():
    class Nobody:
        port = 1
    (closed,) = drive(Nobody, sessions=1)
    assert closed["why"] == "connect"
    (closed,) = drive(Nobody, sessions=1, host="does-not-exist.invalid")
    assert closed["why"] == "connect"
