"""A few seconds of tests/soak: what badly behaved clients leave behind."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[1] / "soak" / "soak.py"


def test_badly_behaved_clients_leave_nothing_behind(pingpong, build_folder, engine):
    if pingpong.sanitizer:
        pytest.skip("a sanitizer keeps memory that was given back")
    command = [sys.executable, SOAK, "--pingpong", pingpong.path, "--engine", engine]
    command += ["--tools", build_folder / "tests" / "soak"]
    command += ["--seconds", "4", "--kills", "6", "--runs", "2"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
