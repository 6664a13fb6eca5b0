"""digestctl template: works without a database and without a configuration."""

import json
import os
import subprocess

import pytest


@pytest.fixture
def ctl(build, tmp_path):
    def run(*words, status=0, stdin=""):
        done = subprocess.run([os.path.join(build, "digestctl"), "template", *words],
                              capture_output=True, text=True, timeout=300, input=stdin,
                              cwd=tmp_path)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr
    return run


def put(directory, name, text):
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_is_shipped_has_no_mistake(ctl):
    assert ctl("check")[0].startswith("no mistake in ")


def test_each_mistake_has_its_file_line_and_column(ctl, tmp_path):
    file = put(tmp_path, "a.html.mustache",
               "{{list.title}}\n  {{list.titel}}\n{{> nope}}{{#articles}}{{title}}{{nix}}"
               "{{/articles}}{{reader.city}}{{text.mail.foo}}")
    out, _ = ctl("check", file, status=1)
    assert out.splitlines() == [
        f'{file}:2:3: nothing is called "list.titel" here',
        f'{file}:3:1: there is no partial "nope"',
        f'{file}:3:33: nothing is called "nix" here',
        f'{file}:3:68: nothing is called "text.mail.foo" here',
    ]


def test_an_unclosed_section_is_told(ctl, tmp_path):
    file = put(tmp_path, "a.txt.mustache", "a\n {{#list}}")
    out, _ = ctl("check", file, "--json", status=1)
    [mistake] = json.loads(out)
    assert (mistake["file"], mistake["line"], mistake["column"]) == (file, 2, 2)


def test_a_theme_on_disk_is_checked_with_its_partials(ctl, tmp_path):
    put(tmp_path, "mail/mine/digest.html.mustache", "{{> part}}{{#others}}{{title}}{{/others}}")
    put(tmp_path, "mail/mine/digest.txt.mustache", "{{{lead.title}}}")
    part = put(tmp_path, "mail/mine/part.html.mustache", "\n{{author}}")
    out, _ = ctl("check", "mine", "--templates", str(tmp_path), status=1)
    assert out == 'mail/mine/part.html.mustache:2:1: nothing is called "author" here\n', part


def test_a_theme_that_is_missing_is_a_mistake(ctl):
    out, _ = ctl("check", "nix", status=1)
    assert "mail/nix/digest.html.mustache: is missing" in out


def test_a_mistake_in_a_partial_is_told_of_the_partial(ctl, tmp_path):
    file = put(tmp_path, "a.html.mustache", "{{> bad}}")
    bad = put(tmp_path, "bad.html.mustache", "ok\n{{#list}}")
    assert ctl("check", file, status=1)[0] == f"{bad}:2:1: section {{{{#list}}}} is never closed\n"


def test_what_is_no_text_is_a_mistake(ctl, tmp_path):
    file = tmp_path / "a.mustache"
    file.write_bytes(b"\xff{{list.title}}")
    assert ctl("check", str(file), status=1)[0] == f"{file}: isn't UTF-8 text\n"
    assert "Is a directory" in ctl("check", str(tmp_path), status=1)[0]


def test_render_prints_the_rendering_and_nothing_else(ctl, tmp_path):
    put(tmp_path, "p/who.mustache", "{{name}}")
    file = put(tmp_path, "t.mustache", "Hi {{> who}}!")
    assert ctl("render", file, "--data", '{"name": "<A>"}', "--partials", str(tmp_path / "p")) == (
        "Hi &lt;A&gt;!", "")
    data = put(tmp_path, "d.json", '{"name": "<A>"}')
    assert ctl("render", "-", "--data", "@" + data, "--plain", stdin="{{name}}") == ("<A>", "")


def test_themes_that_are_too_many_to_look_through_are_told(ctl, tmp_path):
    for i in range(101):
        put(tmp_path, f"mail/theme{i}/digest.html.mustache", "")
    assert "more than 100" in ctl("check", "--templates", str(tmp_path), status=1)[1]


def test_a_directory_that_is_not_there_is_told(ctl):
    assert "/nonexistent" in ctl("check", "--templates", "/nonexistent", status=3)[1]
    assert "/nonexistent" in ctl("render", "-", "--partials", "/nonexistent", status=3)[1]


def test_render_fails_with_the_place_of_the_mistake(ctl, tmp_path):
    out, errors = ctl("render", "-", "--data", "{", stdin="x", status=1)
    assert out == "" and "data:1:" in errors
    file = put(tmp_path, "t.mustache", "{{#a}}")
    assert ":1:1: " in ctl("render", file, status=1)[1]
    assert "nope" in ctl("render", "-", "--strict", stdin="{{> nope}}", status=1)[1]
