"""A private PostgreSQL cluster: for tests, the demo and the lab.

It listens on a unix socket only, in a directory that nobody else may enter, and runs as an
unprivileged user when started by root (PostgreSQL refuses root). No other cluster of the machine
is touched: everything it is lies under one directory, and it is stopped by its own pid.

    with Cluster() as cluster:
        psycopg2.connect(cluster.dsn("postgres", "postgres"))

    cluster = Cluster(".demo/pg").start()   # a later process: Cluster(".demo/pg").stop()
"""

import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

SOCKET_PATH_MAX = 107
SOCKET_NAME = ".s.PGSQL.5432"
# Quotes, commas and dollars mean something to postgresql.conf or to pg_ctl's shell.
PLAIN_PATH = re.compile(r"[\w /.+-]*\Z")

# For tests: what is lost by a power failure is made anew anyway.
FAST = {"fsync": "off", "full_page_writes": "off"}

SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "shared_preload_libraries": "''",
}


def binaries():
    """Where Debian keeps the server's programs: the newest version's."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
                   key=lambda path: int(path.split("/")[4]))
    if not found:
        raise RuntimeError("PostgreSQL is not installed (Debian: postgresql-15)")
    return os.path.dirname(found[-1])


def unprivileged_user():
    """The user to run the server as, or None when we aren't root."""
    if os.geteuid() != 0:
        return None
    for name in "postgres", "nobody":
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise RuntimeError("neither a user postgres nor nobody exists")


def may_enter(directory, user):
    """Whether `user` can reach the directory: each part above it is open to everybody."""
    if user is None:
        return True
    while True:
        if os.path.exists(directory):
            mode = os.stat(directory)
            if not mode.st_mode & 0o001 and mode.st_uid != user.pw_uid:
                return False
        if directory == "/":
            return True
        directory = os.path.dirname(directory)


def quoted(value):
    """A value as a connection string takes it."""
    if re.fullmatch(r"[^\s'\\]+", value):
        return value
    return "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"


class Cluster:
    """One server and its directory. Methods may be called again: each does what is left to do."""

    def __init__(self, home=None, fast=True, settings=None):
        self.user = unprivileged_user()
        self.bin = binaries()
        self.settings = {**SETTINGS, **(FAST if fast else {}), **(settings or {})}
        self.named_home = os.path.abspath(home) if home else None
        self.home = self._real_home()
        self.data = os.path.join(self.home, "data")
        self.log = os.path.join(self.home, "log")

    def _real_home(self):
        """Where it lies: elsewhere in /tmp when the server couldn't live at the place named."""
        if self.named_home is None:
            return tempfile.mkdtemp(prefix="digestd-pg-", dir="/tmp")
        pointer = os.path.join(self.named_home, "elsewhere")
        if os.path.exists(pointer):
            with open(pointer, encoding="utf-8") as file:
                return file.read().strip()
        os.makedirs(self.named_home, exist_ok=True)
        socket = os.path.join(self.named_home, "server", SOCKET_NAME)
        if (len(os.fsencode(socket)) <= SOCKET_PATH_MAX and PLAIN_PATH.match(self.named_home)
                and may_enter(self.named_home, self.user)):
            home = os.path.join(self.named_home, "server")
            os.makedirs(home, exist_ok=True)
            return home
        home = tempfile.mkdtemp(prefix="digestd-pg-", dir="/tmp")
        with open(pointer, "w", encoding="utf-8") as file:
            file.write(home + "\n")
        return home

    def as_its_user(self, *command):
        """A command that runs as the server's user."""
        if not self.user:
            return command
        return ("setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups",
                *command)

    def _run(self, *command):
        """Runs one of the server's programs as the server's user."""
        program = self.as_its_user(os.path.join(self.bin, command[0]), *command[1:])
        done = subprocess.run(program, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}\n{self.log_tail()}")

    def _create(self):
        os.makedirs(self.home, exist_ok=True)
        if self.user:
            os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.home, 0o700)
        if os.path.exists(os.path.join(self.data, "PG_VERSION")):
            return
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync", "--no-instructions")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write("\n")
            for name, value in self.settings.items():
                file.write(f"{name} = {value}\n")
            file.write(f"unix_socket_directories = '{self.home}'\n")

    def start(self):
        """Makes the cluster when it isn't there, starts it when it isn't running."""
        if self.pid() is None:
            self._create()
            self._run("pg_ctl", "start", "-D", self.data, "-l", self.log, "-w", "-s", "-t", "60")
        return self

    def stop(self, mode="fast"):
        """Stops the server ("immediate": as a crash), keeps its files."""
        if self.pid() is not None:
            self._run("pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", "-s", "-t", "60")

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def remove(self):
        """Stops the server and removes what there is of it."""
        self.stop("immediate")
        shutil.rmtree(self.home, ignore_errors=True)
        if self.named_home:
            shutil.rmtree(self.named_home, ignore_errors=True)

    def pid(self):
        """The server's process id, or None. A stale file of a crash names nobody of ours."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
                lines = file.read().splitlines()
            pid = int(lines[0])
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            return pid if os.fsencode(self.data) in words else None
        except (OSError, ValueError, IndexError):
            return None

    def signal(self, number):
        """Sends a signal to the server: SIGSTOP makes it silent, SIGKILL is a crash."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)

    def crash(self):
        """Kills the server and its children as a power failure would, and waits for their end."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGQUIT)
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.01)

    def dsn(self, role="postgres", database="postgres", **more):
        """A connection string in libpq's key=value form."""
        pairs = {"host": self.home, "port": 5432, "user": role, "dbname": database, **more}
        return " ".join(f"{key}={quoted(str(value))}" for key, value in pairs.items())

    def ask(self, sql, database="postgres"):
        """A superuser's question; its rows. Outside of a transaction, so that databases can be made."""
        import psycopg2  # the demo and the lab use this file and go without it
        connection = psycopg2.connect(self.dsn(database=database, connect_timeout=10))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def log_tail(self, lines=30):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()
