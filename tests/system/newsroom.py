"""A list with readers and articles in a test's own database, and an engine played by hand.

The engine's part is done by the functions that the real one calls, so what digestctl shows is what
it would show of a real one.
"""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import uuid

import psycopg2

from waiting import PATIENCE

CONFIG = """
database = {{
	operator = "{dsn}";
}};
relays = (
	{{ name = "local"; host = "127.0.0.1"; port = {port}; tls = "none"; }}
);
"""


class Newsroom:
    """Names are fixed: the list is `news`, its edition `news/post` (manual), its feed `desk`."""

    def __init__(self, build, cluster, database, directory, port=2525):
        self.program = os.path.join(build, "digestctl")
        self.config = os.path.join(directory, "digestd.conf")
        self.dsn = cluster.dsn("digestd_operator", database)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(dsn=self.dsn, port=port))
        self.connection = psycopg2.connect(cluster.dsn(database=database))
        self.connection.autocommit = True
        self.window = 0

    def close(self):
        self.connection.close()

    def ask(self, sql, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def one(self, sql, *values):
        return self.ask(sql, *values)[0][0]

    # ---- what there is -------------------------------------------------------------------------

    def make(self, readers=5, articles=2, base_url="https://news.example", postal="1 Main St"):
        self.list = self.one(
            "INSERT INTO list (name, title, from_addr, return_path, base_url, postal_address)"
            " VALUES ('news', 'The News', 'editor@news.example', 'bounces@news.example', %s, %s)"
            " RETURNING id", base_url, postal)
        self.edition = self.one(
            "INSERT INTO edition (list, name, schedule, starts, is_default)"
            " VALUES (%s, 'post', 'manual', '-infinity', true) RETURNING id", self.list)
        self.feed = self.one("INSERT INTO feed (name) VALUES ('desk') RETURNING id")
        self.ask("INSERT INTO list_feed VALUES (%s, %s)", self.list, self.feed)
        self.ask("INSERT INTO link_key (id, secret) VALUES (1, gen_random_bytes(32))"
                 " ON CONFLICT DO NOTHING")
        for number in range(1, articles + 1):
            self.article(f"Story {number}")
        for number in range(1, readers + 1):
            self.reader(f"r{number}@one.example")
        return self

    def article(self, title, url=None, body="<p>Words.</p>", backlog=False):
        return self.one(
            "INSERT INTO article (feed, guid, url, title, summary, body_html, body_text,"
            " published_at, seen_at, backlog, text_hash) VALUES (%s, %s, %s, %s, 'In short.', %s,"
            " 'Words.', now() - interval '1 hour', now(), %s, '') RETURNING id", self.feed,
            str(uuid.uuid4()), url or "https://news.example/story", title, body, backlog)

    def reader(self, email, kind="import", status="active", detail=None):
        number = self.one("SELECT subscriber_put(%s, %s, %s, '', '{}', '', now())", email, email,
                          email.split("@")[1])
        self.ask("SELECT subscription_put(%s, %s, %s, NULL, %s, NULL, NULL, %s, now())", self.list,
                 number, kind, status, json.dumps(detail or {"way": "file readers.csv"}))
        return number

    # ---- the engine's part ---------------------------------------------------------------------

    def engine(self, host="mail1"):
        self.session = self.one(
            "SELECT session FROM session_start(gen_random_uuid(), %s, 'machine',"
            " gen_random_uuid(), 'boot', '1', now())", host)
        self.relay = self.one("INSERT INTO relay (name) VALUES ('local') ON CONFLICT (name)"
                              " DO UPDATE SET name = excluded.name RETURNING id")
        return self.session

    def take(self, kind="fresh", limit=1000):
        """Takes a window: its number and the readers in it."""
        self.window += 1
        rows = self.ask(f"SELECT (w.reader).subscriber FROM window_take_{kind}(%s, %s, %s, '{{}}',"
                        " now()) w", self.session, self.window, limit)
        return self.window, sorted(row[0] for row in rows if row[0] is not None)

    def deliver(self, issue, n, readers, outcome="delivered", attempt=1, **more):
        rows = [{"issue": issue, "subscriber": reader, "at": "now", "session": self.session,
                 "n": n, "variant": 1, "address_no": 1, "outcome": outcome, "attempt": attempt,
                 "relay": self.relay, **more} for reader in readers]
        assert self.one("SELECT rows_put('outcome', %s, now())", json.dumps(rows)) == 0

    def put_off(self, issue, n, readers, cause="mailbox full", reply="full", due="1 h"):
        for reader in readers:
            attempt = {"issue": issue, "subscriber": reader, "at": "now", "session": self.session,
                       "n": n, "attempt": 1, "relay": self.relay, "code": 452,
                       "enhanced": "4.2.2", "cause": cause, "reply": reply}
            assert self.one("SELECT rows_put('attempt', %s, now())", json.dumps([attempt])) == 0
            self.ask("SELECT deferral_put(jsonb_build_array(jsonb_build_object('issue', %s,"
                     " 'subscriber', %s, 'provider', 'other', 'due_at', now() + %s::interval,"
                     " 'tries', 1, 'doubts', 0, 'first_at', now(), 'variant', 1, 'relay', %s,"
                     " 'code', 452, 'enhanced', '4.2.2', 'cause', %s::text, 'reply', %s::text)))",
                     issue, reader, due, self.relay, cause, reply)

    def settle(self, n, delivered=0, refused=0, expired=0, skipped=0, in_doubt=0, deferred=0):
        self.ask("SELECT window_settle(%s, %s, %s, %s, %s, %s, %s, %s, now())", self.session, n,
                 delivered, refused, expired, skipped, in_doubt, deferred)

    def send_all(self, issue):
        """Delivers all that is left of an issue, and ends it."""
        while True:
            n, readers = self.take()
            if readers:
                self.deliver(issue, n, readers, queue_id="4Xq")
                self.settle(n, delivered=len(readers))
            elif self.one("SELECT NOT EXISTS (SELECT 1 FROM lane WHERE issue = %s AND NOT eaten)",
                          issue):
                break
        self.take("sweep")

    # ---- the operator's part -------------------------------------------------------------------

    def ctl(self, *words, status=0, stdin=None, env=None):
        """Runs digestctl; returns what it wrote to standard output."""
        done = subprocess.run([self.program, "--config", self.config, *map(str, words)],
                              capture_output=True, text=True, timeout=PATIENCE, input=stdin or "",
                              env={**os.environ, "TZ": "UTC", **(env or {})})
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        self.errors = done.stderr
        return done.stdout

    def on_terminal(self, *words, columns=80):
        """What digestctl shows on a terminal of so many columns."""
        terminal, program = pty.openpty()
        fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        with subprocess.Popen([self.program, "--config", self.config, *map(str, words)], stdout=program,
                              stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
            os.close(program)
            seen = b""
            try:
                while part := os.read(terminal, 4096):
                    seen += part
            except OSError:
                pass  # the program has closed its end
            process.wait(timeout=PATIENCE)
        os.close(terminal)
        return seen.decode().replace("\r\n", "\n")

    def json(self, *words, status=0):
        return json.loads(self.ctl(*words, "--json", status=status))

    def open(self, *words):
        return self.json("issue", "open", "news/post", "--yes", *words)["issue"]
