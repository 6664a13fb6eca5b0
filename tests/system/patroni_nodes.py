"""PostgreSQL nodes that Patroni runs, with an etcd: on loopback, and in one directory.

    with Patroni(nodes=2) as place:
        dsn = place.hosts("digestd_engine", "digestd")   # all nodes; libpq finds the leader
        place.switch()               # the leader and its synchronous standby change places
        dead = place.kill_leader()   # Patroni and its server at once, as when the host goes
        place.start_node(dead)       # ... and it is back

Commits wait for a standby (synchronous_mode_strict). Methods return when it has become so.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import psycopg2
import pytest

from pg import binaries, unprivileged_user
from ports import reserved_port
from standby import descendants, is_alive
from waiting import PATIENCE, wait_until

SCOPE = "digestd"
# A leader that isn't heard of for `ttl` seconds is dead. A busy machine stands still for some, too.
TIMING = {"ttl": 20, "loop_wait": 2, "retry_timeout": 8}
PARAMETERS = {"wal_log_hints": "on", "wal_keep_size": "256MB", "fsync": "off", "max_connections": 60,
              "shared_buffers": "32MB", "timezone": "UTC"}
HBA = ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]


class Patroni:
    def __init__(self, nodes=2):
        for program in "etcd", "patroni", "patronictl":
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed")
        self.user = unprivileged_user()
        self.home = tempfile.mkdtemp(prefix="digestd-patroni-", dir="/tmp")
        if self.user:
            os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
        self.undo = contextlib.ExitStack()
        self.etcd, self.peer = self._port(), self._port()
        self.nodes = {f"node{n}": (self._port(), self._port()) for n in range(nodes)}  # REST, server
        self.processes = {}

    def _port(self):
        return self.undo.enter_context(reserved_port())

    # ---- processes ----

    def _as_user(self, *command):
        if not self.user:
            return command
        return ("setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups",
                *command)

    def _environment(self):
        return {"PATH": os.environ["PATH"] + ":" + binaries(), "HOME": self.home, "LANG": "C.UTF-8"}

    def _start(self, name, *command):
        with open(os.path.join(self.home, name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                self._as_user(*command), cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment())

    def _server(self, name):
        """The process id of a node's server, or None."""
        data = os.path.join(self.home, name)
        try:
            with open(os.path.join(data, "postmaster.pid"), encoding="ascii") as file:
                pid = int(file.readline())
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return pid if os.fsencode(data) in file.read() else None
        except (OSError, ValueError):
            return None

    def start(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd, self.peer))
        self._start("etcd", "etcd", "--data-dir", os.path.join(self.home, "etcd"),
                    "--listen-client-urls", client, "--advertise-client-urls", client,
                    "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", f"default={peer}")
        for name in self.nodes:
            self.start_node(name)
        self._wait(lambda: self.leader() and self.synchronous() and self._running() == set(self.nodes))
        return self

    def stop(self):
        for name, process in self.processes.items():
            servers = [self._server(name)] if name in self.nodes else []
            process.kill()
            process.wait()
            for pid in filter(None, servers):
                os.kill(pid, signal.SIGQUIT)
                wait_until(lambda pid=pid: not is_alive(pid))
        self.processes.clear()
        self.undo.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    # ---- nodes ----

    def _configuration(self, name):
        rest, port = self.nodes[name]
        role = {"username": "postgres"}
        return {
            "scope": SCOPE, "name": name,
            "restapi": {"listen": f"127.0.0.1:{rest}", "connect_address": f"127.0.0.1:{rest}"},
            "etcd3": {"host": f"127.0.0.1:{self.etcd}"},
            "bootstrap": {
                "dcs": {**TIMING, "synchronous_mode": True, "synchronous_mode_strict": True,
                        "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"auth": "trust"}]},
            "postgresql": {
                "listen": f"127.0.0.1:{port}", "connect_address": f"127.0.0.1:{port}",
                "data_dir": os.path.join(self.home, name), "bin_dir": binaries(), "pg_hba": HBA,
                "authentication": {"superuser": role, "replication": role, "rewind": role},
                "parameters": {"unix_socket_directories": self.home}}}

    def start_node(self, name):
        path = os.path.join(self.home, name + ".yml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._configuration(name), file)  # JSON is YAML
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._start(name, "patroni", path)

    def _dsn(self, name, role="postgres", database="postgres"):
        return f"host=127.0.0.1 port={self.nodes[name][1]} user={role} dbname={database}"

    def dsn(self, role="postgres", database="postgres"):
        """The leader's."""
        self._wait(self.leader)
        return self._dsn(self.leader(), role, database)

    def hosts(self, role="postgres", database="postgres"):
        """All nodes'."""
        hosts = ",".join(["127.0.0.1"] * len(self.nodes))
        ports = ",".join(str(port) for _, port in self.nodes.values())
        return (f"host={hosts} port={ports} user={role} dbname={database}"
                " target_session_attrs=read-write connect_timeout=10")

    # ---- who is what ----

    def _ask(self, name, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.nodes[name][0]}{path}", timeout=10) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def _who(self, path):
        return next((name for name in self.nodes if self._ask(name, path)), None)

    def _running(self):
        return {name for name in self.nodes if self._ask(name, "/health")}

    def leader(self):
        """Who leads and takes writes: the lock is there before the promotion is done."""
        name = self._who("/primary")
        try:
            with contextlib.closing(psycopg2.connect(self._dsn(name) + " connect_timeout=10")) as connection:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_is_in_recovery()")
                    return None if cursor.fetchone()[0] else name
        except (KeyError, psycopg2.Error):
            return None

    def synchronous(self):
        return self._who("/synchronous")

    def _wait(self, condition):
        def checked():
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} has ended:\n{self.log(name)}"
            return condition()
        wait_until(checked)

    def log(self, name):
        with open(os.path.join(self.home, name + ".log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    # ---- what becomes of them ----

    def switch(self):
        """As an operator does who wants to work at the leader's host."""
        self._wait(lambda: self.leader() and self.synchronous())
        leader, standby = self.leader(), self.synchronous()
        done = subprocess.run(
            self._as_user("patronictl", "-c", os.path.join(self.home, leader + ".yml"), "switchover",
                          "--leader", leader, "--candidate", standby, "--force", SCOPE),
            cwd=self.home, env=self._environment(), capture_output=True, text=True, check=False,
            timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        self._wait(lambda: self.leader() == standby)

    def kill_leader(self):
        """Returns who it was, when another leads."""
        self._wait(lambda: self.leader() and self.synchronous())
        dead = self.leader()
        server = self._server(dead)
        family = [server, *descendants(server)]
        os.kill(self.processes[dead].pid, signal.SIGKILL)
        os.kill(server, signal.SIGKILL)
        self.processes.pop(dead).wait()
        wait_until(lambda: not any(is_alive(pid) for pid in family))
        self._wait(lambda: self.leader() not in (None, dead))
        return dead
