"""A proxy between a PostgreSQL client and its server that cuts the connection at a chosen word.

    with Proxy(cluster) as proxy:
        proxy.cut(b"COMMIT", answered=False)   # the server does it, the client never hears of it

`away` lets nobody through, drop() ends what is there. `before=True` cuts before the server gets the word; `reply` is said to the client in the server's
place before the cut; `after` waits until that word went over the same connection. Each cut happens
once.
"""

import os
import select
import shutil
import socket
import tempfile
import threading

from pg import SOCKET_NAME


def message(kind, body):
    """A message of the server's, as the protocol frames it."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def error_message(severity, sqlstate, text):
    fields = {b"S": severity, b"V": severity, b"C": sqlstate, b"M": text}
    return message(b"E", b"".join(key + value.encode() + b"\0" for key, value in fields.items())
                   + b"\0")


class Proxy:
    def __init__(self, cluster):
        self.target = os.path.join(cluster.home, SOCKET_NAME)
        self.home = tempfile.mkdtemp(prefix="digestd-proxy-", dir="/tmp")
        self.word = None
        self.before = False
        self.after = b""
        self.reply = b""
        self.silent = False  # takes connections, says nothing
        self.away = False    # nobody gets through
        self.clients = set()
        self.hits = 0
        self.socket = None
        self.thread = None

    def dsn(self, role, database):
        return f"host={self.home} port=5432 user={role} dbname={database}"

    def cut(self, word, before=False, reply=b"", after=b""):
        self.before = before
        self.after = after
        self.reply = reply
        self.word = word

    def drop(self):
        """Ends the connections that there are."""
        for client in list(self.clients):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has just ended

    def start(self):
        path = os.path.join(self.home, SOCKET_NAME)
        if os.path.exists(path):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(16)
        self.thread = threading.Thread(target=self._accept, args=(self.socket,), daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.socket.close()

    def _accept(self, listening):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        self.clients.add(client)
        try:
            self._pass_on(client)
        finally:
            self.clients.discard(client)

    def _pass_on(self, client):
        with client, socket.socket(socket.AF_UNIX) as server:
            if self.away:
                return
            if self.silent:
                client.recv(1 << 16)
                while client.recv(1 << 16):
                    pass
                return
            try:
                server.connect(self.target)
            except OSError:
                return  # the server is away
            heard = b""
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for end in ready:
                    try:
                        data = end.recv(1 << 16)
                    except ConnectionError:
                        return
                    if not data:
                        return
                    if end is client and self.word and self.after:
                        heard += data
                    if end is client and self.word and self.word in data and self.after in heard:
                        self._cut(client, server, data)
                        return
                    try:
                        (client if end is server else server).sendall(data)
                    except ConnectionError:
                        return

    def _cut(self, client, server, data):
        word, self.word = self.word, None
        if not self.before:
            server.sendall(data)
            # The answer, if one comes, goes nowhere. One to COMMIT comes, and tells that it is done.
            select.select([server], [], [], 60 if word == b"COMMIT" else 0.5)
        client.sendall(self.reply)
        self.hits += 1

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
