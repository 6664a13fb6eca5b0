"""A streaming pair: a primary and its standby, and what happens to such pairs.

    with Pair(synchronous=True) as pair:
        dsn = pair.dsn("digestd_engine", "digestd")   # both hosts; libpq finds the primary
        pair.fail_over()       # the primary is killed, the standby promoted
        pair.old.start()       # the old primary is back, on its old timeline
        pair.rejoin()          # ... and becomes the new one's standby

`primary` and `standby` are Nodes and change places at a fail-over; until rejoin() the old primary is
`old`, and there is no standby. Everything listens on unix sockets only.
"""

import os
import shutil
import signal
import time

from pg import SOCKET_NAME, Cluster
from waiting import PATIENCE, wait_until

# pg_rewind wants full pages and hints in the WAL, and the old primary's last segments.
SETTINGS = {"wal_log_hints": "on", "full_page_writes": "on", "wal_keep_size": "'256MB'",
            "max_wal_senders": "10", "wal_sender_timeout": "'10s'", "wal_receiver_timeout": "'10s'",
            "wal_retrieve_retry_interval": "'200ms'"}
NODE = "node.conf"
SOCKET_LOCK = SOCKET_NAME + ".lock"


def descendants(pid):
    """The server's children; those of its backends that it hasn't reaped among them."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    parent = file.read().rpartition(")")[2].split()[1]
            except (OSError, IndexError):
                continue
            if int(parent) == pid:
                found.append(int(entry))
    return found


def is_alive(pid):
    """Whether the process is there; one that nobody has waited for is not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


class Node(Cluster):
    """One server of a pair. What differs between the two stands in a file of its own, since base
    backups and pg_rewind copy the rest of the configuration."""

    def __init__(self, home=None, settings=None):
        super().__init__(home, settings={**SETTINGS, **(settings or {})})
        self.own = {}

    def _create(self):
        super()._create()
        with open(os.path.join(self.data, "postgresql.conf"), "r+", encoding="utf-8") as file:
            text = file.read()
            if NODE not in text:
                file.write(f"include_if_exists = '{NODE}'\n")
        self.configure()

    def configure(self, **settings):
        """Writes what is this node's own; a running server reads it at once. None removes one."""
        self.own.update(settings)
        self.own = {name: value for name, value in self.own.items() if value is not None}
        path = os.path.join(self.data, NODE)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"unix_socket_directories = '{self.home}'\n")
            for name, value in self.own.items():
                file.write(f"{name} = '{value}'\n")
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        if self.pid() is not None:
            self._run("pg_ctl", "reload", "-D", self.data, "-s")

    def kill(self):
        """SIGKILL to the server, as a crash; its children follow it by themselves. Waits for the last one."""
        pid = self.pid()
        if pid is None:
            return
        family = [pid, *descendants(pid)]
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while any(is_alive(one) for one in family):
            assert time.monotonic() < end, "the server's children don't end"
            time.sleep(0.01)
        # A dead process that nobody has waited for looks alive to the next server.
        for name in os.path.join(self.data, "postmaster.pid"), os.path.join(self.home, SOCKET_LOCK):
            if os.path.exists(name):
                os.unlink(name)

    def back_up(self, source, directory=None):
        """A base backup of `source` as this node's data, or in a directory."""
        target = directory or self.data
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(self.home, exist_ok=True)
        if self.user:
            os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.home, 0o700)
        self._run("pg_basebackup", "-D", target, "-d", source.dsn(), "-X", "stream", "-c", "fast",
                  "--no-sync")

    def follow(self, primary):
        """Starts as a standby of that primary; the data have to be there."""
        self.mark("standby.signal")
        # The application name is what synchronous_standby_names speaks of.
        self.configure(primary_conninfo=f"host={primary.home} user=postgres application_name=standby",
                       recovery_target_timeline="latest", synchronous_standby_names="")
        return self.start()

    def mark(self, name):
        """An empty file that tells the server how to start: standby.signal, recovery.signal."""
        path = os.path.join(self.data, name)
        with open(path, "w", encoding="ascii"):
            pass
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def promote(self):
        self._run("pg_ctl", "promote", "-D", self.data, "-w", "-s", "-t", "60")

    def timeline(self):
        return int(self.ask("SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0][:8], 16)


class Pair:
    def __init__(self, synchronous=True, nodes=None):
        self.synchronous = synchronous
        self.nodes = nodes or [Node(), Node()]
        self.primary, self.standby = self.nodes
        self.old = None

    def start(self):
        self.primary.start()
        self.standby.back_up(self.primary)
        return self.join_up()

    def join_up(self):
        """Starts both; their data are there, and the same."""
        self.primary.start()
        self.standby.follow(self.primary)
        self.wait_streaming()
        self.confirm(self.synchronous)
        return self

    def stop(self):
        for node in self.nodes:
            node.remove()

    def dsn(self, role="postgres", database="postgres", first=None, **more):
        """Both hosts in a connection string; `first` is named first (the first primary otherwise)."""
        nodes = sorted(self.nodes, key=lambda node: node is not (first or self.nodes[0]))
        return self.primary.dsn(role, database, host=",".join(node.home for node in nodes),
                                target_session_attrs="read-write", **more)

    def confirm(self, on):
        """Whether commits on the primary wait for the standby from now on."""
        self.primary.configure(synchronous_standby_names="*" if on else "")
        wait_until(lambda: self.primary.ask("SHOW synchronous_standby_names") ==
                   [("*" if on else "",)])
        if on and self.standby:
            wait_until(lambda: self.primary.ask(
                "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == [(1,)])

    def wait_streaming(self):
        wait_until(lambda: self.primary.ask(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == [(1,)])

    def wait_same(self):
        """Waits until the standby has replayed all that the primary has written by now."""
        lsn = self.primary.ask("SELECT pg_current_wal_lsn()")[0][0]
        wait_until(lambda: self.standby.ask(
            f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn")[0][0])

    def cut(self):
        """The standby hears nothing from the primary any more."""
        self.standby.configure(primary_conninfo="")
        wait_until(lambda: self.standby.ask("SELECT count(*) FROM pg_stat_wal_receiver") == [(0,)])
        # The primary finds out by the closed connection.
        wait_until(lambda: self.primary.ask("SELECT count(*) FROM pg_stat_replication") == [(0,)])

    def mend(self):
        """... and hears it again."""
        self.standby.follow(self.primary)
        self.wait_streaming()

    def fail_over(self, kill=True):
        """Kills the primary (or leaves it alive: two primaries) and promotes the standby."""
        if kill:
            self.primary.kill()
        self.old, self.primary, self.standby = self.primary, self.standby, None
        self.primary.promote()

    def rejoin(self):
        """Makes the old primary the new one's standby, by pg_rewind; or anew if that can't be."""
        if self.old.pid() is not None:
            self.old.stop()
        else:
            # pg_rewind wants a server that was shut down: so it is started and stopped once.
            self.old.configure(synchronous_standby_names="")
            self.old.start()
            self.old.stop()
        self.primary.ask("CHECKPOINT")  # until then pg_rewind sees the old timeline there
        try:
            # pylint: disable=protected-access
            self.old._run("pg_rewind", "-D", self.old.data, "--source-server", self.primary.dsn(),
                          "--no-sync")
        except RuntimeError:
            self.old.back_up(self.primary)
        self.standby, self.old = self.old, None
        self.standby.follow(self.primary)
        self.wait_streaming()
        self.confirm(self.synchronous)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()
