"""digestweb under test: started with a configuration of its own, what tests ask it by, and the
database behind it (Store).

    with Web(build, dsn, tmp_path) as web:
        answer = web.get("/l/news")          # .status, .headers, .text
        web.post("/l/news", {"email": "a@b.example"})
"""

import base64
import hashlib
import hmac
import http.client
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import urllib.parse

import psycopg2

from waiting import PATIENCE, wait_until

FORM = "application/x-www-form-urlencoded"
KEY_ID = 7
KEY = b"0123456789abcdef0123456789abcdef"


def token(purpose, list_id, subscriber, gen=0, expires=0, key=KEY, key_id=KEY_ID):
    """A link's token by the layout of daemon/mail/token.h. `expires` is in seconds since 1970."""
    claim = struct.pack(">BcIQII", key_id, purpose.encode(), list_id, subscriber, gen,
                        (int(expires) + 59) // 60)
    mac = hmac.new(key, claim, hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(claim + mac).rstrip(b"=").decode()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()


class Connection(http.client.HTTPConnection):
    """To a port, or to a unix socket."""

    def __init__(self, where, timeout=PATIENCE):
        super().__init__("digestweb.example", timeout=timeout)
        self.where = where

    def connect(self):
        if self.where.startswith("unix:"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.where[5:])
        else:
            host, port = self.where.rsplit(":", 1)
            self.sock = socket.create_connection((host, int(port)), self.timeout)


class Web:
    def __init__(self, build, dsn, home, listen="127.0.0.1:0", sockets=(), settings="", top="",
                 wrapper=(), env=None):
        self.home = pathlib.Path(home)
        self.log = self.home / "web.log"
        self.config = self.home / "web.conf"
        self.build, self.dsn, self.listen, self.sockets = build, dsn, listen, sockets
        self.wrapper = wrapper
        self.env = env or {}
        self.where = None
        self.process = None
        self.configure(settings, top)

    def configure(self, settings="", top=""):
        self.config.write_text(f'{top}\ndatabase = {{ web = "{self.dsn}"; }};\n'
                               f'web = {{ listen = "{self.listen}"; {settings} }};\n')

    def start(self, wait=True):
        command = [os.path.join(self.build, "digestweb"), "--config", str(self.config)]
        env = {**os.environ, **self.env}
        env.pop("NOTIFY_SOCKET", None)
        env.update(self.env)
        if self.sockets:  # as systemd passes them on, sd_listen_fds(3)
            passed = self.sockets[0].fileno()
            command = ["bash", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&%d' % passed, "-",
                       *command]
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=env, pass_fds=[s.fileno() for s in self.sockets])
        if wait:
            self.where = self.wait_for(r"serving on (\S+)")
            self.wait_for("database: (connected) to")  # before that, a page may be unavailable
        return self

    def wait_for(self, pattern):
        def found():
            assert re.search(pattern, self.said()) or self.process.poll() is None, self.said()
            return re.search(pattern, self.said())
        wait_until(found)
        return found().group(found().re.groups)

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return self.process.returncode if self.process else None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        status = self.stop()
        assert status == 0, f"digestweb ended with {status}:\n{self.said()}"

    def connect(self, timeout=PATIENCE):
        return Connection(self.where, timeout)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=named(headers))

    def post(self, path, fields=None, **headers):
        body = urllib.parse.urlencode(fields or {})
        return self.ask("POST", path, body, {"Content-Type": FORM, **named(headers)})

    def raw(self, data, seconds=PATIENCE):
        """What it sends for these bytes until it closes the connection."""
        connection = self.connect(seconds)
        connection.connect()
        with connection.sock as sock:
            sock.sendall(data)
            answer = b""
            try:
                while part := sock.recv(65536):
                    answer += part
            except ConnectionResetError:
                pass
            return answer


def named(headers):
    """accept_language="de" is the header Accept-Language."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Store:
    """The database behind the pages, seen by its owner."""

    def __init__(self, cluster, name):
        self.connection = psycopg2.connect(cluster.dsn(database=name))
        self.connection.autocommit = True
        self.dsn = cluster.dsn("digestd_web", name)
        self.run("INSERT INTO link_key (id, secret) VALUES (%s, %s)", KEY_ID, KEY)
        self.list = self.run(
            """INSERT INTO list (name, title, description, from_addr, return_path, base_url, lang)
            VALUES ('news', 'The <Harbour> & News', 'Ferries and bees', 'n@h.example', 'b@h.example',
                'https://h.example', 'en') RETURNING id""")[0][0]
        self.run("""INSERT INTO edition (list, name, schedule, starts, is_default)
            VALUES (%s, 'daily', 'daily 07:00', now(), true),
                (%s, 'weekly', 'weekly mon 08:00', now(), false)""", self.list, self.list)

    def run(self, statement, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else None

    def reader(self, address="ada@example.org", status="active", lang="", gen=1):
        number = self.run("SELECT subscriber_put(%s, %s, 'example.org', 'Ada', '{}', %s, now())",
                          address, address, lang)[0][0]
        self.run("SELECT subscription_put(%s, %s, 'join', NULL, %s, NULL, NULL, '{}', now())",
                 self.list, number, status)
        self.run("UPDATE subscription SET token_gen = %s WHERE subscriber = %s", gen, number)
        return number

    def status(self, number):
        found = self.run("SELECT status::text FROM subscription WHERE subscriber = %s", number)
        return found[0][0] if found else None

    def everything(self):
        """All that a request could change, to be compared."""
        tables = [name for (name,) in self.run(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        return {t: sorted(row for (row,) in self.run(f'SELECT whole::text FROM "{t}" AS whole'))
                for t in tables}
