#!/usr/bin/python3
"""A scripted SMTP server that keeps the truth.

What it accepts is written down (a line of JSON in --truth, a file in --maildir) BEFORE the reply
leaves, so that a client's own account can be held against it whatever happens afterwards. It is a
module for tests (`with Server(rules=[...]) as smtpd: smtpd.port, smtpd.accepted`) and a command:

    smtpd.py --port 0 --port-file F --maildir DIR --letters DIR --defer-one-in 10 --refuse 3

A rule says what happens at one stage instead of the usual reply. It is a dict (JSON on the command
line, --rule '{"stage": "rcpt", "match": "^bob@", "reply": "550 5.1.1 No such user"}'):

    stage    greeting ehlo starttls auth mail rcpt data body dot rset noop quit
    match    a regular expression for the recipient (the sender at stage mail); any when absent
    skip     so many matches pass before it holds (0)
    times    so often it holds (for ever)
    session  only on the connection with this number, from 1
    reply    "code text", a list of such lines, or bytes that are sent as they are
    lines    makes the reply this many lines long
    delay    seconds before the reply
    until    a function: the reply waits until it says so (what it is a reply to has been done)
    split    sends the reply in two packets, cut after so many bytes
    silent   never replies, nor reads on
    cut      closes the connection "before", "within" or "after" the reply
    reset    closes with a TCP reset
    after    at stage body: when so many bytes of the message have come
    keep     at stage dot: whether the message counts as accepted (it does unless refused)
"""
import argparse
import asyncio
import base64
import collections
import datetime
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import threading
import time


def make_certificate(folder, name="localhost", expired=False, self_named="server"):
    """Makes an authority and a certificate for `name`; returns the paths of CA, chain and key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.utcnow()
    day = datetime.timedelta(days=1)
    pem = serialization.Encoding.PEM

    def certify(subject, issuer, public, signer, start, end, extension):
        builder = x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]),
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]),
            public, x509.random_serial_number(), start, end)
        return builder.add_extension(*extension).sign(signer, hashes.SHA256())

    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = "Authority of " + self_named
    root = certify(issuer, issuer, authority.public_key(), authority, now - 30 * day,
                   now + 30 * day, (x509.BasicConstraints(True, None), True))
    try:
        general = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        general = x509.DNSName(name)
    leaf = certify(name, issuer, key.public_key(), authority, now - 20 * day,
                   now + (-1 if expired else 20) * day,
                   (x509.SubjectAlternativeName([general]), False))
    folder = pathlib.Path(folder)
    paths = [folder / f"{self_named}-{what}.pem" for what in ("ca", "cert", "key")]
    paths[0].write_bytes(root.public_bytes(pem))
    paths[1].write_bytes(leaf.public_bytes(pem))
    paths[2].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return tuple(str(path) for path in paths)


class Maildir:
    """Keeps each message as it came in, nothing added."""

    def __init__(self, folder):
        self.folder = str(folder)
        for part in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(self.folder, part), exist_ok=True)
        self.host = socket.gethostname().replace("/", "_").replace(":", "_")
        self.count = 0

    def add(self, message):
        self.count += 1
        name = f"{time.time():.6f}.P{os.getpid()}Q{self.count}.{self.host}"
        temporary = os.path.join(self.folder, "tmp", name)
        with open(temporary, "wb") as file:
            file.write(message)
        os.rename(temporary, os.path.join(self.folder, "new", name))
        return name


class Rule:
    def __init__(self, spec):
        self.spec = dict(spec)
        self.stage = self.spec["stage"]
        self.match = re.compile(spec["match"]) if spec.get("match") else None
        self.skip = spec.get("skip", 0)
        self.times = spec.get("times")
        self.held = 0  # so often it was the reply
        self.held_for = collections.Counter()  # ... to whom, by the name in EHLO

    def holds(self, session, address):
        if self.spec.get("session", session.number) != session.number:
            return False
        if self.match and not self.match.search(address or ""):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            if not self.times:
                return False
            self.times -= 1
        self.held += 1
        self.held_for[session.hello] += 1
        return True


def wire(reply, lines=None):
    """The bytes of a reply as they go on the wire."""
    if isinstance(reply, bytes):
        return reply
    texts = [reply] if isinstance(reply, str) else list(reply)
    if lines:
        texts = texts * lines
    last = len(texts) - 1
    out = [text[:3] + ("-" if i < last else " ") + text[4:] for i, text in enumerate(texts)]
    return ("\r\n".join(out) + "\r\n").encode("utf-8", "surrogateescape")


def code_of(reply):
    first = reply if isinstance(reply, (str, bytes)) else reply[0]
    return int(first[:3]) if first[:3].isdigit() else 0


class Session(asyncio.Protocol):
    """One connection: takes commands one at a time, in the order in which they came."""

    MAX_LINE = 4096

    def __init__(self, server):
        self.server = server
        server.connections += 1
        self.number = server.connections
        self.input = bytearray()
        self.output = []
        self.busy = False  # a reply is delayed, or TLS begins: nothing is read meanwhile
        self.over = False
        self.tls_next = False
        self.alarm = None
        self.tls = bool(server.smtps)
        self.user = None
        self.login = None  # what of AUTH is awaited
        self.mails = 0  # so many dots came
        self.hello = None  # the name in EHLO
        self.transport = None
        self.forget()

    def forget(self):
        self.sender, self.recipients, self.refused = None, [], 0
        self.in_body, self.scanned = False, 0

    # ---- events of the connection ---------------------------------------------------------

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.sessions.add(self)
        self.server.most_sessions = max(self.server.most_sessions, len(self.server.sessions))
        if self.server.at_once and len(self.server.sessions) > self.server.at_once:
            self.output.append(b"421 4.7.0 Too many connections\r\n")
            self.flush()
            self.close()
            return
        self.answer("greeting", f"220 {self.server.name} ESMTP")
        self.flush()

    def connection_lost(self, exc):
        self.over = True
        self.server.sessions.discard(self)

    def data_received(self, data):
        self.input += data
        self.pump()

    def eof_received(self):
        return False

    # ---- replies --------------------------------------------------------------------------

    def answer(self, stage, reply, address=None, then=None):
        """Replies as the script or the usual way says; `then(code)` acts on what was said."""
        rule = self.server.rule_for(stage, self, address)
        if rule is None:
            if then:
                then(code_of(reply))
            self.output.append(wire(reply))
            return
        spec = rule.spec
        said = spec.get("reply", reply)
        if then:
            then(code_of(said) if spec.get("keep") is None else (250 if spec["keep"] else 550))
        if spec.get("silent"):
            self.flush()
            self.busy = True
            return
        out = wire(said, spec.get("lines"))
        if spec.get("delay") or spec.get("until"):
            self.flush()
            self.busy = True
            self.server.loop.call_later(spec.get("delay", 0), self.resume, spec, out)
        else:
            self.say(spec, out)

    def resume(self, spec, out):
        if not self.over and spec.get("until") and not spec["until"]():
            self.server.loop.call_later(0.01, self.resume, spec, out)
            return
        self.busy = False
        if not self.over:
            self.say(spec, out)
            self.pump()

    def say(self, spec, out):
        cut = spec.get("cut")
        if cut:
            if cut == "within":
                out = out[:spec.get("split", len(out) // 2)]
            if cut != "before":
                self.output.append(out)
            self.flush()
            self.close(spec.get("reset"))
        elif spec.get("split"):
            self.output.append(out[:spec["split"]])
            self.flush()
            self.busy = True
            rest = out[spec["split"]:]
            self.server.loop.call_later(spec.get("pause", 0.05), self.resume, {}, rest)
        else:
            self.output.append(out)

    def watch_idleness(self):
        """Closes with 421 what says nothing for so long after a mail, as servers do."""
        if self.alarm:
            self.alarm.cancel()
        if (self.server.idle and self.mails and self.sender is None and not self.busy
                and not self.over):
            self.alarm = self.server.loop.call_later(self.server.idle, self.send_away)

    def send_away(self):
        self.output.append(b"421 4.4.2 Idle for too long\r\n")
        self.flush()
        self.close()

    def flush(self):
        if self.output and not self.over:
            self.transport.write(b"".join(self.output))
        self.output.clear()

    def close(self, reset=False):
        self.over = True
        if reset:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()

    # ---- commands -------------------------------------------------------------------------

    def pump(self):
        while not self.busy and not self.over:
            if self.tls_next:
                self.start_tls()
                break
            if self.in_body:
                if not self.take_body():
                    break
                continue
            end = self.input.find(b"\r\n")
            if end < 0:
                if len(self.input) > self.MAX_LINE:
                    self.output.append(b"500 5.5.2 Line too long\r\n")
                    self.flush()
                    self.close()
                break
            line = bytes(self.input[:end])
            del self.input[:end + 2]
            self.command(line.decode("utf-8", "surrogateescape"))
        self.flush()
        self.watch_idleness()

    def command(self, line):
        if self.login:
            return self.login(line)
        verb, _, rest = line.partition(" ")
        handler = getattr(self, "do_" + verb.lower(), None)
        if self.server.log_commands:
            self.server.commands.append((self.number, line))
        if handler:
            handler(rest.strip())
        else:
            self.output.append(b"500 5.5.1 What?\r\n")

    def do_ehlo(self, name):
        self.forget()
        self.hello = name
        self.answer("ehlo", [f"250 {self.server.name}"] +
                    ["250 " + word for word in self.server.offers(self)])

    def do_helo(self, name):
        self.forget()
        self.hello = name
        self.answer("ehlo", f"250 {self.server.name}")

    def do_noop(self, rest):
        self.answer("noop", "250 2.0.0 Ok")

    def do_rset(self, rest):
        self.forget()
        self.answer("rset", "250 2.0.0 Ok")

    def do_quit(self, rest):
        self.answer("quit", "221 2.0.0 Bye")
        self.flush()
        if not self.busy and not self.over:
            self.close()

    def do_starttls(self, rest):
        if not self.server.tls or self.tls:
            self.output.append(b"502 5.5.1 Not offered\r\n")
            return

        def then(code):
            self.tls_next = code == 220
        self.answer("starttls", "220 2.0.0 Ready", then=then)

    def start_tls(self):
        async def shake_hands():
            self.flush()
            try:
                transport = await self.server.loop.start_tls(
                    self.transport, self, self.server.tls, server_side=True)
            except (OSError, ssl.SSLError):
                self.over = True
                return
            self.transport, self.tls = transport, True
            self.busy = False
            self.pump()

        self.busy, self.tls_next = True, False
        self.input.clear()  # what came in plain text behind STARTTLS doesn't count
        self.forget()
        self.server.keep_task(self.server.loop.create_task(shake_hands()))

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        if not self.server.auth:
            self.output.append(b"502 5.5.1 Not offered\r\n")
        elif mechanism.upper() == "PLAIN":
            if initial:
                self.auth_plain(initial)
            else:
                self.login = self.auth_plain
                self.output.append(b"334 \r\n")
        elif mechanism.upper() == "LOGIN":
            if initial:
                self.auth_user(initial)
            else:
                self.login = self.auth_user
                self.output.append(b"334 VXNlcm5hbWU6\r\n")
        else:
            self.output.append(b"504 5.5.4 No such mechanism\r\n")

    @staticmethod
    def plain_text(line):
        try:
            return base64.b64decode(line).decode("utf-8", "replace")
        except ValueError:
            return ""

    def auth_plain(self, line):
        self.login = None
        parts = self.plain_text(line).split("\0")
        self.auth_end(parts[-2:] if len(parts) >= 3 else ["", ""])

    def auth_user(self, line):
        user = self.plain_text(line)

        def password(second):
            self.login = None
            self.auth_end([user, self.plain_text(second)])
        self.login = password
        self.output.append(b"334 UGFzc3dvcmQ6\r\n")

    def auth_end(self, pair):
        good = tuple(pair) == tuple(self.server.auth)

        def then(code):
            if code == 235:
                self.user = pair[0]
        self.answer("auth", "235 2.7.0 Ok" if good else "535 5.7.8 Wrong user or password",
                    then=then)

    # ---- a mail ---------------------------------------------------------------------------

    def do_mail(self, rest):
        found = re.match(r"(?i)FROM:<([^>]*)>(.*)$", rest)
        if not found:
            self.output.append(b"501 5.5.4 MAIL FROM:<...>\r\n")
        elif self.sender is not None:
            self.output.append(b"503 5.5.1 Nested MAIL\r\n")
        elif self.server.auth and self.user is None:
            self.output.append(b"530 5.7.0 Log in first\r\n")
        else:
            parameters = found[2].split()
            size = next((int(p[5:]) for p in parameters if p.upper().startswith("SIZE=")), 0)
            if self.server.size and size > self.server.size:
                self.output.append(b"552 5.3.4 Too big\r\n")
                return

            def then(code):
                if 200 <= code < 300:
                    self.sender, self.parameters = found[1], parameters
            self.answer("mail", "250 2.1.0 Ok", found[1], then)

    def do_rcpt(self, rest):
        found = re.match(r"(?i)TO:<([^>]*)>", rest)
        if not found:
            self.output.append(b"501 5.5.4 RCPT TO:<...>\r\n")
        elif self.sender is None:
            self.output.append(b"503 5.5.1 MAIL first\r\n")
        else:
            def then(code):
                if 200 <= code < 300:
                    self.recipients.append(found[1])
                else:
                    self.refused += 1
            self.answer("rcpt", self.server.verdict(found[1]), found[1], then)

    def do_data(self, rest):
        def then(code):
            if code == 354:
                self.in_body, self.scanned = True, 0
        if self.sender is None:
            self.output.append(b"503 5.5.1 MAIL first\r\n")
        elif not self.recipients and not self.server.data_anyway:
            self.answer("data", "554 5.5.1 No valid recipients",
                        then=then)
        else:
            self.answer("data", "354 Go ahead", self.address(), then)

    def address(self):
        return self.recipients[0] if self.recipients else None

    def take_body(self):
        """Takes a whole message out of the input; False when more of it must come."""
        rule = self.server.body_rule(self, len(self.input))
        if rule:
            self.in_body = False
            self.say(rule.spec, wire(rule.spec.get("reply", "421 4.3.2 Going down")))
            return False
        if self.input.startswith(b".\r\n"):
            end, length = 0, 3
        else:
            end = self.input.find(b"\r\n.\r\n", max(0, self.scanned - 4))
            if end < 0:
                self.scanned = len(self.input)
                return False
            end, length = end + 2, end + 5
        message = bytes(self.input[:end])
        del self.input[:length]
        self.in_body = False
        self.take_message(message)
        return True

    def take_message(self, message):
        number = self.server.next_id()
        self.mails += 1
        self.server.dots[self.number] = self.mails
        address = self.address()
        refused = not self.recipients and not self.server.lone_dot_accepted
        reply = ("554 5.5.1 No valid recipients" if refused
                 else f"250 2.0.0 Ok: queued as {number}")

        def then(code):
            if 200 <= code < 300:
                self.server.accept(self, number, message)
        self.answer("dot", reply, address, then)
        self.forget()


class Server:
    """Runs in a thread of its own between start() and stop(), or by run() in this one."""

    def __init__(self, rules=(), host="127.0.0.1", port=0, maildir=None, letters=None, truth=None,
                 pipelining=True, size=None, eightbit=True, smtputf8=False, auth=None,
                 mechanisms="PLAIN LOGIN", starttls=None, smtps=None, extra=(), defer_one_in=0,
                 refuse=0, at_once=0, data_anyway=False, lone_dot_accepted=False, idle=0,
                 name="smtpd.example", keep_bodies=True, log_commands=False):
        self.rules = [Rule(spec) for spec in rules]
        self.host, self.port, self.name = host, port, name
        self.maildir = Maildir(maildir) if maildir else None
        self.letters = Maildir(letters) if letters else None
        self.truth = open(truth, "ab", buffering=0) if truth else None
        self.pipelining, self.size, self.eightbit, self.smtputf8 = pipelining, size, eightbit, smtputf8
        self.auth, self.mechanisms, self.extra = auth, mechanisms, list(extra)
        self.tls = self.context(starttls) if starttls else None
        self.smtps = self.context(smtps) if smtps else None
        self.defer_one_in, self.refuse, self.at_once = defer_one_in, refuse, at_once
        self.data_anyway, self.lone_dot_accepted, self.idle = data_anyway, lone_dot_accepted, idle
        self.keep_bodies, self.log_commands = keep_bodies, log_commands
        self.accepted, self.commands, self.sessions = [], [], set()
        self.dots = {}  # how many came on each connection, by its number
        self.connections = self.ids = self.count = self.most_sessions = 0
        self.known, self.tasks = {}, set()
        self.loop = self.listener = self.thread = None

    @staticmethod
    def context(pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        return context

    # ---- what the sessions ask ------------------------------------------------------------

    def offers(self, session):
        words = []
        if self.pipelining:
            words.append("PIPELINING")
        if self.size is not None:
            words.append(f"SIZE {self.size}" if self.size else "SIZE")
        if self.tls and not session.tls:
            words.append("STARTTLS")
        if self.auth and self.mechanisms and (session.tls or not self.tls):
            words.append("AUTH " + self.mechanisms)
        if self.eightbit:
            words.append("8BITMIME")
        if self.smtputf8:
            words.append("SMTPUTF8")
        return words + self.extra + ["ENHANCEDSTATUSCODES"]

    def rule_for(self, stage, session, address):
        for rule in self.rules:
            if rule.stage == stage and rule.holds(session, address):
                return rule
        return None

    def body_rule(self, session, received):
        for rule in self.rules:
            if rule.stage == "body" and received >= rule.spec.get("after", 1):
                if rule.holds(session, session.address()):
                    return rule
        return None

    def verdict(self, address):
        """The usual answer to a recipient: some put off at their first try, some refused."""
        if address not in self.known:
            number = len(self.known) + 1
            kind = "good"
            if self.defer_one_in and number % self.defer_one_in == 0:
                kind = "put off"
            elif self.refuse and number % 7 == 3:
                self.refuse -= 1
                kind = "refused"
            self.known[address] = kind
        kind = self.known[address]
        if kind == "refused":
            return "550 5.1.1 No such mailbox here"
        if kind == "put off":
            self.known[address] = "good"
            return "451 4.2.0 Greylisted, try again soon"
        return "250 2.1.5 Ok"

    def next_id(self):
        self.ids += 1
        return f"{os.getpid():X}Q{self.ids:06X}"

    def accept(self, session, number, message):
        if message.startswith(b"."):
            message = message[1:]
        message = message.replace(b"\r\n.", b"\r\n")
        ends = message.count(b"\r\n")
        bare = message.count(b"\r") + message.count(b"\n") - 2 * ends
        self.count += 1
        entry = {"id": number, "session": session.number, "nth": session.mails,
                 "hello": session.hello, "from": session.sender,
                 "rcpt": session.recipients, "size": len(message), "bare": bare,
                 "parameters": session.parameters, "tls": session.tls, "user": session.user,
                 "at": time.time()}
        head = message[:message.find(b"\r\n\r\n") + 2]
        box = self.maildir
        if self.letters and re.search(rb"(?im)^Auto-Submitted:", head):
            box = self.letters
        if box:
            entry["file"] = box.add(message)
        if self.truth:
            self.truth.write(json.dumps(entry).encode() + b"\n")
        if self.keep_bodies:
            entry["message"] = message
            self.accepted.append(entry)

    def keep_task(self, task):
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # ---- running --------------------------------------------------------------------------

    async def listen(self):
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.listener = await self.loop.create_server(
            lambda: Session(self), self.host, self.port, ssl=self.smtps, backlog=256)
        self.port = self.listener.sockets[0].getsockname()[1]

    def run(self, ready):
        async def serve():
            await self.listen()
            over = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                self.loop.add_signal_handler(number, over.set)
            ready(self)
            await over.wait()
            self.listener.close()
        asyncio.run(serve())

    def start(self):
        ready = threading.Event()

        async def serve():
            await self.listen()
            self.over = asyncio.Event()
            ready.set()
            await self.over.wait()
            self.listener.close()
            for session in list(self.sessions):
                if session.transport and not session.over:
                    session.transport.abort()
            await asyncio.sleep(0)
        self.thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self.thread.start()
        if not ready.wait(60):
            raise RuntimeError("the SMTP server doesn't start")
        return self

    def stop(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(10)
        if self.truth:
            self.truth.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


def main():
    parser = argparse.ArgumentParser(description="A scripted SMTP server that keeps the truth.")
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0: any that is free")
    add("--port-file", help="the port is written here when it listens")
    add("--maildir", help="accepted messages, each as it came in")
    add("--letters", help="a Maildir for messages with an Auto-Submitted header")
    add("--truth", help="a line of JSON for each accepted message")
    add("--defer-one-in", type=int, default=0, metavar="N", help="put every Nth new recipient off")
    add("--refuse", type=int, default=0, metavar="N", help="refuse N recipients for good")
    add("--rule", action="append", default=[], type=json.loads, help="see the head of this file")
    add("--size", type=int)
    add("--no-pipelining", action="store_true")
    add("--no-8bitmime", action="store_true")
    add("--smtputf8", action="store_true")
    add("--auth", metavar="USER:PASSWORD")
    add("--certificate", nargs=2, metavar=("CHAIN", "KEY"))
    add("--make-certificate", metavar="DIR", help="makes server-{ca,cert,key}.pem for --host")
    add("--smtps", action="store_true", help="TLS from the start instead of STARTTLS")
    args = parser.parse_args()

    pair = args.certificate
    if args.make_certificate:
        pair = make_certificate(args.make_certificate, args.host)[1:]
    server = Server(
        rules=args.rule, host=args.host, port=args.port, maildir=args.maildir,
        letters=args.letters, truth=args.truth, pipelining=not args.no_pipelining,
        size=args.size, eightbit=not args.no_8bitmime, smtputf8=args.smtputf8,
        auth=tuple(args.auth.split(":", 1)) if args.auth else None,
        starttls=pair if pair and not args.smtps else None, smtps=pair if args.smtps else None,
        defer_one_in=args.defer_one_in, refuse=args.refuse, keep_bodies=False)

    def ready(self):
        if args.port_file:
            with open(args.port_file + ".new", "w", encoding="ascii") as file:
                file.write(f"{self.port}\n")
            os.rename(args.port_file + ".new", args.port_file)
        print(self.port, flush=True)
    server.run(ready)


if __name__ == "__main__":
    main()
