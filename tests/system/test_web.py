"""The readers' pages: what each answers, what it changes, and what it can't be made to do."""

import hashlib
import base64
import itertools
import re
import select
import signal
import socket
import threading
import time
import urllib.parse

import psycopg2
import pytest

from waiting import PATIENCE, lock_waiters, wait_until
from webserver import FORM, KEY_ID, Store, Web, token

MULTIPART = ("multipart/form-data; boundary=----x",
             '------x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
             "One-Click\r\n------x--\r\n")
ONE_CLICK = {"urlencoded": (FORM, "List-Unsubscribe=One-Click"), "multipart": MULTIPART}
TRUSTED = 'trusted_proxies = [ "127.0.0.0/8", "unix" ];'
PAGES_MOST = 30_000


@pytest.fixture(name="store")
def fixture_store(cluster, database):
    store = Store(cluster, database)
    yield store
    store.connection.close()


@pytest.fixture(name="web")
def fixture_web(build, store, tmp_path):
    with Web(build, store.dsn, tmp_path) as web:
        yield web


def confirm_link(store, number, gen=1, **more):
    more.setdefault("expires", time.time() + 3600)
    return "/c/" + token("c", store.list, number, gen, **more)


def leave_link(store, number, **more):
    return "/u/" + token("u", store.list, number, **more)


def check_headers(answer, of_reader):
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Server"] is None and answer.headers["Set-Cookie"] is None
    if of_reader:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def check_page(answer):
    """HTML that is whole, small, and without anything that the policy would have to stop."""
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(answer.body) < PAGES_MOST
    assert answer.text.startswith("<!DOCTYPE html>") and answer.text.rstrip().endswith("</html>")
    tags = " ".join(re.findall(r"<[^>]*>", re.sub(r'="[^"]*"', "=", answer.text)))
    assert not re.search(r"<script|<img|\son\w+=|\sstyle=", tags)
    assert not re.search(r'(href|src|action)="(?!#)[^"]*:', answer.text)
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    title = re.search(r"<title>(.*?)</title>", answer.text).group(1)
    assert title and len(re.findall(r"<h1[ >]", answer.text)) == 1


# ---- what each page answers ----------------------------------------------------------------------


def test_the_front_page_names_the_lists(web):
    answer = web.get("/")
    assert answer.status == 200
    check_page(answer)
    check_headers(answer, of_reader=False)
    assert '<a href="./l/news">The &lt;Harbour&gt; &amp; News</a>' in answer.text


def test_a_lists_page_has_its_form(web):
    answer = web.get("/l/news")
    assert answer.status == 200
    check_page(answer)
    check_headers(answer, of_reader=False)
    assert "Every day at 07:00" in answer.text and "Every Monday at 08:00" in answer.text
    for field in re.findall(r"<input[^>]*>", answer.text):
        if 'type="radio"' not in field:
            assert f'<label for="{re.search("id=.(.*?).[ >]", field).group(1)}"' in answer.text


@pytest.mark.parametrize("path", ["/l/none", "/l/", "/l/NEWS", "/l/news/", "/l/a%20b", "/x", "/l/%00",
                                  "/static/none.png", "/static/..%2fx.png", "/static/.png", "//",
                                  "/l/news/x", "/u/", "/c/x/undo", "/.well-known/x"])
def test_what_is_not_there_is_told_kindly(web, path):
    answer = web.get(path)
    assert answer.status == 404
    check_page(answer)
    check_headers(answer, of_reader=False)


@pytest.mark.parametrize("accept, lang, direction", [
    ("de-AT,de;q=0.9,en;q=0.8", "de", "ltr"), ("ar", "ar", "rtl"), ("ur-PK", "ur", "rtl"),
    ("fr;q=0.2,de;q=0.1", "fr", "ltr"), ("xx,*", "en", "ltr"), ("", "en", "ltr"),
    ("de;q=0,fr;q=0.1", "fr", "ltr"), (",;q=,;;,de;q=9", "en", "ltr")])
def test_pages_speak_the_readers_language(web, accept, lang, direction):
    answer = web.get("/l/news", accept_language=accept)
    assert f'<html lang="{lang}" dir="{direction}">' in answer.text
    assert answer.headers["Vary"] == "Accept-Language"


def test_behind_a_link_the_reader_own_language_is_spoken(web, store):
    number = store.reader(lang="ar")
    assert '<html lang="ar" dir="rtl">' in web.get(leave_link(store, number)).text


def test_static_files_are_sent_as_they_are(web):
    answer = web.get("/static/demo-bees.png")
    assert answer.status == 200 and answer.body.startswith(b"\x89PNG")
    assert answer.headers["Content-Type"] == "image/png"
    assert "max-age" in answer.headers["Cache-Control"]
    check_headers(answer, of_reader=False)


def test_robots_stay_off_links(web):
    assert "Disallow: /u/" in web.get("/robots.txt").text


def test_head_is_get_without_a_body(web, store):
    number = store.reader()
    for path in ("/", "/l/news", leave_link(store, number), "/none", "/robots.txt"):
        get, head = web.get(path), web.ask("HEAD", path)
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize("method, path, allow", [
    ("POST", "/", "GET, HEAD"), ("DELETE", "/l/news", "GET, HEAD, POST"),
    ("PUT", "/u/x", "GET, HEAD, POST"), ("GET", "/u/x/undo", "POST"), ("TRACE", "/", "GET, HEAD"),
    ("PROPFIND", "/robots.txt", "GET, HEAD")])
def test_other_methods_are_refused_with_those_that_are_allowed(web, method, path, allow):
    answer = web.ask(method, path)
    assert answer.status == 405 and answer.headers["Allow"] == allow
    check_page(answer)


def test_options_names_the_methods(web):
    answer = web.ask("OPTIONS", "/l/news")
    assert answer.status == 200 and answer.headers["Allow"] == "GET, HEAD, POST"


# ---- joining -------------------------------------------------------------------------------------


def test_joining_queues_one_letter_and_confirming_subscribes(web, store):
    answer = web.post("/l/news", {"email": " Ada@Example.org ", "name": "Ada", "edition": "weekly"},
                      accept_language="de", user_agent="Test/1")
    assert answer.status == 200
    check_page(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    (number, address, norm, name, lang), = store.run(
        "SELECT id, email, email_norm, name, lang FROM subscriber")
    assert (address, norm, name, lang) == ("Ada@Example.org", "ada@example.org", "Ada", "de")
    (edition, status, gen, consent), = store.run(
        """SELECT e.name, s.status::text, token_gen, consent FROM subscription s
        JOIN edition e ON e.id = s.edition""")
    assert (edition, status) == ("weekly", "pending")
    assert consent["agent"] == "Test/1" and consent["asked_from"] == "127.0.0.0"
    assert store.run("SELECT kind::text, address FROM letter") == [("confirm", "Ada@Example.org")]

    link = confirm_link(store, number, gen)
    page = web.get(link)
    check_page(page)
    check_headers(page, of_reader=True)
    assert page.status == 200 and '<form method="post">' in page.text and "A…@Example.org" in page.text
    assert store.status(number) == "pending"
    done = web.post(link)
    check_page(done)
    check_headers(done, of_reader=True)
    assert done.status == 200 and store.status(number) == "active"
    for answer in (web.get(link), web.post(link)):
        assert answer.status == 200 and "<form" not in answer.text
        check_page(answer)
    assert [k for (k,) in store.run("SELECT kind::text FROM letter ORDER BY id")] == [
        "confirm", "welcome"]


def test_the_answer_never_tells_whether_an_address_is_known(web, store):
    known = store.reader("known@example.org")
    store.reader("pending@example.org", status="pending")
    gone = store.reader("gone@example.org")
    store.run("SELECT subscriber_suppress(%s, 'gone', now())", gone)
    answers = {web.post("/l/news", {"email": f"{name}@example.org"}).body
               for name in ("known", "pending", "gone", "new")}
    assert len(answers) == 1
    assert store.status(known) == "active"


def test_a_wrong_address_is_told_beside_the_field_and_the_form_stays_filled(web, store):
    before = store.everything()
    for address in ("", "ada", "ada@", "@example.org", "a b@example.org", "a@b@c.example",
                    "ada@example.org\r\nBcc: eve@example.org", "ada@example.org\0", "x" * 300 + "@b.example",
                    "a@[127.0.0.1]", '"a b"@example.org', "ada@example.org,eve@example.org"):
        answer = web.post("/l/news", {"email": address, "name": "A & <B>", "edition": "weekly"})
        assert answer.status == 422, address
        check_page(answer)
        assert 'aria-invalid="true"' in answer.text and 'id="email-wrong"' in answer.text
        assert 'value="A &amp; &lt;B&gt;"' in answer.text
        assert 'value="weekly" checked' in answer.text
    assert store.everything() == before


def test_an_edition_that_is_not_there_is_told(web, store):
    for edition in ("none", "../x", "'--", "x" * 200):
        answer = web.post("/l/news", {"email": "ada@example.org", "edition": edition})
        assert answer.status == 422
        check_page(answer)
    assert store.run("SELECT count(*) FROM subscriber") == [(0,)]


def test_a_robot_in_the_trap_is_answered_as_all_and_changes_nothing(web, store):
    before = store.everything()
    robot = web.post("/l/news", {"email": "bob@example.org", "website": "http://spam.example"})
    assert store.everything() == before
    person = web.post("/l/news", {"email": "bob@example.org", "website": ""})
    assert robot.status == person.status and robot.body == person.body
    assert store.run("SELECT count(*) FROM subscriber") == [(1,)]


@pytest.mark.parametrize("bad", [
    "'; DROP TABLE subscriber; --", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
    "a\r\nX-Evil: 1", "{{text.join.email}}", "{{{style}}}", "%00", "\0", "../../etc/passwd", "${7*7}",
    "\u202egnp.exe", "x" * 5000, "\N{ZERO WIDTH SPACE}", "$1", "E'\\\\x00'"], ids=range(15))
def test_what_is_typed_stays_text(web, store, bad):
    fields = {"email": bad, "name": bad, "edition": "daily"}
    answer = web.post("/l/news", fields, user_agent=bad.replace("\r\n", " ").replace("\0", "").encode()
                      .decode("latin-1"), accept_language="en")
    assert answer.status == 422
    check_page(answer)
    assert answer.headers["X-Evil"] is None
    answer = web.post("/l/news", {**fields, "email": "ada@example.org"}, accept_language="en")
    assert answer.status == 200
    check_page(answer)
    (name,), = store.run("SELECT name FROM subscriber")
    assert len(name) <= 100 and not re.search("[\x00-\x1f\u202e]", name)


@pytest.mark.parametrize("body", [b"email=%ff%fe&name=%c0%80", b"email=\xff\xfe", b"=&=&&&", b"%", b"email",
                                  b"&" * 1000, b"email=a@b.example&name=%ed%a0%80"])
def test_broken_bytes_in_a_form_do_no_harm(web, body):
    answer = web.ask("POST", "/l/news", body, {"Content-Type": FORM, "Accept-Language": "en"})
    assert answer.status in (200, 422)
    check_page(answer)


def test_a_network_is_limited_by_the_database(build, store, tmp_path):
    with Web(build, store.dsn, tmp_path, settings="joins_per_client = 1000; joins_per_network = 1000;"
             + TRUSTED) as web:
        for number in range(30):
            assert web.post("/l/news", {"email": f"r{number}@example.org"},
                            x_forwarded_for="192.0.2.7").status == 200
        answer = web.post("/l/news", {"email": "r30@example.org"}, x_forwarded_for="192.0.2.200")
        assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0
        check_page(answer)
        assert web.post("/l/news", {"email": "r30@example.org"},
                        x_forwarded_for="192.0.3.7").status == 200
    assert store.run("SELECT DISTINCT network::text FROM web_join_log ORDER BY 1") == [
        ("192.0.2.0/24",), ("192.0.3.0/24",)]


def test_a_client_and_all_of_them_are_limited_by_the_settings(build, store, tmp_path):
    with Web(build, store.dsn, tmp_path,
             settings="joins_per_client = 2; joins_per_network = 3; joins_total = 5;" + TRUSTED) as web:
        def join(client):
            return web.post("/l/news", {"email": "a@example.org"}, x_forwarded_for=client).status
        assert [join("192.0.2.1") for _ in range(3)] == [200, 200, 429]
        assert [join("192.0.2.2") for _ in range(2)] == [200, 429]
        assert [join("2001:db8::1"), join("2001:db8::ffff"), join("2001:db8::2")] == [200, 200, 429]
        assert join("198.51.100.1") == 429
        assert web.post("/l/news", {"email": "wrong"}).status == 422  # no sign-up, so not counted


@pytest.mark.parametrize("forwarded, network", [
    ("192.0.2.1", "192.0.2.0"), ("203.0.113.9, 192.0.2.1", "192.0.2.0"),
    ("192.0.2.1, 127.0.0.9", "192.0.2.0"), ("192.0.2.1:4711", "192.0.2.0"),
    ("[2001:db8:1:2:3::4]:99", "2001:db8:1:2::"), ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
    ("::ffff:192.0.2.1", "192.0.2.0"), ("garbage", "127.0.0.0"), ("", "127.0.0.0"),
    ("192.0.2.1, garbage", "127.0.0.0"), ("127.0.0.5, 127.0.0.9", "127.0.0.0")])
def test_the_client_is_whom_the_last_trusted_proxy_names(build, store, tmp_path, forwarded, network):
    with Web(build, store.dsn, tmp_path, settings=TRUSTED) as web:
        web.post("/l/news", {"email": "a@example.org"}, x_forwarded_for=forwarded)
    assert store.run("SELECT host(network) FROM web_join_log") == [(network,)]


def test_strangers_are_not_believed_who_they_are(web, store):
    web.post("/l/news", {"email": "a@example.org"}, x_forwarded_for="192.0.2.1")
    assert store.run("SELECT host(network) FROM web_join_log") == [("127.0.0.0",)]


# ---- leaving -------------------------------------------------------------------------------------


def test_leaving_by_the_page_and_coming_back(web, store):
    number = store.reader()
    link = leave_link(store, number)
    page = web.get(link)
    check_page(page)
    check_headers(page, of_reader=True)
    assert page.status == 200 and "a…@example.org" in page.text and "ada@" not in page.text
    assert store.status(number) == "active"
    left = web.post(link)
    check_page(left)
    check_headers(left, of_reader=True)
    assert store.status(number) == "unsubscribed"
    assert store.run("""SELECT detail ->> 'way' FROM subscription_event
        WHERE kind = 'unsubscribe'""") == [("page",)]
    for again in (web.get(link), web.post(link)):
        assert again.status == 200
        check_page(again)
        assert "already" in again.text
    back = re.search('action="(.*?)"', left.text).group(1)
    answer = web.post(urllib.parse.urljoin(link, back))
    check_page(answer)
    assert answer.status == 200 and store.status(number) == "active"
    assert web.post(link + "/undo").status == 200  # once more does no harm


def test_coming_back_after_a_day_is_too_late(web, store):
    number = store.reader()
    link = leave_link(store, number)
    web.post(link)
    store.run("UPDATE subscription SET status_at = status_at - interval '25 hours'")
    answer = web.post(link + "/undo")
    assert answer.status == 410 and '<a href="../../l/news">' in answer.text
    check_page(answer)
    assert store.status(number) == "unsubscribed"


@pytest.mark.parametrize("kind", ONE_CLICK)
def test_one_click_leaves_at_once(web, store, kind):
    number = store.reader()
    content_type, body = ONE_CLICK[kind]
    for _ in range(2):  # the second finds it done
        answer = web.ask("POST", leave_link(store, number), body, {"Content-Type": content_type})
        assert answer.status == 200 and len(answer.body) < 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["Location"] is None
        check_headers(answer, of_reader=True)
        assert store.status(number) == "unsubscribed"
    assert store.run("""SELECT detail ->> 'way' FROM subscription_event
        WHERE kind = 'unsubscribe'""") == [("one-click",)]


def test_one_click_with_a_link_that_is_not_ours_is_told_in_a_line(web, store):
    content_type, body = MULTIPART
    for path, status in (("/u/" + "A" * 51, 404), ("/u/x", 404)):
        answer = web.ask("POST", path, body, {"Content-Type": content_type})
        assert answer.status == status and answer.headers["Content-Type"].startswith("text/plain")


def test_a_get_changes_nothing(web, store):
    pending = store.reader("p@example.org", status="pending")
    active = store.reader("a@example.org")
    left = store.reader("l@example.org")
    store.run("SELECT subscription_put(%s, %s, 'unsubscribe', NULL, 'unsubscribed', NULL, NULL, '{}',"
              " now())", store.list, left)
    paths = ["/", "/l/news", "/l/news?email=a@b.example", "/health", "/robots.txt"]
    for number in (pending, active, left):
        paths += [confirm_link(store, number), leave_link(store, number),
                  leave_link(store, number) + "/undo",
                  leave_link(store, number) + "?List-Unsubscribe=One-Click"]
    before = store.everything()
    for path in paths:
        for method in ("GET", "HEAD", "OPTIONS"):
            web.ask(method, path)
    assert store.everything() == before


# ---- tokens --------------------------------------------------------------------------------------


def bad_tokens(store, purpose, number):
    good = token(purpose, store.list, number, 1)
    other = "u" if purpose == "c" else "c"
    return {
        "other key": token(purpose, store.list, number, 1, key=b"x" * 32),
        "unknown key": token(purpose, store.list, number, 1, key_id=9),
        "other purpose": token(other, store.list, number, 1),
        "other reader": token(purpose, store.list, number + 1, 1),
        "other list": token(purpose, store.list + 1, number, 1),
        "expired": token(purpose, store.list, number, 1, expires=time.time() - 120),
        "cut": good[:-1], "longer": good + "A", "empty mac": good[:29] + "A" * 22,
        "not base64": good[:20] + "*" + good[21:], "twice": good * 2,
        **{f"bit in {at}": good[:at] + ("B" if good[at] != "B" else "C") + good[at + 1:]
           for at in range(0, 50, 7)},
    }


@pytest.mark.parametrize("purpose", "cu")
def test_a_token_that_is_not_ours_does_nothing(web, store, purpose):
    number = store.reader(status="pending" if purpose == "c" else "active")
    before = store.everything()
    for what, bad in bad_tokens(store, purpose, number).items():
        for method in ("GET", "POST"):
            answer = web.ask(method, f"/{purpose}/{bad}")
            # Whether it has ended is read from the token itself, and decides about words only.
            assert answer.status == (410 if what in ("expired", "bit in 28") else 404), what
            check_page(answer)
            assert "example.org" not in answer.text
    assert store.everything() == before


def test_a_confirm_link_ends_with_its_generation_and_its_key(web, store):
    number = store.reader(status="pending", gen=2)
    assert web.post(confirm_link(store, number, gen=1)).status == 404
    store.run("UPDATE link_key SET retired_at = now() WHERE id = %s", KEY_ID)
    assert web.post(confirm_link(store, number, gen=2)).status == 404
    store.run("UPDATE link_key SET retired_at = NULL WHERE id = %s", KEY_ID)
    assert web.post(confirm_link(store, number, gen=2)).status == 200


# ---- the wall ------------------------------------------------------------------------------------


def test_the_pages_role_reaches_its_functions_and_nothing_else(store):
    connection = psycopg2.connect(store.dsn)
    connection.autocommit = True
    cursor = connection.cursor()
    names = store.run("""SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n
        ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')""")
    assert len(names) > 20
    for (name,) in names:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(f"SELECT * FROM {name}")
    cursor.execute("""SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
        WHERE n.nspname = 'public' AND d.objid IS NULL AND has_function_privilege(p.oid, 'EXECUTE')
        ORDER BY 1""")
    functions = ["web_confirm", "web_join", "web_list", "web_lists", "web_look", "web_undo",
                 "web_unsubscribe"]
    assert [name for (name,) in cursor.fetchall()] == functions

    # A function that a later migration makes is closed too.
    store.run("GRANT CREATE ON SCHEMA public TO digestd_owner")  # as the database's owner has it
    store.run("SET ROLE digestd_owner")
    store.run("CREATE FUNCTION new_function() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("SELECT new_function()")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("CREATE TABLE mine (x int)")
    connection.close()


# ---- bodies, heads, slow and many ----------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused(web, store):
    big = "email=ada@example.org&name=" + "x" * 70_000
    answer = web.ask("POST", "/l/news", big, {"Content-Type": FORM})
    assert answer.status == 413
    check_page(answer)
    chunked = (f"POST /l/news HTTP/1.1\r\nHost: h\r\nContent-Type: {FORM}\r\n"
               "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
               f"{len(big):x}\r\n{big}\r\n0\r\n\r\n")
    assert web.raw(chunked.encode()).startswith(b"HTTP/1.1 413 ")
    assert store.run("SELECT count(*) FROM subscriber") == [(0,)]


def test_a_body_without_end_is_cut_off(web):
    connection = web.connect()
    connection.connect()
    with connection.sock as sock:
        sock.sendall(f"POST /l/news HTTP/1.1\r\nHost: h\r\nContent-Type: {FORM}\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises(OSError):
            for _ in range(2000):
                sock.sendall(chunk)
    assert web.get("/").status == 200


@pytest.mark.parametrize("path, status", [("/" + "x" * 300, 414), ("/u/" + "A" * 5000, 414)],
                         ids=("short", "long"))
def test_an_address_that_is_too_long_is_refused(web, path, status):
    answer = web.get(path)
    assert answer.status == status
    check_page(answer)


@pytest.mark.parametrize("size", (20_000, 100_000, 1_000_000))
def test_a_head_of_any_size_leaves_the_server_well(web, size):
    answer = web.raw(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Big: " + b"x" * size
                     + b"\r\n\r\n")
    assert not answer or answer.split()[1] in (b"200", b"413", b"431")
    assert web.get("/").status == 200


@pytest.mark.parametrize("data", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n",
    b"POST /l/news HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    b"POST /l/news HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n", b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"], ids=range(9))
def test_what_is_no_http_leaves_the_server_well(build, store, tmp_path, data):
    with Web(build, store.dsn, tmp_path, settings='timeout = "2 s";') as web:
        web.raw(data)
        assert web.get("/").status == 200


@pytest.mark.parametrize("content_type, body, status", [
    ("text/plain", "email=a", 415), ("application/json", "{}", 415),
    ("multipart/form-data", "x", 400), ("multipart/form-data; boundary=x", "--y\r\n", 400),
    ("multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', 400),
    (FORM, "&".join(f"f{n}=1" for n in range(40)), 400)], ids=range(6))
def test_a_form_that_can_not_be_read_is_told(web, content_type, body, status):
    answer = web.ask("POST", "/l/news", body, {"Content-Type": content_type})
    assert answer.status == status
    check_page(answer)


def is_closed(sock):
    """Whether the other end has closed this connection."""
    try:
        return bool(select.select([sock], [], [], 0)[0]) and sock.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def test_slow_clients_hold_nobody_up_and_are_cut_off(build, store, tmp_path):
    number = store.reader()
    head = b"POST " + leave_link(store, number).encode() + b" HTTP/1.1\r\nHost: h\r\n"
    body = head + f"Content-Type: {FORM}\r\nContent-Length: 1000\r\n\r\n".encode()
    with Web(build, store.dsn, tmp_path, settings='timeout = "4 s"; connections = 200;') as web:
        slow = []
        for n in range(100):
            connection = web.connect()
            connection.connect()
            slow.append((connection.sock, head if n % 2 else body))
        ended = set()

        def drip(at):
            for sock, data in slow:  # a byte at a time, so that none is idle
                try:
                    sock.sendall(data[at:at + 1] or b"x")
                except OSError:
                    ended.add(sock)
        drip(0)
        assert web.get("/l/news").status == 200
        assert not all(is_closed(sock) for sock, _ in slow)  # the answer came before their end
        until = time.monotonic() + PATIENCE
        for at in itertools.count(1):
            drip(at)
            assert web.get("/l/news").status == 200
            if len(ended) == 100:
                break
            assert time.monotonic() < until
            time.sleep(0.1)
        for sock, _ in slow:
            sock.close()
    assert store.status(number) == "active"


def test_more_connections_than_are_allowed_wait_for_their_turn(build, store, tmp_path):
    with Web(build, store.dsn, tmp_path, settings='timeout = "2 s"; connections = 10;') as web:
        idle = []
        for _ in range(30):
            connection = web.connect()
            connection.connect()
            idle.append(connection.sock)
        assert web.get("/").status == 200
        for sock in idle:
            sock.close()


def test_many_at_once_are_all_answered(web, store):
    number = store.reader()
    link = leave_link(store, number)
    statuses = []

    def ask():
        for path in ("/", "/l/news", link, "/static/demo-bees.png"):
            statuses.append(web.get(path).status)
    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 160


def test_requests_on_one_connection_are_answered_in_turn(web):
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n" % (path, extra) for path, extra in
                    ((b"/", b""), (b"/health", b""), (b"/robots.txt", b"Connection: close\r\n")))
    answer = web.raw(data)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"Newsletters") < answer.index(b"\r\nok\n") < answer.index(b"User-agent")


# ---- the database goes and comes -----------------------------------------------------------------


def test_without_a_database_it_says_so_in_time_and_goes_on_when_it_is_back(build, cluster, store,
                                                                          tmp_path):
    number = store.reader()
    link = leave_link(store, number)
    content_type, body = ONE_CLICK["urlencoded"]
    with Web(build, store.dsn, tmp_path, settings='timeout = "10 s";') as web:
        assert web.get("/health").status == 200
        store.connection.close()
        cluster.stop("immediate")
        try:
            for method, path in (("GET", "/health"), ("GET", "/l/news"), ("GET", link), ("POST", link)):
                before = time.monotonic()
                answer = web.ask(method, path)
                assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
                assert time.monotonic() - before < 10
                check_page(answer)
            answer = web.ask("POST", link, body, {"Content-Type": content_type})
            assert answer.status == 503 and answer.headers["Content-Type"].startswith("text/plain")
            assert web.get("/robots.txt").status == 200
        finally:
            cluster.start()
        wait_until(lambda: web.get("/health").status == 200)
        assert web.post(link).status == 200
    check = psycopg2.connect(store.connection.dsn)
    with check.cursor() as cursor:
        cursor.execute("SELECT status::text FROM subscription")
        assert cursor.fetchall() == [("unsubscribed",)]
    check.close()


def test_a_statement_that_has_to_wait_is_given_up_and_others_go_on(build, store, tmp_path):
    number = store.reader()
    link = leave_link(store, number)
    with Web(build, store.dsn, tmp_path, settings='timeout = "8 s";') as web:
        locker = psycopg2.connect(store.connection.dsn)
        locker.cursor().execute("SELECT * FROM subscription FOR UPDATE")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(web.post(link)))
        thread.start()
        wait_until(lambda: lock_waiters(store.run))
        assert web.get("/l/news").status == 200
        assert not answers
        thread.join()
        assert answers[0].status == 503
        wait_until(lambda: not lock_waiters(store.run))  # it was cancelled in the database too
        locker.rollback()
        assert store.status(number) == "active"
        assert web.post(link).status == 200
        locker.close()


# ---- the process ---------------------------------------------------------------------------------


def test_it_listens_on_a_unix_socket_and_replaces_a_stale_one(build, store, tmp_path):
    path = tmp_path / "w.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with Web(build, store.dsn, tmp_path, listen=f"unix:{path}") as web:
        assert web.get("/l/news").status == 200
        web.post("/l/news", {"email": "a@example.org"}, x_forwarded_for="192.0.2.1")
        second = Web(build, store.dsn, tmp_path / "..", listen=f"unix:{path}").start(wait=False)
        assert second.process.wait(PATIENCE) == 1
        assert f"web.listen: unix:{path}: Address already in use" in second.said()
    assert store.run("SELECT host(network) FROM web_join_log") == [("192.0.2.0",)]


@pytest.mark.parametrize("family", ("inet", "unix"))
def test_it_takes_systemds_socket(build, store, tmp_path, family):
    path = str(tmp_path / "w.sock")
    listener = socket.socket(socket.AF_UNIX if family == "unix" else socket.AF_INET)
    listener.bind(path if family == "unix" else ("127.0.0.1", 0))
    listener.listen()
    with Web(build, store.dsn, tmp_path, listen="systemd", sockets=[listener]) as web:
        assert web.where == (f"unix:{path}" if family == "unix" else
                             f"127.0.0.1:{listener.getsockname()[1]}")
        assert web.get("/l/news").status == 200
    listener.close()


def test_without_systemds_socket_it_says_what_is_missing(build, store, tmp_path):
    web = Web(build, store.dsn, tmp_path, listen="systemd").start(wait=False)
    assert web.process.wait(PATIENCE) == 1
    assert "digestweb.socket" in web.said()


def test_systemd_is_told_ready_alive_and_stopping(build, store, tmp_path):
    path = str(tmp_path / "notify.sock")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    notify.settimeout(PATIENCE)
    said = []

    def listen_until(word):
        while word not in said:
            said.extend(notify.recv(4096).decode().split("\n"))
    web = Web(build, store.dsn, tmp_path, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "500000"})
    with web:
        listen_until("READY=1")
        listen_until("WATCHDOG=1")
        said.clear()
        web.process.send_signal(signal.SIGHUP)
        listen_until("RELOADING=1")
        listen_until("READY=1")
    listen_until("STOPPING=1")
    notify.close()


def test_sigterm_answers_what_has_begun_and_nobody_is_cut(build, store, tmp_path):
    number = store.reader()
    link = leave_link(store, number)
    with Web(build, store.dsn, tmp_path, settings='timeout = "60 s";') as web:
        locker = psycopg2.connect(store.connection.dsn)
        locker.cursor().execute("SELECT * FROM subscription FOR UPDATE")
        idle = web.connect()
        idle.connect()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(web.post(link)))
        thread.start()
        wait_until(lambda: lock_waiters(store.run))
        web.process.send_signal(signal.SIGTERM)

        def lets_nobody_in():
            try:
                web.get("/")
                return False
            except OSError:
                return True
        wait_until(lets_nobody_in)
        assert web.process.poll() is None and not answers
        locker.rollback()
        thread.join()
        assert answers[0].status == 200
        before = time.monotonic()
        assert web.process.wait(PATIENCE) == 0
        assert time.monotonic() - before < 30  # it didn't wait for the idle one
        idle.close()
        locker.close()
    assert store.status(number) == "unsubscribed"


def test_sigterm_with_a_reader_that_waits_for_ever_ends_in_time(build, store, tmp_path):
    number = store.reader()
    locker = psycopg2.connect(store.connection.dsn)
    with Web(build, store.dsn, tmp_path, settings='timeout = "6 s";') as web:
        locker.cursor().execute("SELECT * FROM subscription FOR UPDATE")
        thread = threading.Thread(target=lambda: web.post(leave_link(store, number)))
        thread.start()
        half = web.connect()
        half.connect()
        half.sock.sendall(b"POST /l/news HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
        wait_until(lambda: lock_waiters(store.run))
        before = time.monotonic()
        assert web.stop() == 0
        assert time.monotonic() - before < 30
        thread.join()
        half.close()
    locker.close()


def test_sighup_takes_other_settings_and_templates(build, store, tmp_path):
    templates = tmp_path / "templates" / "web"
    (templates / "static").mkdir(parents=True)
    with Web(build, store.dsn, tmp_path) as web:
        (templates / "lists.html.mustache").write_text("{{> top}}<title>ours</title>{{> main}}OURS{{> bottom}}")
        (templates / "static" / "logo.svg").write_text("<svg/>")
        top = f'templates_dir = "{templates.parent}";'
        web.configure(top=top)
        web.process.send_signal(signal.SIGHUP)
        web.wait_for("read again")
        assert "OURS" in web.get("/").text
        assert web.get("/static/logo.svg").headers["Content-Type"] == "image/svg+xml"
        assert web.get("/static/demo-bees.png").status == 200
        (templates / "lists.html.mustache").write_text("{{#broken}}")
        web.process.send_signal(signal.SIGHUP)
        web.wait_for("stay as they were")
        assert "OURS" in web.get("/").text
        web.configure(settings="joins_total = -1;", top=top)
        web.process.send_signal(signal.SIGHUP)
        web.wait_for("not changed")
        assert web.get("/l/news").status == 200


def test_tokens_and_addresses_are_not_logged(build, store, tmp_path):
    number = store.reader()
    link = leave_link(store, number)
    with Web(build, store.dsn, tmp_path, top='log_level = "debug";') as web:
        web.get(link)
        web.post(link)
        web.post("/l/news", {"email": "secret@example.org"})
        web.raw(b"GET " + link.encode() + b" HTTP/1.1\r\nbroken\r\n\r\n")
    assert link[3:] not in web.said() and "secret@" not in web.said()
