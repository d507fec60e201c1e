"""What processes have used of the processor, as the kernel counts it: by process, in seconds, their threads included.

A rate says how fast a machine was at that moment; what a trade costs of the processor says what the program asks of any machine.
It is read from /proc, so for processes on this machine, and on Linux.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class Process(NamedTuple):
    """A process as the kernel tells of it; `seconds` has what children used that have ended and were waited for."""

    pid: int
    parent: int
    seconds: float


def processes() -> dict[int, Process]:
    """Return every process that there is now, by its id."""
    read = (_read(path) for path in _PROC.glob("[0-9]*/stat"))
    return {process.pid: process for process in read if process is not None}


def _read(path: Path) -> Process | None:
    try:
        text = path.read_text()
    except OSError:
        return None  # it has ended meanwhile
    # The name in brackets may have blanks in it.
    pid, (_, parent, *rest) = int(text.split(" ", 1)[0]), text.rpartition(")")[2].split()
    return Process(pid, int(parent), sum(map(int, rest[9:13])) / _TICKS_PER_SECOND)


def below(all_of: Mapping[int, Process], pid: int) -> list[int]:
    """Return a process and all that it has started, and they."""
    children = [process.pid for process in all_of.values() if process.parent == pid]
    return [pid, *(one for child in children for one in below(all_of, child))]


def seconds_of(all_of: Mapping[int, Process], pids: Sequence[int]) -> float:
    """Return what these have used together; of one that is not there any more, nothing."""
    return sum(all_of[pid].seconds for pid in pids if pid in all_of)


def command_of(pid: int) -> str:
    """Return the command line of a process, "" if it is not there."""
    try:
        return (_PROC / str(pid) / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
