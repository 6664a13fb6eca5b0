"""What goes wrong in a round, each fault a function that draws its details from the round's own random
numbers and lays its steps into the world's calendar. It returns the words by which the round's line
names it. `@fault(weight, needs)` puts it among those that are drawn; `needs(world)` is whether this
world has what the fault is about.

Whatever a fault leaves behind is undone by calm(), when the storm is over.
"""

import contextlib
import os
import signal
import subprocess
import time

from world import CONNECTIONS

STORM = 6.0   # seconds
FAULTS = []
LOSE_JOURNAL = {"journal-torn"}   # points that are left to journal_lost()
CUTS = {
    "turn-failed": [(b"SET turn", {"before": True})],
    "turn-unknown": [(b"COMMIT", {"after": b"SET turn"})],
    "turn-known-done": [(b"COMMIT", {"after": b"SET turn"})],
    "turn-known-undone": [(b"COMMIT", {"after": b"SET turn", "before": True})],
}


def fault(weight, needs=lambda world: True):
    def enter(function):
        FAULTS.append((weight, needs, function))
        return function
    return enter


def draw(world, rng, count, seed):
    """Lays so many faults into the calendar; returns their names. The first is a fault point, by turns of
    the seeds, so that a long run comes to all of them."""
    points = [point for point in world.points if point not in LOSE_JOURNAL]
    names = [fault_point(world, rng, points[seed % len(points)])]
    if world.place.synchronous is not None:
        names.append(fail_over(world, rng))
    chosen = [(weight, function) for weight, needs, function in FAULTS if needs(world)]
    for function in rng.choices([f for _, f in chosen], [w for w, _ in chosen], k=count - 1):
        names.append(function(world, rng))
    return names


def moment(rng, latest=STORM):
    return round(rng.uniform(0.2, latest), 2)


def some_host(world, rng):
    return rng.choice(world.hosts)


# ---- engines -----------------------------------------------------------------------------------


def kill_now(world, host, again_after=0.0):
    if host.lives():
        host.die()
    host.again_at = world.now() + again_after


@fault(3)
def kill(world, rng):
    host, again = some_host(world, rng), round(rng.choice([0.0, rng.uniform(0, 2), rng.uniform(2, 5)]), 1)
    world.at(moment(rng), kill_now, world, host, again)
    return f"kill({host.number},{again}s)"


@fault(3)
def stand_still(world, rng):
    host, seconds = some_host(world, rng), round(rng.choice([rng.uniform(0.2, 2), rng.uniform(2, 6)]), 1)

    def stop():
        if host.lives():
            host.wake_at = world.now() + seconds
            host.signal(signal.SIGSTOP)
    world.at(moment(rng), stop)
    return f"stop({host.number},{seconds}s)"


@fault(3)
def fault_point(world, rng, point=None):
    """It is killed, and started again to die or stand still at a place of the code."""
    host = some_host(world, rng)
    whose = point is not None   # the seed's
    point = point or rng.choice([point for point in world.points if point not in LOSE_JOURNAL])
    nth, action = rng.choice([1, 1, 2, rng.randrange(3, 60)]), rng.choice(["kill", "kill", "stop"])
    nth = 1 if whose else nth

    def begin_anew():
        kill_now(world, host)
        if point.startswith("late") and not world.real:
            host.late_until = world.now() + world.limits.orphan + 4
            host.again_at = host.late_until
        host.fault = f"{point}:{nth}:{action}"
        if whose:
            lend_a_hand(world, host, point)
    world.at(moment(rng, STORM / 2), begin_anew)
    return f"point({host.number},{point}:{nth}:{action})"


def lend_a_hand(world, host, point):
    """What has to happen so that the code passes there."""
    if point.startswith("drain"):
        world.after(1, lambda: host.lives() and "begins" in host.log()[-100000:] and host.signal(signal.SIGTERM))
    elif point.startswith("wire-doubt"):
        world.after(0.5, lambda: world.rule(doubt=True, stage="dot", times=9, cut="before"))
    elif point.startswith("wire-void"):
        world.after(0.5, lambda: world.rule(doubt=True, stage="data", times=20, cut="after", reset=True))
    elif point == "wire-mail-returned":
        world.after(0.5, lambda: world.rule(stage="mail", times=9, cut="before"))
    elif point.startswith("others"):
        # Another one is gone, for so long that it is buried, or that its windows are closed.
        other = world.hosts[(host.number + 1) % len(world.hosts)]
        away = (world.limits.orphan if "orphan" in point else world.limits.dead) + 4
        if not world.real:
            other.late_until = world.now() + away
            world.after(0.5, kill_now, world, other, away)
    elif point.startswith("turn-"):
        for word, how in CUTS.get(point, []):
            world.after(1, lambda word=word, how=how: host.proxy.cut(word, **how))


@fault(1)
def upgrade(world, rng):
    """In order: SIGTERM, and a start when it has ended. Nothing is in doubt by it."""
    host = some_host(world, rng)

    def term():
        if host.lives() and not host.stands_still():
            host.signal(signal.SIGTERM)
    world.at(moment(rng), term)
    return f"upgrade({host.number})"


@fault(1)
def reload(world, rng):
    host = some_host(world, rng)

    def hup():
        # Not before it listens to signals.
        if host.lives() and "begins" in host.log()[-100000:]:
            host.signal(signal.SIGHUP)
    world.at(moment(rng), hup)
    return f"reload({host.number})"


@fault(2)
def back_late(world, rng):
    """Its host is gone, with its state directory, until the others have gone on without it; or, where
    engines take over, have even called its windows in doubt."""
    host = some_host(world, rng)
    longest = world.limits.orphan + 6 if world.takeover else 8
    away = 6.0 if world.real else round(world.limits.dead + rng.uniform(0, longest), 1)

    def go_away():
        host.late_until = world.now() + away
        kill_now(world, host, away)
    world.at(moment(rng, STORM / 2), go_away)
    return f"late({host.number},{away}s)"


@fault(1, needs=lambda world: world.takeover and world.place.synchronous is None)
def retire(world, rng):
    """Its host is gone for good: an operator says so, and a new one comes in its place."""
    host = some_host(world, rng)

    def go():
        kill_now(world, host, 1e9)
        world.after(rng_seconds, with_database, world, say_so)

    def say_so(tries=8):
        if host.lives():
            return   # it took so long that everybody is back
        engine = host.know_identity()
        if engine:
            done = world.ctl("engine", "retire", engine, "--yes")
            if done.returncode != 0 and "already" not in done.stderr and tries:
                world.after(0.5, with_database, world, lambda: say_so(tries - 1))   # it isn't taken for dead yet
                return
            world.allow(host, world.unsettled(host))
        host.forgot = time.time()
        for name in os.listdir(host.state):
            os.unlink(os.path.join(host.state, name))
        host.again_at = 0
    rng_seconds = round(rng.uniform(0.1, 4), 1)
    world.at(moment(rng, STORM / 2), go)
    return f"retire({host.number},{rng_seconds}s)"


# ---- the wire ----------------------------------------------------------------------------------


@fault(4)
def cut_at_dot(world, rng):
    how, times = rng.choice(["before", "within", "after"]), rng.randrange(1, 8)
    reset, keep = rng.random() < 0.3, rng.random() < 0.5

    def cut():
        spec = {"stage": "dot", "times": times, "cut": how, "reset": reset}
        if how != "after":
            spec["keep"] = keep
        # What was answered may never arrive after a reset.
        world.rule(doubt=how != "after" or reset, **spec)
    world.at(moment(rng), cut)
    return f"cut({how}{',reset' if reset else ''}{',kept' if keep else ''})*{times}"


@fault(2)
def cut_elsewhere(world, rng):
    stage, times = rng.choice(["mail", "rcpt", "data"]), rng.randrange(1, 6)
    reset = rng.random() < 0.5

    def cut():
        # The body may have gone out before the end of the connection was seen.
        world.rule(doubt=stage == "data", stage=stage, times=times, cut=rng_how, reset=reset)
    rng_how = rng.choice(["before", "after"])
    world.at(moment(rng), cut)
    return f"cut({stage})*{times}"


@fault(2, needs=lambda world: not world.real)
def late_reply(world, rng):
    times, keep = rng.randrange(1, 6), rng.random() < 0.7

    def late():
        how = {} if keep else {"reply": "451 4.3.0 Try again"}   # a slow engine may hear it in time
        world.rule(doubt=True, stage="dot", times=times, delay=world.limits.dot + 0.7, **how)
    world.at(moment(rng), late)
    return f"late-reply*{times}"


@fault(3)
def put_off(world, rng):
    stage, times = rng.choice(["mail", "rcpt", "dot"]), rng.randrange(3, 60)
    reply = rng.choice(["451 4.7.1 Greylisted", "421 4.3.2 Going down", "452 4.2.2 Mailbox full"])
    world.at(moment(rng), lambda: world.rule(stage=stage, times=times, reply=reply))
    return f"{reply[:3]}@{stage}*{times}"


@fault(1)
def refuse(world, rng):
    stage, times = rng.choice(["rcpt", "dot"]), rng.randrange(1, 10)
    reply = rng.choice(["550 5.1.1 No such mailbox", "554 5.7.1 Policy"])
    world.at(moment(rng), lambda: world.rule(stage=stage, times=times, reply=reply))
    return f"{reply[:3]}@{stage}*{times}"


# ---- the database ------------------------------------------------------------------------------


def start_database(world):
    """The old one's processes may take a moment to be gone."""
    for _ in range(50):
        try:
            world.cluster.start()
            break
        except RuntimeError:
            time.sleep(0.1)
    else:
        world.cluster.start()
    world.database_away = False


@fault(2)
def database_killed(world, rng):
    away = round(rng.uniform(0.1, 3), 1)

    def kill_it():
        pid = world.cluster.pid()
        if pid is None or world.place.is_busy():
            return
        world.database_away = True
        os.kill(pid, signal.SIGKILL)
        world.after(away, start_database, world)
    world.at(moment(rng), kill_it)
    return f"db-kill({away}s)"


@fault(1)
def database_restarted(world, rng):
    world.at(moment(rng), lambda: world.database_away or world.place.is_busy() or world.cluster.restart())
    return "db-restart"


@fault(3)
def commit_eaten(world, rng):
    host, happens = some_host(world, rng), rng.random() < 0.6
    world.at(moment(rng), lambda: host.proxy.cut(b"COMMIT", before=not happens, after=b"SET turn"))
    return f"commit-{'eaten' if happens else 'lost'}({host.number})"


@fault(1)
def proxy_cuts(world, rng):
    """In the middle of a transaction: at the copy of outcomes, or at a take."""
    host, word = some_host(world, rng), rng.choice([b"COPY delivery", b"window_take_fresh", b"window_settle"])
    world.at(moment(rng), lambda: host.proxy.cut(word, before=rng_before))
    rng_before = rng.random() < 0.5
    return f"db-cut({host.number},{word.decode().split()[-1]})"


@fault(2, needs=lambda world: world.place.bouncer)
def pooler_killed(world, rng):
    bouncer, away = world.place.bouncer, round(rng.choice([0.0, rng.uniform(0.1, 2)]), 1)

    def kill_it():
        bouncer.kill()
        world.after(away, bouncer.start)
    world.at(moment(rng), kill_it)
    return f"pooler-kill({away}s)"


def fail_over(world, rng):
    """The standby takes the primary's place. The old one is gone, becomes its standby, is back as it
    was, or has never gone. Where commits don't wait for the standby, the last ones are lost."""
    place = world.place
    how = rng.choice(["gone", "rejoins", "back", *["two"] * (3 if place.synchronous else 0)])
    lag = 0 if place.synchronous else round(rng.uniform(0.2, 1.5), 1)
    delays = [rng.uniform(0.1, 2) for _ in world.hosts]
    stay, cancelled = rng.uniform(0.5, 2), rng.random() < 0.5

    def begin():
        if world.opening or world.database_away:
            world.after(0.3, begin)
            return
        if lag:
            place.pair.wait_same()
            place.pair.cut()
            world.lagging = True
        world.after(lag, go)

    def go():
        place.fail_over(kill=how != "two")
        world.go_to_primary()
        world.lagging = world.database_away = False
        if how == "rejoins":
            place.rejoin()
        if how == "two":
            two_primaries()
        else:
            place.point_to(place.primary)
        if how == "back":
            place.come_back()
            tempt()

    def two_primaries():
        if cancelled:
            world.after(stay / 2, cancel_waits, place.pair.old)
        world.after(max(delays), place.point_to, place.primary)
        for host, delay in zip(world.hosts, delays):
            world.after(delay, cut_off, host)
        world.after(max(delays) + stay, tempt)

    def cut_off(host):
        if not place.bouncer:
            old = host.proxies[place.nodes().index(place.pair.old)]
            old.away = True
            old.drop()

    def tempt():
        """The old one can be reached, and whoever is with the new one has to look for it again."""
        if place.bouncer:
            place.point_to(place.pair.old)
            world.after(stay, place.point_to, place.primary)
            return
        for host in world.hosts:
            host.proxies[place.nodes().index(place.pair.old)].away = False
            host.proxy.drop()

    world.at(moment(rng, STORM / 2), begin)
    return f"fail-over({how},{f'{lag}s lost' if lag else 'synchronous'})"


def cancel_waits(old):
    """As a time limit does: what waits for the standby ends with a warning."""
    if old.pid() is not None:
        old.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")


# ---- disk, journal, clock ----------------------------------------------------------------------


def ballast(host):
    return os.path.join(host.disk, "ballast")


def free_disk(host):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(ballast(host))


@fault(2, needs=lambda world: world.hosts[0].small)
def disk_full(world, rng):
    host, seconds = some_host(world, rng), round(rng.uniform(0.5, 3), 1)

    def fill():
        file = os.open(ballast(host), os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while True:
                os.write(file, b"x" * 65536)
        with contextlib.suppress(OSError):
            while True:
                os.write(file, b"x")
        os.close(file)
        world.after(seconds, free_disk, host)
    world.at(moment(rng), fill)
    return f"disk-full({host.number},{seconds}s)"


def with_database(world, do):
    """As soon as it is there."""
    if world.database_away or world.cluster.pid() is None:
        world.after(0.3, with_database, world, do)
    else:
        do()


def delete_journal(host):
    for name in host.journals():
        os.unlink(os.path.join(host.state, name))


def change_boot(host):
    """The boot id stands as text in each file's head."""
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        boot = file.read().strip()
    for name in host.journals():
        with open(os.path.join(host.state, name), "r+b") as file:
            head = file.read(96)
            file.seek(0)
            file.write(head.replace(boot, bytes(reversed(boot)), 1))


def tear_journal(host):
    """The newest file ends within a record."""
    path = os.path.join(host.state, host.journals()[-1])
    os.truncate(path, max(0, os.path.getsize(path) - 5))


# What only a lost commit and a lost journal knew nobody knows.
@fault(2, needs=lambda world: world.place.synchronous is not False)
def journal_lost(world, rng):
    host, how = some_host(world, rng), rng.choice([delete_journal, change_boot, tear_journal])

    def lose():
        host.die()
        host.again_at = world.now() + 1e9
        with_database(world, damage)

    def damage():
        world.allow(host, world.unsettled(host))
        how(host)
        host.forgot = time.time()
        host.again_at = 0

    world.at(moment(rng), lambda: host.know_identity() and host.journals() and lose())
    return f"{how.__name__}({host.number})"


@fault(1)
def clock_step(world, rng):
    hours, back = rng.choice([1, -1]), rng.random() < 0.5

    def step(offset):
        world.clock_stepped = True
        world.set_clock(offset)
    start = moment(rng)
    world.at(start, step, 3600 * hours)
    if back:
        world.at(start + 1.5, step, 0)
    return f"clock{3600 * hours:+}s{'-and-back' if back else ''}"


# ---- the operator ------------------------------------------------------------------------------


@fault(2)
def pause(world, rng):
    seconds = round(rng.uniform(0.5, 3), 1)

    def hold():
        if world.lagging:
            world.after(0.3, hold)
            return
        issue = world.issues[-1]
        if world.ctl("issue", "pause", issue).returncode == 0:
            world.pauses.append([issue, time.time(), None])
            world.after(seconds, resume, issue)

    def resume(issue):
        if world.lagging:
            world.after(0.3, resume, issue)
            return
        end = time.time()
        if world.ctl("issue", "resume", issue).returncode != 0:
            if world.value("SELECT state FROM issue WHERE id = %s", issue) == "paused":
                world.after(0.3, resume, issue)
                return
        for held in world.pauses:   # there may be two at a time, and one resume ends both
            held[2] = held[2] or end
    world.at(moment(rng), hold)
    return f"pause({seconds}s)"


# ---- afterwards --------------------------------------------------------------------------------


def calm(world):
    """Undoes what is left of the faults: everybody is well again, and goes on."""
    world.place.calm()
    if world.place.bouncer:
        world.place.bouncer.start()
    for host in world.hosts:
        free_disk(host)
        for proxy in host.proxies:
            proxy.word, proxy.away = None, False
        host.wake_at = 0
        host.again_at = host.late_until or min(host.again_at, world.now() + 10)
        if not host.late_until:
            host.fault = None
    if world.cluster.pid() is None:
        start_database(world)
    world.smtpd.rules = []
    if world.clock_stepped:
        world.set_clock(3600)   # what was put off by a clock that was ahead is due
    for held in world.pauses:
        held[2] = held[2] or time.time()
    for issue in world.issues:
        subprocess.run([world.ctl.program, "--config", world.ctl.config, "issue", "resume", str(issue)],
                       capture_output=True, check=False)
