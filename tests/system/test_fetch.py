"""Fetching from servers that are good, bad and hostile: a scripted one on 127.0.0.1."""

import gzip
import http.server
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("DIGESTD_BUILD", "build") / "system" / "fetch_driver"
FEED = b"<rss version='2.0'><channel><title>t</title></channel></rss>"
E2BIG, EIO, EACCES, EPROTO, ELOOP, ETIMEDOUT = 7, 5, 13, 71, 40, 110


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def to(self, where, status=302):
        self.answer(status, b"go on", Location=where)

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        path, _, rest = self.path[1:].partition("/")
        try:
            getattr(self, "on_" + path)(rest)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def on_feed(self, _):
        if self.headers.get("If-None-Match") == '"v1"':
            self.answer(304, ETag='"v1"')
        else:
            self.answer(body=FEED, ETag='"v1"', Content_Type="application/rss+xml",
                        Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")

    def on_gzip(self, _):
        self.answer(body=gzip.compress(FEED), Content_Encoding="gzip")

    def on_bomb(self, _):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
        self.answer(body=body, Content_Encoding="gzip")

    def on_hop(self, rest):
        kinds = rest.split("/")
        if kinds == [""]:
            self.on_feed("")
        else:
            self.to("/hop/" + "/".join(kinds[1:]), int(kinds[0]))

    def on_circle(self, _):
        self.to("/circle")

    def on_inside(self, _):
        self.to(f"http://127.0.0.1:{self.server.server_port}/feed")

    def on_file(self, _):
        self.to("file:///etc/passwd")

    def on_status(self, rest):
        status, _, wait = rest.partition("/")
        self.answer(int(status), b"no", **({"Retry_After": wait} if wait else {}))

    def on_drip(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.3)

    def on_mute(self, _):
        self.rfile.read(1)  # until the client goes

    def on_huge(self, declared):
        self.send_response(200)
        if declared:
            self.send_header("Content-Length", str(100 << 20))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        piece = bytes(1 << 16)
        for _ in range(1600):
            self.wfile.write(piece if declared else b"10000\r\n" + piece + b"\r\n")

    def on_headers(self, _):
        self.send_response(200)
        self.flush_headers()
        for i in range(10000):
            self.wfile.write(b"X-%d: %s\r\n" % (i, b"y" * 1000))

    def on_cut(self, _):
        self.answer(body=FEED, Content_Length="5000")
        self.close_connection = True

    def on_cutchunk(self, _):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"400\r\n" + FEED)
        self.close_connection = True

    def on_liar(self, _):
        self.answer(body=FEED, Content_Length="10")
        self.close_connection = True

    def on_noise(self, _):
        self.wfile.write(b"\x00\xffthis is no HTTP\r\n\r\n")
        self.close_connection = True

    def on_reset(self, _):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # cut connections are what many of these tests are about


@pytest.fixture(scope="module")
def server():
    with Server(("127.0.0.1", 0), Handler) as s:
        s.seen = []
        s.url = f"http://127.0.0.1:{s.server_port}"
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield s
        s.shutdown()


def fetch(*urls, **options):
    options.setdefault("allow_private", 1)
    args = [f"{name}={value}" for name, value in options.items()]
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run([DRIVER, *args, *urls], stdout=subprocess.PIPE, timeout=300, check=True,
                          env=env)
    return json.loads(done.stdout)


def one(url, **options):
    answer = fetch(url, **options)
    assert answer["returned"] == 0
    return answer["results"][0]


def test_a_feed_comes_with_what_the_next_question_needs(server):
    r = one(server.url + "/feed")
    assert r["status"] == "ok" and r["http_status"] == 200 and r["body"] == FEED.decode()
    assert r["etag"] == '"v1"' and r["content_type"] == "application/rss+xml"
    assert r["last_modified"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert r["url"] == server.url + "/feed" and r["moved_to"] is None
    headers = server.seen[-1][1]
    assert "gzip" in headers["Accept-Encoding"] and "atom" in headers["Accept"]
    assert headers["User-Agent"] == "digestd"


def test_not_modified(server):
    r = one(server.url + "/feed", etag='"v1"', last_modified="Thu, 01 Jan 2026 00:00:00 GMT")
    assert r["status"] == "not modified" and r["http_status"] == 304 and r["bytes"] == 0
    assert server.seen[-1][1]["If-Modified-Since"] == "Thu, 01 Jan 2026 00:00:00 GMT"


def test_a_header_can_not_be_smuggled_in(server):
    assert fetch(server.url + "/feed", etag='"v1"\r\nX: y')["returned"] == -22


def test_gzip_is_unpacked(server):
    assert one(server.url + "/gzip")["body"] == FEED.decode()


def test_the_limit_counts_what_is_unpacked(server):
    r = one(server.url + "/bomb")
    assert r["status"] == "failed" and r["err"] == E2BIG and "larger than" in r["why"]
    assert r["bytes"] <= 16 << 20


@pytest.mark.parametrize("path", ["/huge/", "/huge/declared", "/headers"])
def test_what_is_too_large_is_told(server, path):
    r = one(server.url + path)
    assert r["status"] == "failed" and r["err"] == E2BIG


def test_exactly_the_limit_is_allowed(server):
    assert one(server.url + "/feed", max_bytes=len(FEED))["status"] == "ok"
    assert one(server.url + "/feed", max_bytes=len(FEED) - 1)["err"] == E2BIG
    assert one(server.url + "/gzip", max_bytes=len(FEED) - 1)["err"] == E2BIG


def test_redirects_for_good_are_told(server):
    r = one(server.url + "/hop/301/308/")
    assert r["status"] == "ok" and r["moved_to"] == r["url"] == server.url + "/hop/"
    for path in ("/hop/302/", "/hop/301/302/", "/hop/307/301/"):
        r = one(server.url + path)
        assert r["status"] == "ok" and r["moved_to"] is None and r["url"] == server.url + "/hop/"


def test_redirects_are_counted(server):
    assert one(server.url + "/hop/301/301/301/301/301/")["status"] == "ok"
    for path in ("/hop/301/301/301/301/301/301/", "/circle"):
        r = one(server.url + path)
        assert r["status"] == "failed" and r["err"] == ELOOP


def test_a_redirect_to_a_file_is_refused(server):
    for allowed in (0, 1):
        r = one(server.url + "/file", allow_file=allowed)
        assert r["status"] == "failed" and "root:" not in r["body"]


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f.1", "2130706433"])
def test_private_addresses_are_refused(server, host):
    before = len(server.seen)
    r = one(f"http://{host}:{server.server_port}/feed", allow_private=0)
    assert r["status"] == "failed" and r["err"] == EACCES and "private" in r["why"]
    assert len(server.seen) == before


# In a network namespace of its own, a server may have a public address.
PUBLIC = """
import fcntl, json, socket, struct, sys, threading
sys.path.insert(0, sys.argv[1])
from test_fetch import Handler, Server, one
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for name, address in ((b"lo", "127.0.0.1"), (b"lo:1", "93.184.216.34")):
        inet = struct.pack("16sH2s4s8x", name, socket.AF_INET, b"", socket.inet_aton(address))
        fcntl.ioctl(s, 0x8916, inet)  # SIOCSIFADDR
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", name, 0x41))  # SIOCSIFFLAGS: up, running
server = Server(("0.0.0.0", 0), Handler)
server.seen = []
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://93.184.216.34:{server.server_port}"
answers = [one(base + path, allow_private=0) for path in ("/feed", "/inside")]
print(json.dumps([answers, [path for path, _ in server.seen]]))
"""


def test_a_redirect_into_the_own_network_is_refused():
    args = ["unshare", "-rn", "/usr/bin/python3", "-c", PUBLIC, str(pathlib.Path(__file__).parent)]
    probe = subprocess.run(["unshare", "-rn", "true"], stderr=subprocess.DEVNULL)
    if probe.returncode:
        pytest.skip("no network namespaces for this user")
    done = subprocess.run(args, stdout=subprocess.PIPE, timeout=300, check=True)
    (feed, inside), seen = json.loads(done.stdout)
    assert feed["status"] == "ok"
    assert inside["status"] == "failed" and inside["err"] == EACCES
    assert seen == ["/feed", "/inside"]


def test_only_web_addresses_are_fetched(tmp_path):
    file = tmp_path / "feed.xml"
    file.write_bytes(FEED)
    r = one(f"file://{file}")
    assert r["status"] == "failed" and "http" in r["why"]
    for url in ("ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "dict://127.0.0.1/x",
                "smtp://127.0.0.1/x"):
        assert one(url, allow_file=1)["err"] == EIO
    r = one(f"file://{file}", allow_file=1, allow_private=0)
    assert r["status"] == "ok" and r["body"] == FEED.decode()
    assert one(f"file://{file}", allow_file=1, max_bytes=10)["err"] == E2BIG
    assert one(f"file://{tmp_path}/absent", allow_file=1)["err"] == EIO


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429, 500, 503])
def test_http_errors_are_told(server, status):
    r = one(f"{server.url}/status/{status}/120")
    assert r["status"] == "failed" and r["err"] == EPROTO and r["http_status"] == status
    assert str(status) in r["why"] and r["retry_after"] == 120
    assert one(f"{server.url}/status/{status}")["retry_after"] == 0


@pytest.mark.parametrize("path", ["/cut", "/cutchunk", "/noise", "/reset"])
def test_broken_answers_are_told(server, path):
    r = one(server.url + path)
    assert r["status"] == "failed" and r["err"] == EIO and r["why"]


def test_more_than_the_length_that_was_told_is_not_read(server):
    assert one(server.url + "/liar")["bytes"] == 10


def test_slow_ones_end_while_the_loop_serves_the_others(server):
    urls = [server.url + p for p in ("/drip", "/mute", "/bomb", "/huge/")]
    urls += [server.url + "/feed"] * 40
    answer = fetch(*urls, low_speed_s=4, timeout_ms=120_000)
    drip, mute, bomb, huge = answer["results"][:4]
    assert drip["err"] == ETIMEDOUT and "slow" in drip["why"]
    assert mute["err"] == ETIMEDOUT
    assert bomb["err"] == huge["err"] == E2BIG
    assert all(r["status"] == "ok" for r in answer["results"][4:])
    last = max(r["order"] for r in answer["results"][2:])
    assert last < min(drip["order"], mute["order"])
    assert answer["gap_ms"] < 4000  # so long it would have been, had it waited for a slow one


def test_the_whole_time_is_limited(server):
    r = one(server.url + "/drip", timeout_ms=1000)
    assert r["err"] == ETIMEDOUT


def test_nobody_there():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        r = one(f"http://127.0.0.1:{s.getsockname()[1]}/")
    assert r["status"] == "failed" and r["err"] == EIO and r["http_status"] == 0
    assert one("http://no-such-host.invalid/")["err"] == EIO
    assert one("http://")["err"] == EIO


def test_waiting_for_one(server):
    assert one(server.url + "/feed", now=1)["body"] == FEED.decode()
    assert one(server.url + "/status/404", now=1)["http_status"] == 404
