"""A place where the programs can work: a private cluster with the schema, a configuration, and
processes that are known by pid files. The demo and the lab are made of it.

    with Place(".demo", build="build") as place:
        place.make_database()
        place.write_config(relay=("127.0.0.1", 2525), pages=("127.0.0.1", 8080))
        place.start("digestd", place.program("digestd"))
        place.ctl("list", "ls")
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SYSTEM = os.path.join(ROOT, "tests", "system")
sys.path.insert(0, SYSTEM)

from pg import Cluster  # noqa: E402

DATABASE = "digestd"
ROLES = ("engine", "web", "operator", "owner")


class PlaceError(Exception):
    """Something that had to work didn't; its text is for the person who runs this."""


# ---- configuration ------------------------------------------------------------------------------

def config_text(value):
    """A Python value in libconfig's words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + " ".join(f"{key} = {config_text(item)};" for key, item in value.items()) + " }"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "( " + ", ".join(config_text(item) for item in value) + " )"
    return "[ " + ", ".join(config_text(item) for item in value) + " ]"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# ---- processes ----------------------------------------------------------------------------------

def started_at(pid):
    """When a process began, in the kernel's ticks: with its number it names one process only."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return None


def end_process(pid, start, patience=15.0):
    """Asks the process to end, and makes it when it doesn't."""
    for number, wait in (signal.SIGTERM, patience), (signal.SIGKILL, 5.0):
        if started_at(pid) != start:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + wait
        while started_at(pid) == start and time.monotonic() < until:
            time.sleep(0.02)


class Place:
    def __init__(self, home, build="build", fast=False):
        self.home = os.path.abspath(home)
        self.build = os.path.join(ROOT, build)
        self.fast = fast
        self.config = self.path("digestd.conf")
        self.children = {}
        self.lock = None
        self._cluster = None

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def program(self, name):
        return os.path.join(self.build, name)

    @property
    def cluster(self):
        """Made when first asked for: that may already make a directory."""
        if self._cluster is None:
            os.makedirs(self.home, exist_ok=True)
            self._cluster = Cluster(self.path("pg"), fast=self.fast)
        return self._cluster

    # ---- beginning and end ----------------------------------------------------------------

    def take(self):
        """Makes the directory ours alone; fails when another run works in it."""
        os.makedirs(self.home, exist_ok=True)
        self.lock = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self.lock)
            self.lock = None
            raise PlaceError(f"something else is at work in {self.home} already") from error

    def exists(self):
        return os.path.isdir(self.home)

    def pids(self):
        """What was started and still runs: name, pid, start."""
        found = []
        if not os.path.isdir(self.path("run")):
            return found
        for name in sorted(os.listdir(self.path("run"))):
            try:
                with open(self.path("run", name), encoding="ascii") as file:
                    pid, start = file.read().split()
            except (OSError, ValueError):
                continue
            if started_at(int(pid)) == start:
                found.append((name.removesuffix(".pid"), int(pid), start))
        return found

    def stop(self, name):
        for known, pid, start in self.pids():
            if known == name:
                end_process(pid, start)
        child = self.children.pop(name, None)
        if child:
            child.wait()
        if os.path.exists(self.path("run", name + ".pid")):
            os.unlink(self.path("run", name + ".pid"))
        return child.returncode if child else None

    def stop_all(self):
        """Ends each process and the cluster; the engine before what it talks to."""
        names = [name for name, _, _ in self.pids()]
        for name in sorted(names, key=lambda name: (name != "story", name != "digestd", name)):
            if name != "story" or not self.lock:
                self.stop(name)
        if self.exists() and os.path.isdir(self.path("pg")):
            self.cluster.stop()

    def remove(self):
        """Leaves nothing behind, neither here nor where the cluster had to go."""
        if not self.exists():
            return
        self.stop_all()
        if os.path.isdir(self.path("pg")):
            self.cluster.remove()
        self._cluster = None
        for name in os.listdir(self.home):
            path = self.path(name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def __enter__(self):
        self.take()
        return self

    def __exit__(self, *_):
        self.stop_all()
        os.close(self.lock)
        self.lock = None

    # ---- what is in it --------------------------------------------------------------------

    def dsn(self, role, database=DATABASE):
        user = role if role == "postgres" else f"digestd_{role}"
        return self.cluster.dsn(user, database)

    def write_config(self, relay, pages, **more):
        """A configuration that works here: `relay` and `pages` are (host, port)."""
        relay_host, relay_port = relay
        local = relay_host in ("127.0.0.1", "::1", "localhost")
        settings = {
            "state_dir": self.path("state"),
            "database": {role: self.dsn(role) for role in ROLES},
            "relays": [{"name": "demo", "host": relay_host, "port": relay_port,
                        "tls": "none" if local else "allowed", "connections": 8}],
            # A few seconds in place of minutes, so that one can watch.
            "retry": {"backoff": {"first": "2 s", "factor": 2, "cap": "5 s"},
                      "breaker": {"first": "1 s", "factor": 2, "cap": "5 s"}},
            "web": {"listen": f"{pages[0]}:{pages[1]}",
                    "base_url": f"http://{pages[0]}:{pages[1]}"},
            **more,
        }
        os.makedirs(self.path("state"), mode=0o700, exist_ok=True)
        with open(self.config, "w", encoding="utf-8") as file:
            for key, value in settings.items():
                file.write(f"{key} = {config_text(value)};\n")

    def make_database(self):
        """Roles, schema and keys, by the operators' own command."""
        self.ctl("db", "init", "--conninfo", self.dsn("postgres", "postgres"))

    def sql(self, text):
        """For what has no command: as the owner of the cluster."""
        done = subprocess.run(
            [os.path.join(self.cluster.bin, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
             self.dsn("postgres"), "-c", text], text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise PlaceError(done.stderr.strip())
        return done.stdout.strip()

    # ---- programs -------------------------------------------------------------------------

    def environment(self):
        return {**os.environ, "DIGESTD_CONFIG": self.config}

    def ctl(self, *words, show=False, give=None):
        """digestctl: returns what it printed, or shows it (`show`) while it runs."""
        command = [self.program("digestctl"), *words]
        if show:
            sys.stdout.flush()
            code = subprocess.run(command, env=self.environment(), check=False).returncode
            if code:
                raise PlaceError(f"digestctl {' '.join(words[:2])} failed")
            return ""
        done = subprocess.run(command, env=self.environment(), text=True, capture_output=True,
                              input=give, check=False)
        if done.returncode != 0:
            shown = " ".join(words[:4])
            raise PlaceError(f"digestctl {shown} failed ({done.returncode}):\n"
                             f"{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def ctl_json(self, *words):
        return json.loads(self.ctl("--json", *words))

    def start(self, name, *command, stdin=subprocess.DEVNULL):
        """Starts a program in the background; what it says goes to log/NAME.log."""
        os.makedirs(self.path("log"), exist_ok=True)
        os.makedirs(self.path("run"), exist_ok=True)
        with open(self.path("log", name + ".log"), "ab") as log:
            child = subprocess.Popen(command, stdin=stdin, stdout=log, stderr=log,
                                     env=self.environment(), start_new_session=True)
        self.children[name] = child
        self.note(name, child.pid)
        return child

    def note(self, name, pid):
        os.makedirs(self.path("run"), exist_ok=True)
        with open(self.path("run", name + ".pid"), "w", encoding="ascii") as file:
            file.write(f"{pid} {started_at(pid)}\n")

    def check_alive(self):
        """Tells when a program that should run has ended."""
        for name, child in self.children.items():
            if child.poll() is not None:
                raise PlaceError(f"{name} ended ({child.returncode}); the end of its log:\n"
                                 + self.log_tail(name))

    def log_tail(self, name, lines=15):
        try:
            with open(self.path("log", name + ".log"), encoding="utf-8", errors="replace") as file:
                return "".join("    " + line for line in file.readlines()[-lines:]).rstrip()
        except OSError:
            return ""

    def wait(self, what, done, seconds=60.0):
        """Waits until done() gives something, as long as all programs run."""
        until = time.monotonic() + seconds
        while True:
            result = done()
            if result:
                return result
            self.check_alive()
            if time.monotonic() > until:
                raise PlaceError(f"{what} didn't happen within {seconds:.0f} s"
                                 + "".join(f"\n  {name}:\n{self.log_tail(name)}"
                                           for name in self.children))
            time.sleep(0.05)

    def start_smtp_server(self, *options):
        """Starts the server that keeps all it accepts; returns its port."""
        port_file = self.path("run", "smtpd.port")
        if os.path.exists(port_file):
            os.unlink(port_file)
        self.start("smtpd", sys.executable, os.path.join(SYSTEM, "smtpd.py"), "--port", "0",
                   "--port-file", port_file, "--maildir", self.path("mail"), "--letters",
                   self.path("letters"), *options)
        self.wait("the SMTP server's start", lambda: os.path.exists(port_file), 20)
        with open(port_file, encoding="ascii") as file:
            return int(file.read())

    def start_pages(self, listener):
        """Starts digestweb on a socket that listens already, as systemd would."""
        command = 'exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1; ' \
                  'export LISTEN_PID LISTEN_FDS; exec "$0"'
        self.start("digestweb", "sh", "-c", command, self.program("digestweb"),
                   stdin=listener.fileno())
