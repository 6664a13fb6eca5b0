"""The demo and the lab, each from a checkout of its own whose path is long and has spaces."""

import email
import email.policy
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT
from ports import reserved_port
from waiting import PATIENCE

READERS = 60
REFUSED = 2
FOLDER = "a checkout with spaces, and a path of more than ninety characters so that no socket fits"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What the demo needs of the sources, elsewhere."""
    place = tmp_path_factory.mktemp("demo") / FOLDER
    for folder in "tests/demo", "tests/data/articles", "templates/web/static":
        shutil.copytree(os.path.join(ROOT, folder), place / folder)
    os.makedirs(place / "tests" / "system")
    for name in "pg.py", "smtpd.py":
        shutil.copy(os.path.join(ROOT, "tests", "system", name), place / "tests" / "system")
    return place


def run(checkout, build, script, *arguments, **environment):
    return subprocess.run(
        ["/usr/bin/python3", "-B", os.path.join("tests", "demo", script), *arguments],
        cwd=checkout, capture_output=True, text=True, timeout=PATIENCE,
        env={**os.environ, "DIGESTD_BUILD": build, **environment})


@pytest.fixture(scope="module")
def demo(checkout, build):
    """Two runs, one after another: what the second says and leaves."""
    for number in 1, 2:
        done = run(checkout, build, "demo.py", SUBSCRIBERS=str(READERS), DEMO_REFUSE=str(REFUSED))
        assert done.returncode == 0, f"run {number}: {done.stdout}{done.stderr}"
    yield done.stdout
    home = checkout / ".demo"
    pointer = home / "pg" / "elsewhere"
    elsewhere = pointer.read_text().strip() if pointer.exists() else None
    assert run(checkout, build, "demo.py", "--clean").returncode == 0
    assert not home.exists()
    assert elsewhere and not os.path.exists(elsewhere)


@pytest.fixture(scope="module")
def mails(checkout, demo):
    folder = checkout / ".demo" / "mail" / "new"
    return [(folder / name).read_bytes() for name in sorted(os.listdir(folder))]


def parsed(mails):
    return [email.message_from_bytes(raw, policy=email.policy.default) for raw in mails]


def test_each_reader_has_one_mail(mails):
    readers = [str(message["To"].addresses[0].addr_spec) for message in parsed(mails)]
    assert len(readers) == len(set(readers)) == READERS - REFUSED


def test_a_strict_reader_finds_no_defect(mails):
    for message in parsed(mails):
        for part in message.walk():
            assert part.defects == []
            assert [value.defects for value in part.values() if value.defects] == []


def test_lines_are_short_and_end_with_crlf(mails):
    for raw in mails:
        assert max(len(line) for line in raw.split(b"\r\n")) < 999
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", raw)


def test_each_mail_has_its_own_links(mails):
    messages = parsed(mails)
    for header in "List-Unsubscribe", "Message-ID":
        assert len({str(message[header]) for message in messages}) == len(messages)
    for message in messages:
        link = re.search(r"<(http[^>]+)>", str(message["List-Unsubscribe"])).group(1)
        body = message.get_body(("plain",)).get_content()
        assert link.rsplit("/", 1)[1] in body


def test_digests_and_letters_are_apart(checkout, demo):
    letters = os.listdir(checkout / ".demo" / "letters" / "new")
    assert len(letters) == 2  # confirm, welcome


def test_the_summary_tells_what_happened(demo):
    assert re.search(r"at once +52\n", demo), demo
    assert re.search(r"after retry +6 ", demo), demo
    assert re.search(r"not at all +2 ", demo), demo
    assert "digestctl explain" in demo and "Greylisted" in demo


def test_the_preview_needs_nobody(checkout, demo):
    page = (checkout / ".demo" / "preview.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert not re.search(r'src="http://127', page)


def test_nothing_runs_after_the_demo(checkout, demo):
    assert sorted(os.listdir(checkout / ".demo" / "run")) == ["smtpd.port", "story.pid"]


def test_the_lab_has_readers_and_no_engine(checkout, build):
    lab = str(checkout / ".lab")
    try:
        done = run(checkout, build, "lab.py", "start", lab, SUBSCRIBERS="20")
        assert done.returncode == 0, done.stderr
        config = re.search(r"export DIGESTD_CONFIG=(.*)", done.stdout).group(1)
        shell = (f"export DIGESTD_CONFIG={config}; PATH='{os.path.abspath(build)}':$PATH; "
                 "digestctl --json engine ls; digestctl subscriber ls harbour | wc -l")
        said = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=300)
        assert said.stdout.split() == ["[]", "21"], said.stdout + said.stderr
        assert run(checkout, build, "lab.py", "stop", lab).returncode == 0
        with open(os.path.join(lab, "complete"), encoding="ascii") as file, \
                reserved_port(int(file.read())):  # the lab goes on at the port that it had
            again = run(checkout, build, "lab.py", "start", lab, SUBSCRIBERS="20")
        assert again.returncode == 0, again.stderr
    finally:
        assert run(checkout, build, "lab.py", "remove", lab).returncode == 0
    assert not os.path.exists(lab)


BREAKS = {
    "a bare LF": (b"\r\n\r\n", b"\r\n\n"),
    "a long line": (b"MIME-Version:", b"X-Long: " + b"x" * 1000 + b"\r\nMIME-Version:"),
    "no link to leave": (b"List-Unsubscribe:", b"X-Unsubscribe:"),
    "two subjects": (b"Subject:", b"Subject: twice\r\nSubject:"),
    "a Date that is none": (b"Date:", b"Date: soon\r\nX-Date:"),
    "no end": (b"--\r\n", b"\r\n"),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_the_demo_sees_what_is_wrong_with_a_mail(mails, tmp_path, broken):
    sys.path.insert(0, os.path.join(ROOT, "tests", "demo"))
    from inbox import Digest

    (tmp_path / "good").write_bytes(mails[0])
    assert Digest(tmp_path / "good").faults == []
    old, new = BREAKS[broken]
    head, found, rest = mails[0].rpartition(old) if broken == "no end" else mails[0].partition(old)
    assert found
    (tmp_path / "bad").write_bytes(head + new + rest)
    assert Digest(tmp_path / "bad").faults


def test_the_demo_fails_when_its_engine_dies(checkout, build):
    # As many as take the SMTP server seconds: it is killed within milliseconds after their start.
    home = str(checkout / ".killed")
    child = subprocess.Popen(
        ["/usr/bin/python3", "-B", os.path.join("tests", "demo", "demo.py")], cwd=checkout,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "DIGESTD_BUILD": build, "DEMO_DIR": home, "SUBSCRIBERS": "6000"})
    said = ""
    for line in child.stdout:
        said += line
        if line.startswith("The issue"):
            with open(os.path.join(home, "run", "digestd.pid"), encoding="ascii") as file:
                os.kill(int(file.read().split()[0]), 9)
    assert child.wait(PATIENCE) == 1, said
    assert "digestd ended (-9)" in said
    done = run(checkout, build, "demo.py", "--clean", DEMO_DIR=home)
    assert done.returncode == 0 and not os.path.exists(home)
