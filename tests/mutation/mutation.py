#!/usr/bin/python3
"""Breaks the heart of the code on purpose, one place at a time, and sees that the tests notice.

    make mutation                          all mutants
    make mutation MUTANTS="3-7 journal-*"  by number, range, name or pattern
    make mutation RESUME=1                 not those that were caught before

Each mutant (mutants.toml) is put into a private copy of the tree and built there. Then run, until one
of them is red: the tests that it names, the tests of the heart, some rounds of chaos. What was red must
be green in a copy without the mutant. A test that ends by the runner's time limit has noticed nothing.

At the end comes a table, kept in the build directory: mutant, caught by what; or survived, and then
the exit status is 1. 2: the list doesn't fit the code.

    mutants.py  the list          tree.py  a copy, its building and testing          mutation.py  this
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import mutants as listed  # noqa: E402
from tree import TooLong, Tree, adopt_orphans, bring, end_descendants  # noqa: E402

# What is run when the named tests noticed nothing.
HEART_UNITS = ["test_window", "test_journal", "test_retry", "test_reply", "test_rendering", "test_identity", "test_watch",
               "test_recall"]
HEART = ["queue_sql", "smtp", "relay", "engine", "outbox", "promise", "schema", "audit", "check", "hands", "sessions", "takeover",
         "engines", "database_faults", "failover", "retry_size", "ctl_issue", "ctl_explain", "fault_points"]

NAMED_LIMIT, HEART_LIMIT, CHAOS_LIMIT = 1200, 5400, 1200   # seconds: of a test, of all, of a round


class Slot:
    """What one worker has: a copy to break things in, and one where all is well."""

    def __init__(self, args, number):
        self.args = args
        self.tree = Tree(os.path.join(args.work, f"slot{number}"), args.patience)
        self.whole = Tree(os.path.join(args.work, "whole"), args.patience)
        self.green = set()

    def try_out(self, mutant):
        """The mutant's line of the table."""
        began = time.monotonic()
        path = self.tree.path(mutant.file)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        result = {"number": mutant.number, "name": mutant.name, "digest": mutant.digest()}
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(mutant.applied(text))
            result.update(self.hunt(mutant))
        except TooLong as long:
            result.update(outcome="no answer", by="", said=str(long))
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        result["seconds"] = round(time.monotonic() - began)
        return result

    def hunt(self, mutant):
        for stage in self.named, self.heart, self.chaos:
            found = stage(mutant)
            if found:
                return found
        return {"outcome": "survived", "by": "", "said": ""}

    def built(self, output):
        return output and {"outcome": "doesn't build", "by": "", "said": output[-2000:]}

    def named(self, mutant):
        units = [test.partition("/")[2] for test in mutant.first if test.startswith("unit/")]
        others = [test.partition("/")[2] for test in mutant.first if test.startswith("system/")]
        wrong = self.built(self.tree.build_units(units, self.args.make))
        for name in units:
            wrong = wrong or self.judge("named", self.tree.unit(name, NAMED_LIMIT))
        if not wrong and others:
            wrong = self.built(self.tree.build_for(others, self.args.make))
        for test in others:
            wrong = wrong or self.judge("named", self.tree.system([test], NAMED_LIMIT))
        return wrong

    def heart(self, _):
        if self.args.named:
            return None
        wrong = self.built(self.tree.build_units(HEART_UNITS, self.args.make) or self.tree.build_programs(self.args.make))
        for name in HEART_UNITS:
            wrong = wrong or self.judge("wider", self.tree.unit(name, NAMED_LIMIT))
        tests = [f"test_{name}.py" for name in HEART]
        return wrong or self.judge("wider", self.tree.system(tests, HEART_LIMIT, self.args.workers))

    def chaos(self, _):
        for seed in range(self.args.seed, self.args.seed + self.args.rounds):
            found = self.judge("chaos", self.tree.chaos(seed, self.args.readers, CHAOS_LIMIT))
            if found:
                return found
        return None

    def judge(self, how, found):
        """A test that is red: is it the mutant that it noticed?"""
        if not found:
            return None
        what, said = found
        if what.endswith("(can't be run)"):
            return {"outcome": "can't be run", "by": what, "said": said}
        if not self.args.trust and not self.is_green(what):
            return {"outcome": "unclear", "by": what, "said": "it is red without the mutant, too"}
        return {"outcome": "caught", "how": how, "by": what, "said": said}

    def is_green(self, what):
        if what not in self.green:
            kind, _, test = what.partition("/")
            if kind == "unit":
                failed = self.whole.unit(test.partition(":")[0], NAMED_LIMIT)
            elif kind == "system":
                failed = self.whole.system([test], NAMED_LIMIT)
            else:
                failed = self.whole.chaos(test, self.args.readers, CHAOS_LIMIT)
            if failed:
                return False
            self.green.add(what)
        return True


# ---- workers -------------------------------------------------------------------------------------

SLOT = None


def begin(args, numbers):
    global SLOT
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    adopt_orphans()
    SLOT = Slot(args, numbers.get())


def leave(*_):
    end_descendants()
    os._exit(143)


def work(mutant):
    try:
        return SLOT.try_out(mutant)
    except Exception as error:   # told by the one who asked
        return {"number": mutant.number, "name": mutant.name, "digest": "", "outcome": "failed", "by": "",
                "said": f"{type(error).__name__}: {error}", "seconds": 0}


# ---- the whole -----------------------------------------------------------------------------------

def prepare(args):
    """The copies: one is built whole, the others begin as it."""
    os.makedirs(args.work, exist_ok=True)
    whole = Tree(os.path.join(args.work, "whole"), args.patience)
    bring(ROOT, whole.root)
    if not args.trust:
        print("building without a mutant", flush=True)
        output = whole.build_units(HEART_UNITS, args.make) or whole.build_programs(args.make)
        if output:
            sys.exit("it doesn't build:\n" + output)
    for number in range(args.jobs):
        slot = os.path.join(args.work, f"slot{number}")
        if not os.path.exists(slot):
            shutil.copytree(whole.root, slot, symlinks=True)
        bring(ROOT, slot)


def line(result):
    words = f"{result['number']:3} {result['name']:34} "
    if result["outcome"] == "caught":
        words += f"{result['how']:6} {result['by']}"
    else:
        words += f"{result['outcome'].upper()} {result['by']}"
    words += f"  ({result['seconds']} s)"
    said = " ".join(result["said"].split())
    return words + (f"\n{'':39}{said[:160]}" if said else "")


def remember(args, results):
    with open(os.path.join(args.work, "results"), "a", encoding="utf-8") as file:
        for result in results:
            file.write(json.dumps(result) + "\n")


def known(args):
    """What was caught before, by digest of the mutant."""
    path = os.path.join(args.work, "results")
    if not args.resume or not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        results = [json.loads(row) for row in file]
    return {result["digest"]: result for result in results if result["outcome"] == "caught"}


def tell(args, results):
    table = "\n".join(line(result) for result in sorted(results, key=lambda result: result["number"]))
    caught = [result for result in results if result["outcome"] == "caught"]
    kinds = {kind: sum(result["by"].startswith(kind + "/") for result in caught) for kind in ("unit", "system", "chaos")}
    named = sum(result["how"] == "named" for result in caught)
    total = (f"{len(results)} mutants, {len(caught)} caught: " + ", ".join(f"{n} by {kind}" for kind, n in kinds.items())
             + f"; {named} by the tests named first; {len(results) - len(caught)} not")
    with open(os.path.join(args.work, "table"), "w", encoding="utf-8") as file:
        file.write(f"{table}\n\n{total}\n")
    print(f"\n{table}\n\n{total}", flush=True)
    return len(caught) == len(results)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("mutants", nargs="*", help="a number, a range, a name, a pattern")
    add("--work", default="build/mutation", help="where the copies and the table are")
    add("--jobs", type=int, default=2, help="mutants at a time")
    add("--make", type=int, default=2, help="compilers at a time, for each")
    add("--workers", type=int, default=2, help="system tests at a time, when the wider set is run")
    add("--patience", type=int, default=120, help="seconds after which a test says that what it waits for didn't come")
    add("--rounds", type=int, default=6, help="rounds of chaos for what no test noticed")
    add("--seed", type=int, default=1, help="the first round's")
    add("--readers", type=int, default=500, help="of a round")
    add("--resume", action="store_true", help="leave out those that were caught before")
    add("--named", action="store_true", help="run the named tests and chaos only")
    add("--trust", action="store_true", help="all tests were just run, and are green without a mutant")
    add("--list", action="store_true", help="list the mutants")
    add("--check", action="store_true", help="see that they fit the code, and run nothing")
    args = parser.parse_args()
    args.work = os.path.abspath(args.work)
    return args


def run(args, chosen):
    if "DIGESTD_CORPORA" not in os.environ:
        os.environ["DIGESTD_CORPORA"] = os.path.join(os.path.dirname(ROOT), "shared", "corpora")
    adopt_orphans()
    before = known(args)
    results = [before[mutant.digest()] | {"number": mutant.number} for mutant in chosen if mutant.digest() in before]
    todo = [mutant for mutant in chosen if mutant.digest() not in before]
    if todo:
        prepare(args)
        numbers = multiprocessing.Queue()
        for number in range(args.jobs):
            numbers.put(number)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        with multiprocessing.Pool(args.jobs, begin, (args, numbers)) as pool:
            for result in pool.imap_unordered(work, todo, chunksize=1):
                print(line(result), flush=True)
                remember(args, [result])
                results.append(result)
    return tell(args, results)


def main():
    args = options()
    try:
        mutants = listed.read()
        chosen = listed.choose(mutants, args.mutants)
    except listed.Misfit as misfit:
        print(misfit, file=sys.stderr)
        sys.exit(2)
    misfits = listed.check(mutants, ROOT)
    if misfits:
        print("\n".join(misfits), file=sys.stderr)
        sys.exit(2)
    if args.list:
        for mutant in chosen:
            print(f"{mutant.number:3} {mutant.name:34} {mutant.file}\n{'':39}{mutant.means}")
    elif args.check:
        print(f"{len(mutants)} mutants fit the code")
    else:
        sys.exit(0 if run(args, chosen) else 1)


if __name__ == "__main__":
    main()
