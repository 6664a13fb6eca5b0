"""Reads what arrived as strictly as a mail program could, and makes a page of one digest."""

import base64
import email
import email.policy
import os
import re

LINE_MOST = 998  # RFC 5322, 2.1.1: without the CRLF


class Digest:
    """One mail of the Maildir, with all that is wrong with it in `faults`."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.raw = file.read()
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)
        self.faults = [*self._bytes_faults(), *self._defects(), *self._missing()]

    def _bytes_faults(self):
        if len(self.raw.replace(b"\r\n", b"")) != len(
                self.raw.replace(b"\r", b"").replace(b"\n", b"")):
            yield "a bare CR or LF"
        longest = max(len(line) for line in self.raw.split(b"\r\n"))
        if longest > LINE_MOST:
            yield f"a line of {longest} bytes"

    def _defects(self):
        for part in self.message.walk():
            yield from (f"{part.get_content_type()}: {defect!r}" for defect in part.defects)
            for name, value in part.items():
                yield from (f"{name}: {defect!r}" for defect in value.defects)
            if not part.is_multipart():
                part.get_content()

    def _missing(self):
        for name in ("From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe",
                     "List-Unsubscribe-Post", "Feedback-ID", "MIME-Version"):
            if len(self.message.get_all(name, [])) != 1:
                yield f"{len(self.message.get_all(name, []))} headers {name}"
        types = [part.get_content_type() for part in self.message.walk()
                 if not part.is_multipart()]
        if types != ["text/plain", "text/html"]:
            yield "parts " + ", ".join(types)

    @property
    def reader(self):
        addresses = self.message["To"].addresses
        return addresses[0].addr_spec.lower() if len(addresses) == 1 else ""

    @property
    def unsubscribe(self):
        """The link of one click (RFC 8058)."""
        found = re.findall(r"<(https?://[^>]+)>", str(self.message["List-Unsubscribe"]))
        return found[0] if found else ""

    def html(self):
        return self.message.get_body(("html",)).get_content()

    def text(self):
        return self.message.get_body(("plain",)).get_content()


def arrived(maildir):
    """Paths of the mails in a Maildir, in the order in which they came."""
    folder = os.path.join(maildir, "new")
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def preview(html, base_url, static):
    """The digest as a page that needs nobody: pictures of ours become part of it."""
    def inline(match):
        path = os.path.join(static, os.path.basename(match.group(2)))
        if not os.path.isfile(path):
            return match.group(0)
        with open(path, "rb") as file:
            data = base64.b64encode(file.read()).decode("ascii")
        return f"{match.group(1)}data:image/png;base64,{data}"
    return re.sub(r'(["\'(])' + re.escape(base_url) + r"/static/([\w.-]+\.png)", inline, html)
