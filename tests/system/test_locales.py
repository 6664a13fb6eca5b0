"""The words of mails and pages in each language: complete, and used.

A locale file, templates/locale/LANG.json, holds nested objects of strings:

  mail    what mails say; templates reach it as {{text.mail.NAME}}. A string never holds a name of
          the template's: it stands alone, or before the list's title, an address or a link on its
          own, so that each language may put its words in its own order. greeting_before and
          greeting_after stand around the reader's name and may be empty. mail.KIND.subject and
          mail.KIND.preheader are those of the letter KIND.
  date    how dates are written: "pattern" for the date of an issue, "short" for that of an article,
          with {weekday}, {day}, {month} and {year}; "weekdays" from "1", Monday, to "7", Sunday;
          "months" from "1" to "12".
  web     what the readers' pages say.
"""

import json
import re
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).parents[2] / "templates"
LOCALES = sorted((TEMPLATES / "locale").glob("*.json"))
MAY_BE_EMPTY = {"mail.greeting_before", "mail.greeting_after"}


def strings(value, path=""):
    """The strings of a locale by their dotted names."""
    if isinstance(value, str):
        return {path: value}
    assert isinstance(value, dict), f"{path} is neither a string nor an object"
    found = {}
    for key, inner in value.items():
        found.update(strings(inner, f"{path}.{key}" if path else key))
    return found


def read(path):
    def no_twins(pairs):
        assert len({key for key, _ in pairs}) == len(pairs), f"a key stands twice in {path.name}"
        return dict(pairs)

    return strings(json.loads(path.read_text("utf-8"), object_pairs_hook=no_twins))


ENGLISH = read(TEMPLATES / "locale" / "en.json")


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.stem)
def test_a_locale_has_the_keys_of_english(path):
    assert read(path).keys() == ENGLISH.keys()


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.stem)
def test_no_string_is_empty_or_a_template(path):
    for name, text in read(path).items():
        assert text.strip() == text, f"{name} begins or ends with a space"
        assert text or name in MAY_BE_EMPTY, f"{name} is empty"
        assert "{{" not in text, f"{name} holds a tag"


@pytest.mark.parametrize("path", LOCALES, ids=lambda path: path.stem)
def test_dates_can_be_written(path):
    locale = read(path)
    assert set(re.findall(r"{(\w+)}", locale["date.pattern"])) == {"weekday", "day", "month", "year"}
    assert set(re.findall(r"{(\w+)}", locale["date.short"])) <= {"weekday", "day", "month", "year"}
    for what, count in (("weekdays", 7), ("months", 12)):
        names = [locale[f"date.{what}.{number}"] for number in range(1, count + 1)]
        assert len(set(names)) == count


def test_each_string_of_mails_is_used():
    used = set()
    for template in (TEMPLATES / "mail").rglob("*.mustache"):
        used |= set(re.findall(r"{{[{&#^]?\s*text\.([\w.]+)", template.read_text("utf-8")))
    heads = {name for name in ENGLISH if re.fullmatch(r"mail\.\w+\.(subject|preheader)", name)}
    mail = {name for name in ENGLISH if name.startswith("mail.")}
    assert mail == {name for name in used if name.startswith("mail.")} | heads
