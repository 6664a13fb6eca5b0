"""digestctl's frame and the nouns list, edition, feed, article, relay, engine, key, db."""

import json
import os
import pathlib
import re
import subprocess

import psycopg2
import pytest

from ctl import Ctl

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPORA = pathlib.Path(os.environ.get("DIGESTD_CORPORA", ROOT.parent / "shared" / "corpora"))
LIST = ("list", "add", "news", "--from", "letters@news.example", "--base-url",
        "https://news.example", "--zone", "Europe/Berlin")


@pytest.fixture
def sql(cluster, database):
    connection = psycopg2.connect(cluster.dsn(database=database))
    connection.autocommit = True
    cursor = connection.cursor()

    def run(statement, *values):
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else None

    yield run
    connection.close()


@pytest.fixture
def news(ctl):
    ctl.ok(*LIST)
    return ctl


def verbs(ctl):
    """Each noun and verb as the help names them."""
    for noun in re.findall(r"^  ([a-z]+) {2,}", ctl.ok("help"), re.M):
        for line in re.findall(rf"^  {noun}(.*)$", ctl.ok("help", noun), re.M):
            verb = re.match(r" ([a-z]+)", line)
            yield [noun] + ([verb.group(1)] if verb else [])


# ---- the frame ---------------------------------------------------------------------------------


def test_every_noun_and_verb_has_its_help(ctl):
    found = list(verbs(ctl))
    for words in found:
        text = ctl.ok(*words, "--help")
        assert text.startswith("Usage: digestctl " + " ".join(words))
        assert "--json" in text
        assert ctl.ok("help", *words) == text
        assert max(len(line) for line in text.splitlines()) <= 120
    assert ["list", "add"] in found and ["subscriber", "import"] in found
    assert {"db", "key", "engine", "list", "edition", "feed", "article", "relay"} <= {w[0] for w in found}


def test_arguments_that_are_wrong_give_status_2(news):
    for arguments in ([], ["bogus"], ["list"], ["list", "bogus"], ["list", "ls", "x"], ["list", "show"],
                      ["list", "ls", "--bogus"], ["--bogus"], ["list", "add", "x", "--from"],
                      ["help", "bogus"], ["help", "list", "bogus"], ["edition", "next", "news", "--count", "x"],
                      ["edition", "next", "news", "--count", "0"], ["key", "rotate", "--retire", "256"]):
        done = news(*arguments)
        assert done.returncode == 2, arguments
        assert done.stderr and not done.stdout


def test_a_wrong_option_is_told_with_where_the_right_ones_are(news):
    for arguments, place in ((["--bogus"], "help\n"), (["issue", "--bogus"], "help issue\n"),
                             (["issue", "open", "--bogus"], "help issue open\n"),
                             (["issue", "open", "--articles"], "help issue open\n"),
                             (["queue", "--bogus"], "help queue\n")):
        said = news.fails(2, *arguments)
        assert said.startswith("digestctl") and said.endswith("digestctl: see: digestctl " + place), said


def test_what_names_nothing_to_change_or_the_contrary_too_is_refused(news):
    news.ok("edition", "add", "news", "post", "manual")
    news.ok("feed", "add", "blog", "--list", "news")
    for arguments, word in ((["list", "set", "news"], "nothing"), (["edition", "set", "news", "post"], "nothing"),
                            (["feed", "set", "blog"], "nothing"),
                            (["edition", "set", "news", "post", "--hold", "x", "--release"], "exclude"),
                            (["edition", "set", "news", "post", "--hold", ""], "reason"),
                            (["edition", "set", "news", "post", "--list-zone", "--reader-zones"], "exclude"),
                            (["feed", "set", "blog", "--pause", "--resume"], "exclude"),
                            (["feed", "set", "blog", "--drop", "x", "--no-drop"], "exclude"),
                            (["issue", "preview", "news/post", "--articles", ""], "3,8,5")):
        assert word in news.fails(2, *arguments), arguments


def test_what_is_not_found_is_told_with_where_to_look(news):
    assert "digestctl list ls" in news.fails(3, "edition", "ls", "nope")
    assert "digestctl list ls" in news.fails(3, "list", "set", "nope", "--title", "x")
    assert "digestctl feed ls" in news.fails(3, "feed", "rm", "nope", "--yes")
    assert "digestctl engine ls" in news.fails(3, "engine", "retire", "99", "--yes")
    assert "digestctl key ls" in news.fails(3, "key", "rotate", "--retire", "99", "--yes")


def test_options_may_stand_before_and_behind(news):
    for arguments in (["--json", "list", "ls"], ["list", "ls", "--json"], ["list", "--json", "ls"],
                      ["-c", news.config, "list", "ls", "--json"], ["list", "ls", "--json", "--config", news.config]):
        assert [row["name"] for row in json.loads(news.ok(*arguments))] == ["news"], arguments
    assert news("list", "ls", "--config", "/nonexistent").returncode == 1
    assert news("--version").stdout.startswith("digestctl ")


def test_an_error_is_one_line_without_control_characters(ctl):
    for arguments in (["list", "show", "a\x1b[31mb"], ["list", "show", "a\nb"]):
        text = ctl.fails(3, *arguments)
        assert text.count("\n") == 1 and "\x1b" not in text


def test_a_database_that_is_away_is_told(ctl, tmp_path):
    with open(ctl.config, encoding="utf-8") as file:
        text = file.read()
    away = tmp_path / "away.conf"
    away.write_text(re.sub(r"host=\S+", f"host={tmp_path}", text))
    assert "connection" in ctl.fails(1, "list", "ls", "--config", str(away))


def test_a_full_disk_under_standard_output_is_a_failure(news):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([news.program, "list", "ls"], stdout=full, stderr=subprocess.PIPE,
                              env={**os.environ, "DIGESTD_CONFIG": news.config}, text=True, check=False)
    assert done.returncode == 1 and "No space left" in done.stderr


# ---- db ----------------------------------------------------------------------------------------


def test_status_tells_the_migrations_and_migrate_has_nothing_to_do(ctl):
    rows = ctl.json("db", "status")
    assert {row["state"] for row in rows} == {"applied"} and len(rows) >= 7
    assert ctl.json("db", "migrate") == {"applied": 0}


def test_status_fails_when_a_migration_was_changed(ctl, sql):
    sql("UPDATE schema_migration SET checksum = repeat('0', 64) WHERE number = 2")
    done = ctl("db", "status", "--json")
    assert done.returncode == 1
    assert [row["state"] for row in json.loads(done.stdout)][1] == "changed"
    assert "0002" in ctl.fails(1, "db", "migrate")


def test_init_makes_a_database_and_says_so_again(build, cluster, tmp_path):
    ctl = Ctl(build, cluster, "made_by_init", str(tmp_path))
    try:
        for _ in range(2):
            assert ctl.json("db", "init", "--conninfo", cluster.dsn()) == {"database": "made_by_init"}
        assert ctl.json("list", "ls") == []
        assert [key["id"] for key in ctl.json("key", "ls")] == [1]
    finally:
        connection = psycopg2.connect(cluster.dsn())
        connection.autocommit = True
        connection.cursor().execute("DROP DATABASE IF EXISTS made_by_init WITH (FORCE)")
        connection.close()


# ---- key, engine, relay ------------------------------------------------------------------------


def test_a_new_key_signs_and_the_old_one_verifies_until_it_is_retired(ctl, sql):
    assert ctl.json("key", "rotate") == {"id": 2}
    assert [(key["id"], key["state"]) for key in ctl.json("key", "ls")] == [(1, "verifies"), (2, "signs")]
    assert "--yes" in ctl.fails(4, "key", "rotate", "--retire", "1")
    ctl.ok("key", "rotate", "--retire", "1", "--yes")
    assert [key["state"] for key in ctl.json("key", "ls")] == ["retired", "signs"]
    ctl.fails(1, "key", "rotate", "--retire", "1", "--yes")
    ctl.fails(1, "key", "rotate", "--retire", "2", "--yes")
    ctl.fails(3, "key", "rotate", "--retire", "9", "--yes")
    secrets = sql("SELECT encode(secret, 'hex') FROM link_key")
    shown = ctl.ok("key", "ls") + ctl.ok("key", "ls", "--json")
    assert not any(secret in shown for secret, in secrets)


def test_there_are_no_more_than_255_keys(ctl, sql):
    sql("INSERT INTO link_key (id, secret) VALUES (255, decode(repeat('ab', 32), 'hex'))")
    assert "255" in ctl.fails(1, "key", "rotate")


ENGINE = "11111111-1111-4111-8111-111111111111"


def test_an_engine_that_is_alive_is_retired_by_force_only(ctl, sql):
    assert ctl.json("engine", "ls") == []
    sql("SELECT * FROM session_start(%s, 'host1', 'machine', gen_random_uuid(), 'boot', '0.1', now())", ENGINE)
    engine, = ctl.json("engine", "ls")
    assert (engine["host"], engine["uuid"], engine["state"], engine["open_windows"]) == ("host1", ENGINE, "alive", 0)
    assert "alive" in ctl.fails(1, "engine", "retire", ENGINE, "--yes")
    ctl.fails(4, "engine", "retire", engine["id"], "--force")
    ctl.ok("engine", "retire", engine["id"], "--force", "--yes")
    assert ctl.json("engine", "ls")[0]["state"] == "retired"
    assert sql("SELECT count(*) FROM session WHERE NOT dead") == [(0,)]
    ctl.fails(1, "engine", "retire", ENGINE, "--yes")
    ctl.fails(3, "engine", "retire", "77", "--yes")


def test_relays_are_those_of_the_configuration_with_what_was_found(ctl, sql):
    relay, = ctl.json("relay", "ls")
    assert (relay["name"], relay["port"], relay["tls"], relay["state"]) == ("local", 25, "none", "ready")
    sql("INSERT INTO relay (name) VALUES ('local')")
    sql("INSERT INTO relay_lane (relay, provider, open_until, reason, failures, changed_at)"
        " SELECT id, '', now() + interval '1 h', 'it is down', 3, now() FROM relay")
    relay, = ctl.json("relay", "ls")
    assert (relay["state"], relay["reason"], relay["lanes"][0]["failures"]) == ("resting", "it is down", 3)
    assert "it is down" in ctl.ok("relay", "ls")


# ---- list --------------------------------------------------------------------------------------


def test_a_list_is_added_shown_and_changed(ctl):
    ctl.ok(*LIST, "--title", "The News", "--set", "welcome=false", "--set", "colors.accent=#c00",
           "--set", "colors.ink=#111", "--set", "logo=https://x.example/l.png", "--doubt", "skip")
    shown = ctl.json("list", "show", "news")
    assert shown["title"] == "The News" and shown["return_path"] == "letters@news.example"
    assert shown["settings"] == {"welcome": False, "colors": {"accent": "#c00", "ink": "#111"},
                                 "logo": "https://x.example/l.png"}
    ctl.ok("list", "set", "news", "--set", "colors.ink=", "--set", "logo=", "--lang", "ur", "--theme",
           "magazine", "--reply-to", "to@news.example", "--zone", "Asia/Karachi")
    shown = ctl.json("list", "show", "news")
    assert shown["settings"] == {"welcome": False, "colors": {"accent": "#c00"}}
    assert (shown["lang"], shown["theme"], shown["doubt"], shown["title"]) == ("ur", "magazine", "skip", "The News")
    assert shown["reply_to"] == "to@news.example" and shown["zone"] == "Asia/Karachi"
    ctl.ok("list", "set", "news", "--reply-to", "")
    assert ctl.json("list", "show", "news")["reply_to"] is None
    assert "Asia/Karachi" in ctl.ok("list", "show", "news")


@pytest.mark.parametrize("option, value", [
    ("--from", "nobody"), ("--from", ""), ("--return-path", ""), ("--reply-to", "a b@x.example"), ("--return-path", "a" * 30 + "@x.example"),
    ("--zone", "Mars/Olympus"), ("--lang", "English"), ("--base-url", "ftp://x"), ("--theme", "nope"),
    ("--doubt", "maybe"), ("--set", "novalue"), ("--set", "a.b.c=1"), ("--cfbl-address", "x"),
])
def test_what_a_list_cannot_have_is_refused(news, option, value):
    before = news.json("list", "show", "news")
    assert news.fails(2, "list", "set", "news", option, value).count("\n") == 1
    assert news.json("list", "show", "news") == before
    news.fails(2, "list", "add", "other", "--from", "a@x.example", "--base-url", "https://x.example", option, value)


def test_lists_have_one_name_each(news):
    assert "already" in news.fails(1, *LIST)
    news.fails(2, "list", "add", "Big News", "--from", "a@x.example")
    news.fails(2, "list", "add", "other")
    news.fails(3, "list", "show", "other")
    news.fails(3, "list", "set", "other", "--title", "x")


# ---- edition -----------------------------------------------------------------------------------


def test_the_first_edition_is_the_default_until_another_is(news):
    assert news.json("edition", "add", "news", "post", "daily", "07:00")["is_default"]
    assert not news.json("edition", "add", "news", "week", "weekly mon 08:00", "--reader-zones")["is_default"]
    news.ok("edition", "set", "news", "week", "--default")
    rows = {row["name"]: row for row in news.json("edition", "ls", "news")}
    assert (rows["post"]["is_default"], rows["week"]["is_default"]) == (False, True)
    assert rows["week"]["zone_of"] == "reader"


def test_schedules_that_are_none_are_refused(news):
    for schedule in ("hourly", "daily 7:00", "daily 24:00", "daily 25:00", "weekly mon 07:60", "weekly 1 07:00", "monthly 32 07:00", "daily"):
        assert "schedule" in news.fails(2, "edition", "add", "news", "x", schedule)
    news.fails(3, "edition", "add", "nope", "x", "manual")
    news.fails(3, "edition", "set", "news", "nope", "manual")
    news.ok("edition", "add", "news", "x", "manual")
    assert "already" in news.fails(1, "edition", "add", "news", "x", "manual")


def test_a_moment_that_is_none_is_told_with_one(news):
    assert "2026-03-29T07:00:00+02:00" in news.fails(2, "edition", "add", "news", "x", "manual", "--since", "soon")


def test_articles_count_from_now_on_unless_all_do(news, sql):
    news.ok("edition", "add", "news", "a", "daily 07:00")
    news.ok("edition", "add", "news", "b", "manual")
    news.ok("edition", "add", "news", "c", "instant", "--since", "all", "--lifetime", "2 d")
    news.ok("edition", "add", "news", "d", "instant", "--since", "2026-01-01T00:00:00+02:00")
    assert sql("SELECT name, isfinite(since) FROM edition ORDER BY name") == [
        ("a", True), ("b", False), ("c", False), ("d", True)]
    rows = {row["name"]: row for row in news.json("edition", "ls")}
    assert rows["d"]["since"] == "2025-12-31T22:00:00Z" and rows["c"]["lifetime_seconds"] == 172800
    news.fails(2, "edition", "add", "news", "e", "manual", "--since", "yesteryear")
    news.fails(2, "edition", "add", "news", "e", "manual", "--lifetime", "3")


def clock(tmp_path, seconds):
    path = tmp_path / "clock"
    path.write_text(f"{seconds:+d}\n")
    return {"DIGESTD_CLOCK": str(path)}


def test_next_runs_are_in_local_time_over_a_change_of_clocks(news, sql, tmp_path):
    news.ok("edition", "add", "news", "post", "daily", "07:00")
    sql("UPDATE edition SET starts = '-infinity'")
    (offset,), = sql("SELECT extract(epoch FROM timestamptz '2027-03-27 12:00+00' - now())::int")
    runs = news.json("edition", "next", "news", "post", "--count", "2", env=clock(tmp_path, offset))
    assert [run["at"] for run in runs] == ["2027-03-28T05:00:00Z", "2027-03-29T05:00:00Z"]
    assert "Sun 2027-03-28 07:00 Europe/Berlin" in news.ok("edition", "next", "news", env=clock(tmp_path, offset))


def test_an_edition_by_readers_clocks_opens_in_the_earliest_zone(news, sql, tmp_path):
    news.ok("edition", "add", "news", "post", "weekly", "mon", "08:00", "--reader-zones")
    news.ok("subscriber", "import", "news", "-",
            stdin="email,zone\na@x.example,America/New_York\nb@x.example,Asia/Tokyo\n")
    sql("UPDATE edition SET starts = '-infinity'")
    (offset,), = sql("SELECT extract(epoch FROM timestamptz '2027-01-04 01:00+00' - now())::int") # Monday, 10:00 in Tokyo
    runs = news.json("edition", "next", "news", "--count", "2", env=clock(tmp_path, offset))
    assert [(run["occurrence"], run["at"], run["zone"]) for run in runs] == [
        ("2027-01-11", "2027-01-10T23:00:00Z", "Asia/Tokyo"), ("2027-01-18", "2027-01-17T23:00:00Z", "Asia/Tokyo")]


def test_nothing_opens_by_itself_in_a_manual_edition(news):
    news.ok("edition", "add", "news", "post", "manual")
    assert news.json("edition", "next", "news") == []
    assert news.json("edition", "ls")[0]["next"] is None


def test_an_edition_is_held_and_released(news):
    news.ok("edition", "add", "news", "post", "manual")
    news.ok("edition", "set", "news", "post", "--hold", "holidays")
    assert news.json("edition", "ls")[0]["held"] == "holidays"
    news.ok("edition", "set", "news", "post", "--release")
    assert news.json("edition", "ls")[0]["held"] is None


# ---- feed --------------------------------------------------------------------------------------


def test_a_feed_is_added_changed_and_removed(news, tmp_path):
    drops = tmp_path / "drops"
    drops.write_text("Sign up*\n\n  Share this  \n")
    news.ok("feed", "add", "blog", "https://x.example/feed", "--list", "news", "--every", "1 h", "--backfill", "3",
            "--drop", "Read more*", "--drop-file", str(drops))
    feed, = news.json("feed", "ls", "news")
    assert feed["drop_lines"] == ["Read more*", "Sign up*", "Share this"]
    assert (feed["every_seconds"], feed["backfill"], feed["lists"]) == (3600, 3, ["news"])
    news.ok("feed", "set", "blog", "--pause", "--no-drop", "--not-list", "news", "--title", "Blog")
    feed, = news.json("feed", "ls")
    assert (feed["state"], feed["drop_lines"], feed["lists"], feed["title"]) == ("paused", [], [], "Blog")
    news.fails(4, "feed", "rm", "blog")
    news.ok("feed", "rm", "blog", "--yes")
    assert news.json("feed", "ls") == []
    news.fails(3, "feed", "rm", "blog", "--yes")


def test_a_feed_needs_a_list_and_files_need_local(news):
    news.fails(2, "feed", "add", "f", "https://x.example/")
    news.fails(3, "feed", "add", "f", "https://x.example/", "--list", "nope")
    assert "--local" in news.fails(2, "feed", "add", "f", "file:///tmp/x", "--list", "news")
    news.fails(2, "feed", "add", "f", "gopher://x", "--list", "news")
    assert news.json("feed", "ls") == []
    news.ok("feed", "add", "f", "file:///tmp/x", "--list", "news", "--local")
    assert "already" in news.fails(1, "feed", "add", "f", "--list", "news")


def test_a_poll_wakes_the_engines(news, cluster, database, sql):
    listener = psycopg2.connect(cluster.dsn(database=database))
    listener.autocommit = True
    listener.cursor().execute("LISTEN digestd")
    news.ok("feed", "add", "blog", "https://x.example/feed", "--list", "news")
    sql("UPDATE feed SET next_at = now() + interval '1 h'")
    news.ok("feed", "poll", "blog")
    (due, number), = sql("SELECT next_at <= now(), id FROM feed")
    assert due
    listener.cursor().execute("SELECT 1")  # with its answer comes what was told before
    listener.poll()
    assert f"feed {number}" in {notice.payload for notice in listener.notifies}
    listener.close()
    news.ok("feed", "add", "hand", "--list", "news")
    news.fails(1, "feed", "poll", "hand")
    news.fails(3, "feed", "poll", "nope")


# ---- article -----------------------------------------------------------------------------------


@pytest.fixture
def hand(news):
    news.ok("feed", "add", "hand", "--list", "news", "--drop", "Sign up*")
    return news


def test_articles_by_hand_are_read_updated_and_shown(hand):
    text = "---\ntitle: First\nid: one\ntopics: [a, b]\n---\n\nA *good* text.\n\nSign up for mail!\n"
    row, = hand.json("article", "add", "-", "--feed", "hand", "--kind", "markdown", stdin=text)
    assert row["result"] == "added"
    shown = hand.json("article", "show", row["id"])
    assert "<em>good</em>" in shown["body_html"]
    assert "Sign up" not in shown["body_html"] + shown["body_text"]
    assert (shown["title"], shown["guid"], shown["topics"]) == ("First", "one", ["a", "b"])
    add = ("article", "add", "-", "--feed", "hand", "--kind", "markdown")
    assert hand.json(*add, stdin=text)[0]["result"] == "unchanged"
    assert hand.json(*add, "--topics", "c", stdin=text)[0]["result"] == "updated"
    assert hand.json(*add, "--topics", "c", stdin=text.replace("good", "bad"))[0] == {
        "id": row["id"], "title": "First", "result": "updated"}
    assert hand.json("article", "show", row["id"])["topics"] == ["c"]
    assert "A bad text." in hand.ok("article", "show", row["id"])
    assert [article["id"] for article in hand.json("article", "ls", "hand")] == [row["id"]]
    hand.fails(4, "article", "rm", row["id"])
    hand.ok("article", "rm", row["id"], "--yes")
    hand.fails(3, "article", "show", row["id"])


def test_an_article_added_by_hand_is_news_though_its_feed_was_never_polled(hand):
    hand.ok("feed", "set", "hand", "--url", "https://x.example/feed")
    hand.ok("article", "add", "-", "--feed", "hand", stdin="Title\n\nText of it.\n")
    article, = hand.json("article", "ls")
    assert article["backlog"] is False


def test_an_article_that_an_issue_holds_stays_as_it_is(hand, sql):
    hand.ok("edition", "add", "news", "post", "manual")
    row, = hand.json("article", "add", "-", "--feed", "hand", stdin="Title\n\nText of it.\n", )
    sql("SELECT issue_open((SELECT id FROM edition), 'x', NULL, NULL, '{}', now())")
    again, = hand.json("article", "add", "-", "--feed", "hand", "--topics", "b", stdin="Title\n\nText of it.\n")
    assert again["result"].startswith("kept")
    assert hand.json("article", "show", row["id"])["topics"] == []
    assert "issue" in hand.fails(1, "article", "rm", row["id"], "--yes")
    assert "issue" in hand.fails(1, "feed", "rm", "hand", "--yes")


def test_several_files_are_stored_together_or_not_at_all(hand, tmp_path):
    good = tmp_path / "good.md"
    good.write_text("# Good\n\nText.\n")
    hand.fails(3, "article", "add", str(good), "/nonexistent", "--feed", "hand")
    assert hand.json("article", "ls") == []
    hand.fails(2, "article", "add", str(good))
    hand.fails(3, "article", "add", str(good), "--feed", "nope")
    hand.fails(2, "article", "add", str(good), "--feed", "hand", "--kind", "pdf")
    hand.fails(2, "article", "add", str(good), "--feed", "hand", "--date", "someday")
    hand.fails(1, "article", "add", "http://127.0.0.1:1/", "--feed", "hand")
    hand.ok("article", "add", f"file://{good}", "--feed", "hand")
    assert hand.json("article", "ls")[0]["title"] == "Good"


def test_real_articles_keep_their_script(hand):
    files = sorted((CORPORA / "articles").glob("*")) if CORPORA.is_dir() else []
    if not files:
        pytest.skip(f"no corpora at {CORPORA}")
    rows = hand.json("article", "add", *files, "--feed", "hand")
    assert len(rows) == len(files) and {row["result"] for row in rows} == {"added"}
    urdu = [a for a in hand.json("article", "ls") if a["lang"] == "ur"]
    assert urdu and all(re.search("[\u0600-\u06ff]", a["title"]) for a in urdu)


def test_the_manual_tells_of_every_verb_and_option(ctl):
    text = (ROOT / "daemon" / "digestctl.1").read_text()
    for words in [*verbs(ctl), ["queue"], ["explain"]]:
        assert re.search(rf"^\.It Ic {' '.join(words)}\b", text, re.M), words
        for option in re.findall(r"^ +(?:-., )?--([a-z-]+)", ctl.ok("help", *words), re.M):
            assert re.search(rf"^\..* -{option}\b", text, re.M), (words, option)


def test_the_manual_tells_of_no_option_that_is_not_there(ctl):
    text = (ROOT / "daemon" / "digestctl.1").read_text()
    helps = ctl.ok("--help") + "".join(ctl.ok("help", *words) for words in [*verbs(ctl), ["queue"], ["explain"]])
    for line in re.findall(r"^\.(?:It|Fl|Nm|Op) .*", text, re.M):
        for option in re.findall(r"(?<![\w-])-([a-z]{2}[a-z-]*)", line):
            assert f"--{option}" in helps, line


def test_the_guide_to_failures_tells_of_commands_that_there_are(ctl):
    text = (ROOT / "daemon" / "digestd-failures.7").read_text()
    known = {" ".join(words): ctl.ok("help", *words) for words in [*verbs(ctl), ["queue"], ["explain"]]}
    nouns = {verb.split()[0] for verb in known}
    told = re.findall(r"^\$ digestctl (.*)", text, re.M)
    for line in re.findall(r"^\.Ic (?:digestctl )?(.*)", text, re.M):
        if line.split()[0] in nouns:
            told.append(line.replace(" Fl ", " -"))
    assert len(told) > 30
    for command in told:
        verb = next((verb for verb in known if re.match(rf"{verb}( |$)", command)), None)
        assert verb, command
        for option in re.findall(r"--([a-z-]+)", command):
            assert f"--{option}" in known[verb], command
