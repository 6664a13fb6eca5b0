"""Fixtures that every system test may use.

`build`     the directory with the programs under test ($DIGESTD_BUILD)
`cluster`   a PostgreSQL server for the whole run
`database`  the name of a fresh database with the schema, for one test
`empty_database`  one without anything
`make`      makes an engine, a newsletter and an SMTP server that belong together
`ctl`       digestctl
`news`      a newsroom with eight readers whose engine is played by hand
`busy`      the same in the middle of an issue
"""

import itertools
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from ctl import Ctl  # noqa: E402
from engine import Engine, Newsletter  # noqa: E402
from newsroom import Newsroom  # noqa: E402
from pg import Cluster  # noqa: E402
from smtpd import Server  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TEMPLATE = "digestd_template"
_names = (f"t{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def build():
    return os.path.join(ROOT, os.environ.get("DIGESTD_BUILD", "build"))


@pytest.fixture(scope="session")
def cluster():
    with Cluster() as running:
        yield running


@pytest.fixture(scope="session")
def template(cluster, build):
    """A database as `db init` makes it, to be copied."""
    subprocess.run([os.path.join(build, "system", "store_driver"), "init", cluster.dsn(), TEMPLATE],
                   check=True, timeout=120)
    return TEMPLATE


def fresh(cluster, template_name):
    name = next(_names)
    # A copy is the copier's, not its template's owner's.
    owner = "digestd_owner" if template_name == TEMPLATE else "postgres"
    cluster.ask(f"CREATE DATABASE {name} TEMPLATE {template_name} OWNER {owner}")
    cluster.ask(f"ALTER DATABASE {name} SET timezone = 'UTC'")
    yield name
    cluster.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def database(cluster, template):
    yield from fresh(cluster, template)


@pytest.fixture
def empty_database(cluster):
    yield from fresh(cluster, "template0")


@pytest.fixture
def make(build, cluster, database):
    """make(rules=..., readers=N) gives engine, newsletter and server; the server runs."""
    things = []

    def made(readers=0, rules=(), relays=None, server=None, engine=None, extra="", **columns):
        smtpd = Server(rules=rules, **(server or {}))
        smtpd.start()
        things.append(smtpd.stop)
        news = Newsletter(cluster, database, readers, **columns)
        things.append(news.close)
        running = Engine(build, cluster, database, relays or [{"port": smtpd.port}], extra,
                         **(engine or {}))
        things.append(running.remove)
        return running, news, smtpd

    yield made
    for undo in reversed(things):
        undo()


@pytest.fixture
def ctl(build, cluster, database, tmp_path):
    return Ctl(build, cluster, database, str(tmp_path))


@pytest.fixture
def news(build, cluster, database, tmp_path):
    made = Newsroom(build, cluster, database, str(tmp_path)).make(readers=8)
    made.engine()
    yield made
    made.close()


@pytest.fixture
def busy(news):
    """Reader 1 has it, 2 was refused, 3 is put off, 4 in doubt, 5 being sent to, 6 to 8 wait."""
    news.issue = news.open()
    n, readers = news.take(limit=4)
    assert readers == [1, 2, 3, 4]
    news.deliver(news.issue, n, [1], code=250, queue_id="4Xq")
    news.deliver(news.issue, n, [2], outcome="refused", code=550, enhanced="5.1.1", reason="no user")
    news.put_off(news.issue, n, [3])
    news.deliver(news.issue, n, [4], outcome="in_doubt", reason="in doubt: cut")
    news.settle(n, delivered=1, refused=1, deferred=1, in_doubt=1)
    news.held, _ = news.take(limit=1)
    return news
