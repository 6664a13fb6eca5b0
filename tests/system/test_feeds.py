"""Feeds of other people: what feedparser's own tests expect, evaluated over what feed_parse() keeps.

Each file of the corpora begins with a comment that holds a Python expression over feedparser's
names ("entries[0]['title'] == 'x'"). The expression is walked here, over our fields under those
names; nothing is given to eval(). A name of NOT_KEPT is one that digestd has no use for: such a
file must be read without an error, no more. The corpora are not part of the project; without them
these tests are skipped.
"""

import ast
import datetime
import email.utils
import html
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("DIGESTD_BUILD", "build")
CORPORA = pathlib.Path(os.environ.get("DIGESTD_CORPORA", ROOT.parent / "shared" / "corpora"))
URL = "http://127.0.0.1:8097/tests/feed.xml"

# What feedparser knows of feeds and articles and digestd doesn't keep.
NOT_KEPT = {
    "cloud": "who tells of changes; feeds are polled",
    "rights": "licence texts", "rights_detail": "licence texts", "copyright": "licence texts",
    "generator": "the program that wrote the feed", "generator_detail": "the same",
    "docs": "a link to the specification",
    "publisher": "who hosts, not who wrote", "publisher_detail": "the same",
    "contributors": "only authors are named in a digest",
    "textinput": "a search form",
    "validity_end": "until when the feed is good",
    "source": "the feed that an article was copied from",
    "logo_detail": "", "hreflang": "the language of a link", "src": "content that lies elsewhere",
}
# Of an article only the links that lead to it and its files are kept, not each with its relation.
KEPT_RELATIONS = {"alternate", "enclosure"}


class NotKept(Exception):
    """The expression asks for something that digestd doesn't keep."""


def dump(feed, url=URL, content_type=None):
    args = [BUILD / "system" / "feed_dump", url] + ([content_type] if content_type else [])
    done = subprocess.run(args, input=feed, stdout=subprocess.PIPE, check=True, timeout=60)
    return json.loads(done.stdout)


class Plain(str):
    """A title: digestd keeps plain text where feedparser keeps HTML."""

    def __eq__(self, other):
        text = html.unescape(re.sub(r"</?[a-z][^>]*>", "", other))
        return str(self) in (other, text)

    __hash__ = str.__hash__


class Markup(str):
    """HTML, in which <br/> is <br />."""

    def __eq__(self, other):
        def tidy(text):
            return re.sub(r"\s*/>", " />", text)
        return tidy(str(self)) == tidy(other)

    __hash__ = str.__hash__


class Moment(str):
    """A date: digestd keeps the moment, not how it was written."""

    def __new__(cls, usec):
        self = super().__new__(cls, usec)
        self.usec = usec
        return self

    def __eq__(self, other):
        try:
            moment = datetime.datetime.fromisoformat(other.replace("Z", "+00:00"))
        except ValueError:
            moment = email.utils.parsedate_to_datetime(other)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.timezone.utc)
        return int(moment.timestamp() * 1_000_000) == self.usec

    __hash__ = str.__hash__


class Kept(dict):
    """A dictionary in which a field that isn't kept is another thing than one that isn't there."""

    def __missing__(self, key):
        if key in NOT_KEPT:
            raise NotKept(key)
        raise KeyError(key)


def without_none(**fields):
    return Kept({key: value for key, value in fields.items() if value is not None})


def person(p):
    return without_none(name=p["name"], email=p["email"], href=p["url"], url=p["url"])


def credit(people):
    if not people:
        return {}
    p = people[0]
    both = f"{p['name']} ({p['email']})" if p["name"] and p["email"] else p["name"] or p["email"]
    return {"author": both, "author_detail": person(p), "authors": [person(p) for p in people]}


def text_fields(name, text):
    if not text:
        return {}
    types = {"text": "text/plain", "html": "text/html", "xhtml": "application/xhtml+xml"}
    value = Markup(text["text"])
    return {name: value, name + "_detail": Kept(value=value, type=types[text["kind"]])}


def title_fields(title):
    if title is None:
        return {}
    # The type is gone with the markup: what is kept is plain text.
    return {"title": Plain(title), "title_detail": Kept(value=Plain(title), type="text/plain")}


def dates(published, updated):
    fields = {}
    for name, usec in (("published", published), ("updated", updated or published)):
        if usec:
            fields[name] = Moment(usec)
            fields[name + "_parsed"] = tuple(time.gmtime(usec // 1_000_000))
    return fields


class Links(list):
    """Links of which the relation, the type and the like were not all kept."""

    def __getitem__(self, i):
        if isinstance(i, int) and not -len(self) <= i < len(self):
            raise NotKept("links of other relations")
        return super().__getitem__(i)


def entry(article):
    url, guid = article["url"], article["guid"]
    links = Links([Kept(rel="alternate", href=url)] if url else [])
    files = [without_none(href=f["url"], type=f["type"], length=str(f["length"]))
             for f in article["files"]]
    links += [Kept(f, rel="enclosure") for f in files]
    topics = [Kept(term=t) for t in article["topics"]]
    fields = without_none(link=url, id=guid, guid=guid, links=links, enclosures=files,
                          tags=topics, category=topics[0]["term"] if topics else None,
                          language=article["lang"])
    fields["guidislink"] = article["is_permalink"] and url == guid
    fields.update(title_fields(article["title"]))
    fields.update(text_fields("summary", article["summary"]))
    if article["summary"]:
        fields["description"] = fields["summary"]
    if article["body"]:
        fields["content"] = [text_fields("content", article["body"])["content_detail"]]
    elif article["summary"]:
        fields["content"] = [fields["summary_detail"]]
    fields.update(credit(article["authors"]))
    fields.update(dates(article["published"], article["updated"]))
    return fields


def names(parsed):
    feed = without_none(link=parsed["url"], language=parsed["lang"])
    feed["links"] = Links([Kept(rel="alternate", href=parsed["url"])] if parsed["url"] else [])
    if parsed["self_url"]:
        feed["links"].append(Kept(rel="self", href=parsed["self_url"]))
    feed["tags"] = [Kept(term=t) for t in parsed["topics"]]
    if feed["tags"]:
        feed["category"] = feed["tags"][0]["term"]
    feed.update(title_fields(parsed["title"]))
    feed.update(text_fields("subtitle", parsed["subtitle"]))
    for alias in ("description", "tagline"):
        if parsed["subtitle"]:
            feed[alias] = feed["subtitle"]
    image = parsed["image"]
    if image["url"]:
        feed["image"] = without_none(href=image["url"], url=image["url"], title=image["alt"],
                                     width=image["width"])
        feed["logo"] = feed["icon"] = image["url"]
    feed.update(credit(parsed["authors"]))
    feed.update(dates(parsed["published"], parsed["updated"]))
    version = parsed["format"]
    return {"feed": feed, "entries": [entry(a) for a in parsed["articles"]], "bozo": False,
            "version": "rss091u" if version == "rss091" else version,
            "encoding": parsed["charset"]}


def value_of(node, scope):
    """The value of an expression; only what the corpora's comments need."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return scope[node.id]
    if isinstance(node, ast.Tuple):
        return tuple(value_of(n, scope) for n in node.elts)
    if isinstance(node, ast.Dict):
        return {value_of(k, scope): value_of(v, scope) for k, v in zip(node.keys, node.values)}
    if isinstance(node, (ast.Subscript, ast.Attribute)):
        key = node.attr if isinstance(node, ast.Attribute) else value_of(node.slice, scope)
        if key in NOT_KEPT:
            raise NotKept(key)
        return value_of(node.value, scope)[key]
    if isinstance(node, ast.Call) and node.func.id in ("len", "ord"):
        return {"len": len, "ord": ord}[node.func.id](value_of(node.args[0], scope))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not value_of(node.operand, scope)
    if isinstance(node, ast.BoolOp):
        values = (value_of(n, scope) for n in node.values)
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = value_of(node.left, scope), value_of(node.comparators[0], scope)
        return left == right if isinstance(node.ops[0], ast.Eq) else left != right
    raise ValueError(f"unforeseen in an expectation: {ast.dump(node)}")


def asks_for(node):
    """The constant keys and relations that an expression names."""
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)} | {
        n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def expectation(feed):
    head = feed
    for codec in ("utf-32", "utf-16", "utf-16-le", "utf-8", "latin-1"):
        try:
            head = feed.decode(codec)
        except UnicodeDecodeError:
            continue
        if "Expect:" in head:
            break
    comment = re.search(r"<!--(.*?)-->", head, re.S).group(1)
    text = re.search(r"Expect:\s*(.*)", comment, re.S).group(1).strip()
    return ast.parse(text, mode="eval").body


def verdict(path):
    """'holds', 'not kept: NAME', or what was wrong."""
    feed = path.read_bytes()
    expected = expectation(feed)
    parsed = dump(feed)
    if "error" in parsed:
        return f"not read: {parsed['error']}"
    words = asks_for(expected)
    for name in NOT_KEPT:
        if name in words:
            return f"not kept: {name}"
    if "links" in words and not words & KEPT_RELATIONS and "rel" in words and "feed" not in {
            n.id for n in ast.walk(expected) if isinstance(n, ast.Name)}:
        return "not kept: relations of an article's links"
    if "service.post" in words:
        return "not kept: links of a feed to its editor"
    try:
        return "holds" if value_of(expected, names(parsed)) else "otherwise than expected"
    except NotKept as name:
        return f"not kept: {name}"
    except (KeyError, IndexError) as missing:
        return f"missing: {missing!r}"


def files(folder):
    where = CORPORA / folder
    found = sorted(where.glob("*.xml")) if where.is_dir() else []
    return found or [pytest.param(None, marks=pytest.mark.skip(f"no corpus at {where}"))]


@pytest.mark.parametrize("path", files("feedparser"), ids=lambda p: p.name if p else "absent")
def test_what_feedparser_expects(path):
    result = verdict(path)
    assert result == "holds" or result.startswith("not kept: "), result


@pytest.mark.parametrize("path", files("encodings"), ids=lambda p: p.name if p else "absent")
def test_awkward_encodings(path):
    if path.name.startswith("bozo_"):
        dump(path.read_bytes())  # anything, but an answer
        return
    assert verdict(path) == "holds"


def test_a_news_site_with_full_text():
    path = CORPORA / "feeds" / "global-voices.rss"
    if not path.exists():
        pytest.skip(f"no corpus at {path}")
    feed = dump(path.read_bytes())
    assert len(feed["articles"]) == 15
    for article in feed["articles"]:
        assert article["title"] and article["url"].startswith("http") and article["published"]
        assert article["body"]["kind"] == "html" and len(article["body"]["text"]) > 1000
        assert article["topics"] and article["author"]
