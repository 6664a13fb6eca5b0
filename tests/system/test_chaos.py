"""A few small rounds of chaos, always the same ones: `make chaos` runs more of them (tests/chaos)."""

import os
import subprocess

import pytest

from conftest import ROOT
from waiting import PATIENCE

ROUNDS = {"skip": 4, "resend": 5}   # policy: seed


@pytest.mark.parametrize("policy", ROUNDS)
def test_whatever_goes_wrong_nobody_is_lost_or_mailed_twice(build, tmp_path, policy):
    done = subprocess.run(
        ["/usr/bin/python3", "-B", os.path.join(ROOT, "tests", "chaos", "chaos.py"), "--build", build,
         "--seed", str(ROUNDS[policy]), "--rounds", "1", "--readers", "300", "--policy", policy,
         "--state", str(tmp_path / "results")],
        capture_output=True, text=True, timeout=PATIENCE * 2, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rounds, 1 good" in done.stdout


def test_a_round_that_was_good_is_not_run_again_when_resumed(build, tmp_path):
    (tmp_path / "results").write_text(
        '{"seed": 7, "readers": 300, "engines": 3, "accepted": 300, "copies": 0, "doubts": 0, "lost": 0,'
        ' "points": {}, "seconds": 9, "ok": true}\n')
    done = subprocess.run(
        ["/usr/bin/python3", "-B", os.path.join(ROOT, "tests", "chaos", "chaos.py"), "--build", build, "--resume",
         "--seed", "7", "--rounds", "1", "--readers", "300", "--state", str(tmp_path / "results")],
        capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 rounds, 1 good; 300 accepted")
