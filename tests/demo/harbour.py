"""The made-up publication that the demo and the lab send: The Harbour Letter, its readers and its
articles (tests/data/articles)."""

import glob
import os
import urllib.parse

from people import PROVIDERS, people, write_csv
from place import ROOT, PlaceError

LIST = "harbour"
EDITION = "letter"
BACKFILL = 10  # of what a feed has at its first poll
ARTICLES = os.path.join(ROOT, "tests", "data", "articles")

# What sites put between the paragraphs of an article, and nobody wants in a letter.
FURNITURE = [
    "Sign up for regular updates*",
    "Subscribe to our newsletter and stay updated*",
    "Add your comments below",
    "Previous article*",
    "Next article*",
]


def make_list(place, base_url):
    """The list with three rhythms; its own kind is the one that is opened by hand."""
    place.ctl("list", "add", LIST, "--title", "The Harbour Letter",
              "--description", "What happens between the pier and the station.",
              "--from", "letter@harbour.example", "--from-name", "The Harbour Letter",
              "--reply-to", "office@harbour.example", "--return-path", "bounces@harbour.example",
              "--base-url", base_url, "--site-url", "https://harbour.example",
              "--zone", "Europe/London", "--theme", "magazine",
              "--postal-address", "The Harbour Letter\n1 Pier Road\nSkarv Point")
    place.ctl("edition", "add", LIST, EDITION, "manual", "--default")
    place.ctl("edition", "add", LIST, "weekly", "weekly fri 08:00", "--reader-zones")
    place.ctl("edition", "add", LIST, "monthly", "monthly 1 09:00")


def import_readers(place, count):
    """Imports `count` made-up readers, and returns them."""
    values = ", ".join(f"('{domain}', '{group}')" for domain, group in PROVIDERS.items())
    place.sql(f"INSERT INTO provider_domain (domain, provider) VALUES {values} "
              "ON CONFLICT DO NOTHING")
    readers = list(people(count))
    path = place.path("readers.csv")
    write_csv(path, readers)
    place.ctl("subscriber", "import", LIST, path, "--consent", "made up for the demo")
    return readers


def add_articles(place, base_url, article=None, feed=None):
    """Takes the articles: a file of somebody's, a feed, or our own few. Returns how many at once;
    a feed's come when the engine has polled it."""
    drops = [word for line in FURNITURE for word in ("--drop", line)]
    if feed:
        url = feed
        if "://" not in feed:
            if not os.path.isfile(feed):
                raise PlaceError(f"FEED={feed}: there is no such file")
            url = "file://" + urllib.parse.quote(os.path.abspath(feed))
        place.ctl("feed", "add", "news", url, "--list", LIST, "--local", "--backfill",
                  str(BACKFILL), *drops)
        return 0
    place.ctl("feed", "add", "desk", "--list", LIST, *drops)
    if article:
        if "://" not in article and not os.path.isfile(article):
            raise PlaceError(f"ARTICLE={article}: there is no such file")
        place.ctl("article", "add", "--feed", "desk", article)
        return 1
    files = sorted(glob.glob(os.path.join(ARTICLES, "*-*.md")))
    for name in files:
        with open(name, encoding="utf-8") as file:
            text = file.read().replace("image: /static/", f"image: {base_url}/static/", 1)
        own = place.path("articles", os.path.basename(name))
        os.makedirs(place.path("articles"), exist_ok=True)
        with open(own, "w", encoding="utf-8") as file:
            file.write(text)
        place.ctl("article", "add", "--feed", "desk", own)
    return len(files)
