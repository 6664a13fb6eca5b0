"""The schema: migrations, a database's first day, the statements that rely on it; and the waiting
connection, which all of that goes through."""

import os
import subprocess

import psycopg2
import pytest

import lint_sql
from pg import Cluster
from storedriver import ask


# ---- migrations --------------------------------------------------------------------------------


@pytest.fixture
def migrate(build, cluster, empty_database, tmp_path):
    def run(verb="migrate", **files):
        paths = []
        for name, text in files.items():
            path = tmp_path / f"{name[1:]}.sql"
            path.write_text(text)
            paths.append(str(path))
        return subprocess.run([os.path.join(build, "system", "store_driver"), verb,
                               cluster.dsn(database=empty_database), *paths],
                              capture_output=True, text=True, timeout=300, check=False)
    return run


ONE = "CREATE TABLE one (a int);"
TWO = "CREATE TABLE two (a int); INSERT INTO two VALUES (2);"


def test_migrations_are_applied_once_and_in_order(migrate, cluster, empty_database):
    assert migrate("status", _0001_one=ONE).stdout == "pending 0001 one -\n"
    assert migrate(_0001_one=ONE).stdout == "applied 0001 one\n"
    assert migrate(_0001_one=ONE, _0002_two=TWO).stdout == "applied 0002 two\n"
    again = migrate(_0001_one=ONE, _0002_two=TWO)
    assert (again.returncode, again.stdout) == (0, "")
    assert migrate("status", _0001_one=ONE, _0002_two=TWO).stdout == (
        "applied 0001 one dated\napplied 0002 two dated\n")
    assert ask(cluster, empty_database, "SELECT number, name, length(checksum) FROM "
               "schema_migration") == [(1, "one", 64), (2, "two", 64)]


def test_a_changed_migration_is_refused_by_name(migrate):
    migrate(_0001_one=ONE)
    refused = migrate(_0001_one=ONE + " ", _0002_two=TWO)
    assert refused.returncode == 1
    assert "EPERM: migration 0001_one was applied" in refused.stderr
    assert migrate("status", _0001_one=ONE + " ").stdout == "changed 0001 one dated\n"
    assert "EPERM" in migrate(_0001_uno=ONE).stderr


def test_a_newer_database_is_refused(migrate):
    migrate(_0001_one=ONE, _0002_two=TWO)
    refused = migrate(_0001_one=ONE)
    assert refused.returncode == 1 and "newer than this program" in refused.stderr
    assert "0002_two" in refused.stderr
    assert migrate("status", _0001_one=ONE).stdout.endswith("unknown 0002 two dated\n")


def test_a_migration_that_came_too_late_is_refused(migrate):
    migrate(_0002_two=TWO)
    refused = migrate(_0001_one=ONE, _0002_two=TWO)
    assert refused.returncode == 1 and "0001_one was not applied" in refused.stderr


def test_a_failing_migration_leaves_nothing(migrate, cluster, empty_database):
    failed = migrate(_0001_one=ONE, _0002_two="CREATE TABLE two (a int); SELECT 1/0;")
    assert failed.returncode == 1
    assert "migration 0002_two: division by zero (22012)" in failed.stderr
    assert ask(cluster, empty_database, "SELECT to_regclass('one'), to_regclass('two')") == [
        ("one", None)]
    assert migrate("status", _0001_one=ONE, _0002_two=TWO).stdout == (
        "applied 0001 one dated\npending 0002 two -\n")


def test_a_migration_must_not_commit(migrate):
    failed = migrate(_0001_one=ONE + " COMMIT;")
    assert failed.returncode == 1 and "ended its own transaction" in failed.stderr


def test_two_at_once_apply_each_migration_once(build, cluster, empty_database, tmp_path):
    paths = []
    for number in range(1, 9):
        path = tmp_path / f"000{number}_m{number}.sql"
        path.write_text(f"CREATE TABLE m{number} (a int); SELECT pg_sleep(0.02);")
        paths.append(str(path))
    command = [os.path.join(build, "system", "store_driver"), "migrate",
               cluster.dsn(database=empty_database), *paths]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [line for process in both for line in process.communicate(timeout=300)[0].splitlines()]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(lines) == [f"applied 000{n} m{n}" for n in range(1, 9)]


# ---- the first day -----------------------------------------------------------------------------


def test_init_can_be_said_again(build, cluster, database):
    before = ask(cluster, database, "SELECT id, secret FROM link_key")
    assert len(before) == 1 and len(before[0][1]) == 32
    subprocess.run([os.path.join(build, "system", "store_driver"), "init", cluster.dsn(), database],
                   check=True, timeout=300)
    assert ask(cluster, database, "SELECT id, secret FROM link_key") == before


def test_init_makes_roles_that_can_do_no_harm(cluster, database):
    roles = ask(cluster, database, "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR "
                "rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles "
                "WHERE rolname LIKE 'digestd%' ORDER BY 1")
    assert roles == [(f"digestd_{name}", True, False)
                     for name in ("engine", "operator", "owner", "web")]
    assert ask(cluster, database, "SELECT DISTINCT tableowner FROM pg_tables "
               "WHERE schemaname = 'public'") == [("digestd_owner",)]


@pytest.mark.parametrize("role", ["digestd_engine", "digestd_operator", "digestd_web"])
def test_the_record_of_migrations_is_the_owners(cluster, database, role):
    connection = psycopg2.connect(cluster.dsn(role, database))
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("DELETE FROM schema_migration")
    connection.close()


def test_strangers_may_not_connect(build, cluster, template):
    ask(cluster, "postgres", "CREATE ROLE stranger LOGIN")
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        psycopg2.connect(cluster.dsn("stranger", template))
    ask(cluster, "postgres", "DROP ROLE stranger")


def test_init_works_for_an_administrator_who_is_no_superuser(build):
    with Cluster() as own:
        ask(own, "postgres", "CREATE ROLE admin LOGIN CREATEDB CREATEROLE")
        for _ in range(2):
            done = subprocess.run([os.path.join(build, "system", "store_driver"), "init",
                                   own.dsn("admin"), "letters"],
                                  capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
        assert ask(own, "letters", "SELECT count(*) FROM link_key") == [(1,)]


# ---- named statements ---------------------------------------------------------------------------


def test_every_named_statement_is_one_that_the_schema_understands(cluster, database):
    complaints, count = lint_sql.check(cluster.dsn(database=database))
    assert not complaints, "\n".join(complaints)
    assert count > 0


def test_a_wrong_statement_is_told_with_its_place(cluster, database, tmp_path):
    path = tmp_path / "q.sql"
    path.write_text("-- name: good\nSELECT 1\n\n-- name: bad\n-- a comment\nSELECT id,\n\tnope\n"
                    "FROM list\n-- name: guess\nSELECT $1 IS NULL\n-- name: copied\n"
                    "COPY delivery (issue, nope) FROM STDIN\n-- name: locks\n"
                    "LOCK TABLE list IN EXCLUSIVE MODE\n")
    connection = psycopg2.connect(cluster.dsn(database=database))
    complaints, count = lint_sql.check_statements(connection, [str(path)])
    connection.close()
    assert count == 5
    assert [line.split("q.sql:")[1] for line in complaints] == [
        '7: bad: column "nope" does not exist',
        "10: guess: could not determine data type of parameter $1",
        '12: copied: column "nope" of relation "delivery" does not exist',
    ]


# ---- waiting connection ------------------------------------------------------------------------


def test_a_waiting_connection_queries_and_copies(build, cluster, empty_database):
    done = subprocess.run([os.path.join(build, "system", "store_driver"), "waiting",
                           cluster.dsn(database=empty_database)],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "query 7 zwei 2026-03-29T01:00:00.000001Z",
        "copied in 2500",
        "stopped EINTR",
        "the wrong way EBADMSG",
        "still 2500",
        "refused 42P01",
        "nested 42601",
        "commit of a failed transaction EBADMSG",
    ]
