"""pgbouncer in transaction mode in front of a cluster, as the user that the server runs as.

    with Bouncer(cluster) as bouncer:
        dsn = bouncer.dsn("digestd_engine", database)
        bouncer.kill(); bouncer.start()
        bouncer.turn_to(other_cluster)    # killed, and started with that behind it
"""

import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from pg import SOCKET_NAME, quoted
from waiting import PATIENCE, wait_until


def program():
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if not found:
        pytest.skip("pgbouncer is not installed")
    return found


class Bouncer:
    """A few server connections serve any number of clients, so that those of one transaction are
    never those of the one before."""

    def __init__(self, cluster, pool=3, **settings):
        self.user = cluster.user
        self.command = cluster.as_its_user(program(), "ini")
        self.home = tempfile.mkdtemp(prefix="digestd-bouncer-", dir="/tmp")
        self.settings = {"pool_mode": "transaction", "default_pool_size": pool,
                         "server_reset_query": "", "server_login_retry": 1, **settings}
        self.process = None
        self._configure(cluster)

    def turn_to(self, cluster):
        self.kill()
        self._configure(cluster)
        self.start()

    def _configure(self, cluster):
        ini = os.path.join(self.home, "ini")
        users = os.path.join(self.home, "users")
        with open(users, "w", encoding="utf-8") as file:
            for role in "postgres", "digestd_engine", "digestd_web", "digestd_operator", "digestd_owner":
                file.write(f'"{role}" ""\n')
        with open(ini, "w", encoding="utf-8") as file:
            file.write(f"[databases]\n* = host={cluster.home}\n[pgbouncer]\nlisten_addr =\n"
                       f"unix_socket_dir = {self.home}\nlisten_port = 5432\nauth_type = trust\n"
                       f"auth_file = {users}\n")
            for name, value in self.settings.items():
                file.write(f"{name} = {value}\n")
        if self.user:
            for path in self.home, ini, users:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def start(self):
        if self.process and self.process.poll() is None:
            return self
        socket = os.path.join(self.home, SOCKET_NAME)
        if os.path.exists(socket):
            os.unlink(socket)
        with open(os.path.join(self.home, "log"), "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.home, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(socket) or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        with open(os.path.join(self.home, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        """In order: transactions under way come to their end."""
        self._end(signal.SIGINT)

    def kill(self):
        self._end(signal.SIGKILL)

    def _end(self, number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
        if self.process:
            self.process.wait(PATIENCE)
            self.process = None

    def dsn(self, role="postgres", database="postgres"):
        return f"host={quoted(self.home)} port=5432 user={role} dbname={database}"

    def remove(self):
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()
