"""Mails as a strict reader sees them: Python's email package with its default policy.

The unit test test_digest writes them: each kind of mail, theme and language, to readers whose names
are Arabic, Urdu, Chinese, emoji, quotes, very long, or an attack.
"""
import email
import email.policy
import json
import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("DIGESTD_BUILD", "build"))
WRITER = BUILD / "tests" / "test_digest"


@pytest.fixture(scope="module")
def mails(tmp_path_factory):
    if not WRITER.exists():
        pytest.skip(f"{WRITER} isn't built: `make unit` makes it")
    out = tmp_path_factory.mktemp("mails")
    subprocess.run([WRITER.resolve()], check=True, env={**os.environ, "MESSAGE_OUT": str(out)},
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    found = [(path.stem, path.read_bytes(), json.loads(path.with_suffix(".json").read_text()))
             for path in sorted(out.glob("*.eml"))]
    assert len(found) > 200
    return found


def one_line(text):
    """What a header can hold of a name."""
    return " ".join(re.sub(r"[\x00-\x20\x7f-\xa0\u2028\u2029]", " ", text).split())


def defects(part):
    yield from part.defects
    for header, value in part.items():
        # Python knows no addresses beyond ASCII (RFC 6532), which such a reader's mail needs.
        if header != "To" or str(value).isascii():
            yield from getattr(value, "defects", ())
    if part.is_multipart():
        for child in part.iter_parts():
            yield from defects(child)


def test_bytes_are_fit_for_smtp(mails):
    for name, raw, _ in mails:
        assert raw.endswith(b"\r\n"), name
        rest = raw.replace(b"\r\n", b"")
        assert b"\r" not in rest and b"\n" not in rest and b"\0" not in rest, name
        lines = raw.split(b"\r\n")
        assert max(map(len, lines)) < 999, name
        assert not any(line.startswith((b".", b"From ")) for line in lines), name
        body = raw.partition(b"\r\n\r\n")[2]
        assert body.isascii(), name
        assert max(map(len, body.split(b"\r\n"))) <= 76, name


def test_a_strict_reader_finds_no_defect(mails):
    for name, raw, _ in mails:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert not list(defects(message)), (name, list(defects(message)))
        assert message.get_content_type() == "multipart/alternative", name
        kinds = [part.get_content_type() for part in message.iter_parts()]
        assert kinds == ["text/plain", "text/html"], name
        for header in set(message.keys()):
            assert len(message.get_all(header)) == 1, (name, header)
        assert "Bcc" not in message, name


def test_headers_read_back_as_what_went_in(mails):
    for name, raw, wanted in mails:
        message = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
        shown = one_line(wanted["name"])
        [to] = message["To"].addresses
        if raw.partition(b"\r\nDate:")[0].partition(b"\r\nTo:")[2].count(b"=?UTF-8?") > 1:
            # Python 3.11 sees a space between encoded words in a phrase (RFC 2047 6.2 has none).
            assert to.display_name.replace(" ", "") == shown.replace(" ", ""), name
        else:
            assert to.display_name == shown, name
        if wanted["address"].isascii():
            assert to.addr_spec == wanted["address"], name
        else:
            assert f"<{wanted['address']}>".encode() in raw, name
        [sender] = message["From"].addresses
        assert sender.display_name == "The Harbour, weekly", name
        assert sender.addr_spec == "news@xn--hfen-loa.example", name
        assert message["Date"].datetime.isoformat() == "2026-11-24T22:01:07+00:00", name
        if name.startswith("digest-"):
            assert message["Subject"] == one_line(f"For {shown}: Ships & sails"), name


def test_bodies_read_back_as_what_went_in(mails):
    for name, raw, wanted in mails:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        text, html = (part.get_content() for part in message.iter_parts())
        assert wanted["address"] in text and "\ufffd" not in text + html, name
        assert html.rstrip().endswith("</html>"), name
        if name.startswith("digest-"):
            assert "https://news.example/u/TOKEN" in text, name
            assert 'href="https://news.example/u/TOKEN"' in html, name
            assert "بندرگاہ کی خبریں" in text and "بندرگاہ کی خبریں" in html, name
