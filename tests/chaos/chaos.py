#!/usr/bin/python3
"""Rounds of chaos: engines deliver an issue while everything goes wrong that a seed has drawn; then what
the store says is held against what the SMTP server itself wrote down.

    make chaos ROUNDS=40 SEED=7 READERS=2000 ENGINES=3 POLICY=skip PLACE=pair+pooled JOBS=2

A round is its seed: `SEED=107 ROUNDS=1` runs one of them again. A long run is made of ranges of seeds;
with --resume, seeds that the state file has as good are not run again. A round mostly waits, so as
many as the machine can bear run side by side (--jobs), each with a server of its own.

    place.py   where the database stands: alone, with a standby, behind a pooler
    world.py   engines, proxies, the SMTP server: all that can be done to them
    faults.py  what goes wrong          people.py  what readers do meanwhile
    judge.py   what must hold           chaos.py   this: one round after the other
"""

import argparse
import json
import multiprocessing
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]

import psycopg2  # noqa: E402

import faults  # noqa: E402
import people  # noqa: E402
import place  # noqa: E402
from judge import Judge  # noqa: E402
from world import World  # noqa: E402

# Seconds that a round may stand still in after the storm.
PATIENCE = int(os.environ.get("DIGESTD_PATIENCE", "240"))
REAL_ONE_IN = 25


def unsettled(world):
    """What is still to come: None when everything has ended."""
    [left] = world.ask("""SELECT (SELECT count(*) FROM issue WHERE ended_at IS NULL),
        (SELECT count(*) FROM letter WHERE outcome IS NULL),
        (SELECT count(*) FROM send_window WHERE settled_at IS NULL), (SELECT count(*) FROM deferral)""")
    if not any(left):
        return None
    return "{} issues, {} letters, {} windows, {} deferrals".format(*left)


def settle(world):
    """As an operator: decides about doubts that are held for one; once, so not again about those of whom
    it turned out that they have left."""
    for issue, in world.ask("""SELECT DISTINCT d.issue FROM delivery d JOIN issue i ON i.id = d.issue
            WHERE i.ended_at IS NULL AND d.outcome = 'in_doubt' AND d.reason LIKE 'in doubt, held:%%' AND NOT EXISTS (
                SELECT 1 FROM attempt a WHERE (a.issue, a.subscriber) = (d.issue, d.subscriber) AND a.at > d.at)"""):
        world.ctl("issue", "settle", issue, "--doubt", world.policy, "--yes")
        world.settled += 1


def come_to_the_end(world):
    began = moved = time.monotonic()
    looked, left = 0, "everything"
    while time.monotonic() < min(moved + PATIENCE, began + 10 * PATIENCE):
        world.tick()
        if time.monotonic() - looked < 0.3:
            continue
        looked = time.monotonic()
        try:
            before, left = left, unsettled(world)
            if left != before:
                moved = looked
            if left is None and not world.steps and all(host.lives() for host in world.hosts):
                return None
            if looked > began + 1:
                settle(world)
        except psycopg2.Error as error:
            left = str(error)
    return left or f"{len(world.steps)} steps that can't be done"


def storm(world, rng, readers, count, seed):
    """Everything at the same time: an issue goes out, and all that was drawn goes wrong."""
    for host in world.hosts:
        host.start()
    people.early(world, rng)
    world.open_issue()
    world.began = time.monotonic()
    world.steps = [(0.0, n, do, arguments) for n, (_, _, do, arguments) in enumerate(sorted(world.steps, key=lambda s: s[:2]))]
    names = faults.draw(world, rng, count, seed)
    people.live(world, rng, readers)
    world.ticked = time.monotonic()
    # All that was laid into the calendar is done before it is undone, however slow the machine is.
    while world.now() < faults.STORM or world.database_away or world.steps and world.now() < 10 * faults.STORM:
        world.tick()
    faults.calm(world)
    return names


def run_round(args, ground, seed):
    """Its result, and what there is to say of it."""
    rng = random.Random(seed)
    # All is drawn in any case, so that what follows is the seed's alone.
    policy = rng.choice(["skip", "resend"])
    real = rng.randrange(REAL_ONE_IN) == 0
    kind = rng.choices(place.KINDS, place.WEIGHTS)[0]
    synchronous = rng.random() < 2 / 3
    policy, kind = args.policy or policy, args.place or kind
    began = time.monotonic()
    where = place.stand(ground, kind, seed, synchronous)
    try:
        world = World(args.build, where, args.readers, args.engines, policy, real)
        try:
            set_up = time.monotonic() - began
            names = storm(world, rng, args.readers, rng.randrange(4, 10), seed)
            calm = time.monotonic() - began
            stuck = come_to_the_end(world)
            ended = time.monotonic() - began
            judge = Judge(world)
            findings = judge.all()
            if stuck:
                findings.insert(0, ("the round", "doesn't come to its end: " + stuck))
            result = {"seed": seed, "policy": policy, "place": kind, "synchronous": where.synchronous, "real": real,
                      "readers": args.readers, "engines": args.engines,
                      "faults": names, "accepted": judge.accepted, "copies": judge.copies, "doubts": judge.doubts,
                      "allowed": judge.allowed, "lost": judge.lost, "settled": world.settled,
                      "points": dict(world.hits), "seconds": round(time.monotonic() - began, 1),
                      "set_up": round(set_up, 1), "end": round(ended - calm, 1),
                      "judge": round(time.monotonic() - began - ended, 1), "ok": not findings}
            said = [line_of(result)]
            if findings:
                said += tell_story(args, world, judge, findings, seed)
            return result, "\n".join(said)
        finally:
            world.close()
    finally:
        where.remove(args.keep)


def line_of(r):
    return (f"{r['seed']:6} {r['policy']:6} {r['place']}{' real' if r['real'] else ''} {r['accepted']:6} accepted"
            f" {r['copies']:3} copies {r['doubts']:3}/{r['allowed']} doubts {r['lost']:3} lost, named"
            f" {r['seconds']:5.1f} s {'ok' if r['ok'] else 'WRONG'}  {' '.join(r['faults'])}")


def tell_story(args, world, judge, findings, seed):
    """What is wrong, each wrong reader's story; the engines' logs and journals are kept."""
    kept = os.path.join(args.build, "chaos", f"seed-{seed}")
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    for host in world.hosts:
        host.die()
        shutil.copytree(host.home, os.path.join(kept, f"engine{host.number}"), dirs_exist_ok=True)
    shutil.copy(os.path.join(world.home, "truth"), kept)
    shutil.copy(world.cluster.log, os.path.join(kept, "postgresql.log"))
    subprocess.run([os.path.join(world.cluster.bin, "pg_dump"), "-f", os.path.join(kept, "dump.sql"),
                    world.cluster.dsn(database=world.database)], check=False, capture_output=True)
    with open(os.path.join(kept, "story"), "w", encoding="utf-8") as file:
        for who, words in findings:
            print(f"{who}: {words}", file=file)
        for who, words in findings[:20]:
            story = judge.story(who)
            if story:
                print(f"\n== {who}: {words}\n{story}", file=file)
    return [*(f"       {who}: {words}" for who, words in findings[:8]),
            f"       {len(findings)} findings; stories, logs and journals in {kept}"]


class State:
    """The results so far, a line of JSON each."""

    def __init__(self, path):
        self.path = path
        self.done = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    result = json.loads(line)
                    self.done[self.key(result)] = result

    @staticmethod
    def key(result):
        return result["seed"], result["readers"], result["engines"]

    def add(self, result):
        self.done[self.key(result)] = result
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")


def known_points(build):
    listed = subprocess.run([os.path.join(build, "faults", "digestd"), "--list-fault-points"], stdout=subprocess.PIPE,
                            text=True, check=True).stdout
    return {line.split("\t")[1] for line in listed.splitlines()}


def total(args, results):
    points = {}
    for result in results:
        for name, count in result["points"].items():
            points[name] = points.get(name, 0) + count
    good = sum(result["ok"] for result in results)

    def add(key):
        return sum(result[key] for result in results)
    print(f"{len(results)} rounds, {good} good; {add('accepted')} accepted, {add('copies')} copies, {add('doubts')} doubts,"
          f" {add('lost')} lost and named; died at {len(points)} fault points; {add('seconds'):.0f} s")
    missed = known_points(args.build) - points.keys()
    if missed and points:
        print("not died at: " + " ".join(sorted(missed)))
    if good < len(results):
        print("wrong: " + " ".join(str(result["seed"]) for result in results if not result["ok"]))
    return good == len(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--build", default="build")
    add("--rounds", type=int, default=40)
    add("--seed", type=int, default=1)
    add("--readers", type=int, default=2000)
    add("--engines", type=int, default=3)
    add("--place", choices=place.KINDS, help="by default each round draws one")
    add("--jobs", type=int, default=1, help="rounds that run side by side")
    add("--policy", choices=["skip", "resend"], help="by default each round draws one")
    add("--state", help="where results are kept (chaos/results in the build directory)")
    add("--resume", action="store_true", help="leave out seeds that are known to be good")
    add("--keep", action="store_true", help="leave the databases, and the server running")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    os.makedirs(os.path.join(args.build, "chaos"), exist_ok=True)
    state = State(args.state or os.path.join(args.build, "chaos", "results"))

    # Ended from outside, it still ends its engines and its server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(0 if total(args, run(args, state)) else 1)


def run(args, state):
    """Gives the seeds out to as many processes as there may be; returns all results."""
    results, seeds, context = [], [], multiprocessing.get_context("fork")
    for seed in range(args.seed, args.seed + args.rounds):
        known = state.done.get((seed, args.readers, args.engines))
        if args.resume and known and known["ok"]:
            results.append(known)
        else:
            seeds.append(seed)
    todo, done = context.Queue(), context.Queue()
    workers = [context.Process(target=work, args=(args, todo, done)) for _ in range(min(args.jobs, len(seeds)))]
    for seed in [*seeds, *[None] * len(workers)]:
        todo.put(seed)
    for worker in workers:
        worker.start()
    try:
        for _ in seeds:
            result, said = answer(done, workers)
            print(said, flush=True)
            results.append(result)
            state.add(result)
    finally:
        for worker in workers:
            if len(results) < args.rounds:
                worker.terminate()
            worker.join()
    return results


def answer(done, workers):
    while True:
        try:
            return done.get(timeout=1)
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                sys.exit("a round could not be run to its end")


def work(args, todo, done):
    ground = place.Ground(args.build, args.readers)
    try:
        while (seed := todo.get()) is not None:
            done.put(run_round(args, ground, seed))
    finally:
        if args.keep:
            print("the plain cluster is left in " + ground.plain().home)
        else:
            ground.remove()


if __name__ == "__main__":
    main()
