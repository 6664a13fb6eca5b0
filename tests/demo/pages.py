"""A reader at the pages: fetches one, fills its form in, presses its button."""

import html.parser
import http.client
import urllib.error
import urllib.parse
import urllib.request

from place import PlaceError


class Forms(html.parser.HTMLParser):
    """The forms of a page: where they go, and their fields as they stand."""

    def __init__(self, page):
        super().__init__()
        self.forms = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "form":
            self.forms.append({"method": (found.get("method") or "get").lower(),
                               "action": found.get("action") or "", "fields": {}})
        elif tag in ("input", "button") and self.forms and found.get("name"):
            if found.get("type") in ("radio", "checkbox") and "checked" not in found:
                return
            self.forms[-1]["fields"][found["name"]] = found.get("value") or ""


def fetch(url, fields=None):
    """GETs or POSTs; returns the page. Anything but 2xx is an error here."""
    data = urllib.parse.urlencode(fields).encode("ascii") if fields is not None else None
    request = urllib.request.Request(url, data, {"Accept-Language": "en"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        raise PlaceError(f"{request.get_method()} {url}: {error.code} {error.reason}") from error
    except OSError as error:
        raise PlaceError(f"{request.get_method()} {url}: {error}") from error


def press(url, **values):
    """Opens a page and sends its form, with these values in it; returns the page that comes."""
    forms = [form for form in Forms(fetch(url)).forms
             if form["method"] == "post" and values.keys() <= form["fields"].keys()]
    if len(forms) != 1:
        raise PlaceError(f"{url} has {len(forms)} forms to send, not 1")
    target = urllib.parse.urljoin(url, forms[0]["action"])
    return fetch(target, {**forms[0]["fields"], **values})


def dead_links(urls):
    """Those that don't lead to a page, over one connection."""
    if not urls:
        return []
    dead, connection = [], http.client.HTTPConnection(urllib.parse.urlsplit(urls[0]).netloc,
                                                      timeout=30)
    for url in urls:
        parts = urllib.parse.urlsplit(url)
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        if answer.status != 200 or b"<form" not in answer.read():
            answer.close()
            dead.append(url)
    connection.close()
    return dead
