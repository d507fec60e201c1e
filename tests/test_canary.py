"""The canary: whatever says a secret while tests run fails the run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.surroundings import ROOT

WAYS = {
    "a print": "print(CANARY)",
    "a log": "logging.getLogger('some').error('wrong password %s', CANARY)",
    "a process that is captured": "subprocess.run(SAYS, capture_output=True, check=True)",
    "a process that is not": "subprocess.run(SAYS, check=True)",
    "a log in a folder": "(tmp_path / 'worker.log').write_text(CANARY)",
    "nothing": "pass",
}
TEST = """
import logging, subprocess, sys
from tests.canary import CANARY
SAYS = [sys.executable, "-c", f"print('{{CANARY}}')"]
def test_something(tmp_path):
    {}
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_test_that_says_a_secret_fails(way: str, tmp_path: Path) -> None:
    """On whatever way it is said, and though nothing else is wrong with the test."""
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(TEST.format(WAYS[way]))
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "--show-capture=no", "test_it.py"]
    ended = subprocess.run(run, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=False, stdout=subprocess.PIPE)
    assert (way != "nothing") == ended.returncode, ended.stdout
