"""What feeds, templates and readers' data can do to an engine that delivers meanwhile: a clear error
each, and the work goes on."""

import gzip
import io
import json
import time

import pytest

from engine import accepted
from feedserver import FeedServer

# A feed's time is short and its size small: the limits are tried, not their default values.
SMALL = 'feeds = { timeout = "6 s"; max_size = "4 MiB"; };' 'timing = { plan = "100 ms"; };'


# ---- feeds ------------------------------------------------------------------------------------------


def head(request, **headers):
    request.send_response(200)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Connection", "close")
    request.end_headers()
    request.close_connection = True


def hundred_megabytes(request):
    head(request, Content_Type="application/rss+xml")
    request.wfile.write(b'<?xml version="1.0"?><rss><channel><title>')
    for _ in range(100):
        request.wfile.write(b"x" * (1 << 20))


def byte_a_second(request):
    web = request.server.web
    web.drip_began = time.time()
    try:
        head(request, Content_Type="application/rss+xml")
        for byte in b'<?xml version="1.0"?><rss><channel>' * 20:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(1)
    finally:
        web.drip_ended = time.time()


def bomb(request):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        for _ in range(60):
            packed.write(b" " * (1 << 20))
    request.answer(200, out.getvalue(), {"Content-Encoding": "gzip", "Content-Type": "application/rss+xml"})


def doubling():
    lines = ['<!ENTITY e0 "ha">'] + [f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};">' for n in range(1, 40)]
    return ('<?xml version="1.0"?><!DOCTYPE rss [' + "".join(lines) + "]><rss><channel><title>&e39;</title>"
            "</channel></rss>").encode()


def million_entities():
    return (b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY e "">]><rss><channel><title>'
            + b"&e;" * 1_000_000 + b"</title></channel></rss>")


def nested(depth):
    return b'<?xml version="1.0"?><rss><channel>' + b"<a>" * depth + b"</a>" * depth + b"</channel></rss>"


HOSTILE = {
    "huge": hundred_megabytes,
    "drip": byte_a_second,
    "bomb": bomb,
    "doubling": doubling(),
    "nested": nested(10_000),
    "html": b"<!DOCTYPE html><html><head><title>A page</title></head><body><p>No feed.</p></body></html>",
    "json": b'{"no": "feed"}',
    "deepjson": b'{"version": "https://jsonfeed.org/version/1.1", "items": ' + b"[" * 100_000,
    "empty": b"",
    "noise": bytes(range(256)) * 100,
    "to-file": lambda request: request.answer(302, headers={"Location": "file:///etc/passwd"}),
    "round": lambda request: request.answer(302, headers={"Location": "/round"}),
    "fault": lambda request: request.answer(500, b"It broke"),
}

# These may be read or refused; nothing else may come of them.
ODD = {
    "entities": million_entities(),
    "utf8": b'<?xml version="1.0" encoding="UTF-8"?><rss><channel><title>\xff\xfe</title><item><guid>1</guid>'
            b"<title>Not \xc3( UTF-8 \xed\xa0\x80</title></item></channel></rss>",
    "many": b'<?xml version="1.0"?><rss><channel>' + b"".join(
        b"<item><guid>%d</guid><title>Item %d</title></item>" % (n, n) for n in range(10_000)) + b"</channel></rss>",
}


def test_hostile_feeds_end_in_clear_errors_while_an_issue_goes_out(make):
    """Twenty mails more may be answered beside each feed, and are waited for."""
    web = FeedServer({f"/{name}": page for name, page in (HOSTILE | ODD).items()})
    web.drip_began = web.drip_ended = None
    allowed, pauses = 0, {}
    engine, news, smtpd = make(readers=400, extra=SMALL, rules=[
        {"stage": "dot", "until": lambda: len(smtpd.accepted) <= allowed}])

    def poll(name, is_local=True):
        news.run("INSERT INTO feed (name, url, is_local, every) VALUES (%s, %s, %s, '1 hour')",
                 name, web.url("/" + name), is_local)
        news.run("SELECT pg_notify('digestd', 'feed 0')")

    def polled(name):
        # The lease is ten minutes; a failure waits an hour.
        return news.value("SELECT next_at > now() + '30 minutes' FROM feed WHERE name = %s", name)

    with web, engine:
        engine.wait_for(lambda: "begins" in engine.log())
        issue = news.open()
        for name in sorted(set(HOSTILE | ODD) - {"drip"}):
            poll(name)
            began, allowed = time.monotonic(), allowed + 20
            engine.wait_for(lambda: len(smtpd.accepted) > allowed)
            pauses[name] = time.monotonic() - began
            engine.wait_for(lambda: polled(name))
        poll("private", is_local=False)
        engine.wait_for(lambda: polled("private"))
        poll("drip")
        engine.wait_for(lambda: web.drip_began)
        allowed = 400
        engine.wait_for(lambda: web.drip_ended and polled("drip"))
        engine.wait_for(lambda: news.state(issue) == "done")
        errors = dict(news.rows("SELECT name, last_error FROM feed WHERE failures > 0"))
    log = engine.log()
    for name, error in errors.items():
        print(f"{name}: {error}")
    assert set(HOSTILE) | {"private"} <= set(errors) <= set(HOSTILE) | set(ODD) | {"private"}
    assert all(error and "\n" not in error and len(error) < 300 for error in errors.values())
    for name in errors:
        assert log.count(f"feed {name}: ") == 1, name
    assert "4 MiB" in errors["huge"] or "big" in errors["huge"] or "large" in errors["huge"]
    assert set(accepted(smtpd).values()) == {1} and len(accepted(smtpd)) == 400
    slowest = max(pauses, key=pauses.get)
    print(f"twenty mails took {pauses[slowest]:.2f} s beside {slowest}, and less beside the others")
    # Mail went out while the slowest feed was read, until its own time was over (the default is 60 s).
    assert any(web.drip_began < message["at"] < web.drip_ended for message in smtpd.accepted)
    assert "timed out" in errors["drip"] and web.drip_ended - web.drip_began < 30


# ---- templates --------------------------------------------------------------------------------------


TEXTS = {"mail": {"more": "More"}}


def theme(html, partials=None):
    return {"templates": {"html": html, "text": "{{lead.title}}", "partials": partials or {}},
            "text": TEXTS}


BAD_THEMES = {
    "a missing partial": theme("<p>{{> nowhere}}</p>"),
    "a loop": theme("{{> a}}", {"a.html": "{{> b}}", "b.html": "{{> a}}"}),
    "a loop that grows": theme("{{> a}}", {"a.html": "{{#articles}}{{> a}}{{> a}}{{/articles}}"}),
    "nested 10,000 deep": theme("{{#a}}" * 10_000 + "x" + "{{/a}}" * 10_000),
    "never closed": theme("{{#articles}}<p>"),
    "no template": {"templates": {}, "text": TEXTS},
    "not even an object": {"templates": 7, "text": "no"},
    "endless output": theme("{{> a}}", {
        name + ".html": "x" * 1000 + "".join(f"{{{{> {chr(ord(name) + 1)}}}}}" for _ in range(10))
        for name in "abcdefgh"} | {"i.html": "y" * 1000}),
}


@pytest.mark.parametrize("bad", BAD_THEMES)
def test_an_issue_that_cannot_be_rendered_is_paused_and_others_go_on(make, bad):
    engine, news, smtpd = make(readers=60, rules=[{"stage": "dot", "delay": 0.02}])
    with engine:
        good = news.open()
        broken = news.open(theme=BAD_THEMES[bad])
        engine.wait_for(lambda: news.state(broken) == "paused" and news.state(good) == "done")
        again = news.open()
        engine.wait_for(lambda: news.state(again) == "done")
        engine.wait_for(lambda: news.value("SELECT count(*) FROM send_window WHERE settled_at IS NULL") == 0)
        lines = [line for line in engine.log().split("\n") if "can't be rendered" in line]
    assert 1 <= len(lines) <= 2 and len(lines[0]) < 400
    print(lines[0])
    assert news.outcomes(good) == news.outcomes(again) == {"delivered": 60}
    assert news.outcomes(broken) == {}
    assert news.value("SELECT count(*) FROM deferral WHERE issue = %s AND tries > 0", broken) == 0


# ---- readers' data -----------------------------------------------------------------------------------


def reader(news, email, name="", attrs=None):
    news.run("SELECT subscription_put(%s, subscriber_put(%s, lower(%s), %s, %s, %s, '', now()), 'import', NULL,"
             " 'active', NULL, NULL, '{}', now())",
             news.list, email, email, email.rsplit("@", 1)[1], name, json.dumps(attrs or {}))


def deep(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


STRANGE = {
    "crlf@a.example": ("Bob\r\nBcc: victim@a.example\r\n\r\nHello", None),
    "emoji@a.example": ("\U0001f9dc\u200d\u2640\ufe0f \u0645\u0631\u062d\u0628\u0627 \"Q\" <x@y>", None),
    "long@a.example": ("N" * 10_000, None),
    "mustache@a.example": ("{{links.unsubscribe}}{{{reader.email}}}", {"name": "other", "email": "other@a.example"}),
    "nested@a.example": ("Nested", {"a": {"b": [1, None, {"c": "d" * 5000}]}, "name": {"x": 1}, "\u0001": "\u0002"}),
    "deeper@a.example": ("Deeper", deep(500)),
    "many@a.example": ("Many", {f"attribute{n}": "v" * 100 for n in range(2000)}),
}


def test_strange_readers_get_their_mail_and_hold_up_nobody(make):
    engine, news, smtpd = make(readers=20)
    for email, (name, attrs) in STRANGE.items():
        reader(news, email, name, attrs)
    reader(news, '"a b\\"c"@a.example', "Quoted")  # not an address that we write to
    reader(news, "j\u00fcrgen@a.example", "J\u00fcrgen")
    reader(news, "anna@b\u00fccher.example", "Anna")
    with engine:
        issue = news.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    got = {message["rcpt"][0]: message["message"] for message in smtpd.accepted}
    assert set(STRANGE) <= set(got)
    assert "anna@xn--bcher-kva.example" in got
    assert news.outcomes(issue)["delivered"] == 20 + len(STRANGE) + 1
    row = news.rows("SELECT d.outcome::text, d.reason FROM delivery d JOIN subscriber p ON p.id = d.subscriber"
                    " WHERE p.email LIKE 'j%%rgen@%%'")[0]
    assert row[0] == "refused" and "SMTPUTF8" in row[1].upper()
    assert news.value("SELECT d.reason FROM delivery d JOIN subscriber p ON p.id = d.subscriber"
                      " WHERE p.name = 'Quoted'")
    for message in smtpd.accepted:
        assert message["bare"] == 0
        lines = message["message"].split(b"\r\n")
        assert max(map(len, lines)) < 999
        assert not any(line.lower().startswith(b"bcc:") for line in lines[:lines.index(b"")])


def test_an_address_beyond_ascii_goes_to_a_server_that_takes_it(make):
    engine, news, smtpd = make(server={"smtputf8": True})
    reader(news, "j\u00fcrgen@a.example", "J\u00fcrgen")
    with engine:
        issue = news.open()
        engine.wait_for(lambda: news.state(issue) == "done")
    assert news.outcomes(issue) == {"delivered": 1}
    assert "SMTPUTF8" in smtpd.accepted[0]["parameters"]
