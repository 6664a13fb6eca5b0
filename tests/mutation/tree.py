"""A private copy of the project, in which things are broken, built and tested."""

import ctypes
import filecmp
import glob
import os
import re
import shutil
import signal
import subprocess
import time

LEFT_OUT = {".git", ".demo", ".lab", "build", "__pycache__", ".pytest_cache"}
PR_SET_CHILD_SUBREAPER = 36
LAST_WORDS = 30   # seconds that a test has for taking down what it began
BUILD_LIMIT = 1800

# What system tests run; others get all programs.
NEEDS = {
    "test_queue_sql.py": set(), "test_retry_size.py": set(), "test_schema.py": set(),
    "test_smtp.py": {"build/system/smtp_driver"}, "test_relay.py": {"build/system/relay_driver"},
    "test_check.py": {"all"}, "test_hands.py": {"all"}, "test_promise.py": {"build/digestd", "faults"},
    **{f"test_{name}.py": {"build/digestd"} for name in (
        "engine", "outbox", "sessions", "takeover", "engines", "failover")},
}


class TooLong(Exception):
    """A command didn't end in its time."""


# ---- processes -----------------------------------------------------------------------------------

def adopt_orphans():
    """What our children leave behind becomes ours, so that it can be found and ended."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants():
    parents = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                words = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] != "Z":
            parents.setdefault(int(words[1]), []).append(int(path.split("/")[2]))
    found, ask = [], [os.getpid()]
    while ask:
        mine = parents.get(ask.pop(), [])
        found += mine
        ask += mine
    return found


def end_descendants():
    """Ends what is left of what we began; servers by a signal that lets them tidy up first."""
    for number, seconds in (signal.SIGQUIT, 5), (signal.SIGKILL, 5):
        end = time.monotonic() + seconds
        left = descendants()
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        while descendants() and time.monotonic() < end:
            time.sleep(0.05)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


# ---- the copy ------------------------------------------------------------------------------------

def files_of(root):
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in LEFT_OUT]
        for file in files:
            yield os.path.relpath(os.path.join(directory, file), root)


def bring(source, target):
    """Makes target's files those of source, but for what was built; what is alike stays, so that
    little has to be built again."""
    wanted = set(files_of(source))
    for file in files_of(target) if os.path.exists(target) else ():
        if file not in wanted:
            os.unlink(os.path.join(target, file))
    for file in wanted:
        here, there = os.path.join(source, file), os.path.join(target, file)
        if os.path.exists(there) and filecmp.cmp(here, there, shallow=False):
            continue
        os.makedirs(os.path.dirname(there), exist_ok=True)
        new = os.path.exists(there)
        shutil.copy2(here, there)
        if new:
            os.utime(there)   # newer than what was built from the one before


class Tree:
    def __init__(self, root, patience):
        self.root = root
        self.env = {**os.environ, "DIGESTD_PATIENCE": str(patience), "COLUMNS": "400", "DIGESTD_BUILD": "build",
                    "PYTHONDONTWRITEBYTECODE": "1"}
        self.env.pop("MAKEFLAGS", None)
        self.env.pop("MAKELEVEL", None)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def run(self, words, seconds):
        """(exit status, output) of a command. Nothing that it began is left."""
        process = subprocess.Popen(words, cwd=self.root, env=self.env, text=True, errors="replace",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, _ = process.communicate(timeout=seconds)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=LAST_WORDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise TooLong(f"{' '.join(words[:6])} ... took more than {seconds} s") from None
        finally:
            end_descendants()

    # ---- building ----

    def make(self, *targets, jobs):
        status, output = self.run(["make", "-s", f"-j{jobs}", "O=build", *targets], BUILD_LIMIT)
        return None if status == 0 else output

    def build_units(self, names, jobs):
        return self.make(*(f"build/tests/{name}" for name in names), jobs=jobs) if names else None

    def build_for(self, tests, jobs):
        """What these system tests run, and no more where that is known."""
        targets = set()
        for test in tests:
            targets |= NEEDS.get(test.partition("::")[0], {"all", "faults"}) | {"build/system/store_driver"}
        return self.make(*sorted(targets), jobs=jobs)

    def build_programs(self, jobs):
        drivers = [os.path.basename(path)[:-2] for path in glob.glob(self.path("tests", "system", "*.c"))]
        return self.make("all", "faults", *(f"build/system/{name}" for name in sorted(drivers)), jobs=jobs)

    # ---- testing: each tells (whether all is well, what failed, its words) ----

    def unit(self, name, seconds):
        status, output = self.run([self.path("build", "tests", name)], seconds)
        if status == 0:
            return None
        failed = re.findall(r"(?m)^\[  FAILED  \] (?:\S+: )?(\w+)$", output)
        what = failed[0] if failed else f"ended by {status}"
        said = re.search(r"(?m)^(?:\[  ERROR   \] --- )(.*)$", output)
        return f"unit/{name}: {what}", said[1] if said else ""

    def system(self, tests, seconds, workers=0):
        words = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=line", "-rfE"]
        if workers:
            words += ["-n", str(workers), "--dist", "loadfile"]
        status, output = self.run([*words, *(f"tests/system/{test}" for test in tests)], seconds)
        if status == 0:
            return None
        found = re.search(r"(?m)^(FAILED|ERROR) tests/system/(\S+(?:\[.*?\])?)(?: - (.*))?$", output)
        if not found:
            return "system: pytest ended by " + str(status), output[-2000:]
        kind = "" if found[1] == "FAILED" else " (can't be run)"
        return f"system/{found[2]}{kind}", (found[3] or "")[:200]

    def chaos(self, seed, readers, seconds):
        status, output = self.run(["/usr/bin/python3", "-B", "tests/chaos/chaos.py", "--build", "build", "--rounds", "1",
                                   "--seed", str(seed), "--readers", str(readers)], seconds)
        if status == 0:
            return None
        findings = re.findall(r"(?m)^ {7}(.*)$", output)
        return f"chaos/{seed}", (findings[0] if findings else output.strip()[-300:])[:200]
