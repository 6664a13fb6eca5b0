"""What holds for each template of a mail, whatever stands in it: safe, readable, told in full."""

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest

MAIL = Path(__file__).parents[2] / "templates" / "mail"
HTML = sorted(MAIL.rglob("*.html.mustache"))
TEXT = sorted(MAIL.rglob("*.txt.mustache"))
MESSAGES = re.compile(r"digest\.|letter-(confirm|welcome|goodbye|test)\.")
THEMES = ("plain", "magazine")
WHOLE = [path for path in HTML if MESSAGES.match(path.name)]

# The colours of words and of what lies behind them, light and dark.
LIGHT = {"ink": "#1c1b19", "muted": "#5c5851"}, ("#ffffff", "#f3efe7", "#e9e4da")
DARK = {"ink": "#f1ede5", "muted": "#bab3a7"}, ("#171614", "#242220", "#2e2b26")


def name(value):
    return value if isinstance(value, str) else str(value.relative_to(MAIL))


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag


def tags(path):
    return Tags(path.read_text("utf-8")).tags


@pytest.mark.parametrize("path", HTML, ids=name)
def test_nothing_runs_and_nothing_is_fetched_but_pictures(path):
    text = path.read_text("utf-8")
    for tag, attributes in tags(path):
        assert tag not in {"script", "link", "iframe", "form", "input", "object", "embed", "video"}
        assert not [key for key in attributes if key.startswith("on")]
    assert not re.search(r"@import|@font-face|url\(|https?:", text)


@pytest.mark.parametrize("path", HTML, ids=name)
def test_pictures_have_words_and_a_size(path):
    for tag, attributes in tags(path):
        if tag == "img":
            assert attributes["alt"]
            assert "width" in attributes or "height" in attributes


@pytest.mark.parametrize("path", HTML, ids=name)
def test_tables_for_layout_say_so(path):
    """The one table that holds a table's facts is that of the test letter: it has row headers."""
    text = path.read_text("utf-8")
    tables = re.findall(r"<table\b[^>]*>", text)
    plain = [table for table in tables if 'role="presentation"' not in table]
    assert len(plain) == (1 if 'scope="row"' in text else 0)


@pytest.mark.parametrize("path", HTML, ids=name)
def test_no_words_are_smaller_than_16_pixels(path):
    for size in re.findall(r"font-size:\s*(\d+)px", path.read_text("utf-8")):
        assert int(size) >= 16 or int(size) <= 1


@pytest.mark.parametrize("path", TEXT, ids=name)
def test_text_escapes_nothing_and_fits(path):
    text = path.read_text("utf-8")
    assert not re.search(r"(?<!{){{[^{#^/>!]", text)
    assert max(map(len, text.splitlines())) <= 80


def with_partials(path, theme):
    """The template with the text of all its partials, as that theme has them, behind it."""
    text = path.read_text("utf-8")
    kind = path.name.split(".", 1)[1]
    for partial in re.findall(r"{{> ([\w-]+)}}", text):
        own = MAIL / theme / f"{partial}.{kind}"
        text += with_partials(own if own.exists() else MAIL / own.name, theme)
    return text


@pytest.mark.parametrize(
    "theme, path",
    [(theme, path) for theme in THEMES for path in WHOLE if path.parent in (MAIL / theme, MAIL)],
    ids=name,
)
def test_language_and_direction_are_told(theme, path):
    told = {
        tag: (attributes["lang"], attributes["dir"])
        for tag, attributes in Tags(with_partials(path, theme)).tags
        if tag in {"html", "body", "div"} and "lang" in attributes
    }
    ours = ("{{list.lang}}", "{{list.dir}}")
    assert told == {"html": ours, "body": ours, "div": ours}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", ["html", "txt"])
def test_a_digest_tells_why_and_how_to_leave(theme, kind):
    text = with_partials(MAIL / theme / f"digest.{kind}.mustache", theme)
    for wanted in ("text.mail.why", "list.title", "reader.email", "list.postal_address"):
        assert wanted in text
    for link in ("unsubscribe", "preferences", "view"):
        assert "links." + link in text and "text.mail." + link in text


def test_each_partial_is_used():
    used = set()
    for path in HTML + TEXT:
        used |= set(re.findall(r"{{> ([\w-]+)}}", path.read_text("utf-8")))
    have = {path.name.split(".")[0] for path in HTML + TEXT if not MESSAGES.match(path.name)}
    assert used == have


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def default(path):
    return re.search(r"{{\^list\.colors\.\w+}}(#[0-9a-f]{6})", path.read_text("utf-8"))[1]


def accent(theme, which):
    own = MAIL / theme / f"{which}.html.mustache"
    return default(own if own.exists() else MAIL / own.name)


@pytest.mark.parametrize("words, behind", [LIGHT, DARK], ids=["light", "dark"])
def test_words_stand_out(words, behind):
    for (_, colour), background in product(words.items(), behind):
        assert contrast(colour, background) >= 4.5, f"{colour} on {background}"


@pytest.mark.parametrize("theme", THEMES)
def test_links_and_buttons_stand_out(theme):
    for background in LIGHT[1][:2]:
        assert contrast(accent(theme, "accent"), background) >= 4.5
    for background in DARK[1][:2]:
        assert contrast(accent(theme, "accent-dark"), background) >= 4.5
    assert contrast(accent(theme, "accent-text"), accent(theme, "accent")) >= 4.5


def test_no_colour_of_words_is_unknown():
    known = {*LIGHT[0].values(), *DARK[0].values(), "transparent"}
    for path in HTML:
        for colour in re.findall(r"(?<![-\w])color:\s*([#\w]+)", path.read_text("utf-8")):
            assert colour in known, f"{name(path)}: {colour}"
