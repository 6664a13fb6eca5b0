"""The configuration as people meet it: the example, --check-config, the manual, the installation."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
O = os.environ.get("DIGESTD_BUILD", "build")
BUILD = (ROOT / O).resolve()
EXAMPLE = ROOT / "systemd" / "digestd.conf"
PAGES = sorted((ROOT / "daemon").glob("*.[1578]"))


def digestd(*arguments, **environment):
    env = {k: v for k, v in os.environ.items() if k != "DIGESTD_CONFIG"} | environment
    return subprocess.run(
        [BUILD / "digestd", *map(str, arguments)], env=env, text=True, capture_output=True, timeout=300
    )


def test_the_example_is_correct():
    run = digestd("--check-config", EXAMPLE)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{EXAMPLE}: correct\n"


def test_the_example_is_correct_with_all_that_is_commented_out(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    text = re.sub(r"^##.*\n", "", EXAMPLE.read_text(), flags=re.M)
    text = re.sub(r"^#(?=\t|\w|$)", "", text, flags=re.M)
    text = re.sub(r"^\t\w*_credential = .*\n", "", text, flags=re.M)
    text = re.sub(r'"/etc/[^"]*\.p(ass|em)"', f'"{secret}"', text)
    file = tmp_path / "all.conf"
    file.write_text(text)
    run = digestd("--check-config", file)
    assert (run.returncode, run.stderr) == (0, "")
    for name in ("provider", "joins_span", "orphan_after", "state_dir"):
        assert re.search(rf"^\s*{name}|^\s*name = \"{name}", text, re.M)


def test_mistakes_are_told_with_their_lines_and_status_1(tmp_path):
    file = tmp_path / "bad.conf"
    file.write_text(EXAMPLE.read_text() + 'stat_dir = "/x";\nlog_level = "loud";\n')
    lines = file.read_text().count("\n")
    run = digestd("--check-config", file)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr == (
        f"{file}:{lines - 1}: error: stat_dir is not a setting; did you mean state_dir?\n"
        f'{file}:{lines}: error: log_level = "loud" is none of '
        '"error", "warning", "notice", "info", "debug"\n'
    )


def test_the_file_is_found_by_option_then_environment(tmp_path):
    other = tmp_path / "other.conf"
    other.write_text("bogus = 1\n")
    assert digestd("--check-config", DIGESTD_CONFIG=str(EXAMPLE)).returncode == 0
    assert digestd("--check-config", other, DIGESTD_CONFIG=str(EXAMPLE)).returncode == 1
    assert digestd("--config", other, "--check-config", DIGESTD_CONFIG=str(EXAMPLE)).returncode == 1
    assert "/nonexistent/x: error: can't be read" in digestd("--check-config", "/nonexistent/x").stderr


def test_a_wrong_configuration_keeps_the_engine_from_starting_with_status_78(tmp_path):
    file = tmp_path / "bad.conf"
    file.write_text("bogus = 1\n")
    run = digestd("--config", file)
    assert run.returncode == 78
    assert f"{file}:1: error: bogus is not a setting" in run.stderr
    restart = (ROOT / "systemd/digestd.service").read_text()
    assert "RestartPreventExitStatus=2 78\n" in restart


def test_arguments_that_are_wrong_give_status_2():
    for arguments in (["--bogus"], ["--config"], ["--check-config", "a", "b"]):
        run = digestd(*arguments)
        assert run.returncode == 2
        assert run.stderr and not run.stdout
    for option in ("--help", "--version"):
        run = digestd(option)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout


def test_a_secret_that_cannot_be_read_is_told_with_its_path_and_reason(tmp_path):
    secret = tmp_path / "relay.pass"
    file = tmp_path / "a.conf"
    file.write_text(
        'relays = ( { name = "r"; host = "h"; user = "u";\n'
        f'password_file = "{secret}" }} );\n'
    )
    run = digestd("--check-config", file)
    assert run.returncode == 1
    assert run.stderr == (
        f"{file}:2: error: relays[0].password_file can't be used: {secret}: "
        "No such file or directory\n"
    )
    secret.write_text("hunter2\n")
    secret.chmod(0o644)
    run = digestd("--check-config", file)
    assert run.returncode == 0
    assert f"{file}:2: warning: relays[0].password_file: any user" in run.stderr
    assert "hunter2" not in run.stderr + run.stdout


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc isn't installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_manual_pages_are_well_formed(page):
    lint = subprocess.run(["mandoc", "-Tlint", page], text=True, capture_output=True)
    # Other pages are found only where they are installed.
    found = [line for line in lint.stdout.splitlines() if "referenced manual not found" not in line]
    assert found == []


# ---- what the guide to failures quotes ---------------------------------------------------------

GUIDE = (ROOT / "daemon" / "digestd-failures.7").read_text()
QUOTED = [line for display in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", GUIDE, re.M | re.S)
          for line in re.sub(r"\n {4}", " ", display).splitlines() if not re.match(r"[$#] |  restore", line)]


def log_formats():
    """What the engine may log, each as a pattern: where a value is printed stand words in brackets, or
    some that the same file has for it."""
    for path in sorted((ROOT / "daemon").rglob("*.c")):
        source = re.sub(r'"\s*"', "", path.read_text())
        literals = [re.escape(text) for text in re.findall(r'"((?:[^"\\\n]|\\.)+)"', source)]
        value = r"(?:\[[^\]]*\]|" + "|".join(sorted(literals, key=len, reverse=True)) + "|)"
        for text in re.findall(r'log_(?:error|warning|notice|info)\([^"();]*"((?:[^"\\]|\\.)*)"', source):
            pieces = re.split(r"%[-0-9.*]*(?:ll|z)?[a-zA-Z]", text)
            if len("".join(pieces)) > 6:  # "%s: %s" would be anything
                yield re.compile(value.join(map(re.escape, pieces)))


def test_each_log_line_of_the_guide_is_one_that_the_engine_writes():
    formats = list(log_formats())
    assert len(QUOTED) > 40
    assert [line for line in QUOTED if not any(f.fullmatch(line) for f in formats)] == []


def make_install(destination, **variables):
    settings = [f"{name}={value}" for name, value in variables.items()]
    subprocess.run(
        ["make", "-s", "install", f"O={O}", f"DESTDIR={destination}", *settings],
        cwd=ROOT,
        check=True,
        timeout=300,
        capture_output=True,
    )


def test_install_puts_each_file_where_debian_wants_it(tmp_path):
    destination = tmp_path / "a root"
    make_install(destination, PREFIX="/usr")
    modes = {
        str(path.relative_to(destination)): stat.S_IMODE(path.stat().st_mode)
        for path in destination.rglob("*")
        if path.is_file()
    }
    wanted = {
        "etc/digestd/digestd.conf": 0o644,
        "usr/sbin/digestd": 0o755,
        "usr/lib/systemd/system/digestd.service": 0o644,
        "usr/lib/systemd/system/digestweb.service": 0o644,
        "usr/lib/systemd/system/digestweb.socket": 0o644,
        "usr/lib/sysusers.d/digestd.conf": 0o644,
        "usr/lib/tmpfiles.d/digestd.conf": 0o644,
        "usr/share/doc/digestd/examples/digestd.conf": 0o644,
        "usr/share/doc/digestd/copyright": 0o644,
    } | {f"usr/share/man/man{page.suffix[1:]}/{page.name}": 0o644 for page in PAGES}
    for program, place in (("digestweb", "usr/sbin"), ("digestctl", "usr/bin")):
        if (ROOT / "daemon" / f"{program}.c").exists():
            wanted[f"{place}/{program}"] = 0o755
    assert modes == wanted
    assert (destination / "etc/digestd/templates").is_dir()
    unit = (destination / "usr/lib/systemd/system/digestd.service").read_text()
    assert "ExecStart=/usr/sbin/digestd\n" in unit
    manual = (destination / "usr/share/man/man5/digestd.conf.5").read_text()
    assert "/usr/share/doc/digestd/examples/digestd.conf\n" in manual
    assert "/usr/local" not in manual
    assert "@" not in re.sub(r"=~?@[a-z-]+|@resources", "", unit)


def test_install_leaves_a_configuration_alone(tmp_path):
    file = tmp_path / "etc/digestd/digestd.conf"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    make_install(tmp_path)
    assert file.read_text() == "# mine\n"
    assert (tmp_path / "usr/local/sbin/digestd").exists()
