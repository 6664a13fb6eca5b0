"""store_driver's loop as an object, and questions to a database behind its back."""

import os
import queue
import re
import subprocess
import threading
import time

import psycopg2
import pytest

from waiting import PATIENCE


class Driver:
    """store_driver's loop: commands in, lines out."""

    def __init__(self, build, dsn, limit_ms=None, environment=None):
        command = [os.path.join(build, "system", "store_driver"), "loop", dsn]
        if limit_ms:
            command.append(str(limit_ms))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})
        self.lines = queue.Queue()
        self.errors = []
        self.readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def _read_lines(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def say(self, *commands):
        self.process.stdin.write("".join(command + "\n" for command in commands))
        self.process.stdin.flush()

    def expect(self, pattern, timeout=PATIENCE):
        """Waits for a line that matches; returns it and those before it."""
        seen = []
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no line {pattern!r}; seen {seen}, errors {self.errors}")
            seen.append(line)
            if re.match(pattern, line):
                return seen

    def close(self):
        """Ends it and asks for a clean end: the sanitizers' word counts."""
        if self.process.poll() is None:
            self.say("quit")
        self.process.stdin.close()
        code = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join(5)
        rest = []
        while not self.lines.empty():
            rest.append(self.lines.get())
        assert code == 0, "".join(self.errors)
        return rest

    def logged(self, text, times=1):
        """Whether the log says it just so often; waits for lines that are on their way."""
        deadline = time.monotonic() + PATIENCE
        while self.count_logged(text) < times and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.count_logged(text) == times

    def count_logged(self, text):
        return sum(text in line for line in self.errors)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
        else:
            self.close()


def ask(cluster, database, sql):
    connection = psycopg2.connect(cluster.dsn(database=database))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()
