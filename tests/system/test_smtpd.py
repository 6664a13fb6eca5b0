"""The scripted SMTP server keeps its word: what other tests build on."""
import json
import pathlib
import smtplib
import ssl
import subprocess
import sys
import time

import pytest

from smtpd import Server, make_certificate

MAIL = b"Subject: hello\r\n\r\nOne line\r\n"


def send(port, recipient="ann@example.org", message=MAIL):
    with smtplib.SMTP("127.0.0.1", port) as client:
        return client.sendmail("list@example.org", [recipient], message)


def test_an_accepted_message_is_kept_as_it_came(tmp_path):
    message = MAIL + b"..two dots\r\n.one\r\n"
    with Server(maildir=tmp_path / "box", truth=str(tmp_path / "truth")) as smtpd:
        send(smtpd.port, message=message)
    (kept,) = (tmp_path / "box" / "new").iterdir()
    assert kept.read_bytes() == message
    (line,) = (tmp_path / "truth").read_text().splitlines()
    assert json.loads(line)["rcpt"] == ["ann@example.org"]
    assert json.loads(line)["bare"] == 0


def test_a_rule_answers_for_its_recipient_and_for_so_many_times():
    rule = {"stage": "rcpt", "match": "^bob@", "reply": "450 4.2.1 Not now", "times": 1}
    with Server(rules=[rule]) as smtpd:
        send(smtpd.port)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(smtpd.port, "bob@example.org")
        send(smtpd.port, "bob@example.org")
        assert [entry["rcpt"][0][:3] for entry in smtpd.accepted] == ["ann", "bob"]


@pytest.mark.parametrize("cut,kept", [("before", 1), ("within", 1), ("after", 1)])
def test_a_cut_at_the_final_dot_leaves_the_message_accepted(cut, kept):
    with Server(rules=[{"stage": "dot", "cut": cut}]) as smtpd:
        try:
            send(smtpd.port)
        except smtplib.SMTPException:
            assert cut != "after"
        assert len(smtpd.accepted) == kept


def test_one_in_n_is_put_off_once_and_n_are_refused_for_good():
    with Server(defer_one_in=10, refuse=2) as smtpd:
        outcomes = {}
        for turn in range(2):
            for i in range(30):
                try:
                    send(smtpd.port, f"r{i}@example.org")
                    outcomes.setdefault(i, []).append(250)
                except smtplib.SMTPRecipientsRefused as refused:
                    (answer,) = refused.recipients.values()
                    outcomes.setdefault(i, []).append(answer[0])
        assert [i for i in outcomes if outcomes[i] == [451, 250]] == [9, 19, 29]
        assert [i for i in outcomes if outcomes[i] == [550, 550]] == [2, 16]


def test_starttls_and_auth_with_a_certificate_of_its_own(tmp_path):
    ca, *pair = make_certificate(tmp_path)
    with Server(starttls=pair, auth=("me", "secret")) as smtpd:
        with smtplib.SMTP("localhost", smtpd.port) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            client.starttls(context=ssl.create_default_context(cafile=ca))
            client.ehlo()
            assert client.has_extn("auth") and not client.has_extn("starttls")
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("me", "wrong")
            client.login("me", "secret")
            client.sendmail("list@example.org", ["ann@example.org"], MAIL)
        assert (smtpd.accepted[0]["tls"], smtpd.accepted[0]["user"]) == (True, "me")


def test_the_command_writes_its_port_and_keeps_letters_apart(tmp_path):
    script = pathlib.Path(__file__).with_name("smtpd.py")
    command = [sys.executable, str(script), "--port-file", str(tmp_path / "port"), "--maildir",
               str(tmp_path / "mail"), "--letters", str(tmp_path / "letters")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "port").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            port = int((tmp_path / "port").read_text())
            send(port)
            send(port, message=b"Auto-Submitted: auto-generated\r\n" + MAIL)
        finally:
            process.terminate()
    assert process.returncode == 0
    assert len(list((tmp_path / "mail" / "new").iterdir())) == 1
    assert len(list((tmp_path / "letters" / "new").iterdir())) == 1
