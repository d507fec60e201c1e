"""Workers as they run in production, for those who measure them: started, stopped, and made to stand still."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

from app.bench.processor import below, command_of, processes
from app.workers.session import Session
from app.workers.supervisor import Group
from sinks.postgres import Connection


@contextmanager
def workers(session: Session, folder: Path, flows: Sequence[str]) -> Iterator[Sequence[Group]]:
    """Run flows, each in a process of its own, until the block ends."""
    groups = [Group(flow, 1, session.env, folder / f"{flow}.log") for flow in flows]
    for group in groups:
        group.start()
    try:
        yield groups
    finally:
        for group in groups:
            group.stop()


def parts_of(groups: Sequence[Group], connection: Connection) -> dict[str, list[int]]:
    """The processes of the machine that have a part in a trade; those that are elsewhere are not there."""
    all_of = processes()
    flows = [pid for group in groups for pid in group.pids]
    backend = counted(connection, "SELECT pg_backend_pid()")
    return {
        "flow": flows,
        "ledger": [pid for flow in flows for pid in below(all_of, flow)[1:]],
        "postgres": below(all_of, all_of[backend].parent) if backend in all_of else [],
        "broker": [pid for pid in below(all_of, os.getpid()) if " broker " in command_of(pid)],
    }


@contextmanager
def standing_still(pids: Sequence[int]) -> Iterator[None]:
    """Keep processes from running until the block ends."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def counted(connection: Connection, query: LiteralString) -> int:
    """Return the one number that a query asks for."""
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
