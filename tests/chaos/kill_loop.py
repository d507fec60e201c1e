"""Kills a worker again and again while users trade, and compares what is left with an undisturbed run.

    python -m tests.chaos.kill_loop --kills 1000 --seed 7

The worker gets SIGKILL at seeded random instants, so that it dies while it starts, reads, books and sends alike. When the
users have stopped, a last worker finishes. Then everything that was read is recorded and replayed in memory, without any
kill: the live trades have to be the same, and so have the digests of what was booked for them.
"""

import argparse
import json
import random  # noqa: TID251 - seeded
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from app.crowd import CrowdThread
from app.invariants import check_invariants
from app.recording import record_topics
from app.replaying import replay
from app.session import Session
from app.settings import Settings
from connectors.embedded import die_with_parent
from connectors.recorded import read_folder
from flows import everything
from tests.app.surroundings import environment
from tests.app.trading import open_trading, settle

PAUSE_SECONDS = (0.3, 1.8)
"""A worker needs most of a second to take the ledger; a third of the kills hit it before that."""
TRADES_PER_SECOND = 40
BOOKED = """
SELECT tx_id::text, encode(body_hash, 'hex') FROM ledger.tx WHERE template LIKE 'USER\\_%'
    AND NOT EXISTS (SELECT FROM ledger.resolution r WHERE r.cause_tx_id = ledger.tx.tx_id AND r.relation = 'reversed')
ORDER BY tx_id
"""
PROGRESS = "SELECT (SELECT count(*) FROM ledger.batch), (SELECT max(fence) FROM ledger.writer)"


class Survived(NamedTuple):
    """What was left: how often the worker was killed, how many of the kills hit one that had taken the ledger, how many
    one that had booked; the live trades by id with their digests, as they are and as an undisturbed run books them; what the
    checks found; how long the last worker took to catch up and to stop."""

    kills: int
    kills_of_writers: int
    kills_after_booking: int
    trades: dict[str, str]
    undisturbed: dict[str, str]
    breaches: dict[str, list[str]]
    orders: int
    catch_up_seconds: float
    stop_seconds: float
    exit_code: int


def start_worker(session: Session, log: Path, flow: str = "everything", **settings: str) -> "subprocess.Popen[bytes]":
    """A worker process without a supervisor."""
    with log.open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "app.worker", flow],
            env=environment({**session.env, **settings}),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=die_with_parent,
        )


def survive(kills: int, seed: int) -> Survived:
    """Run the whole loop; the same seed kills after the same pauses."""
    with ExitStack() as stack:
        session, folder = stack.enter_context(open_trading())
        with CrowdThread(session.places.kafka, seed, TRADES_PER_SECOND):
            fences, booked = kill_often(session, folder / "worker.log", kills, random.Random(seed))
        last = start_worker(session, folder / "worker.log")
        started = time.monotonic()
        settle(session.places)
        caught_up_seconds = time.monotonic() - started
        stop_seconds, code = timed_stop(last)
        breaches = check_invariants(session.places, session.venue_url)
        record_topics(session.places.kafka, folder / "recorded")
        with psycopg.connect(session.places.dsn) as connection:
            trades = dict(connection.execute(BOOKED).fetchall())
            orders = connection.execute("SELECT count(*) FROM treasury.venue_order").fetchone()
        return Survived(
            kills,
            fences,
            booked,
            trades,
            undisturbed_trades(folder / "recorded"),
            {name: found for name, found in breaches.items() if found},
            int(orders[0]) if orders else 0,
            caught_up_seconds,
            stop_seconds,
            code,
        )


def kill_often(session: Session, log: Path, kills: int, dice: random.Random) -> tuple[int, int]:
    """Start a worker and kill it, over and over; returns how many took the ledger, and how many booked something."""
    writers = bookers = 0
    batches, fence = _progress(session)
    for _ in range(kills):
        worker = start_worker(session, log)
        time.sleep(dice.uniform(*PAUSE_SECONDS))
        assert worker.poll() is None, f"a worker ended by itself with {worker.returncode}: {log.read_text()[-2000:]}"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        now_batches, now_fence = _progress(session)
        writers += now_fence > fence
        bookers += now_batches > batches
        batches, fence = now_batches, now_fence
    return writers, bookers


def _progress(session: Session) -> tuple[int, int]:
    with psycopg.connect(session.places.dsn) as connection:
        row = connection.execute(PROGRESS).fetchone() or (0, 0)
    return int(row[0]), int(row[1] or 0)


def timed_stop(worker: "subprocess.Popen[bytes]") -> tuple[float, int]:
    """SIGTERM a worker; returns after how many seconds it ended, and with which code."""
    asked = time.monotonic()
    worker.terminate()
    try:
        code = worker.wait(30)
    except subprocess.TimeoutExpired:
        worker.kill()
        code = worker.wait()
    return time.monotonic() - asked, code


def undisturbed_trades(recorded: Path) -> dict[str, str]:
    """Digest by id of the live trades that a run over the recorded messages books when nothing disturbs it."""
    ledger = replay(Settings(), read_folder(recorded, everything.INPUTS)).ledger
    rows = ledger.transaction_rows()
    reversed_ids = {row["cause_tx_id"] for row in rows if row["relation"] == "reverses"}
    return {row["id"]: row["body_hash"] for row in rows if _is_live_trade(row, reversed_ids)}


def _is_live_trade(row: Mapping[str, Any], reversed_ids: set[str]) -> bool:
    return row["template"].startswith("USER_") and row["id"] not in reversed_ids


def main() -> None:
    """Run the loop by hand, for longer than a test may take; prints one JSON object, exits with 1 when a promise broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    survived = survive(options.kills, options.seed)
    sound = not survived.breaches and survived.trades == survived.undisturbed
    counted = {"trades": len(survived.trades), "undisturbed": len(survived.undisturbed), "sound": sound}
    sys.stdout.write(json.dumps({**survived._asdict(), **counted}) + "\n")
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
