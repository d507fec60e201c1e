"""What a run costs in CPU: of this process, and of the backends that work for it, where they are on the same machine.

Rates depend on what else the machine does; CPU hardly does.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

_BACKENDS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Cpu(NamedTuple):
    """Seconds of CPU of the process that posts, and of the backends that are connected to its database."""

    writer: float
    backends: float


@contextmanager
def metered(dsn: str) -> Iterator[list[Cpu]]:
    """Give a list that has what the block took when it has ended; nothing where the kernel does not tell it."""
    taken: list[Cpu] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        backends = [pid for (pid,) in connection.execute(_BACKENDS)]
    before = time.process_time(), _of(backends)
    yield taken
    after = time.process_time(), _of(backends)
    if before[1] is not None and after[1] is not None:
        taken.append(Cpu(after[0] - before[0], after[1] - before[1]))


def _of(pids: list[int]) -> float | None:
    try:
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9
    except (OSError, ValueError, IndexError):
        return None  # another system, or a server elsewhere
