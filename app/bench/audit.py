"""What an audit costs, and how that grows: a snapshot of the ledger beside raw COPY of its tables, and every check over it.

One ledger is posted to as any other, and looked at each time that it has grown to the next size. Snapshot and audit are processes
of their own, so the memory that they took is theirs. Growth is what a million entries cost at the last size, beside the first.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from app.bench.posting.load import Load, transactions
from app.bench.posting.running import BATCH, writer
from app.bench.posting.scratch import scratch_database, scratch_server
from app.bench.posting.sizes import surroundings
from app.reports.audit.judge import audit_folder
from app.reports.audit.taking import snapshot_of
from app.settings import Settings
from sinks.archive.tables import LEDGER
from sinks.ledger.export import copied, snapshot
from sinks.postgres import connect

SIZES = (10, 30, 100)
"""In per cent of the entries that were asked for."""

ENTRIES_PER_TRANSACTION = 4
CHUNK = 100_000


class Spent(NamedTuple):
    """What a process took: seconds, and the most memory that it had at once."""

    seconds: float
    memory_bytes: int


def measure(settings: Settings, entries: int) -> dict[str, Any]:
    """One report; times in seconds. Progress is told on standard error."""
    with scratch_server(settings) as server, scratch_database(server) as dsn:
        sizes = [entries * percent // 100 // ENTRIES_PER_TRANSACTION for percent in SIZES]
        begun = [0, *sizes]
        rows = [_grown(dsn, start, end) for start, end in zip(begun, sizes, strict=False)]
        return {"surroundings": surroundings(server.dsn), "sizes": rows, "growth": _growth(rows)}


def _grown(dsn: str, start: int, end: int) -> dict[str, Any]:
    with writer(dsn, BATCH) as opened:
        for first in range(start, end, CHUNK):
            opened.ledger.post(transactions(Load(), first, min(CHUNK, end - first)))
            _say(f"posted {min(first + CHUNK, end):,} transactions")
    with TemporaryDirectory(prefix="ballast-bench-") as scratch:
        folder = Path(scratch) / "taken"
        copy_seconds = _copied_raw(dsn)
        taken, judged = _apart(_take, dsn, folder), _apart(_judge, folder)
        row = {
            "entries": end * ENTRIES_PER_TRANSACTION,
            "copy_seconds": round(copy_seconds, 2),
            "snapshot_seconds": round(taken.seconds, 2),
            "audit_seconds": round(judged.seconds, 2),
            "audit_memory_bytes": judged.memory_bytes,
            "folder_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        }
    _say(f"{row['entries']:,} entries: snapshot {row['snapshot_seconds']} s, audit {row['audit_seconds']} s")
    return row


def _growth(rows: list[dict[str, Any]]) -> dict[str, float]:
    first, last = rows[0], rows[-1]
    names = ("copy_seconds", "snapshot_seconds", "audit_seconds")
    return {name: round(last[name] / last["entries"] * first["entries"] / (first[name] or 0.01), 2) for name in names}


def _copied_raw(dsn: str) -> float:
    """Seconds to copy all tables of the ledger as text, and do nothing with it."""
    began = time.perf_counter()
    with connect(dsn, "reader", "bench") as connection, snapshot(connection):
        for table in (kept.table for kept in LEDGER if kept.table is not None):
            with connection.cursor().copy(copied(table, has_names=True)) as copy:
                for _ in copy:
                    pass
    return time.perf_counter() - began


def _apart(work: Callable[..., None], *arguments: object) -> Spent:
    """Do it in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_spent, work, *arguments).result()


def _spent(work: Callable[..., None], *arguments: object) -> Spent:
    began = time.perf_counter()
    work(*arguments)
    return Spent(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _take(dsn: str, folder: Path) -> None:
    snapshot_of(dsn, None, folder, "closest")


def _judge(folder: Path) -> None:
    report = audit_folder(folder)
    if report["verdict"] != "pass":
        breached = [check["name"] for check in report["checks"] if check["verdict"] == "breach"]
        msg = f"the ledger of the bench breaks {', '.join(breached)}"
        raise AssertionError(msg)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
