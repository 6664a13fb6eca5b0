"""The units: understood by systemd, and as closed as they can be."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("digestd.service", "digestweb.service")
MOST_EXPOSED = 1.5

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze isn't installed"
)


@pytest.fixture(name="units", scope="module")
def fixture_units(tmp_path_factory):
    """The units as the installation writes them, for programs that exist."""
    root = tmp_path_factory.mktemp("units")
    sbin = root / "sbin"
    sbin.mkdir()
    for program in ("digestd", "digestweb"):
        (sbin / program).symlink_to("/bin/true")
    for name in (*SERVICES, "digestweb.socket"):
        text = (ROOT / "systemd" / name).read_text()
        text = text.replace("@SBINDIR@", str(sbin)).replace("@SYSCONFDIR@", "/etc")
        (root / name).write_text(text)
    return root


def analyze(*arguments):
    # Without a manager that runs, systemd-analyze still wants a place of its own.
    env = os.environ | {"SYSTEMD_LOG_LEVEL": "warning", "SYSTEMD_COLORS": "0"}
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], env=env, text=True, capture_output=True, timeout=300
    )


@pytest.mark.parametrize("name", (*SERVICES, "digestweb.socket"))
def test_systemd_understands_the_unit(units, name):
    run = analyze("verify", "--man=no", "--recursive-errors=no", units / name)
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_verify_tells_a_mistake(units):
    bad = units / "bad.service"
    bad.write_text((units / "digestd.service").read_text() + "\n[Service]\nBogus=1\n")
    assert "Bogus" in analyze("verify", "--man=no", bad).stderr
    bad.unlink()


@pytest.mark.parametrize("name", SERVICES)
def test_the_service_is_hardly_exposed(units, name):
    run = analyze("security", "--offline=true", "--no-pager", units / name)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", run.stdout).group(1))
    print(f"{name}: {exposure}")
    assert exposure <= MOST_EXPOSED


def settings(name):
    return [
        line for line in (ROOT / "systemd" / name).read_text().splitlines() if not line.startswith("#")
    ]


def test_the_engine_can_read_the_boot_id():
    """ProcSubset=pid would hide /proc/sys/kernel/random/boot_id from the journal."""
    assert not any(line.startswith("ProcSubset=pid") for line in settings("digestd.service"))


def test_the_pages_are_another_user_and_cannot_reach_the_engine_or_the_network():
    engine, pages = settings("digestd.service"), settings("digestweb.service")
    assert "User=digestd" in engine and "User=digestweb" in pages
    assert "PrivateNetwork=yes" in pages
    assert "InaccessiblePaths=-/var/lib/digestd" in pages
    users = (ROOT / "systemd" / "digestd.sysusers").read_text()
    assert re.findall(r"^u (\S+)", users, re.M) == ["digestd", "digestweb"]


def test_the_unit_waits_for_the_drain():
    stop = int(re.search(r"TimeoutStopSec=(\d+)s", "\n".join(settings("digestd.service"))).group(1))
    example = (ROOT / "systemd" / "digestd.conf").read_text()
    drain = int(re.search(r'drain = "(\d+) s"', example).group(1))
    assert stop > drain


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers isn't installed")
def test_the_users_and_the_state_directory_are_made(tmp_path):
    root = tmp_path / "root"
    for directory, name in (("sysusers.d", "digestd.sysusers"), ("tmpfiles.d", "digestd.tmpfiles")):
        place = root / "usr/lib" / directory
        place.mkdir(parents=True)
        shutil.copy(ROOT / "systemd" / name, place / "digestd.conf")
    (root / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True)
    passwd = (root / "etc/passwd").read_text()
    assert re.search(r"^digestd:.*:/var/lib/digestd:/usr/sbin/nologin$", passwd, re.M)
    assert re.search(r"^digestweb:", passwd, re.M)
    if os.geteuid() != 0:
        pytest.skip("only root can give the directory away")
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={root}"], check=True, capture_output=True)
    state = (root / "var/lib/digestd").stat()
    uid = int(re.search(r"^digestd:[^:]*:(\d+)", passwd, re.M).group(1))
    assert (state.st_uid, state.st_mode & 0o777) == (uid, 0o700)
