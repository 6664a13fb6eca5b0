#!/usr/bin/python3
"""A place to try the programs by hand: cluster, schema, roles, a configuration that works, readers,
no engine running.

    lab.py start|stop|remove DIR     $RELAY=host:port  $SUBSCRIBERS=n  $DIGESTD_BUILD
"""

import os
import shlex
import sys

from harbour import EDITION, LIST, add_articles, import_readers, make_list
from place import ROLES, Place, PlaceError, free_port


def relay_of(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise PlaceError(f"RELAY={text}: host:port is wanted")
    return host.strip("[]"), int(port)


def fill(lab, relay, subscribers):
    """Makes what isn't there; a lab that was stopped goes on with what it had."""
    lab.cluster.start()
    if os.path.exists(lab.path("complete")):
        with open(lab.path("complete"), encoding="ascii") as file:
            port = file.read().strip()
        if port != "0":  # its own server's, which the configuration names
            lab.start_smtp_server("--port", port, "--defer-one-in", "10")
        return
    port = None
    if relay is None:
        port = lab.start_smtp_server("--defer-one-in", "10")
        relay = ("127.0.0.1", port)
    pages = ("127.0.0.1", free_port())
    lab.write_config(relay, pages)
    lab.make_database()
    base_url = f"http://{pages[0]}:{pages[1]}"
    make_list(lab, base_url)
    import_readers(lab, subscribers)
    add_articles(lab, base_url)
    with open(lab.path("complete"), "w", encoding="ascii") as file:
        file.write(f"{port or 0}\n")


def tell(lab, relay, subscribers):
    quote = shlex.quote
    print(f"""
The lab is in {lab.home}: {subscribers} readers of the list "{LIST}", articles, no engine yet.
In a shell:

  export DIGESTD_CONFIG={quote(lab.config)}
  export PATH={quote(lab.build)}:"$PATH"
""")
    for role in (*ROLES, "postgres"):
        print(f"  export DIGESTD_{role.upper()}={quote(lab.dsn(role))}")
    print(f"""
Go on with

  digestd                                       # the engine; Ctrl-C drains and ends it
  digestweb                                     # the readers' pages
  digestctl issue open {LIST}/{EDITION} --wait  # asks, sends, shows how it goes
  digestctl explain ADDRESS                     # addresses: {lab.path("readers.csv")}
  psql "$DIGESTD_OWNER"
""")
    if relay is None:
        print(f"Mail goes to {lab.path('mail', 'new')}, letters to {lab.path('letters', 'new')};\n"
              "one reader in ten is put off at the first try.")
    print("make lab-stop ends it and keeps it, make lab goes on, make lab-clean removes it.")


def start(lab):
    relay = relay_of(os.environ["RELAY"]) if os.environ.get("RELAY") else None
    subscribers = int(os.environ.get("SUBSCRIBERS") or 1000)
    lab.take()
    lab.stop("smtpd")
    try:
        fill(lab, relay, subscribers)
    except BaseException:
        lab.stop_all()
        raise
    tell(lab, relay, subscribers)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("start", "stop", "remove"):
        sys.exit(__doc__)
    lab = Place(sys.argv[2], os.environ.get("DIGESTD_BUILD", "build"))
    if sys.argv[1] == "start":
        start(lab)
    elif sys.argv[1] == "stop":
        lab.stop_all()
    else:
        lab.remove()
        if lab.exists():
            os.rmdir(lab.home)


if __name__ == "__main__":
    try:
        main()
    except (PlaceError, RuntimeError, ValueError) as error:
        sys.exit(f"lab: {error}")
