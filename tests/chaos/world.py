"""The world of one round: a database, engines with a proxy each before it, a list with readers, and
an SMTP server that keeps the truth. Everything that a fault or a reader does goes through here, so
that the judge can ask afterwards what was done, and when."""

import collections
import contextlib
import heapq
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

from ctl import Ctl
from engine import Engine, Newsletter
from pgproxy import Proxy
from smtpd import Rule, Server

CONNECTIONS = 6     # of an engine to the relay: so many mails can be in doubt by one fault
DOMAINS = ["gmail.com", "gmx.de", "yahoo.com", "a.example"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York"]
DISK = "32m"

RETRY = ('retry = { backoff = { first = "100 ms"; factor = 2; cap = "1 s"; };'
         ' breaker = { first = "100 ms"; factor = 2; cap = "500 ms"; }; };'
         ' window = { size = 200; };')
# The limits of the design, divided by 60 in their order; those that would come too near to what
# a busy machine needs for a turn are longer. Journals outlive a step of the clock by an hour, as they
# do with the real limits.
SCALED = ('timing = { scale = 60; look = "6 s"; look_max = "60 s"; beat = "66 s"; stop_after = "120 s";'
          ' dead = "180 s"; relay_dot = "180 s"; orphan_after = "480 s"; journal_keep = "30 d"; unstarted = "300 s"; drain = "900 s";'
          ' relay_connect = "180 s"; relay_reply = "300 s"; relay_data = "300 s"; relay_block = "300 s";'
          ' relay_idle = "60 s"; };')
REAL = ""

Limits = collections.namedtuple("Limits", "look_max stop_after dead dot orphan")
LIMITS = {"scaled": Limits(1, 2, 3, 3, 8), "real": Limits(2, 40, 60, 600, 3600)}


class Host(Engine):
    """An engine with a proxy of its own before each way to the database, and its own small disk."""

    def __init__(self, number, faults, place, port, extra, clock):
        self.place = place
        self.proxies = [Proxy(front).start() for front in place.fronts]
        super().__init__(faults, place.primary, place.database, [], extra, env={"DIGESTD_CLOCK": clock})
        self.number = number
        self.hello = f"engine{number}.example"   # in EHLO: tells the server whose mail it is
        self.dsn = place.dsn("digestd_engine", self.proxies)
        self.disk = os.path.join(self.home, "disk")
        os.mkdir(self.disk)
        self.small = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + DISK, "tmpfs", self.disk],
                                    capture_output=True, check=False).returncode == 0
        self.state = os.path.join(self.disk, "state")
        os.mkdir(self.state)
        self.configure([{"port": port, "connections": CONNECTIONS, "ehlo": self.hello}], extra)
        self.wanted = False      # it should run: started again when it isn't
        self.again_at = 0        # but not before this moment
        self.died_at = None
        self.late_until = None   # it stays away even when the storm is over
        self.fault = None        # of the next start
        self.stopped_at = None
        self.wake_at = None      # of one that stands still: when it is sent SIGCONT
        self.doubts_allowed = 0
        self.engines = set()     # who it was, by the identity in its state directory
        self.forgot = 0          # until this time (of the wall clock) its journal was lost

    def configure(self, relays, extra=""):
        """Only LISTEN goes around a pooler."""
        super().configure(relays, extra)
        if not self.place.bouncer:
            return
        with open(self.config, "r+", encoding="utf-8") as file:
            text = file.read()
            file.seek(0)
            listen = json.dumps(self.place.dsn("digestd_engine"))
            file.write(text.replace("; };\nrelays", f"; listen = {listen}; pooler = true; }};\nrelays", 1))

    @property
    def proxy(self):
        """The one before the server that is the right one."""
        place = self.place
        return self.proxies[0 if place.bouncer else list(place.nodes()).index(place.primary)]

    def know_identity(self):
        """Who it is now, if it is anybody."""
        path = os.path.join(self.state, "engine.id")
        if not os.path.exists(path):
            return None
        with open(path, encoding="ascii") as file:
            engine = file.read().strip()
        self.engines.add(engine)
        return engine

    def start(self):
        self.env.pop("DIGESTD_FAULT", None)
        if self.fault:
            self.env["DIGESTD_FAULT"] = self.fault
        self.fault = None
        self.wanted = True
        return super().start()

    def lives(self):
        return self.process is not None and self.process.poll() is None

    def stands_still(self):
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
                return file.read().rpartition(")")[2].split()[0] == "T"
        except (OSError, AttributeError):
            return False

    def die(self):
        if self.lives():
            self.kill()
        self.know_identity()

    def journals(self):
        return sorted((name for name in os.listdir(self.state) if name.startswith("journal.")),
                      key=lambda name: int(name[8:]))

    def remove(self):
        self.wanted = False
        if self.lives():
            self.kill()
        for proxy in self.proxies:
            proxy.stop()
            shutil.rmtree(proxy.home, ignore_errors=True)
        if self.small:
            subprocess.run(["umount", "-l", self.disk], check=False)
        super().remove()


class Found(Newsletter):
    """The newsletter that populate() made."""

    def __init__(self, cluster, database):   # pylint: disable=super-init-not-called
        self.database = database
        self.reconnect(cluster)
        [(self.list, self.edition, self.feed)] = self.rows(
            "SELECT l.id, e.id, f.feed FROM list l JOIN edition e ON e.list = l.id AND e.is_default"
            " JOIN list_feed f ON f.list = l.id")


def populate(cluster, database, readers):
    """Makes the list, an edition beside its own one, and readers in all zones and at all providers."""
    news = Newsletter(cluster, database)
    news.run("INSERT INTO edition (list, name, schedule, starts) VALUES (%s, 'other', 'manual', '2020-01-01')", news.list)
    news.run(
        """SELECT subscription_put(%s, p.id, 'import', NULL, 'active', (%s::text[])[1 + i %% 3], NULL, '{}', now())
           FROM generate_series(1, %s::int) i,
           LATERAL (SELECT 'reader' || i || '@' || (%s::text[])[1 + i %% 4] e, (%s::text[])[1 + i %% 4] d) x,
           LATERAL (SELECT subscriber_put(e, e, d, 'Reader ' || i, '{}', '', now()) AS id) p ORDER BY i""",
        news.list, ZONES, readers, DOMAINS, DOMAINS)
    news.run("ANALYZE")
    news.close()


class World:
    def __init__(self, build, place, readers, engines, policy, real):
        self.place, self.database, self.policy, self.real = place, place.database, policy, real
        self.build = build
        self.limits = LIMITS["real" if real else "scaled"]
        self.home = tempfile.mkdtemp(prefix="digestd-chaos-", dir="/tmp")
        self.clock = os.path.join(self.home, "clock")
        self.set_clock(0)
        self.clock_stepped = False
        self.smtpd = Server(truth=os.path.join(self.home, "truth")).start()
        self.ctl = Ctl(build, self.cluster, self.database, self.home)
        self.news = Found(self.cluster, self.database)
        self.news.run("UPDATE list SET doubt = %s", policy)
        self.other = self.news.value("SELECT id FROM edition WHERE name = 'other'")
        # Of the readers; the first is reader 1.
        self.ids = [row[0] for row in self.news.rows("SELECT id FROM subscriber ORDER BY id")]
        self.hosts = [Host(n, os.path.join(build, "faults"), place, self.smtpd.port,
                           RETRY + (REAL if real else SCALED), self.clock) for n in range(engines)]
        command = [os.path.join(build, "faults", "digestd"), "--list-fault-points"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True).stdout as listed:
            self.points = [line.split("\t")[1].strip() for line in listed]
        self.pace(readers, engines)

        self.takeover = self.value("SELECT to_regprocedure('engine_orphan(int, int, text, timestamptz)') IS NOT NULL")
        self.began = time.monotonic()
        self.steps, self.step_count = [], 0
        self.issues = []
        self.opening = None
        self.database_away = False
        self.root = None
        self.lagging = False     # what is committed now is going to be lost
        self.joins = []          # transactions that take their time
        self.ticked = self.began

        # What the judge wants to know.
        self.failed = []         # (engine, exit status) of those that ended by themselves
        self.doubtful = []       # the SMTP server's rules by which a mail may be in doubt each time
        self.unsubscribed = {}   # reader: when the last unsubscribe was done (and not undone)
        self.pauses = []         # (issue, from, to)
        self.longest_stop = 0.0
        self.hits = collections.Counter()
        self.letters = []
        self.settled = 0

    # ---- time ------------------------------------------------------------------------------------

    def now(self):
        return time.monotonic() - self.began

    def at(self, moment, do, *arguments):
        """Does something at a moment of the round, in seconds."""
        self.step_count += 1
        heapq.heappush(self.steps, (moment, self.step_count, do, arguments))

    def after(self, seconds, do, *arguments):
        self.at(self.now() + seconds, do, *arguments)

    def tick(self):
        """Does what is due, and what an init system does: starts again what has ended."""
        until = self.now() + 0.1   # then the engines are looked after, however much is to be done
        while self.steps and self.steps[0][0] <= self.now() < until:
            _, _, do, arguments = heapq.heappop(self.steps)
            try:
                do(*arguments)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self.after(0.3, do, *arguments)   # the database is away
        for host in self.hosts:
            self.look_after(host)
        # When nothing gets a turn for so long, answers are late to each of them.
        now = time.monotonic()
        if now - self.ticked > self.limits.dot - 1:
            for host in self.hosts:
                self.allow(host, CONNECTIONS)
        self.ticked = now
        time.sleep(0.02)

    def look_after(self, host):
        now = self.now()
        if host.lives():
            if host.stands_still():
                if host.stopped_at is None and host.wake_at is None:
                    self.note_hit(host)
                host.stopped_at = host.stopped_at or now
                if now >= (host.wake_at or host.stopped_at + 1):
                    host.wake_at = None
                    stood = now - host.stopped_at
                    self.longest_stop = max(self.longest_stop, stood)
                    if stood > self.limits.dot - 0.5:
                        self.allow(host, CONNECTIONS)   # answers whose time is over when it wakes up
                    host.stopped_at = None
                    host.signal(signal.SIGCONT)
            return
        if host.process is None or not host.wanted:
            return
        if host.died_at is None:
            self.note_death(host)
        if host.again_at <= now:
            # Away for so long, the others may have closed its windows.
            if now - host.died_at > self.limits.orphan - 1 and not self.allow_orphans(host):
                return
            host.died_at = None
            host.start()

    def note_death(self, host):
        host.died_at = self.now()
        host.know_identity()
        status = host.process.returncode
        if status < 0:
            self.allow(host, CONNECTIONS)
        if status == -9:
            self.note_hit(host)
        elif status != 0 and not (status == 1 and "No space left" in host.log()[-2000:]):
            self.failed.append((host.number, status))

    def allow_orphans(self, host):
        """False while the database is away."""
        try:
            self.allow(host, self.unsettled(host))
            return True
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            return False

    def unsettled(self, host):
        """Members of an engine's windows that nothing is recorded of, or that others recorded as in doubt."""
        return self.value(
            """SELECT count(*) FROM send_window w JOIN engine e ON e.id = w.engine, unnest(coalesce(w.members, w.doubted)) m
               WHERE e.uuid = %s::uuid AND (w.doubted IS NOT NULL OR w.settled_at IS NULL AND NOT EXISTS (
                   SELECT 1 FROM delivery d WHERE d.issue = w.issue AND d.subscriber = m))""", host.know_identity())

    def note_hit(self, host):
        fault = host.env.get("DIGESTD_FAULT")
        if fault and f"fault point {fault.partition(':')[0]}:" in host.log():
            self.hits[fault.partition(":")[0]] += 1

    @staticmethod
    def allow(host, doubts):
        host.doubts_allowed += doubts

    def allowed(self, host):
        """So many doubts are explained by what happened to it, and to its connections."""
        return host.doubts_allowed + sum(rule.held_for[host.hello] for rule in self.doubtful)

    # ---- the clock and the wire ------------------------------------------------------------------

    def set_clock(self, offset):
        with open(self.clock + ".new", "w", encoding="ascii") as file:
            file.write(f"{offset}\n")
        os.rename(self.clock + ".new", self.clock)

    def pace(self, readers, engines, seconds=6.0):
        """So slow that the issue lasts as long as the storm."""
        delay = min(0.4, seconds * engines * CONNECTIONS / max(readers, 1))
        self.smtpd.rules = [Rule({"stage": "dot", "delay": delay})]

    def rule(self, doubt=False, **spec):
        rule = Rule(spec)
        if doubt:
            self.doubtful.append(rule)
        self.smtpd.rules = [rule, *self.smtpd.rules]
        return rule

    # ---- readers and issues ----------------------------------------------------------------------

    def subscription(self, reader, kind, edition=None, status=None, zone=None, db=None):
        sql = "SELECT subscription_put(%s, %s, %s, %s, %s, %s, NULL, '{}', now())"
        values = (self.news.list, reader, kind, edition, status, zone)
        if db is None:
            self.ask(sql, *values)
        else:
            with db.cursor() as cursor:
                cursor.execute(sql, values)

    @property
    def cluster(self):
        return self.place.primary

    def go_to_primary(self):
        """Readers and operators do; a transaction of a reader's that has taken its time until now fails."""
        for db in [*self.joins, self.root]:
            if db:
                db.close()
        self.root = None
        self.news.reconnect(self.cluster)
        self.ctl = Ctl(self.build, self.cluster, self.database, self.home)

    def connect(self):
        connection = psycopg2.connect(self.cluster.dsn(database=self.database))
        connection.autocommit = True
        return connection

    @contextlib.contextmanager
    def transaction(self):
        """One of the superuser's, over a connection that is kept as long as it lives."""
        if self.root is None:
            self.root = self.connect()
            self.root.autocommit = False
        try:
            with self.root:
                yield self.root
        except psycopg2.Error:
            self.root.close()
            self.root = None
            raise

    def ask(self, sql, *values):
        """As the superuser; on a connection that is made anew when the database was away."""
        try:
            return self.news.rows(sql, *values)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self.news.reconnect(self.cluster)
            return self.news.rows(sql, *values)

    def value(self, sql, *values):
        rows = self.ask(sql, *values)
        return rows[0][0] if rows else None

    def open_issue(self):
        """digestctl opens it; nobody else writes meanwhile but who began before."""
        self.ask("SELECT 1")
        self.news.article()
        self.opening = subprocess.Popen(
            [self.ctl.program, "--json", "issue", "open", "news/hand", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "DIGESTD_CONFIG": self.ctl.config})
        while self.opening.poll() is None:
            self.tick()
        out, err = self.opening.communicate()
        failed, self.opening = self.opening.returncode, None
        if failed:
            raise RuntimeError("the issue can't be opened: " + err)
        self.issues.append(json.loads(out)["issue"])
        return self.issues[-1]

    def close(self):
        for host in self.hosts:
            host.remove()
        for db in self.root, self.news.db:
            if db:
                db.close()
        self.smtpd.stop()
        shutil.rmtree(self.home, ignore_errors=True)
