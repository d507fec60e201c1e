"""Where a flow's state is saved between two lives of its process, and what of it is not gone on with.

Bytewax saves the state of each step by itself, and then, in another transaction, that the epoch is over. Who dies in between
leaves states of an epoch that never ended. The next execution begins with that epoch again, reads the newest states from before
it, and writes over those that were left, but only where a key is touched in that epoch again. Where it is not, what was left
stays, is the newest state of its key from the next epoch on, and is what a third execution resumes from: a leg that was paired in
an epoch that never was is known as paired, while the trade that was made of it was never handed on. Seen at Bytewax 0.21.1, on a
machine so slow that workers were killed before they read anything, as two trades of 25,000 that nobody booked.

So what was left of an epoch that never ended is taken away before a flow starts. Where that is follows from the same rows, by the
same rule, as where Bytewax resumes. That is done by whoever has the folder for itself, and so are all later writes: nothing in
Bytewax keeps a second process from saving over the same folder.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from bytewax.recovery import init_db_dir

from domain.errors import FencedError

LOCK = "lock"
LOOK_SECONDS = 0.2
LOOKS_MAX = 300
"""So many looks at a folder that another process has, before a start over it is given up."""

PARTITIONS = 4
"""The most processes that a flow can ever have over one recovery folder."""


def take_folder(folder: Path, looks_max: int = LOOKS_MAX) -> None:
    """Have the folder for this process for as long as it lives; FencedError when another one has it and does not end."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Never closed: the lock goes with the process, however that ends, and is not handed on to those that it starts.
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(looks_max):
        with suppress(BlockingIOError):
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOOK_SECONDS)
    os.close(number)
    msg = f"another process saves its state in {folder}; stop it first, or set data.folder to a folder of this one's own"
    raise FencedError(msg)


def prepare_recovery(folder: Path) -> int:
    """Make the store on the first start, later take away what no execution may go on with; returns how many states that were.

    The folder has to be taken.
    """
    parts = sorted(folder.glob("part-*.sqlite3"))
    if not parts:
        init_db_dir(folder, PARTITIONS)
        return 0
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(sqlite3.connect(part))) for part in parts]
        epoch = resume_epoch(opened)
        return sum(_forget(part, epoch) for part in opened) if epoch is not None else 0


def resume_epoch(parts: Sequence[sqlite3.Connection]) -> int | None:
    """Return the epoch that the next execution begins with, None if there was none yet.

    It is the first that some worker of the newest execution has not ended; one that ended none still stands where it began.
    """
    executions = _all(parts, "SELECT ex_num, worker_count, resume_epoch FROM exs")
    if not executions:
        return None
    newest, workers, began = max(executions)
    fronts = [
        (worker, front)
        for ex, worker, front in _all(parts, "SELECT ex_num, worker_index, worker_frontier FROM fronts")
        if ex == newest
    ]
    return min(max([began, *(front for own, front in fronts if own == worker)]) for worker in range(workers))


def _all(parts: Sequence[sqlite3.Connection], query: str) -> list[tuple[int, int, int]]:
    return [row for part in parts for row in part.execute(query)]


def _forget(part: sqlite3.Connection, epoch: int) -> int:
    with part:
        return part.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (epoch,)).rowcount
