"""Where the database of a round stands, and how its engines get there:

    plain    one server                        pair     a primary with a streaming standby
    +pooled  through a pgbouncer in transaction mode

A plain server serves many rounds, each in a database of its own; a pair is made for one round, since
a fail-over is for good. `fronts` is what the engines' proxies stand before: a directory with a socket
each, in the order in which connection strings name them.
"""

import os
import subprocess
import threading

from bouncer import Bouncer
from pg import SOCKET_NAME, Cluster
from standby import Node, Pair
from world import populate

TEMPLATE = "chaos_template"
KINDS = ["plain", "plain+pooled", "pair", "pair+pooled"]
WEIGHTS = [6, 2, 2, 1]
SETTINGS = {"max_connections": "100"}


class Ground:
    """What rounds have in common: a plain server with a database as their template, and what a pair
    is copied from, each with the list and its readers; made when they are wanted first."""

    def __init__(self, build, readers):
        self.build, self.readers = build, readers
        self.cluster = self.seedling = None

    def plain(self):
        if not self.cluster:
            self.cluster = Cluster(settings=SETTINGS).start()
            self._fill(self.cluster, TEMPLATE)
        return self.cluster

    def node(self):
        """A server of a pair that is to be."""
        if not self.seedling:
            self.seedling = Node(settings=SETTINGS).start()
            self._fill(self.seedling, TEMPLATE)
            self.seedling.stop()
        node = Node(settings=SETTINGS)
        subprocess.run(["cp", "-a", self.seedling.data, node.data], check=True)
        return node

    def _fill(self, server, database):
        subprocess.run([os.path.join(self.build, "system", "store_driver"), "init", server.dsn(), database],
                       check=True, timeout=300)
        server.ask(f"ALTER DATABASE {database} SET timezone = 'UTC'")
        populate(server, database, self.readers)

    def remove(self):
        for server in self.cluster, self.seedling:
            if server:
                server.remove()


class Plain:
    synchronous = None   # nothing to be so

    def __init__(self, ground, kind, seed):
        self.database = f"chaos_{seed}"
        self.primary = ground.plain()
        self.primary.ask(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        self.primary.ask(f"CREATE DATABASE {self.database} TEMPLATE {TEMPLATE} OWNER digestd_owner")
        self.primary.ask(f"ALTER DATABASE {self.database} SET timezone = 'UTC'")
        self._stand(kind)

    def _stand(self, kind):
        self.kind = kind
        self.bouncer = Bouncer(self.primary, pool=10).start() if "pooled" in kind else None
        self.fronts = [self.bouncer] if self.bouncer else list(self.nodes())

    def nodes(self):
        return [self.primary]

    def dsn(self, role, fronts=None):
        """Over all fronts (the servers themselves by default)."""
        homes = [front.home for front in fronts or self.nodes()]
        more = "" if len(homes) == 1 else " target_session_attrs=read-write"
        return f"host={','.join(homes)} port=5432 user={role} dbname={self.database} connect_timeout=10" + more

    def is_busy(self):
        return False

    def calm(self):
        """The storm is over."""

    def remove(self, keep=False):
        if self.bouncer:
            self.bouncer.remove()
        if not keep:
            self.primary.ask(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")


class Twin(Plain):
    """On a pair. `old` is the primary of before, while it lives: what engines must not work with."""

    def __init__(self, ground, kind, synchronous):
        self.database = TEMPLATE
        self.synchronous = synchronous
        self.pair = Pair(synchronous, [ground.node(), ground.node()])
        self.joining = None    # the thread in which an old primary becomes a standby
        self.takes = []        # what the old one says was taken there: (engine, session, n, moment)
        self.sessions = []     # ... and by which sessions
        try:
            self.pair.join_up()
            self._stand(kind)
        except BaseException:
            self.pair.stop()
            raise

    @property
    def primary(self):
        return self.pair.primary

    def nodes(self):
        return self.pair.nodes

    def is_busy(self):
        return self.joining is not None and self.joining.is_alive()

    def point_to(self, node):
        """Where the pooler leads; without one, it is for the proxies to say who is reached."""
        if self.bouncer:
            self.bouncer.point_to(node)
            self.bouncer.kill()
            self.bouncer.start()

    def fail_over(self, kill):
        if kill and self.primary.pid() is None:
            clear(self.primary)
        self.pair.fail_over(kill)

    def rejoin(self):
        """Meanwhile."""
        def join():
            try:
                self.pair.rejoin()
            except Exception:   # pylint: disable=broad-except
                pass            # the new primary was killed meanwhile: it goes on alone
        self.joining = threading.Thread(target=join, daemon=True)
        self.joining.start()

    def come_back(self):
        """The old primary is there again as it was, and takes whoever comes."""
        self.pair.old.configure(synchronous_standby_names="")
        self.pair.old.start()

    def look_at_old(self):
        """What it says, before it goes for good."""
        old = self.pair.old
        if old is None or old.pid() is None or self.is_busy():
            return
        self.takes += old.ask("SELECT e.uuid::text, w.session, w.n, extract(epoch FROM w.taken_at)::float8"
                              " FROM send_window w JOIN engine e ON e.id = w.engine", self.database)
        self.sessions += [uuid for uuid, in old.ask("SELECT uuid::text FROM session", self.database)]
        old.stop("immediate")

    def calm(self):
        """One server that waits for nobody, which is the new one, or the only one."""
        if self.joining:
            self.joining.join(60)
        self.look_at_old()
        self.primary.start()
        self.point_to(self.primary)
        if self.pair.standby is None or self.pair.old is not None:
            self.primary.configure(synchronous_standby_names="")

    def remove(self, keep=False):
        if self.joining:
            self.joining.join(60)
        if self.bouncer:
            self.bouncer.remove()
        if not keep:
            self.pair.stop()


def clear(node):
    """Of a server that was killed: until its children are gone too."""
    node.kill()
    for name in os.path.join(node.data, "postmaster.pid"), os.path.join(node.home, SOCKET_NAME + ".lock"):
        if os.path.exists(name):
            os.unlink(name)


def stand(ground, kind, seed, synchronous):
    return Twin(ground, kind, synchronous) if "pair" in kind else Plain(ground, kind, seed)
