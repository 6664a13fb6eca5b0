"""Holds what the store says against the SMTP server's own record, with queries of its own: nothing here
asks the functions that the engines use. Each finding is (what it is about, words); none is a good round.

The server's record is by Message-ID, which names the issue's uid and the subscriber."""

import collections
import json
import re

from world import CONNECTIONS

# The audience at the opening, from the events alone: where each reader stood by the last of their events
# that had happened then.
AUDIENCE = """
SELECT subscriber FROM (
	SELECT DISTINCT ON (v.subscriber) v.subscriber, v.edition, v.status, v.kind
	FROM subscription_event v JOIN issue i ON i.list = v.list
	WHERE i.id = %(issue)s AND v.at <= i.opened_at AND v.kind <> 'suppress'
	ORDER BY v.subscriber, v.id DESC) last
WHERE last.status = 'active' AND last.kind <> 'erase'
	AND last.edition = (SELECT edition FROM issue WHERE id = %(issue)s)"""

# Who went away from it afterwards, for good or for a while; or was never to be mailed.
WENT = """
SELECT DISTINCT v.subscriber FROM subscription_event v JOIN issue i ON i.list = v.list
WHERE i.id = %(issue)s AND (v.kind = 'suppress'
	OR v.at > i.opened_at AND v.kind IN ('unsubscribe', 'move', 'erase'))"""

GENS = """
SELECT v.subscriber, v.kind, v.gen FROM subscription_event v JOIN issue i ON i.edition = v.edition
WHERE i.id = %(issue)s AND v.kind <> 'suppress' AND (v.gen <= i.gen) <> (v.at <= i.opened_at)"""

COUNTS = ("delivered", "refused", "expired", "skipped", "in_doubt", "deferred")


class Record:
    """What the server accepted: by issue uid and subscriber, and by address for letters."""

    def __init__(self, smtpd):
        self.mails = collections.defaultdict(list)     # (uid, subscriber): moments
        self.letters = collections.defaultdict(list)   # address: message ids
        self.whole = collections.defaultdict(set)      # (uid, subscriber): message ids
        # Another mail's dot came over the same connection later: by then the engine had put the answer to
        # this one into its journal.
        self.heard = []
        self.of_letters = set()
        self.strange = []
        for entry in smtpd.accepted:
            head = entry["message"].partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
            ids = re.findall(r"(?im)^Message-ID:\s*<([^>]+)>", head)
            if len(ids) != 1 or entry["bare"]:
                self.strange.append(f"a message with {len(ids)} ids to {entry['rcpt']}")
            elif re.search(r"(?im)^Auto-Submitted:", head):
                self.of_letters.add(ids[0])
                self.letters[entry["rcpt"][0]].append(ids[0])
            else:
                uid, _, reader = ids[0].partition("@")[0].rpartition(".")
                self.mails[uid, int(reader)].append(entry["at"])
                self.whole[uid, int(reader)].add(ids[0])
            if len(ids) == 1 and entry["nth"] < smtpd.dots[entry["session"]]:
                self.heard.append((ids[0], entry))


class Judge:
    def __init__(self, world):
        self.world = world
        self.record = Record(world.smtpd)
        self.findings = []
        self.accepted = len(world.smtpd.accepted)
        self.copies = self.doubts = self.lost = 0
        self.allowed = sum(world.allowed(host) for host in world.hosts)

    def wrong(self, what, words):
        self.findings.append((what, words))

    def rows(self, sql, **values):
        with self.world.news.db.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def all(self):
        for words in self.record.strange:
            self.wrong("the wire", words)
        for issue in self.world.issues:
            self.issue(issue)
        self.letters()
        self.windows()
        self.sessions()
        self.answers()
        self.sum_of_doubts()
        self.doubts_of_each()
        self.old_primary()
        for number, status in self.world.failed:
            self.wrong(f"engine{number}", f"ended with status {status}")
        for row in self.rows("SELECT kind, issue, subscriber, detail FROM anomaly"):
            self.wrong("anomaly", str(row))
        self.programs()
        return self.findings

    # ---- an issue --------------------------------------------------------------------------------

    def issue(self, issue):
        [(uid, state)] = self.rows("SELECT uid, state FROM issue WHERE id = %(issue)s", issue=issue)
        if state != "done":
            self.wrong(issue, f"is {state}")
        audience = {row[0] for row in self.rows(AUDIENCE, issue=issue)}
        self.went = went = {row[0] for row in self.rows(WENT, issue=issue)}
        for row in self.rows(GENS, issue=issue):
            self.wrong((issue, row[0]), f"{row[1]} at gen {row[2]} is on the wrong side of the opening")
        store = {reader: (outcome, reason) for reader, outcome, reason in self.rows(
            "SELECT subscriber, outcome::text, reason FROM delivery WHERE issue = %(issue)s", issue=issue)}
        tries = dict(self.rows(
            "SELECT subscriber, count(*) FROM attempt WHERE issue = %(issue)s AND cause LIKE 'in doubt%%'"
            " AND cause NOT LIKE 'in doubt, not sent again%%' GROUP BY 1",
            issue=issue))
        mails = {reader: at for (of, reader), at in self.record.mails.items() if of == uid}

        for (of, reader), ids in self.record.whole.items():
            if of == uid and len(ids) > 1:
                self.wrong((issue, reader), f"got copies with different Message-IDs: {ids}")
        for reader in store.keys() - audience:
            self.wrong((issue, reader), "is recorded, and doesn't belong to the audience")
        for reader in mails.keys() - audience:
            self.wrong((issue, reader), "got it, and doesn't belong to the audience")
        for reader in audience - store.keys() - went:
            self.wrong((issue, reader), "belongs to the audience; nothing is recorded, and they didn't leave")
        for reader in store.keys() | mails.keys():
            self.reader(issue, reader, store.get(reader, (None, None)), tries.get(reader, 0), mails.get(reader, []))
        for word, count in self.rows(
                "SELECT 'deferrals', count(*) FROM deferral WHERE issue = %(issue)s"
                " UNION ALL SELECT 'open windows', count(*) FROM send_window WHERE issue = %(issue)s"
                " AND settled_at IS NULL", issue=issue):
            if count:
                self.wrong(issue, f"{count} {word} are left")
        self.sums(issue, store)
        self.doubts += sum(tries.values()) + sum(1 for outcome, _ in store.values() if outcome == "in_doubt")

    def reader(self, issue, reader, recorded, doubts, got):
        outcome, reason = recorded
        who = (issue, reader)
        doubted = doubts > 0 or outcome == "in_doubt"
        if outcome is None:
            self.wrong(who, f"got it {len(got)} times, and nothing is recorded")
        elif got and outcome != "delivered" and not doubted:
            self.wrong(who, f"got it, and is recorded as {outcome} ({reason})")
        elif not got and outcome == "delivered":
            self.wrong(who, "is recorded as delivered, and the server never accepted it")
        if len(got) > 1:
            self.copies += len(got) - 1
            if self.world.policy == "skip":
                self.wrong(who, f"got it {len(got)} times, though doubt isn't resent")
            elif len(got) > 1 + doubts:
                self.wrong(who, f"got it {len(got)} times, with {doubts} doubts")
        if not got and outcome == "in_doubt":
            self.lost += 1   # and named
            if self.world.policy == "resend" and not doubts and reader not in self.went:
                self.wrong(who, "was lost in its first doubt, which wasn't resent")
        left = self.world.unsubscribed.get(reader)
        # It stands still between a look and the dot, or with the answer to a look under way.
        bound = self.world.limits.look_max + min(self.world.longest_stop, self.world.limits.stop_after) + 1.5
        if left and got and max(got) > left + bound:
            self.wrong(who, f"got it {max(got) - left:.1f} s after they had left")

    def sums(self, issue, store):
        """What the windows counted, against the rows. A deferral ends in a later window."""
        [counted] = self.rows("SELECT " + ", ".join(f"coalesce(sum({name}), 0)" for name in COUNTS) +
                              " FROM send_window WHERE issue = %(issue)s", issue=issue)
        rows = collections.Counter(outcome for outcome, _ in store.values())
        for name, count in zip(COUNTS[:-1], counted):
            if count != rows[name]:
                self.wrong(issue, f"its windows counted {count} {name}, there are {rows[name]}")

    # ---- everything else -------------------------------------------------------------------------

    def windows(self):
        for session, n, size, total in self.rows(
                "SELECT session, n, size, delivered + refused + expired + skipped + in_doubt + deferred FROM send_window"
                " WHERE settled_at IS NOT NULL AND size <> delivered + refused + expired + skipped + in_doubt + deferred"):
            self.wrong(f"window {session}.{n}", f"had {size} members and counts {total}")
        for session, n, rows, counted in self.rows(
                """SELECT w.session, w.n, d.rows, w.delivered + w.refused + w.expired + w.skipped + w.in_doubt + w.deferred
                   FROM send_window w JOIN LATERAL (SELECT count(DISTINCT subscriber) AS rows FROM (
                       SELECT subscriber FROM delivery d WHERE (d.issue, d.session, d.n) = (w.issue, w.session, w.n)
                       UNION ALL SELECT subscriber FROM attempt a
                       WHERE (a.issue, a.session, a.n) = (w.issue, w.session, w.n)) x) d ON true
                   WHERE w.issue IS NOT NULL AND d.rows > w.size"""):
            self.wrong(f"window {session}.{n}", f"{rows} readers are recorded by it, it counts {counted}")
        if self.world.clock_stepped:
            return   # taken_at is by the engines' clock
        for issue, start, end in self.world.pauses:
            for session, n in self.rows(
                    "SELECT session, n FROM send_window WHERE issue = %(issue)s AND taken_at > to_timestamp(%(start)s)"
                    " AND taken_at < to_timestamp(%(end)s)", issue=issue, start=start + 0.3, end=(end or start) - 0.3):
                self.wrong(f"window {session}.{n}", "was taken while its issue was paused")

    def sessions(self):
        if self.world.clock_stepped:
            return
        for session, n in self.rows("SELECT w.session, w.n FROM send_window w JOIN session s ON s.id = w.session"
                                    " WHERE s.dead AND w.taken_at > s.ended_at + interval '300 ms'"):
            self.wrong(f"window {session}.{n}", "was taken by a session that was dead")

    def letters(self):
        for address, outcome, doubts in self.rows("SELECT address, outcome::text, doubts FROM letter"):
            got = self.record.letters.get(address, [])
            self.doubts += doubts
            self.copies += max(0, len(got) - 1)
            if outcome is None:
                self.wrong(address, "its letter is still queued")
            elif len(got) > 1 + min(doubts, 1) or len(set(got)) > 1:
                self.wrong(address, f"its letter came {len(got)} times, with {doubts} doubts: {got}")
            elif not got and outcome == "delivered":
                self.wrong(address, "its letter is recorded as delivered, and the server never accepted it")
            elif got and outcome != "delivered" and not doubts:
                self.wrong(address, f"its letter came, and is recorded as {outcome}")

    def sum_of_doubts(self):
        if self.doubts > self.allowed:
            self.wrong("doubts", f"{self.doubts}, where the faults explain {self.allowed}"
                                 f" ({CONNECTIONS} connections an engine)")

    def doubts_of_each(self):
        """Each engine's doubts come from what happened to it."""
        for host in self.world.hosts:
            host.know_identity()
            [(doubts,)] = self.rows(
                """SELECT count(*) FROM (
                       SELECT session FROM delivery WHERE outcome = 'in_doubt'
                       UNION ALL SELECT session FROM attempt WHERE cause LIKE 'in doubt%%'
                           AND cause NOT LIKE 'in doubt, not sent again%%') d
                   JOIN session s ON s.id = d.session JOIN engine e ON e.id = s.engine
                   WHERE e.uuid::text = ANY (%(engines)s)""", engines=list(host.engines))
            allowed = self.world.allowed(host)
            if doubts > allowed:
                self.wrong(f"engine{host.number}", f"left {doubts} in doubt, where its faults explain {allowed}")

    def answers(self):
        """An answer that an engine went on after is in its journal, so it is known, whatever came then."""
        forgot = {host.hello: host.forgot for host in self.world.hosts}
        heard = collections.Counter(message for message, entry in self.record.heard
                                    if entry["at"] > forgot[entry["hello"]])
        known = collections.Counter({f"{uid}.{reader}": count for uid, reader, count in self.rows(
            """SELECT i.uid, t.subscriber, count(*) FROM (
                   SELECT issue, subscriber FROM delivery WHERE outcome = 'delivered'
                   UNION ALL SELECT issue, subscriber FROM attempt WHERE code BETWEEN 200 AND 299) t
               JOIN issue i ON i.id = t.issue GROUP BY 1, 2""")})
        for message, count in heard.items():
            name = message.partition("@")[0]
            if message in self.record.of_letters:
                if count > 1:
                    self.wrong(message, f"this letter was answered {count} times")
            elif count > known[name]:
                issue = self.rows("SELECT id FROM issue WHERE uid = %(uid)s", uid=name.rpartition(".")[0])
                self.wrong((issue[0][0] if issue else name, int(name.rpartition(".")[2])),
                           f"{count} answers were heard, {known[name]} are known")

    def old_primary(self):
        """Whoever has seen the new history takes nothing in the old one."""
        takes = getattr(self.world.place, "takes", [])
        if not takes:
            return
        seen = dict(self.rows(
            """SELECT e.uuid::text, extract(epoch FROM min(s.started_at))::float8 FROM session s JOIN engine e ON e.id = s.engine
               WHERE NOT s.uuid::text = ANY (%(known)s) GROUP BY 1""", known=self.world.place.sessions))
        for engine, session, n, at in takes:
            if at > seen.get(engine, at):
                self.wrong(f"window {session}.{n}", "was taken from an old primary by an engine that knew the new one")

    def programs(self):
        """What the program itself finds, where it can."""
        ctl = self.world.ctl
        for words in [*(("issue", "audit", issue) for issue in self.world.issues), ("db", "check")]:
            done = ctl(*words)
            if done.returncode == 2:
                continue   # this digestctl can't do that
            if done.returncode != 0:
                broken = re.findall(r"(?m)^BROKEN.*\n(?: +.*\n)?", done.stdout)
                self.wrong("digestctl " + " ".join(map(str, words)), "".join(broken) or done.stdout + done.stderr)

    # ---- telling ---------------------------------------------------------------------------------

    def story(self, who):
        """Of one wrong reader: what the program tells, and what the server wrote down."""
        if not isinstance(who, tuple):
            return ""
        issue, reader = who
        [(uid,)] = self.rows("SELECT uid FROM issue WHERE id = %(issue)s", issue=issue)
        email = self.rows("SELECT email FROM subscriber WHERE id = %(reader)s", reader=reader)
        told = self.world.ctl("explain", email[0][0], "--issue", issue).stdout if email else "(erased)"
        rows = self.rows("SELECT to_jsonb(d) FROM delivery d WHERE issue = %(issue)s AND subscriber = %(reader)s"
                         " UNION ALL SELECT to_jsonb(a) FROM attempt a WHERE issue = %(issue)s AND subscriber = %(reader)s",
                         issue=issue, reader=reader)
        return "\n".join([told, *(json.dumps(row[0]) for row in rows),
                          f"accepted at {self.record.mails.get((uid, reader), [])}"])
