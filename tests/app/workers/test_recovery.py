"""State that was saved in an epoch that never ended is not gone on with."""

import pickle
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig
from bytewax.testing import TestingSink, TestingSource, run_main

from app.workers.recovery import prepare_recovery, resume_epoch, take_folder
from domain.errors import FencedError

DIES = "!"


def live(folder: Path, messages: str) -> list[tuple[str, int]]:
    """How often each key was seen, by a flow that saves that after every message, until it dies or all are told."""
    counted: list[tuple[str, int]] = []
    flow = Dataflow("counting")
    told = op.input("source", flow, TestingSource([*messages]))
    counts = op.stateful_map("count", op.key_on("key", op.map("lives", told, _alive), str), _count)
    op.output("sink", counts, TestingSink(counted))
    saved = RecoveryConfig(str(folder), backup_interval=timedelta(0))
    try:
        run_main(flow, epoch_interval=timedelta(0), recovery_config=saved)
    except RuntimeError:
        assert messages.endswith(DIES)
    return counted


def _alive(message: str) -> str:
    if message == DIES:
        raise RuntimeError(message)
    return message


def _count(count: int | None, _: str) -> tuple[int, int]:
    return ((count or 0) + 1,) * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recovery folder of a life that counted a once, and died when it had saved another count and not the end of the epoch."""
    folder = tmp_path / "recovery"
    take_folder(folder)
    assert 0 == prepare_recovery(folder)
    assert [("a", 1)] == live(folder, "a" + DIES)
    with ExitStack() as stack:
        parts = [stack.enter_context(closing(sqlite3.connect(path))) for path in sorted(folder.glob("part-*.sqlite3"))]
        epoch = resume_epoch(parts)
        for part in parts:
            with part:
                part.execute(LEFT, (epoch, pickle.dumps(7)))
    return folder


TAKES = """
import sys, time
from pathlib import Path
from app.workers.recovery import take_folder
take_folder(Path(sys.argv[1]), looks_max=2)
print("taken", flush=True)
time.sleep(600)
"""
LEFT = """
INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change)
SELECT step_id, state_key, ?, ? FROM snaps WHERE state_key = 'a' ORDER BY snap_epoch LIMIT 1
"""


def test_bytewax_goes_on_with_what_never_was(folder: Path) -> None:
    """Left alone, it counts on from a state of an epoch that never ended, once another life has not touched that key in it."""
    assert [("b", 1), ("b", 2)] == live(folder, "abb" + DIES)
    assert ("a", 8) == live(folder, "abba")[-1]


def test_what_never_was_is_forgotten(folder: Path) -> None:
    """Prepared before each life, it counts on from what was saved in an epoch that ended, whichever keys are touched."""
    assert 0 < prepare_recovery(folder)
    assert [("b", 1), ("b", 2)] == live(folder, "abb" + DIES)
    prepare_recovery(folder)
    assert ("a", 2) == live(folder, "abba")[-1]
    assert 0 == prepare_recovery(folder)


def test_a_folder_is_of_one_process(folder: Path) -> None:
    """Whoever takes it again while the first process lives is refused by name, and takes it once that one has died."""
    taking = [sys.executable, "-c", TAKES, str(folder)]
    refused = subprocess.run(taking, capture_output=True, text=True, check=False)
    assert f"another process saves its state in {folder}" in refused.stderr
    with subprocess.Popen([*taking[:-1], str(folder / "other")], stdout=subprocess.PIPE, text=True) as elsewhere:
        assert elsewhere.stdout is not None
        assert "taken\n" == elsewhere.stdout.readline()
        with pytest.raises(FencedError):
            take_folder(folder / "other", looks_max=1)
        elsewhere.kill()
    take_folder(folder / "other", looks_max=1)
