#!/usr/bin/python3
"""The whole story in a minute: new articles become a digest in a thousand mailboxes.

    demo.py           $SUBSCRIBERS  $FEED  $ARTICLE  $DEMO_REFUSE  $DIGESTD_BUILD  $DEMO_DIR
    demo.py --clean   ends what runs and removes all that was made

Everything lies in .demo: a PostgreSQL cluster of its own, both programs, an SMTP server that keeps
what it gets. It ends by itself, and says 1 when something didn't hold.
"""

import collections
import os
import signal
import socket
import subprocess
import sys
import time

import inbox
import pages
from harbour import BACKFILL, EDITION, LIST, add_articles, import_readers, make_list
from people import on_the_wire
from place import ROOT, Place, PlaceError
from screen import Screen

STALLED = 120  # seconds without any news that make a run a failed one
LINKS_TRIED = 1000
NEWCOMER = "ingrid.new@mail.example"


class Story:
    def __init__(self, place):
        self.place = place
        self.screen = Screen()
        self.count = int(os.environ.get("SUBSCRIBERS") or 1000)
        self.refuse = int(os.environ.get("DEMO_REFUSE") or 0)
        self.feed = os.environ.get("FEED")
        self.article = os.environ.get("ARTICLE")
        self.readers = []
        self.articles = 0
        self.digests = []
        self.issue = 0
        if self.count < 1:
            raise PlaceError("SUBSCRIBERS: at least 1 is wanted")

    # ---- the parts ------------------------------------------------------------------------

    def lay_the_ground(self):
        with self.screen.step("database") as step:
            self.place.cluster.start()
            step.told = "a PostgreSQL of its own, on a unix socket"
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with self.screen.step("programs") as step:
            port = self.place.start_smtp_server(
                "--truth", self.place.path("log", "accepted.json"), "--defer-one-in", "10",
                "--refuse", str(self.refuse))
            self.place.write_config(("127.0.0.1", port), ("127.0.0.1", 0),
                                    web={"listen": "systemd", "base_url": self.base_url})
            self.place.make_database()
            self.place.start("digestd", self.place.program("digestd"))
            self.place.start_pages(listener)
            listener.close()
            self.place.wait("the pages' first answer", self._pages_answer, 30)
            step.told = "digestd, digestweb, and an SMTP server as relay"

    def _pages_answer(self):
        try:
            return pages.fetch(self.base_url + "/health") or True
        except PlaceError:
            return False

    def fill(self):
        with self.screen.step("readers") as step:
            make_list(self.place, self.base_url)
            self.readers = import_readers(self.place, self.count)
            zones = len({reader["zone"] for reader in self.readers})
            langs = len({reader["lang"] for reader in self.readers})
            step.told = (f"{self.count:,} made up and imported: {langs} languages, "
                         f"{zones} time zones")
        with self.screen.step("articles") as step:
            self.articles = add_articles(self.place, self.base_url, self.article, self.feed)
            if self.feed:
                self.articles = self.place.wait("the feed's first articles", self._new_articles)
            step.told = self._whose_articles()

    def _whose_articles(self):
        if self.feed:
            return f"{self.articles} in the feed, of which the newest {BACKFILL} may go out"
        if self.article:
            return f"one, {os.path.basename(self.article)}"
        return f"{self.articles} of the demo's own, one in Arabic"

    def _new_articles(self):
        feed = self.place.ctl_json("feed", "ls")[0]
        if feed.get("last_error"):
            raise PlaceError(f"the feed can't be read: {feed['last_error']}")
        return feed["articles"] if feed.get("polled_at") else 0

    # ---- the issue ------------------------------------------------------------------------

    def send(self):
        self.screen.title("The issue")
        sys.stdout.flush()
        began = time.monotonic()
        child = subprocess.Popen(
            [self.place.program("digestctl"), "issue", "open", "--yes", "--wait",
             f"{LIST}/{EDITION}"], env=self.place.environment())
        try:
            self._watch(child)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        self.took = time.monotonic() - began
        self.issue = self.place.ctl_json("issue", "ls", LIST)[0]["issue"]

    def _watch(self, child):
        known, since = 0, time.monotonic()
        while child.poll() is None:
            self.place.check_alive()
            now = len(inbox.arrived(self.place.path("mail")))
            if now != known:
                known, since = now, time.monotonic()
            if time.monotonic() - since > STALLED:
                raise PlaceError(f"no mail for {STALLED} s: {known:,} of {self.count:,} arrived\n"
                                 + self.place.log_tail("digestd"))
            time.sleep(0.1)
        if child.returncode != 0:
            raise PlaceError(f"digestctl issue open ended with {child.returncode}\n"
                             + self.place.log_tail("digestd"))

    def ask(self, columns, where="true"):
        """What the outcomes say; delivery keeps one row a reader."""
        return self.place.sql(f"SELECT {columns} FROM delivery d JOIN subscriber p "
                              f"ON p.id = d.subscriber WHERE d.issue = {self.issue} AND {where}")

    # ---- the proof ------------------------------------------------------------------------

    def prove(self):
        """Reads each mail; returns what doesn't hold, in words."""
        self.screen.title("The proof")
        wrong = []
        with self.screen.step("mailboxes") as step:
            self.digests = [inbox.Digest(path)
                            for path in inbox.arrived(self.place.path("mail"))]
            wrong += self._who_got_what()
            step.told = (f"{len(self.digests):,} digests, one for each reader" if not wrong
                         else "not one for each reader")
        with self.screen.step("mails") as step:
            faults = [f"{digest.path}: {fault}" for digest in self.digests
                      for fault in digest.faults]
            wrong += faults
            step.told = f"{len(faults)} defects to a strict reader"
        with self.screen.step("links") as step:
            links = [digest.unsubscribe for digest in self.digests]
            if len(set(links)) != len(links) or "" in links:
                wrong.append("the unsubscribe links aren't each reader's own")
            tried = links[:LINKS_TRIED]
            dead = pages.dead_links(tried)
            wrong += [f"{url} leads nowhere" for url in dead]
            step.told = f"{len(set(links)):,} to unsubscribe, {len(tried) - len(dead):,} tried and good"
        return wrong

    def _who_got_what(self):
        refused = set(self.ask("lower(p.email)", "d.outcome = 'refused'").splitlines())
        wanted = {on_the_wire(reader["email"]) for reader in self.readers
                  if reader["email"] not in refused}
        got = collections.Counter(digest.reader for digest in self.digests)
        if len(refused) != min(self.refuse, self.count):
            yield f"{len(refused)} readers were refused, not {self.refuse}"
        yield from (f"{reader} got nothing" for reader in sorted(wanted - set(got)))
        yield from (f"{reader} got {times} mails" for reader, times in got.items() if times > 1)
        yield from (f"{reader} got a mail" for reader in sorted(set(got) - wanted))

    # ---- coming and going -----------------------------------------------------------------

    def come_and_go(self):
        self.screen.title("Coming and going")
        with self.screen.step("joins") as step:
            pages.press(f"{self.base_url}/l/{LIST}", email=NEWCOMER, name="Ingrid Neu")
            link = self._confirm_link()
            pages.fetch(link)
            if self._status(NEWCOMER) != "pending":
                raise PlaceError("looking at the confirm page changed something")
            pages.press(link)
            self._expect(NEWCOMER, "active")
            self.place.wait("the welcome letter", lambda: len(self._letters(NEWCOMER)) == 2)
            step.told = f"{NEWCOMER} asked, got a letter, confirmed"
        with self.screen.step("leaves") as step:
            leaver = self.digests[0]
            if self._status(leaver.reader) != "active":
                raise PlaceError("looking at the unsubscribe pages changed something")
            pages.press(leaver.unsubscribe)
            self._expect(leaver.reader, "unsubscribed")
            step.told = f"{leaver.reader} pressed the button"

    def _letters(self, address):
        letters = (inbox.Digest(path) for path in inbox.arrived(self.place.path("letters")))
        return [letter for letter in letters if letter.reader == address]

    def _confirm_link(self):
        letter = self.place.wait("the confirm letter", lambda: self._letters(NEWCOMER))[0]
        links = [word for word in letter.text().split()
                 if word.startswith(self.base_url + "/c/")]
        if not links:
            raise PlaceError(f"the confirm letter has no link: {letter.path}")
        return links[0]

    def _status(self, address):
        return self.place.ctl_json("subscriber", "show", address)["subscriptions"][0]["status"]

    def _expect(self, address, status):
        found = self._status(address)
        if found != status:
            raise PlaceError(f"{address} is {found}, not {status}")

    # ---- the end --------------------------------------------------------------------------

    def sum_up(self):
        self.screen.title("The summary")
        total, first, later, refused, other = self.ask(
            "count(*), count(*) FILTER (WHERE outcome = 'delivered' AND attempt <= 1), "
            "count(*) FILTER (WHERE outcome = 'delivered' AND attempt > 1), "
            "count(*) FILTER (WHERE outcome = 'refused'), "
            "count(*) FILTER (WHERE outcome NOT IN ('delivered', 'refused'))").split("|")
        self.screen.fact("at once", f"{int(first):6,}")
        self.screen.fact("after retry", f"{int(later):6,}   put off at the first try")
        self.screen.fact("not at all", f"{int(refused) + int(other):6,}"
                         + ("   refused for good, as DEMO_REFUSE asked" if int(refused) else ""))
        self.screen.fact("readers", f"{int(total):6,}   in {self.took:.1f} s")
        waited = self.ask("p.email", "d.attempt > 1 AND d.outcome = 'delivered' "
                          "ORDER BY d.subscriber LIMIT 1")
        if waited:
            self.screen.title(f"$ digestctl explain {waited}")
            print(self.place.ctl("explain", waited), end="", flush=True)
        self._write_preview()
        self.screen.title("To look at")
        near = os.path.relpath(self.place.home)
        near = self.place.home if near.startswith("..") else near
        self.screen.fact("the digest", os.path.join(near, "preview.html"))
        self.screen.fact("the mails", os.path.join(near, "mail", "new"))
        self.screen.fact("the letters", os.path.join(near, "letters", "new"))
        self.screen.fact("the logs", os.path.join(near, "log"))
        wrong = []
        if int(other) or int(total) != self.count:
            wrong.append(f"{total} outcomes for {self.count} readers, {other} of them neither "
                         "delivered nor refused")
        return wrong

    def _write_preview(self):
        page = inbox.preview(self.digests[0].html(), self.base_url,
                               os.path.join(ROOT, "templates", "web", "static"))
        with open(self.place.path("preview.html"), "w", encoding="utf-8") as file:
            file.write(page)

    def tell(self):
        print(f"digestd: {self.count:,} readers, one digest each\n")
        self.lay_the_ground()
        self.fill()
        self.send()
        wrong = self.prove()
        if self.digests:
            self.come_and_go()
            wrong += self.sum_up()
        if wrong:
            more = f"\n  ... and {len(wrong) - 20} more" if len(wrong) > 20 else ""
            raise PlaceError("this didn't hold:\n  " + "\n  ".join(wrong[:20]) + more)
        print(f"\nAll of it held. {time.monotonic() - self.screen.began:.0f} s; "
              "`make demo-clean` removes it, `make lab` gives you one to play with.")


def run(place):
    with place:
        place.remove()
        place.note("story", os.getpid())
        Story(place).tell()


def clean(place):
    place.remove()
    if place.exists():
        os.rmdir(place.home)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = Place(os.environ.get("DEMO_DIR") or os.path.join(ROOT, ".demo"),
                  os.environ.get("DIGESTD_BUILD", "build"))
    try:
        if sys.argv[1:] == ["--clean"]:
            clean(place)
        elif sys.argv[1:]:
            sys.exit(__doc__)
        else:
            run(place)
    except (PlaceError, RuntimeError, ValueError) as error:
        sys.exit(f"\ndemo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
