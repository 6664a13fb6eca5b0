"""A database with the schema, and shorthand for questions to it: what the tests of the queue's SQL
stand on. Everything happens at moments that the test names."""

import psycopg2
import psycopg2.extras

NOON = "2026-11-24 12:00:00+00"
THEME = '{"templates": {}, "text": {}}'


class Queue:
    """A list `news` with the editions `daily` (its default) and `hand`, and a source."""

    def __init__(self, cluster, database):
        self.cluster, self.database = cluster, database
        self.db = self.connect()
        self.list = self.value(
            "INSERT INTO list (name, title, from_addr, return_path, base_url) VALUES ('news',"
            " 'News', 'n@n.example', 'b@n.example', 'https://n.example') RETURNING id")
        self.daily = self.edition("daily", "daily 07:00", is_default=True)
        self.hand = self.edition("hand", "manual")
        self.feed = self.value("INSERT INTO feed (name) VALUES ('source') RETURNING id")
        self.run("INSERT INTO list_feed VALUES (%s, %s)", self.list, self.feed)
        self.made = 0

    def connect(self, role="postgres", autocommit=True):
        connection = psycopg2.connect(self.cluster.dsn(role, self.database))
        connection.autocommit = autocommit
        return connection

    def rows(self, sql, *params, db=None):
        with (db or self.db).cursor() as cursor:
            cursor.execute(sql, params or None)
            return cursor.fetchall() if cursor.description else []

    def run(self, sql, *params, db=None):
        self.rows(sql, *params, db=db)

    def value(self, sql, *params, db=None):
        rows = self.rows(sql, *params, db=db)
        return rows[0][0] if rows else None

    def edition(self, name, schedule, zone_of="list", is_default=False, starts="2020-01-01",
                list_id=None):
        return self.value("INSERT INTO edition (list, name, schedule, zone_of, is_default, starts)"
                          " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                          list_id or self.list, name, schedule, zone_of, is_default, starts)

    def subscriber(self, email=None, now=NOON):
        self.made += 1
        email = email or f"reader{self.made}@a.example"
        return self.value("SELECT subscriber_put(%s, lower(%s), %s, '', '{}', '', %s)", email, email,
                          email.split("@")[1], now)

    def put(self, subscriber, kind, edition=None, status=None, zone=None, topics=None, now=NOON,
            db=None):
        return self.value("SELECT subscription_put(%s, %s, %s, %s, %s, %s, %s, '{}', %s)", self.list,
                          subscriber, kind, edition, status, zone, topics, now, db=db)

    def reader(self, email=None, edition=None, zone=None, topics=None, now=NOON):
        subscriber = self.subscriber(email, now)
        self.put(subscriber, "join", edition or self.hand, "active", zone, topics, now)
        return subscriber

    def stamps(self, subscriber):
        return self.rows("SELECT joined_gen, placed_gen FROM subscription WHERE subscriber = %s",
                         subscriber)[0]

    def article(self, topics=(), seen=NOON):
        return self.value(
            "INSERT INTO article (feed, guid, title, published_at, seen_at, topics, text_hash)"
            " VALUES (%s, gen_random_uuid()::text, 'One', %s, %s, %s, '\\x00') RETURNING id",
            self.feed, seen, seen, list(topics))

    def open(self, edition=None, occurrence=None, topics=(), now=NOON, db=None):
        self.article(topics, now)
        return self.value("SELECT issue_open(%s, coalesce(%s, gen_random_uuid()::text), NULL, NULL,"
                          " %s, %s)", edition or self.hand, occurrence, THEME, now, db=db)

    def session(self, now=NOON, machine="m", engine=None):
        """A new engine's session, or the next of one by its uuid."""
        return self.value("SELECT session FROM session_start(coalesce(%s::uuid, gen_random_uuid()),"
                          " 'host', %s, gen_random_uuid(), 'boot', '1', %s)", engine, machine, now)

    def take(self, kind, session, n, limit=1000, busy=(), now=NOON, db=None):
        """Who was taken; None when there was nothing, [] when a lane was eaten and nobody found."""
        rows = self.rows(
            f"SELECT (w.reader).subscriber FROM window_take_{kind}(%s, %s, %s, %s::text[], %s) w",
            session, n, limit, list(busy), now, db=db)
        return sorted(row[0] for row in rows if row[0] is not None) if rows else None

    def settle(self, session, n, now=NOON, **counts):
        names = ("delivered", "refused", "expired", "skipped", "in_doubt", "deferred")
        return self.value("SELECT window_settle(%s, %s, %s, %s, %s, %s, %s, %s, %s)", session, n,
                          *(counts.get(name, 0) for name in names), now)

    def deliver(self, issue, session, n, *subscribers, outcome="delivered"):
        for subscriber in subscribers:
            self.run("INSERT INTO delivery (issue, subscriber, at, session, n, variant, address_no,"
                     " outcome, attempt) VALUES (%s, %s, %s, %s, %s, 1, 1, %s, 1)",
                     issue, subscriber, NOON, session, n, outcome)

    def state(self, issue):
        return self.value("SELECT state FROM issue WHERE id = %s", issue)

    def close(self):
        self.db.close()


def json(value):
    return psycopg2.extras.Json(value)
