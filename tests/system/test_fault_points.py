"""Each place where dying makes a difference is died at once: alone, in order, by its number, while a
first try, a retry and a letter are on their way, under both policies for doubt. The promise holds
each time, by the SMTP server's own record:

    skip    nobody gets it twice; who doesn't get it is named as in doubt
    resend  everybody gets it; twice only who is named as in doubt, with the same Message-ID

What came of each is kept as a table, fault-points.txt in the build directory.
"""

import collections
import concurrent.futures
import contextlib
import os
import re
import shutil
import subprocess
import threading
import time

import psycopg2
import pytest

from engine import Engine, Newsletter
from conftest import fresh
from pgproxy import Proxy
from smtpd import Rule, Server
from waiting import PATIENCE, wait_until

READERS = 4
SETTINGS = ('retry = { backoff = { first = "50 ms"; factor = 1; cap = "50 ms"; };'
            ' breaker = { first = "50 ms"; factor = 1; cap = "50 ms"; }; };'
            ' timing = { scale = 60; look = "3 s"; look_max = "60 s"; beat = "66 s"; stop_after = "120 s";'
            ' dead = "180 s"; drain = "600 s"; orphan_after = "601 s"; journal_keep = "602 s"; };')
PUT_OFF = 'retry = { backoff = { first = "1 d"; factor = 1; cap = "1 d"; }; };' + SETTINGS[SETTINGS.index(" timing"):]

# Points that no kind can hit, each with its reason.
NEVER = {**dict.fromkeys(["others-bury-sent", "others-buried", "others-orphan-sent", "others-orphaned"],
                         "another engine has to be gone; tests/chaos comes here"),
         **dict.fromkeys(["late-journal-read", "late-told"],
                         "another engine has to have closed its windows; tests/chaos comes here")}
# What is hit by some kinds only.
NOT_FOR = {
    "db-copy-begun": {"letter"}, "db-copy-fed": {"letter"}, "db-copy-done": {"letter"},  # rows by a statement
}
KINDS = [("first", "skip"), ("first", "resend"), ("retry", "skip"), ("retry", "resend"), ("letter", "resend")]

SLOW = {"stage": "dot", "delay": 0.5}
# What has to happen so that the code passes there at all.
RULES = {
    "wire-doubt": [{"stage": "dot", "times": 1, "cut": "before"}],
    "wire-void": [{"stage": "data", "times": 20, "cut": "after", "reset": True}],
    "wire-mail-returned": [{"stage": "mail", "times": 1, "cut": "before"}],
    "beat": [SLOW], "drain": [SLOW], "journal-rotate": [SLOW], "journal-tidied": [SLOW],
}
CUTS = {
    "turn-failed": (b"SET turn", {"before": True}),
    "turn-unknown": (b"COMMIT", {"after": b"SET turn"}),
    "turn-known-done": (b"COMMIT", {"after": b"SET turn"}),
    "turn-known-undone": (b"COMMIT", {"after": b"SET turn", "before": True}),
}
PASSES = {"db-commit": (1, 2, 3), "journal-written": (1, 2)}


def of(table, point, otherwise=None):
    """What a table has for a point, or for the group that its name begins with."""
    return next((value for name, value in table.items() if point.startswith(name)), otherwise)


Row = collections.namedtuple("Row", "number point nth kind policy hit got store")


class Trial:
    """One kind of mail under one policy, with all that it needs for itself."""

    def __init__(self, faults, cluster, database, kind, policy):
        self.kind, self.policy = kind, policy
        self.smtpd = Server().start()
        self.proxy = Proxy(cluster).start()
        self.news = Newsletter(cluster, database, READERS, doubt=policy)
        self.readers = {f"reader{n}@a.example" for n in range(1, READERS + 1)}
        self.engine = Engine(faults, cluster, database, [], SETTINGS)
        self.engine.dsn = self.proxy.dsn("digestd_engine", database)
        self.relays = [{"port": self.smtpd.port, "connections": 1}]
        self.engine.configure(self.relays, SETTINGS)
        self.put_off = []

    def close(self):
        self.engine.remove()
        self.news.close()
        self.smtpd.stop()
        self.proxy.stop()

    # ---- the work ----

    def prepare(self, runs):
        """For retries: as many issues whose readers have all been put off."""
        if self.kind != "retry":
            return
        self.smtpd.rules = [Rule({"stage": "rcpt", "reply": "451 4.2.0 Later"})]
        self.put_off = [self.news.open() for _ in range(runs)]
        self.engine.configure(self.relays, PUT_OFF)
        self.start(None)
        self.wait(lambda: self.news.value("SELECT count(*) FROM deferral WHERE tries > 0 AND session IS NULL")
                  == runs * READERS)
        self.engine.kill()
        self.news.run("UPDATE deferral SET due_at = now() + interval '1 day'")
        self.engine.configure(self.relays, SETTINGS)
        self.smtpd.rules = []

    def begin(self):
        """Something to do for the engine: an issue, or letters."""
        if self.kind == "first":
            return self.news.open()
        if self.kind == "retry":
            issue = self.put_off.pop()
            self.news.run("UPDATE deferral SET due_at = now() WHERE issue = %s", issue)
            return issue
        return [self.news.value("SELECT letter_put('test', %s, NULL, %s, '{}', '1 day', now())",
                                self.news.list, reader) for reader in sorted(self.readers)]

    def is_done(self, work):
        if self.kind == "letter":
            return not self.news.value("SELECT count(*) FROM letter WHERE outcome IS NULL")
        return self.news.state(work) == "done"

    # ---- the engine ----

    def start(self, fault):
        self.engine.env.pop("DIGESTD_FAULT", None)
        if fault:
            self.engine.env["DIGESTD_FAULT"] = fault
        self.engine.start()

    def ended(self):
        return self.engine.process.poll() is not None

    def wait(self, condition):
        wait_until(lambda: condition() or self.ended(), PATIENCE)

    def run_armed(self, work, point, fault):
        """Runs until it dies of the fault, or has done everything; whether it died of it."""
        if point.startswith("journal-tidied"):
            # Before the newest there is one, which ended as long ago as this boot (journal_inside.h).
            newest = os.path.join(self.engine.state, self.journals()[-1])
            shutil.copy(newest, os.path.join(self.engine.state, "journal.0"))
            with open(newest, "r+b") as file:
                file.seek(88)
                file.write(bytes(8))
        if point.startswith("identity"):
            shutil.rmtree(self.engine.state, ignore_errors=True)
        self.smtpd.rules = [Rule(spec) for spec in of(RULES, point, [])]
        word, how = CUTS.get(point, (None, {}))
        if word:
            self.proxy.cut(word, **how)
        already = len(self.smtpd.accepted)
        self.start(fault)
        if point.startswith("drain"):
            self.wait(lambda: len(self.smtpd.accepted) > already)
        else:
            self.wait(lambda: self.is_done(work))
        if not self.ended():
            self.engine.process.terminate()
        status = self.engine.wait_end()
        self.proxy.word = None
        self.smtpd.rules = []
        assert status in (0, -9), self.engine.log()[-4000:]
        return status == -9

    def journals(self):
        return sorted((name for name in os.listdir(self.engine.state) if name.startswith("journal.")),
                      key=lambda name: int(name[8:]))

    def run(self, number, point, nth):
        work = self.begin()
        already = len(self.smtpd.accepted)
        if point.startswith(("past", "journal-file")):   # there is one
            self.start("smtp-dot-sent:2")
            assert self.engine.wait_end() == -9
        hit = self.run_armed(work, point, f"{number}:{nth}")
        self.start(None)
        self.settle(work, point)
        self.engine.kill()
        got = collections.Counter(m["rcpt"][0] for m in self.smtpd.accepted[already:])
        self.check_ids(already)
        store = self.store(work)
        self.judge(point, got, store)
        return Row(number, point, nth, self.kind, self.policy, hit,
                   " ".join(str(got[reader]) for reader in sorted(self.readers)),
                   " ".join(str(store[reader]) for reader in sorted(self.readers)))

    def settle(self, work, point):
        """Until all is done; a lost journal is for the operator to decide."""
        def over():
            if point == "journal-torn" and self.kind != "letter":
                with contextlib.suppress(psycopg2.errors.ObjectNotInPrerequisiteState):   # it has just ended
                    self.news.run("SELECT issue_doubts_settle(%s, %s, now()) FROM issue WHERE id = %s"
                                  " AND ended_at IS NULL", work, self.policy, work)
            return self.is_done(work) and not self.news.value(
                "SELECT count(*) FROM send_window WHERE settled_at IS NULL")
        self.wait(over)
        assert not self.ended(), self.engine.log()[-4000:]

    # ---- what came of it ----

    def store(self, work):
        """By reader: the outcome, "?" for each doubt there was."""
        if self.kind == "letter":
            rows = self.news.rows("SELECT address, outcome || repeat('?', doubts) FROM letter WHERE id = ANY (%s)", work)
        else:
            rows = self.news.rows(
                """SELECT p.email, d.outcome || repeat('?', (SELECT count(*) FROM attempt a WHERE a.issue = d.issue
                   AND a.subscriber = d.subscriber AND a.cause LIKE 'in doubt%%')::int)
                   FROM delivery d JOIN subscriber p ON p.id = d.subscriber WHERE d.issue = %s""", work)
        return dict(rows)

    def check_ids(self, already):
        ids = collections.defaultdict(set)
        for message in self.smtpd.accepted[already:]:
            ids[message["rcpt"][0]].add(re.search(rb"(?i)\r\nMessage-ID:\s*(\S+)", message["message"])[1])
        assert all(len(each) == 1 for each in ids.values()), ids

    def judge(self, point, got, store):
        story = f"{point}, {self.kind}, {self.policy}: {dict(got)}, {store}"
        assert set(store) == self.readers, story
        doubted = {reader for reader, outcome in store.items() if outcome.startswith("in_doubt") or "?" in outcome}
        for reader in self.readers:
            if got[reader] > 1:
                assert self.policy == "resend" and reader in doubted and got[reader] == 2, story
            if got[reader] == 0:
                assert store[reader].startswith("in_doubt"), story
            if store[reader].startswith("delivered"):
                assert got[reader], story
        # One for each death and each cut. A reset after 354 may come before the message or after it.
        most = (READERS if point.startswith(("journal-torn", "wire-void")) else
                2 if point.startswith(("past", "journal-file")) or "doubt" in point else 1)
        assert len(doubted) <= most, story
        assert not self.news.rows("SELECT * FROM anomaly"), story


def run_all(trial, points, table, lock):
    runs = [(number, point, nth) for number, point in points for nth in of(PASSES, point, (1,))]
    trial.prepare(len(runs))
    for number, point, nth in runs:
        row = trial.run(number, point, nth)
        with lock:
            table.append(row)


@pytest.fixture(scope="module")
def faults(build):
    return os.path.join(build, "faults")


@pytest.fixture(scope="module")
def points(faults):
    listed = subprocess.run([os.path.join(faults, "digestd"), "--list-fault-points"], check=True,
                            capture_output=True, text=True).stdout
    return [(int(number), name) for number, name in (line.split("\t") for line in listed.splitlines())]


@pytest.fixture(scope="module")
def table(faults, points, cluster, template):
    """Runs them all; the kinds side by side, since they wait more than they work."""
    databases = [fresh(cluster, template) for _ in KINDS]
    trials = [Trial(faults, cluster, next(database), *how) for database, how in zip(databases, KINDS)]
    rows, lock = [], threading.Lock()
    began = time.monotonic()
    try:
        with concurrent.futures.ThreadPoolExecutor(len(trials)) as pool:
            done = [pool.submit(run_all, trial, points, rows, lock) for trial in trials]
            concurrent.futures.wait(done, return_when=concurrent.futures.FIRST_EXCEPTION)
            wrong = [run.exception() for run in done if run.done() and run.exception()]
            if wrong:
                for trial in trials:   # the others end by themselves then
                    trial.engine.remove()
                raise wrong[0]
    finally:
        for trial in trials:
            trial.close()
        for database in databases:
            next(database, None)
        rows.sort()
        with open(os.path.join(faults, "fault-points.txt"), "w", encoding="utf-8") as file:
            print(f"{'no':>2} {'point':26} nth {'kind':7}{'policy':7} died  mails got  the store says", file=file)
            for row in rows:
                print(f"{row.number:2} {row.point:26} {row.nth:3} {row.kind:7}{row.policy:7} "
                      f"{'yes' if row.hit else 'no':5} {row.got:10} {row.store}", file=file)
            print(f"{len(rows)} runs, {time.monotonic() - began:.0f} s", file=file)
    return rows


def test_the_promise_holds_wherever_it_dies(table, points):
    """Each run was judged when it ended; here: that none was left out."""
    assert {(row.point, row.kind, row.policy) for row in table} == \
        {(point, kind, policy) for _, point in points for kind, policy in KINDS}


def test_each_place_was_died_at_by_each_kind(table, points):
    died = {(row.point, row.kind) for row in table if row.hit}
    missed = [(point, kind) for _, point in points for kind in ("first", "retry", "letter")
              if (point, kind) not in died and kind not in NOT_FOR.get(point, ()) and point not in NEVER]
    assert not missed


def test_numbers_and_names_arm_alike_and_others_are_refused(faults):
    def run(fault):
        return subprocess.run([os.path.join(faults, "digestd"), "--config", "/nowhere"], capture_output=True,
                              text=True, env={**os.environ, "DIGESTD_FAULT": fault}, check=False)
    for wrong in "0", "9999", "nothing", "1:0", "1:1:sing":
        done = run(wrong)
        assert done.returncode == 1 and wrong in done.stderr or "no such" in done.stderr, wrong
