"""A running digestd for tests: its configuration, its process, and a list to send.

    engine = Engine(build, cluster, database, relays=[{"port": smtpd.port}])
    news = Newsletter(cluster, database, readers=100)
    with engine:
        issue = news.open()
        engine.wait_for(lambda: news.state(issue) == "done")

$DIGESTD_WRAPPER goes before each digestd: "valgrind -q --error-exitcode=99 --leak-check=full".
"""

import collections
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

from waiting import PATIENCE

FAST_RETRY = 'retry = { backoff = { first = "200 ms"; factor = 2; cap = "2 s"; }; ' \
             'breaker = { first = "200 ms"; factor = 2; cap = "1 s"; }; };'


def value_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else json.dumps(value)


def group_text(settings):
    return "{ " + " ".join(f"{key} = {value_text(value)};" for key, value in settings.items()) + " }"


class Engine:
    """One state directory; started and ended any number of times."""

    def __init__(self, build, cluster, database, relays, extra="", name="engine", env=None):
        self.program = os.path.join(build, "digestd")
        self.home = tempfile.mkdtemp(prefix="digestd-test-")
        self.config = os.path.join(self.home, "digestd.conf")
        self.log_path = os.path.join(self.home, "log")
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.dsn = cluster.dsn("digestd_engine", database)
        self.listen = None  # the way around a pooler
        self.state = os.path.join(self.home, "state")
        self.extra = extra
        self.configure(relays, extra)

    def configure(self, relays, extra=""):
        """Writes the configuration; a SIGHUP makes a running engine read it again."""
        relays = [{"name": f"relay{n}", "host": "127.0.0.1", "tls": "none", "connections": 5,
                   "ehlo": "client.example", **relay} for n, relay in enumerate(relays)]
        around = f" listen = {json.dumps(self.listen)}; pooler = true;" if self.listen else ""
        with open(self.config, "w", encoding="utf-8") as config:
            config.write(f"state_dir = {json.dumps(self.state)};\n"
                         f"log_level = \"debug\";\n"
                         f"database = {{ engine = {json.dumps(self.dsn)};{around} }};\n"
                         f"relays = ( {', '.join(group_text(relay) for relay in relays)} );\n"
                         + (extra if "retry" in extra else FAST_RETRY + extra) + "\n")

    def start(self):
        wrapper = shlex.split(os.environ.get("DIGESTD_WRAPPER", ""))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*wrapper, self.program, "--config", self.config],
                                            stderr=log, env=self.env)
        return self

    def wait_end(self, seconds=PATIENCE):
        """Waits until it ends by itself; returns the exit status."""
        return self.process.wait(timeout=seconds)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """As a power button for the process: nothing is said."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=PATIENCE):
        """In order; the exit status has to be 0."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=seconds)
        assert status == 0, self.log()

    def wait_for(self, condition, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, "digestd has ended:\n" + self.log()
            assert time.monotonic() < end, "it didn't come true:\n" + self.log()[-8000:]
            time.sleep(0.05)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.kill()

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


def through_pooler(engine, smtpd, pooler, direct, extra=""):
    """Everything goes by the connection string of a pooler, only LISTEN goes around it."""
    engine.dsn, engine.listen = pooler, direct
    engine.configure([{"port": smtpd.port}], extra)


class Newsletter:
    """A list with one manual edition, readers and an article; and questions about what became."""

    def __init__(self, cluster, database, readers=0, name="news", **columns):
        self.database = database
        self.reconnect(cluster)
        columns = {"name": name, "title": "The Harbour News", "from_addr": "news@news.example",
                   "return_path": "bounces@news.example", "base_url": "https://news.example",
                   **columns}
        self.list = self.value(
            f"INSERT INTO list ({', '.join(columns)}) VALUES "
            f"({', '.join(['%s'] * len(columns))}) RETURNING id", *columns.values())
        self.edition = self.value(
            "INSERT INTO edition (list, name, schedule, starts, is_default)"
            " VALUES (%s, 'hand', 'manual', '2020-01-01', true) RETURNING id", self.list)
        self.feed = self.value("INSERT INTO feed (name) VALUES (%s) RETURNING id", name + "-hand")
        self.run("INSERT INTO list_feed (list, feed) VALUES (%s, %s)", self.list, self.feed)
        self.count = 0
        self.read_by(readers)

    def reconnect(self, cluster):
        self.db = psycopg2.connect(cluster.dsn("digestd_operator", self.database))
        self.db.autocommit = True

    def rows(self, sql, *params):
        with self.db.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def run(self, sql, *params):
        self.rows(sql, *params)

    def value(self, sql, *params):
        rows = self.rows(sql, *params)
        return rows[0][0] if rows else None

    def read_by(self, readers, domain="a.example"):
        """Adds that many active readers: reader1@..., reader2@..."""
        self.run("""SELECT subscription_put(%s, subscriber_put(e, e, %s, 'Reader ' || i, '{}', '', now()),
                    'import', NULL, 'active', NULL, NULL, '{}', now())
                    FROM generate_series(%s::int, %s::int) i, LATERAL (SELECT 'reader' || i || '@' || %s) x (e)""",
                 self.list, domain, self.count + 1, self.count + readers, domain)
        self.count += readers

    def article(self, title="News from the harbour", topics=()):
        return self.value(
            """INSERT INTO article (feed, guid, url, title, summary, body_html, body_text,
               published_at, seen_at, topics, text_hash) VALUES (%s, gen_random_uuid()::text,
               'https://site.example/a', %s, 'A summary.', '<p>Text.</p>', 'Text.', now(), now(), %s, '\\x00')
               RETURNING id""", self.feed, title, list(topics))

    def open(self, theme=None, occurrence=None, **article):
        """Opens an issue of one new article; returns its id."""
        if article is not None:
            self.article(**article)
        theme = theme or {
            "templates": {"html": "<html><body><h1>{{lead.title}}</h1><p>Dear {{reader.name}}</p>"
                                  "<a href=\"{{links.unsubscribe}}\">leave</a></body></html>",
                          "text": "{{lead.title}}\nDear {{reader.name}}\n{{links.unsubscribe}}\n",
                          "partials": {}},
            "text": json.load(open(os.path.join(os.path.dirname(__file__), "..", "..", "templates",
                                                "locale", "en.json"), encoding="utf-8"))}
        return self.value("SELECT issue_open(%s, coalesce(%s, gen_random_uuid()::text), NULL, NULL, %s, now())",
                          self.edition, occurrence, json.dumps(theme))

    def state(self, issue):
        return self.value("SELECT state FROM issue WHERE id = %s", issue)

    def outcomes(self, issue):
        return dict(self.rows("SELECT outcome::text, count(*) FROM delivery WHERE issue = %s GROUP BY 1", issue))

    def counts(self, issue):
        """The sums of the windows' counts: what an issue's numbers are made of."""
        return self.rows("""SELECT sum(delivered), sum(refused), sum(expired), sum(skipped), sum(in_doubt),
                            sum(deferred) FROM send_window WHERE issue = %s""", issue)[0]

    def close(self):
        self.db.close()


def accepted(smtpd):
    """How often each reader's mail was accepted."""
    return collections.Counter(message["rcpt"][0] for message in smtpd.accepted)


def each_once(smtpd, readers):
    assert accepted(smtpd) == {f"reader{i}@a.example": 1 for i in range(1, readers + 1)}
