"""The list of mutants, mutants.toml: reading it, and seeing that it still fits the code.

A mutant is one piece of text in one file, and what stands there instead:

    name    by which it is asked for
    file    from the project's root
    old     what is there: exactly once, so that the list can't rot
    new     what is put in its place
    means   what goes wrong then, for a reader or an operator
    first   the tests that should notice, those that tell soonest first:
            "unit/test_journal", "system/test_outbox.py::test_that"
"""

import fnmatch
import hashlib
import json
import os
import re
import tomllib
from dataclasses import asdict, dataclass

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mutants.toml")


class Misfit(Exception):
    """The list, or one of its mutants, doesn't fit the code."""


@dataclass(frozen=True)
class Mutant:
    number: int
    name: str
    file: str
    old: str
    new: str
    means: str
    first: tuple

    def digest(self):
        """Changes when the mutant does."""
        told = {**asdict(self), "number": 0}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def applied(self, text):
        """A file's text with the mutant in it."""
        found = text.count(self.old)
        if found != 1:
            raise Misfit(f"{self.name}: its old text is {found} times in {self.file}, not once")
        return text.replace(self.old, self.new)

    def check(self, root):
        path = os.path.join(root, self.file)
        if not os.path.exists(path):
            raise Misfit(f"{self.name}: there is no {self.file}")
        if self.old == self.new or not self.old.strip():
            raise Misfit(f"{self.name}: it changes nothing")
        if not self.first:
            raise Misfit(f"{self.name}: no test is named that should notice")
        for test in self.first:
            check_test(root, self.name, test)
        with open(path, encoding="utf-8") as file:
            self.applied(file.read())


def check_test(root, name, test):
    """A test that is named is there."""
    kind, _, rest = test.partition("/")
    file, _, function = rest.partition("::")
    path = os.path.join(root, "tests", kind, file + (".c" if kind == "unit" else ""))
    if kind not in ("unit", "system") or not os.path.exists(path):
        raise Misfit(f"{name}: there is no test {test}")
    if function:
        with open(path, encoding="utf-8") as text:
            if not re.search(rf"(?m)^def {re.escape(function.partition('[')[0])}\(", text.read()):
                raise Misfit(f"{name}: there is no test {test}")


def read(path=LIST):
    with open(path, "rb") as file:
        entries = tomllib.load(file)["mutant"]
    wanted = {"name", "file", "old", "new", "means", "first"}
    for entry in entries:
        if set(entry) != wanted:
            raise Misfit(f"{entry.get('name', '?')}: it has not just {', '.join(sorted(wanted))}")
    mutants = [Mutant(number, **{**entry, "first": tuple(entry["first"])})
               for number, entry in enumerate(entries, 1)]
    names = [mutant.name for mutant in mutants]
    for name in names:
        if names.count(name) > 1:
            raise Misfit(f"{name}: two mutants have this name")
    return mutants


def check(mutants, root):
    """All that doesn't fit, a line each."""
    found = []
    for mutant in mutants:
        try:
            mutant.check(root)
        except Misfit as misfit:
            found.append(str(misfit))
    return found


def choose(mutants, words):
    """Those that words name: a number, a range ("3-7"), a name, a pattern ("journal-*")."""
    if not words:
        return mutants
    chosen = set()
    for word in words:
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", word)
        if span:
            low, high = int(span[1]), int(span[2] or span[1])
            hits = {m.number for m in mutants if low <= m.number <= high}
        else:
            hits = {m.number for m in mutants if fnmatch.fnmatchcase(m.name, word)}
        if not hits:
            raise Misfit(f"no mutant is {word}")
        chosen |= hits
    return [mutant for mutant in mutants if mutant.number in chosen]
