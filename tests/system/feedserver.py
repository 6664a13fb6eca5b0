"""A web server for feeds: each path answers as a test says, and counts how often it was asked.

    with FeedServer({"/feed": rss([("id1", "A title")])}) as web:
        web.url("/feed"), web.asked["/feed"], web.pages["/feed"] = ...

A page is bytes, or a function of the request's handler that answers it.
"""

import collections
import http.server
import threading


def rss(items, link="https://site.example/{}", date=None):
    """An RSS feed of (id, title) or (id, title, text); newest first, as feeds have them."""
    out = ['<?xml version="1.0"?><rss version="2.0"><channel><title>A site</title>'
           '<link>https://site.example/</link>']
    for guid, title, *text in items:
        out.append(f"<item><guid isPermaLink=\"false\">{guid}</guid><title>{title}</title>"
                   f"<link>{link.format(title.replace(' ', '-'))}</link>"
                   f"<description>{text[0] if text else 'Of ' + title}</description>"
                   + (f"<pubDate>{date}</pubDate>" if date else "") + "</item>")
    return "".join(out + ["</channel></rss>"]).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        web = self.server.web
        web.asked[self.path] += 1
        page = web.pages.get(self.path)
        try:
            if page is None:
                self.answer(404, b"Not here")
            elif callable(page):
                page(self)
            else:
                self.answer(200, page, {"Content-Type": "application/rss+xml"})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class FeedServer:
    def __init__(self, pages=None):
        self.pages = pages or {}
        self.asked = collections.Counter()

    def url(self, path):
        return f"http://127.0.0.1:{self.http.server_address[1]}{path}"

    def __enter__(self):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.socket.listen(64)  # 5 by default: beyond, a connection is tried again after a second
        self.http.web = self
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
