"""What readers and operators do while an issue goes out: they leave, come (in a transaction that takes
its time), move between editions, zones and providers, change their address, are erased and imported.
Each step is a transaction of its own, and what the judge must know is written down when it is done."""

import time

from faults import moment
from world import DOMAINS, ZONES


def live(world, rng, readers):
    """Lays all that people do into the calendar; returns how many steps."""
    few = max(2, readers // 60)
    before = world.step_count
    victims = list(enumerate(world.ids, 1))
    rng.shuffle(victims)
    doings = [leave, leave_and_return, change_zone, change_provider, change_address, move_away, move_and_return,
              erase, suppress]
    for doing in doings:
        for _ in range(few):
            number, reader = victims.pop()
            when(world, moment(rng), doing, world, rng, number, reader)
    for n in range(3):
        when(world, moment(rng), import_readers, world, n, few)
    for n in range(few):
        when(world, moment(rng), letter, world, n)
    for n in range(3):
        when(world, moment(rng), join_slowly, world, rng, f"slow{n}@gmx.de", rng.uniform(0.2, 2))
    return world.step_count - before


def when(world, at, do, *arguments):
    """Not while an issue opens: who belongs to its audience would be anybody's guess. Nor while what
    is done is going to be lost: only engines know of it again."""
    def step():
        if world.opening or world.lagging:
            world.after(0.1, step)
        else:
            do(*arguments)
    world.at(at, step)


def leave(world, rng, number, reader):
    world.subscription(reader, "unsubscribe", status="unsubscribed")
    world.unsubscribed[reader] = time.time()


def leave_and_return(world, rng, number, reader):
    def undo():
        world.unsubscribed.pop(reader, None)
        world.subscription(reader, "undo", status="active")
    leave(world, rng, number, reader)
    when(world, world.now() + rng.uniform(0.1, 2), undo)


def change_zone(world, rng, number, reader):
    world.subscription(reader, "zone", zone=rng.choice(ZONES))


def change_provider(world, rng, number, reader):
    """By a new address, at another provider."""
    readdress(world, number, reader, rng.choice(DOMAINS))


def change_address(world, rng, number, reader):
    readdress(world, number, reader, DOMAINS[number % len(DOMAINS)])


def readdress(world, number, reader, domain):
    with world.transaction() as db:
        with db.cursor() as cursor:
            cursor.execute("UPDATE subscriber SET email = e, email_norm = e, domain = %s, address_no = address_no + 1"
                           " FROM (SELECT 'reader' || %s || '-' || gen_random_uuid() || '@' || %s AS e) x WHERE id = %s",
                           (domain, number, domain, reader))
        world.subscription(reader, "address", db=db)


def move_away(world, rng, number, reader):
    world.subscription(reader, "move", edition=world.other)


def move_and_return(world, rng, number, reader):
    move_away(world, rng, number, reader)
    when(world, world.now() + rng.uniform(0.1, 2),
         lambda: world.subscription(reader, "move", edition=world.news.edition))


def erase(world, rng, number, reader):
    with world.transaction() as db:
        with db.cursor() as cursor:
            cursor.execute("""INSERT INTO subscription_event (at, list, subscriber, kind, edition, gen, status_before,
                    zone_before)
                SELECT now(), s.list, s.subscriber, 'erase', s.edition, e.gen, s.status, s.zone
                FROM subscription s JOIN edition e ON e.id = s.edition WHERE s.subscriber = %s""", (reader,))
            cursor.execute("DELETE FROM subscriber WHERE id = %s", (reader,))
    world.unsubscribed[reader] = time.time()


def suppress(world, rng, number, reader):
    world.ask("SELECT subscriber_suppress(%s, 'operator', now())", reader)
    world.unsubscribed[reader] = time.time()


def join_slowly(world, rng, address, seconds):
    """The transaction has stamped the reader long before anybody sees them."""
    db = world.connect()
    db.autocommit = False
    with db.cursor() as cursor:
        cursor.execute("SELECT subscriber_put(%s, %s, %s, 'Slow', '{}', '', now())",
                       (address, address, address.partition("@")[2]))
        [reader] = cursor.fetchone()
    world.subscription(reader, "join", status="active", db=db)

    world.joins.append(db)

    def end():
        if world.lagging:
            world.after(0.1, end)
            return
        try:
            db.commit()
        except Exception:   # the database went away meanwhile: then they never came
            pass
        db.close()
    world.after(seconds, end)


def import_readers(world, n, count):
    lines = "".join(f"new{n}-{i}@{DOMAINS[i % len(DOMAINS)]}\n" for i in range(count))
    done = world.ctl("subscriber", "import", "news", "-", stdin="email\n" + lines)
    if done.returncode == 1:   # the database is away
        world.after(0.5, import_readers, world, n, count)
    elif done.returncode != 0:
        raise RuntimeError("the import fails: " + done.stderr)


def letter(world, n):
    address = f"letter{n}-{len(world.letters)}@a.example"
    world.ask("SELECT letter_put('test', %s, NULL, %s, '{}', '1 day', now())", world.news.list, address)
    world.letters.append(address)


def early(world, rng):
    """Before the issue opens: joins whose transactions the opener has to wait for."""
    for n in range(5):
        join_slowly(world, rng, f"early{n}@a.example", rng.uniform(0.1, 1.0))
