"""digestctl as tests call it: against one database, with a configuration of its own."""

import json
import os
import subprocess

from waiting import PATIENCE


class Ctl:
    """Runs digestctl; `ctl("list", "ls")` gives the finished process."""

    def __init__(self, build, cluster, database, home):
        self.program = os.path.join(build, "digestctl")
        self.home = home
        self.config = os.path.join(home, "digestd.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("database = {\n")
            for login in "operator", "owner":
                dsn = cluster.dsn(f"digestd_{login}", database)
                file.write(f'\t{login} = "{dsn}";\n')
            file.write("};\n")
            file.write('relays = ({ name = "local"; host = "127.0.0.1"; port = 25; tls = "none"; });\n')

    def __call__(self, *arguments, stdin="", env=None, **options):
        text = not isinstance(stdin, bytes)
        return subprocess.run([self.program, *map(str, arguments)], input=stdin, text=text,
                              capture_output=True, timeout=options.pop("timeout", PATIENCE), check=False,
                              env={**os.environ, "TZ": "UTC", "DIGESTD_CONFIG": self.config,
                                   **(env or {})}, **options)

    def ok(self, *arguments, **options):
        """What it prints, when it does what it is asked."""
        done = self(*arguments, **options)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.ok(*arguments, "--json", **options))

    def fails(self, status, *arguments, **options):
        """What it says when it fails: one line, and nothing on standard output."""
        done = self(*arguments, **options)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert done.stdout == ""
        return done.stderr
