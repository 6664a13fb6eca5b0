"""A real Postfix as relay: STARTTLS and AUTH required, what it takes lies in a Maildir.

An instance of its own, in a directory of its own, on a port of its own; the system's stays alone.
"""

import base64
import email
import email.policy
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from ports import reserved_port
from smtpd import make_certificate
from waiting import PATIENCE

pytestmark = [
    pytest.mark.skipif(not shutil.which("postfix"), reason="Postfix isn't installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix is only started by root"),
]

SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
proxymap  unix  - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
"""


class Logins:
    """Who may log in: answers Postfix as Dovecot does (its authentication protocol, version 1.1)."""

    def __init__(self, path, user="digestd", password="secret"):
        self.good = f"\0{user}\0{password}".encode()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rw", newline="\n") as lines:
            lines.write("VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t" + "0" * 32 + "\nDONE\n")
            lines.flush()
            for line in lines:
                word, number, *given = line.rstrip("\n").split("\t")
                if word not in ("AUTH", "CONT"):
                    continue
                response = given[0] if word == "CONT" else next(
                    (item[5:] for item in given if item.startswith("resp=")), None)
                if response is None:
                    answer = f"CONT\t{number}\t\n"
                else:
                    good = base64.b64decode(response) == self.good
                    answer = f"{'OK' if good else 'FAIL'}\t{number}\tuser=digestd\n"
                lines.write(answer)
                lines.flush()

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Postfix:
    def __init__(self, port):
        self.port = port
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="digestd-postfix-", dir="/tmp"))
        self.home.chmod(0o755)
        self.config, self.mail = self.home / "etc", self.home / "mail"
        self.log = self.home / "maillog"
        for part in ("etc", "queue", "data", "mail"):
            (self.home / part).mkdir()
        postfix, nobody = pwd.getpwnam("postfix"), pwd.getpwnam("nobody")
        os.chown(self.home / "data", postfix.pw_uid, postfix.pw_gid)
        os.chown(self.mail, nobody.pw_uid, nobody.pw_gid)
        self.ca, certificate, key = make_certificate(self.home, "127.0.0.1")
        (self.config / "master.cf").write_text(SERVICES.format(port=self.port))
        (self.config / "main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {self.home}/queue
data_directory = {self.home}/data
maillog_file = {self.log}
maillog_file_prefixes = {self.home}
myhostname = relay.example
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_transport = error
virtual_mailbox_domains = a.example
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = static:all/
virtual_minimum_uid = 1
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {self.home}/auth
smtpd_relay_restrictions = reject_unauth_pipelining, permit_sasl_authenticated, reject
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_error_sleep_time = 0
""")
        self.logins = Logins(str(self.home / "auth"))

    def run(self, word):
        return subprocess.run(["postfix", "-c", str(self.config), word], capture_output=True, text=True,
                              check=False, timeout=PATIENCE)

    def __enter__(self):
        done = self.run("start")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise RuntimeError(f"Postfix doesn't start: {done.stdout}{done.stderr}")

    def __exit__(self, *_):
        self.run("stop")
        self.logins.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def mails(self):
        box = self.mail / "all" / "new"
        return [path.read_bytes() for path in box.iterdir()] if box.exists() else []

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@pytest.fixture
def world(make, tmp_path):
    """An engine whose relay is that Postfix, and an instant edition in the theme "magazine"."""
    with reserved_port() as port, Postfix(port) as postfix:
        password = tmp_path / "password"
        password.write_text("secret\n")
        password.chmod(0o600)
        relay = {"port": postfix.port, "tls": "required", "ca_file": postfix.ca, "user": "digestd",
                 "password_file": str(password)}
        engine, news, _ = make(readers=40, theme="magazine", relays=[relay])
        news.run("UPDATE edition SET schedule = 'instant'")
        news.article("Mussels return to the harbour")
        yield engine, news, postfix, relay, password


def is_done(news):
    return news.value("SELECT state FROM issue") == "done"


def test_postfix_takes_a_digest_over_starttls_with_auth(world):
    engine, news, postfix, _, _ = world
    with engine:
        engine.wait_for(lambda: is_done(news))
        engine.wait_for(lambda: len(postfix.mails()) == 40)
        engine.wait_for(lambda: "sasl_method=PLAIN" in postfix.said())
    assert news.value("SELECT count(*) FROM delivery WHERE outcome = 'delivered' AND queue_id <> ''") == 40
    assert "improper command pipelining" not in postfix.said()
    readers = set()
    for mail in postfix.mails():
        message = email.message_from_bytes(mail, policy=email.policy.default)
        assert not message.defects and not any(part.defects for part in message.walk())
        assert "ESMTPSA" in message["Received"] and message["Delivered-To"] == message["To"].addresses[0].addr_spec
        assert "Mussels return to the harbour" in message.get_body(("html",)).get_content()
        readers.add(message["Delivered-To"])
    assert len(readers) == 40


def test_a_wrong_password_opens_the_breaker_and_costs_no_reader_a_try(world):
    engine, news, postfix, _, password = world
    password.write_text("wrong\n")
    with engine:
        engine.wait_for(lambda: news.value("SELECT failures > 1 AND open_until IS NOT NULL FROM relay_lane"))
        assert "535" in news.value("SELECT reason FROM relay_lane")
        assert news.value("SELECT count(*) FROM delivery") == 0
        assert news.value("SELECT count(*) FROM deferral WHERE tries > 0") == 0
        assert postfix.mails() == []
        password.write_text("secret\n")
        engine.signal(signal.SIGHUP)
        engine.wait_for(lambda: is_done(news))
    assert news.rows("SELECT outcome::text, attempt, count(*) FROM delivery GROUP BY 1, 2") == [("delivered", 1, 40)]


def test_with_a_certificate_that_is_not_trusted_nothing_is_sent(world, tmp_path):
    engine, news, postfix, relay, _ = world
    stranger = make_certificate(tmp_path, "127.0.0.1", self_named="stranger")[0]
    engine.configure([relay | {"ca_file": stranger}])
    with engine:
        engine.wait_for(lambda: news.value("SELECT failures > 1 FROM relay_lane"))
        assert news.value("SELECT reason FROM relay_lane").startswith("tls")
    assert postfix.mails() == []
    assert news.value("SELECT count(*) FROM delivery") == 0
    assert "sasl_username" not in postfix.said()
