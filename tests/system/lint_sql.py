#!/usr/bin/python3
"""Has PostgreSQL read every named statement of sql/queries, without running any.

Usage: lint_sql.py [CONNINFO]   with CONNINFO a database that has the schema; otherwise a private
                                server is started for it ($DIGESTD_BUILD holds store_driver).

A statement that can be prepared is; a COPY is begun with no row, anything else is executed, both
in a transaction that is rolled back. Prints "file:line: message" and exits 1 when one is refused.
Bodies of PL/pgSQL functions are looked through too where plpgsql_check is installed.
"""

import glob
import io
import os
import re
import subprocess
import sys

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pg import Cluster  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PREPARED = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|VALUES|WITH|TABLE)\b", re.I)
COPY_IN = re.compile(r"\s*COPY\b.*\bFROM\s+STDIN\b", re.I | re.S)


class Statement:
    def __init__(self, name, path):
        self.name = name
        self.path = path
        self.lines = []  # (number in the file, text)

    @property
    def text(self):
        return "\n".join(text for _, text in self.lines).rstrip().rstrip(";")

    def line_at(self, position):
        """The file's line of a position (from 1) in the text."""
        before = self.text[:max(0, position - 1)].count("\n")
        return self.lines[min(before, len(self.lines) - 1)][0]


def read_statements(path):
    """Cuts a file as sql/queries.awk does."""
    found = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if line.startswith("-- name: "):
                found.append(Statement(line.split()[2], os.path.relpath(path, ROOT)))
            elif found and line.strip() and not line.lstrip().startswith("--"):
                found[-1].lines.append((number, line))
    return found


def try_one(cursor, statement):
    text = statement.text
    if PREPARED.match(text):
        cursor.execute(f"PREPARE digestd_lint AS {text}")
    elif COPY_IN.match(text):
        cursor.copy_expert(text, io.StringIO(""))
    else:
        cursor.execute(text)


def check_statements(connection, paths):
    """Returns the complaints, one line each, and how many statements were read."""
    complaints, count = [], 0
    for path in paths:
        for statement in read_statements(path):
            count += 1
            try:
                with connection.cursor() as cursor:
                    try_one(cursor, statement)
            except psycopg2.Error as error:
                position = int(error.diag.statement_position or 0)
                if PREPARED.match(statement.text):
                    position -= len("PREPARE digestd_lint AS ")
                message = error.diag.message_primary or str(error).strip()
                complaints.append(f"{statement.path}:{statement.line_at(position)}: "
                                  f"{statement.name}: {message}")
            finally:
                connection.rollback()
                with connection.cursor() as cursor:
                    cursor.execute("DEALLOCATE ALL")
                connection.commit()
    return complaints, count


def check_functions(connection):
    """What plpgsql_check says of our functions; nothing when it isn't installed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_available_extensions WHERE name = 'plpgsql_check'")
        if cursor.rowcount == 0:
            return []
        cursor.execute("CREATE EXTENSION IF NOT EXISTS plpgsql_check")
        cursor.execute("""
            SELECT format('%s: line %s: %s', p.oid::regprocedure, c.lineno, c.message)
              FROM pg_proc p
              JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
              JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'public',
                   LATERAL plpgsql_check_function_tb(p.oid, other_warnings => true,
                                                     extra_warnings => true) c
             WHERE p.prorettype <> 'trigger'::regtype
               AND c.level IN ('error', 'warning', 'warning extra')
             ORDER BY 1""")
        found = [row[0] for row in cursor.fetchall()]
    connection.rollback()
    return found


def check(conninfo):
    connection = psycopg2.connect(conninfo)
    paths = sorted(glob.glob(os.path.join(ROOT, "sql", "queries", "*.sql")))
    complaints, count = check_statements(connection, paths)
    complaints += check_functions(connection)
    connection.close()
    return complaints, count


def check_on_own_server():
    driver = os.path.join(ROOT, os.environ.get("DIGESTD_BUILD", "build"), "system", "store_driver")
    with Cluster() as cluster:
        subprocess.run([driver, "init", cluster.dsn(), "digestd"], check=True)
        return check(cluster.dsn(database="digestd"))


def main(arguments):
    complaints, count = check(arguments[0]) if arguments else check_on_own_server()
    for line in complaints:
        print(line)
    print(f"{count} statements: {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
